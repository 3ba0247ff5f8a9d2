package kernels

import (
	"fmt"
	"math"
)

// unaryOp names a function of one vector, binaryOp one of two vectors or of a vector and a number.
type (
	unaryOp  uint8
	binaryOp uint8
)

const (
	opExp unaryOp = iota
	opTanh
	opSigmoid
	opErf
	opErfc
	opLog
	opGeluTanh
	opGeluErf
	opRelu
	opSqrt
	opRsqrt
	opSquare
	opNeg
	opAbs
	unaryCount
)

const (
	opAdd binaryOp = iota
	opSub
	opMul
	opDiv
	opMax
	opMin
	opAddScalar
	opMulScalar
	opDivScalar
	opScalarSub
	opScalarDiv
	opMaxScalar
	opMinScalar
	binaryCount
)

// piece is the number of values that one call of assembly takes at most, apart from a longer row: the garbage
// collector cannot interrupt assembly, and so waits for less than 50 us.
const piece = 1 << 16

// checkLen panics unless n, the length of an operand, is want.
func checkLen(name, operand string, n, want int) {
	if n != want {
		panic(fmt.Sprintf("kernels: %s: len(%s) = %d, want %d", name, operand, n, want))
	}
}

// Exp writes e^x to dst, which may be x; both have the same length. Results are within 1 ulp; below
// -87.33654, where they would be subnormal, they are 0, and above 88.72283 +Inf. NaN stays NaN.
func (s *Set) Exp(dst, x []float32) { s.unary("Exp", opExp, dst, x) }

// Tanh writes tanh(x) to dst, which may be x, within 3 ulp. Signed zeros and NaN stay.
func (s *Set) Tanh(dst, x []float32) { s.unary("Tanh", opTanh, dst, x) }

// Sigmoid writes 1/(1+e^-x) to dst, which may be x, within 3 ulp down to the least normal number, below
// which it is 0. NaN stays NaN.
func (s *Set) Sigmoid(dst, x []float32) { s.unary("Sigmoid", opSigmoid, dst, x) }

// Erf writes the error function of x to dst, which may be x, within 2 ulp. Signed zeros and NaN stay.
func (s *Set) Erf(dst, x []float32) { s.unary("Erf", opErf, dst, x) }

// Erfc writes 1-erf(x) to dst, which may be x, within 8 ulp, also in the right tail, where 1-erf(x) would
// cancel; subnormal results may be 0. NaN stays NaN.
func (s *Set) Erfc(dst, x []float32) { s.unary("Erfc", opErfc, dst, x) }

// Log writes the natural logarithm of x to dst, which may be x, within 1 ulp. Negative numbers give NaN,
// zeros and positive subnormal numbers -Inf. NaN stays NaN.
func (s *Set) Log(dst, x []float32) { s.unary("Log", opLog, dst, x) }

// GeluTanh writes x/2 (1+tanh(sqrt(2/pi) (x+0.044715 x^3))) to dst, which may be x: TensorFlow's approximate
// GELU. Results are within 8 ulp or 2e-8; -Inf gives -0, the limit, and NaN stays NaN.
func (s *Set) GeluTanh(dst, x []float32) { s.unary("GeluTanh", opGeluTanh, dst, x) }

// GeluErf writes the exact GELU, x/2 erfc(-x/sqrt(2)), to dst, which may be x, within 8 ulp, also in the left
// tail until the result is subnormal, where it may be 0. -Inf gives 0, the limit; NaN stays NaN.
func (s *Set) GeluErf(dst, x []float32) { s.unary("GeluErf", opGeluErf, dst, x) }

// Relu writes max(x, 0) to dst, which may be x; NaN and -0 stay.
func (s *Set) Relu(dst, x []float32) { s.unary("Relu", opRelu, dst, x) }

// Sqrt writes the correctly rounded square root of x to dst, which may be x.
func (s *Set) Sqrt(dst, x []float32) { s.unary("Sqrt", opSqrt, dst, x) }

// Rsqrt writes 1/sqrt(x), both steps correctly rounded, to dst, which may be x.
func (s *Set) Rsqrt(dst, x []float32) { s.unary("Rsqrt", opRsqrt, dst, x) }

// Square writes x*x to dst, which may be x.
func (s *Set) Square(dst, x []float32) { s.unary("Square", opSquare, dst, x) }

// Neg writes -x to dst, which may be x.
func (s *Set) Neg(dst, x []float32) { s.unary("Neg", opNeg, dst, x) }

// Abs writes |x| to dst, which may be x.
func (s *Set) Abs(dst, x []float32) { s.unary("Abs", opAbs, dst, x) }

// Add writes a+b to dst, which may be a or b. All three have the same length, as in the other functions of
// two vectors.
func (s *Set) Add(dst, a, b []float32) { s.binary("Add", opAdd, dst, a, b) }

// Sub writes a-b to dst, which may be a or b.
func (s *Set) Sub(dst, a, b []float32) { s.binary("Sub", opSub, dst, a, b) }

// Mul writes a*b to dst, which may be a or b.
func (s *Set) Mul(dst, a, b []float32) { s.binary("Mul", opMul, dst, a, b) }

// Div writes a/b to dst, which may be a or b.
func (s *Set) Div(dst, a, b []float32) { s.binary("Div", opDiv, dst, a, b) }

// Max writes the greater of a and b to dst, which may be a or b; NaN in either gives NaN, as TensorFlow's
// Maximum. Of two zeros it is b's.
func (s *Set) Max(dst, a, b []float32) { s.binary("Max", opMax, dst, a, b) }

// Min writes the lesser of a and b to dst, which may be a or b; NaN in either gives NaN, as TensorFlow's
// Minimum. Of two zeros it is b's.
func (s *Set) Min(dst, a, b []float32) { s.binary("Min", opMin, dst, a, b) }

// AddScalar writes a+v to dst, which may be a.
func (s *Set) AddScalar(dst, a []float32, v float32) {
	s.scalar("AddScalar", opAddScalar, dst, a, v)
}

// SubScalar writes a-v to dst, which may be a.
func (s *Set) SubScalar(dst, a []float32, v float32) {
	s.scalar("SubScalar", opAddScalar, dst, a, -v)
}

// MulScalar writes a*v to dst, which may be a.
func (s *Set) MulScalar(dst, a []float32, v float32) {
	s.scalar("MulScalar", opMulScalar, dst, a, v)
}

// DivScalar writes a/v to dst, which may be a; it divides, since the product with 1/v is rounded twice.
func (s *Set) DivScalar(dst, a []float32, v float32) {
	s.scalar("DivScalar", opDivScalar, dst, a, v)
}

// ScalarSub writes v-a to dst, which may be a.
func (s *Set) ScalarSub(dst []float32, v float32, a []float32) {
	s.scalar("ScalarSub", opScalarSub, dst, a, v)
}

// ScalarDiv writes v/a to dst, which may be a.
func (s *Set) ScalarDiv(dst []float32, v float32, a []float32) {
	s.scalar("ScalarDiv", opScalarDiv, dst, a, v)
}

// MaxScalar writes the greater of a and v to dst, which may be a, with the rules of Max.
func (s *Set) MaxScalar(dst, a []float32, v float32) {
	s.scalar("MaxScalar", opMaxScalar, dst, a, v)
}

// MinScalar writes the lesser of a and v to dst, which may be a, with the rules of Min.
func (s *Set) MinScalar(dst, a []float32, v float32) {
	s.scalar("MinScalar", opMinScalar, dst, a, v)
}

func (s *Set) unary(name string, op unaryOp, dst, x []float32) {
	checkLen(name, "dst", len(dst), len(x))
	if len(x) > 0 && !unaryAsm(s.tier, op, dst, x) {
		unaryPortable(op, dst, x)
	}
}

func (s *Set) binary(name string, op binaryOp, dst, a, b []float32) {
	checkLen(name, "b", len(b), len(a))
	checkLen(name, "dst", len(dst), len(a))
	if len(a) > 0 && !binaryAsm(s.tier, op, dst, a, b) {
		binaryPortable(op, dst, a, b)
	}
}

func (s *Set) scalar(name string, op binaryOp, dst, a []float32, v float32) {
	checkLen(name, "dst", len(dst), len(a))
	if len(a) > 0 && !scalarAsm(s.tier, op, dst, a, v) {
		scalarPortable(op, dst, a, v)
	}
}

var unaryFuncs = [unaryCount]func(float32) float32{
	opExp:      exp32,
	opTanh:     tanh32,
	opSigmoid:  sigmoid32,
	opErf:      erf32,
	opErfc:     erfc32,
	opLog:      log32,
	opGeluTanh: geluTanh32,
	opGeluErf:  geluErf32,
	opRelu:     relu32,
	opSqrt:     func(x float32) float32 { return float32(math.Sqrt(float64(x))) },
	opRsqrt:    func(x float32) float32 { return 1 / float32(math.Sqrt(float64(x))) },
	opSquare:   func(x float32) float32 { return x * x },
	opNeg:      func(x float32) float32 { return -x },
	opAbs:      func(x float32) float32 { return copySign(x, 0) },
}

func unaryPortable(op unaryOp, dst, x []float32) {
	f := unaryFuncs[op]
	for i, v := range x {
		dst[i] = f(v)
	}
}

// binaryPortable has one loop per operation, since a call per element would cost more than the operation.
func binaryPortable(op binaryOp, dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	switch op {
	case opAdd:
		for i, v := range a {
			dst[i] = v + b[i]
		}
	case opSub:
		for i, v := range a {
			dst[i] = v - b[i]
		}
	case opMul:
		for i, v := range a {
			dst[i] = v * b[i]
		}
	case opDiv:
		for i, v := range a {
			dst[i] = v / b[i]
		}
	case opMax:
		for i, v := range a {
			dst[i] = max32(v, b[i])
		}
	case opMin:
		for i, v := range a {
			dst[i] = min32(v, b[i])
		}
	}
}

func scalarPortable(op binaryOp, dst, a []float32, w float32) {
	dst = dst[:len(a)]
	switch op {
	case opAddScalar:
		for i, v := range a {
			dst[i] = v + w
		}
	case opMulScalar:
		for i, v := range a {
			dst[i] = v * w
		}
	case opDivScalar:
		for i, v := range a {
			dst[i] = v / w
		}
	case opScalarSub:
		for i, v := range a {
			dst[i] = w - v
		}
	case opScalarDiv:
		for i, v := range a {
			dst[i] = w / v
		}
	case opMaxScalar:
		for i, v := range a {
			dst[i] = max32(v, w)
		}
	case opMinScalar:
		for i, v := range a {
			dst[i] = min32(v, w)
		}
	}
}

// max32 returns NaN if either is, else the greater one, b where they are equal.
func max32(a, b float32) float32 {
	if a > b || a != a {
		return a
	}
	return b
}

// min32 returns NaN if either is, else the lesser one, b where they are equal.
func min32(a, b float32) float32 {
	if a < b || a != a {
		return a
	}
	return b
}
