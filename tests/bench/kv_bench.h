/* kv_bench.h: the rivals of kv_bench; one that is not installed has no open(). */
#ifndef TESTS_KV_BENCH_H
#define TESTS_KV_BENCH_H

#include "worker.h"

extern const rival kv_lsm, kv_rocksdb, kv_leveldb;

#endif
