#!/usr/bin/env bash
# Makes a SavedModel of 2 GiB of random weights (or as many as the third argument says) and prints the peak memory of running
# and of converting it as a share of its weights. Exit code 1: more than 1.2 times for a run, or 2.5 times for convert.
#
#   measure.sh TFQ8 WORKDIR [GIB]
set -euo pipefail
tfq8=$1 work=$2 gib=${3:-2}
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"
if [ ! -d "$work/model" ]; then
  (cd "$root" && go run ./testdata/large -o "$work/model" -gib "$gib")
fi
weights=$(stat -c %s "$work"/model/variables/variables.data-*)
failed=0

# measure MOST COMMAND...: the peak memory of a command, at most MOST times the weights.
measure() {
  local most=$1 peak=0 now pid
  shift
  "$@" >"$work/out.txt" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null || true)
    [ -n "${now:-}" ] && peak=$now
    sleep 0.02
  done
  wait "$pid"
  awk -v verb="$2" -v p="$peak" -v w="$weights" -v most="$most" 'BEGIN {
    x = p * 1024 / w
    printf "%s: weights %.2f GB, peak memory %.2f GB, %.2f times\n", verb, w / 1e9, p * 1024 / 1e9, x
    exit x > most
  }' || failed=1
}

echo '{"ids": [1, 2, 3]}' >"$work/ids.jsonl"
measure 1.2 "$tfq8" run "$work/model" --feed 'ids=[1, 2, 3]' --fetch y -o "$work/y.npy"
measure 2.5 "$tfq8" convert "$work/model" -o "$work/int8" --calibrate "$work/ids.jsonl" --outputs y -q
exit "$failed"
