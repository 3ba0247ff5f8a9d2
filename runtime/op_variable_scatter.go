package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// variableScatterOps change rows, elements or a slice of a variable.
var variableScatterOps = map[string]evaluator{
	"ResourceScatterUpdate":   scatterRows(replace),
	"ResourceScatterAdd":      scatterRows(addTo),
	"ResourceScatterSub":      scatterRows(subtractFrom),
	"ResourceScatterMul":      scatterRows(multiplyBy),
	"ResourceScatterDiv":      scatterRows(divideBy),
	"ResourceScatterMin":      scatterRows(takeLess),
	"ResourceScatterMax":      scatterRows(takeMore),
	"ScatterUpdate":           scatterRows(replace),
	"ScatterAdd":              scatterRows(addTo),
	"ScatterSub":              scatterRows(subtractFrom),
	"ScatterMul":              scatterRows(multiplyBy),
	"ScatterDiv":              scatterRows(divideBy),
	"ScatterMin":              scatterRows(takeLess),
	"ScatterMax":              scatterRows(takeMore),
	"ResourceScatterNdUpdate": scatterPlaces(scatterSet),
	"ResourceScatterNdAdd":    scatterPlaces(scatterAdd),
	"ResourceScatterNdSub":    scatterPlaces(scatterSub),
	"ResourceScatterNdMin":    scatterPlaces(scatterMin),
	"ResourceScatterNdMax":    scatterPlaces(scatterMax),
	"ScatterNdUpdate":         scatterPlaces(scatterSet),
	"ScatterNdAdd":            scatterPlaces(scatterAdd),
	"ScatterNdSub":            scatterPlaces(scatterSub),
	"ScatterNdMin":            scatterPlaces(scatterMin),
	"ScatterNdMax":            scatterPlaces(scatterMax),

	"ResourceStridedSliceAssign": stridedAssignOp,
	"StridedSliceAssign":         stridedAssignOp,
}

// scatterRows changes row indices[i] of a variable by updates[i], or all by one scalar, in the order of the indices.
func scatterRows(u update) evaluator {
	return func(*graphdef.Node, *kernels.Set) (evalFunc, error) {
		return func(c *call) error {
			v, err := c.variableIn(0, true)
			if err != nil {
				return err
			}
			indices, updates := c.in(1), c.in(2)
			shape := v.value.t.Shape()
			if len(shape) == 0 {
				return fmt.Errorf("variable %q is a scalar, want rows to change", v.name)
			}
			step := 1
			if updates.Rank() == 0 {
				step = 0
			} else if want := append(indices.Shape().Clone(), shape[1:]...); !want.Equal(updates.Shape()) {
				return fmt.Errorf("updates have shape %v, want %v or a scalar, for indices %v and variable %v", updates.Shape().Clone(), want, indices.Shape().Clone(), shape)
			}
			t, err := c.own(v)
			if err != nil {
				return err
			}
			at, err := indexReader(indices)
			if err != nil {
				return err
			}
			row := shape[1:].Elements()
			// No row changes where an index is wrong.
			for i := range indices.Len() {
				if k := at(i); k < 0 || k >= int64(shape[0]) {
					return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", i, k, shape[0])
				}
			}
			for i := range indices.Len() {
				if err := u.apply(t, int(at(i))*row, updates, i*row*step, row, step); err != nil {
					return err
				}
			}
			return c.handOn()
		}, nil
	}
}

// indexReader returns the elements of an int32 or int64 tensor.
func indexReader(t *tensor.Tensor) (func(i int) int64, error) {
	if d := t.DType(); d != tensor.Int32 && d != tensor.Int64 {
		return nil, fmt.Errorf("indices is %v, want int32 or int64", d)
	}
	return intsOf(t), nil
}

// scatterPlaces changes the elements or slices of a variable whose places are the vectors in the last dimension of indices.
func scatterPlaces(mode scatterMode) evaluator {
	return func(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
		ignore, err := ignoresBadIndices(n)
		if err != nil {
			return nil, err
		}
		return func(c *call) error {
			v, err := c.variableIn(0, true)
			if err != nil {
				return err
			}
			t, err := c.own(v)
			if err != nil {
				return err
			}
			if err := scatter(t, c.in(1), c.in(2), mode, ignore); err != nil {
				return err
			}
			return c.handOn()
		}, nil
	}
}

// stridedAssignOp replaces a slice of a variable, as StridedSlice takes it, by input 4.
func stridedAssignOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	spec, err := readStridedSpec(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		v, err := c.variableIn(0, true)
		if err != nil {
			return err
		}
		shape, l, err := spec.resolve(c, v.value.t.Shape(), c.in(1), c.in(2), c.in(3))
		if err != nil {
			return err
		}
		x := c.in(4)
		if x.Rank() > 0 && !shape.Equal(x.Shape()) {
			return fmt.Errorf("the slice has shape %v, want the same of the value or a scalar, have %v", shape.Clone(), x.Shape().Clone())
		}
		if x.DType() != v.value.t.DType() {
			return fmt.Errorf("variable %q is %v, have a value of %v", v.name, v.value.t.DType(), x.DType())
		}
		t, err := c.own(v)
		if err != nil {
			return err
		}
		// The layout says where the slice's elements are in its source: here they are written.
		l.dst, l.src, l.dstAt, l.srcAt = l.src, l.dst, l.srcAt, l.dstAt
		if denseStrides(l.src, l.dims); x.Rank() == 0 {
			clear(l.src)
		}
		moveTensor(t, x, l)
		return c.handOn()
	}, nil
}
