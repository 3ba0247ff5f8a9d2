package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// float32Functions are the functions of one float32 vector that have kernels.
var float32Functions = map[string]func(s *kernels.Set, dst, x []float32){
	"Abs":     (*kernels.Set).Abs,
	"Erf":     (*kernels.Set).Erf,
	"Erfc":    (*kernels.Set).Erfc,
	"Exp":     (*kernels.Set).Exp,
	"Log":     (*kernels.Set).Log,
	"Neg":     (*kernels.Set).Neg,
	"Relu":    (*kernels.Set).Relu,
	"Rsqrt":   (*kernels.Set).Rsqrt,
	"Sigmoid": (*kernels.Set).Sigmoid,
	"Sqrt":    (*kernels.Set).Sqrt,
	"Square":  (*kernels.Set).Square,
	"Tanh":    (*kernels.Set).Tanh,
}

// floatFunctions are all functions of one float. The result is rounded to the operand's dtype once.
var floatFunctions = map[string]func(x float64) float64{
	"Abs":        math.Abs,
	"Acos":       math.Acos,
	"Acosh":      math.Acosh,
	"Asin":       math.Asin,
	"Asinh":      math.Asinh,
	"Atan":       math.Atan,
	"Atanh":      math.Atanh,
	"Ceil":       math.Ceil,
	"Cos":        math.Cos,
	"Cosh":       math.Cosh,
	"Digamma":    digamma,
	"Elu":        eluOf,
	"Erf":        math.Erf,
	"Erfc":       math.Erfc,
	"Erfinv":     math.Erfinv,
	"Exp":        math.Exp,
	"Expm1":      math.Expm1,
	"Floor":      math.Floor,
	"Inv":        reciprocal,
	"Lgamma":     func(x float64) float64 { v, _ := math.Lgamma(x); return v },
	"Log":        math.Log,
	"Log1p":      math.Log1p,
	"Ndtri":      func(x float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*x) },
	"Neg":        func(x float64) float64 { return -x },
	"Reciprocal": reciprocal,
	"Relu":       reluOf,
	"Relu6":      relu6Of,
	"Rint":       math.RoundToEven,
	"Round":      math.RoundToEven,
	"Rsqrt":      func(x float64) float64 { return 1 / math.Sqrt(x) },
	"Selu":       seluOf,
	"Sigmoid":    func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"Sign":       sign,
	"Sin":        math.Sin,
	"Sinh":       math.Sinh,
	"Softplus":   func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
	"Softsign":   func(x float64) float64 { return x / (1 + math.Abs(x)) },
	"Sqrt":       math.Sqrt,
	"Square":     func(x float64) float64 { return x * x },
	"Tan":        math.Tan,
	"Tanh":       math.Tanh,
}

func reciprocal(x float64) float64 { return 1 / x }

// reluOf keeps NaN and -0.
func reluOf(x float64) float64 {
	if x < 0 {
		return 0
	}
	return x
}

func relu6Of(x float64) float64 {
	if x > 6 {
		return 6
	}
	return reluOf(x)
}

func eluOf(x float64) float64 {
	if x < 0 {
		return math.Expm1(x)
	}
	return x
}

// seluOf is the scaled exponential linear unit (Klambauer et al., 2017).
func seluOf(x float64) float64 {
	const scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
	if x < 0 {
		return scale * alpha * math.Expm1(x)
	}
	return scale * x
}

// sign is NaN of NaN and 0 of both zeros.
func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	case x == 0:
		return 0
	}
	return x
}

// digamma is the derivative of Lgamma: the recurrence up to 8, then the asymptotic series, below 0 the reflection.
func digamma(x float64) float64 {
	if x <= 0 {
		if x == math.Floor(x) {
			return math.NaN()
		}
		return digamma(1-x) - math.Pi/math.Tan(math.Pi*x)
	}
	v := 0.0
	for ; x < 8; x++ {
		v -= 1 / x
	}
	y := 1 / (x * x)
	return v + math.Log(x) - 0.5/x - y*(1.0/12-y*(1.0/120-y*(1.0/252-y*(1.0/240-y*(1.0/132-y*691.0/32760)))))
}

// mapKernel writes a function of x to t, which may share its memory.
type mapKernel func(k *kernels.Set, t, x *tensor.Tensor)

// unary is the evaluator of functions of one tensor whose result has its dtype.
func unary(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	kernel := unaryKernel(n.Op(), d)
	if kernel == nil {
		return nil, noKernel(d)
	}
	return mapping1(d, d, kernel), nil
}

// mapping1 makes a step of a kernel for one operand of dtype d.
func mapping1(d, result tensor.DType, kernel mapKernel) evalFunc {
	over := uint64(0)
	if d.Size() == result.Size() {
		over = 1
	}
	return func(c *call) error {
		x := c.in(0)
		if x.DType() != d {
			return fmt.Errorf("operand is %v, want %v", x.DType(), d)
		}
		t, err := c.allocOver(0, result, x.Shape(), over)
		if err != nil || t.Len() == 0 {
			return err
		}
		kernel(c.kernels(), t, x)
		return nil
	}
}

// unaryKernel returns the kernel of op for dtype d, nil if there is none.
func unaryKernel(op string, d tensor.DType) mapKernel {
	if d == tensor.Float32 {
		if f, ok := float32Functions[op]; ok {
			return func(k *kernels.Set, t, x *tensor.Tensor) {
				f(k, tensor.Data[float32](t), tensor.Data[float32](x))
			}
		}
	}
	switch d {
	case tensor.Float32, tensor.Float64, tensor.Float16, tensor.Bfloat16:
		if f, ok := floatFunctions[op]; ok {
			return floatMap(d, f)
		}
	case tensor.Int8:
		return integerMap[int8](op)
	case tensor.Uint8:
		return integerMap[uint8](op)
	case tensor.Int16:
		return integerMap[int16](op)
	case tensor.Uint16:
		return integerMap[uint16](op)
	case tensor.Int32:
		return integerMap[int32](op)
	case tensor.Uint32:
		return integerMap[uint32](op)
	case tensor.Int64:
		return integerMap[int64](op)
	case tensor.Uint64:
		return integerMap[uint64](op)
	}
	return nil
}

// floatMap makes a kernel of a function of floats of dtype d.
func floatMap(d tensor.DType, f func(float64) float64) mapKernel {
	switch d {
	case tensor.Float32:
		return mapOf(func(x float32) float32 { return float32(f(float64(x))) })
	case tensor.Float64:
		return mapOf(f)
	case tensor.Float16:
		return mapOf(func(x uint16) uint16 { return floatToHalf(float32(f(float64(halfToFloat(x))))) })
	case tensor.Bfloat16:
		return mapOf(func(x uint16) uint16 { return floatToBfloat(float32(f(float64(bfloatToFloat(x))))) })
	}
	return nil
}

// mapOf makes a kernel of a function of one element.
func mapOf[T, U tensor.Element](f func(T) U) mapKernel {
	return func(_ *kernels.Set, t, x *tensor.Tensor) {
		dst, src := tensor.Data[U](t), tensor.Data[T](x)
		for i, v := range src {
			dst[i] = f(v)
		}
	}
}

// integerMap returns op on integers, which wrap; those that round leave them as they are.
func integerMap[T integer](op string) mapKernel {
	switch op {
	case "Abs":
		return mapOf(func(x T) T { return max(x, -x) })
	case "Neg":
		return mapOf(func(x T) T { return -x })
	case "Sign":
		return mapOf(func(x T) T {
			switch {
			case x > 0:
				return 1
			case x < 0:
				return ^T(0)
			}
			return 0
		})
	case "Square":
		return mapOf(func(x T) T { return x * x })
	case "Invert":
		return mapOf(func(x T) T { return ^x })
	case "Relu":
		return mapOf(func(x T) T { return max(x, 0) })
	case "Relu6":
		return mapOf(func(x T) T { return min(max(x, 0), 6) })
	case "Round", "Rint", "Floor", "Ceil":
		return mapOf(func(x T) T { return x })
	}
	return nil
}

// leakyRelu is x, times alpha where x is not above 0.
func leakyRelu(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	alpha := r.Float("alpha")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == tensor.Float32 {
		return mapping1(d, d, mapOf(func(x float32) float32 {
			if x > 0 {
				return x
			}
			return x * alpha
		})), nil
	}
	kernel := floatMap(d, func(x float64) float64 {
		if x > 0 {
			return x
		}
		return x * float64(alpha)
	})
	if kernel == nil {
		return nil, noKernel(d)
	}
	return mapping1(d, d, kernel), nil
}

// predicate is the evaluator of IsNan, IsInf and IsFinite.
func predicate(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	var f func(x float64) bool
	switch n.Op() {
	case "IsNan":
		f = math.IsNaN
	case "IsInf":
		f = func(x float64) bool { return math.IsInf(x, 0) }
	default:
		f = func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return mapping1(d, tensor.Bool, func(_ *kernels.Set, t, x *tensor.Tensor) {
		dst, src := tensor.Data[bool](t), floatsOf(x)
		for i := range dst {
			dst[i] = f(src.at(i))
		}
	}), nil
}

func logicalNot(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return mapping1(tensor.Bool, tensor.Bool, mapOf(func(x bool) bool { return !x })), nil
}
