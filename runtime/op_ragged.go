package runtime

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// raggedOps work on ragged tensors, which are values and the splits of their rows, and on sparse ones.
var raggedOps = map[string]evaluator{
	"RaggedRange":          raggedRangeOp,
	"RaggedGather":         raggedGatherOp,
	"RaggedTensorToTensor": raggedToTensorOp,
	"RaggedTensorToSparse": raggedToSparseOp,
	"SparseToDense":        sparseToDenseOp,
}

// raggedRangeOp gives one range a row; scalars go with every row.
func raggedRangeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	splitType, err := n.Type("Tsplits")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		switch c.in(0).DType() {
		case tensor.Int32:
			return raggedInts[int32](c, splitType)
		case tensor.Int64:
			return raggedInts[int64](c, splitType)
		}
		if !c.in(0).DType().IsFloat() {
			return fmt.Errorf("starts is %v, want int32, int64 or a float", c.in(0).DType())
		}
		return raggedFloats(c, splitType)
	}, nil
}

// raggedRows returns the number of rows that starts, limits and deltas make.
func raggedRows(c *call) (int, error) {
	rows := -1
	for i, what := range []string{"starts", "limits", "deltas"} {
		t := c.in(i)
		if t.DType() != c.in(0).DType() {
			return 0, fmt.Errorf("%s is %v, want %v as starts", what, t.DType(), c.in(0).DType())
		}
		switch {
		case t.Rank() > 1:
			return 0, fmt.Errorf("%s has shape %v, want a vector or scalar", what, t.Shape().Clone())
		case t.Rank() == 1 && rows >= 0 && t.Len() != rows:
			return 0, fmt.Errorf("%s has %d elements, want %d or a scalar", what, t.Len(), rows)
		case t.Rank() == 1:
			rows = t.Len()
		}
	}
	return max(rows, -rows), nil
}

func raggedInts[T int32 | int64](c *call, splitType tensor.DType) error {
	rows, err := raggedRows(c)
	if err != nil {
		return err
	}
	at := func(i, row int) int64 {
		v := tensor.Data[T](c.in(i))
		return int64(v[min(row, len(v)-1)])
	}
	splits := make([]int, rows+1)
	for row := range rows {
		n, err := rangeSize(at(0, row), at(1, row), at(2, row))
		if err != nil {
			return err
		}
		splits[row+1] = splits[row] + n
		if splits[row+1] > math.MaxInt32 {
			return fmt.Errorf("the ranges have more than %d elements", math.MaxInt32)
		}
	}
	t, err := c.alloc(1, c.in(0).DType(), tensor.Shape{splits[rows]})
	if err != nil {
		return err
	}
	out := tensor.Data[T](t)
	for row := range rows {
		v, step := T(at(0, row)), T(at(2, row))
		for i := splits[row]; i < splits[row+1]; i++ {
			out[i] = v
			v += step
		}
	}
	return setInts(c, 0, splitType, tensor.Shape{len(splits)}, splits)
}

func raggedFloats(c *call, splitType tensor.DType) error {
	rows, err := raggedRows(c)
	if err != nil {
		return err
	}
	var readers [3]floatReader
	for i := range readers {
		readers[i] = floatsOf(c.in(i))
	}
	at := func(i, row int) float64 { return readers[i].at(min(row, c.in(i).Len()-1)) }
	round := rounding(c.in(0).DType())
	splits := make([]int, rows+1)
	for row := range rows {
		n, err := rangeSizeFloat(at(0, row), at(1, row), at(2, row), round)
		if err != nil {
			return err
		}
		splits[row+1] = splits[row] + n
		if splits[row+1] > math.MaxInt32 {
			return fmt.Errorf("the ranges have more than %d elements", math.MaxInt32)
		}
	}
	t, err := c.alloc(1, c.in(0).DType(), tensor.Shape{splits[rows]})
	if err != nil {
		return err
	}
	for row := range rows {
		v, step := at(0, row), at(2, row)
		for i := splits[row]; i < splits[row+1]; i++ {
			setFloat(t, i, v)
			v = round(v + step)
		}
	}
	return setInts(c, 0, splitType, tensor.Shape{len(splits)}, splits)
}

// rangeSize returns how many values lie from start up to limit, which is left out.
func rangeSize(start, limit, delta int64) (int, error) {
	var span, step uint64 // differences of two int64 fit
	switch {
	case delta == 0:
		return 0, errors.New("deltas has a 0, want steps")
	case delta > 0 && limit > start:
		span, step = uint64(limit)-uint64(start), uint64(delta)
	case delta < 0 && limit < start:
		span, step = uint64(start)-uint64(limit), -uint64(delta)
	default:
		return 0, nil
	}
	n := (span-1)/step + 1
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("a range from %d to %d by %d has more than %d elements", start, limit, delta, math.MaxInt32)
	}
	return int(n), nil
}

// rangeSizeFloat is rangeSize for floats of a type that round rounds to.
func rangeSizeFloat(start, limit, delta float64, round func(float64) float64) (int, error) {
	if delta == 0 {
		return 0, errors.New("deltas has a 0, want steps")
	}
	n := math.Ceil(round(round(limit-start) / delta))
	if n != n || n > math.MaxInt32 {
		return 0, fmt.Errorf("a range from %v to %v by %v has %v elements, want at most %d", start, limit, delta, n, math.MaxInt32)
	}
	return max(0, int(n)), nil
}

// readSplits returns the row splits in inputs first and following: num of them, the last for size values.
func readSplits(c *call, first, num, size int) ([][]int, error) {
	all := make([][]int, num)
	for d := num - 1; d >= 0; d-- {
		what := fmt.Sprintf("nested splits %d", d)
		s, err := appendInts(nil, c.in(first+d), what)
		if err != nil {
			return nil, err
		}
		if err := checkSplits(s, size, what); err != nil {
			return nil, err
		}
		all[d], size = s, len(s)-1
	}
	return all, nil
}

// raggedGatherOp takes rows of a ragged tensor. Dimensions of indices beyond the first become ragged ones of equal rows.
func raggedGatherOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	depth, splitType := int(r.Int("PARAMS_RAGGED_RANK")), r.Type("Tsplits")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		values, indices := c.in(depth), c.in(depth+1)
		if depth < 1 || values.Rank() < 1 {
			return fmt.Errorf("params has %d nested splits and values of shape %v, want splits and a vector or more", depth, values.Shape().Clone())
		}
		splits, err := readSplits(c, 0, depth, values.Shape()[0])
		if err != nil {
			return err
		}
		picks, err := anyInts(indices, "indices")
		if err != nil {
			return err
		}
		if want := depth + indices.Rank() - 1; c.numOut() != want+1 {
			return fmt.Errorf("OUTPUT_RAGGED_RANK is %d, want %d for indices of shape %v", c.numOut()-1, want, indices.Shape().Clone())
		}
		var out [][]int
		for d, num := 1, 1; d < indices.Rank(); d++ {
			num *= indices.Shape()[d-1]
			even := make([]int, num+1)
			for i := range even {
				even[i] = i * indices.Shape()[d]
			}
			out = append(out, even)
		}
		dense := len(out)
		for range depth {
			out = append(out, []int{0})
		}
		if indices.Rank() == 0 {
			out = out[1:]
		}
		type run struct{ from, to int }
		var runs []run
		rows := 0
		for i, p := range picks {
			if p < 0 || p >= len(splits[0])-1 {
				return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", i, p, len(splits[0])-1)
			}
			from, to := p, p+1
			for d, s := range splits {
				// A scalar index takes the row itself: the first splits are not needed.
				if at := dense + d - (depth + dense - len(out)); at >= 0 {
					o := &out[at]
					shift := (*o)[len(*o)-1] - s[from]
					for _, v := range s[from+1 : to+1] {
						*o = append(*o, v+shift)
					}
				}
				from, to = s[from], s[to]
			}
			runs = append(runs, run{from, to})
			rows += to - from
		}
		shape := append(tensor.Shape{rows}, values.Shape()[1:]...)
		t, err := c.alloc(len(out), values.DType(), shape)
		if err != nil {
			return err
		}
		row, at := values.Shape()[1:].Elements(), 0
		for _, r := range runs {
			n := (r.to - r.from) * row
			moveRun(t, at, values, r.from*row, n)
			at += n
		}
		for i, s := range out {
			if err := setInts(c, i, splitType, tensor.Shape{len(s)}, s); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// raggedToSparseOp lists the values of a ragged tensor with their places.
func raggedToSparseOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	depth64, err := n.Int("RAGGED_RANK")
	if err != nil {
		return nil, err
	}
	depth := int(depth64)
	return func(c *call) error {
		values := c.in(depth)
		if depth < 1 || values.Rank() < 1 {
			return fmt.Errorf("has %d nested splits and values of shape %v, want splits and a vector or more", depth, values.Shape().Clone())
		}
		splits, err := readSplits(c, 0, depth, values.Shape()[0])
		if err != nil {
			return err
		}
		inner := values.Shape()[1:]
		rank := depth + 1 + len(inner)
		t, err := c.alloc(0, tensor.Int64, tensor.Shape{values.Len(), rank})
		if err != nil {
			return err
		}
		index := tensor.Data[int64](t)
		dims := make([]int64, rank)
		dims[0] = int64(len(splits[0]) - 1)
		rows := make([]int, depth) // which row of each level holds the value
		row := inner.Elements()
		for i := range values.Shape()[0] {
			at := i
			place := make([]int64, depth+1)
			for d := depth - 1; d >= 0; d-- {
				for splits[d][rows[d]+1] <= at {
					rows[d]++
				}
				place[d+1] = int64(at - splits[d][rows[d]])
				at = rows[d]
			}
			place[0] = int64(at)
			for k := range row {
				one := index[(i*row+k)*rank:][:rank]
				copy(one, place)
				for d, rest := len(inner)-1, k; d >= 0; d-- {
					one[depth+1+d] = int64(rest % inner[d])
					rest /= inner[d]
				}
			}
		}
		for d, s := range splits {
			for i := 1; i < len(s); i++ {
				dims[d+1] = max(dims[d+1], int64(s[i]-s[i-1]))
			}
		}
		for d, size := range inner {
			dims[depth+1+d] = int64(size)
		}
		flat, err := values.Reshaped(tensor.Shape{values.Len()})
		if err != nil {
			return err
		}
		c.view(1, depth, flat.DType(), flat.Shape())
		c.set(2, tensor.FromSlice(tensor.Shape{rank}, dims))
		return nil
	}, nil
}

// sparseToDenseOp writes values at the given places of a tensor of default values.
func sparseToDenseOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	validate, err := n.Bool("validate_indices")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		is := c.in(0).Shape()
		places, err := anyInts(c.in(0), "sparse_indices")
		if err != nil {
			return err
		}
		index := make([]int64, len(places))
		for i, v := range places {
			index[i] = int64(v)
		}
		dims, err := appendInts(nil, c.in(1), "output_shape")
		if err != nil {
			return err
		}
		shape := tensor.Shape(dims)
		num, depth := 1, 1
		if len(is) > 0 {
			num = is[0]
		}
		if len(is) > 1 {
			depth = is[1]
		}
		values, fill := c.in(2), c.in(3)
		switch {
		case len(is) > 2 || c.in(1).Rank() != 1 || depth != len(shape):
			return fmt.Errorf("sparse_indices has shape %v, want places in an output of shape %v", is.Clone(), shape)
		case values.Rank() > 1 || values.Rank() == 1 && values.Len() != num:
			return fmt.Errorf("sparse_values has shape %v, want a scalar or %d values", values.Shape().Clone(), num)
		case fill.Rank() != 0 || fill.DType() != values.DType():
			return fmt.Errorf("default_value is %v %v, want a scalar of %v", fill.DType(), fill.Shape().Clone(), values.DType())
		}
		t, err := c.alloc(0, values.DType(), shape)
		if err != nil {
			return err
		}
		fillTensor(t, fill)
		var last []int64
		for i := range num {
			place := index[i*depth:][:depth]
			at, err := placeOf(place, shape)
			if err != nil {
				return fmt.Errorf("sparse_indices[%d]: %w", i, err)
			}
			if validate && last != nil && slices.Compare(last, place) >= 0 {
				return fmt.Errorf("sparse_indices[%d] is %v after %v, want places in order and once; set validate_indices to false", i, place, last)
			}
			last = place
			moveRun(t, at, values, min(i, values.Len()-1), 1)
		}
		return nil
	}, nil
}
