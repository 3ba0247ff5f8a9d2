#!/bin/sh
# Converts a model with tfq8 and compares the emitted graph in real TensorFlow with ours, on the same feeds.
#
#   check.sh TFQ8 PYTHON WORKDIR MODEL.pb SPM CALIBRATION TEST [LINES [PAIRS]]
#
# CALIBRATION and TEST are paths without .en and .de; LINES of TEST.en are translated (all if not given), logits are
# compared on the first PAIRS pairs (96). Wants every quantized product within 1e-6 relative (TensorFlow's of exact
# arithmetic, ours of TensorFlow's), logits within 1 % relative L2, and 98 % of the translations equal.
# Exit code: 0 all of it, 1 not, 2 a command failed.
set -eu
here=$(dirname "$0")
[ $# -ge 7 ] || {
	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
tfq8=$1 python=$2 work=$3 model=$4 spm=$5 calibration=$6 text=$7 lines=${8:-} pairs=${9:-96}
mkdir -p "$work"
rm -rf "$work"/feeds-* "$work/cases"
failed=0

oracle() {
	"$python" "$here/oracle.py" "$@" 2>"$work/stderr.txt" && return
	code=$?
	grep -v -E 'absl::InitializeLog|port\.cc|cpu_feature_guard|rebuild TensorFlow' "$work/stderr.txt" >&2 || true
	[ "$code" = 1 ] || exit 2
	failed=1
}

# Without VNNI TensorFlow adds pairs of products in 16 bits: weights within 64 keep those sums from saturating.
reduce=
if [ -r /proc/cpuinfo ] && ! grep -q -E 'avx512_vnni|avx_vnni' /proc/cpuinfo; then
	reduce=--reduce-range
	echo "this CPU has no VNNI: converting with --reduce-range"
fi
echo "== convert $model"
"$tfq8" convert "$model" -o "$work/int8.pb" --target tensorflow $reduce --spm "$spm" \
	--calibrate "source=$calibration.en" --calibrate "target=$calibration.de" >"$work/convert.txt" || exit 2

echo "== logits: ours against TensorFlow's, same INT8 graph"
oracle feeds --spm "$spm" --source "$text.en" --target "$text.de" --limit "$pairs" -o "$work/feeds"
feeds= ours=
for batch in "$work"/feeds-*.npz; do
	stem=${batch%.npz}
	"$tfq8" run "$work/int8.pb" --feed "source=$stem.source.npy" --feed "target=$stem.target.npy" --fetch logits \
		-o "$stem.ours.npz" >"$work/run.txt" || exit 2
	feeds="$feeds $batch" ours="$ours $stem.ours.npz"
done
# shellcheck disable=SC2086 # lists of file names without spaces
oracle compare "$model" "$work/int8.pb" --feeds $feeds --ours $ours

echo "== products: TensorFlow's against exact arithmetic on equal codes"
# shellcheck disable=SC2086
set -- $feeds
oracle products "$work/int8.pb" --feeds "$1" -o "$work/products.npz" --cases "$work/cases"

echo "== products: ours against TensorFlow's on the same codes"
code=0
"$tfq8" check "$work"/cases/*.pb >"$work/check.txt" || code=$?
tail -n 1 "$work/check.txt"
[ "$code" -le 1 ] || exit 2
[ "$code" = 0 ] || failed=1

echo "== translations: ours against TensorFlow's, same INT8 graph"
if [ -n "$lines" ]; then
	head -n "$lines" "$text.en" >"$work/source.txt"
else
	cp "$text.en" "$work/source.txt"
fi
"$tfq8" translate "$work/int8.pb" --spm "$spm" <"$work/source.txt" >"$work/ours.txt" || exit 2
count=$(wc -l <"$work/source.txt")
oracle translate "$work/int8.pb" --spm "$spm" --expect "$work/ours.txt" --least $((count * 98 / 100)) \
	<"$work/source.txt" >"$work/tensorflow.txt"
tail -n 1 "$work/stderr.txt"
[ "$failed" = 0 ] && echo "oracle: agreed" || echo "oracle: differs"
exit "$failed"
