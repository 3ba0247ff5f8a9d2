package graphdef

import (
	"slices"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// matMul: [m, k] × [k, n], either transposed by attribute.
func matMul(c *ShapeContext) error {
	s, err := c.matrixProduct("transpose_a", "transpose_b")
	if err != nil {
		return err
	}
	c.set(0, s)
	return nil
}

// quantizedMatMul is matMul with two scalars, the range of the result.
func quantizedMatMul(c *ShapeContext) error {
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	return matMul(c)
}

func (c *ShapeContext) matrixProduct(transposeA, transposeB string) (tensor.PartialShape, error) {
	a, b := c.shape(0), c.shape(1)
	if err := c.wantRank("input a", a, 2); err != nil {
		return unknownShape, err
	}
	if err := c.wantRank("input b", b, 2); err != nil {
		return unknownShape, err
	}
	m, k := a.Dim(0), a.Dim(1)
	if c.attrs.Bool(transposeA) {
		m, k = k, m
	}
	k2, n := b.Dim(0), b.Dim(1)
	if c.attrs.Bool(transposeB) {
		k2, n = n, k2
	}
	if k >= 0 && k2 >= 0 && k != k2 {
		return unknownShape, c.errorf("inner dimensions differ, have a %v and b %v; check %s and %s", a, b, transposeA, transposeB)
	}
	return tensor.Partial(m, n), nil
}

// fusedQuantizedMatMul is matMul; further outputs are the range of the result.
func fusedQuantizedMatMul(c *ShapeContext) error {
	if len(c.in) < 2 {
		return c.errorf("has too few inputs, have %d, want a and b", len(c.in))
	}
	for i := range c.out[min(1, len(c.out)):] {
		c.set(i+1, scalarShape)
	}
	return matMul(c)
}

// batchMatMul: [..., m, k] × [..., k, n] with leading dimensions that broadcast.
func batchMatMul(c *ShapeContext) error {
	x, y := c.shape(0), c.shape(1)
	rx, okx := x.Rank()
	ry, oky := y.Rank()
	if (okx && rx < 2) || (oky && ry < 2) {
		return c.errorf("inputs have too low a rank, have x %v and y %v, want rank 2 or more", x, y)
	}
	m, k, k2, n := x.Dim(-2), x.Dim(-1), y.Dim(-2), y.Dim(-1)
	if c.attrs.Bool("adj_x") {
		m, k = k, m
	}
	if c.attrs.Bool("adj_y") {
		k2, n = n, k2
	}
	if k >= 0 && k2 >= 0 && k != k2 {
		return c.errorf("inner dimensions differ, have x %v and y %v; check adj_x and adj_y", x, y)
	}
	if !okx || !oky {
		return nil
	}
	bx, by := tensor.Partial(x.Dims()[:rx-2]...), tensor.Partial(y.Dims()[:ry-2]...)
	batch, err := broadcastShapes(bx, by)
	if c.n.op == "BatchMatMul" { // the first version does not broadcast
		batch, err = c.mergeShapes("batch dimensions", bx, by)
	}
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(append(slices.Clone(batch.Dims()), m, n)...))
	return nil
}

// einsum reads the equation: labels of equal name have equal dimensions, "..." broadcasts.
func einsum(c *ShapeContext) error {
	equation := c.attrs.Str("equation")
	left, right, ok := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	terms := strings.Split(left, ",")
	if !ok || len(terms) != len(c.in) {
		return c.errorf("equation %q does not fit, have %d inputs", equation, len(c.in))
	}
	dims := map[rune]int{}
	ellipsis := scalarShape
	for i, term := range terms {
		s := c.shape(i)
		head, tail, dots := strings.Cut(term, "...")
		rank, known := s.Rank()
		if !known {
			if dots {
				ellipsis = unknownShape
			}
			continue
		}
		labels := len([]rune(head)) + len([]rune(tail))
		if labels > rank || (!dots && labels != rank) {
			return c.errorf("equation %q does not fit input %d, have %v", equation, i, s)
		}
		at := 0
		read := func(part string) error {
			for _, label := range part {
				d, said := dims[label]
				if !said {
					d = tensor.UnknownDim
				}
				d, err := c.mergeDims("dimensions "+string(label)+" of equation "+equation, d, s.Dim(at))
				if err != nil {
					return err
				}
				dims[label] = d
				at++
			}
			return nil
		}
		if err := read(head); err != nil {
			return err
		}
		if dots {
			var err error
			mid := s.Dims()[at : at+rank-labels]
			if ellipsis, err = broadcastShapes(ellipsis, tensor.Partial(mid...)); err != nil {
				return err
			}
			at += len(mid)
		}
		if err := read(tail); err != nil {
			return err
		}
	}
	head, tail, dots := strings.Cut(right, "...")
	if _, known := ellipsis.Rank(); dots && !known {
		return nil
	}
	out := []int{}
	emit := func(part string) {
		for _, label := range part {
			d, said := dims[label]
			if !said {
				d = tensor.UnknownDim
			}
			out = append(out, d)
		}
	}
	emit(head)
	if dots {
		out = append(out, ellipsis.Dims()...)
	}
	emit(tail)
	c.set(0, tensor.Partial(out...))
	return nil
}

// biasAdd is same; the bias is as long as the channels.
func biasAdd(c *ShapeContext) error {
	x, bias := c.shape(0), c.shape(1)
	if err := c.wantRank("bias", bias, 1); err != nil {
		return err
	}
	channel := -1
	if c.sig.Attr("data_format") != nil && c.attrs.Str("data_format") == "NCHW" {
		channel = 1
	}
	if _, ok := x.Rank(); ok {
		if _, err := c.mergeDims("lengths of the channels and the bias", x.Dim(channel), bias.Dim(0)); err != nil {
			return err
		}
	}
	return same(c)
}

// matrixDiag: [..., n] to [..., n, n].
func matrixDiag(c *ShapeContext) error {
	if dims := c.shape(0).Dims(); len(dims) > 0 {
		c.set(0, tensor.Partial(append(slices.Clone(dims), dims[len(dims)-1])...))
	}
	return nil
}

// matrixDiagPart: [..., m, n] to [..., min(m, n)].
func matrixDiagPart(c *ShapeContext) error {
	s := c.shape(0)
	dims := s.Dims()
	if len(dims) < 2 {
		return nil
	}
	k := min(s.Dim(-1), s.Dim(-2)) // -1 where either is not known
	c.set(0, tensor.Partial(append(slices.Clone(dims[:len(dims)-2]), k)...))
	return nil
}

// diag: shape s to [s, s].
func diag(c *ShapeContext) error {
	if dims := c.shape(0).Dims(); dims != nil {
		c.set(0, tensor.Partial(append(slices.Clone(dims), dims...)...))
	}
	return nil
}

// diagPart is the inverse of diag.
func diagPart(c *ShapeContext) error {
	if dims := c.shape(0).Dims(); dims != nil {
		c.set(0, tensor.Partial(dims[:len(dims)/2]...))
	}
	return nil
}

// crossEntropy: [batch, classes] twice to a loss [batch] and a gradient [batch, classes].
func crossEntropy(c *ShapeContext) error {
	s, err := broadcastShapes(c.shape(0), c.shape(1))
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(s.Dim(0)))
	c.set(1, s)
	return nil
}

// sparseCrossEntropy is crossEntropy with labels [batch].
func sparseCrossEntropy(c *ShapeContext) error {
	batch, err := c.mergeDims("batch sizes of features and labels", c.shape(0).Dim(0), c.shape(1).Dim(0))
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(batch))
	c.set(1, tensor.Partial(batch, c.shape(0).Dim(1)))
	return nil
}

// channelAxis returns the place of the channels in images of rank 4 by data_format.
func (c *ShapeContext) channelAxis() int {
	if c.attrs.Str("data_format") == "NCHW" {
		return 1
	}
	return 3
}

// batchNorm: output as the input, statistics as scale.
func batchNorm(c *ShapeContext) error {
	c.set(0, c.shape(0))
	for i := 1; i < len(c.out); i++ {
		c.set(i, c.shape(1))
	}
	if len(c.out) == 6 {
		c.set(5, unknownShape) // reserve_space_3 is the kernel's own
	}
	return nil
}

// window returns the size of a window's output along one dimension; -1 if not known.
func window(c *ShapeContext, size, filter, stride, dilation int, pad [2]int64) int {
	if size < 0 || filter < 0 || stride <= 0 {
		return tensor.UnknownDim
	}
	if c.attrs.Str("padding") == "SAME" {
		return (size + stride - 1) / stride
	}
	left := size + int(pad[0]+pad[1]) - ((filter-1)*dilation + 1)
	if left < 0 || left > maxDim {
		return tensor.UnknownDim
	}
	return left/stride + 1
}

// conv2D: images by data_format, filter [height, width, in, out].
func conv2D(c *ShapeContext) error {
	return c.convolve(func(filter tensor.PartialShape) int { return filter.Dim(3) })
}

// depthwiseConv2D: filter [height, width, in, multiplier], in·multiplier channels out.
func depthwiseConv2D(c *ShapeContext) error {
	return c.convolve(func(filter tensor.PartialShape) int { return product(filter.Dim(2), filter.Dim(3)) })
}

func (c *ShapeContext) convolve(channels func(filter tensor.PartialShape) int) error {
	x, f := c.shape(0), c.shape(1)
	if err := c.wantRank("input", x, 4); err != nil {
		return err
	}
	if err := c.wantRank("filter", f, 4); err != nil {
		return err
	}
	strides, dilations := c.attrs.Ints("strides"), c.attrs.Ints("dilations")
	explicit := c.attrs.Ints("explicit_paddings")
	if c.attrs.Err() != nil || len(strides) != 4 || len(dilations) != 4 {
		return c.errorf("strides and dilations have %d and %d values, want 4", len(strides), len(dilations))
	}
	channel := c.channelAxis()
	out := []int{x.Dim(0), 0, 0, 0}
	out[channel] = channels(f)
	at := 0
	for axis := 1; axis < 4; axis++ {
		if axis == channel {
			continue
		}
		var pad [2]int64
		if len(explicit) == 8 {
			pad = [2]int64{explicit[2*axis], explicit[2*axis+1]}
		}
		out[axis] = window(c, x.Dim(axis), f.Dim(at), int(strides[axis]), int(dilations[axis]), pad)
		at++
	}
	c.set(0, tensor.Partial(out...))
	return nil
}

// pool: a window of ksize over each dimension.
func pool(c *ShapeContext) error {
	x := c.shape(0)
	if err := c.wantRank("input", x, 4); err != nil {
		return err
	}
	ksize, strides := c.attrs.Ints("ksize"), c.attrs.Ints("strides")
	if len(ksize) != 4 || len(strides) != 4 {
		return c.errorf("ksize and strides have %d and %d values, want 4", len(ksize), len(strides))
	}
	var explicit []int64
	if c.sig.Attr("explicit_paddings") != nil {
		explicit = c.attrs.Ints("explicit_paddings")
	}
	out := make([]int, 4)
	for axis := range out {
		var pad [2]int64
		if len(explicit) == 8 {
			pad = [2]int64{explicit[2*axis], explicit[2*axis+1]}
		}
		out[axis] = window(c, x.Dim(axis), int(ksize[axis]), int(strides[axis]), 1, pad)
	}
	c.set(0, tensor.Partial(out...))
	return nil
}

// quantizeV2: output as the input; min and max are scalars, or one for each slice along axis.
func quantizeV2(c *ShapeContext) error {
	c.set(0, c.shape(0))
	s := scalarShape
	if axis := c.attrs.Int("axis"); axis >= 0 {
		s = tensor.Partial(c.shape(0).Dim(int(axis)))
	}
	for i := 1; i <= 2; i++ {
		if !compatible(s, c.shape(i)) {
			return c.errorf("range has the wrong shape, have %v, want %v; check axis", c.shape(i), s)
		}
	}
	c.set(1, s)
	c.set(2, s)
	return nil
}

// sameRange: output as the input, and the two ends of its range.
func sameRange(c *ShapeContext) error {
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	return same(c)
}

// broadcastRange is sameRange for two inputs that broadcast.
func broadcastRange(c *ShapeContext) error {
	s, err := broadcastShapes(c.shape(0), c.shape(1))
	if err != nil {
		return err
	}
	c.set(0, s)
	c.set(1, scalarShape)
	c.set(2, scalarShape)
	return nil
}

// uniformDot: [m, k] × [k, n].
func uniformDot(c *ShapeContext) error {
	a, b := c.shape(0), c.shape(1)
	if err := c.wantRank("lhs", a, 2); err != nil {
		return err
	}
	if err := c.wantRank("rhs", b, 2); err != nil {
		return err
	}
	if _, err := c.mergeDims("inner dimensions", a.Dim(1), b.Dim(0)); err != nil {
		return err
	}
	c.set(0, tensor.Partial(a.Dim(0), b.Dim(1)))
	return nil
}
