package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// binary is a step of two operands that broadcast.
type binary struct {
	dtype  tensor.DType // of the operands
	result tensor.DType
	kernel binaryKernel
	check  func(b *tensor.Tensor) error // refuses values of the second operand; nil: all are fine
	// unequal, for Equal and NotEqual that compare any two shapes, is the answer for shapes that do not broadcast.
	unequal *bool
}

// operandType returns the dtype of n's operands: its attribute T, or the one of its inputs.
func operandType(n *graphdef.Node) (tensor.DType, error) {
	r := n.AttrReader()
	d := r.Type("T")
	return d, r.Err()
}

// noKernel says that op does not work on d.
func noKernel(d tensor.DType) error {
	return fmt.Errorf("is not defined for operands of dtype %v", d)
}

// arithmetic is the evaluator of functions whose result has the operands' dtype.
func arithmetic(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if d == tensor.String && (n.Op() == "Add" || n.Op() == "AddV2") {
		return concatStrings, nil
	}
	b := &binary{dtype: d, result: d, kernel: arithmeticKernel(n.Op(), d)}
	if b.kernel == nil {
		return nil, noKernel(d)
	}
	if d.IsInteger() {
		switch n.Op() {
		case "Div", "FloorDiv", "TruncateDiv", "FloorMod", "Mod", "TruncateMod":
			b.check = refuseZeros
		case "Pow":
			b.check = refuseNegatives
		}
	}
	return b.eval, nil
}

func (b *binary) eval(c *call) error {
	x, y := c.in(0), c.in(1)
	if x.DType() != b.dtype || y.DType() != b.dtype {
		return fmt.Errorf("operands are %v and %v, want %v", x.DType(), y.DType(), b.dtype)
	}
	w := &c.walk
	if err := w.set(x.Shape(), y.Shape()); err != nil {
		if b.unequal == nil {
			return err
		}
		c.set(0, tensor.Scalar(*b.unequal))
		return nil
	}
	// An operand whose memory is as large as the result's is not stretched, so its elements are read before they are
	// overwritten, if they are as large as the result's.
	over := uint64(0)
	if b.result.Size() == b.dtype.Size() {
		over = 3
	}
	t, err := c.allocOver(0, b.result, w.shape, over)
	if err != nil || t.Len() == 0 {
		return err
	}
	if b.check != nil {
		if err := b.check(y); err != nil {
			return err
		}
	}
	b.kernel(c.kernels(), w, t, x, y)
	return nil
}

func refuseZeros(t *tensor.Tensor) error {
	at := intsOf(t)
	for i := range t.Len() {
		if at(i) == 0 {
			return fmt.Errorf("integer division by zero, divisor element %d is 0", i)
		}
	}
	return nil
}

func refuseNegatives(t *tensor.Tensor) error {
	if t.DType() == tensor.Uint64 {
		return nil
	}
	at := intsOf(t)
	for i := range t.Len() {
		if v := at(i); v < 0 {
			return fmt.Errorf("integers to negative integer powers are not integers, exponent element %d is %d", i, v)
		}
	}
	return nil
}

// arithmeticKernel returns the kernel of op for operands of dtype d, nil if there is none.
func arithmeticKernel(op string, d tensor.DType) binaryKernel {
	switch d {
	case tensor.Float32:
		return float32Kernel(op)
	case tensor.Float64:
		if f := floatFunc(op, func(x float64) float64 { return x }); f != nil {
			return runs(mapped(f))
		}
	case tensor.Float16:
		return halfKernel(op, halfToFloat, floatToHalf)
	case tensor.Bfloat16:
		return halfKernel(op, bfloatToFloat, floatToBfloat)
	case tensor.Int8:
		return integerKernel[int8](op)
	case tensor.Uint8:
		return integerKernel[uint8](op)
	case tensor.Int16:
		return integerKernel[int16](op)
	case tensor.Uint16:
		return integerKernel[uint16](op)
	case tensor.Int32:
		return integerKernel[int32](op)
	case tensor.Uint32:
		return integerKernel[uint32](op)
	case tensor.Int64:
		return integerKernel[int64](op)
	case tensor.Uint64:
		return integerKernel[uint64](op)
	case tensor.Complex64:
		return complexKernel[complex64](op)
	case tensor.Complex128:
		return complexKernel[complex128](op)
	}
	return nil
}

func float32Kernel(op string) binaryKernel {
	switch op {
	case "Add", "AddV2":
		return vectors(addVectors)
	case "Sub":
		return vectors(subVectors)
	case "Mul":
		return vectors(mulVectors)
	case "Div", "RealDiv":
		return vectors(divVectors)
	case "Maximum":
		return vectors(maxVectors)
	case "Minimum":
		return vectors(minVectors)
	case "SquaredDifference":
		return runs(func(dst, a, b []float32, sa, sb int) {
			for i := range dst {
				d := a[i*sa] - b[i*sb]
				dst[i] = d * d
			}
		})
	}
	f := floatFunc(op, func(x float64) float64 { return float64(float32(x)) })
	if f == nil {
		return nil
	}
	return runs(func(dst, a, b []float32, sa, sb int) {
		for i := range dst {
			dst[i] = float32(f(float64(a[i*sa]), float64(b[i*sb])))
		}
	})
}

func halfKernel(op string, widen func(uint16) float32, narrow func(float32) uint16) binaryKernel {
	f := floatFunc(op, func(x float64) float64 { return float64(widen(narrow(float32(x)))) })
	if f == nil {
		return nil
	}
	return runs(func(dst, a, b []uint16, sa, sb int) {
		for i := range dst {
			dst[i] = narrow(float32(f(float64(widen(a[i*sa])), float64(widen(b[i*sb])))))
		}
	})
}

// floatFunc returns op on floats. round rounds to the operands' dtype: TensorFlow rounds a quotient before it takes its floor.
func floatFunc(op string, round func(float64) float64) func(x, y float64) float64 {
	switch op {
	case "Add", "AddV2":
		return func(x, y float64) float64 { return x + y }
	case "Sub":
		return func(x, y float64) float64 { return x - y }
	case "Mul":
		return func(x, y float64) float64 { return x * y }
	case "Div", "RealDiv":
		return func(x, y float64) float64 { return x / y }
	case "FloorDiv":
		return func(x, y float64) float64 { return math.Floor(round(x / y)) }
	case "TruncateDiv":
		return func(x, y float64) float64 { return math.Trunc(round(x / y)) }
	case "FloorMod":
		return func(x, y float64) float64 {
			m := math.Mod(x, y)
			if m != 0 && (m < 0) != (y < 0) {
				m += y
			}
			return m
		}
	case "Mod", "TruncateMod":
		return math.Mod
	case "DivNoNan":
		return unlessZero(1, func(x, y float64) float64 { return x / y })
	case "MulNoNan":
		return unlessZero(1, func(x, y float64) float64 { return x * y })
	case "SquaredDifference":
		return func(x, y float64) float64 { d := x - y; return d * d }
	case "Maximum":
		return func(x, y float64) float64 { return max(x, y) }
	case "Minimum":
		return func(x, y float64) float64 { return min(x, y) }
	case "Pow":
		return math.Pow
	case "Xdivy":
		return unlessZero(0, func(x, y float64) float64 { return x / y })
	case "Xlogy":
		return unlessZero(0, func(x, y float64) float64 { return x * math.Log(y) })
	case "Xlog1py":
		return unlessZero(0, func(x, y float64) float64 { return x * math.Log1p(y) })
	case "Atan2":
		return math.Atan2
	}
	return nil
}

// unlessZero returns f, but 0 where operand i is.
func unlessZero(i int, f func(x, y float64) float64) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		if [2]float64{x, y}[i] == 0 {
			return 0
		}
		return f(x, y)
	}
}

type integer interface {
	int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64
}

// integerKernel returns op on integers, which wrap. Divisors are not 0, exponents not negative.
func integerKernel[T integer](op string) binaryKernel {
	switch op {
	case "Add", "AddV2":
		return runs(func(dst, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] + b[i*sb]
			}
		})
	case "Sub":
		return runs(func(dst, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] - b[i*sb]
			}
		})
	case "Mul":
		return runs(func(dst, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] * b[i*sb]
			}
		})
	case "Maximum":
		return runs(func(dst, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = max(a[i*sa], b[i*sb])
			}
		})
	case "Minimum":
		return runs(func(dst, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = min(a[i*sa], b[i*sb])
			}
		})
	}
	if f := integerFunc[T](op); f != nil {
		return runs(mapped(f))
	}
	return nil
}

func integerFunc[T integer](op string) func(x, y T) T {
	switch op {
	case "Div", "TruncateDiv":
		return func(x, y T) T { return x / y }
	case "Mod", "TruncateMod":
		return func(x, y T) T { return x % y }
	case "FloorDiv":
		return func(x, y T) T {
			q := x / y
			if m := x % y; m != 0 && (m < 0) != (y < 0) {
				q--
			}
			return q
		}
	case "FloorMod":
		return func(x, y T) T {
			m := x % y
			if m != 0 && (m < 0) != (y < 0) {
				m += y
			}
			return m
		}
	case "SquaredDifference":
		return func(x, y T) T { d := x - y; return d * d }
	case "Pow":
		return power[T]
	case "BitwiseAnd":
		return func(x, y T) T { return x & y }
	case "BitwiseOr":
		return func(x, y T) T { return x | y }
	case "BitwiseXor":
		return func(x, y T) T { return x ^ y }
	case "LeftShift":
		return func(x, y T) T { return x << shiftBy(y) }
	case "RightShift":
		return func(x, y T) T { return x >> shiftBy(y) }
	}
	return nil
}

// power returns x to the y by squaring, wrapped.
func power[T integer](x, y T) T {
	r := T(1)
	for ; y > 0; y >>= 1 {
		if y&1 != 0 {
			r *= x
		}
		x *= x
	}
	return r
}

// shiftBy limits y to the shifts that C++ defines for T, as TensorFlow does.
func shiftBy[T integer](y T) int {
	bits := 8
	for v := T(1) << 7; v<<1 != 0; v <<= 1 {
		bits++
	}
	if y < 0 {
		return 0
	}
	return int(min(uint64(y), uint64(bits-1)))
}

func complexKernel[T complex64 | complex128](op string) binaryKernel {
	switch op {
	case "Add", "AddV2":
		return runs(mapped(func(x, y T) T { return x + y }))
	case "Sub":
		return runs(mapped(func(x, y T) T { return x - y }))
	case "Mul":
		return runs(mapped(func(x, y T) T { return x * y }))
	case "Div", "RealDiv":
		return runs(mapped(func(x, y T) T { return x / y }))
	}
	return nil
}

// concatStrings appends the strings of the second operand to those of the first.
func concatStrings(c *call) error {
	x, y := c.in(0), c.in(1)
	if x.DType() != tensor.String || y.DType() != tensor.String {
		return fmt.Errorf("operands are %v and %v, want string", x.DType(), y.DType())
	}
	w := &c.walk
	if err := w.set(x.Shape(), y.Shape()); err != nil {
		return err
	}
	if _, err := w.shape.CheckedElements(); err != nil {
		return err
	}
	t := tensor.New(tensor.String, w.shape.Clone())
	if t.Len() > 0 {
		dst, a, b := t.Strings(), x.Strings(), y.Strings()
		w.each(func(o int, at [3]int, n int) {
			for i := range n {
				dst[o+i] = a[at[0]+i*w.stride[0][0]] + b[at[1]+i*w.stride[1][0]]
			}
		})
	}
	c.set(0, t)
	return nil
}
