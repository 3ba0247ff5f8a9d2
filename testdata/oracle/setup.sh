#!/bin/sh
# Makes the virtual environment that the oracle runs in and prints its Python.
#
#   python=$(sh testdata/oracle/setup.sh .cache/oracle)
#
# Prints nothing, and says why on standard error, where there is no suitable Python or pip cannot install: the caller
# then skips. ORACLE_PYTHON names a Python that has the packages already.
set -u
here=$(dirname "$0")
venv=${1:?usage: setup.sh VENV}
imports='import numpy, sacrebleu, sentencepiece, tensorflow'

skip() {
	echo "oracle: skipped: $1" >&2
	exit 0
}

if [ -n "${ORACLE_PYTHON:-}" ]; then
	"$ORACLE_PYTHON" -c "$imports" 2>/dev/null || skip "ORACLE_PYTHON=$ORACLE_PYTHON lacks a package of $here/requirements.txt"
	echo "$ORACLE_PYTHON"
	exit 0
fi

python=$venv/bin/python
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
	command -v python3 >/dev/null || skip "no python3 on this machine"
	python3 -m venv "$venv" >/dev/null 2>&1 || skip "python3 -m venv $venv failed (is python3-venv installed?)"
	"$python" -m pip install --quiet --disable-pip-version-check --timeout 20 --retries 1 -r "$here/requirements.txt" >"$venv/pip.log" 2>&1 ||
		skip "pip could not install $here/requirements.txt: $(tail -n 1 "$venv/pip.log")"
	cp "$here/requirements.txt" "$venv/installed.txt"
fi
"$python" -c "$imports" 2>/dev/null || skip "$python cannot import TensorFlow"
echo "$python"
