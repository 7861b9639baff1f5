/* rows.h: the row that belongs to a number, for all rivals the same.
**
** Owns   nothing; each program that includes it gets its own copy.
*/
#ifndef TESTS_BENCH_ROWS_H
#define TESTS_BENCH_ROWS_H

#include <stdbool.h>

#include "sqlutil.h"

typedef struct row {
  uint64_t id;
  uint8_t key[KEY_SIZE];
  uint8_t value[VALUE_SIZE];
  int64_t a, b; /* indexed columns, of tables that have them */
} row;

/* Its key is random, or rising: then it begins with the number. The first half of its
** value is random, the other one letter. */
UTIL void make_row(uint64_t id, uint64_t version, bool rising, row *r) {
  r->id = id;
  make_key(id, r->key);
  if (rising) {
    for (int i = 0; i < 8; i++) r->key[i] = (uint8_t)(id >> (56 - 8 * i));
  }
  uint64_t x = mix(id * 31 + version);
  for (int i = 0; i < 48; i += 8) {
    memcpy(r->value + i, &x, 8);
    x = mix(x);
  }
  memcpy(r->value + 48, &x, 2);
  memset(r->value + 50, 'a' + (int)(id % 26), VALUE_SIZE - 50);
  r->a = (int64_t)(mix(id ^ 0xa5a5) & 0xffffffff);
  r->b = (int64_t)(mix(id ^ 0x5a5a5a) & 0xffffffff);
}

#endif
