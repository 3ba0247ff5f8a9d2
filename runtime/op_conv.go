package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// convOps slide filters over images.
var convOps = map[string]evaluator{
	"Conv2D":                convOp,
	"Conv3D":                convOp,
	"DepthwiseConv2dNative": depthwiseConvOp,
	"Conv2DBackpropInput":   transposedConvOp,
}

// convolution is the geometry of one call, with the channels last.
type convolution struct {
	batch, in, out int          // images, channels of the input, of the output
	axes           []axisWindow // spatial, outermost first
	group          int          // channels of the input that a filter sees
}

// positions returns the number of places of a filter in an image.
func (v *convolution) positions() int {
	n := 1
	for _, a := range v.axes {
		n *= a.out
	}
	return n
}

// taps returns the number of places in a filter.
func (v *convolution) taps() int {
	n := 1
	for _, a := range v.axes {
		n *= a.filter
	}
	return n
}

// outShape is the output's shape with the channels last.
func (v *convolution) outShape() tensor.Shape {
	s := tensor.Shape{v.batch}
	for _, a := range v.axes {
		s = append(s, a.out)
	}
	return append(s, v.out)
}

// newConvolution checks the shapes: input by the data format, filter [spatial…, in, out].
func newConvolution(w *windowAttrs, x, filter tensor.Shape) (*convolution, error) {
	if len(x) != len(w.format) || len(filter) != len(x) {
		return nil, fmt.Errorf("have input %v and filter %v, want rank %d for data_format %s", x.Clone(), filter.Clone(), len(w.format), w.format)
	}
	channel := w.channelAxis()
	last := len(filter) - 1
	v := &convolution{batch: x[0], in: x[channel], group: filter[last-1], out: filter[last]}
	if w.strides[0] != 1 || w.strides[channel] != 1 || w.dilations[0] != 1 || w.dilations[channel] != 1 {
		return nil, fmt.Errorf("strides %v and dilations %v move over batch or channels, want 1 there", w.strides, w.dilations)
	}
	for i, axis := range w.spatial() {
		a, err := w.axis(axis, x[axis], filter[i])
		if err != nil {
			return nil, err
		}
		v.axes = append(v.axes, a)
	}
	return v, nil
}

// convOp is a product of the patches of each image with filters, which may see a group of the channels each.
func convOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
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
	return func(c *call) error { return w.convolve(c, nil) }, nil
}

// fusedConvOp is convOp with what fused_ops lists after it, whose arguments are the inputs from 2 on.
func fusedConvOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	tail, err := newTail(n, d, 2)
	if err != nil {
		return nil, err
	}
	w, err := newWindowAttrs(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	if f := r.Str("filter_format"); r.Err() == nil && f != "HWIO" {
		return nil, fmt.Errorf(`attribute "filter_format" is %q, want HWIO`, f)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if w.channelAxis() == 1 && len(tail) > 0 {
		return nil, fmt.Errorf("fused_ops need the channels last, have data_format %s", w.format)
	}
	return func(c *call) error { return w.convolve(c, tail) }, nil
}

func (w *windowAttrs) convolve(c *call, tail []tailPart) error {
	x, filter := c.in(0), c.in(1)
	if x.DType() != filter.DType() {
		return fmt.Errorf("filter is %v, want %v as the input", filter.DType(), x.DType())
	}
	v, err := newConvolution(w, x.Shape(), filter.Shape())
	if err != nil {
		return err
	}
	if v.group < 1 || v.in%v.group != 0 || v.out%max(1, v.in/v.group) != 0 || v.in == 0 {
		return fmt.Errorf("the filter %v does not fit the %d channels of the input %v", filter.Shape().Clone(), v.in, x.Shape().Clone())
	}
	out := v.outShape()
	t, err := c.alloc(0, x.DType(), w.inFormat(out))
	if err != nil || t.Len() == 0 {
		return err
	}
	dst := t
	if w.channelAxis() == 1 {
		x = w.toChannelsLast(x)
		dst = tensor.New(t.DType(), out)
	}
	switch d := x.DType(); d {
	case tensor.Float32:
		v.float(c, tensor.Data[float32](dst), tensor.Data[float32](x), tensor.Data[float32](filter))
	case tensor.Float64:
		convolve(v, tensor.Data[float64](dst), tensor.Data[float64](x), tensor.Data[float64](filter))
	case tensor.Int32:
		convolve(v, tensor.Data[int32](dst), tensor.Data[int32](x), tensor.Data[int32](filter))
	default:
		sums := make([]float64, dst.Len())
		convolve(v, sums, widened(x), widened(filter))
		for i, s := range sums {
			setFloat(dst, i, s)
		}
	}
	if dst != t {
		swapPlanes(t, dst, v.batch, v.positions(), v.out)
	}
	return finish(c, tail)
}

// widened returns the elements of a float tensor as float64.
func widened(t *tensor.Tensor) []float64 {
	in, v := floatsOf(t), make([]float64, t.Len())
	for i := range v {
		v[i] = in.at(i)
	}
	return v
}

// maxPatches bounds the numbers in the matrix of patches that is multiplied at a time.
const maxPatches = 1 << 17

// float multiplies patches with the filters by the kernels. A row of the product does not depend on the rows beside it.
func (v *convolution) float(c *call, dst, x, filter []float32) {
	groups := v.in / v.group
	k, n := v.taps()*v.group, v.out/groups
	rows := v.batch * v.positions()
	step := max(1, min(rows, maxPatches/k))
	c.s.transposed = growFloats(c.s.transposed, step*k)
	for from := 0; from < rows; from += step {
		m := min(step, rows-from)
		for g := range groups {
			for i := range m {
				patch(v, c.s.transposed[i*k:][:k], x, from+i, g*v.group)
			}
			c.kernels().MatMulF32Strided(dst[from*v.out+g*n:], v.out, c.s.transposed, k, filter[g*n:], v.out, false, m, n, k, &c.s.scratch)
		}
	}
}

// convolve is float for any number type.
func convolve[T float64 | int32](v *convolution, dst, x, filter []T) {
	groups := v.in / v.group
	k, n := v.taps()*v.group, v.out/groups
	row := make([]T, k)
	for r := range v.batch * v.positions() {
		for g := range groups {
			patch(v, row, x, r, g*v.group)
			y := dst[r*v.out+g*n:][:n]
			clear(y)
			for l, a := range row {
				f := filter[l*v.out+g*n:][:n]
				for j := range y {
					y[j] += a * f[j]
				}
			}
		}
	}
}

// patch writes what the filter sees at place row, counted over all images: for each tap the channels from channel on.
func patch[T any](v *convolution, dst, x []T, row, channel int) {
	var at [3]int
	rest := row
	for d := len(v.axes) - 1; d >= 0; d-- {
		at[d] = rest % v.axes[d].out
		rest /= v.axes[d].out
	}
	patchLevel(v, dst, x, 0, at[:len(v.axes)], rest, channel)
}

// patchLevel fills dst, the part of a patch in the dimensions from d on; place is where the dimensions before have led.
func patchLevel[T any](v *convolution, dst, x []T, d int, at []int, place, channel int) {
	if d == len(v.axes) {
		copy(dst, x[place*v.in+channel:][:len(dst)])
		return
	}
	a := &v.axes[d]
	n := len(dst) / a.filter
	from, to, origin := a.covers(at[d])
	clear(dst[:from*n])
	for f := from; f < to; f++ {
		patchLevel(v, dst[f*n:][:n], x, d+1, at, place*a.size+origin+f*a.dilation, channel)
	}
	clear(dst[to*n:])
}
