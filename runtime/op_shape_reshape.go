package runtime

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// reshapeTo appends to dst the shape that a tensor of so many elements has after a Reshape to operand j, an int32 or int64 vector
// with at most one -1, which stands for what is left. A 0 is a dimension of no elements, not a copied one.
func (c *call) reshapeTo(dst tensor.Shape, elements, j int) (tensor.Shape, error) {
	base := len(dst)
	out, err := c.ints(dst, j, "shape")
	if err != nil {
		return dst, err
	}
	dims := out[base:]
	if len(dims) > maxRank {
		return dst, fmt.Errorf("shape has %d dimensions, want at most %d", len(dims), maxRank)
	}
	infer, known := -1, 1
	empty := false
	for i, d := range dims {
		switch {
		case d == -1 && infer >= 0:
			return dst, fmt.Errorf("shape %v has more than one -1", tensor.Shape(dims).Clone())
		case d == -1:
			infer = i
		case d < 0:
			return dst, fmt.Errorf("shape %v has the negative dimension %d; only one -1 is allowed", tensor.Shape(dims).Clone(), d)
		case d == 0:
			empty = true
		case elements > 0 && known > elements/d || known > math.MaxInt/d:
			return dst, reshapeError(elements, dims) // whatever follows: a 0 is as wrong as more
		default:
			known *= d
		}
	}
	if empty {
		known = 0
	}
	if infer >= 0 {
		if known == 0 {
			// As TensorFlow: nothing times anything is nothing, so the free dimension is empty too.
			if elements != 0 {
				return dst, reshapeError(elements, dims)
			}
			dims[infer] = 0
			return out, nil
		}
		if elements%known != 0 {
			return dst, reshapeError(elements, dims)
		}
		dims[infer] = elements / known
		return out, nil
	}
	if known != elements {
		return dst, reshapeError(elements, dims)
	}
	return out, nil
}

func reshapeError(elements int, dims []int) error {
	return fmt.Errorf("cannot reshape, have %d elements, want shape %v; the products must be equal", elements, tensor.Shape(dims).Clone())
}

// reshapeOp gives the elements of input 0 the shape of input 1.
func reshapeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		var dims [8]int
		n := x.Shape().Elements()
		shape, err := c.reshapeTo(dims[:0], n, 1)
		if err != nil {
			return err
		}
		if n == 0 {
			if err := c.s.arena.allowEmpty(shape); err != nil {
				return err
			}
		}
		c.view(0, 0, x.DType(), shape)
		return nil
	}, nil
}

// expandDimsOp inserts a dimension of 1.
func expandDimsOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		axis, err := oneInt(c.in(1), "dim")
		if err != nil {
			return err
		}
		if axis, err = resolveAxis(axis, x.Rank()+1, "dim"); err != nil {
			return err
		}
		var dims [8]int
		shape := append(dims[:0], x.Shape()[:axis]...)
		shape = append(shape, 1)
		c.view(0, 0, x.DType(), append(shape, x.Shape()[axis:]...))
		return nil
	}, nil
}

// squeezeOp removes the dimensions of 1 that squeeze_dims names, or all.
func squeezeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	axes := r.Ints("squeeze_dims")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		for _, a := range axes {
			axis, err := resolveAxis(int(a), x.Rank(), "squeeze_dims")
			if err != nil {
				return err
			}
			if x.Shape()[axis] != 1 {
				return fmt.Errorf("cannot squeeze dimension %d of %v, want 1", axis, x.Shape().Clone())
			}
		}
		var dims [8]int
		shape := dims[:0]
		for i, d := range x.Shape() {
			drop := len(axes) == 0 && d == 1 || slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-x.Rank()))
			if !drop {
				shape = append(shape, d)
			}
		}
		c.view(0, 0, x.DType(), shape)
		return nil
	}, nil
}

// ensureShapeOp fails unless its input has the shape of an attribute.
func ensureShapeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	want := r.Shape("shape")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		if s := c.in(0).Shape(); !want.Accepts(s) {
			return fmt.Errorf("have shape %v, want %v", s.Clone(), want)
		}
		c.forward(0, 0)
		return nil
	}, nil
}
