package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// transposeOp permutes dimensions: dimension i of the output is dimension perm[i] of the input. ConjugateTranspose also takes
// the conjugate of complex elements.
func transposeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	conjugate := n.Op() == "ConjugateTranspose"
	return func(c *call) error {
		x := c.in(0)
		rank := x.Rank()
		var permBuf, shapeBuf, dstBuf, srcBuf, strideBuf [8]int
		perm, err := vectorInts(permBuf[:0], c.in(1), "perm")
		if err != nil {
			return err
		}
		if len(perm) != rank {
			return fmt.Errorf("perm has %d elements, want the rank %d of input %v", len(perm), rank, x.Shape().Clone())
		}
		strides := append(strideBuf[:0], x.Shape()...)
		denseStrides(strides, x.Shape())
		shape, src := shapeBuf[:0], srcBuf[:0]
		for i, p := range perm {
			if p < -rank || p >= rank {
				return fmt.Errorf("perm[%d] is %d, want one in [%d, %d)", i, p, -rank, rank)
			}
			if p < 0 {
				p += rank
			}
			if strides[p] < 0 {
				return fmt.Errorf("perm names dimension %d twice", p)
			}
			shape, src = append(shape, x.Shape()[p]), append(src, strides[p])
			strides[p] = -1
		}
		if !conjugate && inOrder(shape, src) {
			c.view(0, 0, x.DType(), shape)
			return nil
		}
		l := layout{dims: append(strides[:0], shape...), dst: append(dstBuf[:0], shape...), src: src}
		r := c.repeatOf(0)
		if err := moveTo(c, x, shape, &l); err != nil {
			return err
		}
		// Where the first dimension stays, and the runs are whole entries of it, they stay as well.
		if r.times > 1 && rank > 0 && shape[0] > 0 && src[0]*shape[0] == x.Len() && r.chunk == src[0] {
			c.setRepeat(0, r)
		}
		if conjugate {
			conjugateAll(&c.s.values[c.st.out[0]].t)
		}
		return nil
	}, nil
}

// inOrder reports whether a permutation moves nothing: the dimensions that are not 1 keep their order.
func inOrder(shape tensor.Shape, strides []int) bool {
	last := -1
	for i, d := range shape {
		if d == 1 {
			continue
		}
		if last >= 0 && strides[i] > strides[last] {
			return false
		}
		last = i
	}
	return true
}

// conjugateAll replaces complex elements by their conjugates; others are real.
func conjugateAll(t *tensor.Tensor) {
	switch t.DType() {
	case tensor.Complex64:
		d := tensor.Data[complex64](t)
		for i, v := range d {
			d[i] = complex(real(v), -imag(v))
		}
	case tensor.Complex128:
		d := tensor.Data[complex128](t)
		for i, v := range d {
			d[i] = complex(real(v), -imag(v))
		}
	}
}

// invertPermutationOp gives y with y[x[i]] = i.
func invertPermutationOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		perm, err := vectorInts(nil, x, "input")
		if err != nil {
			return err
		}
		inverse := make([]int, len(perm))
		for i := range inverse {
			inverse[i] = -1
		}
		for i, p := range perm {
			if p < 0 || p >= len(perm) {
				return fmt.Errorf("input[%d] is %d, want one in [0, %d)", i, p, len(perm))
			}
			if inverse[p] >= 0 {
				return fmt.Errorf("input has %d twice, at %d and %d", p, inverse[p], i)
			}
			inverse[p] = i
		}
		return setInts(c, 0, x.DType(), x.Shape(), inverse)
	}, nil
}

// setInts makes output i a tensor of int32 or int64 with the given values.
func setInts(c *call, i int, d tensor.DType, shape tensor.Shape, values []int) error {
	t, err := c.alloc(i, d, shape)
	if err != nil {
		return err
	}
	switch d {
	case tensor.Int64:
		for j, v := range values {
			tensor.Data[int64](t)[j] = int64(v)
		}
	case tensor.Int32:
		for j, v := range values {
			tensor.Data[int32](t)[j] = int32(v)
		}
	default:
		return fmt.Errorf("output %d is %v, want int32 or int64", i, d)
	}
	return nil
}
