package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sparseF32 returns [m, k] values of which a share is 0 in all of four rows, and some more.
func sparseF32(r *rand.Rand, m, k int, share float64, special bool) []float32 {
	a := randomF32(r, m*k, special)
	for j := range k {
		zero := false
		for i := range m {
			if i%4 == 0 {
				zero = r.Float64() < share
			}
			if zero || r.IntN(8) == 0 {
				a[i*k+j] = float32(math.Copysign(0, float64(1-2*r.IntN(2))))
			}
		}
	}
	return a
}

// TestMatMulF32Sparse: the bits are those of MatMulF32 and nothing beside the destination is written, whatever is skipped.
func TestMatMulF32Sparse(t *testing.T) {
	sizes := append([]struct{ m, n, k int }{{52, 256, 512}, {401, 70, 260}, {9, 128, 5000}}, testSizes...)
	for _, tier := range testTiers(t) {
		s := For(tier)
		var scratch Scratch
		for _, share := range []float64{0.3, 0.9, 1} {
			for _, special := range []bool{false, true} {
				for _, size := range sizes {
					r := rand.New(rand.NewPCG(uint64(100*share), uint64(size.m*1000+size.n)))
					m, n, k := size.m, size.n, size.k
					a := sparseF32(r, m, k, share, special)
					w := s.PackF32(randomF32(r, k*n, special && size.m%2 == 0), k, n, n, false)
					ldd := n + 5
					all := epilogues(r, m, n)
					for e, ep := range []Epilogue{all[0], all[len(all)-1]} {
						want := make([]float32, m*ldd)
						s.MatMulF32(want, ldd, a, k, m, w, ep)
						got, check := guardedMatrix(m, n, ldd)
						done := s.MatMulF32Sparse(got, ldd, a, k, m, w, ep, &scratch)
						wantEqual(t, fmt.Sprintf("%s, %v, %g, epilogue %d", tier, size, share, e), got, want, m, n, ldd)
						check(t)
						if ep.Add != nil { // the residual may be the destination
							inPlace := make([]float32, m*ldd)
							for i := range m {
								copy(inPlace[i*ldd:][:n], ep.Add[i*ep.LdAdd:])
							}
							ep.Add, ep.LdAdd = inPlace, ldd
							s.MatMulF32Sparse(inPlace, ldd, a, k, m, w, ep, &scratch)
							wantEqual(t, fmt.Sprintf("%s, %v, %g, in place", tier, size, share), inPlace, want, m, n, ldd)
						}
						if all := int64(m) * int64(n) * int64(k); done > all || tier != Portable && !special && share == 0.9 && m >= fewestSparse && k > 100 && done > all*7/8 {
							t.Errorf("%s, %v, %g zero: %d multiply-adds done of %d", tier, size, share, done, all)
						}
					}
				}
			}
		}
	}
}

// TestMatMulF32SparseZeros: what a product with 0 does to a sum is not left out where it shows.
func TestMatMulF32SparseZeros(t *testing.T) {
	tiny := float32(math.SmallestNonzeroFloat32)
	inf := float32(math.Inf(1))
	for _, tier := range testTiers(t) {
		s := For(tier)
		for name, c := range map[string]struct{ a, b []float32 }{
			"0 times infinity is NaN":                  {[]float32{1, 0, 0, 0, 0, 0, 0, 0}, []float32{1, inf, 1, 1, 1, 1, 1, 1}},
			"an underflow to -0, and 0 added":          {[]float32{tiny, 0, 0, 0, 0, 0, 0, 0}, []float32{-0.25, 1, 1, 1, 1, 1, 1, 1}},
			"a sum that underflows to -0, and 0 added": {[]float32{3e-38, 1, 0, 0, 0, 0, 0, 0}, []float32{-1e-8 / 16, 0, 1, 1, 1, 1, 1, 1}},
			"NaN is no 0": {[]float32{float32(math.NaN()), 0, 0, 0, 0, 0, 0, 0}, []float32{1, 1, 1, 1, 1, 1, 1, 1}},
			"the least weight belongs to another column": {[]float32{1e-20, 0, 0, 0, 0, 0, 0, 0}, []float32{1, 1e-30, 1, 1, 1, 1, 1, 1}},
		} {
			a := slices.Repeat(c.a, fewestSparse)
			w := s.PackF32(c.b, 8, 1, 1, false)
			var want, got [fewestSparse]float32
			s.MatMulF32(want[:], 1, a, 8, fewestSparse, w, Epilogue{})
			s.MatMulF32Sparse(got[:], 1, a, 8, fewestSparse, w, Epilogue{}, &Scratch{})
			wantEqual(t, tier.String()+": "+name, got[:], want[:], fewestSparse, 1, 1)
		}
	}
}
