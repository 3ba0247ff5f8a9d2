package graphdef

import (
	"math/bits"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// slice: sizes in input 2, -1 for the rest of a dimension.
func slice(c *ShapeContext) error {
	s := c.shape(0)
	sizes, err := c.dimsOf(2)
	if err != nil {
		return err
	}
	rank, ok := s.Rank()
	srank, sok := sizes.Rank()
	switch {
	case ok && sok && rank != srank:
		return c.errorf("size has the wrong length, have %d for %v", srank, s)
	case !sok:
		sizes = ofRank(rank)
		if !ok {
			return nil
		}
	}
	begin, size := c.ints(1), c.ints(2)
	dims := slices.Clone(sizes.Dims())
	for i := range dims {
		if i >= len(begin) || begin[i] == unknownInt {
			continue
		}
		d := s.Dim(i)
		if d >= 0 && (begin[i] < 0 || begin[i] > int64(d) || int64(max(dims[i], 0)) > int64(d)-begin[i]) {
			return c.errorf("slice is out of range, have begin %v and size %v for %v", begin, sizes, s)
		}
		if i < len(size) && size[i] == -1 && d >= 0 {
			dims[i] = d - int(begin[i])
		}
	}
	c.set(0, tensor.Partial(dims...))
	if len(dims) == 1 && len(begin) == 1 && begin[0] >= 0 && begin[0] < maxInts {
		c.setInts(0, take(c.ints(0), int(begin[0]), 1, dims[0]))
	}
	return nil
}

// stridedSlice follows the entries of the specification from left to right: an ellipsis, then new axes, then shrinking.
func stridedSlice(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	r := c.attrs
	beginMask, endMask, ellipsis := r.Int("begin_mask"), r.Int("end_mask"), r.Int("ellipsis_mask")
	newAxis, shrink := r.Int("new_axis_mask"), r.Int("shrink_axis_mask")
	n := tensor.UnknownDim
	for i := 1; i <= 3; i++ {
		var err error
		if n, err = c.mergeDims("lengths of begin, end and strides", n, c.shape(i).Dim(0)); err != nil {
			return err
		}
	}
	if bits.OnesCount64(uint64(ellipsis)) > 1 {
		return c.errorf("slice has more than one ellipsis, have ellipsis_mask %d", ellipsis)
	}
	if !ok || n < 0 || n > 62 {
		return nil
	}
	begin, end, strides := padInts(c.ints(1), n), padInts(c.ints(2), n), padInts(c.ints(3), n)
	has := func(mask int64, i int) bool { return mask>>i&1 != 0 }
	out := []int{}
	at := 0
	var kept []int64 // elements of a vector's slice
	for i := range n {
		switch {
		case has(ellipsis, i):
			later := 0
			for k := i + 1; k < n; k++ {
				if !has(newAxis, k) {
					later++
				}
			}
			for ; at < rank-later; at++ {
				out = append(out, s.Dim(at))
			}
		case has(newAxis, i):
			out = append(out, 1)
		case at >= rank:
			return c.errorf("slice has more entries than dimensions, have %d for %v", n, s)
		default:
			cut := interval{begin[i], end[i], strides[i], has(beginMask, i), has(endMask, i), has(shrink, i)}
			length, from, err := c.cut(cut, s.Dim(at))
			if err != nil {
				return err
			}
			if rank == 1 {
				kept = take(c.ints(0), from, strides[i], length)
			}
			if !cut.isShrunk {
				out = append(out, length)
			}
			at++
		}
	}
	out = append(out, s.Dims()[at:]...)
	c.set(0, tensor.Partial(out...))
	if rank == 1 && at == 0 {
		kept = c.ints(0)
	}
	if len(out) <= 1 && kept != nil && (len(out) == 0 || out[0] == len(kept)) {
		c.setInts(0, kept)
	}
	return nil
}

// padInts returns v, or n unknown elements.
func padInts(v []int64, n int) []int64 {
	if len(v) != n {
		return slices.Repeat([]int64{unknownInt}, n)
	}
	return v
}

// interval is one entry of a StridedSlice that consumes a dimension.
type interval struct {
	begin, end, stride       int64
	noBegin, noEnd, isShrunk bool
}

// cut returns how many elements an entry takes of a dimension and where it starts; -1 where that is not known.
func (c *ShapeContext) cut(v interval, dim int) (length, from int, err error) {
	unknown := tensor.UnknownDim
	if v.stride == 0 {
		return 0, 0, c.errorf("stride is 0")
	}
	if v.isShrunk {
		if v.stride != unknownInt && v.stride < 0 {
			return 0, 0, c.errorf("stride of a dropped dimension is %d, want 1 or more", v.stride)
		}
		if v.begin == unknownInt || dim < 0 {
			return 1, unknown, nil
		}
		b := v.begin
		if b < 0 {
			b += int64(dim)
		}
		if b < 0 || b >= int64(dim) {
			return 0, 0, c.errorf("index is out of range, have %d for a dimension of %d", v.begin, dim)
		}
		return 1, int(b), nil
	}
	if v.stride == unknownInt || dim < 0 || (!v.noBegin && v.begin == unknownInt) || (!v.noEnd && v.end == unknownInt) {
		return unknown, unknown, nil
	}
	size := int64(dim)
	low, high := int64(0), size
	if v.stride < 0 {
		low, high = -1, size-1
	}
	place := func(x int64, absent bool, ifAbsent int64) int64 {
		if absent {
			return ifAbsent
		}
		if x < 0 {
			x += size
		}
		return min(max(x, low), high)
	}
	b, e := place(v.begin, v.noBegin, low), place(v.end, v.noEnd, high)
	if v.stride < 0 {
		b, e = place(v.begin, v.noBegin, high), place(v.end, v.noEnd, low)
	}
	span := e - b
	if span == 0 || (span < 0) != (v.stride < 0) {
		return 0, int(b), nil
	}
	step := v.stride
	if span < 0 {
		span, step = -span, -max(step, -1<<40)
	}
	return int((span-1)/step + 1), int(b), nil
}

// take returns length elements of v from one place on, nil where any of that is not known.
func take(v []int64, from int, stride int64, length int) []int64 {
	if v == nil || from < 0 || length < 0 || length > len(v) {
		return nil
	}
	out := make([]int64, 0, length)
	for i := range length {
		k := int64(from)
		if i > 0 {
			k += int64(i) * stride
		}
		if k < 0 || k >= int64(len(v)) {
			return nil
		}
		out = append(out, v[k])
	}
	return out
}

// gatherV1 is gatherV2 along axis 0.
func gatherV1(c *ShapeContext) error { return c.gather(0, 0) }

// gatherV2: params[:axis] + indices[batch_dims:] + params[axis+1:].
func gatherV2(c *ShapeContext) error {
	batch := c.attrs.Int("batch_dims")
	axis := c.scalarInt(2)
	if axis == unknownInt {
		p, ok := c.shape(0).Rank()
		i, ok2 := c.shape(1).Rank()
		if ok && ok2 && batch == 0 {
			c.set(0, ofRank(p+i-1))
		}
		return nil
	}
	return c.gather(axis, batch)
}

func (c *ShapeContext) gather(axis, batch int64) error {
	s, err := c.gathered(c.shape(0), c.shape(1), axis, batch)
	if err != nil {
		return err
	}
	c.set(0, s)
	v, at := c.ints(0), c.ints(1)
	if rank, ok := s.Rank(); !ok || rank > 1 || v == nil || at == nil || c.n.op == "ResourceGather" {
		return nil
	}
	out := make([]int64, len(at))
	for i, k := range at {
		switch {
		case k == unknownInt:
			out[i] = unknownInt
		case k < 0 || k >= int64(len(v)):
			return c.errorf("index is out of range, have %d for a dimension of %d", k, len(v))
		default:
			out[i] = v[k]
		}
	}
	c.setInts(0, out)
	return nil
}

func (c *ShapeContext) gathered(params, indices tensor.PartialShape, axis, batch int64) (tensor.PartialShape, error) {
	p, ok := params.Rank()
	i, ok2 := indices.Rank()
	if !ok || !ok2 {
		return unknownShape, nil
	}
	if p == 0 {
		return unknownShape, c.errorf("params is a scalar, want rank 1 or more")
	}
	at, err := c.axisOf(axis, p)
	if err != nil {
		return unknownShape, err
	}
	if batch < 0 {
		batch += int64(i)
	}
	if batch < 0 || batch > int64(min(i, at)) {
		return unknownShape, c.errorf("batch_dims %d does not fit axis %d and indices %v", batch, at, indices)
	}
	out := slices.Clone(params.Dims()[:at])
	for k := range int(batch) {
		if out[k], err = c.mergeDims("batch dimensions of params and indices", out[k], indices.Dim(k)); err != nil {
			return unknownShape, err
		}
	}
	out = append(out, indices.Dims()[batch:]...)
	return tensor.Partial(append(out, params.Dims()[at+1:]...)...), nil
}

// gatherNd: indices[:-1] + params[indices[-1]:].
func gatherNd(c *ShapeContext) error {
	p, i := c.shape(0), c.shape(1)
	rank, ok := p.Rank()
	irank, ok2 := i.Rank()
	depth := i.Dim(-1)
	if !ok || !ok2 || irank == 0 || depth < 0 {
		return nil
	}
	if depth > rank {
		return c.errorf("indices address %d dimensions of %v", depth, p)
	}
	c.set(0, tensor.Partial(append(slices.Clone(i.Dims()[:irank-1]), p.Dims()[depth:]...)...))
	return nil
}

// scatterNd: the shape is input 2's value.
func scatterNd(c *ShapeContext) error {
	s, err := c.sizesOf(2)
	if err != nil {
		return err
	}
	c.set(0, s)
	// updates: indices[:-1] + shape[indices[-1]:]
	indices, updates := c.shape(0), c.shape(1)
	rank, known := s.Rank()
	depth := indices.Dim(-1)
	if !known || depth < 0 {
		return nil
	}
	if depth > rank {
		return c.errorf("indices address %d dimensions of %v", depth, s)
	}
	lead := indices.Dims()[:len(indices.Dims())-1]
	if want := tensor.Partial(append(slices.Clone(lead), s.Dims()[depth:]...)...); !compatible(updates, want) {
		return c.errorf("updates have the wrong shape, have %v, want %v", updates, want)
	}
	return nil
}

// topK: the last dimension becomes k.
func topK(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	if rank == 0 {
		return c.errorf("input is a scalar, want rank 1 or more")
	}
	k, err := c.sizeIn("k", 1)
	if err != nil {
		return err
	}
	if last := s.Dim(-1); k > last && last >= 0 {
		return c.errorf("k is greater than the last dimension, have %d for %v", k, s)
	}
	dims := slices.Clone(s.Dims())
	dims[rank-1] = k
	c.set(0, tensor.Partial(dims...))
	c.set(1, tensor.Partial(dims...))
	return nil
}

// unique: values and counts of unknown length, indices as the input.
func unique(c *ShapeContext) error {
	c.set(0, tensor.Partial(tensor.UnknownDim))
	c.set(1, c.shape(0))
	c.set(2, tensor.Partial(tensor.UnknownDim))
	return nil
}

// where: one row for each true element.
func where(c *ShapeContext) error {
	rank, ok := c.shape(0).Rank()
	if !ok {
		rank = tensor.UnknownDim
	}
	c.set(0, tensor.Partial(tensor.UnknownDim, rank))
	return nil
}

// sparseToDense: the shape is input 1's value.
func sparseToDense(c *ShapeContext) error {
	s, err := c.dimsOf(1)
	if err != nil {
		return err
	}
	c.set(0, s)
	return nil
}

// xlaDynamicSlice: the sizes are input 2's value.
func xlaDynamicSlice(c *ShapeContext) error {
	s, err := c.sizesOf(2)
	if err != nil {
		return err
	}
	c.set(0, s)
	return nil
}

// dynamicPartition: rows of the data, those of each part of unknown number.
func dynamicPartition(c *ShapeContext) error {
	data, parts := c.shape(0), c.shape(1)
	rank, ok := parts.Rank()
	if !ok || data.Dims() == nil {
		return nil
	}
	if rank > len(data.Dims()) {
		return c.errorf("partitions have more dimensions than data, have %v and %v", parts, data)
	}
	s := tensor.Partial(append([]int{tensor.UnknownDim}, data.Dims()[rank:]...)...)
	for i := range c.out {
		c.set(i, s)
	}
	return nil
}

// dynamicStitch: rows of the data, as many as the greatest index says.
func dynamicStitch(c *ShapeContext) error {
	row := unknownShape
	half := len(c.in) / 2
	for i := range half {
		indices, data := c.shape(i), c.shape(half+i)
		rank, ok := indices.Rank()
		if !ok || data.Dims() == nil {
			continue
		}
		if rank > len(data.Dims()) {
			return c.errorf("indices have more dimensions than data, have %v and %v", indices, data)
		}
		var err error
		if row, err = c.mergeShapes("shapes of the rows", row, tensor.Partial(data.Dims()[rank:]...)); err != nil {
			return err
		}
	}
	c.set(0, within(tensor.UnknownDim, row))
	return nil
}

// multinomial: [batch, samples].
func multinomial(c *ShapeContext) error {
	k := c.scalarInt(1)
	if k < 0 || k > maxInt {
		k = tensor.UnknownDim
	}
	c.set(0, tensor.Partial(c.shape(0).Dim(0), int(k)))
	return nil
}

// keyCounter: a key [1] and a counter of which the length depends on the algorithm.
func keyCounter(c *ShapeContext) error {
	c.set(0, tensor.Partial(1))
	c.set(1, tensor.Partial(tensor.UnknownDim))
	if len(c.out) > 2 {
		c.set(2, scalarShape)
	}
	return nil
}
