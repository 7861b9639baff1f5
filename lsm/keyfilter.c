/* keyfilter.c: layers of a filter, made and freed. */
#include "keyfilter.h"

enum { KEYS_A_WORD = 4, MIN_BITS = 6, MAX_BITS = 26 };

lsm_keyfilter *lsm_keyfilter_new(uint64_t room, lsm_keyfilter *older) {
  unsigned bits = MIN_BITS;
  while (bits < MAX_BITS && (UINT64_C(1) << bits) * KEYS_A_WORD < room) bits++;
  size_t words = (size_t)1 << bits;
  lsm_keyfilter *f = lsm_calloc(sizeof(*f) + words * sizeof(f->word[0]));
  if (f == NULL) return NULL;
  f->older = older;
  f->room = words * KEYS_A_WORD;
  f->shift = 64 - bits;
  return f;
}

void lsm_keyfilter_free(lsm_keyfilter *f) {
  while (f != NULL) {
    lsm_keyfilter *older = f->older;
    lsm_free(f);
    f = older;
  }
}

size_t lsm_keyfilter_memory(const lsm_keyfilter *f) {
  size_t sum = 0;
  for (; f != NULL; f = f->older) {
    sum += sizeof(*f) + ((size_t)1 << (64 - f->shift)) * sizeof(f->word[0]);
  }
  return sum;
}
