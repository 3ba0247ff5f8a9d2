package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// biasAddOp adds a vector along the channels: the last dimension, or dimension 1 where data_format is NCHW.
func biasAddOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	channelsFirst := false
	if n.Op() == "BiasAdd" {
		r := n.AttrReader()
		channelsFirst = r.Str("data_format") == "NCHW"
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	return func(c *call) error { return biasAdd(c, channelsFirst) }, nil
}

func biasAdd(c *call, channelsFirst bool) error {
	x, b := c.in(0), c.in(1)
	if x.Rank() < 2 {
		return fmt.Errorf("input has shape %v, want rank 2 or more", x.Shape())
	}
	axis := x.Rank() - 1
	if channelsFirst {
		axis = 1
	}
	channels := x.Shape()[axis]
	if b.Rank() != 1 || b.Len() != channels || b.DType() != x.DType() {
		return fmt.Errorf("bias is %v %v, want %v [%d], one value for each channel of the input %v",
			b.DType(), b.Shape(), x.DType(), channels, x.Shape())
	}
	t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
	if err != nil || x.Len() == 0 {
		return err
	}
	inner := x.Shape()[axis+1:].Elements()
	switch d := x.DType(); {
	case d == tensor.Float32:
		dst, src, bias := tensor.Data[float32](t), tensor.Data[float32](x), tensor.Data[float32](b)
		if inner > 1 {
			for i := 0; i < len(src); i += inner {
				c.kernels().AddScalar(dst[i:][:inner], src[i:][:inner], bias[i/inner%channels])
			}
			return nil
		}
		for i := 0; i < len(src); i += channels {
			c.kernels().Add(dst[i:][:channels], src[i:][:channels], bias)
		}
	case d.IsFloat():
		src, bias := floatsOf(x), floatsOf(b)
		for i := range x.Len() {
			setFloat(t, i, src.at(i)+bias.at(i/inner%channels))
		}
	case d == tensor.Complex64:
		addChannels[complex64](t, x, b, inner)
	case d == tensor.Complex128:
		addChannels[complex128](t, x, b, inner)
	case integral(d):
		// Sums wrap, so the sign does not matter.
		switch d.Size() {
		case 1:
			addChannels[uint8](t, x, b, inner)
		case 2:
			addChannels[uint16](t, x, b, inner)
		case 4:
			addChannels[uint32](t, x, b, inner)
		default:
			addChannels[uint64](t, x, b, inner)
		}
	default:
		return fmt.Errorf("input is %v, want a number type", d)
	}
	return nil
}

// addChannels adds bias value (i/inner) mod channels to element i.
func addChannels[T uint8 | uint16 | uint32 | uint64 | complex64 | complex128](t, x, b *tensor.Tensor, inner int) {
	dst, src, bias := tensor.Data[T](t), tensor.Data[T](x), tensor.Data[T](b)
	for i, v := range src {
		dst[i] = v + bias[i/inner%len(bias)]
	}
}

// biasAddGradOp is the gradient of BiasAdd by the bias: the sum over all but the channels.
func biasAddGradOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	format, err := dataFormat(n)
	if err != nil {
		return nil, err
	}
	sum := reductionOf("Sum", d)
	if sum == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, r := c.in(0), &c.reduce
		if x.Rank() < 2 || x.DType() != d {
			return fmt.Errorf("input is %v %v, want %v of rank 2 or more", x.DType(), x.Shape().Clone(), d)
		}
		channel := x.Rank() - 1
		if format == "NCHW" {
			channel = 1
		}
		r.drop = r.drop[:0]
		for i := range x.Rank() {
			r.drop = append(r.drop, i != channel)
		}
		r.split(x.Shape())
		t, err := c.alloc(0, d, x.Shape()[channel:channel+1])
		if err != nil || t.Len() == 0 {
			return err
		}
		sum(r, t, x)
		return nil
	}, nil
}
