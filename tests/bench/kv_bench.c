/* kv_bench.c: the rivals without SQL, as a worker of `bench`: lsm.h, and RocksDB
** and LevelDB through their C interfaces where they are installed (build/rivals.h).
**
** All write a batch of 1,000 as one, with a log, not synced (synced for
** one-row-full); filters of 10 bits a key; compression as each has it by default.
*/
#define _GNU_SOURCE
#include "kv_bench.h"

static const rival *const all[] = {&kv_lsm, &kv_rocksdb, &kv_leveldb};

int main(int argc, char **argv) {
  rival installed[3];
  int n = 0;
  for (int i = 0; i < 3; i++) {
    if (all[i]->open != NULL) installed[n++] = *all[i];
  }
  return worker_main(argc, argv, installed, n);
}
