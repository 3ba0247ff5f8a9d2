package runtime

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// comparison is the evaluator of functions of two operands whose result is bool.
func comparison(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	b := &binary{dtype: d, result: tensor.Bool, kernel: comparisonKernel(n.Op(), d)}
	equality := n.Op() == "Equal" || n.Op() == "NotEqual"
	if equality {
		r := n.AttrReader()
		strict := r.Bool("incompatible_shape_error")
		if err := r.Err(); err != nil {
			return nil, err
		}
		if differ := n.Op() == "NotEqual"; !strict {
			b.unequal = &differ
		}
	}
	if d == tensor.String && equality {
		return b.compareStrings(n.Op() == "Equal"), nil
	}
	if b.kernel == nil {
		return nil, noKernel(d)
	}
	return b.eval, nil
}

// comparisonKernel returns the kernel of op for operands of dtype d, nil if there is none.
func comparisonKernel(op string, d tensor.DType) binaryKernel {
	switch d {
	case tensor.Float32:
		return ordered[float32](op)
	case tensor.Float64:
		return ordered[float64](op)
	case tensor.Float16:
		return orderedHalves(op, halfToFloat)
	case tensor.Bfloat16:
		return orderedHalves(op, bfloatToFloat)
	case tensor.Int8, tensor.Qint8:
		return ordered[int8](op)
	case tensor.Uint8, tensor.Quint8:
		return ordered[uint8](op)
	case tensor.Int16, tensor.Qint16:
		return ordered[int16](op)
	case tensor.Uint16, tensor.Quint16:
		return ordered[uint16](op)
	case tensor.Int32, tensor.Qint32:
		return ordered[int32](op)
	case tensor.Uint32:
		return ordered[uint32](op)
	case tensor.Int64:
		return ordered[int64](op)
	case tensor.Uint64:
		return ordered[uint64](op)
	case tensor.Bool:
		return equal[bool](op)
	case tensor.Complex64:
		return equal[complex64](op)
	case tensor.Complex128:
		return equal[complex128](op)
	}
	return nil
}

func ordered[T interface {
	cmp.Ordered
	tensor.Element
}](op string) binaryKernel {
	switch op {
	case "Less":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] < b[i*sb]
			}
		})
	case "LessEqual":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] <= b[i*sb]
			}
		})
	case "Greater":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] > b[i*sb]
			}
		})
	case "GreaterEqual":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] >= b[i*sb]
			}
		})
	}
	return equal[T](op)
}

func equal[T tensor.Element](op string) binaryKernel {
	switch op {
	case "Equal":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] == b[i*sb]
			}
		})
	case "NotEqual":
		return runs(func(dst []bool, a, b []T, sa, sb int) {
			for i := range dst {
				dst[i] = a[i*sa] != b[i*sb]
			}
		})
	}
	return nil
}

// floatOrders are the comparisons of single floats, for the dtypes without loops of their own.
var floatOrders = map[string]func(x, y float32) bool{
	"Less":         func(x, y float32) bool { return x < y },
	"LessEqual":    func(x, y float32) bool { return x <= y },
	"Greater":      func(x, y float32) bool { return x > y },
	"GreaterEqual": func(x, y float32) bool { return x >= y },
	"Equal":        func(x, y float32) bool { return x == y },
	"NotEqual":     func(x, y float32) bool { return x != y },
}

func orderedHalves(op string, widen func(uint16) float32) binaryKernel {
	f, ok := floatOrders[op]
	if !ok {
		return nil
	}
	return runs(mapped(func(x, y uint16) bool { return f(widen(x), widen(y)) }))
}

// compareStrings sets output 0 to whether strings are equal, or whether they differ.
func (b *binary) compareStrings(want bool) evalFunc {
	return func(c *call) error {
		x, y := c.in(0), c.in(1)
		if x.DType() != tensor.String || y.DType() != tensor.String {
			return fmt.Errorf("operands are %v and %v, want string", x.DType(), y.DType())
		}
		w := &c.walk
		if err := w.set(x.Shape(), y.Shape()); err != nil {
			if b.unequal == nil {
				return err
			}
			c.set(0, tensor.Scalar(*b.unequal))
			return nil
		}
		t, err := c.alloc(0, tensor.Bool, w.shape)
		if err != nil || t.Len() == 0 {
			return err
		}
		dst, p, q := tensor.Data[bool](t), x.Strings(), y.Strings()
		w.each(func(o int, at [3]int, n int) {
			for i := range n {
				dst[o+i] = (p[at[0]+i*w.stride[0][0]] == q[at[1]+i*w.stride[1][0]]) == want
			}
		})
		return nil
	}
}

// logical is the evaluator of LogicalAnd and LogicalOr.
func logical(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	b := &binary{dtype: tensor.Bool, result: tensor.Bool}
	if n.Op() == "LogicalAnd" {
		b.kernel = runs(func(dst, x, y []bool, sx, sy int) {
			for i := range dst {
				dst[i] = x[i*sx] && y[i*sy]
			}
		})
	} else {
		b.kernel = runs(func(dst, x, y []bool, sx, sy int) {
			for i := range dst {
				dst[i] = x[i*sx] || y[i*sy]
			}
		})
	}
	return b.eval, nil
}

// approximateEqual compares two tensors of one shape: |x-y| < tolerance.
func approximateEqual(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	tolerance := float64(r.Float("tolerance"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, y := c.in(0), c.in(1)
		if x.DType() != y.DType() || !x.Shape().Equal(y.Shape()) {
			return fmt.Errorf("operands are %v %v and %v %v, want equal dtypes and shapes", x.DType(), x.Shape(), y.DType(), y.Shape())
		}
		if !x.DType().IsFloat() && !x.DType().IsInteger() {
			return noKernel(x.DType())
		}
		t, err := c.alloc(0, tensor.Bool, x.Shape())
		if err != nil {
			return err
		}
		dst, p, q := tensor.Data[bool](t), numberReader(x), numberReader(y)
		for i := range dst {
			dst[i] = math.Abs(p(i)-q(i)) < tolerance
		}
		return nil
	}, nil
}

// numberReader reads the elements of a tensor of plain numbers as float64.
func numberReader(t *tensor.Tensor) func(i int) float64 {
	switch {
	case t.DType().IsFloat():
		f := floatsOf(t)
		return f.at
	case t.DType() == tensor.Uint64:
		v := tensor.Data[uint64](t)
		return func(i int) float64 { return float64(v[i]) }
	}
	at := intsOf(t)
	return func(i int) float64 { return float64(at(i)) }
}
