/* numtext.h: which texts may be numbers equal to a given one, in the order of texts.
**
** In a key of texts the ones that equal 5 ('5', ' 05.0', '50e-1') are few and far between;
** this says which prefixes they have, so that a search can go from one to the next. */
#ifndef LSM_EXT_NUMTEXT_H
#define LSM_EXT_NUMTEXT_H

#include "base.h"

#define LSM_NUMBER_DIGITS 15 /* that tell real numbers apart for certain */

typedef struct lsm_numtext {
  bool any;      /* nothing can be said: zero, infinity, the smallest numbers */
  bool negative;
  int count;     /* of heads */
  char head[5][LSM_NUMBER_DIGITS]; /* the first digits but zeros that a text may have */
} lsm_numtext;

/* Texts that a numeric affinity may turn into R. */
void lsm_numtext_init(lsm_numtext *n, double r);

/* May TEXT, or one that begins with it, equal the number? If not, *TEXT becomes the
** smallest of those above it that may, or empty when there is none. LSM_NOMEM. */
lsm_rc lsm_numtext_next(const lsm_numtext *n, lsm_buf *text, bool *may);

#endif
