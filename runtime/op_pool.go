package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// poolOps fold the elements that a moving window sees.
var poolOps = map[string]evaluator{
	"AvgPool":           poolOp,
	"AvgPool3D":         poolOp,
	"MaxPool":           poolOp,
	"MaxPool3D":         poolOp,
	"MaxPoolWithArgmax": poolOp,
}

// poolFunc folds the elements of x at the given places to one element of t.
type poolFunc func(t *tensor.Tensor, i int, x *tensor.Tensor, places []int)

// poolOp takes the greatest or the mean of the elements of each window that are not padding. MaxPoolWithArgmax also gives
// where the greatest one was, in its image or (include_batch_in_index) in the batch.
func poolOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	w, err := newPoolAttrs(n)
	if err != nil {
		return nil, err
	}
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	ksize := r.Ints("ksize")
	index, wholeBatch := tensor.Invalid, false
	if n.Op() == "MaxPoolWithArgmax" {
		index, wholeBatch = r.Type("Targmax"), r.Bool("include_batch_in_index")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := w.checkSizes("ksize", ksize, 1); err != nil {
		return nil, err
	}
	if ksize[0] != 1 || w.strides[0] != 1 {
		return nil, fmt.Errorf("ksize %v and strides %v pool over the batch, want 1 there", ksize, w.strides)
	}
	pool := maxPoolOf(n.Op(), d)
	if n.Op() == "AvgPool" || n.Op() == "AvgPool3D" {
		pool = nil
		if d.IsFloat() {
			pool = averageOf
		}
	}
	if pool == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		if len(s) != len(ksize) || x.DType() != d {
			return fmt.Errorf("input is %v %v, want %v of rank %d for data_format %s", x.DType(), s.Clone(), d, len(ksize), w.format)
		}
		axes := make([]axisWindow, len(s))
		out := make(tensor.Shape, len(s))
		for i := range axes {
			if axes[i], err = w.axis(i, s[i], int(ksize[i])); err != nil {
				return err
			}
			out[i] = axes[i].out
		}
		t, err := c.alloc(0, d, out)
		if err != nil {
			return err
		}
		var arg *tensor.Tensor
		if index != tensor.Invalid {
			if arg, err = c.alloc(1, index, out); err != nil {
				return err
			}
		}
		places, value := make([]int, 0, 64), numberReader(x)
		at := make([]int, len(s))
		image := s[1:].Elements()
		for i := range t.Len() {
			for d, rest := len(out)-1, i; d >= 0; d-- {
				at[d] = rest % out[d]
				rest /= out[d]
			}
			places = windowPlaces(places[:0], axes, at, 0)
			pool(t, i, x, places)
			if arg != nil {
				where := 0
				if len(places) > 0 {
					where = greatest(value, places)
				}
				if !wholeBatch && image > 0 {
					where %= image
				}
				setInt(arg, i, int64(where))
			}
		}
		return nil
	}, nil
}

// newPoolAttrs is newWindowAttrs for ops some of which have no attribute data_format.
func newPoolAttrs(n *graphdef.Node) (windowAttrs, error) {
	if n.Op() != "MaxPoolWithArgmax" {
		return newWindowAttrs(n)
	}
	r := n.AttrReader()
	w := windowAttrs{format: "NHWC", strides: r.Ints("strides"), padding: r.Str("padding"), dilations: []int64{1, 1, 1, 1}}
	if err := r.Err(); err != nil {
		return w, err
	}
	if w.padding != "SAME" && w.padding != "VALID" {
		return w, fmt.Errorf(`attribute "padding" is %q, want SAME or VALID`, w.padding)
	}
	return w, w.checkSizes("strides", w.strides, 1)
}

// windowPlaces appends the places of the elements that the window at output at sees, in ascending order.
func windowPlaces(places []int, axes []axisWindow, at []int, place int) []int {
	if len(axes) == 0 {
		return append(places, place)
	}
	from, to, origin := axes[0].covers(at[0])
	for f := from; f < to; f++ {
		places = windowPlaces(places, axes[1:], at[1:], place*axes[0].size+origin+f)
	}
	return places
}

// greatest returns the place of the greatest element of x among places, the first of equals and the first of all if it is NaN.
func greatest(at func(i int) float64, places []int) int {
	best := places[0]
	for _, p := range places {
		if at(best) < at(p) {
			best = p
		}
	}
	return best
}

func averageOf(t *tensor.Tensor, i int, x *tensor.Tensor, places []int) {
	in, sum := floatsOf(x), 0.0
	for _, p := range places {
		sum += in.at(p)
	}
	setFloat(t, i, sum/float64(len(places)))
}

// maxPoolOf returns the maximum of op for dtype d, nil if it has none. The maximum of nothing is the lowest finite value. What
// becomes of NaN differs from op to op in TensorFlow: MaxPool leaves it out, MaxPool3D takes what follows it, and a NaN that
// comes first stays with MaxPoolWithArgmax.
func maxPoolOf(op string, d tensor.DType) poolFunc {
	switch d {
	case tensor.Float32:
		return maxFloatPool(op, -math.MaxFloat32)
	case tensor.Float64:
		return maxFloatPool(op, -math.MaxFloat64)
	case tensor.Float16:
		return maxFloatPool(op, -maxHalf)
	case tensor.Bfloat16:
		return maxFloatPool(op, -maxBfloat)
	case tensor.Int8, tensor.Qint8:
		return maxPool[int8]
	case tensor.Uint8, tensor.Quint8:
		return maxPool[uint8]
	case tensor.Int16:
		return maxPool[int16]
	case tensor.Uint16:
		return maxPool[uint16]
	case tensor.Int32:
		return maxPool[int32]
	case tensor.Int64:
		return maxPool[int64]
	}
	return nil
}

func maxFloatPool(op string, low float64) poolFunc {
	return func(t *tensor.Tensor, i int, x *tensor.Tensor, places []int) {
		in, top := floatsOf(x), low
		if op == "MaxPoolWithArgmax" && len(places) > 0 {
			top = in.at(places[0])
		}
		for _, p := range places {
			if v := in.at(p); top < v || op == "MaxPool3D" && !(v < top) {
				top = v
			}
		}
		setFloat(t, i, top)
	}
}

func maxPool[T integer](t *tensor.Tensor, i int, x *tensor.Tensor, places []int) {
	in, top := tensor.Data[T](x), lowest[T]()
	for _, p := range places {
		top = max(top, in[p])
	}
	tensor.Data[T](t)[i] = top
}
