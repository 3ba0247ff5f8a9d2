package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
)

// checkNumericsOp forwards its input, but fails where an element is infinite or no number.
func checkNumericsOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	message := r.Str("message")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		if !x.DType().IsFloat() {
			return fmt.Errorf("tensor is %v, want a floating-point dtype", x.DType())
		}
		f := floatsOf(x)
		for i := range x.Len() {
			if v := f.at(i); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("element %d of %v is %v, want a finite number: %s", i, x.Shape().Clone(), v, message)
			}
		}
		c.forward(0, 0)
		return nil
	}, nil
}

// emptyOp makes a tensor of a shape. TensorFlow leaves its elements as they are unless init is set; here they are zero.
func emptyOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		var dims [8]int
		shape, err := vectorInts(dims[:0], c.in(0), "shape")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, d, shape)
		if err != nil {
			return err
		}
		fillTensor(t, nil)
		return nil
	}, nil
}

// stridedUpdateOp changes a strided slice of a copy of the input to value, which has the slice's shape.
func stridedUpdateOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	spec, err := readStridedSpec(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, v := c.in(0), c.in(4)
		shape, l, err := spec.resolve(c, x.Shape(), c.in(1), c.in(2), c.in(3))
		if err != nil {
			return err
		}
		if v.DType() != x.DType() {
			return fmt.Errorf("value is %v, want %v", v.DType(), x.DType())
		}
		if n := shape.Elements(); n > 0 && !v.Shape().Equal(shape) {
			return fmt.Errorf("value has shape %v, want %v", v.Shape().Clone(), shape.Clone())
		}
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil {
			return err
		}
		if t.Len() > 0 && !sameMemory(t, x) {
			moveRun(t, 0, x, 0, x.Len())
		}
		if v.Len() == 0 || shape.Elements() == 0 {
			return nil
		}
		l.dstAt, l.srcAt = l.srcAt, 0
		l.dst, l.src = l.src, l.dst
		denseStrides(l.src, l.dims)
		moveTensor(t, v, l)
		return nil
	}, nil
}
