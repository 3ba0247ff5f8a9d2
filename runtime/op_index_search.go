package runtime

import (
	"cmp"
	"fmt"
	"sort"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// boundOp finds, for each value, the place in the sorted row of the same number before which it could stand (LowerBound) or
// after whose equals it could (UpperBound).
func boundOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "out_type")
	if err != nil {
		return nil, err
	}
	upper := n.Op() == "UpperBound"
	return func(c *call) error {
		x, v := c.in(0), c.in(1)
		xs, vs := x.Shape(), v.Shape()
		if len(xs) != 2 || len(vs) != 2 || xs[0] != vs[0] {
			return fmt.Errorf("sorted_inputs and values have shapes %v and %v, want matrices with as many rows", xs.Clone(), vs.Clone())
		}
		if x.DType() != v.DType() {
			return fmt.Errorf("sorted_inputs and values are %v and %v, want one dtype", x.DType(), v.DType())
		}
		less, err := elementLess(x, v)
		if err != nil {
			return err
		}
		places := make([]int, v.Len())
		for i := range places {
			row := i / vs[1] * xs[1]
			places[i] = sort.Search(xs[1], func(k int) bool {
				if upper {
					return less.valueFirst(i, row+k)
				}
				return !less.inputFirst(row+k, i)
			})
		}
		return setInts(c, 0, out, vs, places)
	}, nil
}

// bounds compares elements of the two inputs of a search.
type bounds struct {
	inputFirst func(input, value int) bool // input < value
	valueFirst func(value, input int) bool // value < input
}

func elementLess(x, v *tensor.Tensor) (bounds, error) {
	switch x.DType() {
	case tensor.Float32:
		return boundsOf(tensor.Data[float32](x), tensor.Data[float32](v)), nil
	case tensor.Float64:
		return boundsOf(tensor.Data[float64](x), tensor.Data[float64](v)), nil
	case tensor.Float16, tensor.Bfloat16:
		fx, fv := floatsOf(x), floatsOf(v)
		return bounds{
			func(i, j int) bool { return fx.at(i) < fv.at(j) },
			func(j, i int) bool { return fv.at(j) < fx.at(i) },
		}, nil
	case tensor.Int8:
		return boundsOf(tensor.Data[int8](x), tensor.Data[int8](v)), nil
	case tensor.Uint8:
		return boundsOf(tensor.Data[uint8](x), tensor.Data[uint8](v)), nil
	case tensor.Int16:
		return boundsOf(tensor.Data[int16](x), tensor.Data[int16](v)), nil
	case tensor.Uint16:
		return boundsOf(tensor.Data[uint16](x), tensor.Data[uint16](v)), nil
	case tensor.Int32:
		return boundsOf(tensor.Data[int32](x), tensor.Data[int32](v)), nil
	case tensor.Uint32:
		return boundsOf(tensor.Data[uint32](x), tensor.Data[uint32](v)), nil
	case tensor.Int64:
		return boundsOf(tensor.Data[int64](x), tensor.Data[int64](v)), nil
	case tensor.Uint64:
		return boundsOf(tensor.Data[uint64](x), tensor.Data[uint64](v)), nil
	}
	return bounds{}, fmt.Errorf("elements of %v have no order", x.DType())
}

func boundsOf[T cmp.Ordered](x, v []T) bounds {
	return bounds{
		func(i, j int) bool { return x[i] < v[j] },
		func(j, i int) bool { return v[j] < x[i] },
	}
}
