#!/usr/bin/env bash
# Measures this project and, where Python has them, other engines by turns with it; prints Markdown.
# usage: all.sh BIN [--quick]     BIN holds tfq8, turns and kernels.test
# TFQ8_PEERS_DATA names a folder of a larger translation model (see README.md); testdata/numbers unless given.
set -euo pipefail
bin=$(cd "$1" && pwd) quick=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=${TFQ8_PEERS_DATA:-$root/testdata/numbers}
work=$root/.cache/peers-work
mkdir -p "$work"

say() { printf '\n### %s\n' "$*"; }

if [ "$quick" = --quick ]; then
  rounds=3 own=(--runs 3 --limit 300)
  products=(--kn 512x512,2048x2048 --m 1,4,16) encoder=(--batch 1 --threads 1) translate=(--quick --limit 300 --tensorflow-limit 64)
  base=(--quick --sentences 32)
else
  rounds=5 own=(--runs 5 --sweep streams)
  products=() encoder=() translate=() base=()
fi

say "This project: time by step and over the floor"
graph=$(find "$data" -maxdepth 1 -name '*.pb' ! -name 'case_*' | head -n 1)
source=$(find "$data" -maxdepth 1 -name 'test*.en' | head -n 1)
"$bin/tfq8" convert "$graph" -o "$work/own.pb" --target tfq8 --outputs translations --outputs scores --spm "$data/spm.model" \
  --calibrate "$data/calibration.en" -q >/dev/null
"$bin/tfq8" bench "$graph" "$work/own.pb" --outputs translations --spm "$data/spm.model" --source "$source" -q "${own[@]}"

python=$(sh "$here/setup.sh" "$root/.cache/peers")
if [ -z "$python" ]; then
  exit 0 # setup.sh said why
fi
export TF_CPP_MIN_LOG_LEVEL=3 PYTHONDONTWRITEBYTECODE=1

say "Matrix products beside ONNX Runtime, one thread"
"$python" "$here/products.py" "$bin/kernels.test" --rounds "$rounds" ${products[@]+"${products[@]}"}
say "Translation"
"$python" "$here/translate.py" --bin "$bin" --data "$data" --rounds "$rounds" ${translate[@]+"${translate[@]}"}
say "A base-size translation model"
"$python" "$here/base.py" --bin "$bin" --rounds "$rounds" ${base[@]+"${base[@]}"}
say "An encoder of BERT-base's shape"
"$python" "$here/encoder.py" --bin "$bin" --rounds "$rounds" ${encoder[@]+"${encoder[@]}"}
