package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tfq8/tfq8/internal/speed"
)

// benchSizes are the products of Transformers of width 256, 512 and 1024 and what lies between.
var benchSizes = []struct{ k, n int }{
	{256, 256}, {512, 512}, {256, 1024}, {1024, 256}, {1024, 1024}, {256, 4000}, {512, 2048}, {2048, 512}, {2048, 2048},
}

var benchRows = []int{1, 2, 4, 8, 16, 64, 128}

// turn is how long one benchmark iteration lets its functions run by turns.
const turn = 30 * time.Millisecond

// byTurns returns the shortest time of one call of each function.
func byTurns(b *testing.B, fs ...func()) []time.Duration {
	best := make([]time.Duration, len(fs))
	for b.Loop() {
		for i, d := range speed.Fastest(turn, fs...) {
			if best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	return best
}

// benchProduct reports the speed of a product, ops operations of the given mix, beside two bounds measured by turns
// with it: the mix on registers alone, and reading the weights. %bound is the share of the slower one.
func benchProduct(b *testing.B, s *Set, unit string, ops int, mix Mix, product func(), read func() (bytes int)) {
	best := byTurns(b, product, func() { s.PeakLoop(mix) }, func() { read() })
	took := float64(best[0].Nanoseconds())
	compute := float64(ops) / float64(s.PeakLoop(mix)) * float64(best[1].Nanoseconds())
	b.ReportMetric(float64(ops)/took, unit)
	b.ReportMetric(100*compute/took, "%peak")
	bound := compute
	if bytes := read(); bytes > 0 {
		b.ReportMetric(float64(bytes)/took, "GB/s")
		b.ReportMetric(100*float64(best[2].Nanoseconds())/took, "%read")
		bound = max(bound, float64(best[2].Nanoseconds()))
	}
	b.ReportMetric(100*bound/took, "%bound")
	b.ReportMetric(took, "min-ns")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkMatMulF32(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, size := range benchSizes {
			for _, m := range benchRows {
				b.Run(fmt.Sprintf("tier=%s/m=%d/k=%d/n=%d", tier, m, size.k, size.n), func(b *testing.B) {
					l := newF32Layer(For(tier), m, size.k, size.n)
					benchProduct(b, l.s, "GFLOP/s", 2*m*size.k*size.n, MixF32, l.run, func() int { return l.s.ReadF32(l.w) })
				})
			}
		}
	}
}

// f32Layer is a dense layer with bias and ReLU.
type f32Layer struct {
	s            *Set
	w            *PackedF32
	x, bias, dst []float32
	m            int
}

func newF32Layer(s *Set, m, k, n int) *f32Layer {
	r := rand.New(rand.NewPCG(1, 1))
	l := &f32Layer{s: s, m: m, x: aligned[float32](m * k), bias: randomF32(r, n, false), dst: aligned[float32](m * n)}
	copy(l.x, randomF32(r, m*k, false))
	l.w = s.PackF32(randomF32(r, k*n, false), k, n, n, false)
	return l
}

func (l *f32Layer) run() {
	l.s.MatMulF32(l.dst, l.w.N, l.x, l.w.K, l.m, l.w, Epilogue{Bias: l.bias, Act: ActRelu})
}

// int8Layer is a dense layer from float32 to float32: quantization, product, scales, bias.
type int8Layer struct {
	s                   *Set
	w                   *PackedS8
	x, bias, scale, dst []float32
	codes               Codes
	m                   int
}

func newInt8Layer(s *Set, weights, m, k, n int) *int8Layer {
	r := rand.New(rand.NewPCG(1, 1))
	l := &int8Layer{s: s, m: m, x: aligned[float32](m * k), bias: randomF32(r, n, false), scale: randomF32(r, n, false),
		dst: aligned[float32](m * n)}
	copy(l.x, randomF32(r, m*k, false))
	l.w = s.PackS8(toS8(codesOf(r, k*n, -weights, weights, "random")), k, n, n, false)
	return l
}

func (l *int8Layer) run() {
	l.s.Quantize(&l.codes, l.x, l.m, l.w.K, l.w.K, Quantization{Scale: 127.0 / 4, Lo: -4, Hi: 4})
	l.s.MatMulInt8(l.dst, l.w.N, &l.codes, l.w, l.scale, Epilogue{Bias: l.bias})
}

// weightLimits are the greatest magnitudes of weights that tier has routines for.
func weightLimits(tier Tier) []int {
	if tier == AVX2 {
		return []int{127, 64}
	}
	return []int{127}
}

func BenchmarkMatMulInt8(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, weights := range weightLimits(tier) {
			for _, size := range benchSizes {
				for _, m := range benchRows {
					name := fmt.Sprintf("tier=%s/weights=%d/m=%d/k=%d/n=%d", tier, weights, m, size.k, size.n)
					b.Run(name, func(b *testing.B) {
						l := newInt8Layer(For(tier), weights, m, size.k, size.n)
						benchProduct(b, l.s, "GOP/s", 2*m*size.k*size.n, l.w.Mix(m), l.run, func() int { return l.s.ReadS8(l.w) })
					})
				}
			}
		}
	}
}

// BenchmarkMatMulInt32 times the integer product alone.
func BenchmarkMatMulInt32(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, weights := range weightLimits(tier) {
			for _, size := range benchSizes {
				for _, m := range benchRows {
					name := fmt.Sprintf("tier=%s/weights=%d/m=%d/k=%d/n=%d", tier, weights, m, size.k, size.n)
					b.Run(name, func(b *testing.B) {
						l := newInt8Layer(For(tier), weights, m, size.k, size.n)
						l.run()
						dst := aligned[int32](m * size.n)
						benchProduct(b, l.s, "GOP/s", 2*m*size.k*size.n, l.w.Mix(m),
							func() { l.s.MatMulInt32(dst, size.n, &l.codes, l.w) }, func() int { return l.s.ReadS8(l.w) })
					})
				}
			}
		}
	}
}

// BenchmarkInt8OverF32 reports how many times as fast as the float32 layer the INT8 layer is, run by turns.
func BenchmarkInt8OverF32(b *testing.B) {
	for _, tier := range testTiers(b)[1:] {
		for _, weights := range weightLimits(tier) {
			for _, size := range benchSizes {
				for _, m := range benchRows {
					name := fmt.Sprintf("tier=%s/weights=%d/m=%d/k=%d/n=%d", tier, weights, m, size.k, size.n)
					b.Run(name, func(b *testing.B) {
						f32 := newF32Layer(For(tier), m, size.k, size.n)
						int8 := newInt8Layer(For(tier), weights, m, size.k, size.n)
						best := byTurns(b, f32.run, int8.run)
						b.ReportMetric(float64(best[0])/float64(best[1]), "times")
						b.ReportMetric(0, "ns/op")
					})
				}
			}
		}
	}
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
					benchProduct(b, s, "GFLOP/s", 2*m*n*k, MixF32,
						func() { s.MatMulF32Strided(dst, n, a, k, x, ldb, transB, m, n, k, &scratch) }, func() int { return 0 })
				})
			}
		}
	}
}

// BenchmarkAttend times a head of attention, one of eight of depth 64 for four beams, where rows own all keys and where they own
// half of them, beside the three kernels that Attend stands for.
func BenchmarkAttend(b *testing.B) {
	s := For(Best())
	if s.Tier() != AVX512VNNI {
		b.Skip("this tier has no routine")
	}
	for _, keys := range []int{4, 8, 13, 16, 20, 32, 48} {
		b.Run(fmt.Sprintf("tier=%s/keys=%d", s.Tier(), keys), func(b *testing.B) {
			const heads, rows, depth = 8, 4, 64
			r := rand.New(rand.NewPCG(1, 1))
			random := func(rows int) HeadRows {
				return HeadRows{Data: randomF32(r, heads*rows*depth, false), Row: depth, Head: rows * depth}
			}
			whole := Attention{Heads: heads, Rows: rows, Keys: keys, Depth: depth, Width: depth, Scale: 1, Q: random(rows), K: random(keys),
				V: random(keys), Dst: random(rows), Mask: HeadRows{Data: make([]float32, keys)}}
			half := whole
			for range rows {
				half.Own = append(half.Own, 0x5555555555555555&whole.all())
			}
			var scratch Scratch
			scores := make([]float32, rows*keys)
			best := byTurns(b, func() { s.Attend(&whole, &scratch) }, func() { s.Attend(&half, &scratch) }, func() {
				for h := range heads {
					q, k, v, dst := whole.Q.Data[h*rows*depth:], whole.K.Data[h*keys*depth:], whole.V.Data[h*keys*depth:], whole.Dst.Data[h*rows*depth:]
					s.MatMulF32Strided(scores, keys, q, depth, k, depth, true, rows, keys, depth, &scratch)
					s.SoftmaxMasked(scores, scores, rows, keys, 1, whole.Mask.Data, 0)
					s.MatMulF32Strided(dst, depth, scores, keys, v, depth, false, rows, depth, keys, &scratch)
				}
			})
			for i, name := range []string{"ns/head", "half-ns/head", "apart-ns/head"} {
				b.ReportMetric(float64(best[i].Nanoseconds())/heads, name)
			}
			b.ReportMetric(0, "ns/op")
		})
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
					benchProduct(b, s, "GOP/s", 2*m*n*k, MixInt8, func() {
						s.LoadS8(&codes, a, m, k, k)
						s.MatMulInt8Strided(dst, n, &codes, x, ldb, transB, n, 0.1, &scratch)
					}, func() int { return 0 })
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
				best := byTurns(b, func() {
					For(tier).Quantize(&codes, x, m, k, k, Quantization{Scale: 127.0 / 4, Lo: -4, Hi: 4, Rounding: rounding})
				})
				b.ReportMetric(float64(best[0].Nanoseconds())/(m*k), "ns/value")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
