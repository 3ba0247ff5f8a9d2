package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// fillTensor sets every element of t to the scalar v, or to zero (or "") where v is nil.
func fillTensor(t, v *tensor.Tensor) {
	switch size := t.DType().Size(); {
	case v != nil:
		moveTensor(t, v, &layout{dims: []int{t.Len()}, dst: []int{1}, src: []int{0}})
	case t.DType() == tensor.String:
		clear(t.Strings())
	case size == 0:
		clear(t.Refs())
	default:
		clear(t.Bytes())
	}
}

// fillOp makes a tensor of the shape of input 0, all of whose elements are input 1.
func fillOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		v := c.in(1)
		if v.Rank() != 0 {
			return fmt.Errorf("value has shape %v, want a scalar", v.Shape().Clone())
		}
		var dims [8]int
		shape, err := c.ints(dims[:0], 0, "dims")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, v.DType(), shape)
		if err != nil {
			return err
		}
		fillTensor(t, v)
		return nil
	}, nil
}

// onesLikeOp makes a tensor of ones (OnesLike) or zeros (ZerosLike) of the shape of its input.
func onesLikeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	zeros := n.Op() == "ZerosLike"
	return func(c *call) error {
		x := c.in(0)
		d := x.DType()
		one, err := oneOf(d)
		if zeros {
			one, err = nil, nil
		}
		if err != nil {
			return err
		}
		t, err := c.alloc(0, d, x.Shape())
		if err != nil {
			return err
		}
		fillTensor(t, one)
		return nil
	}, nil
}

// ones holds 1 in every dtype that has it, as its bytes.
var ones = map[tensor.DType]*tensor.Tensor{
	tensor.Float32:    tensor.Scalar[float32](1),
	tensor.Float64:    tensor.Scalar[float64](1),
	tensor.Float16:    tensor.FromTyped(tensor.Float16, tensor.Shape{}, []uint16{0x3c00}),
	tensor.Bfloat16:   tensor.FromTyped(tensor.Bfloat16, tensor.Shape{}, []uint16{0x3f80}),
	tensor.Int8:       tensor.Scalar[int8](1),
	tensor.Uint8:      tensor.Scalar[uint8](1),
	tensor.Int16:      tensor.Scalar[int16](1),
	tensor.Uint16:     tensor.Scalar[uint16](1),
	tensor.Int32:      tensor.Scalar[int32](1),
	tensor.Uint32:     tensor.Scalar[uint32](1),
	tensor.Int64:      tensor.Scalar[int64](1),
	tensor.Uint64:     tensor.Scalar[uint64](1),
	tensor.Bool:       tensor.Scalar(true),
	tensor.Complex64:  tensor.Scalar[complex64](1),
	tensor.Complex128: tensor.Scalar[complex128](1),
}

func oneOf(d tensor.DType) (*tensor.Tensor, error) {
	if t := ones[d]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("dtype %v has no 1", d)
}

// rangeOp gives start, start+delta, … before limit. Floats are start + i·delta, not sums.
func rangeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, b, d := c.in(0), c.in(1), c.in(2)
		for i, x := range []*tensor.Tensor{a, b, d} {
			if x.Rank() != 0 || x.DType() != a.DType() {
				return fmt.Errorf("input %d is %v %v, want a scalar of %v", i, x.DType(), x.Shape().Clone(), a.DType())
			}
		}
		switch a.DType() {
		case tensor.Int32:
			return rangeInts[int32](c, a, b, d)
		case tensor.Int64:
			return rangeInts[int64](c, a, b, d)
		case tensor.Int16:
			return rangeInts[int16](c, a, b, d)
		case tensor.Int8:
			return rangeInts[int8](c, a, b, d)
		case tensor.Uint8:
			return rangeInts[uint8](c, a, b, d)
		case tensor.Uint16:
			return rangeInts[uint16](c, a, b, d)
		case tensor.Uint32:
			return rangeInts[uint32](c, a, b, d)
		case tensor.Float32, tensor.Float64, tensor.Float16, tensor.Bfloat16:
			return rangeFloats(c, a, b, d)
		}
		return fmt.Errorf("dtype %v has no range", a.DType())
	}, nil
}

type rangeInteger interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32
}

func rangeInts[T rangeInteger](c *call, a, b, d *tensor.Tensor) error {
	start, limit, delta := int64(tensor.Data[T](a)[0]), int64(tensor.Data[T](b)[0]), int64(tensor.Data[T](d)[0])
	if err := checkRange(float64(start), float64(limit), float64(delta)); err != nil {
		return err
	}
	// The distance may pass int64, not uint64.
	dist, step := uint64(limit)-uint64(start), uint64(delta)
	if delta < 0 {
		dist, step = -dist, -step
	}
	num := uint64(0)
	if dist > 0 {
		num = (dist-1)/step + 1
	}
	if num > math.MaxInt32*1024 {
		return fmt.Errorf("range of %d elements is too long", num)
	}
	dims := [1]int{int(num)}
	t, err := c.alloc(0, a.DType(), dims[:])
	if err != nil {
		return err
	}
	out := tensor.Data[T](t)
	for i := range out {
		out[i] = T(start + int64(i)*delta)
	}
	return nil
}

func checkRange(start, limit, delta float64) error {
	switch {
	case delta == 0:
		return fmt.Errorf("delta is 0, want another")
	case delta > 0 && start > limit, delta < 0 && start < limit:
		return fmt.Errorf("delta is %v, which leads from start %v away from limit %v", delta, start, limit)
	case math.IsNaN(start) || math.IsNaN(limit) || math.IsNaN(delta):
		return fmt.Errorf("start, limit and delta are %v, %v and %v, want numbers", start, limit, delta)
	}
	return nil
}

func rangeFloats(c *call, a, b, d *tensor.Tensor) error {
	ra, rb, rd := floatsOf(a), floatsOf(b), floatsOf(d)
	start, limit, delta := ra.at(0), rb.at(0), rd.at(0)
	if err := checkRange(start, limit, delta); err != nil {
		return err
	}
	// The number of elements depends on how the dtype rounds.
	round := rounding(a.DType())
	num := math.Ceil(math.Abs(round(round(limit-start) / delta)))
	if !(num <= math.MaxInt32*1024) {
		return fmt.Errorf("range of %v elements is too long", num)
	}
	dims := [1]int{int(num)}
	t, err := c.alloc(0, a.DType(), dims[:])
	if err != nil {
		return err
	}
	if a.DType() == tensor.Float32 {
		out := tensor.Data[float32](t)
		for i := range out {
			out[i] = float32(start) + float32(float32(i)*float32(delta))
		}
		return nil
	}
	for i := range dims[0] {
		setFloat(t, i, start+round(round(float64(i))*delta))
	}
	return nil
}

// rounding returns the function that rounds to a floating-point dtype.
func rounding(d tensor.DType) func(float64) float64 {
	switch d {
	case tensor.Float32:
		return func(v float64) float64 { return float64(float32(v)) }
	case tensor.Float16:
		return func(v float64) float64 { return float64(halfToFloat(floatToHalf(float32(v)))) }
	case tensor.Bfloat16:
		return func(v float64) float64 { return float64(bfloatToFloat(floatToBfloat(float32(v)))) }
	}
	return func(v float64) float64 { return v }
}
