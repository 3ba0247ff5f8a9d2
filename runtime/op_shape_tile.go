package runtime

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// tileOp repeats the input multiples[i] times along dimension i.
func tileOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		var timesBuf, shapeBuf [8]int
		times, err := c.ints(timesBuf[:0], 1, "multiples")
		if err != nil {
			return err
		}
		if len(times) != len(s) {
			return fmt.Errorf("multiples has %d elements, want the rank %d of input %v", len(times), len(s), s.Clone())
		}
		shape := append(tensor.Shape(shapeBuf[:0]), s...)
		for i, m := range times {
			if m < 0 {
				return fmt.Errorf("multiples[%d] is %d, want 0 or more", i, m)
			}
			if s[i] > 0 && m > math.MaxInt/s[i] {
				return fmt.Errorf("multiples[%d] is %d: too many elements for dimension %v", i, m, s[i])
			}
			shape[i] *= m
		}
		r := tileRepeat(s, times)
		if c.st.folds && r.times > 1 && x.Len() > 0 && x.DType().Size() > 0 {
			if _, err := shape.CheckedElements(); err != nil {
				return err
			}
			c.view(0, 0, x.DType(), shape)
			r.folded = true
			c.setRepeat(0, r)
			return nil
		}
		// Each dimension becomes two: the repetitions, which stay in place in the source, and itself.
		l := c.newLayout()
		inner := x.Len()
		for i, d := range s {
			if d > 0 {
				inner /= d
			}
			l.add(times[i], 0, 0)
			l.add(d, 0, inner)
		}
		if err := moveTo(c, x, shape, l); err != nil {
			return err
		}
		c.setRepeat(0, r)
		return nil
	}, nil
}

// tileRepeat returns how the result of a tile repeats: where one dimension alone is tiled, it and those inside it are the chunk.
func tileRepeat(s tensor.Shape, times []int) repeat {
	chunk, at := 1, -1
	for i := len(s) - 1; i >= 0; i-- {
		if at < 0 {
			chunk *= s[i]
		}
		if times[i] == 1 {
			continue
		}
		if at >= 0 {
			return repeat{}
		}
		at = i
	}
	if at < 0 || times[at] < 2 {
		return repeat{}
	}
	return repeat{times: times[at], chunk: chunk}
}

// broadcastToOp stretches dimensions of 1, and adds dimensions before the first, to reach the shape of input 1.
func broadcastToOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		var shapeBuf [8]int
		shape, err := c.ints(shapeBuf[:0], 1, "shape")
		if err != nil {
			return err
		}
		l := c.newLayout()
		pad := len(shape) - len(s)
		inner := x.Len()
		for i, d := range shape {
			switch {
			case pad < 0 || i >= pad && s[i-pad] != d && s[i-pad] != 1:
				return fmt.Errorf("cannot broadcast, have shape %v, want %v", s.Clone(), tensor.Shape(shape).Clone())
			case i < pad || s[i-pad] != d:
				l.add(d, 0, 0)
			default:
				if d > 0 {
					inner /= d
				}
				l.add(d, 0, inner)
			}
		}
		if pad < 0 {
			return fmt.Errorf("cannot broadcast, have shape %v, want the lower rank of %v", s.Clone(), tensor.Shape(shape).Clone())
		}
		return moveTo(c, x, shape, l)
	}, nil
}

// broadcastArgsOp gives the shape that two shapes broadcast to.
func broadcastArgsOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := vectorInts(nil, c.in(0), "s0")
		if err != nil {
			return err
		}
		b, err := vectorInts(nil, c.in(1), "s1")
		if err != nil {
			return err
		}
		out, err := tensor.Broadcast(a, b)
		if err != nil {
			return err
		}
		return setInts(c, 0, c.in(0).DType(), tensor.Shape{len(out)}, out)
	}, nil
}

// padOp surrounds the input with zeros, or with the value of input 2, as wide as the rows (before, after) of input 1 say.
func padOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		var padBuf [16]int
		var shapeBuf, dimsBuf, dstBuf, srcBuf [8]int
		pads, shape, err := paddings(padBuf[:0], shapeBuf[:0], x.Shape(), c.in(1))
		if err != nil {
			return err
		}
		var fill *tensor.Tensor
		if c.numIn() > 2 {
			if fill = c.in(2); fill.Rank() != 0 || fill.DType() != x.DType() {
				return fmt.Errorf("constant_values is %v %v, want a scalar of %v", fill.DType(), fill.Shape().Clone(), x.DType())
			}
		}
		t, err := c.alloc(0, x.DType(), shape)
		if err != nil {
			return err
		}
		if !slices.Equal(x.Shape(), shape) {
			fillTensor(t, fill)
		}
		l := layout{dims: append(dimsBuf[:0], x.Shape()...), dst: append(dstBuf[:0], shape...), src: append(srcBuf[:0], shape...)}
		denseStrides(l.dst, shape)
		denseStrides(l.src, x.Shape())
		for i, stride := range l.dst {
			l.dstAt += pads[2*i] * stride
		}
		moveTensor(t, x, &l)
		return nil
	}, nil
}

// paddings appends the numbers of t, a matrix of two columns, to pads, and to shape what s grows to with them.
func paddings(pads, shape []int, s tensor.Shape, t *tensor.Tensor) ([]int, []int, error) {
	if t.Rank() != 2 || t.Shape()[0] != len(s) || t.Shape()[1] != 2 {
		return nil, nil, fmt.Errorf("paddings has shape %v, want [%d, 2] for input %v", t.Shape().Clone(), len(s), s.Clone())
	}
	switch t.DType() {
	case tensor.Int32:
		for _, v := range tensor.Data[int32](t) {
			pads = append(pads, int(v))
		}
	case tensor.Int64:
		for _, v := range tensor.Data[int64](t) {
			pads = append(pads, int(v))
		}
	default:
		return nil, nil, fmt.Errorf("paddings is %v, want int32 or int64", t.DType())
	}
	for i, d := range s {
		before, after := pads[2*i], pads[2*i+1]
		if before < 0 || after < 0 || int64(max(before, after)) > mostBytes {
			return nil, nil, fmt.Errorf("paddings[%d] is [%d, %d], want 0 or more, and less than memory", i, before, after)
		}
		shape = append(shape, before+d+after)
	}
	return pads, shape, nil
}

// mirrorPadOp surrounds the input with its own elements, mirrored at the edge (SYMMETRIC) or at the outermost element (REFLECT).
func mirrorPadOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	mode := r.Str("mode")
	if err := r.Err(); err != nil {
		return nil, err
	}
	skip := 0
	switch mode {
	case "REFLECT":
		skip = 1
	case "SYMMETRIC":
	default:
		return nil, fmt.Errorf("mode is %q, want REFLECT or SYMMETRIC", mode)
	}
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		pads, shape, err := paddings(nil, nil, s, c.in(1))
		if err != nil {
			return err
		}
		// source[i] maps an index of the output in dimension i to one of the input.
		source := make([][]int, len(s))
		for i, d := range s {
			if before, after := pads[2*i], pads[2*i+1]; before > max(0, d-skip) || after > max(0, d-skip) {
				return fmt.Errorf("paddings[%d] is [%d, %d], want at most %d in mode %s", i, before, after, max(0, d-skip), mode)
			}
			for j := -pads[2*i]; j < d+pads[2*i+1]; j++ {
				at := j
				if j < 0 {
					at = -j - 1 + skip
				} else if j >= d {
					at = 2*d - 1 - j - skip
				}
				source[i] = append(source[i], at)
			}
		}
		t, err := c.alloc(0, x.DType(), shape)
		if err != nil {
			return err
		}
		pickElements(t, x, source)
		return nil
	}, nil
}

// pickElements sets element (i, j, …) of t to element (source[0][i], source[1][j], …) of x.
func pickElements(t, x *tensor.Tensor, source [][]int) {
	if t.Len() == 0 {
		return
	}
	strides := make([]int, len(source))
	denseStrides(strides, x.Shape())
	for i := range t.Len() {
		at, rest := 0, i
		for d := len(source) - 1; d >= 0; d-- {
			at += source[d][rest%len(source[d])] * strides[d]
			rest /= len(source[d])
		}
		moveRun(t, i, x, at, 1)
	}
}
