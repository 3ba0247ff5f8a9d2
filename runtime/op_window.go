package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// axisWindow is how a window moves along one dimension: output o looks at the inputs o·stride - before + f·dilation for f
// below filter, as far as they are there.
type axisWindow struct {
	size, out                        int
	filter, stride, dilation, before int
}

// covers returns the inputs that output o looks at, first and last+1 as numbers f, and the input of f = 0.
func (a *axisWindow) covers(o int) (from, to, origin int) {
	origin = o*a.stride - a.before
	if origin < 0 {
		from = (-origin + a.dilation - 1) / a.dilation
	}
	to = a.filter
	if last := a.size - 1 - origin; last < (to-1)*a.dilation {
		to = 0
		if last >= 0 {
			to = last/a.dilation + 1
		}
	}
	return min(from, to), to, origin
}

// windowAttrs are the attributes of a node that say how windows move, one value for each dimension of the data format.
type windowAttrs struct {
	format             string
	strides, dilations []int64
	padding            string
	explicit           []int64
}

// maxWindow bounds what attributes may say, so that no product of them overflows.
const maxWindow = math.MaxInt32

func newWindowAttrs(n *graphdef.Node) (windowAttrs, error) {
	var w windowAttrs
	var err error
	if w.format, err = dataFormat(n); err != nil {
		return w, err
	}
	sig, _ := graphdef.Lookup(n.Op())
	r := n.AttrReader()
	w.strides, w.padding = r.Ints("strides"), r.Str("padding")
	if sig.Attr("dilations") != nil {
		w.dilations = r.Ints("dilations")
	}
	if sig.Attr("explicit_paddings") != nil {
		w.explicit = r.Ints("explicit_paddings")
	}
	if err := r.Err(); err != nil {
		return w, err
	}
	if err := w.checkSizes("strides", w.strides, 1); err != nil {
		return w, err
	}
	if len(w.dilations) == 0 {
		w.dilations = make([]int64, len(w.format))
		for i := range w.dilations {
			w.dilations[i] = 1
		}
	}
	if err := w.checkSizes("dilations", w.dilations, 1); err != nil {
		return w, err
	}
	switch w.padding {
	case "SAME", "VALID":
		if len(w.explicit) != 0 {
			return w, fmt.Errorf(`attribute "explicit_paddings" has %d values, want none where padding is %s`, len(w.explicit), w.padding)
		}
	case "EXPLICIT":
		if len(w.explicit) != 2*len(w.format) {
			return w, fmt.Errorf(`attribute "explicit_paddings" has %d values, want two for each dimension of %s`, len(w.explicit), w.format)
		}
		for _, v := range w.explicit {
			if v < 0 || v > maxWindow {
				return w, fmt.Errorf(`attribute "explicit_paddings" has %d, want 0 or more`, v)
			}
		}
	default:
		return w, fmt.Errorf(`attribute "padding" is %q, want SAME, VALID or EXPLICIT`, w.padding)
	}
	return w, nil
}

// checkSizes checks that v has a value of at least low for each dimension.
func (w *windowAttrs) checkSizes(name string, v []int64, low int64) error {
	if len(v) != len(w.format) {
		return fmt.Errorf("attribute %q has %d values, want one for each dimension of %s", name, len(v), w.format)
	}
	for _, x := range v {
		if x < low || x > maxWindow {
			return fmt.Errorf("attribute %q is %v, want values of %d or more", name, v, low)
		}
	}
	return nil
}

// channelAxis returns the dimension of the channels.
func (w *windowAttrs) channelAxis() int {
	if w.format[1] == 'C' {
		return 1
	}
	return len(w.format) - 1
}

// spatial returns which dimensions are neither batch nor channels.
func (w *windowAttrs) spatial() []int {
	var axes []int
	for i := 1; i < len(w.format); i++ {
		if i != w.channelAxis() {
			axes = append(axes, i)
		}
	}
	return axes
}

// axis returns the window of the given size along dimension axis of an input with size elements there.
func (w *windowAttrs) axis(axis, size, filter int) (axisWindow, error) {
	a := axisWindow{size: size, filter: filter, stride: int(w.strides[axis]), dilation: int(w.dilations[axis])}
	if filter < 1 || filter > maxWindow || size > maxWindow {
		return a, fmt.Errorf("a window of %d along a dimension of %d, want 1 or more", filter, size)
	}
	span := (filter-1)*a.dilation + 1
	if w.padding == "SAME" {
		a.out = (size + a.stride - 1) / a.stride
		a.before = max(0, (a.out-1)*a.stride+span-size) / 2
		return a, nil
	}
	padded := size
	if w.padding == "EXPLICIT" {
		a.before = int(w.explicit[2*axis])
		padded += a.before + int(w.explicit[2*axis+1])
	}
	if padded == 0 && span == 1 {
		return a, nil // nothing comes of nothing
	}
	if padded < span {
		return a, fmt.Errorf("a window that spans %d does not fit dimension %d, which has %d with its padding", span, axis, padded)
	}
	a.out = (padded-span)/a.stride + 1
	return a, nil
}

// inFormat returns s, given in the order batch, spatial…, channels, in the order of the data format, and the other way round.
func (w *windowAttrs) inFormat(s tensor.Shape) tensor.Shape {
	if w.channelAxis() != 1 {
		return s
	}
	last := len(s) - 1
	return append(tensor.Shape{s[0], s[last]}, s[1:last]...)
}

// toChannelsLast moves the channels of x, where they come first, to the end.
func (w *windowAttrs) toChannelsLast(x *tensor.Tensor) *tensor.Tensor {
	if w.channelAxis() != 1 {
		return x
	}
	s := x.Shape()
	inner := s[2:].Elements()
	t := tensor.New(x.DType(), append(append(tensor.Shape{s[0]}, s[2:]...), s[1]))
	swapPlanes(t, x, s[0], s[1], inner)
	return t
}

// swapPlanes transposes each of the planes [rows, cols] of x into t.
func swapPlanes(t, x *tensor.Tensor, planes, rows, cols int) {
	for p := range planes {
		at := p * rows * cols
		for i := range rows {
			for j := range cols {
				moveRun(t, at+j*rows+i, x, at+i*cols+j, 1)
			}
		}
	}
}
