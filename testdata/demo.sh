#!/usr/bin/env bash
# Converts the embedded model, prints what changed, and compares FP32 with INT8 in accuracy and speed.
# usage: demo.sh TFQ8 NUMBERS [--speed]     --speed prints the comparison alone
set -euo pipefail
tfq8=$1 data=$2 speed=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

for target in tensorflow tfq8; do
  quiet=-q
  [ "$target$speed" = tfq8 ] && quiet= && say "convert: English number words to German ones, for this interpreter"
  # shellcheck disable=SC2086
  "$tfq8" convert "$data/numbers.pb" -o "$work/$target.pb" --target "$target" --outputs translations --outputs scores \
    --calibrate "$data/calibration.en" --spm "$data/spm.model" $quiet >"$work/$target.txt"
  [ -n "$quiet" ] || cat "$work/$target.txt"
done

if [ -z "$speed" ]; then
  say "what changed in the graph, by pass"
  "$tfq8" diff "$data/numbers.pb" "$work/tfq8.pb" >"$work/diff.txt" || test $? = 1
  awk '/^(added|removed|renamed|changed|functions)/ { exit } { print }' "$work/diff.txt"
fi

say "500 held-out numbers: right answers, and the best speed of 5 alternating runs"
models="FP32:$data/numbers.pb INT8_tensorflow:$work/tensorflow.pb INT8_tfq8:$work/tfq8.pb"
for _ in 1 2 3 4 5; do
  for run in $models; do
    "$tfq8" eval "${run#*:}" --spm "$data/spm.model" --source "$data/test.en" --reference "$data/test.de" --json -q |
      sed -n 's/.*"sentences_per_second": *\([0-9]*\).*/\1/p' >>"$work/${run%%:*}.rates"
  done
done
lines=$(wc -l <"$data/test.en")
for run in $models; do
  name=${run%%:*} model=${run#*:}
  "$tfq8" translate "$model" --spm "$data/spm.model" -q <"$data/test.en" >"$work/$name.de"
  right=$(paste -d '\n' "$work/$name.de" "$data/test.de" | awk 'NR % 2 { got = $0; next } got == $0 { n++ } END { print n + 0 }')
  rate=$(sort -n "$work/$name.rates" | tail -n 1)
  printf '%-16s %4d of %d right %8s numbers a second %9s bytes\n' "$name" "$right" "$lines" "$rate" "$(wc -c <"$model")"
done
