#!/usr/bin/env bash
# Makes a SavedModel of 2 GiB of random weights (or as many as the third argument says) and prints the peak memory of running it
# as a share of its weights. Exit code 1: more than 1.2 times.
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
"$tfq8" run "$work/model" --feed 'ids=[1, 2, 3]' --fetch y -o "$work/y.npy" &
pid=$!
peak=0
while kill -0 "$pid" 2>/dev/null; do
  now=$(awk '/VmHWM/ {print $2}' "/proc/$pid/status" 2>/dev/null || true)
  [ -n "${now:-}" ] && peak=$now
  sleep 0.02
done
wait "$pid"
awk -v p="$peak" -v w="$weights" 'BEGIN {
  x = p * 1024 / w
  printf "weights %.2f GB, peak memory %.2f GB, %.2f times\n", w / 1e9, p * 1024 / 1e9, x
  exit x > 1.2
}'
