package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// softmax64 is the softmax of one row, and the logarithm of it, in float64.
func softmax64(x []float64) (y, logY []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = math.Max(top, v)
	}
	y, logY = make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v - top)
		sum += y[i]
	}
	for i, v := range x {
		y[i] /= sum
		logY[i] = v - top - math.Log(sum)
	}
	return y, logY
}

func normal(r *rand.Rand, n int, sigma float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * sigma)
	}
	return x
}

// closeTo32 reports whether got is want within a relative or absolute error.
func closeTo32(got float32, want, rel, abs float64) bool {
	g := float64(got)
	return g == want || g != g && want != want || math.Abs(g-want) <= math.Max(rel*math.Abs(want), abs)
}

func TestSoftmaxAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range vecTiers() {
		for _, cols := range vecLengths() {
			const rows = 3
			x := normal(r, rows*cols, 5)
			mask := normal(r, rows*cols, 1)
			dst, logDst, masked := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
			s.Softmax(dst, x, rows, cols)
			s.LogSoftmax(logDst, x, rows, cols)
			s.SoftmaxMasked(masked, x, rows, cols, 0.25, mask, cols)
			for i := range rows {
				wide, wideMasked := make([]float64, cols), make([]float64, cols)
				for j := range wide {
					wide[j] = float64(x[i*cols+j])
					wideMasked[j] = float64(x[i*cols+j]*0.25 + mask[i*cols+j])
				}
				want, wantLog := softmax64(wide)
				wantMasked, _ := softmax64(wideMasked)
				for j := range want {
					if got := dst[i*cols+j]; !closeTo32(got, want[j], 3e-6, 0) {
						t.Fatalf("%s, cols %d: Softmax = %v, want %v", s.Tier(), cols, got, want[j])
					}
					if got := masked[i*cols+j]; !closeTo32(got, wantMasked[j], 3e-6, 0) {
						t.Fatalf("%s, cols %d: SoftmaxMasked = %v, want %v", s.Tier(), cols, got, wantMasked[j])
					}
					if got := logDst[i*cols+j]; !closeTo32(got, wantLog[j], 2e-7, 2e-6) {
						t.Fatalf("%s, cols %d: LogSoftmax = %v, want %v", s.Tier(), cols, got, wantLog[j])
					}
				}
			}
		}
	}
}

func TestSoftmaxSpecialRows(t *testing.T) {
	for _, s := range vecTiers() {
		for _, n := range []int{1, 3, 8, 9, 33, 100} {
			for _, c := range []struct {
				name        string
				fill, first float32
				want, head  float32 // of the first value, and of the others
			}{
				{"only -Inf", -inf32, -inf32, nan32, nan32},
				{"one finite", -inf32, 3, 0, 1},
				{"far below", -1e9, 3, 0, 1},
				{"NaN", 1, nan32, nan32, nan32},
				{"NaN with payload", 1, math.Float32frombits(0x7fc12345), nan32, nan32},
				{"+Inf", 1, inf32, nan32, nan32},
			} {
				x, dst := make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = c.fill
				}
				x[n/2] = c.first
				for form := range 3 {
					switch form {
					case 0:
						s.Softmax(dst, x, 1, n)
					case 1:
						s.SoftmaxMasked(dst, x, 1, n, 0.5, nil, 0)
					case 2:
						zero := make([]float32, n)
						s.SoftmaxMasked(dst, zero, 1, n, 2, x, 0)
					}
					for i, got := range dst {
						want := c.want
						if i == n/2 {
							want = c.head
						}
						if !same32(got, want) {
							t.Fatalf("%s, %s, %d columns, form %d: [%d] = %v, want %v", s.Tier(), c.name, n, form, i, got, want)
						}
					}
				}
			}
		}
	}
}

// rowFunctions are the functions of rows in a common form; b and c are further operands of the size of a row.
var rowFunctions = map[string]func(s *Set, dst, x, full, b, c []float32, rows, cols int){
	"Softmax":    func(s *Set, dst, x, _, _, _ []float32, rows, cols int) { s.Softmax(dst, x, rows, cols) },
	"LogSoftmax": func(s *Set, dst, x, _, _, _ []float32, rows, cols int) { s.LogSoftmax(dst, x, rows, cols) },
	"SoftmaxMasked, scale only": func(s *Set, dst, x, _, _, _ []float32, rows, cols int) {
		s.SoftmaxMasked(dst, x, rows, cols, 0.125, nil, 0)
	},
	"SoftmaxMasked, one row": func(s *Set, dst, x, _, b, _ []float32, rows, cols int) {
		s.SoftmaxMasked(dst, x, rows, cols, 0.7, b, 0)
	},
	"SoftmaxMasked, all rows": func(s *Set, dst, x, full, _, _ []float32, rows, cols int) {
		s.SoftmaxMasked(dst, x, rows, cols, 1, full, cols)
	},
	"LayerNorm": func(s *Set, dst, x, _, b, c []float32, rows, cols int) {
		s.LayerNorm(dst, x, rows, cols, b, c, 1e-6)
	},
	"LayerNormAdd": func(s *Set, dst, x, full, b, c []float32, rows, cols int) {
		s.LayerNormAdd(dst, dst, x, full, rows, cols, b, c, 1e-6)
	},
	"RMSNorm": func(s *Set, dst, x, _, b, _ []float32, rows, cols int) {
		s.RMSNorm(dst, x, rows, cols, b, 1e-6)
	},
}

// TestRowsAgree compares all tiers with the portable one, bit by bit, in place and not, and each row with the
// same row alone.
func TestRowsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	value := func(int) float32 { return float32(r.NormFloat64() * 4) }
	for name, f := range rowFunctions {
		for _, s := range vecTiers() {
			name := fmt.Sprintf("%s, %s", name, s.Tier())
			for _, cols := range vecLengths() {
				const rows = 3
				x, _ := guarded(t, rows*cols, value)
				full, _ := guarded(t, rows*cols, value)
				b, _ := guarded(t, cols, value)
				c, _ := guarded(t, cols, value)
				want := make([]float32, rows*cols)
				for i := range rows {
					first, end := i*cols, (i+1)*cols
					f(For(Portable), want[first:end], x[first:end], full[first:end], b, c, 1, cols)
				}
				dst, check := guarded(t, rows*cols, func(int) float32 { return nan32 })
				f(s, dst, x, full, b, c, rows, cols)
				check(name)
				reportBits(t, fmt.Sprintf("%s, cols %d", name, cols), dst, want, x)
				in, check := guarded(t, rows*cols, func(i int) float32 { return x[i] })
				f(s, in, in, full, b, c, rows, cols)
				check(name)
				reportBits(t, fmt.Sprintf("%s, cols %d, in place", name, cols), in, want, x)
			}
		}
	}
}

// TestRowsInPieces covers matrices that take several calls of assembly.
func TestRowsInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const rows, cols = 2*piece/1000 + 7, 1000
	x, full := normal(r, rows*cols, 3), normal(r, rows*cols, 3)
	b, c := normal(r, cols, 1), normal(r, cols, 1)
	want, got := make([]float32, rows*cols), make([]float32, rows*cols)
	for name, f := range rowFunctions {
		f(For(Portable), want, x, full, b, c, rows, cols)
		f(For(Best()), got, x, full, b, c, rows, cols)
		reportBits(t, name, got, want, x)
	}
}

func TestLayerNormAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, s := range vecTiers() {
		for _, cols := range []int{1, 2, 7, 64, 256, 1000} {
			for _, offset := range []float32{0, 3, 100} {
				x, gamma, beta := normal(r, cols, 2), normal(r, cols, 1), normal(r, cols, 1)
				mean, variance, square := 0.0, 0.0, 0.0
				for i := range x {
					x[i] += offset
					mean += float64(x[i]) / float64(cols)
					square += float64(x[i]) * float64(x[i]) / float64(cols)
				}
				for _, v := range x {
					variance += (float64(v) - mean) * (float64(v) - mean) / float64(cols)
				}
				const eps = 1e-3
				dst, rms := make([]float32, cols), make([]float32, cols)
				s.LayerNorm(dst, x, 1, cols, gamma, beta, eps)
				s.RMSNorm(rms, x, 1, cols, gamma, eps)
				for i, v := range x {
					g := float64(gamma[i])
					// The mean is rounded to float32, which an offset makes visible.
					bound := 1e-6 * (1 + math.Abs(g)) * (1 + math.Abs(float64(offset)))
					if want := (float64(v)-mean)/math.Sqrt(variance+eps)*g + float64(beta[i]); !closeTo32(dst[i], want, 1e-6, bound) {
						t.Fatalf("%s, cols %d, offset %v: LayerNorm = %v, want %v", s.Tier(), cols, offset, dst[i], want)
					}
					if want := float64(v) / math.Sqrt(square+eps) * g; !closeTo32(rms[i], want, 2e-6, 0) {
						t.Fatalf("%s, cols %d, offset %v: RMSNorm = %v, want %v", s.Tier(), cols, offset, rms[i], want)
					}
				}
			}
		}
	}
}

func TestLayerNormAddKeepsSums(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, s := range vecTiers() {
		const rows, cols = 2, 45
		x, add := normal(r, rows*cols, 2), normal(r, rows*cols, 2)
		gamma, beta := normal(r, cols, 1), normal(r, cols, 1)
		want, wantSum := make([]float32, len(x)), make([]float32, len(x))
		s.Add(wantSum, x, add)
		s.LayerNorm(want, wantSum, rows, cols, gamma, beta, 1e-5)
		dst := make([]float32, len(x))
		s.LayerNormAdd(dst, x, x, add, rows, cols, gamma, beta, 1e-5)
		reportBits(t, "sum", x, wantSum, nil)
		reportBits(t, "dst", dst, want, nil)
	}
}

func TestReductions(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	p := For(Portable)
	for _, s := range vecTiers() {
		for _, n := range append(vecLengths(), piece+5) {
			x, _ := guarded(t, n, func(int) float32 { return float32(r.NormFloat64()) - 3 })
			sum, squares := 0.0, 0.0
			for _, v := range x {
				sum += float64(v)
				squares += float64(v) * float64(v)
			}
			if got := s.Sum(x); !closeTo32(got, sum, 1e-6*math.Sqrt(float64(n+1)), 0) || got != p.Sum(x) {
				t.Errorf("%s, length %d: Sum = %v, want %v and as portable %v", s.Tier(), n, got, sum, p.Sum(x))
			}
			if got := s.SumSquares(x); !closeTo32(got, squares, 1e-6*math.Sqrt(float64(n+1)), 0) || got != p.SumSquares(x) {
				t.Errorf("%s, length %d: SumSquares = %v, want %v", s.Tier(), n, got, squares)
			}
			if got, want := s.SumSquaredDeviations(x, -2.9), p.SumSquaredDeviations(x, -2.9); got != want {
				t.Errorf("%s, length %d: SumSquaredDeviations = %v, want %v", s.Tier(), n, got, want)
			}
			if got, want := s.LogSumExp(x), p.LogSumExp(x); got != want {
				t.Errorf("%s, length %d: LogSumExp = %v, want %v", s.Tier(), n, got, want)
			}
			// The extremes at every position, so that each loop and tail is seen to count.
			for _, at := range []int{0, n / 2, n - 3, n - 1} {
				if at < 0 || n < 4 {
					continue
				}
				old := x[at]
				x[at] = 50
				if got := s.MaxValue(x); got != 50 {
					t.Errorf("%s, length %d: MaxValue = %v, want 50 at %d", s.Tier(), n, got, at)
				}
				if got := s.ArgMax(x); got != at {
					t.Errorf("%s, length %d: ArgMax = %v, want %d", s.Tier(), n, got, at)
				}
				x[at] = -60
				if got := s.MinValue(x); got != -60 {
					t.Errorf("%s, length %d: MinValue = %v, want -60 at %d", s.Tier(), n, got, at)
				}
				if got := s.MaxAbs(x); got != 60 {
					t.Errorf("%s, length %d: MaxAbs = %v, want 60", s.Tier(), n, got)
				}
				x[at] = nan32
				if lo, hi, nans := s.MinMax(x); nans != 1 || lo != lo || hi != hi || hi > 10 {
					t.Errorf("%s, length %d: MinMax = %v, %v, %d with one NaN", s.Tier(), n, lo, hi, nans)
				}
				if s.MaxValue(x) == s.MaxValue(x) || s.MinValue(x) == s.MinValue(x) || s.MaxAbs(x) == s.MaxAbs(x) {
					t.Errorf("%s, length %d: a NaN was lost", s.Tier(), n)
				}
				x[at] = old
			}
		}
		if s.Sum(nil) != 0 || s.SumSquares(nil) != 0 || s.MaxAbs(nil) != 0 || s.MaxValue(nil) != -inf32 ||
			s.MinValue(nil) != inf32 || s.LogSumExp(nil) != -inf32 || s.ArgMax(nil) != -1 {
			t.Errorf("%s: wrong reduction of nothing", s.Tier())
		}
	}
}

func TestLogSumExp(t *testing.T) {
	for _, s := range vecTiers() {
		for _, c := range []struct {
			x    []float32
			want float64
		}{
			{[]float32{0, 0}, math.Ln2},
			{[]float32{1000, 1000, -1000}, 1000 + math.Ln2},
			{[]float32{-inf32, -inf32}, math.Inf(-1)},
			{[]float32{-inf32, 4}, 4},
			{[]float32{inf32, 4}, math.Inf(1)},
			{[]float32{nan32, 4}, math.NaN()},
		} {
			if got := s.LogSumExp(c.x); !closeTo32(got, c.want, 1e-7, 0) {
				t.Errorf("%s: LogSumExp(%v) = %v, want %v", s.Tier(), c.x, got, c.want)
			}
		}
	}
}
