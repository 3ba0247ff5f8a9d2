#!/usr/bin/env bash
# Compares graphs that tfq8 emits with real TensorFlow: the embedded model, and the large fixture where it lies beside the
# project. usage: all.sh TFQ8 PYTHON
set -euo pipefail
tfq8=$1 python=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

numbers=$root/testdata/numbers
"$root/testdata/oracle/check.sh" "$tfq8" "$python" "$work/numbers" "$numbers/numbers.pb" "$numbers/spm.model" \
  "$numbers/calibration" "$numbers/test"

fixture=$root/../shared/fixtures/nmt
if [ -f "$fixture/nmt_v1.pb" ]; then
  "$root/testdata/oracle/check.sh" "$tfq8" "$python" "$work/nmt" "$fixture/nmt_v1.pb" "$fixture/spm.model" \
    "$fixture/calibration" "$fixture/test_2016"
else
  echo "oracle: no large fixture beside the project, the embedded model alone was compared"
fi
