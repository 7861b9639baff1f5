/* schema_parser.h: what schema.c and schema_options.c share; for them alone.
** After a failure (rc is not SQLITE_OK) all of these do nothing. */
#ifndef LSM_EXT_SCHEMA_PARSER_H
#define LSM_EXT_SCHEMA_PARSER_H

#include "schema.h"
#include "tokenize.h"

/* What a column definition says that lsm_column has no place for. */
typedef struct lsm_column_extra {
  char *default_sql; /* NULL: none, or NULL */
  bool unique;
} lsm_column_extra;

typedef struct lsm_parser {
  sqlite3 *db;
  lsm_schema *schema; /* being made; owns all memory */
  lsm_column_extra *extra;
  const char *arg; /* the whole argument, for messages */
  lsm_token t;     /* the token not yet taken */
  bool has_pk;
  bool pk_of_column; /* PRIMARY KEY in the definition of pk_column */
  bool pk_desc;
  int pk_column;
  lsm_key_part *pk; /* PRIMARY KEY (...) */
  int npk;
  char *ttl_column; /* name */
  bool adding;      /* the columns read now are added ones: */
  int first_added;  /* from this one on */
  int rc;           /* SQLITE_*; the first failure stays */
  char *err;        /* its message, from sqlite3_mprintf() */
} lsm_parser;

void lsm_parser_fail(lsm_parser *ps, const char *fmt, ...);
void lsm_parser_syntax(lsm_parser *ps);           /* fails at the current token */
void *lsm_parser_alloc(lsm_parser *ps, size_t n); /* zeroed; NULL after a failure */
void lsm_parser_next(lsm_parser *ps);
bool lsm_parser_accept(lsm_parser *ps, char c);
bool lsm_parser_accept_word(lsm_parser *ps, const char *word);
char *lsm_parser_unquote(lsm_parser *ps); /* takes the current token */

/* schema_options.c: the current argument is name = value. */
void lsm_parser_option(lsm_parser *ps);
void lsm_parser_finish_options(lsm_parser *ps);

#endif
