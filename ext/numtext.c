/* numtext.c: which texts may be numbers equal to a given one.
**
** SQLite takes for a number: white space, a sign, digits with a point, an exponent, white
** space. Two that differ in their first 15 digits (zeros in front do not count), by more
** than two in the last of these, are different real numbers, whatever follows. So after
** sign and zeros a text must go on with the digits of one of five heads: those of the
** number, and those up to two above and below (4.999... with many nines is 5). Where the
** point stands, and what the exponent is, is not looked at: texts pass that do not equal.
**
** Holds: a text that equals passes in each of its prefixes. */
#include "numtext.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* Where in a text we are. */
typedef enum place {
  AT_START, /* white space so far */
  AT_SIGN,
  AT_ZEROS,
  AT_DIGITS,
  AT_END /* exponent, white space: anything may follow */
} place;

typedef struct state {
  place at;
  bool point;    /* one was met */
  unsigned fits; /* bit i: head i does so far */
  int digits;    /* of the heads, that were met */
} state;

static bool is_space(int c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* 15 digits, when there is one fewer or one more. */
static void put_head(lsm_numtext *n, uint64_t digits) {
  const uint64_t limit = 1000000000000000;
  if (digits < limit / 10) digits = digits * 10 + 9; /* below 1000...: 9999... */
  if (digits >= limit) digits /= 10;
  char *head = n->head[n->count++];
  for (int i = LSM_NUMBER_DIGITS - 1; i >= 0; i--, digits /= 10) head[i] = (char)('0' + digits % 10);
}

void lsm_numtext_init(lsm_numtext *n, double r) {
  char text[40]; /* of one digit, a point, 14 digits, an exponent */
  memset(n, 0, sizeof(*n));
  n->negative = r < 0;
  double size = fabs(r);
  n->any = !(size >= DBL_MIN * 1e16 && size <= DBL_MAX);
  if (n->any) return;
  snprintf(text, sizeof(text), "%.14e", size);
  uint64_t digits = 0;
  for (const char *p = text; *p != 0 && *p != 'e'; p++) {
    if (*p >= '0' && *p <= '9') digits = digits * 10 + (uint64_t)(*p - '0');
  }
  for (int by = -2; by <= 2; by++) put_head(n, digits + (uint64_t)by);
}

/* The heads that go on with digit C. */
static unsigned heads_with(const lsm_numtext *n, const state *s, int c) {
  unsigned fits = 0;
  if (s->digits >= LSM_NUMBER_DIGITS) return s->fits;
  for (int i = 0; i < n->count; i++) {
    if ((s->fits & 1u << i) != 0 && n->head[i][s->digits] == c) fits |= 1u << i;
  }
  return fits;
}

/* Goes on with C; false: no text that equals has it here. */
static bool step(const lsm_numtext *n, state *s, int c) {
  if (s->at == AT_END) return true;
  if (is_space(c)) {
    if (s->at == AT_DIGITS) s->at = AT_END;
    return s->at == AT_START || s->at == AT_END;
  }
  if (c == '+' || c == '-') {
    bool good = s->at == AT_START && (c == '-') == n->negative;
    s->at = AT_SIGN;
    return good;
  }
  if (n->negative && s->at == AT_START) return false;
  if (c == '.') {
    bool good = !s->point;
    if (s->at != AT_DIGITS) s->at = AT_ZEROS;
    s->point = true;
    return good;
  }
  if (c == 'e' || c == 'E') {
    bool good = s->at == AT_DIGITS;
    s->at = AT_END;
    return good;
  }
  if (c < '0' || c > '9') return false;
  if (c == '0' && s->at != AT_DIGITS) {
    s->at = AT_ZEROS;
    return true;
  }
  s->at = AT_DIGITS;
  s->fits = heads_with(n, s, c);
  s->digits++;
  return s->fits != 0;
}

/* The state after the first SIZE bytes, which may be. */
static state state_after(const lsm_numtext *n, const uint8_t *p, size_t size) {
  state s = {AT_START, false, (1u << n->count) - 1, 0};
  for (size_t i = 0; i < size && s.at != AT_END; i++) (void)step(n, &s, p[i]);
  return s;
}

lsm_rc lsm_numtext_next(const lsm_numtext *n, lsm_buf *text, bool *may) {
  state s = state_after(n, NULL, 0);
  size_t i = 0;
  *may = true;
  if (n->any) return LSM_OK;
  while (i < text->size && s.at != AT_END && step(n, &s, text->data[i])) i++;
  if (i == text->size || s.at == AT_END) return LSM_OK;
  *may = false;
  /* The byte at I has no place: a larger one there, or at the last place before it. */
  for (;; i--) {
    state before = state_after(n, text->data, i);
    for (int c = text->data[i] + 1; c < 256; c++) {
      s = before;
      if (!step(n, &s, c)) continue;
      text->size = i;
      return lsm_buf_put_u8(text, (uint8_t)c);
    }
    if (i == 0) break;
  }
  lsm_buf_clear(text);
  return LSM_OK;
}
