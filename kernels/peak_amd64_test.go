//go:build !noasm

package kernels

import "time"

// peakKind is an instruction mix whose speed bounds a product.
type peakKind int

const (
	fmaPeak peakKind = iota
	int8Peak
	narrowPeak
)

// peakOf measures the operations per nanosecond of a loop on registers alone.
func peakOf(tier Tier, kind peakKind) float64 {
	f, ops := peakF32AVX2, 12*8*2
	switch {
	case tier == AVX512VNNI && kind == fmaPeak:
		f, ops = peakF32AVX512, 24*16*2
	case tier == AVX512VNNI:
		f, ops = peakS8VNNI, 24*64*2
	case kind == int8Peak:
		f, ops = peakS8AVX2, 10*16*2
	case kind == narrowPeak:
		f, ops = peakS8NarrowAVX2, 10*32*2
	}
	best := time.Duration(1 << 62)
	const rounds = 250
	for range 2000 {
		start := time.Now()
		f(rounds)
		best = min(best, time.Since(start))
	}
	return float64(4*rounds*ops) / float64(best.Nanoseconds())
}
