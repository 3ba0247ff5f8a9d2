package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// vecTiers are the kernels that this machine can run, portable first.
func vecTiers() []*Set {
	var sets []*Set
	for t := Portable; t <= AVX512VNNI; t++ {
		if Supported(t) {
			sets = append(sets, For(t))
		}
	}
	return sets
}

var (
	nan32 = float32(math.NaN())
	inf32 = float32(math.Inf(1))
)

// vecSpecials are the values at the edges of what the functions treat alike.
var vecSpecials = []float32{0, float32(math.Copysign(0, -1)), 1, -1, inf32, -inf32, nan32,
	math.Float32frombits(0x7fc00001), math.Float32frombits(0xff8abcde), math.MaxFloat32, -math.MaxFloat32,
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, -0x1p-126, 0x1.fffffcp-127, 0.5, 2, -2,
	expMin, -87.33655, -87.5, -88, -104, -1e9, 88.3, 88.5, expMax, 88.72284, 89, 1e9, 10, -10, 16, -16, 1e20, -1e20, 100, -100}

// vecSweep returns the specials, every stride-th float32, and values of ordinary size.
func vecSweep(stride uint64) []float32 {
	x := append([]float32(nil), vecSpecials...)
	for bits := uint64(0); bits < 1<<32; bits += stride {
		x = append(x, math.Float32frombits(uint32(bits)))
	}
	for v := -110.0; v < 110; v += 0.00173 {
		x = append(x, float32(v))
	}
	for v := -6.0; v < 6; v += 0.00017 {
		x = append(x, float32(v))
	}
	return x
}

// ulp32 is the distance of float32 values at v.
func ulp32(v float64) float64 {
	_, e := math.Frexp(v)
	return math.Ldexp(1, max(e-1, -126)-23)
}

func same32(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

var unaryNames = [unaryCount]string{"Exp", "Tanh", "Sigmoid", "Erf", "Erfc", "Log", "GeluTanh", "GeluErf", "Relu",
	"Sqrt", "Rsqrt", "Square", "Neg", "Abs"}

// unaryRefs are the functions in float64 and the bounds of Set's in ulp of float32.
var unaryRefs = [unaryCount]struct {
	f   func(float64) float64
	ulp float64
	abs float64 // allowed as well
}{
	opExp:      {math.Exp, 1, 0},
	opTanh:     {math.Tanh, 3, 0},
	opSigmoid:  {func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3, 0},
	opErf:      {math.Erf, 2, 0},
	opErfc:     {math.Erfc, 8, 0},
	opLog:      {math.Log, 1, 0},
	opGeluTanh: {func(x float64) float64 { return x / (1 + math.Exp(geluSlope*(x+0.044715*x*x*x))) }, 8, 2e-8},
	opGeluErf:  {func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }, 8, 0},
	opRelu:     {func(x float64) float64 { return max(x, 0) }, 0, 0},
	opSqrt:     {math.Sqrt, 0.5, 0},
	opRsqrt:    {func(x float64) float64 { return 1 / math.Sqrt(x) }, 1.5, 0},
	opSquare:   {func(x float64) float64 { return x * x }, 0.5, 0},
	opNeg:      {func(x float64) float64 { return -x }, 0, 0},
	opAbs:      {math.Abs, 0, 0},
}

func TestUnaryAccuracy(t *testing.T) {
	x := vecSweep(8209)
	got := make([]float32, len(x))
	for op := range unaryCount {
		t.Run(unaryNames[op], func(t *testing.T) {
			ref := unaryRefs[op]
			For(Best()).unary("", op, got, x)
			worst, worstAt, failures := 0.0, float32(0), 0
			for i, v := range x {
				want := ref.f(float64(v))
				if op == opLog && v >= 0 && v < 0x1p-126 {
					want = math.Inf(-1)
				}
				if math.IsInf(float64(v), -1) && (op == opGeluTanh || op == opGeluErf) {
					want = 0
				}
				g := float64(got[i])
				switch {
				case want != want:
					if g == g {
						t.Errorf("%s(%v) = %v, want NaN", unaryNames[op], v, g)
					}
					continue
				case float64(float32(want)) == g, math.Abs(want) < 0x1p-126 && math.Abs(g) < 0x1.1p-126:
					continue
				case math.Abs(g-want) <= ref.abs:
					continue
				}
				u := math.Abs(g-want) / ulp32(want)
				if u > worst || u != u {
					worst, worstAt = u, v
				}
				if !(u <= ref.ulp) {
					if failures++; failures < 4 {
						t.Errorf("%s(%v) = %v, want %v: %.2f ulp, allowed %v", unaryNames[op], v, g, want, u, ref.ulp)
					}
				}
			}
			t.Logf("worst %.3f ulp at %v, %d failures", worst, worstAt, failures)
		})
	}
}

// TestTiersAgreeUnary also covers the portable functions, which have the bounds above by being equal.
func TestTiersAgreeUnary(t *testing.T) {
	x := vecSweep(65521)
	want, got := make([]float32, len(x)), make([]float32, len(x))
	for op := range unaryCount {
		for _, s := range vecTiers() {
			if s.Tier() == Portable {
				s.unary("", op, want, x)
				continue
			}
			s.unary("", op, got, x)
			reportBits(t, fmt.Sprintf("%s, %s", unaryNames[op], s.Tier()), got, want, x)
		}
	}
}

// reportBits fails t where got and want are not the same bits (or both NaN).
func reportBits(t *testing.T, name string, got, want, x []float32) {
	t.Helper()
	failures := 0
	for i := range got {
		if !same32(got[i], want[i]) {
			if failures++; failures < 4 {
				at := float32(0)
				if i < len(x) {
					at = x[i]
				}
				t.Errorf("%s: [%d] = %v (%08x) for x = %v, want %v (%08x)", name, i, got[i],
					math.Float32bits(got[i]), at, want[i], math.Float32bits(want[i]))
			}
		}
	}
	if failures > 3 {
		t.Errorf("%s: %d of %d differ", name, failures, len(got))
	}
}

// vecLengths are the lengths that reach every combination of loops and tails.
func vecLengths() []int {
	var n []int
	for i := range 68 {
		n = append(n, i)
	}
	return append(n, 127, 128, 129, 1000, 1023, 1025)
}

const guard = 12345.5

// guarded returns n values of f between guards, at an odd offset, and a function that checks the guards.
func guarded(t *testing.T, n int, f func(i int) float32) ([]float32, func(name string)) {
	t.Helper()
	const margin = 17
	all := make([]float32, n+2*margin)
	for i := range all {
		all[i] = guard
	}
	x := all[margin : margin+n : margin+n]
	for i := range x {
		x[i] = f(i)
	}
	return x, func(name string) {
		t.Helper()
		for i := range margin {
			if all[i] != guard || all[len(all)-1-i] != guard {
				t.Fatalf("%s, length %d: a guard was overwritten", name, n)
			}
		}
	}
}

func TestUnaryLengthsAndAliasing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	value := func(int) float32 { return float32(r.NormFloat64() * 3) }
	for op := range unaryCount {
		for _, s := range vecTiers() {
			name := fmt.Sprintf("%s, %s", unaryNames[op], s.Tier())
			for _, n := range vecLengths() {
				x, _ := guarded(t, n, value)
				want := make([]float32, n)
				unaryPortable(op, want, x)
				dst, check := guarded(t, n, func(int) float32 { return nan32 })
				s.unary("", op, dst, x)
				check(name)
				reportBits(t, name, dst, want, x)
				in, check := guarded(t, n, func(i int) float32 { return x[i] })
				s.unary("", op, in, in)
				check(name)
				reportBits(t, name+", in place", in, want, x)
			}
		}
	}
}

func TestBinary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	value := func(int) float32 {
		if r.IntN(4) == 0 {
			return vecSpecials[r.IntN(len(vecSpecials))]
		}
		return float32(r.NormFloat64())
	}
	for op := range binaryCount {
		for _, s := range vecTiers() {
			name := fmt.Sprintf("operation %d, %s", op, s.Tier())
			for _, n := range vecLengths() {
				a, _ := guarded(t, n, value)
				b, _ := guarded(t, n, value)
				v := value(0)
				run := func(s *Set, dst, a, b []float32) {
					if op < opAddScalar {
						s.binary("", op, dst, a, b)
					} else {
						s.scalar("", op, dst, a, v)
					}
				}
				want := make([]float32, n)
				run(For(Portable), want, a, b)
				dst, check := guarded(t, n, func(int) float32 { return 0 })
				run(s, dst, a, b)
				check(name)
				reportBits(t, name, dst, want, a)
				in, check := guarded(t, n, func(i int) float32 { return a[i] })
				run(s, in, in, b)
				check(name)
				reportBits(t, name+", dst = a", in, want, a)
				in, check = guarded(t, n, func(i int) float32 { return b[i] })
				if op < opAddScalar {
					run(s, in, a, in)
					check(name)
					reportBits(t, name+", dst = b", in, want, a)
				}
			}
		}
	}
}

func TestBinaryValues(t *testing.T) {
	negZero := float32(math.Copysign(0, -1))
	for _, s := range vecTiers() {
		for _, c := range []struct {
			name string
			f    func(dst, a, b []float32)
			a, b float32
			want float32
		}{
			{"Add", s.Add, 1, 2, 3}, {"Sub", s.Sub, 1, 2, -1}, {"Mul", s.Mul, 3, 2, 6}, {"Div", s.Div, 1, 4, 0.25},
			{"Max", s.Max, 1, 2, 2}, {"Max", s.Max, 2, 1, 2}, {"Max", s.Max, nan32, 1, nan32}, {"Max", s.Max, 1, nan32, nan32},
			{"Max", s.Max, 0, negZero, negZero}, {"Max", s.Max, negZero, 0, 0}, {"Max", s.Max, -inf32, 1, 1},
			{"Min", s.Min, 1, 2, 1}, {"Min", s.Min, 2, 1, 1}, {"Min", s.Min, nan32, 1, nan32}, {"Min", s.Min, 1, nan32, nan32},
			{"Min", s.Min, 0, negZero, negZero}, {"Min", s.Min, -inf32, 1, -inf32},
			{"AddScalar", func(dst, a, b []float32) { s.AddScalar(dst, a, b[0]) }, 1, 2, 3},
			{"SubScalar", func(dst, a, b []float32) { s.SubScalar(dst, a, b[0]) }, 1, 2, -1},
			{"MulScalar", func(dst, a, b []float32) { s.MulScalar(dst, a, b[0]) }, 3, 2, 6},
			{"DivScalar", func(dst, a, b []float32) { s.DivScalar(dst, a, b[0]) }, 3, 2, 1.5},
			{"ScalarSub", func(dst, a, b []float32) { s.ScalarSub(dst, b[0], a) }, 3, 2, -1},
			{"ScalarDiv", func(dst, a, b []float32) { s.ScalarDiv(dst, b[0], a) }, 4, 2, 0.5},
			{"MaxScalar", func(dst, a, b []float32) { s.MaxScalar(dst, a, b[0]) }, 4, nan32, nan32},
			{"MaxScalar", func(dst, a, b []float32) { s.MaxScalar(dst, a, b[0]) }, nan32, 4, nan32},
			{"MinScalar", func(dst, a, b []float32) { s.MinScalar(dst, a, b[0]) }, 4, 6, 4},
			{"MinScalar", func(dst, a, b []float32) { s.MinScalar(dst, a, b[0]) }, 4, 2, 2},
		} {
			a, b, dst := make([]float32, 9), make([]float32, 9), make([]float32, 9)
			for i := range a {
				a[i], b[i] = c.a, c.b
			}
			c.f(dst, a, b)
			for _, got := range dst {
				if !same32(got, c.want) {
					t.Fatalf("%s, %s(%v, %v) = %v, want %v", s.Tier(), c.name, c.a, c.b, got, c.want)
				}
			}
		}
	}
}

func TestLengthMismatchPanics(t *testing.T) {
	s := For(Best())
	four, five := make([]float32, 4), make([]float32, 5)
	for name, f := range map[string]func(){
		"Exp":       func() { s.Exp(four, five) },
		"Add":       func() { s.Add(five, five, four) },
		"AddScalar": func() { s.AddScalar(four, five, 1) },
		"Softmax":   func() { s.Softmax(five, four, 1, 5) },
		"LayerNorm": func() { s.LayerNorm(four, four, 1, 4, four, five, 0) },
		"TopK":      func() { s.TopK(four, 5, five, make([]int32, 5), new(TopKScratch)) },
		"QuantizeS8": func() {
			s.QuantizeS8(make([]int8, 4), five, 1, -1, 1, HalfToEven)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s accepted operands of different lengths", name)
				}
			}()
			f()
		}()
	}
}
