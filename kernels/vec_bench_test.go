package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchVec runs f per tier and reports the time per value of n values.
func benchVec(b *testing.B, shape string, n int, f func(s *Set)) {
	for _, s := range vecTiers() {
		b.Run(fmt.Sprintf("isa=%s/%s", s.Tier(), shape), func(b *testing.B) {
			for b.Loop() {
				f(s)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/value")
		})
	}
}

func benchValues(n int) []float32 { return normal(rand.New(rand.NewPCG(1, 2)), n, 3) }

func BenchmarkUnary(b *testing.B) {
	const n = 1024
	x, dst := benchValues(n), make([]float32, n)
	for op := range unaryCount {
		benchVec(b, "op="+unaryNames[op]+"/n=1024", n, func(s *Set) { s.unary("", op, dst, x) })
	}
}

func BenchmarkBinary(b *testing.B) {
	const n = 1024
	x, y, dst := benchValues(n), benchValues(n), make([]float32, n)
	benchVec(b, "op=Add/n=1024", n, func(s *Set) { s.Add(dst, x, y) })
	benchVec(b, "op=Max/n=1024", n, func(s *Set) { s.Max(dst, x, y) })
	benchVec(b, "op=MulScalar/n=1024", n, func(s *Set) { s.MulScalar(dst, x, 3) })
}

func BenchmarkSoftmax(b *testing.B) {
	for _, cols := range []int{16, 25, 60, 64, 256, 1024} {
		rows := max(1, 1024/cols)
		x, dst, mask := benchValues(rows*cols), make([]float32, rows*cols), benchValues(cols)
		shape := fmt.Sprintf("rows=%d/cols=%d", rows, cols)
		benchVec(b, shape, rows*cols, func(s *Set) { s.Softmax(dst, x, rows, cols) })
		benchVec(b, "masked/"+shape, rows*cols, func(s *Set) { s.SoftmaxMasked(dst, x, rows, cols, 0.125, mask, 0) })
	}
}

func BenchmarkSumExp(b *testing.B) {
	x := benchValues(1024)
	benchVec(b, "n=1024", 1024, func(s *Set) { s.sumExp(x, 20) })
}

func BenchmarkLogSoftmax(b *testing.B) {
	x, dst := benchValues(6016), make([]float32, 6016)
	benchVec(b, "n=6016", 6016, func(s *Set) { s.LogSoftmax(dst, x, 1, 6016) })
}

func BenchmarkNorm(b *testing.B) {
	for _, cols := range []int{256, 512, 1024} {
		const rows = 4
		x, add, dst := benchValues(rows*cols), benchValues(rows*cols), make([]float32, rows*cols)
		gamma, beta := benchValues(cols), benchValues(cols)
		shape := fmt.Sprintf("cols=%d", cols)
		benchVec(b, "op=LayerNorm/"+shape, rows*cols, func(s *Set) { s.LayerNorm(dst, x, rows, cols, gamma, beta, 1e-6) })
		benchVec(b, "op=LayerNormAdd/"+shape, rows*cols, func(s *Set) {
			s.LayerNormAdd(dst, dst, x, add, rows, cols, gamma, beta, 1e-6)
		})
		benchVec(b, "op=RMSNorm/"+shape, rows*cols, func(s *Set) { s.RMSNorm(dst, x, rows, cols, gamma, 1e-6) })
	}
}

func BenchmarkReduce(b *testing.B) {
	x := benchValues(1024)
	benchVec(b, "op=Sum/n=1024", 1024, func(s *Set) { s.Sum(x) })
	benchVec(b, "op=SumSquares/n=1024", 1024, func(s *Set) { s.SumSquares(x) })
	benchVec(b, "op=MinMax/n=1024", 1024, func(s *Set) { s.MinMax(x) })
}

func BenchmarkQuantizeVector(b *testing.B) {
	const n = 1024
	x, s8, u8, s32 := benchValues(n), make([]int8, n), make([]uint8, n), make([]int32, n)
	benchVec(b, "op=QuantizeS8/n=1024", n, func(s *Set) { s.QuantizeS8(s8, x, 20, -6, 6, HalfToEven) })
	benchVec(b, "op=QuantizeS8,away/n=1024", n, func(s *Set) { s.QuantizeS8(s8, x, 20, -6, 6, HalfAwayFromZero) })
	benchVec(b, "op=QuantizeU8/n=1024", n, func(s *Set) { s.QuantizeU8(u8, x, 20, -6, 6, HalfToEven) })
	benchVec(b, "op=DequantizeS8/n=1024", n, func(s *Set) { s.DequantizeS8(x, s8, 0.1) })
	benchVec(b, "op=DequantizeU8/n=1024", n, func(s *Set) { s.DequantizeU8(x, u8, 0.1, -3) })
	benchVec(b, "op=DequantizeS32/n=1024", n, func(s *Set) { s.DequantizeS32(x, s32, 0.1) })
}

func BenchmarkTopK(b *testing.B) {
	var scratch TopKScratch
	for _, n := range []int{6016, 32000} {
		x := benchValues(n)
		for _, k := range []int{1, 4, 8, 100} {
			vals, idx := make([]float32, k), make([]int32, k)
			benchVec(b, fmt.Sprintf("n=%d/k=%d", n, k), n, func(s *Set) { s.TopK(x, k, vals, idx, &scratch) })
		}
	}
}
