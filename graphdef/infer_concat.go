package graphdef

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// concatV1: the axis comes first.
func concatV1(c *ShapeContext) error {
	return c.concat(c.scalarInt(0), 1, len(c.in))
}

// concatV2: the axis comes last.
func concatV2(c *ShapeContext) error {
	last := len(c.in) - 1
	return c.concat(c.scalarInt(last), 0, last)
}

// concat joins inputs from to to along axis.
func (c *ShapeContext) concat(axis int64, from, to int) error {
	rank, known := 0, false
	for i := from; i < to; i++ {
		r, ok := c.shape(i).Rank()
		if !ok {
			continue
		}
		if known && r != rank {
			return c.errorf("ranks differ, have %v and %d", c.shape(i), rank)
		}
		rank, known = r, true
	}
	if !known {
		return nil
	}
	if axis == unknownInt {
		c.set(0, ofRank(rank))
		return nil
	}
	at, err := c.axisOf(axis, rank)
	if err != nil {
		return err
	}
	out := slices.Repeat([]int{tensor.UnknownDim}, rank)
	sum := 0
	for i := from; i < to; i++ {
		s := c.shape(i)
		for k := range out {
			if k == at {
				continue
			}
			if out[k], err = c.mergeDims("dimensions besides the axis", out[k], s.Dim(k)); err != nil {
				return err
			}
		}
		if d := s.Dim(at); d < 0 || sum < 0 {
			sum = tensor.UnknownDim
		} else {
			sum += d
		}
	}
	out[at] = sum
	c.set(0, tensor.Partial(out...))
	if rank == 1 && sum >= 0 && sum <= maxInts {
		var v []int64
		for i := from; i < to; i++ {
			v = append(v, padInts(c.ints(i), c.shape(i).Dim(0))...)
		}
		c.setInts(0, v)
	}
	return nil
}

// concatOffset: where each of N shapes starts in their concatenation.
func concatOffset(c *ShapeContext) error {
	for i := range c.out {
		c.set(i, c.shape(i+1))
	}
	axis := c.scalarInt(0)
	at := int64(0)
	for i := range c.out {
		v := c.ints(i + 1)
		if v == nil || axis == unknownInt || axis < -int64(len(v)) || axis >= int64(len(v)) {
			return nil
		}
		place := axis
		if place < 0 {
			place += int64(len(v))
		}
		offset := make([]int64, len(v))
		offset[place] = at
		c.setInts(i, offset)
		if at = intArithmetic["AddV2"](at, v[place]); at == unknownInt {
			return nil
		}
	}
	return nil
}

// pack stacks N inputs along a new axis.
func pack(c *ShapeContext) error {
	s := unknownShape
	var err error
	for i := range c.in {
		if s, err = c.mergeShapes("shapes of the inputs", s, c.shape(i)); err != nil {
			return err
		}
	}
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	axis, err := c.axisOf(c.attrs.Int("axis"), rank+1)
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(slices.Insert(slices.Clone(s.Dims()), axis, len(c.in))...))
	if rank == 0 {
		v := make([]int64, len(c.in))
		for i := range v {
			v[i] = c.scalarInt(i)
		}
		c.setInts(0, v)
	}
	return nil
}

// unpack is the inverse of pack.
func unpack(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	axis, err := c.axisOf(c.attrs.Int("axis"), rank)
	if err != nil {
		return err
	}
	if d := s.Dim(axis); d >= 0 && d != len(c.out) {
		return c.errorf("number of outputs differs from the dimension, have %d for %v", len(c.out), s)
	}
	part := tensor.Partial(slices.Delete(slices.Clone(s.Dims()), axis, axis+1)...)
	for i := range c.out {
		c.set(i, part)
		if v := c.ints(0); rank == 1 && i < len(v) {
			c.setInts(i, v[i:i+1])
		}
	}
	return nil
}

// parallelConcat: the shape is an attribute.
func parallelConcat(c *ShapeContext) error {
	c.set(0, c.attrs.Shape("shape"))
	return nil
}

// split: axis in input 0, equal parts of input 1.
func split(c *ShapeContext) error {
	sizes := slices.Repeat([]int64{unknownInt}, len(c.out))
	axis := c.scalarInt(0)
	s := c.shape(1)
	if rank, ok := s.Rank(); ok && axis != unknownInt {
		at, err := c.axisOf(axis, rank)
		if err != nil {
			return err
		}
		if d := s.Dim(at); d >= 0 && len(sizes) > 0 {
			if d%len(sizes) != 0 {
				return c.errorf("dimension %d does not divide into %d parts, have %v", at, len(sizes), s)
			}
			for i := range sizes {
				sizes[i] = int64(d / len(sizes))
			}
		}
	}
	return c.splitInto(1, axis, sizes)
}

// splitV: sizes in input 1, of which one may be -1; axis in input 2.
func splitV(c *ShapeContext) error {
	sizes := slices.Clone(padInts(c.ints(1), len(c.out)))
	axis := c.scalarInt(2)
	s := c.shape(0)
	if rank, ok := s.Rank(); ok && axis != unknownInt {
		at, err := c.axisOf(axis, rank)
		if err != nil {
			return err
		}
		rest, open := int64(s.Dim(at)), -1
		for i, k := range sizes {
			if k == unknownInt {
				rest = unknownInt
				break
			}
			switch {
			case k == -1 && open >= 0:
				return c.errorf("more than one size is -1, have %v", sizes)
			case k == -1:
				open = i
			case k < 0 || k > maxDim:
				return c.errorf("size is out of range, have %d", k)
			default:
				rest -= k
			}
		}
		switch {
		case s.Dim(at) < 0 || rest == unknownInt:
			if open >= 0 {
				sizes[open] = unknownInt
			}
		case open >= 0 && rest >= 0:
			sizes[open] = rest
		case rest != 0:
			return c.errorf("sizes do not add up to dimension %d, have %v for %v", at, sizes, s)
		}
	}
	return c.splitInto(0, axis, sizes)
}

// splitInto says the outputs of a split of input i.
func (c *ShapeContext) splitInto(i int, axis int64, sizes []int64) error {
	s := c.shape(i)
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	if axis == unknownInt {
		for k := range c.out {
			c.set(k, ofRank(rank))
		}
		return nil
	}
	at, err := c.axisOf(axis, rank)
	if err != nil {
		return err
	}
	from := int64(0)
	for k := range c.out {
		dims := slices.Clone(s.Dims())
		dims[at] = tensor.UnknownDim
		size := sizes[k]
		if size >= 0 {
			dims[at] = int(size)
		}
		c.set(k, tensor.Partial(dims...))
		if from < 0 || size < 0 || size > maxDim {
			from = unknownInt
			continue
		}
		if v := c.ints(i); rank == 1 && from+size <= int64(len(v)) {
			c.setInts(k, v[from:from+size])
		}
		from += size
	}
	return nil
}

// quantizedConcatV1 is concatV1 of N quantized inputs that their ranges follow.
func quantizedConcatV1(c *ShapeContext) error {
	from, to := c.list("values")
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	return c.concat(c.scalarInt(0), from, to)
}

// quantizedConcatV2 is concatV2 of N quantized inputs that their ranges follow.
func quantizedConcatV2(c *ShapeContext) error {
	from, to := c.list("values")
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	if to >= len(c.in) {
		return nil
	}
	return c.concat(c.scalarInt(to), from, to)
}

// quantizedReshape is reshape with the range passed on.
func quantizedReshape(c *ShapeContext) error {
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	return reshape(c)
}

// stringJoin: the inputs broadcast scalars.
func stringJoin(c *ShapeContext) error {
	s := unknownShape
	for i := range c.in {
		rank, ok := c.shape(i).Rank()
		if !ok {
			return nil
		}
		if rank == 0 {
			continue
		}
		var err error
		if s, err = c.mergeShapes("shapes of the inputs", s, c.shape(i)); err != nil {
			return err
		}
	}
	if _, ok := s.Rank(); !ok {
		s = scalarShape // scalars only
	}
	c.set(0, s)
	return nil
}
