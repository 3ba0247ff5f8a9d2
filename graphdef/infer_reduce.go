package graphdef

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// reduce drops the dimensions that input 1 names, or makes them 1.
func reduce(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	keep := c.attrs.Bool("keep_dims")
	axes := c.ints(1)
	if axes == nil || slices.Contains(axes, unknownInt) {
		if n := elements(c.shape(1)); n != 0 || axes != nil {
			if ok && keep {
				c.set(0, ofRank(rank))
			} else if ok && n >= 0 && n <= rank {
				c.set(0, ofRank(rank-n))
			}
			return nil
		}
		axes = nil // an empty list of axes: nothing is reduced
	}
	if !ok {
		return nil
	}
	drop := make([]bool, rank)
	for _, axis := range axes {
		i, err := c.axisOf(axis, rank)
		if err != nil {
			return err
		}
		if drop[i] {
			return c.errorf("axes %v name a dimension twice", axes)
		}
		drop[i] = true
	}
	out := []int{}
	for i, d := range s.Dims() {
		switch {
		case !drop[i]:
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	c.set(0, tensor.Partial(out...))
	c.setInts(0, reduceInts(c.n.op, c.ints(0), len(axes) > 0))
	return nil
}

// reduceInts folds a vector of known integers.
func reduceInts(op string, v []int64, all bool) []int64 {
	if v == nil || !all {
		return nil
	}
	var f func(x, y int64) int64
	start := int64(0)
	switch op {
	case "Sum":
		f = intArithmetic["AddV2"]
	case "Prod":
		f, start = intArithmetic["Mul"], 1
	case "Max", "Min":
		if len(v) == 0 {
			return nil
		}
		f, start = intArithmetic[op+"imum"], v[0]
	default:
		return nil
	}
	for _, x := range v {
		start = f(start, x)
	}
	return []int64{start}
}

// argReduce drops the dimension that input 1 names.
func argReduce(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	axis := c.scalarInt(1)
	if axis == unknownInt {
		c.set(0, ofRank(rank-1))
		return nil
	}
	i, err := c.axisOf(axis, rank)
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(slices.Delete(slices.Clone(s.Dims()), i, i+1)...))
	return nil
}

// segment: rows grouped by increasing ids.
func segment(c *ShapeContext) error {
	if rank, ok := c.shape(0).Rank(); ok && rank > 0 {
		dims := slices.Clone(c.shape(0).Dims())
		dims[0] = tensor.UnknownDim
		c.set(0, tensor.Partial(dims...))
	}
	return nil
}

// unsortedSegment: num_segments + what the ids do not cover.
func unsortedSegment(c *ShapeContext) error {
	rank, ok := c.shape(0).Rank()
	ids, ok2 := c.shape(1).Rank()
	if !ok || !ok2 || ids > rank {
		return nil
	}
	k := c.scalarInt(2)
	if k < 0 || k > maxInt {
		k = tensor.UnknownDim
	}
	c.set(0, tensor.Partial(append([]int{int(k)}, c.shape(0).Dims()[ids:]...)...))
	return nil
}
