package kernels

import (
	"os"
	"testing"
)

// TestBestTier checks the dispatch on the CPU model that TFQ8_BEST_TIER was told for; see testdata/tiers.sh.
func TestBestTier(t *testing.T) {
	if want := os.Getenv("TFQ8_BEST_TIER"); want != "" && Best().String() != want {
		t.Errorf("Best() = %s, want %s", Best(), want)
	}
	for tier := Portable; tier <= AVX512VNNI; tier++ {
		got, err := ParseTier(tier.String())
		if Supported(tier) != (err == nil) || (err == nil && got != tier) {
			t.Errorf("ParseTier(%q) = %v, %v; supported: %v", tier.String(), got, err, Supported(tier))
		}
	}
	if _, err := ParseTier("avx3"); err == nil {
		t.Error("ParseTier accepted a tier that does not exist")
	}
}
