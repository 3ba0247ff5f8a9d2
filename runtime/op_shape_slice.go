package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// sliceOp takes size elements from begin on in each dimension; a size of -1 takes the rest.
func sliceOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		var beginBuf, sizeBuf, dstBuf, srcBuf, dimsBuf [8]int
		begin, err := vectorInts(beginBuf[:0], c.in(1), "begin")
		if err != nil {
			return err
		}
		size, err := vectorInts(sizeBuf[:0], c.in(2), "size")
		if err != nil {
			return err
		}
		if len(begin) != len(s) || len(size) != len(s) {
			return fmt.Errorf("begin and size have %d and %d elements, want the rank %d of input %v", len(begin), len(size), len(s), s.Clone())
		}
		l := layout{dst: append(dstBuf[:0], s...), src: append(srcBuf[:0], s...)}
		denseStrides(l.src, s)
		for i, d := range s {
			if begin[i] < 0 || begin[i] > d {
				return fmt.Errorf("begin[%d] is %d, want one in [0, %d]", i, begin[i], d)
			}
			if size[i] == -1 {
				size[i] = d - begin[i]
			}
			if size[i] < 0 || size[i] > d-begin[i] {
				return fmt.Errorf("size[%d] is %d, want one in [0, %d] or -1", i, size[i], d-begin[i])
			}
			l.srcAt += begin[i] * l.src[i]
		}
		l.dims = append(dimsBuf[:0], size...)
		return sliceTo(c, x, size, &l)
	}, nil
}

// stridedSpec is the attributes of StridedSlice: what the bits of its masks say of each entry of begin, end and strides.
type stridedSpec struct {
	begin, end      uint64 // the entry's begin or end does not matter: from, or to, the edge
	ellipsis        uint64 // the entry stands for all dimensions that no other entry does
	newAxis, shrink uint64 // the entry inserts a dimension of 1; takes one element and drops the dimension
}

func readStridedSpec(n *graphdef.Node) (stridedSpec, error) {
	r := n.AttrReader()
	s := stridedSpec{
		begin: uint64(r.Int("begin_mask")), end: uint64(r.Int("end_mask")), ellipsis: uint64(r.Int("ellipsis_mask")),
		newAxis: uint64(r.Int("new_axis_mask")), shrink: uint64(r.Int("shrink_axis_mask")),
	}
	if err := r.Err(); err != nil {
		return s, err
	}
	if s.ellipsis&(s.ellipsis-1) != 0 {
		return s, fmt.Errorf("ellipsis_mask is %#b, want at most one bit", s.ellipsis)
	}
	return s, nil
}

// stridedSliceOp takes begin, begin+stride, … up to end in each dimension, as Python's indexing does.
func stridedSliceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	spec, err := readStridedSpec(n)
	if err != nil {
		return nil, err
	}
	single := spec == stridedSpec{shrink: 1} // x[i]
	return func(c *call) error {
		x := c.in(0)
		if single && x.Rank() == 1 && x.DType() == tensor.Int32 {
			if done, err := sliceOne(c, x); done {
				return err
			}
		}
		shape, l, err := spec.resolve(c, x.Shape(), c.in(1), c.in(2), c.in(3))
		if err != nil {
			return err
		}
		return sliceTo(c, x, shape, l)
	}, nil
}

// sliceOne is StridedSlice where it is used most: one dimension of a shape. It reports false where it has done nothing.
func sliceOne(c *call, x *tensor.Tensor) (bool, error) {
	b, s := c.in(1), c.in(3)
	if b.DType() != tensor.Int32 || b.Len() != 1 || c.in(2).Len() != 1 || s.DType() != tensor.Int32 || s.Len() != 1 {
		return false, nil
	}
	data := tensor.Data[int32](x)
	i := int(tensor.Data[int32](b)[0])
	if i < 0 {
		i += len(data)
	}
	if i < 0 || i >= len(data) || tensor.Data[int32](s)[0] <= 0 {
		return false, nil // the general way knows what to say
	}
	v := data[i]
	t, err := c.alloc(0, tensor.Int32, nil)
	if err != nil {
		return true, err
	}
	tensor.Data[int32](t)[0] = v
	return true, nil
}

// stridedBuffers is memory for what resolve reads and returns.
type stridedBuffers struct{ begin, end, stride, shape, dense []int }

// resolve returns the shape of the slice of a tensor of shape s, and where its elements are. The layout has all dimensions of
// s; shape lacks those that shrink and has the new ones.
// Both lie in the call's scratch.
func (spec stridedSpec) resolve(c *call, s tensor.Shape, beginT, endT, strideT *tensor.Tensor) (tensor.Shape, *layout, error) {
	buf, l := &c.slice, c.newLayout()
	begin, err := vectorInts(buf.begin[:0], beginT, "begin")
	if err != nil {
		return nil, l, err
	}
	end, err := vectorInts(buf.end[:0], endT, "end")
	if err != nil {
		return nil, l, err
	}
	stride, err := vectorInts(buf.stride[:0], strideT, "strides")
	if err != nil {
		return nil, l, err
	}
	buf.begin, buf.end, buf.stride = begin, end, stride
	if len(begin) != len(end) || len(begin) != len(stride) {
		return nil, l, fmt.Errorf("begin, end and strides have %d, %d and %d elements, want as many each", len(begin), len(end), len(stride))
	}
	if len(begin) >= 32 {
		return nil, l, fmt.Errorf("begin has %d elements, want fewer than 32", len(begin))
	}
	// Each entry stands for one dimension, but for the ellipsis and new ones.
	entries := 0
	for i := range begin {
		if (spec.ellipsis|spec.newAxis)>>i&1 == 0 {
			entries++
		}
	}
	if entries > len(s) {
		return nil, l, fmt.Errorf("begin, end and strides index %d dimensions, have input %v", entries, s.Clone())
	}
	inner := append(buf.dense[:0], s...)
	denseStrides(inner, s)
	shape := tensor.Shape(buf.shape[:0])
	whole := func() {
		d := len(l.dims)
		l.add(s[d], 0, inner[d])
		shape = append(shape, s[d])
	}
	for i := range begin {
		switch d := len(l.dims); {
		case spec.ellipsis>>i&1 != 0:
			for range len(s) - entries {
				whole()
			}
		case spec.newAxis>>i&1 != 0:
			shape = append(shape, 1)
		case spec.shrink>>i&1 != 0:
			at := begin[i]
			if at < 0 {
				at += s[d]
			}
			if at < 0 || at >= s[d] {
				return nil, l, fmt.Errorf("begin[%d] is %d, want one in [%d, %d) for dimension %d of %v", i, begin[i], -s[d], s[d], d, s.Clone())
			}
			if stride[i] <= 0 {
				return nil, l, fmt.Errorf("strides[%d] is %d, want 1 where shrink_axis_mask takes one element", i, stride[i])
			}
			l.srcAt += at * inner[d]
			l.add(1, 0, inner[d])
		default:
			if stride[i] == 0 {
				return nil, l, fmt.Errorf("strides[%d] is 0, want another", i)
			}
			from, num := sliceRange(begin[i], end[i], stride[i], s[d], spec.begin>>i&1 != 0, spec.end>>i&1 != 0)
			l.srcAt += from * inner[d]
			if num <= 1 {
				stride[i] = 1 // no second element, so that a huge stride cannot overflow
			}
			l.add(num, 0, inner[d]*stride[i])
			shape = append(shape, num)
		}
	}
	for len(l.dims) < len(s) {
		whole()
	}
	buf.shape, buf.dense = shape, inner
	return shape, l, nil
}

// sliceRange returns the first index, and the number, of the elements of begin:end:stride in a dimension of n.
func sliceRange(begin, end, stride, n int, fromEdge, toEdge bool) (from, num int) {
	lo, hi := 0, n // where begin and end may lie
	if stride < 0 {
		lo, hi = -1, n-1
	}
	if begin < 0 {
		begin += n
	}
	if end < 0 {
		end += n
	}
	begin, end = min(max(begin, lo), hi), min(max(end, lo), hi)
	if fromEdge {
		begin = lo
		if stride < 0 {
			begin = hi
		}
	}
	if toEdge {
		end = hi
		if stride < 0 {
			end = lo
		}
	}
	switch {
	case stride > 0 && begin < end:
		return begin, (end-begin-1)/stride + 1
	case stride < 0 && begin > end:
		return begin, (begin-end-1)/-stride + 1
	}
	return 0, 0
}
