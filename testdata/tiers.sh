#!/usr/bin/env bash
# Runs the kernel tests so that every CPU tier is covered. Tiers that this CPU lacks run in an emulator, if one is beside the
# project; a tier that can be covered in neither way is named, and fails the run when CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."
emulator=$(cd .. && pwd)/shared/tools/avx512/run.sh
has() { grep -qw "$1" /proc/cpuinfo 2>/dev/null; }

if has avx512_vnni && has avx512vl; then
  echo "tiers: portable, avx2, avx512vnni natively"
  TFQ8_REQUIRE_TIER=avx512vnni go test -count=1 ./kernels
else
  if has avx2; then
    echo "tiers: portable, avx2 natively"
    TFQ8_REQUIRE_TIER=avx2 go test -count=1 ./kernels
  fi
  if [ -x "$emulator" ]; then
    echo "tiers: avx512vnni in the emulator"
    TFQ8_REQUIRE_TIER=avx512vnni go test -count=1 -short -exec "$emulator" ./kernels
  else
    echo "tiers: avx512vnni not covered: neither this CPU nor an emulator has it"
    [ -z "${CI:-}" ] || exit 1
  fi
fi
# A CPU with AVX-512 but without VNNI must fall back to AVX2, one without AVX2 to portable code.
if [ -x "$emulator" ] && [ -n "${TFQ8_EMULATE:-}" ]; then
  for model in corei7_skylake_x:avx2 corei7_sandy_bridge_2600k:portable; do
    echo "tiers: dispatch on ${model%:*}"
    TFQ8_BEST_TIER=${model#*:} go test -count=1 -run TestBestTier -exec "$emulator --cpu ${model%:*}" ./kernels
  done
fi
