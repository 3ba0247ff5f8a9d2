#!/usr/bin/env bash
# Runs the kernel tests so that every CPU tier is covered. Tiers that this CPU lacks run in an emulator, if one is beside the
# project; a tier that can be covered in neither way is named, and fails the run when CI is set.
#
# Emulated runs take the tests of integer products alone (-short and the names below): what else there is of such a tier is
# the code of one that runs natively, and an emulator takes a minute for what a CPU does in a second.
set -euo pipefail
cd "$(dirname "$0")/.."
emulator=$(cd .. && pwd)/shared/tools/avx512/run.sh
products='TestBestTier|MatMulInt|TestCodes|RowsAloneInt8|TestQuantizeTiers'
has() { local f; for f; do grep -qw "$f" /proc/cpuinfo 2>/dev/null || return 1; done; }

# emulate TIER [MODEL]: the tests of TIER on a CPU model that has it.
emulate() {
  if [ ! -x "$emulator" ]; then
    echo "tiers: $1 not covered: neither this CPU nor an emulator has it"
    [ -z "${CI:-}" ] || exit 1
    return 0
  fi
  echo "tiers: $1 in the emulator"
  local tests=$products
  [ "$1" != avx512vnni ] || tests='TestBestTier|MatMul|TestCodes|TestRowsAlone|TestQuantize|TestTiers|TestRows'
  TFQ8_REQUIRE_TIER=$1 go test -count=1 -short -run "$tests" -exec "$emulator${2:+ --cpu $2}" ./kernels
}

native=portable
has avx2 fma && native="$native avx2"
has avx2 fma avx_vnni && native="$native avxvnni"
has avx512_vnni avx512vl avx512bw avx512dq && native="$native avx512vnni"
echo "tiers: $native natively"
TFQ8_REQUIRE_TIER=${native##* } go test -count=1 ./kernels
case " $native " in *" avxvnni "*) ;; *) emulate avxvnni arrow_lake ;; esac
case " $native " in *" avx512vnni "*) ;; *) emulate avx512vnni ;; esac
# A CPU with AVX-512 but without VNNI must fall back to AVX2, one without AVX2 to portable code.
if [ -x "$emulator" ] && [ -n "${TFQ8_EMULATE:-}" ]; then
  for model in sapphire_rapids:avx512vnni tigerlake:avx512vnni arrow_lake:avxvnni corei7_skylake_x:avx2 \
    corei7_haswell_4770:avx2 corei7_sandy_bridge_2600k:portable; do
    echo "tiers: dispatch on ${model%:*}"
    TFQ8_BEST_TIER=${model#*:} go test -count=1 -run TestBestTier -exec "$emulator --cpu ${model%:*}" ./kernels
  done
fi
