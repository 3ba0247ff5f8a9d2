package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// indexOps read and write elements whose places are computed.
var indexOps = map[string]evaluator{
	"Gather":         gatherOp,
	"GatherV2":       gatherOp,
	"ResourceGather": gatherOp,
	"GatherNd":       gatherNdOp,
	"TopK":           topKOp,
	"TopKV2":         topKOp,
	"NthElement":     nthElementOp,

	"ScatterNd":               scatterNdOp,
	"ScatterNdNonAliasingAdd": tensorScatterOp,
	"TensorScatterUpdate":     tensorScatterOp,
	"TensorScatterAdd":        tensorScatterOp,
	"TensorScatterSub":        tensorScatterOp,
	"TensorScatterMax":        tensorScatterOp,
	"TensorScatterMin":        tensorScatterOp,

	"Where":                 whereOp,
	"Unique":                uniqueOp,
	"UniqueV2":              uniqueOp,
	"UniqueWithCounts":      uniqueOp,
	"UniqueWithCountsV2":    uniqueOp,
	"ListDiff":              listDiffOp,
	"DynamicPartition":      dynamicPartitionOp,
	"DynamicStitch":         dynamicStitchOp,
	"ParallelDynamicStitch": dynamicStitchOp,
	"LowerBound":            boundOp,
	"UpperBound":            boundOp,
}

// gatherOp picks slices of params along an axis: input 2 of GatherV2, else batch_dims. The first batch_dims dimensions of
// params and indices go together. A ResourceGather of a frozen variable reads the values themselves.
func gatherOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	batchAttr := 0
	if n.Op() != "Gather" {
		r := n.AttrReader()
		batchAttr = int(r.Int("batch_dims"))
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	hasAxis := n.Op() == "GatherV2"
	return func(c *call) error {
		params, indices := c.in(0), c.in(1)
		if params.DType() == tensor.Resource {
			return fmt.Errorf("params is a resource, want values; freeze the variables of the graph")
		}
		ps, is := params.Shape(), indices.Shape()
		batch := batchAttr
		if batch < 0 {
			batch += len(is)
		}
		if batch < 0 || batch > len(is) || batch > len(ps) || !slices.Equal(is[:batch], ps[:batch]) {
			return fmt.Errorf("params %v and indices %v differ in the %d batch dimensions", ps.Clone(), is.Clone(), batchAttr)
		}
		axis := batch
		if hasAxis {
			a, err := scalarInt(c.in(2), "axis")
			if err != nil {
				return err
			}
			axis = a
		}
		axis, err := resolveAxis(axis, len(ps), "axis")
		if err != nil {
			return err
		}
		if axis < batch {
			return fmt.Errorf("axis is %d, want at least the %d batch dimensions", axis, batch)
		}
		var dims [8]int
		shape := append(append(append(tensor.Shape(dims[:0]), ps[:axis]...), is[batch:]...), ps[axis+1:]...)
		t, err := c.alloc(0, params.DType(), shape)
		if err != nil {
			return err
		}
		g := gather{
			batch: ps[:batch].Elements(), outer: ps[batch:axis].Elements(), rows: ps[axis],
			picks: is[batch:].Elements(), row: ps[axis+1:].Elements(),
		}
		switch indices.DType() {
		case tensor.Int32:
			return gatherRows(&g, t, params, tensor.Data[int32](indices))
		case tensor.Int64:
			return gatherRows(&g, t, params, tensor.Data[int64](indices))
		}
		return fmt.Errorf("indices is %v, want int32 or int64", indices.DType())
	}, nil
}

// gather is the sizes of one Gather: params is [batch, outer, rows, row], indices [batch, picks], the output
// [batch, outer, picks, row].
type gather struct{ batch, outer, rows, picks, row int }

func gatherRows[I int32 | int64](g *gather, t, params *tensor.Tensor, indices []I) error {
	for i, v := range indices {
		if v < 0 || int(v) >= g.rows {
			return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", i, v, g.rows)
		}
	}
	if t.Len() == 0 {
		return nil
	}
	switch size := params.DType().Size(); {
	case params.DType() == tensor.String:
		gatherRuns(g, t.Strings(), params.Strings(), indices, g.row)
	case size == 0:
		gatherRuns(g, t.Refs(), params.Refs(), indices, g.row)
	case g.row == 1 && size == 4:
		gatherElements(g, tensor.Data[uint32](t), tensor.Data[uint32](params), indices)
	default:
		gatherRuns(g, t.Bytes(), params.Bytes(), indices, g.row*size)
	}
	return nil
}

// gatherRuns copies rows of n elements.
func gatherRuns[T any, I int32 | int64](g *gather, dst, src []T, indices []I, n int) {
	for b := range g.batch {
		picks := indices[b*g.picks:][:g.picks]
		for range g.outer {
			for _, v := range picks {
				copy(dst[:n], src[int(v)*n:][:n])
				dst = dst[n:]
			}
			src = src[g.rows*n:]
		}
	}
}

// gatherElements is gatherRuns for rows of one element.
func gatherElements[T any, I int32 | int64](g *gather, dst, src []T, indices []I) {
	for b := range g.batch {
		picks := indices[b*g.picks:][:g.picks]
		for range g.outer {
			for i, v := range picks {
				dst[i] = src[v]
			}
			dst, src = dst[g.picks:], src[g.rows:]
		}
	}
}

// gatherNdOp picks elements or slices of params: each vector in the last dimension of indices is the place of one.
// Where the node says to ignore bad places, they give zeros.
func gatherNdOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	ignore, err := ignoresBadIndices(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		params, indices := c.in(0), c.in(1)
		ps, is := params.Shape(), indices.Shape()
		if len(is) == 0 || len(ps) == 0 {
			return fmt.Errorf("params and indices have shapes %v and %v, want rank 1 or more", ps.Clone(), is.Clone())
		}
		depth := is[len(is)-1]
		if depth > len(ps) {
			return fmt.Errorf("indices %v has places of %d dimensions, want at most the rank of params %v", is.Clone(), depth, ps.Clone())
		}
		var dims [8]int
		shape := append(append(tensor.Shape(dims[:0]), is[:len(is)-1]...), ps[depth:]...)
		t, err := c.alloc(0, params.DType(), shape)
		if err != nil {
			return err
		}
		picks, row := is[:len(is)-1].Elements(), ps[depth:].Elements()
		if params.Len() == 0 && picks > 0 {
			return fmt.Errorf("%d slices are wanted of params, which is empty, have %v", picks, ps.Clone())
		}
		var at [1]int
		size := params.DType().Size()
		for i := range picks {
			var err error
			switch indices.DType() {
			case tensor.Int32:
				at[0], err = placeOf(tensor.Data[int32](indices)[i*depth:][:depth], ps)
			case tensor.Int64:
				at[0], err = placeOf(tensor.Data[int64](indices)[i*depth:][:depth], ps)
			default:
				err = fmt.Errorf("indices is %v, want int32 or int64", indices.DType())
			}
			if err != nil && ignore {
				zeroRun(t, i*row, row)
				continue
			}
			if err != nil {
				return fmt.Errorf("indices[%d]: %w", i, err)
			}
			if size > 0 {
				copy(t.Bytes()[i*row*size:][:row*size], params.Bytes()[at[0]*row*size:])
				continue
			}
			moveRun(t, i*row, params, at[0]*row, row)
		}
		return nil
	}, nil
}

// placeOf returns the number, in row-major order, of the slice that index names in a tensor of shape s.
func placeOf[I int32 | int64](index []I, s tensor.Shape) (int, error) {
	at := 0
	for d, v := range index {
		if v < 0 || int(v) >= s[d] {
			return 0, fmt.Errorf("%v does not index into shape %v", slices.Clone(index), s.Clone())
		}
		at = at*s[d] + int(v)
	}
	return at, nil
}
