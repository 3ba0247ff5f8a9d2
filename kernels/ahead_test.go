package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAhead: what a product is to ask for changes none of its bits, and after enough products nothing is left to ask for.
func TestAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	memory := make([]byte, 300_000)
	for _, tier := range testTiers(t) {
		s := For(tier)
		for _, m := range []int{1, 3, 4, 5, 17, 52, 200} {
			const k, n = 70, 200
			a, w := randomF32(r, m*k, false), s.PackF32(randomF32(r, k*n, false), k, n, n, false)
			want := make([]float32, m*n)
			s.MatMulF32(want, n, a, k, m, w, Epilogue{})
			var ahead Ahead
			for _, sizes := range [][]int{{0}, {1}, {300_000}, {64, 5000, 1, 100_000}, slices.Repeat([]int{700}, 100)} {
				ahead.Reset()
				for _, size := range sizes {
					ahead.Add(memory[:size])
				}
				for range 30 {
					ahead.First(memory[:300], memory[1000:5000])
					got, check := guardedMatrix(m, n, n)
					s.MatMulF32(got, n, a, k, m, w, Epilogue{Ahead: &ahead})
					wantEqual(t, fmt.Sprintf("%v, %d rows", tier, m), got, want, m, n, n)
					check(t)
				}
				if left := ahead.left(); left != nil && m > 16 && tier != Portable {
					t.Errorf("%v, %d rows: %d bytes of a part were not asked for", tier, m, left.bytes)
				}
			}
		}
	}
}
