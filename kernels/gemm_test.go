package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// testTiers returns the tiers of this machine. TFQ8_REQUIRE_TIER names one that must be among them, so that
// a run meant to test it cannot pass without; with -short, such a run is for that tier alone, since emulators are slow.
func testTiers(t testing.TB) (tiers []Tier) {
	if required := os.Getenv("TFQ8_REQUIRE_TIER"); required != "" && testing.Short() {
		tier, err := ParseTier(required)
		if err != nil {
			t.Fatalf("TFQ8_REQUIRE_TIER: %v", err)
		}
		return []Tier{Portable, tier}
	}
	for tier := Portable; tier <= AVX512VNNI; tier++ {
		if Supported(tier) {
			tiers = append(tiers, tier)
		} else if os.Getenv("TFQ8_REQUIRE_TIER") == tier.String() {
			t.Fatalf("TFQ8_REQUIRE_TIER=%s, and this CPU or build has none", tier)
		}
	}
	return tiers
}

// testSizes are rows, columns and depths around every edge of the tiles.
var testSizes = []struct{ m, n, k int }{
	{0, 5, 3}, {5, 0, 3}, {3, 5, 0}, {1, 1, 1}, {1, 16, 4}, {1, 15, 5}, {1, 17, 3}, {1, 64, 8}, {1, 65, 7}, {1, 127, 64},
	{1, 128, 33}, {1, 129, 12}, {1, 200, 31}, {2, 8, 9}, {2, 31, 16}, {2, 33, 17}, {2, 70, 18}, {3, 24, 19}, {3, 63, 20},
	{3, 95, 2}, {4, 40, 21}, {4, 130, 66}, {5, 7, 22}, {5, 48, 23}, {6, 16, 24}, {6, 57, 25}, {6, 64, 26}, {7, 66, 27},
	{8, 9, 28}, {11, 23, 29}, {12, 80, 30}, {13, 13, 64}, {16, 100, 32}, {17, 97, 65}, {31, 41, 13}, {60, 100, 16},
	{64, 33, 10}, {9, 192, 11}, {25, 140, 70}, {4, 37, 64}, {8, 66, 63},
	{1, 3, 16}, {3, 17, 48}, {4, 16, 64}, {6, 31, 32}, {8, 47, 16},
}

// guardValue is written around every destination and must survive.
const guardValue = 12345.5

// guardedMatrix returns a [rows, cols] matrix with row stride ld inside a slice with guards before, between the
// rows and behind, and a function that checks them.
func guardedMatrix(rows, cols, ld int) (dst []float32, check func(t *testing.T)) {
	const margin = 80
	all := make([]float32, margin+rows*ld+margin)
	for i := range all {
		all[i] = guardValue
	}
	return all[margin : len(all)-margin], func(t *testing.T) {
		t.Helper()
		for i, v := range all {
			i -= margin
			if inside := i >= 0 && i < rows*ld && i%ld < cols; !inside && v != guardValue {
				t.Fatalf("element %d outside the destination was overwritten with %v", i, v)
			}
		}
	}
}

func equalBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func wantEqual(t *testing.T, what string, got, want []float32, rows, cols, ld int) {
	t.Helper()
	for i := range rows {
		for j := range cols {
			if g, w := got[i*ld+j], want[i*ld+j]; !equalBits(g, w) {
				t.Fatalf("%s: element (%d, %d) = %v (%#x), want %v (%#x)", what, i, j, g, math.Float32bits(g), w, math.Float32bits(w))
			}
		}
	}
}

// randomF32 returns values of very different sizes, so that sums round in every way.
func randomF32(r *rand.Rand, n int, special bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if r.IntN(4) == 0 {
			x[i] *= float32(math.Ldexp(1, r.IntN(40)-20))
		}
		if special {
			switch r.IntN(40) {
			case 0:
				x[i] = 0
			case 1:
				x[i] = float32(math.Copysign(0, -1))
			case 2:
				x[i] = math.SmallestNonzeroFloat32 * float32(r.IntN(1000))
			case 3:
				x[i] = math.MaxFloat32
			case 4:
				x[i] = float32(math.Inf(1 - 2*r.IntN(2)))
			case 5:
				x[i] = float32(math.NaN())
			}
		}
	}
	return x
}

// epilogues returns every combination of the fields of an Epilogue.
func epilogues(r *rand.Rand, m, n int) (all []Epilogue) {
	bias := randomF32(r, n, false)
	add := randomF32(r, m*(n+3), false)
	for i := range 8 {
		var ep Epilogue
		if i&1 != 0 {
			ep.Bias = bias
		}
		if i&2 != 0 {
			ep.Act = ActRelu
		}
		if i&4 != 0 {
			ep.Add, ep.LdAdd = add, n+3
		}
		all = append(all, ep)
	}
	return all
}

func TestMatMulF32(t *testing.T) {
	for _, special := range []bool{false, true} {
		for _, size := range testSizes {
			r := rand.New(rand.NewPCG(1, uint64(size.m*1000+size.n)))
			m, n, k := size.m, size.n, size.k
			lda, ldd := k+2, n+5
			a := randomF32(r, m*lda, special)
			b := randomF32(r, k*n, special)
			bt := make([]float32, n*k)
			For(Portable).transpose(bt, k, b, n, k, n)
			for e, ep := range epilogues(r, m, n) {
				want := make([]float32, m*ldd)
				p := For(Portable)
				p.MatMulF32(want, ldd, a, lda, m, p.PackF32(b, k, n, n, false), ep)
				for _, tier := range testTiers(t) {
					s := For(tier)
					for _, transB := range []bool{false, true} {
						what := fmt.Sprintf("%s m=%d n=%d k=%d epilogue %d transB=%v", tier, m, n, k, e, transB)
						w := s.PackF32(b, k, n, n, false)
						if transB {
							w = s.PackF32(bt, k, n, k, true)
						}
						got, check := guardedMatrix(m, n, ldd)
						s.MatMulF32(got, ldd, a, lda, m, w, ep)
						wantEqual(t, what, got, want, m, n, ldd)
						check(t)
					}
				}
			}
		}
	}
}

// TestMatMulF32Reference compares the portable definition with sums in float64.
func TestMatMulF32Reference(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const m, n, k = 5, 37, 300
	a, b := randomF32(r, m*k, false), randomF32(r, k*n, false)
	s := For(Portable)
	got := make([]float32, m*n)
	s.MatMulF32(got, n, a, k, m, s.PackF32(b, k, n, n, false), Epilogue{})
	for i := range m {
		for j := range n {
			var sum, size float64
			for p := range k {
				v := float64(a[i*k+p]) * float64(b[p*n+j])
				sum += v
				size += math.Abs(v)
			}
			// k roundings of partial sums, each at most half an ulp of the sum of magnitudes.
			if d := math.Abs(float64(got[i*n+j]) - sum); d > k*size*0x1p-24 {
				t.Errorf("element (%d, %d) = %v, want %v", i, j, got[i*n+j], sum)
			}
		}
	}
}

func TestMatMulF32Strided(t *testing.T) {
	var scratch Scratch
	for _, special := range []bool{false, true} {
		for _, size := range testSizes {
			r := rand.New(rand.NewPCG(3, uint64(size.m*1000+size.n)))
			m, n, k := size.m, size.n, size.k
			lda, ldd, ldb, ldbt := k+1, n+2, n+3, k+4
			a := randomF32(r, m*lda, special)
			b := randomF32(r, k*ldb, special)
			bt := make([]float32, n*ldbt)
			for i := range k {
				for j := range n {
					bt[j*ldbt+i] = b[i*ldb+j]
				}
			}
			// A destination of exactly the elements that are needed shows reads and writes past the end.
			bt = bt[:max(0, len(bt)-4)]
			want := make([]float32, m*ldd)
			p := For(Portable)
			p.MatMulF32(want, ldd, a, lda, m, p.PackF32(b, k, n, ldb, false), Epilogue{})
			for _, tier := range testTiers(t) {
				s := For(tier)
				for _, transB := range []bool{false, true} {
					what := fmt.Sprintf("%s m=%d n=%d k=%d transB=%v", tier, m, n, k, transB)
					got, check := guardedMatrix(m, n, ldd)
					if transB {
						scratch.Soon([]byte{1}, nil) // changes nothing, wherever it lies
						s.MatMulF32Strided(got, ldd, a, lda, bt, ldbt, true, m, n, k, &scratch)
					} else {
						s.MatMulF32Strided(got, ldd, a, lda, b, ldb, false, m, n, k, &scratch)
					}
					wantEqual(t, what, got, want, m, n, ldd)
					check(t)
				}
			}
		}
	}
}

// TestRowsAloneF32 checks that a row's result does not depend on the rows around it.
func TestRowsAloneF32(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	const m, n, k = 23, 150, 77
	a, b, bias := randomF32(r, m*k, false), randomF32(r, k*n, false), randomF32(r, n, false)
	for _, tier := range testTiers(t) {
		s := For(tier)
		w := s.PackF32(b, k, n, n, false)
		for rows := 1; rows <= m; rows++ {
			all := make([]float32, rows*n)
			s.MatMulF32(all, n, a, k, rows, w, Epilogue{Bias: bias})
			for i := range rows {
				one := make([]float32, n)
				s.MatMulF32(one, n, a[i*k:], k, 1, w, Epilogue{Bias: bias})
				wantEqual(t, fmt.Sprintf("%s row %d of %d", tier, i, rows), all[i*n:], one, 1, n, n)
			}
		}
	}
}

// TestResidualInPlace adds a product to its own destination.
func TestResidualInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	const m, n, k = 9, 85, 40
	a, b, x := randomF32(r, m*k, false), randomF32(r, k*n, false), randomF32(r, m*n, false)
	for _, tier := range testTiers(t) {
		s := For(tier)
		w := s.PackF32(b, k, n, n, false)
		want, got := make([]float32, m*n), append([]float32(nil), x...)
		s.MatMulF32(want, n, a, k, m, w, Epilogue{Add: x, LdAdd: n})
		s.MatMulF32(got, n, a, k, m, w, Epilogue{Add: got, LdAdd: n})
		wantEqual(t, tier.String(), got, want, m, n, n)
	}
}

// TestLongProducts covers products that are cut into several assembly calls.
// TestLongProducts has more rows than the cache holds and more steps than one assembly call makes.
func TestLongProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const m, n, k = 299, 35, 700
	a, b, add := randomF32(r, m*k, false), randomF32(r, k*n, false), randomF32(r, m*n, false)
	codes, weights := toS8(codesOf(r, 2*m*k, -128, 127, "random")), toS8(codesOf(r, 2*k*n, -127, 127, "random"))
	var want, wantInt8 []float32
	for _, tier := range testTiers(t) {
		s := For(tier)
		got, gotInt8 := make([]float32, m*n), make([]float32, m*n)
		ep := Epilogue{Add: add, LdAdd: n}
		s.MatMulF32(got, n, a, k, m, s.PackF32(b, k, n, n, false), ep)
		var c Codes
		s.LoadS8(&c, codes, m, 2*k, 2*k)
		s.MatMulInt8(gotInt8, n, &c, s.PackS8(weights, 2*k, n, n, false), []float32{0.01}, ep)
		if want == nil {
			want, wantInt8 = got, gotInt8
		}
		wantEqual(t, tier.String(), got, want, m, n, n)
		wantEqual(t, tier.String()+" INT8", gotInt8, wantInt8, m, n, n)
	}
}

func TestBadOperandsPanic(t *testing.T) {
	s := For(Best())
	w := s.PackF32(make([]float32, 12), 3, 4, 4, false)
	w8 := s.PackS8(make([]int8, 12), 3, 4, 4, false)
	var codes Codes
	s.LoadS8(&codes, make([]int8, 6), 2, 3, 3)
	x := func(n int) []float32 { return make([]float32, n) }
	for name, f := range map[string]func(){
		"short dst":     func() { s.MatMulF32(x(7), 4, x(6), 3, 2, w, Epilogue{}) },
		"short a":       func() { s.MatMulF32(x(8), 4, x(5), 3, 2, w, Epilogue{}) },
		"small stride":  func() { s.MatMulF32(x(8), 3, x(6), 3, 2, w, Epilogue{}) },
		"short bias":    func() { s.MatMulF32(x(8), 4, x(6), 3, 2, w, Epilogue{Bias: x(3)}) },
		"short add":     func() { s.MatMulF32(x(8), 4, x(6), 3, 2, w, Epilogue{Add: x(7), LdAdd: 4}) },
		"negative rows": func() { s.MatMulF32(x(8), 4, x(6), 3, -1, w, Epilogue{}) },
		"short scale":   func() { s.MatMulInt8(x(8), 4, &codes, w8, x(3), Epilogue{}) },
		"other codes":   func() { For(Portable).MatMulInt8(x(8), 4, &codes, &PackedS8{K: 3, N: 4}, x(4), Epilogue{}) },
		"other depth":   func() { s.MatMulInt8(x(8), 4, &codes, s.PackS8(make([]int8, 16), 4, 4, 4, false), x(4), Epilogue{}) },
		"short b":       func() { s.PackF32(x(11), 3, 4, 4, false) },
		"short s8 b":    func() { s.PackS8(make([]int8, 11), 3, 4, 4, true) },
		"negative k":    func() { s.PackS8(nil, -3, 4, 4, false) },
		"other tier":    func() { For(Portable).MatMulF32(x(8), 4, x(6), 3, 2, &PackedF32{K: 3, N: 4, tier: AVX2}, Epilogue{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestFMA32(t *testing.T) {
	// 1 + 2^-24 lies in the middle of two float32 values; the tiny third operand decides, although the
	// float64 sum cannot hold it.
	e, tiny := float32(0x1p-12), float32(0x1p-120)
	for _, c := range []struct{ a, b, c, want float32 }{
		{e, e, 1, 1}, {e, e, math.Nextafter32(1, 2), 1 + 0x1p-22},
		{tiny, 1, 0, tiny}, {1 + 0x1p-23, 1 + 0x1p-23, -1, 0x1p-22 + 0x1p-46},
		{math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32}, {0x1p-149, 0.5, 0, 0}, {0x1p-149, 0.75, 0, 0x1p-149},
		{0x1p-149, 0.5, 0x1p-149, 0x1p-148}, {0, 1, 0, 0},
	} {
		if got := fma32(c.a, c.b, c.c); got != c.want {
			t.Errorf("fma32(%v, %v, %v) = %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 2_000_000 {
		// p + c with c just beside a middle of two values near p.
		a, b := float32(r.NormFloat64()), float32(r.NormFloat64())
		c := math.Float32frombits(r.Uint32())
		if r.IntN(2) == 0 {
			c = float32(math.Ldexp(float64(1+r.IntN(16)), -r.IntN(60)))
		}
		got, want := fma32(a, b, c), exactFMA(a, b, c)
		if !equalBits(got, want) {
			t.Fatalf("fma32(%v, %v, %v) = %v, want %v", a, b, c, got, want)
		}
	}
}

// TestNoAllocations runs every product with buffers that have grown.
func TestNoAllocations(t *testing.T) {
	const m, n, k = 5, 70, 40
	r := rand.New(rand.NewPCG(12, 12))
	x, b, dst := randomF32(r, m*k, false), randomF32(r, k*n, false), make([]float32, m*n)
	x8, b8 := toS8(codesOf(r, m*k, -128, 127, "random")), toS8(codesOf(r, k*n, -128, 127, "random"))
	for _, tier := range testTiers(t) {
		s := For(tier)
		w, w8 := s.PackF32(b, k, n, n, false), s.PackS8(b8, k, n, n, false)
		var codes Codes
		var scratch Scratch
		scale := []float32{0.5}
		if allocs := testing.AllocsPerRun(10, func() {
			s.MatMulF32(dst, n, x, k, m, w, Epilogue{})
			s.MatMulF32Strided(dst, n, x, k, b, k, true, m, n, k, &scratch)
			s.Quantize(&codes, x, m, k, k, Quantization{Scale: 10, Lo: -12, Hi: 12})
			s.MatMulInt8(dst, n, &codes, w8, scale, Epilogue{})
			s.LoadS8(&codes, x8, m, k, k)
			s.MatMulInt8Strided(dst, n, &codes, b8, n, false, n, 0.5, &scratch)
		}); allocs != 0 {
			t.Errorf("%s: %v allocations", tier, allocs)
		}
	}
}
