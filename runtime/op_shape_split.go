package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// splitOp cuts input 1 into equal parts along the axis that input 0 names.
func splitOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(1)
		axis, err := oneInt(c.in(0), "split_dim")
		if err != nil {
			return err
		}
		if axis, err = resolveAxis(axis, x.Rank(), "split_dim"); err != nil {
			return err
		}
		num := c.numOut()
		if num < 1 {
			return fmt.Errorf("num_split is 0, want 1 or more")
		}
		if x.Shape()[axis]%num != 0 {
			return fmt.Errorf("cannot split dimension %d of %v into %d equal parts", axis, x.Shape().Clone(), num)
		}
		width := x.Shape()[axis] / num
		for i := range num {
			if err := takePart(c, i, x, axis, i*width, width, true); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// splitVOp cuts input 0 into parts of the sizes of input 1 along the axis of input 2; one size may be -1, for what is left.
func splitVOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		axis, err := oneInt(c.in(2), "split_dim")
		if err != nil {
			return err
		}
		if axis, err = resolveAxis(axis, x.Rank(), "split_dim"); err != nil {
			return err
		}
		var buf [8]int
		sizes, err := vectorInts(buf[:0], c.in(1), "size_splits")
		if err != nil {
			return err
		}
		if len(sizes) != c.numOut() {
			return fmt.Errorf("size_splits has %d elements, want the %d of num_split", len(sizes), c.numOut())
		}
		total, infer := x.Shape()[axis], -1
		left := total
		for i, size := range sizes {
			switch {
			case size == -1 && infer < 0:
				infer = i
				continue
			case size < 0 || size > left:
				return splitVError(sizes, total)
			}
			left -= size
		}
		if infer >= 0 {
			sizes[infer], left = left, 0
		}
		if left != 0 {
			return splitVError(sizes, total)
		}
		at := 0
		for i, size := range sizes {
			if err := takePart(c, i, x, axis, at, size, true); err != nil {
				return err
			}
			at += size
		}
		return nil
	}, nil
}

func splitVError(sizes []int, total int) error {
	return fmt.Errorf("size_splits is %v, want sizes that sum up to the dimension %d, with at most one -1", tensor.Shape(sizes).Clone(), total)
}

// unpackOp cuts its input into slices of one along an axis, which they lack.
func unpackOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	attr := int(r.Int("axis"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		axis, err := resolveAxis(attr, x.Rank(), "axis")
		if err != nil {
			return err
		}
		if x.Shape()[axis] != c.numOut() {
			return fmt.Errorf("dimension %d of %v does not have the %d elements of num", axis, x.Shape().Clone(), c.numOut())
		}
		for i := range c.numOut() {
			if err := takePart(c, i, x, axis, i, 1, false); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// takePart sets output i to the elements at to at+width of x along axis; keep says whether the axis stays where width is 1.
func takePart(c *call, i int, x *tensor.Tensor, axis, at, width int, keep bool) error {
	s := x.Shape()
	var dims [8]int
	shape := append(tensor.Shape(dims[:0]), s[:axis]...)
	if keep {
		shape = append(shape, width)
	}
	shape = append(shape, s[axis+1:]...)
	t, err := c.alloc(i, x.DType(), shape)
	if err != nil || t.Len() == 0 {
		return err
	}
	outer, inner := s[:axis].Elements(), s[axis+1:].Elements()
	row, width, at, size := s[axis]*inner, width*inner, at*inner, x.DType().Size()
	switch {
	case x.DType() == tensor.String:
		takeRows(t.Strings(), x.Strings()[at:], outer, width, row)
	case size == 0:
		takeRows(t.Refs(), x.Refs()[at:], outer, width, row)
	default:
		takeRows(t.Bytes(), x.Bytes()[at*size:], outer, width*size, row*size)
	}
	return nil
}

// takeRows copies rows of width elements, which begin a stride apart in src, to dst.
func takeRows[T any](dst, src []T, outer, width, stride int) {
	for i := range outer {
		copy(dst[i*width:(i+1)*width], src[i*stride:])
	}
}
