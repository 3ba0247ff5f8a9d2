package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// codesOf returns n codes drawn so that extremes, which saturate inexact instructions, are frequent.
func codesOf(r *rand.Rand, n, lo, hi int, kind string) []int {
	x := make([]int, n)
	for i := range x {
		switch kind {
		case "high":
			x[i] = hi
		case "low":
			x[i] = lo
		case "ends":
			x[i] = []int{lo, hi}[r.IntN(2)]
		default:
			x[i] = lo + r.IntN(hi-lo+1)
		}
	}
	return x
}

// bytesOf returns the bytes of x as unsigned numbers.
func bytesOf(x []int8) []uint8 {
	out := make([]uint8, len(x))
	for i, v := range x {
		out[i] = uint8(v)
	}
	return out
}

func toS8(x []int) []int8 {
	y := make([]int8, len(x))
	for i, v := range x {
		y[i] = int8(v)
	}
	return y
}

func toU8(x []int) []uint8 {
	y := make([]uint8, len(x))
	for i, v := range x {
		y[i] = uint8(v)
	}
	return y
}

// activations loads codes in each of the forms that Codes can have and gives their values.
var activations = []struct {
	name   string
	lo, hi int
	zero   int32
	signed bool
}{
	{"s8", -128, 127, 0, true},
	{"u8", 0, 255, 0, false},
	{"u8 zero point 131", 0, 255, 131, false},
	{"u8 zero point -7", 0, 255, -7, false},
	{"u8 zero point 70000", 0, 255, 70000, false},
}

func TestMatMulInt(t *testing.T) {
	for i, size := range testSizes {
		for j, act := range activations {
			if testing.Short() && (i+j)%3 != 0 {
				continue // every size and every form, but not together
			}
			for _, kind := range []string{"random", "ends", "high", "low"} {
				for _, weight := range []int{128, 127, 64} {
					if testing.Short() && weight != 128 && kind != "random" {
						continue
					}
					testMatMulInt(t, size.m, size.n, size.k, act.name, kind, weight)
				}
			}
		}
	}
}

func testMatMulInt(t *testing.T, m, n, k int, form, kind string, weight int) {
	r := rand.New(rand.NewPCG(uint64(m*1000+n), uint64(weight)))
	act := activations[0]
	for _, a := range activations {
		if a.name == form {
			act = a
		}
	}
	lda, ldw, ldd := k+1, n+2, n+3
	q := codesOf(r, m*lda, act.lo, act.hi, kind)
	w := codesOf(r, k*ldw, -weight, min(weight, 127), kind)
	if kind == "high" {
		w = codesOf(r, k*ldw, -weight, min(weight, 127), "low")
	}
	wt := make([]int8, n*k)
	for i := range k {
		for j := range n {
			wt[j*k+i] = int8(w[i*ldw+j])
		}
	}
	want := make([]int32, m*n)
	for i := range m {
		for j := range n {
			for p := range k {
				want[i*n+j] += (int32(q[i*lda+p]) - act.zero) * int32(w[p*ldw+j])
			}
		}
	}
	scale, bias := randomF32(r, n, false), randomF32(r, n, false)
	add := randomF32(r, m*n, false)
	for _, tier := range testTiers(t) {
		s := For(tier)
		what := fmt.Sprintf("%s m=%d n=%d k=%d %s %s weights %d", tier, m, n, k, form, kind, weight)
		var codes Codes
		if act.signed {
			s.LoadS8(&codes, toS8(q), m, k, lda)
		} else {
			s.LoadU8(&codes, toU8(q), m, k, lda, act.zero)
		}
		packed := s.PackS8(toS8(w), k, n, ldw, false)
		if m%2 == 1 {
			packed = s.PackS8(wt, k, n, k, true)
		}
		got := make([]int32, m*ldd)
		for i := range got {
			got[i] = 77
		}
		s.MatMulInt32(got, ldd, &codes, packed)
		for i := range m {
			for j := range ldd {
				v := int32(77)
				if j < n {
					v = want[i*n+j]
				}
				if got[i*ldd+j] != v {
					t.Fatalf("%s: element (%d, %d) = %d, want %d", what, i, j, got[i*ldd+j], v)
				}
			}
		}
		if kind != "random" {
			continue
		}
		for e := range 16 {
			ep := Epilogue{Act: Activation(e >> 1 & 1)}
			factor := scale
			if e&1 != 0 {
				ep.Bias = bias
			}
			if e&4 != 0 {
				ep.Add, ep.LdAdd = add, n
			}
			if e&8 != 0 {
				factor = []float32{0.37}
			}
			dst, check := guardedMatrix(m, n, ldd)
			s.MatMulInt8(dst, ldd, &codes, packed, factor, ep)
			check(t)
			for i := range m {
				for j := range n {
					f := factor[0]
					if len(factor) > 1 {
						f = factor[j]
					}
					y := float32(want[i*n+j]) * f
					if ep.Bias != nil {
						y += bias[j]
					}
					if ep.Act == ActRelu && y < 0 {
						y = 0
					}
					if ep.Add != nil {
						y += add[i*n+j]
					}
					if !equalBits(dst[i*ldd+j], y) {
						t.Fatalf("%s epilogue %d: element (%d, %d) = %v, want %v", what, e, i, j, dst[i*ldd+j], y)
					}
				}
			}
		}
	}
}

func TestMatMulInt8Strided(t *testing.T) {
	for _, tier := range testTiers(t) {
		s := For(tier)
		var scratch Scratch
		var codes Codes
		for _, size := range testSizes {
			m, n, k := size.m, size.n, size.k
			r := rand.New(rand.NewPCG(uint64(m), uint64(n)))
			lda, ldb, ldbt, ldd := k+1, n+2, k+3, n+4
			a, b := toS8(codesOf(r, m*lda, -128, 127, "random")), toS8(codesOf(r, k*ldb, -128, 127, "ends"))
			bt := make([]int8, n*ldbt)
			for i := range k {
				for j := range n {
					bt[j*ldbt+i] = b[i*ldb+j]
				}
			}
			for variant := range 6 {
				transB := variant%2 == 1
				dst, check := guardedMatrix(m, n, ldd)
				value := func(v int8) int32 { return int32(uint8(v)) }
				switch variant / 2 {
				case 0:
					s.LoadS8(&codes, a, m, k, lda)
					value = func(v int8) int32 { return int32(v) }
				case 1: // without a shift there are no column sums
					s.LoadU8(&codes, bytesOf(a), m, k, lda, 0)
				case 2: // a shift beyond 16 bits
					s.LoadU8(&codes, bytesOf(a), m, k, lda, 70000)
					value = func(v int8) int32 { return int32(uint8(v)) - 70000 }
				}
				if transB {
					s.MatMulInt8Strided(dst, ldd, &codes, bt, ldbt, true, n, 0.3, &scratch)
				} else {
					s.MatMulInt8Strided(dst, ldd, &codes, b, ldb, false, n, 0.3, &scratch)
				}
				check(t)
				for i := range m {
					for j := range n {
						var sum int32
						for p := range k {
							sum += value(a[i*lda+p]) * int32(b[p*ldb+j])
						}
						if got, want := dst[i*ldd+j], float32(sum)*0.3; got != want {
							t.Fatalf("%s m=%d n=%d k=%d transB=%v: element (%d, %d) = %v, want %v", tier, m, n, k, transB, i, j, got, want)
						}
					}
				}
			}
		}
	}
}

// TestRowsAloneInt8 checks that a row's result does not depend on the rows around it.
func TestRowsAloneInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	const m, n, k = 17, 130, 77
	q, w := toS8(codesOf(r, m*k, -128, 127, "random")), toS8(codesOf(r, k*n, -128, 127, "random"))
	scale, bias := randomF32(r, n, false), randomF32(r, n, false)
	for _, tier := range testTiers(t) {
		s := For(tier)
		p := s.PackS8(w, k, n, n, false)
		var codes Codes
		for rows := 1; rows <= m; rows++ {
			all := make([]float32, rows*n)
			s.LoadS8(&codes, q, rows, k, k)
			s.MatMulInt8(all, n, &codes, p, scale, Epilogue{Bias: bias})
			for i := range rows {
				one := make([]float32, n)
				s.LoadS8(&codes, q[i*k:], 1, k, k)
				s.MatMulInt8(one, n, &codes, p, scale, Epilogue{Bias: bias})
				wantEqual(t, fmt.Sprintf("%s row %d of %d", tier, i, rows), all[i*n:], one, 1, n, n)
			}
		}
	}
}
