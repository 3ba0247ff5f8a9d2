package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// reverseOp turns dimensions around: those that a bool of the vector dims marks (Reverse), or that axis lists (ReverseV2).
func reverseOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	marks := n.Op() == "Reverse"
	return func(c *call) error {
		x, which := c.in(0), c.in(1)
		s := x.Shape()
		l := c.newLayout()
		inner := x.Len()
		for _, d := range s {
			if d > 0 {
				inner /= d
			}
			l.add(d, 0, inner)
		}
		turn := func(d int) {
			l.srcAt += (s[d] - 1) * l.src[d]
			l.src[d] = -l.src[d]
		}
		if marks {
			if which.DType() != tensor.Bool || which.Rank() != 1 || which.Len() != len(s) {
				return fmt.Errorf("dims is %v %v, want %d bools", which.DType(), which.Shape().Clone(), len(s))
			}
			for d, on := range tensor.Data[bool](which) {
				if on {
					turn(d)
				}
			}
			return moveTo(c, x, s, l)
		}
		var axesBuf [8]int
		axes, err := vectorInts(axesBuf[:0], which, "axis")
		if err != nil {
			return err
		}
		for i, a := range axes {
			d, err := resolveAxis(a, len(s), "axis")
			if err != nil {
				return err
			}
			for _, before := range axes[:i] {
				if before == d {
					return fmt.Errorf("axis lists dimension %d twice", d)
				}
			}
			axes[i] = d
			turn(d)
		}
		return moveTo(c, x, s, l)
	}, nil
}

// reverseSequenceOp turns the first seq_lengths[i] elements of dimension seq_dim around in part i of dimension batch_dim.
func reverseSequenceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	seq, batch := int(r.Int("seq_dim")), int(r.Int("batch_dim"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	if seq == batch || seq < 0 || batch < 0 {
		return nil, fmt.Errorf("seq_dim and batch_dim are %d and %d, want two different dimensions", seq, batch)
	}
	return func(c *call) error {
		x, lengths := c.in(0), c.in(1)
		s := x.Shape()
		if seq >= len(s) || batch >= len(s) {
			return fmt.Errorf("seq_dim and batch_dim are %d and %d, want less than the rank of input %v", seq, batch, s.Clone())
		}
		if lengths.Rank() != 1 || lengths.Len() != s[batch] {
			return fmt.Errorf("seq_lengths has shape %v, want [%d] for input %v", lengths.Shape().Clone(), s[batch], s.Clone())
		}
		var buf [64]int
		ends, err := appendInts(buf[:0], lengths, "seq_lengths")
		if err != nil {
			return err
		}
		for i, n := range ends {
			if n < 0 || n > s[seq] {
				return fmt.Errorf("seq_lengths[%d] is %d, want one in [0, %d]", i, n, s[seq])
			}
		}
		t, err := c.alloc(0, x.DType(), s)
		if err != nil {
			return err
		}
		strideOf := func(d int) int { return s[d+1:].Elements() }
		for i, n := range ends {
			for _, part := range [2]struct {
				from, num int
				turned    bool
			}{{0, n, true}, {n, s[seq] - n, false}} {
				l := c.newLayout()
				for d, size := range s {
					stride := strideOf(d)
					switch d {
					case batch:
						l.add(1, stride, stride)
						l.dstAt += i * stride
						l.srcAt += i * stride
					case seq:
						l.dstAt += part.from * stride
						if part.turned {
							l.add(part.num, stride, -stride)
							l.srcAt += max(0, part.num-1) * stride
						} else {
							l.add(part.num, stride, stride)
							l.srcAt += part.from * stride
						}
					default:
						l.add(size, stride, stride)
					}
				}
				moveTensor(t, x, l)
			}
		}
		return nil
	}, nil
}

// rollOp moves elements by shift places along axes, and around the end.
func rollOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		if len(s) == 0 {
			return fmt.Errorf("input is a scalar, want rank 1 or more")
		}
		var shiftBuf, axisBuf, byBuf [8]int
		shifts, err := appendInts(shiftBuf[:0], c.in(1), "shift")
		if err != nil {
			return err
		}
		axes, err := appendInts(axisBuf[:0], c.in(2), "axis")
		if err != nil {
			return err
		}
		if len(shifts) != len(axes) || c.in(1).Rank() != c.in(2).Rank() {
			return fmt.Errorf("shift and axis have shapes %v and %v, want them alike", c.in(1).Shape().Clone(), c.in(2).Shape().Clone())
		}
		by := append(byBuf[:0], s...)
		clear(by)
		for i, a := range axes {
			d, err := resolveAxis(a, len(s), "axis")
			if err != nil {
				return err
			}
			if n := s[d]; n > 0 {
				by[d] = (by[d] + shifts[i]%n + n) % n
			}
		}
		last := -1
		for d, k := range by {
			if k != 0 {
				last = d
			}
		}
		if last < 0 {
			c.forward(0, 0)
			return nil
		}
		t, err := c.alloc(0, x.DType(), s)
		if err != nil || t.Len() == 0 {
			return err
		}
		roll(t, x, s[:last+1], by, s[last+1:].Elements(), 0, 0)
		return nil
	}, nil
}

// roll copies what lies at place src of x, of the dimensions dims with inner elements each, to place dst of t, each dimension
// shifted by its number of by.
func roll(t, x *tensor.Tensor, dims tensor.Shape, by []int, inner, dst, src int) {
	n, k := dims[0], by[0]
	if len(dims) == 1 {
		moveRun(t, dst+k*inner, x, src, (n-k)*inner)
		moveRun(t, dst, x, src+(n-k)*inner, k*inner)
		return
	}
	stride := dims[1:].Elements() * inner
	for i := range n {
		roll(t, x, dims[1:], by[1:], inner, dst+(i+k)%n*stride, src+i*stride)
	}
}
