/* tokenize.c: SQL text as tokens. One function a class of token; each returns
** the token's length, 0 when the text is not one. */
#include "tokenize.h"

#include <string.h>

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
static bool is_hex(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

/* Bytes of UTF-8 beyond ASCII are letters to SQLite. */
static bool starts_word(char c) {
  return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}
static bool in_word(char c) {
  return starts_word(c) || is_digit(c) || c == '$';
}

/* An open block comment ends with the text, as in SQLite. */
static const char *skip_blanks(const char *p) {
  for (;;) {
    if (is_space(*p)) {
      p++;
    } else if (p[0] == '-' && p[1] == '-') {
      while (*p != '\0' && *p != '\n') p++;
    } else if (p[0] == '/' && p[1] == '*') {
      const char *end = strstr(p + 2, "*/");
      p = end == NULL ? p + strlen(p) : end + 2;
    } else {
      return p;
    }
  }
}

/* A quote is written twice inside its own quotes; ] cannot be written. */
static size_t quoted_size(const char *p) {
  char close = *p == '[' ? ']' : *p;
  for (size_t i = 1; p[i] != '\0'; i++) {
    if (p[i] != close) continue;
    if (close == ']' || p[i + 1] != close) return i + 1;
    i++;
  }
  return 0;
}

static size_t digits(const char *p) {
  size_t n = 0;
  while (is_digit(p[n])) n++;
  return n;
}

static size_t number_size(const char *p) {
  size_t n = 0;
  if (p[0] == '0' && lower(p[1]) == 'x' && is_hex(p[2])) {
    n = 3;
    while (is_hex(p[n])) n++;
  } else {
    n = digits(p);
    if (p[n] == '.') n += 1 + digits(p + n + 1);
    if (lower(p[n]) == 'e') {
      size_t sign = p[n + 1] == '+' || p[n + 1] == '-';
      size_t exponent = digits(p + n + 1 + sign);
      if (exponent > 0) n += 1 + sign + exponent;
    }
  }
  return in_word(p[n]) ? 0 : n;
}

static size_t blob_size(const char *p) {
  size_t n = 2;
  while (is_hex(p[n])) n++;
  return p[n] == '\'' && n % 2 == 0 ? n + 1 : 0;
}

static size_t word_size(const char *p) {
  size_t n = 0;
  while (in_word(p[n])) n++;
  return n;
}

lsm_token lsm_token_at(const char *text) {
  const char *p = skip_blanks(text);
  lsm_token t = {LSM_TK_PUNCT, p, 1};
  if (*p == '\0') {
    t.kind = LSM_TK_END;
    t.size = 0;
    return t;
  }
  if (*p == '\'') {
    t.kind = LSM_TK_STRING;
    t.size = quoted_size(p);
  } else if (*p == '"' || *p == '`' || *p == '[') {
    t.kind = LSM_TK_QUOTED;
    t.size = quoted_size(p);
  } else if (is_digit(*p) || (*p == '.' && is_digit(p[1]))) {
    t.kind = LSM_TK_NUMBER;
    t.size = number_size(p);
  } else if (lower(*p) == 'x' && p[1] == '\'') {
    t.kind = LSM_TK_BLOB;
    t.size = blob_size(p);
  } else if (starts_word(*p)) {
    t.kind = LSM_TK_WORD;
    t.size = word_size(p);
  }
  if (t.size == 0) {
    t.kind = LSM_TK_ILLEGAL;
    t.size = strlen(p);
  }
  return t;
}

bool lsm_token_is_word(const lsm_token *t, const char *keyword) {
  if (t->kind != LSM_TK_WORD || strlen(keyword) != t->size) return false;
  for (size_t i = 0; i < t->size; i++) {
    if (lower(t->text[i]) != lower(keyword[i])) return false;
  }
  return true;
}

bool lsm_token_is_punct(const lsm_token *t, char c) {
  return t->kind == LSM_TK_PUNCT && *t->text == c;
}

bool lsm_token_is_name(const lsm_token *t) {
  return t->kind == LSM_TK_WORD || t->kind == LSM_TK_QUOTED || t->kind == LSM_TK_STRING;
}

void lsm_token_unquote(const lsm_token *t, char *out) {
  if (t->kind != LSM_TK_QUOTED && t->kind != LSM_TK_STRING) {
    memcpy(out, t->text, t->size);
    out[t->size] = '\0';
    return;
  }
  char quote = *t->text;
  for (size_t i = 1; i + 1 < t->size; i++) {
    *out++ = t->text[i];
    if (t->text[i] == quote) i++; /* the second of a pair; never in [] */
  }
  *out = '\0';
}
