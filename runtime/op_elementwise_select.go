package runtime

import (
	"fmt"
	"slices"
	"sort"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// selectV2 takes elements of input 1 where input 0, bool, is true, and of input 2 elsewhere; all three broadcast.
func selectV2(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		if err := wantChoice(c); err != nil {
			return err
		}
		return choose(c, c.in(0).Shape())
	}, nil
}

// selectV1 is Select of TF1: the two values have one shape, and the condition has it too, or is a scalar, or a vector that
// chooses slices of the first dimension.
func selectV1(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		if err := wantChoice(c); err != nil {
			return err
		}
		cond, x := c.in(0).Shape(), c.in(1).Shape()
		if !x.Equal(c.in(2).Shape()) {
			return fmt.Errorf("values are %v and %v, want equal shapes", x, c.in(2).Shape())
		}
		switch {
		case cond.Equal(x) || len(cond) == 0:
			return choose(c, cond)
		case len(cond) == 1 && len(x) > 0 && cond[0] == x[0]:
			var dims [8]int
			shape := append(tensor.Shape(dims[:0]), cond[0])
			for range len(x) - 1 {
				shape = append(shape, 1)
			}
			return choose(c, shape)
		}
		return fmt.Errorf("condition is %v, want a scalar, %v, or a vector of its first dimension", cond, x)
	}, nil
}

func wantChoice(c *call) error {
	if d := c.in(0).DType(); d != tensor.Bool {
		return fmt.Errorf("condition is %v, want bool", d)
	}
	if x, y := c.in(1).DType(), c.in(2).DType(); x != y {
		return fmt.Errorf("values are %v and %v, want one dtype", x, y)
	}
	return nil
}

// choose sets output 0 to the broadcast choice; cond is the shape that the condition is read with.
func choose(c *call, cond tensor.Shape) error {
	x, y := c.in(1), c.in(2)
	w := &c.walk
	if err := w.set(cond, x.Shape(), y.Shape()); err != nil {
		return err
	}
	over := uint64(6)
	if x.DType().Size() == 1 && w.shape.Equal(cond) {
		over |= 1
	}
	t, err := c.allocOver(0, x.DType(), w.shape, over)
	if err != nil || t.Len() == 0 {
		return err
	}
	p := tensor.Data[bool](c.in(0))
	switch x.DType().Size() {
	case 0:
		if t.DType() == tensor.String {
			chooseRuns(w, t.Strings(), p, x.Strings(), y.Strings())
			return nil
		}
		chooseRuns(w, t.Refs(), p, x.Refs(), y.Refs())
	case 1:
		chooseRuns(w, tensor.Data[uint8](t), p, tensor.Data[uint8](x), tensor.Data[uint8](y))
	case 2:
		chooseRuns(w, tensor.Data[uint16](t), p, tensor.Data[uint16](x), tensor.Data[uint16](y))
	case 4:
		chooseRuns(w, tensor.Data[uint32](t), p, tensor.Data[uint32](x), tensor.Data[uint32](y))
	case 8:
		chooseRuns(w, tensor.Data[uint64](t), p, tensor.Data[uint64](x), tensor.Data[uint64](y))
	case 16:
		chooseRuns(w, tensor.Data[complex128](t), p, tensor.Data[complex128](x), tensor.Data[complex128](y))
	}
	return nil
}

func chooseRuns[T any](w *walk, dst []T, cond []bool, x, y []T) {
	sc, sx, sy := w.stride[0][0], w.stride[1][0], w.stride[2][0]
	w.each(func(o int, at [3]int, n int) {
		d, p, a, b := dst[o:o+n], cond[at[0]:], x[at[1]:], y[at[2]:]
		switch {
		case sc == 0 && p[0] && sx == 1: // one condition for the run, which is so a copy
			copy(d, a)
		case sc == 0 && !p[0] && sy == 1:
			copy(d, b)
		default:
			for i := range d {
				v := b[i*sy]
				if p[i*sc] {
					v = a[i*sx]
				}
				d[i] = v
			}
		}
	})
}

// sumOfAll adds inputs of one shape. Floats of 16 bits are added in float64 and rounded once.
func sumOfAll(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if n.NumInputs() == 0 {
		return nil, fmt.Errorf("has no inputs, want 1 or more")
	}
	add := arithmeticKernel("AddV2", d)
	if add == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		for i := range c.numIn() {
			if v := c.in(i); v.DType() != d || !v.Shape().Equal(x.Shape()) {
				return fmt.Errorf("input %d is %v %v, want %v %v as input 0", i, v.DType(), v.Shape(), d, x.Shape())
			}
		}
		if c.numIn() == 1 {
			c.forward(0, 0)
			return nil
		}
		// Later inputs are read after the result is first written.
		t, err := c.allocOver(0, d, x.Shape(), 3)
		if err != nil || t.Len() == 0 {
			return err
		}
		if d == tensor.Float16 || d == tensor.Bfloat16 {
			addHalves(c, t)
			return nil
		}
		w := &c.walk
		if err := w.set(x.Shape(), x.Shape()); err != nil {
			return err
		}
		add(c.kernels(), w, t, x, c.in(1))
		for i := 2; i < c.numIn(); i++ {
			add(c.kernels(), w, t, t, c.in(i))
		}
		return nil
	}, nil
}

func addHalves(c *call, t *tensor.Tensor) {
	in := make([]floatReader, c.numIn())
	for k := range in {
		in[k] = floatsOf(c.in(k))
	}
	for i := range t.Len() {
		sum := 0.0
		for k := range in {
			sum += in[k].at(i)
		}
		setFloat(t, i, sum)
	}
}

// clipByValue limits input 0 to the range of inputs 1 and 2, scalars or of its shape: min(max(x, lo), hi), NaN stays.
func clipByValue(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	lower, upper := arithmeticKernel("Maximum", d), arithmeticKernel("Minimum", d)
	if lower == nil || upper == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		for i := range 3 {
			v := c.in(i)
			if v.DType() != d || i > 0 && v.Rank() != 0 && !v.Shape().Equal(x.Shape()) {
				return fmt.Errorf("input %d is %v %v, want %v and a scalar or %v", i, v.DType(), v.Shape(), d, x.Shape())
			}
		}
		t, err := c.allocOver(0, d, x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		w := &c.walk
		if err := w.set(x.Shape(), c.in(1).Shape()); err != nil {
			return err
		}
		lower(c.kernels(), w, t, x, c.in(1))
		if err := w.set(x.Shape(), c.in(2).Shape()); err != nil {
			return err
		}
		upper(c.kernels(), w, t, t, c.in(2))
		return nil
	}, nil
}

// bucketize maps each element to the number of boundaries that are not above it.
func bucketize(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	bounds := r.Floats("boundaries")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !slices.IsSorted(bounds) {
		return nil, fmt.Errorf("boundaries %v are not in ascending order", bounds)
	}
	if !d.IsFloat() && !d.IsInteger() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		if x.DType() != d {
			return fmt.Errorf("operand is %v, want %v", x.DType(), d)
		}
		t, err := c.alloc(0, tensor.Int32, x.Shape())
		if err != nil {
			return err
		}
		dst, at := tensor.Data[int32](t), numberReader(x)
		for i := range dst {
			v := at(i)
			dst[i] = int32(sort.Search(len(bounds), func(k int) bool { return v < float64(bounds[k]) }))
		}
		return nil
	}, nil
}
