/* sql.h: short words for tests through SQL: connections that have the extension, statements that
** must do. Failures end the test (Check). */
#ifndef SQL_H
#define SQL_H

#include <check.h>
#include <sqlite3.h>

/* The fixture: a directory that goes with all that is in it. */
extern char sql_dir[64];
void sql_setup(void);
void sql_teardown(void);

/* NAME in the directory, as a path; the caller's buffer. */
#define SQL_PATH 128
void sql_path(char path[SQL_PATH], const char *name);

/* A connection to the file of that path that waits so long for others. */
sqlite3 *sql_open(const char *path, int timeout_ms);
/* All statements are finalized. */
void sql_close(sqlite3 *db);

void sql_run(sqlite3 *db, const char *sql);
/* Fails with CODE and a message that has WORDS in it. */
void sql_fails(sqlite3 *db, const char *sql, int code, const char *words);

/* The first column of the first row, which must be there: as a number; as text that must be WANT
** ("NULL" for NULL). */
sqlite3_int64 sql_number(sqlite3 *db, const char *sql);
void sql_gives(sqlite3 *db, const char *sql, const char *want);

sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql);

/* Removes a directory and all in it. */
void sql_remove(const char *dir);

#endif
