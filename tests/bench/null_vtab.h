/* null_vtab.h: registers the module `blackhole`: key and value go in, nothing stays. */
#ifndef TESTS_NULL_VTAB_H
#define TESTS_NULL_VTAB_H

#include <sqlite3.h>

int null_vtab_register(sqlite3 *db);

#endif
