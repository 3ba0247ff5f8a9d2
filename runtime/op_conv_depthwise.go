package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// depthwiseConvOp applies to each channel filters of its own: filter [height, width, in, multiplier].
func depthwiseConvOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	w, err := newWindowAttrs(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, filter := c.in(0), c.in(1)
		v, err := newConvolution(&w, x.Shape(), filter.Shape())
		if err != nil {
			return err
		}
		if v.group != v.in || filter.DType() != d || x.DType() != d {
			return fmt.Errorf("filter is %v %v, want %v for the %d channels of the input %v", filter.DType(), filter.Shape().Clone(), d, v.in, x.Shape().Clone())
		}
		v.out *= v.in
		t, err := c.alloc(0, d, w.inFormat(v.outShape()))
		if err != nil || t.Len() == 0 {
			return err
		}
		dst, x := t, w.toChannelsLast(x)
		if w.channelAxis() == 1 {
			dst = tensor.New(d, v.outShape())
		}
		switch d {
		case tensor.Float32:
			depthwise(v, tensor.Data[float32](dst), tensor.Data[float32](x), tensor.Data[float32](filter))
		case tensor.Float64:
			depthwise(v, tensor.Data[float64](dst), tensor.Data[float64](x), tensor.Data[float64](filter))
		default:
			sums := make([]float64, dst.Len())
			depthwise(v, sums, widened(x), widened(filter))
			for i, s := range sums {
				setFloat(dst, i, s)
			}
		}
		if dst != t {
			swapPlanes(t, dst, v.batch, v.positions(), v.out)
		}
		return nil
	}, nil
}

func depthwise[T float32 | float64](v *convolution, dst, x, filter []T) {
	rows, cols, multiplier := &v.axes[0], &v.axes[1], v.out/v.in
	for at := range v.batch * v.positions() {
		y := dst[at*v.out:][:v.out]
		clear(y)
		image := at / v.positions()
		r0, r1, top := rows.covers(at / cols.out % rows.out)
		c0, c1, left := cols.covers(at % cols.out)
		for i := r0; i < r1; i++ {
			for j := c0; j < c1; j++ {
				place := (image*rows.size+top+i*rows.dilation)*cols.size + left + j*cols.dilation
				f := filter[(i*cols.filter+j)*v.out:][:v.out]
				for ch, a := range x[place*v.in:][:v.in] {
					for m := range multiplier {
						y[ch*multiplier+m] += a * f[ch*multiplier+m]
					}
				}
			}
		}
	}
}

// transposedConvOp is the gradient of Conv2D by its input: input 0 is the shape of the result, input 2 has the shape of the
// convolution's output.
func transposedConvOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	w, err := newWindowAttrs(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() && d != tensor.Int32 {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		filter, y := c.in(1), c.in(2)
		sizes, err := appendInts(nil, c.in(0), "input_sizes")
		if err != nil {
			return err
		}
		s := tensor.Shape(sizes)
		if len(s) == 2 && y.Rank() == 4 { // height and width alone
			s = w.inFormat(tensor.Shape{y.Shape()[0], s[0], s[1], filter.Shape()[2]})
		}
		if slices.ContainsFunc(s, func(d int) bool { return d < 0 }) {
			return fmt.Errorf("input_sizes are %v, want 0 or more", sizes)
		}
		v, err := newConvolution(&w, s, filter.Shape())
		if err != nil {
			return err
		}
		if v.group != v.in || !y.Shape().Equal(w.inFormat(v.outShape())) || y.DType() != d || filter.DType() != d {
			return fmt.Errorf("have input_sizes %v, filter %v and out_backprop %v, want out_backprop %v and a filter for all channels",
				sizes, filter.Shape().Clone(), y.Shape().Clone(), w.inFormat(v.outShape()))
		}
		t, err := c.alloc(0, d, s)
		if err != nil || t.Len() == 0 {
			return err
		}
		dst := t
		if w.channelAxis() == 1 {
			y = w.toChannelsLast(y)
			dst = tensor.New(d, w.toChannelsLast(t).Shape())
		}
		clear(dst.Bytes())
		switch d {
		case tensor.Float32:
			spread(v, tensor.Data[float32](dst), tensor.Data[float32](y), tensor.Data[float32](filter))
		case tensor.Float64:
			spread(v, tensor.Data[float64](dst), tensor.Data[float64](y), tensor.Data[float64](filter))
		case tensor.Int32:
			spread(v, tensor.Data[int32](dst), tensor.Data[int32](y), tensor.Data[int32](filter))
		default:
			sums := make([]float64, dst.Len())
			spread(v, sums, widened(y), widened(filter))
			for i, s := range sums {
				setFloat(dst, i, s)
			}
		}
		if dst != t {
			swapPlanes(t, dst, v.batch, dst.Len()/v.batch/v.in, v.in)
		}
		return nil
	}, nil
}

// spread adds each element of y, times the filter, to the places that the filter sees there.
func spread[T float32 | float64 | int32](v *convolution, dst, y, filter []T) {
	rows, cols := &v.axes[0], &v.axes[1]
	for at := range v.batch * v.positions() {
		image, from := at/v.positions(), y[at*v.out:][:v.out]
		r0, r1, top := rows.covers(at / cols.out % rows.out)
		c0, c1, left := cols.covers(at % cols.out)
		for i := r0; i < r1; i++ {
			for j := c0; j < c1; j++ {
				place := (image*rows.size+top+i*rows.dilation)*cols.size + left + j*cols.dilation
				for ch := range v.in {
					f := filter[((i*cols.filter+j)*v.in+ch)*v.out:][:v.out]
					var sum T
					for o, a := range from {
						sum += a * f[o]
					}
					dst[place*v.in+ch] += sum
				}
			}
		}
	}
}
