package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// oneHotOp makes a new dimension of depth at axis, with on_value at the index and off_value elsewhere; everywhere where the
// index is not in [0, depth).
func oneHotOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	attr := int(r.Int("axis"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		indices, on, off := c.in(0), c.in(2), c.in(3)
		depth, err := scalarInt(c.in(1), "depth")
		if err != nil {
			return err
		}
		if depth < 0 {
			return fmt.Errorf("depth is %d, want 0 or more", depth)
		}
		if on.Rank() != 0 || off.Rank() != 0 || on.DType() != off.DType() {
			return fmt.Errorf("on_value and off_value are %v %v and %v %v, want scalars of one dtype",
				on.DType(), on.Shape().Clone(), off.DType(), off.Shape().Clone())
		}
		s := indices.Shape()
		axis, err := resolveAxis(attr, len(s)+1, "axis")
		if err != nil {
			return err
		}
		var dims [8]int
		shape := append(append(append(tensor.Shape(dims[:0]), s[:axis]...), depth), s[axis:]...)
		t, err := c.alloc(0, on.DType(), shape)
		if err != nil || t.Len() == 0 {
			return err
		}
		l := c.newLayout()
		l.add(t.Len(), 1, 0)
		moveTensor(t, off, l)
		inner := s[axis:].Elements()
		switch indices.DType() {
		case tensor.Int32:
			setHot(t, on, tensor.Data[int32](indices), depth, inner)
		case tensor.Int64:
			setHot(t, on, tensor.Data[int64](indices), depth, inner)
		case tensor.Uint8:
			setHot(t, on, tensor.Data[uint8](indices), depth, inner)
		case tensor.Int8:
			setHot(t, on, tensor.Data[int8](indices), depth, inner)
		default:
			return fmt.Errorf("indices is %v, want uint8, int8, int32 or int64", indices.DType())
		}
		return nil
	}, nil
}

// setHot puts on into t, [outer, depth, inner], at the index that indices, [outer, inner], has for each pair.
func setHot[I uint8 | int8 | int32 | int64](t, on *tensor.Tensor, indices []I, depth, inner int) {
	for i, v := range indices {
		if v >= 0 && int64(v) < int64(depth) {
			moveRun(t, (i/inner*depth+int(v))*inner+i%inner, on, 0, 1)
		}
	}
}

// linSpaceOp gives num values from start to stop, both included, in equal steps.
func linSpaceOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, b := c.in(0), c.in(1)
		if a.Rank() != 0 || b.Rank() != 0 {
			return fmt.Errorf("start and stop have shapes %v and %v, want scalars", a.Shape().Clone(), b.Shape().Clone())
		}
		num, err := scalarInt(c.in(2), "num")
		if err != nil {
			return err
		}
		if num < 1 {
			return fmt.Errorf("num is %d, want 1 or more", num)
		}
		if !a.DType().IsFloat() || a.DType() != b.DType() {
			return fmt.Errorf("start and stop are %v and %v, want one floating-point dtype", a.DType(), b.DType())
		}
		t, err := c.alloc(0, a.DType(), tensor.Shape{num})
		if err != nil {
			return err
		}
		// Each operation rounds to the dtype. The last value is stop itself, which the sum would miss by a rounding.
		ra, rb := floatsOf(a), floatsOf(b)
		start, stop := ra.at(0), rb.at(0)
		round := rounding(a.DType())
		if num == 1 {
			setFloat(t, 0, start)
			return nil
		}
		step := round(round(stop-start) / round(float64(num-1)))
		for i := range num - 1 {
			setFloat(t, i, start+round(step*round(float64(i))))
		}
		setFloat(t, num-1, stop)
		return nil
	}, nil
}
