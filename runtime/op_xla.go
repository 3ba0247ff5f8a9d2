package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// xlaOps are the slices of XLA that exported search loops use to read and write their caches.
var xlaOps = map[string]evaluator{
	"XlaDynamicSlice":       dynamicSliceOp,
	"XlaDynamicUpdateSlice": dynamicUpdateSliceOp,
}

// dynamicSliceOp takes the slice of size input 2 that begins at input 1, moved inwards where it would stand out.
func dynamicSliceOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		var sizeBuf, srcBuf, dstBuf, dimsBuf [8]int
		size, err := appendInts(sizeBuf[:0], c.in(2), "size_indices")
		if err != nil {
			return err
		}
		x := c.in(0)
		l := layout{src: append(srcBuf[:0], x.Shape()...), dst: append(dstBuf[:0], x.Shape()...)}
		denseStrides(l.src, x.Shape())
		if l.srcAt, err = clampedStart(c.in(1), x.Shape(), size, l.src); err != nil {
			return err
		}
		l.dims = append(dimsBuf[:0], size...)
		return moveTo(c, x, size, &l)
	}, nil
}

// clampedStart returns where a slice of the given size begins in a tensor of shape s with the given strides.
func clampedStart(start *tensor.Tensor, s, size tensor.Shape, strides []int) (int, error) {
	var buf [8]int
	begin, err := appendInts(buf[:0], start, "start indices")
	if err != nil {
		return 0, err
	}
	if len(begin) != len(s) || len(size) != len(s) {
		return 0, fmt.Errorf("have %d start indices and a slice of rank %d, want the rank of input %v", len(begin), len(size), s.Clone())
	}
	at := 0
	for i, d := range s {
		if size[i] < 0 || size[i] > d {
			return 0, fmt.Errorf("the slice has size %v, want one that fits into input %v", size.Clone(), s.Clone())
		}
		at += min(max(begin[i], 0), d-size[i]) * strides[i]
	}
	return at, nil
}

// dynamicUpdateSliceOp replaces the slice that begins at input 2, moved inwards where it would stand out, by input 1. A cache
// that nothing else reads is changed where it is.
func dynamicUpdateSliceOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x, u := c.in(0), c.in(1)
		if x.DType() != u.DType() {
			return fmt.Errorf("update is %v, want %v", u.DType(), x.DType())
		}
		var srcBuf, dstBuf, dimsBuf [8]int
		l := layout{dst: append(dstBuf[:0], x.Shape()...), src: append(srcBuf[:0], x.Shape()...)}
		denseStrides(l.dst, x.Shape())
		var err error
		if l.dstAt, err = clampedStart(c.in(2), x.Shape(), u.Shape(), l.dst); err != nil {
			return err
		}
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		if !sameMemory(t, x) {
			moveRun(t, 0, x, 0, x.Len())
		}
		l.dims = append(dimsBuf[:0], u.Shape()...)
		denseStrides(l.src, l.dims)
		moveTensor(t, u, &l)
		return nil
	}, nil
}
