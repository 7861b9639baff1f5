/* tokenize.h: SQL text as tokens, by SQLite's own rules, as far as column
** definitions and options need them. Tokens borrow from the text. */
#ifndef LSM_EXT_TOKENIZE_H
#define LSM_EXT_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum lsm_token_kind {
  LSM_TK_END,
  LSM_TK_WORD,   /* a name or keyword without quotes */
  LSM_TK_QUOTED, /* "name", `name` or [name] */
  LSM_TK_STRING, /* 'text' */
  LSM_TK_BLOB,   /* x'0123' */
  LSM_TK_NUMBER, /* 12, 1.5e3, 0x10; never signed */
  LSM_TK_PUNCT,  /* any other single character */
  LSM_TK_ILLEGAL /* open quote, malformed number or blob: rest of the text */
} lsm_token_kind;

typedef struct lsm_token {
  lsm_token_kind kind;
  const char *text;
  size_t size;
} lsm_token;

/* The token that starts at or after TEXT; comments and white space are passed
** over. The next one starts at .text + .size. */
lsm_token lsm_token_at(const char *text);

/* WORD and equal to KEYWORD but for ASCII case. */
bool lsm_token_is_word(const lsm_token *t, const char *keyword);
bool lsm_token_is_punct(const lsm_token *t, char c);

/* WORD, QUOTED or STRING: what SQLite takes for a name. */
bool lsm_token_is_name(const lsm_token *t);

/* Without its quotes, zero-terminated; OUT has room for t->size + 1. */
void lsm_token_unquote(const lsm_token *t, char *out);

#endif
