#!/bin/sh
# Makes the virtual environment that the other engines run in and prints its Python.
#
#   python=$(sh testdata/peers/setup.sh .cache/peers)
#
# Prints nothing, and says why on standard error, where there is no suitable Python or pip cannot install: the caller then
# measures this project alone. PEERS_PYTHON names a Python that has the packages already.
set -u
here=$(dirname "$0")
venv=${1:?usage: setup.sh VENV}
modules='ctranslate2 numpy onnx onnxruntime openvino sacrebleu sentencepiece sympy tensorflow'

skip() {
	echo "peers: skipped: $1" >&2
	exit 0
}

# Finding a module is fast, importing TensorFlow is not.
complete() {
	"$1" -c "import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in '$modules'.split()))" 2>/dev/null
}

if [ -n "${PEERS_PYTHON:-}" ]; then
	complete "$PEERS_PYTHON" || skip "PEERS_PYTHON=$PEERS_PYTHON lacks a package of $here/requirements.txt"
	echo "$PEERS_PYTHON"
	exit 0
fi

python=$venv/bin/python
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
	command -v python3 >/dev/null || skip "no python3 on this machine"
	echo "peers: installing the engines of $here/requirements.txt in $venv" >&2
	python3 -m venv "$venv" >/dev/null 2>&1 || skip "python3 -m venv $venv failed (is python3-venv installed?)"
	"$python" -m pip install --quiet --disable-pip-version-check --timeout 20 --retries 1 -r "$here/requirements.txt" \
		>"$venv/pip.log" 2>&1 || skip "pip could not install $here/requirements.txt: $(tail -n 1 "$venv/pip.log")"
	cp "$here/requirements.txt" "$venv/installed.txt"
fi
complete "$python" || skip "$python lacks a package of $here/requirements.txt"
echo "$python"
