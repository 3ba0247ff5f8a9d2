package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// benchSizes are the products of Transformers of width 256 and 512.
var benchSizes = []struct{ k, n int }{
	{256, 256}, {512, 512}, {256, 1024}, {1024, 256}, {256, 4000}, {512, 2048}, {2048, 512},
}

var benchRows = []int{1, 4, 16, 64, 128}

// fastest times f, over and over for as long as b asks, and returns the shortest time of one call: on a
// machine with other work the mean says little. Short calls are timed several at a time.
func fastest(b *testing.B, f func()) time.Duration {
	f()
	start := time.Now()
	f()
	batch := max(1, int(20*time.Microsecond/max(1, time.Since(start))))
	best := time.Duration(1 << 62)
	for b.Loop() {
		for range max(1, 400/batch) {
			start := time.Now()
			for range batch {
				f()
			}
			best = min(best, time.Since(start)/time.Duration(batch))
		}
	}
	return best
}

// report writes the speed of a product and its share of the peak, in operations (a multiply-add is two).
func report(b *testing.B, unit string, ops int, best time.Duration, peak float64) {
	speed := float64(ops) / float64(best.Nanoseconds())
	b.ReportMetric(speed, unit)
	b.ReportMetric(100*speed/peak, "%peak")
	b.ReportMetric(float64(best.Nanoseconds()), "min-ns")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkMatMulF32(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		s := For(tier)
		for _, size := range benchSizes {
			for _, m := range benchRows {
				k, n := size.k, size.n
				b.Run(fmt.Sprintf("tier=%s/m=%d/k=%d/n=%d", tier, m, k, n), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					a, bias := aligned[float32](m*k), randomF32(r, n, false)
					copy(a, randomF32(r, m*k, false))
					w := s.PackF32(randomF32(r, k*n, false), k, n, n, false)
					dst := aligned[float32](m * n)
					peak := peakOf(tier, fmaPeak)
					best := fastest(b, func() { s.MatMulF32(dst, n, a, k, m, w, Epilogue{Bias: bias, Act: ActRelu}) })
					report(b, "GFLOP/s", 2*m*n*k, best, peak)
				})
			}
		}
	}
}

// BenchmarkMatMulInt8 times a dense layer from float32 to float32: quantization, product, scales, bias.
func BenchmarkMatMulInt8(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, weights := range []int{127, 64} {
			if weights == 64 && tier != AVX2 {
				continue // the same routine
			}
			for _, size := range benchSizes {
				for _, m := range benchRows {
					name := fmt.Sprintf("tier=%s/weights=%d/m=%d/k=%d/n=%d", tier, weights, m, size.k, size.n)
					b.Run(name, func(b *testing.B) { benchInt8(b, tier, weights, m, size.k, size.n) })
				}
			}
		}
	}
}

func benchInt8(b *testing.B, tier Tier, weights, m, k, n int) {
	s := For(tier)
	r := rand.New(rand.NewPCG(1, 1))
	x, bias, scale := randomF32(r, m*k, false), randomF32(r, n, false), randomF32(r, n, false)
	w := s.PackS8(toS8(codesOf(r, k*n, -weights, weights, "random")), k, n, n, false)
	dst := aligned[float32](m * n)
	var codes Codes
	q := Quantization{Scale: 127.0 / 4, Lo: -4, Hi: 4}
	kind := int8Peak
	if weights == 64 {
		kind = narrowPeak
	}
	peak := peakOf(tier, kind)
	best := fastest(b, func() {
		s.Quantize(&codes, x, m, k, k, q)
		s.MatMulInt8(dst, n, &codes, w, scale, Epilogue{Bias: bias})
	})
	report(b, "GOP/s", 2*m*n*k, best, peak)
}

// BenchmarkAttention times the two products of one head.
func BenchmarkAttention(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		s := For(tier)
		for _, size := range []struct{ m, n, k int }{{1, 13, 64}, {4, 13, 32}, {4, 60, 64}, {13, 13, 32}, {60, 60, 64}, {60, 100, 64}, {64, 512, 512}} {
			for _, transB := range []bool{true, false} {
				m, n, k := size.m, size.n, size.k
				if !transB {
					n, k = k, n
				}
				b.Run(fmt.Sprintf("tier=%s/transB=%v/m=%d/k=%d/n=%d", tier, transB, m, k, n), func(b *testing.B) {
					r := rand.New(rand.NewPCG(1, 1))
					a, x, dst := randomF32(r, m*k, false), randomF32(r, k*n, false), make([]float32, m*n)
					ldb := n
					if transB {
						ldb = k
					}
					var scratch Scratch
					peak := peakOf(tier, fmaPeak)
					best := fastest(b, func() { s.MatMulF32Strided(dst, n, a, k, x, ldb, transB, m, n, k, &scratch) })
					report(b, "GFLOP/s", 2*m*n*k, best, peak)
				})
			}
		}
	}
}

// BenchmarkAttentionInt8 is BenchmarkAttention on codes.
func BenchmarkAttentionInt8(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		s := For(tier)
		for _, size := range []struct{ m, n, k int }{{4, 13, 32}, {4, 60, 64}, {60, 60, 64}} {
			for _, transB := range []bool{true, false} {
				m, n, k := size.m, size.n, size.k
				ldb := k
				if !transB {
					n, k = k, n
					ldb = n
				}
				b.Run(fmt.Sprintf("tier=%s/transB=%v/m=%d/k=%d/n=%d", tier, transB, m, k, n), func(b *testing.B) {
					a, x, dst := make([]int8, m*k), make([]int8, k*n), make([]float32, m*n)
					var scratch Scratch
					var codes Codes
					peak := peakOf(tier, int8Peak)
					best := fastest(b, func() {
						s.LoadS8(&codes, a, m, k, k)
						s.MatMulInt8Strided(dst, n, &codes, x, ldb, transB, n, 0.1, &scratch)
					})
					report(b, "GOP/s", 2*m*n*k, best, peak)
				})
			}
		}
	}
}

// BenchmarkQuantize times the codes of 16 rows.
func BenchmarkQuantize(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, rounding := range []Rounding{HalfToEven, HalfAwayFromZero} {
			b.Run(fmt.Sprintf("tier=%s/away=%d", tier, rounding), func(b *testing.B) {
				const m, k = 16, 256
				x := randomF32(rand.New(rand.NewPCG(1, 1)), m*k, false)
				var codes Codes
				best := fastest(b, func() {
					For(tier).Quantize(&codes, x, m, k, k, Quantization{Scale: 127.0 / 4, Lo: -4, Hi: 4, Rounding: rounding})
				})
				b.ReportMetric(float64(best.Nanoseconds())/(m*k), "ns/value")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
