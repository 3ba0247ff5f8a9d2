package kernels

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQuantizeByHand has the codes of TensorFlow's QuantizeV2 in mode SCALED for values at every edge.
func TestQuantizeByHand(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := []float32{0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, -0.49999997, 126.5, 127.4, 200, -127.5, -128.4, -200, inf, -inf, nan, 8388609}
	for _, c := range []struct {
		name string
		q    Quantization
		want []int
	}{
		{"s8 even", Quantization{Scale: 1, Lo: -128, Hi: 127},
			[]int{0, 0, 2, 2, 0, -2, -2, 0, 0, 126, 127, 127, -128, -128, -128, 127, -128, -128, 127}},
		{"s8 away", Quantization{Scale: 1, Lo: -128, Hi: 127, Rounding: HalfAwayFromZero},
			[]int{0, 1, 2, 3, -1, -2, -3, 0, 0, 127, 127, 127, -128, -128, -128, 127, -128, -128, 127}},
		{"u8 even", Quantization{Scale: 1, Lo: 0, Hi: 255, Unsigned: true},
			[]int{0, 0, 2, 2, 0, 0, 0, 0, 0, 126, 127, 200, 0, 0, 0, 255, 0, 0, 255}},
		{"u8 away", Quantization{Scale: 1, Lo: 0, Hi: 255, Unsigned: true, Rounding: HalfAwayFromZero},
			[]int{0, 1, 2, 3, 0, 0, 0, 0, 0, 127, 127, 200, 0, 0, 0, 255, 0, 0, 255}},
		{"s8 unclamped", Quantization{Scale: 1e30, Lo: -inf, Hi: inf},
			[]int{0, 127, 127, 127, -128, -128, -128, 127, -128, 127, 127, 127, -128, -128, -128, 127, -128, -128, 127}},
	} {
		for _, tier := range testTiers(t) {
			var codes Codes
			For(tier).Quantize(&codes, x, 1, len(x), len(x), c.q)
			for i, want := range c.want {
				if got := int(codes.row(0)[i]) - int(codes.shift); got != want {
					t.Errorf("%s %s: code of %v = %d, want %d", tier, c.name, x[i], got, want)
				}
			}
		}
	}
}

func TestQuantizeTiers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for k := range 140 {
		const m = 3
		ld := k + 2
		x := randomF32(r, m*ld, true)
		for i := range x {
			if r.IntN(3) == 0 {
				x[i] = float32(r.IntN(600)-300) / 2 // ties
			}
		}
		x = x[:max(0, len(x)-2)] // ends with the last value: a read beyond it may fault
		for _, rounding := range []Rounding{HalfToEven, HalfAwayFromZero} {
			for _, unsigned := range []bool{false, true} {
				for _, scale := range []float32{1, 0.5, 127 / 3.7} {
					q := Quantization{Scale: scale, Lo: -128 / scale, Hi: 127 / scale, Rounding: rounding, Unsigned: unsigned}
					if unsigned {
						q.Lo, q.Hi = 0, 255/scale
					}
					var want Codes
					For(Portable).Quantize(&want, x, m, k, ld, q)
					for _, tier := range testTiers(t)[1:] {
						var got Codes
						For(tier).Quantize(&got, x, m, k, ld, q)
						for i := range m {
							if !bytes.Equal(got.row(i), want.row(i)) {
								t.Fatalf("%s k=%d %+v: row %d = %v, want %v of %v", tier, k, q, i, got.row(i), want.row(i), x[i*ld:][:k])
							}
							if tier == AVX2 {
								for j, b := range got.row(i) {
									if w := int32(got.words[i*got.stride+j]); w != int32(b)-got.shift {
										t.Fatalf("word (%d, %d) = %d, want %d - %d", i, j, w, b, got.shift)
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// TestCodesAreReused checks that a Codes that held a larger matrix serves a smaller one.
func TestCodesAreReused(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	for _, tier := range testTiers(t) {
		s := For(tier)
		var codes Codes
		for _, size := range []struct{ m, n, k int }{{7, 20, 100}, {2, 20, 3}, {9, 5, 67}} {
			q, w := toS8(codesOf(r, size.m*size.k, -128, 127, "random")), toS8(codesOf(r, size.k*size.n, -128, 127, "random"))
			got := make([]int32, size.m*size.n)
			s.LoadS8(&codes, q, size.m, size.k, size.k)
			s.MatMulInt32(got, size.n, &codes, s.PackS8(w, size.k, size.n, size.n, false))
			for i := range size.m {
				for j := range size.n {
					var want int32
					for p := range size.k {
						want += int32(q[i*size.k+p]) * int32(w[p*size.n+j])
					}
					if got[i*size.n+j] != want {
						t.Fatalf("%s: element (%d, %d) = %d, want %d", tier, i, j, got[i*size.n+j], want)
					}
				}
			}
		}
	}
}

func TestTransposeTiers(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for rows := range 20 {
		for cols := range 41 {
			if cols > 35 { // longer than one piece
				cols = 1023 + (cols-36)*(cols-36)
			}
			lds, ldd := cols+3, roundUp(rows, 8)
			src := randomF32(r, rows*lds, false)
			src = src[:max(0, len(src)-3)]
			for _, tier := range testTiers(t) {
				dst := make([]float32, ldd*cols+1)
				dst[ldd*cols] = guardValue
				For(tier).transpose(dst, ldd, src, lds, rows, cols)
				for i := range rows {
					for j := range cols {
						if got, want := dst[j*ldd+i], src[i*lds+j]; got != want {
							t.Fatalf("%s [%d, %d]: element (%d, %d) = %v, want %v", tier, rows, cols, j, i, got, want)
						}
					}
				}
				if dst[ldd*cols] != guardValue {
					t.Fatalf("%s [%d, %d]: wrote past the end", tier, rows, cols)
				}
			}
		}
	}
}

// TestPackLong packs more rows than one assembly call takes, of widths that end inside a vector.
func TestPackLong(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	for _, k := range []int{4*1024 + 3, 4*1030 + 1} {
		for _, n := range []int{5, 16, 18} {
			w, q := toS8(codesOf(r, k*n, -127, 127, "random")), toS8(codesOf(r, k, -128, 127, "random"))
			transposed := make([]int8, k*n)
			want := make([]int32, n)
			for i := range k {
				for j := range n {
					transposed[j*k+i] = w[i*n+j]
					want[j] += int32(q[i]) * int32(w[i*n+j])
				}
			}
			for _, tier := range testTiers(t) {
				s := For(tier)
				var codes Codes
				s.LoadS8(&codes, q, 1, k, k)
				for _, p := range []*PackedS8{s.PackS8(w, k, n, n, false), s.PackS8(transposed, k, n, k, true)} {
					got := make([]int32, n)
					s.MatMulInt32(got, n, &codes, p)
					if !slices.Equal(got, want) {
						t.Errorf("%s [%d, %d]: product = %v, want %v", tier, k, n, got, want)
					}
				}
			}
		}
	}
}
