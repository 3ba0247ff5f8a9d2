package kernels

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTopK(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	kinds := map[string]func(i int) float32{
		"normal":     func(int) float32 { return float32(r.NormFloat64()) },
		"few values": func(int) float32 { return float32(r.IntN(5)) },
		"ascending":  func(i int) float32 { return float32(i) },
		"descending": func(i int) float32 { return float32(-i) },
		"equal":      func(int) float32 { return 2.5 },
		"-Inf":       func(int) float32 { return -inf32 },
		"NaN":        func(int) float32 { return nan32 },
		"mixed": func(int) float32 {
			return []float32{nan32, inf32, -inf32, 0, 1, float32(r.NormFloat64())}[r.IntN(6)]
		},
		"mostly NaN": func(int) float32 {
			if r.IntN(50) == 0 {
				return 1
			}
			return nan32
		},
	}
	var scratch TopKScratch
	for _, s := range vecTiers() {
		for kind, f := range kinds {
			for _, n := range []int{1, 2, 7, 63, 64, 65, 200, 1000, 6016, 6017} {
				x := make([]float32, n)
				for i := range x {
					x[i] = f(i)
				}
				order := make([]int32, n)
				for i := range order {
					order[i] = int32(i)
				}
				slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(x[j], x[i]) })
				for _, k := range []int{0, 1, 2, 3, 8, 31, 32, 33, 100, n} {
					if k > n {
						continue
					}
					vals, idx := make([]float32, k+1), make([]int32, k+1)
					vals[k], idx[k] = guard, -7
					s.TopK(x, k, vals, idx, &scratch)
					if vals[k] != guard || idx[k] != -7 {
						t.Fatalf("%s, %s, n %d, k %d: wrote beyond k", s.Tier(), kind, n, k)
					}
					if !slices.Equal(idx[:k], order[:k]) {
						t.Fatalf("%s, %s, n %d, k %d: positions %v, want %v", s.Tier(), kind, n, k, idx[:k], order[:k])
					}
					for i, at := range idx[:k] {
						if !same32(vals[i], x[at]) {
							t.Fatalf("%s, %s, n %d, k %d: value %d is %v, want %v", s.Tier(), kind, n, k, i, vals[i], x[at])
						}
					}
				}
			}
		}
	}
}

func TestTopKAllocatesNothing(t *testing.T) {
	x := normal(rand.New(rand.NewPCG(23, 24)), 6016, 1)
	vals, idx := make([]float32, 100), make([]int32, 100)
	var scratch TopKScratch
	s := For(Best())
	for _, k := range []int{1, 8, 100} {
		if n := testing.AllocsPerRun(10, func() { s.TopK(x, k, vals, idx, &scratch) }); n != 0 {
			t.Errorf("TopK with k = %d allocates %v times", k, n)
		}
	}
}

// TestTopKLogSoftmax compares with LogSoftmax, the addition and TopK, one after the other, bit by bit.
func TestTopKLogSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	kinds := map[string]func() float32{
		"normal":     func() float32 { return float32(r.NormFloat64() * 3) },
		"few values": func() float32 { return float32(r.IntN(4)) },
		"close":      func() float32 { return 100 + float32(r.IntN(1000))*1e-5 },
		"-Inf":       func() float32 { return -inf32 },
		"some NaN": func() float32 {
			if r.IntN(3000) == 0 {
				return nan32
			}
			return r.Float32()
		},
		"some Inf": func() float32 {
			if r.IntN(3000) == 0 {
				return inf32
			}
			return r.Float32()
		},
	}
	var scratch TopKScratch
	for _, s := range vecTiers() {
		for kind, f := range kinds {
			for _, size := range []struct{ rows, cols, k int }{{1, 5, 3}, {4, 1500, 8}, {4, 1501, 8}, {2, 4000, 1}, {3, 700, 40}, {3, 300, 900}, {4, 6000, 8}} {
				x := make([]float32, size.rows*size.cols)
				for i := range x {
					x[i] = f()
				}
				add := make([]float32, size.rows)
				for i := range add {
					add[i] = float32(-r.IntN(3))
					if r.IntN(6) == 0 {
						add[i] = -inf32
					}
				}
				y := make([]float32, len(x))
				s.LogSoftmax(y, x, size.rows, size.cols)
				for i := range size.rows {
					s.AddScalar(y[i*size.cols:][:size.cols], y[i*size.cols:][:size.cols], add[i])
				}
				wantVals, wantIdx := make([]float32, size.k), make([]int32, size.k)
				s.TopK(y, size.k, wantVals, wantIdx, &scratch)
				vals, idx := make([]float32, size.k+1), make([]int32, size.k+1)
				vals[size.k], idx[size.k] = guard, -7
				s.TopKLogSoftmax(x, size.rows, size.cols, add, size.k, vals[:size.k], idx[:size.k], &scratch)
				if vals[size.k] != guard || idx[size.k] != -7 {
					t.Fatalf("%v %s %+v: wrote behind the end", s.Tier(), kind, size)
				}
				for i := range size.k {
					if math.Float32bits(vals[i]) != math.Float32bits(wantVals[i]) && wantVals[i] == wantVals[i] || idx[i] != wantIdx[i] {
						t.Fatalf("%v %s %+v: number %d = %v at %d, want %v at %d", s.Tier(), kind, size, i, vals[i], idx[i], wantVals[i], wantIdx[i])
					}
				}
			}
		}
	}
}
