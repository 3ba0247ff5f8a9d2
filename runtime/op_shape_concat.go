package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// concatOp joins its inputs along an axis, which is the last input (ConcatV2) or the first (Concat).
func concatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	legacy := n.Op() == "Concat"
	return func(c *call) error {
		first, num, axisAt := 0, c.numIn()-1, c.numIn()-1
		if legacy {
			first, axisAt = 1, 0
		}
		if num < 1 {
			return fmt.Errorf("have %d inputs, want values and an axis", c.numIn())
		}
		axis, err := scalarInt(c.in(axisAt), "axis")
		if err != nil {
			return err
		}
		return concat(c, first, num, axis)
	}, nil
}

// concat sets output 0 to the num inputs from first on, joined along axis.
func concat(c *call, first, num, axis int) error {
	x := c.in(first)
	axis, err := resolveAxis(axis, x.Rank(), "axis")
	if err != nil {
		return err
	}
	var dims [8]int
	shape := append(tensor.Shape(dims[:0]), x.Shape()...)
	for i := 1; i < num; i++ {
		y := c.in(first + i)
		s := y.Shape()
		if y.DType() != x.DType() {
			return fmt.Errorf("values differ in dtype, have %v and %v", x.DType(), y.DType())
		}
		if len(s) != len(shape) || !slices.Equal(s[:axis], shape[:axis]) || !slices.Equal(s[axis+1:], shape[axis+1:]) {
			return fmt.Errorf("values 0 and %d have shapes %v and %v, want them alike outside of axis %d", i, x.Shape().Clone(), s.Clone(), axis)
		}
		shape[axis] += s[axis]
	}
	outer, inner := shape[:axis].Elements(), shape[axis+1:].Elements()
	return join(c, first, num, shape, outer, shape[axis]*inner)
}

// join sets output 0, of outer rows of row elements each, to the rows of the num inputs from first on, side by side.
func join(c *call, first, num int, shape tensor.Shape, outer, row int) error {
	d := c.in(first).DType()
	t, err := c.alloc(0, d, shape)
	if err != nil || outer == 0 {
		return err
	}
	at := 0
	size := d.Size()
	for i := range num {
		x := c.in(first + i)
		width := x.Len() / outer
		switch {
		case d == tensor.String:
			joinRows(t.Strings()[at:], x.Strings(), outer, width, row)
		case size == 0:
			joinRows(t.Refs()[at:], x.Refs(), outer, width, row)
		default:
			joinRows(t.Bytes()[at*size:], x.Bytes(), outer, width*size, row*size)
		}
		at += width
	}
	return nil
}

// joinRows copies rows of src, of width elements, to dst, where they begin a stride apart.
func joinRows[T any](dst, src []T, outer, width, stride int) {
	if width == 0 {
		return
	}
	for i := range outer {
		copy(dst[i*stride:], src[i*width:(i+1)*width])
	}
}

// packOp stacks its inputs, all of one shape, along a new axis.
func packOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	attr := int(r.Int("axis"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		num := c.numIn()
		if num < 1 {
			return fmt.Errorf("have no inputs, want one or more")
		}
		x := c.in(0)
		if x.Rank() == 0 && x.DType() == tensor.Int32 && attr == 0 {
			return packScalars(c)
		}
		axis, err := resolveAxis(attr, x.Rank()+1, "axis")
		if err != nil {
			return err
		}
		for i := 1; i < num; i++ {
			if err := samePack(x, c.in(i), i); err != nil {
				return err
			}
		}
		s := x.Shape()
		var dims [8]int
		shape := append(append(append(tensor.Shape(dims[:0]), s[:axis]...), num), s[axis:]...)
		return join(c, 0, num, shape, s[:axis].Elements(), shape[axis:].Elements())
	}, nil
}

// samePack checks that value i of a Pack fits to the first.
func samePack(x, y *tensor.Tensor, i int) error {
	if x.DType() != y.DType() || !slices.Equal(x.Shape(), y.Shape()) {
		return fmt.Errorf("values 0 and %d are %v %v and %v %v, want them alike", i, x.DType(), x.Shape().Clone(), y.DType(), y.Shape().Clone())
	}
	return nil
}

// packScalars is Pack where it is used most: the dimensions of a shape.
func packScalars(c *call) error {
	dims := [1]int{c.numIn()}
	t, err := c.alloc(0, tensor.Int32, dims[:])
	if err != nil {
		return err
	}
	d := tensor.Data[int32](t)
	for i := range d {
		y := c.in(i)
		if y.Rank() != 0 || y.DType() != tensor.Int32 {
			return samePack(c.in(0), y, i)
		}
		d[i] = tensor.Data[int32](y)[0]
	}
	return nil
}

// parallelConcatOp stacks inputs of shape [1, …] along their first axis.
func parallelConcatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	want := r.Shape("shape")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if n.NumInputs() == 0 {
		return nil, fmt.Errorf("has no inputs, want 1 or more")
	}
	return func(c *call) error {
		for i := range c.numIn() {
			if s := c.in(i).Shape(); len(s) == 0 || s[0] != 1 {
				return fmt.Errorf("value %d has shape %v, want [1, ...]", i, s.Clone())
			}
		}
		if err := concat(c, 0, c.numIn(), 0); err != nil {
			return err
		}
		if s := c.s.values[c.st.out[0]].t.Shape(); !want.Accepts(s) {
			return fmt.Errorf("result has shape %v, want the attribute's %v", s.Clone(), want)
		}
		return nil
	}, nil
}

// concatOffsetOp gives where each of several shapes begins when tensors of these shapes are joined along an axis.
func concatOffsetOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		axis, err := scalarInt(c.in(0), "concat_dim")
		if err != nil {
			return err
		}
		var first []int
		at := 0
		for i := 1; i < c.numIn(); i++ {
			x := c.in(i)
			shape, err := vectorInts(nil, x, "shape")
			if err != nil {
				return err
			}
			if i == 1 {
				first = shape
				if axis, err = resolveAxis(axis, len(shape), "concat_dim"); err != nil {
					return err
				}
			}
			if len(shape) != len(first) || !slices.Equal(shape[:axis], first[:axis]) || !slices.Equal(shape[axis+1:], first[axis+1:]) {
				return fmt.Errorf("shapes 0 and %d are %v and %v, want them alike outside of axis %d", i-1, tensor.Shape(first), tensor.Shape(shape), axis)
			}
			offset := make([]int, len(shape))
			offset[axis] = at
			at += shape[axis]
			if err := setInts(c, i-1, x.DType(), x.Shape(), offset); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
