#!/usr/bin/env bash
# check_symbols.sh EXTENSION: the shared library exports its entry point and
# nothing else, and needs nothing of SQLite at link time.
so=$1
failed=0
entry=sqlite3_lsmvtab_init
case $so in
*.dylib) exported=$(nm -gU "$so" | awk '{sub(/^_/, "", $NF); print $NF}') ;;
*) exported=$(nm -D --defined-only "$so" | awk '$2 != "w" {print $NF}' | grep -vE '^(_init|_fini|__bss_start|_edata|_end)$') ;;
esac
if [ "$exported" != "$entry" ]; then
  echo "$so should export only $entry but exports:" $exported
  failed=$((failed + 1))
fi
if used=$(nm -D --undefined-only "$so" 2>/dev/null | grep -o 'sqlite3_.*'); then
  echo "$so calls SQLite other than through the table it is given:" $used
  failed=$((failed + 1))
fi
[ $failed -eq 0 ] && echo "2 checks" || echo "2 checks, $failed failed"
exit $((failed > 0))
