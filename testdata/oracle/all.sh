#!/usr/bin/env bash
# Compares graphs that tfq8 emits with real TensorFlow: the embedded model, and larger ones and exports of other libraries
# where they lie beside the project. usage: all.sh TFQ8 PYTHON
# ORACLE_LINES bounds the sentences that are translated with the large model.
set -euo pipefail
tfq8=$1 python=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/testdata/oracle
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# forms MODEL CASE...: what freeze and convert write, as TensorFlow loads it.
forms() {
  "$python" "$here/oracle.py" forms --tfq8 "$tfq8" "$@" 2>"$work/stderr.txt" && return
  code=$?
  grep '^oracle:' "$work/stderr.txt" >&2 || cat "$work/stderr.txt" >&2
  [ "$code" = 1 ] || exit 2
  failed=1
}

numbers=$root/testdata/numbers
"$here/check.sh" "$tfq8" "$python" "$work/numbers" "$numbers/numbers.pb" "$numbers/spm.model" \
  "$numbers/calibration" "$numbers/test" || failed=$?
echo "== what freeze and convert write, in TensorFlow"
forms "$numbers/numbers.pb" "$numbers"/case_*.pb

zoo=$root/../shared/fixtures/zoo
for model in bert_tf1_classifier/saved_model hf_gpt2_generate_xla/saved_model hf_marian_generate_beam/saved_model \
  keras3_mha_encoder/saved_model onmt_transformer_beam/saved_model tf1_cond/frozen.pb; do
  if [ -e "$zoo/$model" ]; then forms "$zoo/$model" "$zoo/${model%/*}"/case_*.pb; fi
done

fixture=$root/../shared/fixtures/nmt
if [ -f "$fixture/nmt_v1.pb" ]; then
  forms "$fixture/nmt_v1.pb" "$fixture"/case_*.pb
  "$here/check.sh" "$tfq8" "$python" "$work/nmt" "$fixture/nmt_v1.pb" "$fixture/spm.model" \
    "$fixture/calibration" "$fixture/test_2016" ${ORACLE_LINES:+"$ORACLE_LINES"} || failed=$?
else
  echo "oracle: no large fixture beside the project, the embedded model alone was compared"
fi
exit "$failed"
