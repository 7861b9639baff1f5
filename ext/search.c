/* search.c: from a plan and the values it compares with to ranges of keys.
**
** The columns of a key or an index are gone down one by one, each with its value, or in turn
** with all values of its IN list; at the end stands a range of keys.
**
** Affinity. SQLite compares a column with a value after applying affinity to
** one of them, and does not say what affinity the other side has. A numeric
** column is simple: the value becomes a number. In a column without affinity,
** or of TEXT, a number given by a parameter finds only itself (or its text),
** but one from an INTEGER column also finds texts that look like it: '5' and
** ' 05' equal 5 there. What xFilter sees is the same. So such a search goes
** from text to text of those that may equal it (numtext.h) and takes them too;
** SQLite drops what does not fit. There are few such places, also where keys are
** texts of digits (not so in DESC and RTRIM columns: there all texts are passed that
** begin as a number can). Likewise below a text
** from such a column there are all texts that are numbers.
**
** Holds: the ranges may contain more keys than asked for, never fewer. */
#include "search.h"

#include <stdlib.h>

#include "base.h"
#include "numtext.h"

/* Beyond so many ranges the key's remaining columns are left to SQLite; not in
** a merge, which needs each range to be one in all columns. */
#define MANY_RANGES 100000

/*------------------------------------------------------------ init, fini */

lsm_rc lsm_search_init(lsm_search *s, int max_parts) {
  s->noperands = max_parts + 2;
  s->operands = lsm_calloc((size_t)s->noperands * sizeof(*s->operands));
  s->eq = lsm_calloc((size_t)s->noperands * sizeof(*s->eq));
  return s->operands == NULL || s->eq == NULL ? lsm_nomem() : LSM_OK;
}

static void clear_operands(lsm_operands *o) {
  for (int i = 0; i < o->count; i++) {
    if (o->item[i].hold != NULL) sqlite3_value_free(o->item[i].hold);
  }
  o->count = 0;
}

#define FEW 16
#define SHORT (4 << 10)

bool lsm_search_clear(lsm_search *s) {
  bool little = s->cap <= FEW;
  for (int i = 0; i < s->noperands; i++) {
    clear_operands(&s->operands[i]);
    little = little && s->operands[i].cap <= FEW;
  }
  for (size_t i = 0; i < s->cap && little; i++) {
    little = s->ranges[i].lower.cap <= SHORT && s->ranges[i].upper.cap <= SHORT;
  }
  s->nranges = 0;
  return little;
}

void lsm_search_fini(lsm_search *s) {
  for (int i = 0; s->operands != NULL && i < s->noperands; i++) {
    clear_operands(&s->operands[i]);
    sqlite3_free(s->operands[i].item);
  }
  for (size_t i = 0; i < s->cap; i++) lsm_key_range_fini(&s->ranges[i]);
  lsm_free(s->operands);
  lsm_free(s->eq);
  sqlite3_free(s->ranges);
  memset(s, 0, sizeof(*s));
}

/*--------------------------------------------------------------- operands */

static lsm_rc add_operand(lsm_operands *o, lsm_operand **item) {
  if (o->count == o->cap) {
    int cap = o->cap == 0 ? 1 : 4 * o->cap;
    lsm_operand *p = sqlite3_realloc64(o->item, (sqlite3_uint64)cap * sizeof(*p));
    if (p == NULL) return lsm_nomem();
    o->item = p;
    o->cap = cap;
  }
  *item = &o->item[o->count++];
  memset(*item, 0, sizeof(**item));
  return LSM_OK;
}

/* One value as its column compares it. copy: it does not outlive the call. */
static lsm_rc add_value(lsm_operands *o, sqlite3_value *arg, lsm_affinity column, bool literal,
                        bool copy) {
  lsm_operand *item = NULL;
  lsm_affinity aff = column;
  sqlite3_value *dup = NULL;
  int type = sqlite3_value_type(arg);
  lsm_rc rc = add_operand(o, &item);
  if (rc != LSM_OK) return rc;
  item->literal = literal;
  if (column != LSM_AFF_BLOB && column != LSM_AFF_TEXT) {
    aff = LSM_AFF_NUMERIC;
  } else if (!literal && (type == SQLITE_INTEGER || type == SQLITE_FLOAT)) {
    item->loose = true;
    item->number = sqlite3_value_double(arg);
  }
  if (copy && (type == SQLITE_TEXT || type == SQLITE_BLOB)) {
    arg = dup = sqlite3_value_dup(arg);
    if (dup == NULL) return lsm_nomem();
  }
  rc = lsm_value_load(arg, aff, &item->value, &item->hold);
  if (item->hold == NULL) {
    item->hold = dup;
  } else {
    sqlite3_value_free(dup);
  }
  return rc;
}

/* The values of an IN list that is handed over whole; it looks like a NULL. */
static lsm_rc add_list(lsm_operands *o, sqlite3_value *arg, lsm_affinity column, bool *is_list) {
  *is_list = false;
#if SQLITE_VERSION_NUMBER >= 3038000
  if (sqlite3_value_type(arg) == SQLITE_NULL && lsm_sqlite_has(3038000)) {
    sqlite3_value *v = NULL;
    int code = sqlite3_vtab_in_first(arg, &v);
    *is_list = code == SQLITE_OK || code == SQLITE_DONE;
    while (*is_list && code == SQLITE_OK && v != NULL) {
      bool null = sqlite3_value_type(v) == SQLITE_NULL; /* equal to nothing */
      lsm_rc rc = null ? LSM_OK : add_value(o, v, column, false, true);
      if (rc != LSM_OK) return rc;
      code = sqlite3_vtab_in_next(arg, &v);
    }
    if (*is_list && code == SQLITE_NOMEM) return lsm_nomem();
    if (*is_list && code != SQLITE_OK && code != SQLITE_DONE) {
      return lsm_fail(LSM_IOERR, "cannot read the values of an IN list");
    }
  }
#endif
  (void)o, (void)arg, (void)column;
  return LSM_OK;
}

static lsm_rc load_operands(lsm_search *s, const lsm_scan_plan *p, sqlite3_value **argv) {
  const lsm_key_part *part = s->path.part;
  int nbounds = p->has_lower + p->has_upper;
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < p->neq + nbounds && rc == LSM_OK; i++) {
    lsm_affinity aff = part[i < p->neq ? i : p->neq].affinity;
    bool literal = i < 16 && (p->literal >> i & 1) != 0;
    bool is_list = false;
    if (i < p->neq) rc = add_list(&s->operands[i], argv[i], aff, &is_list);
    if (rc == LSM_OK && !is_list) rc = add_value(&s->operands[i], argv[i], aff, literal, false);
  }
  return rc;
}

/* In a database of UTF-16 texts stand in another order than their keys: a text bounds
** the search by what is below or above all texts. */
static void widen(lsm_key_bound *b, bool lower) {
  static const lsm_value first_text = {SQLITE_TEXT, {.s = {(const uint8_t *)"", 0}}};
  static const lsm_value first_blob = {SQLITE_BLOB, {.s = {(const uint8_t *)"", 0}}};
  b->value = lower ? &first_text : &first_blob;
  b->strict = !lower;
}

/* The bounds of the column after the equalities. */
static void set_bounds(lsm_search *s, const lsm_scan_plan *p) {
  int n = s->neq;
  bool range = p->has_lower || p->has_upper;
  bool is_text = range && s->path.part[n].affinity == LSM_AFF_TEXT;
  bool other = is_text || (range && s->path.part[n].affinity == LSM_AFF_BLOB);
  s->lower.strict = p->lower_strict;
  s->upper.strict = p->upper_strict;
  for (int end = 0; end < 2; end++) {
    if (end == 0 ? !p->has_lower : !p->has_upper) continue;
    const lsm_operand *o = &s->operands[n++].item[0];
    if (o->loose && is_text) continue; /* as a number it may bound other texts */
    lsm_key_bound *b = end == 0 ? &s->lower : &s->upper;
    b->value = &o->value;
    if (lsm_path_is_unsorted(&s->path, p->neq) && o->value.type == SQLITE_TEXT) widen(b, end == 0);
    /* Texts that are taken as numbers lie below all other texts. */
    if (end == 1) s->text_too = o->loose || (o->value.type == SQLITE_TEXT && !o->literal && other);
  }
}

/*----------------------------------------------------------------- ranges */

static lsm_rc next_range(lsm_search *s, lsm_key_range **r) {
  if (s->nranges == s->cap) {
    size_t cap = s->cap == 0 ? 2 : 2 * s->cap;
    lsm_key_range *p = sqlite3_realloc64(s->ranges, cap * sizeof(*p));
    if (p == NULL) return lsm_nomem();
    memset(p + s->cap, 0, (cap - s->cap) * sizeof(*p));
    s->ranges = p;
    s->cap = cap;
  }
  *r = &s->ranges[s->nranges++];
  return LSM_OK;
}

/* Keys, after the first N columns, whose text begins as a number may: with
** white space, a sign, a point, a digit: from \t up to what follows '9'. */
static lsm_rc number_like(const lsm_search *s, int n, lsm_key_range *r) {
  lsm_value from = lsm_value_text(lsm_slice_str("\t"));
  lsm_value to = lsm_value_text(lsm_slice_str(":"));
  lsm_key_bound lower = {&from, false}, upper = {&to, true};
  return lsm_key_range_of(r, s->path.part, s->eq, n, lower, upper);
}

/* The range where the way down ends, with N columns known. */
static lsm_rc add_ranges(lsm_search *s, int n) {
  const lsm_key_bound open = {NULL, false};
  lsm_key_range *r;
  bool all = n == s->neq;
  if (!all) s->points = false;
  lsm_rc rc = next_range(s, &r);
  if (rc != LSM_OK) return rc;
  rc = lsm_key_range_of(r, s->path.part, s->eq, n, all ? s->lower : open, all ? s->upper : open);
  if (rc == LSM_OK && all && s->text_too) {
    rc = next_range(s, &r);
    if (rc == LSM_OK) rc = number_like(s, n, r);
  }
  return rc;
}

/*--------------------------------------------------- texts that are numbers */

static lsm_rc descend(lsm_search *s, int pos);

/* To the first key beyond those that have the columns eq[0..pos]. */
static lsm_rc skip_value(const lsm_search *s, lsm_cursor *cur, int pos, lsm_key_range *r) {
  const lsm_key_bound open = {NULL, false};
  if (pos + 1 == s->path.npart) return lsm_cursor_next(cur);
  lsm_rc rc = lsm_key_range_of(r, s->path.part, s->eq, pos + 1, open, open);
  return rc == LSM_OK ? lsm_cursor_seek_ge(cur, lsm_key_range_upper(r)) : rc;
}

/* To the first key that may have one of N's texts in column POS, its text TEXT having
** been passed: over all that cannot where texts rise as keys do. */
static lsm_rc skip_texts(const lsm_search *s, lsm_cursor *cur, int pos, const lsm_numtext *n,
                         lsm_buf *text, lsm_key_range *r) {
  const lsm_key_part *part = &s->path.part[pos];
  lsm_key_bound open = {NULL, false};
  bool may = true;
  lsm_rc rc = LSM_OK;
  bool rising = !part->desc && part->collation != LSM_COLL_RTRIM;
  if (rising) rc = lsm_numtext_next(n, text, &may);
  if (rc != LSM_OK) return rc;
  if (may) return skip_value(s, cur, pos, r);
  if (text->size == 0) return lsm_cursor_seek_ge(cur, lsm_slice_str("\xff"));
  lsm_value from = lsm_value_text(lsm_buf_slice(text));
  rc = lsm_key_range_of(r, s->path.part, s->eq, pos, (lsm_key_bound){&from, false}, open);
  return rc == LSM_OK ? lsm_cursor_seek_ge(cur, lsm_key_range_lower(r)) : rc;
}

/* Goes on with each text that column POS has and that may equal NUMBER. Text
** with a zero byte is no number (and folded it could not be encoded again). */
static lsm_rc descend_texts(lsm_search *s, int pos, double number) {
  const lsm_key_part *part = &s->path.part[pos];
  lsm_key_range r = {0};
  lsm_cursor *cur = NULL;
  lsm_buf scratch = {0}, text = {0};
  lsm_numtext texts;
  lsm_numtext_init(&texts, number);
  lsm_rc rc = number_like(s, pos, &r);
  if (rc == LSM_OK) {
    rc = lsm_cursor_open(s->snap, s->path.keyspace, lsm_key_range_lower(&r),
                         lsm_key_range_upper(&r), &cur);
  }
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  while (rc == LSM_OK && lsm_cursor_valid(cur)) {
    lsm_slice key = lsm_cursor_key(cur);
    lsm_value v;
    for (int i = 0; i < pos && rc == LSM_OK; i++) rc = lsm_key_skip(&key, &s->path.part[i]);
    if (rc == LSM_OK) rc = lsm_key_get(&key, part, &v, &scratch);
    if (rc == LSM_OK) rc = lsm_buf_set(&text, v.u.s);
    if (rc != LSM_OK) break;
    s->eq[pos] = lsm_value_text(lsm_buf_slice(&text));
    bool zero = text.size > 0 && memchr(text.data, 0, text.size) != NULL;
    if (!zero && lsm_text_may_equal(lsm_buf_slice(&text), number)) rc = descend(s, pos + 1);
    if (rc == LSM_OK) {
      rc = zero ? lsm_cursor_next(cur) : skip_texts(s, cur, pos, &texts, &text, &r);
    }
  }
  lsm_cursor_close(cur);
  lsm_key_range_fini(&r);
  lsm_buf_fini(&scratch);
  lsm_buf_fini(&text);
  return rc;
}

/*--------------------------------------------------------------- building */

/* Goes on with column POS, those before it being known. */
static lsm_rc descend(lsm_search *s, int pos) {
  if (pos == s->neq || s->nranges > s->most) return add_ranges(s, pos);
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < s->operands[pos].count && rc == LSM_OK; i++) {
    const lsm_operand *o = &s->operands[pos].item[i];
    if (o->value.type == SQLITE_NULL) {
      if (!s->nulls) continue; /* = NULL: no rows */
      s->points = false;       /* IS NULL: many */
    }
    s->eq[pos] = o->value;
    rc = descend(s, pos + 1);
    if (rc == LSM_OK && o->loose) rc = descend_texts(s, pos, o->number);
  }
  return rc;
}

/* Ranges of a table with rowids: integers all. */
static lsm_rc build_rowids(lsm_search *s, const lsm_scan_plan *p, sqlite3_value **argv) {
  lsm_key_bound bound[2] = {{NULL, p->lower_strict}, {NULL, p->upper_strict}};
  lsm_key_range *r;
  lsm_rc rc = LSM_OK;
  int n = 0;
  if (p->neq > 0) {
    rc = add_value(&s->operands[0], argv[0], LSM_AFF_INTEGER, true, false);
    if (rc != LSM_OK) return rc;
    bound[0].value = bound[1].value = &s->operands[0].item[0].value;
    bound[0].strict = bound[1].strict = false;
  }
  for (int end = 0; end < 2 && p->neq == 0 && rc == LSM_OK; end++) {
    if (end == 0 ? !p->has_lower : !p->has_upper) continue;
    rc = add_value(&s->operands[n], argv[n], LSM_AFF_INTEGER, true, false);
    if (rc == LSM_OK) bound[end].value = &s->operands[n++].item[0].value;
  }
  if (rc == LSM_OK) rc = next_range(s, &r);
  return rc == LSM_OK ? lsm_key_range_of_rowids(r, bound[0], bound[1]) : rc;
}

static int compare_ranges(const void *a, const void *b) {
  const lsm_key_range *x = a, *y = b;
  return lsm_slice_cmp(lsm_buf_slice(&x->lower), lsm_buf_slice(&y->lower));
}

static void swap_ranges(lsm_key_range *a, lsm_key_range *b) {
  lsm_key_range tmp = *a;
  *a = *b;
  *b = tmp;
}

/* Drops ranges without keys, sorts the others and joins those that overlap. */
static void tidy_ranges(lsm_search *s) {
  size_t n = 0;
  for (size_t i = 0; i < s->nranges; i++) {
    if (s->ranges[i].empty) continue;
    if (i != n) swap_ranges(&s->ranges[n], &s->ranges[i]);
    n++;
  }
  if (n > 1) qsort(s->ranges, n, sizeof(*s->ranges), compare_ranges);
  size_t kept = n > 0;
  for (size_t i = 1; i < n; i++) {
    lsm_key_range *last = &s->ranges[kept - 1], *r = &s->ranges[i];
    if (!last->upper_open &&
        lsm_slice_cmp(lsm_buf_slice(&r->lower), lsm_buf_slice(&last->upper)) >= 0) {
      if (i != kept) swap_ranges(&s->ranges[kept], r);
      kept++;
    } else if (!last->upper_open &&
               (r->upper_open ||
                lsm_slice_cmp(lsm_buf_slice(&r->upper), lsm_buf_slice(&last->upper)) > 0)) {
      lsm_buf tmp = last->upper;
      last->upper = r->upper;
      r->upper = tmp;
      last->upper_open = r->upper_open;
    }
  }
  s->nranges = kept;
}

lsm_rc lsm_search_build(lsm_search *s, const lsm_path *path, const lsm_scan_plan *p,
                        sqlite3_value **argv, lsm_snapshot *snap) {
  for (int i = 0; i < s->noperands; i++) clear_operands(&s->operands[i]);
  memset(&s->lower, 0, sizeof(s->lower));
  memset(&s->upper, 0, sizeof(s->upper));
  s->path = *path;
  s->nranges = 0;
  s->points = p->unique;
  s->nulls = p->nulls;
  s->text_too = false;
  s->neq = p->neq;
  s->most = p->merge ? SIZE_MAX : MANY_RANGES;
  s->snap = snap;
  lsm_rc rc = path->rowids ? build_rowids(s, p, argv) : load_operands(s, p, argv);
  if (rc == LSM_OK && !path->rowids) {
    set_bounds(s, p);
    rc = descend(s, 0);
  }
  if (rc == LSM_OK) tidy_ranges(s);
  if (rc != LSM_OK) s->nranges = 0;
  return rc;
}
