package runtime

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// depthSpaceOp moves blocks of block_size² pixels between the depth and the plane of images: SpaceToDepth, DepthToSpace.
func depthSpaceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	b, format := int(r.Int("block_size")), r.Str("data_format")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if b < 2 || b > math.MaxInt16 {
		return nil, fmt.Errorf("block_size is %d, want one in [2, %d]", b, math.MaxInt16)
	}
	if format != "NHWC" && format != "NCHW" {
		return nil, fmt.Errorf("data_format is %q, want NHWC or NCHW", format)
	}
	toDepth := n.Op() == "SpaceToDepth"
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		if len(s) != 4 {
			return fmt.Errorf("input has shape %v, want rank 4", s.Clone())
		}
		// Sizes of the plane with large depth: batch, rows, columns, and the depth of a single pixel of the other one.
		h, w, d := s[1], s[2], s[3]
		if format == "NCHW" {
			d, h, w = s[1], s[2], s[3]
		}
		if toDepth {
			if h%b != 0 || w%b != 0 {
				return fmt.Errorf("input %v has a plane of %d by %d, want multiples of block_size %d", s.Clone(), h, w, b)
			}
			h, w = h/b, w/b
		} else {
			if d%(b*b) != 0 {
				return fmt.Errorf("input %v has depth %d, want a multiple of %d", s.Clone(), d, b*b)
			}
			d /= b * b
		}
		deep, wide := tensor.Shape{s[0], h, w, d * b * b}, tensor.Shape{s[0], h * b, w * b, d}
		// Strides of batch, row, row in the block, column, column in the block, depth.
		dims := [6]int{s[0], h, b, w, b, d}
		inDeep := [6]int{h * w * b * b * d, w * b * b * d, b * d, b * b * d, d, 1}
		inWide := [6]int{h * w * b * b * d, b * w * b * d, w * b * d, b * d, d, 1}
		if format == "NCHW" {
			deep, wide = tensor.Shape{s[0], d * b * b, h, w}, tensor.Shape{s[0], d, h * b, w * b}
			inDeep = [6]int{h * w * b * b * d, w, b * d * h * w, 1, d * h * w, h * w}
			inWide = [6]int{h * w * b * b * d, b * w * b, w * b, b, 1, h * b * w * b}
		}
		shape, dst, src := wide, inWide, inDeep
		if toDepth {
			shape, dst, src = deep, inDeep, inWide
		}
		t, err := c.alloc(0, x.DType(), shape)
		if err != nil {
			return err
		}
		l := c.newLayout()
		for i, n := range dims {
			l.add(n, dst[i], src[i])
		}
		moveTensor(t, x, l)
		return nil
	}, nil
}

// batchSpaceOp moves blocks of the dimensions after the first into the first, after padding (SpaceToBatch), or back, before
// cropping (BatchToSpace). The forms without ND have two such dimensions and one block size for both.
func batchSpaceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	toBatch := n.Op() == "SpaceToBatchND" || n.Op() == "SpaceToBatch"
	var fixed []int
	if n.Op() == "SpaceToBatch" || n.Op() == "BatchToSpace" {
		r := n.AttrReader()
		b := int(r.Int("block_size"))
		if err := r.Err(); err != nil {
			return nil, err
		}
		if b < 2 {
			return nil, fmt.Errorf("block_size is %d, want 2 or more", b)
		}
		fixed = []int{b, b}
	}
	return func(c *call) error {
		x, edges := c.in(0), c.in(1)
		block := fixed
		if fixed == nil {
			var err error
			if block, err = vectorInts(nil, c.in(1), "block_shape"); err != nil {
				return err
			}
			edges = c.in(2)
		} else if x.Rank() != 4 {
			return fmt.Errorf("input has shape %v, want rank 4", x.Shape().Clone())
		}
		b := blocks{x: x, block: block}
		if err := b.measure(edges, toBatch); err != nil {
			return err
		}
		shape := b.small
		if !toBatch {
			shape = b.large
		}
		t, err := c.alloc(0, x.DType(), shape)
		if err != nil || t.Len() == 0 {
			return err
		}
		if toBatch {
			fillTensor(t, nil)
		}
		b.move(c, t, toBatch)
		return nil
	}, nil
}

// blocks is one SpaceToBatch or BatchToSpace: large is the shape with blocks in the plane, without padding; small the one
// with them in the batch.
type blocks struct {
	x            *tensor.Tensor
	block        []int
	before       []int // padding or cropping before each blocked dimension
	large, small tensor.Shape
}

// measure computes the shapes from the input's.
func (b *blocks) measure(edges *tensor.Tensor, toBatch bool) error {
	s := b.x.Shape()
	m := len(b.block)
	if len(s) < m+1 {
		return fmt.Errorf("input has shape %v, want rank %d or more for blocks of %d dimensions", s.Clone(), m+1, m)
	}
	pads, _, err := paddings(nil, nil, s[1:1+m], edges)
	if err != nil {
		return err
	}
	total := 1
	for i, n := range b.block {
		if n < 1 {
			return fmt.Errorf("block_shape[%d] is %d, want 1 or more", i, n)
		}
		if total > math.MaxInt32/n {
			return fmt.Errorf("block_shape %v has too many elements", b.block)
		}
		total *= n
	}
	b.large, b.small = s.Clone(), s.Clone()
	for i, n := range b.block {
		d := s[1+i]
		before, after := pads[2*i], pads[2*i+1]
		b.before = append(b.before, before)
		if toBatch {
			if (d+before+after)%n != 0 {
				return fmt.Errorf("dimension %d of input %v is %d with padding, want a multiple of block %d", 1+i, s.Clone(), d+before+after, n)
			}
			b.small[1+i] = (d + before + after) / n
			continue
		}
		if d > math.MaxInt/n || d*n < before+after {
			return fmt.Errorf("crops[%d] is [%d, %d], want at most the %d of dimension %d of input %v times block %d", i, before, after, d, 1+i, s.Clone(), n)
		}
		b.large[1+i] = d*n - before - after
	}
	if toBatch {
		if s[0] > math.MaxInt/total {
			return fmt.Errorf("input %v has too many elements for block_shape %v", s.Clone(), b.block)
		}
		b.small[0] = s[0] * total
		return nil
	}
	if s[0]%total != 0 {
		return fmt.Errorf("input has shape %v, want a multiple of the block's %d elements first", s.Clone(), total)
	}
	b.large[0] = s[0] / total
	return nil
}

// move copies, for each place in a block, the elements that stand there. Place o of a dimension of small, in the part of the
// batch for offset k, is place o·block + k - before of large.
func (b *blocks) move(c *call, t *tensor.Tensor, toBatch bool) {
	m := len(b.block)
	largeStride, smallStride := slices.Clone(b.large), slices.Clone(b.small)
	denseStrides(largeStride, b.large)
	denseStrides(smallStride, b.small)
	offset := make([]int, m)
	batch := b.large[0]
	for part := 0; ; part++ {
		l := c.newLayout()
		small, large := part*batch*smallStride[0], 0
		add := func(n, ds, ss int) {
			if toBatch {
				l.add(n, ss, ds)
			} else {
				l.add(n, ds, ss)
			}
		}
		add(batch, largeStride[0], smallStride[0])
		for i, n := range b.block {
			shift := offset[i] - b.before[i]
			// The first and last place of small whose place in large exists.
			from := 0
			if shift < 0 {
				from = (-shift + n - 1) / n
			}
			to := b.small[1+i]
			if room := b.large[1+i] - shift; room <= 0 {
				to = from
			} else {
				to = max(from, min(to, (room+n-1)/n))
			}
			small += from * smallStride[1+i]
			large += (from*n + shift) * largeStride[1+i]
			add(to-from, largeStride[1+i]*n, smallStride[1+i])
		}
		for i := 1 + m; i < len(b.large); i++ {
			add(b.large[i], largeStride[i], smallStride[i])
		}
		l.dstAt, l.srcAt = large, small
		if toBatch {
			l.dstAt, l.srcAt = small, large
		}
		moveTensor(t, b.x, l)
		i := m - 1
		for ; i >= 0; i-- {
			if offset[i]++; offset[i] < b.block[i] {
				break
			}
			offset[i] = 0
		}
		if i < 0 {
			return
		}
	}
}
