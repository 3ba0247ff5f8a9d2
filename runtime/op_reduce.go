package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// reduceOps fold the elements along some dimensions into one.
var reduceOps = map[string]evaluator{
	"All":           reduceOp,
	"Any":           reduceOp,
	"EuclideanNorm": reduceOp,
	"Max":           reduceOp,
	"Mean":          reduceOp,
	"Min":           reduceOp,
	"Prod":          reduceOp,
	"Sum":           reduceOp,
	"L2Loss":        l2LossOp,
}

// reduceOp folds input 0 along the dimensions that input 1 lists, which keep_dims leaves as 1.
func reduceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	keep, d := r.Bool("keep_dims"), tensor.Bool
	if n.Op() != "All" && n.Op() != "Any" {
		d = r.Type("T")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	fold := reductionOf(n.Op(), d)
	if fold == nil {
		return nil, noKernel(d)
	}
	float := floatReductions[n.Op()]
	mean, norm := n.Op() == "Mean", n.Op() == "EuclideanNorm"
	return func(c *call) error {
		x, r := c.in(0), &c.reduce
		if x.DType() != d {
			return fmt.Errorf("input is %v, want %v", x.DType(), d)
		}
		if err := r.set(x.Shape(), c.in(1), keep); err != nil {
			return err
		}
		if r.count == 1 && !norm {
			c.view(0, 0, d, r.out)
			return nil
		}
		t, err := c.alloc(0, d, r.out)
		if err != nil || t.Len() == 0 {
			return err
		}
		if d != tensor.Float32 || r.count == 0 || !float.fits(r) {
			fold(r, t, x)
			return nil
		}
		dst := tensor.Data[float32](t)
		float.fold(c.kernels(), r, dst, tensor.Data[float32](x))
		switch {
		case mean:
			c.kernels().DivScalar(dst, dst, float32(r.count))
		case norm:
			c.kernels().Sqrt(dst, dst)
		}
		return nil
	}, nil
}

// reduction says which elements of an input belong to which element of the output. Neighbouring dimensions that are both
// kept or both dropped are one span, and dimensions of 1 none. A Session has one, so that steps need no memory for it.
type reduction struct {
	out           tensor.Shape // of the output
	kept, dropped []span       // outermost first
	count         int          // elements that are folded into one

	axes []int
	drop []bool
}

// span is a range of offsets: size of them, stride elements apart.
type span struct{ size, stride int }

// set makes r the reduction of a tensor of shape s along axes.
func (r *reduction) set(s tensor.Shape, axes *tensor.Tensor, keep bool) error {
	var err error
	if r.axes, err = appendInts(r.axes[:0], axes, "reduction_indices"); err != nil {
		return err
	}
	r.drop = r.drop[:0]
	for range s {
		r.drop = append(r.drop, false)
	}
	for _, a := range r.axes {
		axis, err := resolveAxis(a, len(s), "an element of reduction_indices")
		if err != nil {
			return err
		}
		if r.drop[axis] {
			return fmt.Errorf("reduction_indices name dimension %d twice, have %v", axis, append([]int(nil), r.axes...))
		}
		r.drop[axis] = true
	}
	r.out = r.out[:0]
	for i, dim := range s {
		switch {
		case !r.drop[i]:
			r.out = append(r.out, dim)
		case keep:
			r.out = append(r.out, 1)
		}
	}
	r.split(s)
	return nil
}

// split finds the spans of s by r.drop.
func (r *reduction) split(s tensor.Shape) {
	r.kept, r.dropped, r.count = r.kept[:0], r.dropped[:0], 1
	stride := s.Elements()
	wasDropped, first := false, true
	for i, dim := range s {
		if dim == 1 {
			continue
		}
		if dim > 0 {
			stride /= dim
		}
		list := &r.kept
		if r.drop[i] {
			list = &r.dropped
			r.count *= dim
		}
		if !first && wasDropped == r.drop[i] {
			last := &(*list)[len(*list)-1]
			last.size *= dim
			last.stride = stride
		} else {
			*list = append(*list, span{dim, stride})
		}
		wasDropped, first = r.drop[i], false
	}
	if r.count == 0 {
		r.dropped = append(r.dropped[:0], span{0, 1}) // other sizes may be huge: nothing shall walk them
	}
}

// l2LossOp is half the sum of the squares.
func l2LossOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		t, err := c.alloc(0, d, nil)
		if err != nil {
			return err
		}
		if d == tensor.Float32 {
			tensor.Data[float32](t)[0] = c.kernels().SumSquares(tensor.Data[float32](x)) / 2
			return nil
		}
		sum, in := 0.0, floatsOf(x)
		for i := range x.Len() {
			v := in.at(i)
			sum += v * v
		}
		setFloat(t, 0, sum/2)
		return nil
	}, nil
}
