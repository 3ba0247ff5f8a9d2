package runtime

import (
	"fmt"
	"math"
	"math/cmplx"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// castOps change the dtype of elements.
var castOps = map[string]evaluator{
	"Cast":       cast,
	"Bitcast":    bitcast,
	"Angle":      complexPart(cmplx.Phase),
	"Complex":    complexOf,
	"ComplexAbs": complexPart(cmplx.Abs),
	"Conj":       conjugate,
	"Imag":       complexPart(func(x complex128) float64 { return imag(x) }),
	"Real":       complexPart(func(x complex128) float64 { return real(x) }),
}

// cast converts the elements of a tensor:
//   - a float to another: nearest, ties to even; with Truncate, toward zero where float32 becomes a 16-bit type;
//   - a float to an integer: toward zero. Out of range C++ says nothing and TensorFlow's answer depends on the element's
//     place; here it is what x86 gives a scalar everywhere: the least int32 or int64, of which narrower types keep the low
//     bits;
//   - an integer to a narrower one: its low bits;
//   - anything to bool: whether it differs from 0, as NaN does.
func cast(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	src, dst, truncate := r.Type("SrcT"), r.Type("DstT"), r.Bool("Truncate")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if src == dst {
		return func(c *call) error {
			if d := c.in(0).DType(); d != src {
				return fmt.Errorf("operand is %v, want %v", d, src)
			}
			c.forward(0, 0)
			return nil
		}, nil
	}
	kernel := castKernel(src, dst, truncate)
	if kernel == nil {
		return nil, fmt.Errorf("no conversion from %v to %v", src, dst)
	}
	return mapping1(src, dst, kernel), nil
}

// bitcast reads the same memory as another dtype. Elements of another size take from, or add to, the last dimension.
func bitcast(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d.Size() == 0 {
		return nil, fmt.Errorf("type is %v, want one whose elements have a size", d)
	}
	return func(c *call) error {
		x := c.in(0)
		from, to := x.DType().Size(), d.Size()
		if from == 0 {
			return fmt.Errorf("operand is %v, want elements that have a size", x.DType())
		}
		var dims [8]int
		shape := append(tensor.Shape(dims[:0]), x.Shape()...)
		switch {
		case from > to:
			shape = append(shape, from/to)
		case from < to:
			last := len(shape) - 1
			if last < 0 || shape[last] != to/from {
				return fmt.Errorf("operand is %v %v, want a last dimension of %d to make a %v", x.DType(), x.Shape(), to/from, d)
			}
			shape = shape[:last]
		}
		c.view(0, 0, d, shape)
		return nil
	}, nil
}

// complexOf makes complex numbers of real and imaginary parts, which broadcast.
func complexOf(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	b := &binary{dtype: r.Type("T"), result: r.Type("Tout")}
	if err := r.Err(); err != nil {
		return nil, err
	}
	switch {
	case b.dtype == tensor.Float32 && b.result == tensor.Complex64:
		b.kernel = runs(mapped(func(x, y float32) complex64 { return complex(x, y) }))
	case b.dtype == tensor.Float64 && b.result == tensor.Complex128:
		b.kernel = runs(mapped(func(x, y float64) complex128 { return complex(x, y) }))
	default:
		return nil, fmt.Errorf("no complex numbers %v of parts %v", b.result, b.dtype)
	}
	return b.eval, nil
}

// complexPart makes an evaluator of a real function of complex numbers.
func complexPart(f func(complex128) float64) evaluator {
	return func(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
		r := n.AttrReader()
		src, dst := r.Type("T"), r.Type("Tout")
		if err := r.Err(); err != nil {
			return nil, err
		}
		switch {
		case src == tensor.Complex64 && dst == tensor.Float32:
			return mapping1(src, dst, mapOf(func(x complex64) float32 { return float32(f(complex128(x))) })), nil
		case src == tensor.Complex128 && dst == tensor.Float64:
			return mapping1(src, dst, mapOf(f)), nil
		}
		return nil, fmt.Errorf("is not defined from %v to %v", src, dst)
	}
}

func conjugate(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	switch d {
	case tensor.Complex64:
		return mapping1(d, d, mapOf(func(x complex64) complex64 { return complex(real(x), -imag(x)) })), nil
	case tensor.Complex128:
		return mapping1(d, d, mapOf(cmplx.Conj)), nil
	}
	return nil, noKernel(d)
}

// truncatedHalf is floatToHalf toward zero.
func truncatedHalf(f float32) uint16 {
	h := floatToHalf(f)
	if f == f && math.Abs(float64(halfToFloat(h))) > math.Abs(float64(f)) {
		h-- // the magnitude's next lower value, from infinity too
	}
	return h
}

// truncatedBfloat is floatToBfloat toward zero.
func truncatedBfloat(f float32) uint16 {
	if f != f {
		return floatToBfloat(f)
	}
	return uint16(math.Float32bits(f) >> 16)
}
