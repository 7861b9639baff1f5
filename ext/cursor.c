/* cursor.c: reading an lsm table.
**
** xFilter has search.c make ranges of keys, which are walked one after another,
** in key order; ranges that are one whole key are looked up instead of sought.
** Where several texts and a number may equal a value by which the plan has
** fixed a column for good, the ranges are merged by what follows that column:
** so the rows come in the order they would have if it were one value.
**
** Along an index the walk is over entries; a row is looked up when a column is
** asked for that its entry does not have; before anything is shown, when the
** index has entries that lost their rows (stale.h).
**
** Rows of which no column is asked (count(*), an OFFSET) need not be looked at: what the
** store knows to be ahead is counted down, and the walk is caught up with when a row is
** wanted after all, or when that many are done. */
#include "base.h"
#include "rowenc.h"
#include "search.h"
#include "stale.h"
#include "vtab.h"

enum { IDLE_BYTES = 64 << 10 };

typedef struct cursor {
  sqlite3_vtab_cursor base;
  lsm_conn_store *cs; /* it counts us among its open cursors */
  lsm_snapshot *snap;
  uint64_t now; /* where rows expire: the statement's time; 0: not known yet */
  lsm_search search;
  size_t left; /* ranges not yet begun */
  bool reverse;
  bool eof;
  bool asked;      /* for a column of the row */
  uint64_t ahead;  /* rows that follow for certain, */
  uint64_t behind; /* and rows that have been counted since cur was moved */
  lsm_cursor *cur;    /* in the current range; in a merge: the one that is next */
  lsm_cursor **merge; /* one a range, when they are merged */
  size_t nmerge;
  int fixed;     /* columns that do not count in a merge */
  lsm_buf value; /* of a key that was looked up */
  lsm_row row;   /* along an index: the key alone, until the row is fetched */
  lsm_row entry; /* of the index walked last */
  bool faithful; /* columns may be read from entry and key */
  bool fetched;
  bool stale;                 /* entries may have lost their rows */
  lsm_buf row_key, row_value; /* of the entry's row */
  lsm_entry scratch;
} cursor;

static lsm_vtab *table_of(cursor *c) {
  return (lsm_vtab *)c->base.pVtab;
}

/*------------------------------------------------------------ open, close */

static void free_cursor(cursor *c) {
  if (c == NULL) return;
  lsm_search_fini(&c->search);
  lsm_row_fini(&c->row);
  lsm_row_fini(&c->entry);
  lsm_buf_fini(&c->value);
  lsm_buf_fini(&c->row_key);
  lsm_buf_fini(&c->row_value);
  lsm_entry_fini(&c->scratch);
  sqlite3_free(c);
}

static int new_cursor(lsm_vtab *v, cursor **out) {
  cursor *c = *out = sqlite3_malloc(sizeof(*c));
  if (c == NULL) return SQLITE_NOMEM;
  memset(c, 0, sizeof(*c));
  c->base.pVtab = &v->base;
  c->eof = true;
  lsm_rc rc = lsm_search_init(&c->search, lsm_plan_max_parts(v));
  if (rc == LSM_OK) rc = lsm_row_init(&c->row, v->schema);
  if (rc == LSM_OK) return SQLITE_OK;
  free_cursor(c);
  return lsm_vtab_fail(&v->base, rc);
}

/* A statement that is run again and again finds the cursor of the last time. */
int lsm_vtab_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  int code = lsm_vtab_open_store(v);
  if (code != SQLITE_OK) return code;
  cursor *c = (cursor *)v->idle_cursor;
  v->idle_cursor = NULL;
  if (c == NULL) code = new_cursor(v, &c);
  if (code != SQLITE_OK) return code;
  c->cs = v->cs;
  c->now = 0;
  lsm_conn_cursor_opened(c->cs);
  *out = &c->base;
  return SQLITE_OK;
}

/* Nothing large is kept for the next time. */
static bool is_small(const cursor *c) {
  return c->value.cap <= IDLE_BYTES && c->row_key.cap <= IDLE_BYTES &&
         c->row_value.cap <= IDLE_BYTES && c->row.scratch.cap <= IDLE_BYTES &&
         c->entry.scratch.cap <= IDLE_BYTES;
}

/* Lets go of the last scan. */
static void end_scan(cursor *c) {
  if (c->nmerge == 0) lsm_cursor_close(c->cur);
  for (size_t i = 0; i < c->nmerge; i++) lsm_cursor_close(c->merge[i]);
  sqlite3_free(c->merge);
  c->merge = NULL;
  c->nmerge = 0;
  c->cur = NULL;
  lsm_snapshot_release(c->snap);
  c->snap = NULL;
  c->ahead = c->behind = 0;
  c->asked = false;
  c->eof = true;
}

int lsm_vtab_cursor_close(sqlite3_vtab_cursor *cur) {
  cursor *c = (cursor *)cur;
  lsm_vtab *v = table_of(c);
  lsm_conn_store *cs = c->cs;
  end_scan(c);
  if (v->idle_cursor == NULL && lsm_search_clear(&c->search) && is_small(c)) {
    v->idle_cursor = cur;
  } else {
    free_cursor(c);
  }
  lsm_conn_cursor_closed(cs);
  return SQLITE_OK;
}

void lsm_vtab_cursor_free_idle(lsm_vtab *v) {
  free_cursor((cursor *)v->idle_cursor);
  v->idle_cursor = NULL;
}

/*------------------------------------------------------------------- rows */

/* Reads the entry's row, or LSM_NOTFOUND. */
static lsm_rc fetch(cursor *c) {
  lsm_slice key = lsm_buf_slice(&c->row_key);
  lsm_rc rc = lsm_get(c->snap, table_of(c)->keyspace, key, &c->row_value);
  if (rc == LSM_OK) lsm_row_point(&c->row, key, lsm_buf_slice(&c->row_value));
  c->fetched = rc == LSM_OK;
  return rc;
}

/* Reads the entry's row; LSM_NOTFOUND if there is none that asks for it. */
static lsm_rc check_entry(cursor *c, lsm_slice key) {
  bool stale = false;
  lsm_rc rc = fetch(c);
  if (rc != LSM_OK) return rc;
  rc = lsm_stale_check(table_of(c)->schema, c->search.path.x->def, &c->row, key, &c->scratch,
                       &stale);
  return rc == LSM_OK && stale ? LSM_NOTFOUND : rc;
}

/* The walk stands on this pair, a row or an entry. LSM_NOTFOUND: on an entry
** that has no row. */
static lsm_rc show(cursor *c, lsm_slice key, lsm_slice value) {
  const lsm_vindex *x = c->search.path.x;
  if (x == NULL) {
    lsm_row_point(&c->row, key, value);
    return LSM_OK;
  }
  const lsm_schema *s = table_of(c)->schema;
  lsm_rc rc = lsm_entry_row_key(s, x->def, key, value, &c->row_key, &c->faithful);
  if (rc != LSM_OK) return rc;
  c->fetched = false;
  lsm_row_point(&c->entry, key, lsm_entry_no_codes());
  lsm_row_point(&c->row, lsm_buf_slice(&c->row_key), lsm_entry_no_codes());
  return c->stale ? check_entry(c, key) : LSM_OK;
}

/* What COLUMN is to be read from. */
static lsm_rc row_with(cursor *c, int column, lsm_row **row) {
  const lsm_schema *s = table_of(c)->schema;
  const lsm_vindex *x = c->search.path.x;
  *row = &c->row;
  if (x == NULL || c->fetched || column >= s->ncolumn || column == s->alias_column) return LSM_OK;
  if (c->faithful && x->def->entry->column[column].key_pos >= 0) {
    *row = &c->entry;
    return LSM_OK;
  }
  if (c->faithful && s->column[column].key_pos >= 0) return LSM_OK;
  lsm_rc rc = fetch(c);
  if (rc != LSM_NOTFOUND) return rc;
  if (s->opt.has_ttl) { /* they expire at the same time, but go from disk each on its own */
    return lsm_fail(LSM_STALE, "table %s: a row has expired that the clock shows as alive again",
                    table_of(c)->table);
  }
  return lsm_corrupt(table_of(c)->table, 0, "an index entry without its row");
}

/* Along an index entry has its columns. */
static lsm_rc prepare_entry(cursor *c, const lsm_vindex *x) {
  c->stale = false;
  if (x == NULL) return LSM_OK;
  lsm_rc rc = lsm_stale_in(c->snap, x, &c->stale);
  if (rc != LSM_OK || c->entry.schema == x->def->entry) return rc;
  lsm_row_fini(&c->entry);
  return lsm_row_init(&c->entry, x->def->entry);
}

/*------------------------------------------------------------------ moves */

/* The next range, from the last one down when reverse. REQUIRES: one is left. */
static const lsm_key_range *take_range(cursor *c) {
  c->left--;
  return &c->search.ranges[c->reverse ? c->left : c->search.nranges - c->left - 1];
}

/* A cursor on the range's first row, the way we go. */
static lsm_rc open_range(cursor *c, const lsm_key_range *r, lsm_cursor **cur) {
  lsm_slice lower = lsm_key_range_lower(r);
  if (lower.data == NULL && c->search.path.x != NULL) lower = lsm_index_start();
  lsm_rc rc =
      lsm_cursor_open(c->snap, c->search.path.keyspace, lower, lsm_key_range_upper(r), cur);
  if (rc == LSM_OK) rc = c->reverse ? lsm_cursor_last(*cur) : lsm_cursor_first(*cur);
  return rc;
}

static lsm_rc move_on(const cursor *c) {
  return c->reverse ? lsm_cursor_prev(c->cur) : lsm_cursor_next(c->cur);
}

/* Rows that may be counted from here on without looking at them. */
static uint64_t known_ahead(const cursor *c) {
  if (c->cur == NULL || c->nmerge > 0 || c->reverse || c->stale) return 0;
  return lsm_cursor_ahead(c->cur);
}

/* Goes to the row that was counted last, since it is wanted. */
static lsm_rc catch_up(cursor *c) {
  lsm_rc rc = lsm_cursor_pass(c->cur, c->behind);
  c->ahead = c->behind = 0;
  if (rc != LSM_OK) return rc;
  if (!lsm_cursor_valid(c->cur)) {
    return lsm_corrupt(table_of(c)->table, 0, "fewer rows than a file has by its index");
  }
  return show(c, lsm_cursor_key(c->cur), lsm_cursor_value(c->cur));
}

/* The row after those that were counted, or after the one that cur is on. */
static lsm_rc leave(cursor *c) {
  if (c->behind == 0) return move_on(c);
  lsm_rc rc = lsm_cursor_pass(c->cur, c->behind + 1);
  c->behind = 0;
  return rc;
}

/* Shows where the walk stands; goes on over entries without rows, and to the
** next range when this one is done. */
static lsm_rc settle(cursor *c) {
  lsm_rc rc = LSM_OK;
  lsm_slice key, value;
  while (rc == LSM_OK) {
    if (c->cur != NULL && lsm_cursor_pair(c->cur, &key, &value)) {
      rc = show(c, key, value);
      if (rc != LSM_NOTFOUND) return rc;
      rc = move_on(c);
      continue;
    }
    lsm_cursor_close(c->cur);
    c->cur = NULL;
    if (c->left == 0) {
      end_scan(c);
      return LSM_OK;
    }
    rc = open_range(c, take_range(c), &c->cur);
  }
  return rc;
}

/* The next row whose key is the lower bound of a range. */
static lsm_rc look_up(cursor *c) {
  while (c->left > 0) {
    lsm_slice key = lsm_buf_slice(&take_range(c)->lower);
    lsm_rc rc = lsm_get(c->snap, c->search.path.keyspace, key, &c->value);
    if (rc == LSM_OK) rc = show(c, key, lsm_buf_slice(&c->value));
    if (rc != LSM_NOTFOUND) return rc;
  }
  end_scan(c);
  return LSM_OK;
}

/*------------------------------------------------------------------ merge */

/* What counts in a merge: the key without its fixed columns. */
static lsm_rc merge_key(const cursor *c, const lsm_cursor *cur, lsm_slice *key) {
  const lsm_key_part *part = c->search.path.part;
  lsm_rc rc = LSM_OK;
  *key = lsm_cursor_key(cur);
  for (int i = 0; i < c->fixed && rc == LSM_OK; i++) rc = lsm_key_skip(key, &part[i]);
  return rc;
}

/* Makes the one of the ranges that is next the current one, NULL: none is left. */
static lsm_rc choose(cursor *c) {
  lsm_slice best = LSM_SLICE_NULL, key;
  c->cur = NULL;
  for (size_t i = 0; i < c->nmerge; i++) {
    if (!lsm_cursor_valid(c->merge[i])) continue;
    lsm_rc rc = merge_key(c, c->merge[i], &key);
    if (rc != LSM_OK) return rc;
    int cmp = c->cur == NULL ? -1 : lsm_slice_cmp(key, best);
    if (c->cur == NULL || (c->reverse ? cmp > 0 : cmp < 0)) {
      c->cur = c->merge[i];
      best = key;
    }
  }
  return LSM_OK;
}

static lsm_rc settle_merge(cursor *c) {
  lsm_rc rc = choose(c);
  while (rc == LSM_OK && c->cur != NULL) {
    rc = show(c, lsm_cursor_key(c->cur), lsm_cursor_value(c->cur));
    if (rc != LSM_NOTFOUND) return rc;
    rc = move_on(c);
    if (rc == LSM_OK) rc = choose(c);
  }
  if (rc == LSM_OK) end_scan(c);
  return rc;
}

static lsm_rc start_merge(cursor *c) {
  size_t n = c->search.nranges;
  c->merge = sqlite3_malloc64(n * sizeof(*c->merge));
  if (c->merge == NULL) return lsm_nomem();
  memset(c->merge, 0, n * sizeof(*c->merge));
  c->nmerge = n;
  while (c->left > 0) {
    const lsm_key_range *r = take_range(c);
    lsm_rc rc = open_range(c, r, &c->merge[c->left]);
    if (rc != LSM_OK) return rc;
  }
  return settle_merge(c);
}

/*----------------------------------------------------------------- offset */

#define ROWS_BETWEEN_LOOKS 4096

/* Passes over N rows of the one range there is. They are neither decoded nor looked up. */
static lsm_rc skip_rows(cursor *c, sqlite3_int64 n) {
  lsm_interrupt intr = lsm_conn_interrupt(table_of(c)->conn);
  lsm_rc rc = LSM_OK;
  if (n <= 0 || c->eof) return LSM_OK;
  while (n > 0 && rc == LSM_OK && lsm_cursor_valid(c->cur)) {
    uint64_t ahead = known_ahead(c), some = 1;
    if (ahead > 0) {
      some = ahead < (uint64_t)n ? ahead : (uint64_t)n;
      rc = lsm_cursor_pass(c->cur, some);
    } else {
      rc = move_on(c);
    }
    n -= (sqlite3_int64)some;
    if (rc == LSM_OK && n % ROWS_BETWEEN_LOOKS < (sqlite3_int64)some && intr.fn != NULL &&
        intr.fn(intr.arg)) {
      return lsm_fail(LSM_INTERRUPT, "interrupted");
    }
  }
  return rc == LSM_OK ? settle(c) : rc;
}

/*---------------------------------------------------------------- methods */

/* What the scan reads. */
static lsm_rc take_snapshot(cursor *c) {
  lsm_vtab *v = table_of(c);
  lsm_rc rc = lsm_conn_snapshot(c->cs, v->db_schema, &c->snap);
  if (rc != LSM_OK || !v->schema->opt.has_ttl) return rc;
  lsm_snapshot *then = c->snap;
  if (c->now == 0) c->now = lsm_conn_now(c->cs);
  rc = lsm_snapshot_at(then, c->now, &c->snap);
  lsm_snapshot_release(then);
  return rc;
}

/* Several rows may be found where the plan has promised one: no such promise is given
** again, and SQLite compiles the statement anew. Nothing has come of it yet. */
static int take_promise_back(cursor *c) {
  end_scan(c);
  table_of(c)->several_met = true;
  return SQLITE_SCHEMA;
}

/* The scan of a statement that is there to change more than rows (vtab.h). */
static int change_instead(cursor *c) {
  lsm_vtab *v = table_of(c);
  /* xCreate makes a table part of the transaction without an xBegin. */
  int code = c->cs->txn != NULL ? SQLITE_OK : lsm_vtab_join(v, false);
  if (code != SQLITE_OK) return code;
  if (v->range_delete != NULL) return lsm_vtab_delete_range(v);
  v->alter->done = true;
  return v->alter->make(v, v->alter);
}

int lsm_vtab_filter(sqlite3_vtab_cursor *cur, int idx_num, const char *idx_str, int argc,
                    sqlite3_value **argv) {
  cursor *c = (cursor *)cur;
  lsm_scan_plan p = lsm_plan_unpack(idx_num);
  (void)idx_str;
  end_scan(c);
  lsm_vtab *v = table_of(c);
  if (v->range_delete != NULL || (v->alter != NULL && !v->alter->done)) return change_instead(c);
  lsm_path path = lsm_plan_path(v, p.index);
  lsm_rc rc = take_snapshot(c);
  if (rc == LSM_OK) rc = prepare_entry(c, path.x);
  if (rc == LSM_OK) rc = lsm_search_build(&c->search, &path, &p, argv, c->snap);
  if (rc == LSM_OK && p.single && c->search.nranges > 1) return take_promise_back(c);
  c->left = rc == LSM_OK ? c->search.nranges : 0;
  c->reverse = p.reverse;
  c->fixed = p.neq;
  c->eof = c->left == 0;
  if (rc == LSM_OK && !c->eof) {
    if (p.merge && c->left > 1) {
      rc = start_merge(c);
    } else {
      rc = c->search.points ? look_up(c) : settle(c);
    }
    if (rc == LSM_OK && p.skip) rc = skip_rows(c, sqlite3_value_int64(argv[argc - 1]));
  }
  if (rc != LSM_OK || c->eof) end_scan(c);
  return lsm_vtab_fail(cur->pVtab, rc);
}

int lsm_vtab_next(sqlite3_vtab_cursor *cur) {
  cursor *c = (cursor *)cur;
  lsm_rc rc = LSM_OK;
  if (c->ahead == 0 && c->behind == 0 && !c->asked) c->ahead = known_ahead(c);
  if (c->ahead > 0) {
    c->ahead--;
    c->behind++;
    return SQLITE_OK;
  }
  c->asked = false;
  if (c->nmerge == 0 && c->search.points) {
    rc = look_up(c);
  } else {
    rc = leave(c);
    if (rc == LSM_OK) rc = c->nmerge > 0 ? settle_merge(c) : settle(c);
  }
  if (rc != LSM_OK) end_scan(c);
  return lsm_vtab_fail(cur->pVtab, rc);
}

int lsm_vtab_eof(sqlite3_vtab_cursor *cur) {
  return ((cursor *)cur)->eof;
}

int lsm_vtab_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int col) {
  cursor *c = (cursor *)cur;
  lsm_row *row;
  c->asked = true;
  if (LSM_LIKELY(c->behind == 0 && c->search.path.x == NULL)) {
    if (LSM_LIKELY(lsm_row_quick_result(&c->row, col, ctx))) return SQLITE_OK;
  }
  lsm_rc rc = c->behind == 0 ? LSM_OK : catch_up(c);
  if (rc == LSM_OK) rc = row_with(c, col, &row);
  /* SQLite keeps a static result past the next step (in max(), say): copies. */
  if (rc == LSM_OK) rc = lsm_row_result(row, col, ctx, false);
  return lsm_vtab_fail(cur->pVtab, rc);
}

int lsm_vtab_rowid(sqlite3_vtab_cursor *cur, sqlite_int64 *rowid) {
  cursor *c = (cursor *)cur;
  int64_t id = 0;
  c->asked = true;
  lsm_rc rc = c->behind == 0 ? LSM_OK : catch_up(c);
  if (rc == LSM_OK) rc = lsm_row_rowid(&c->row, &id);
  *rowid = id;
  return lsm_vtab_fail(cur->pVtab, rc);
}
