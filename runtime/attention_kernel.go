package runtime

import (
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// What a decoder's step attends to is little: to give each head of a sentence to three kernels, with scores and weights in memory
// between them, takes several times as long as the arithmetic. One kernel does it all where it can.

// inOne reports whether one kernel may do both products and what is between them.
func (a *attention) inOne(c *call) bool {
	return !a.scores.int8 && !a.out.int8 && c.kernels().HasAttend()
}

// attend is run for one sentence and all heads. It reports whether the kernel does that.
func (f *foldedBeams) attend(c *call, out *heads, sentence int) bool {
	if !f.a.inOne(c) {
		return false
	}
	n, row := f.q.batch[1], sentence*f.beams
	k, v := sentence*f.stepK, sentence*f.stepV
	return c.attend(&kernels.Attention{
		Heads: n, Rows: f.beams, Keys: f.k.rows, Depth: f.q.depth, Width: f.v.depth, Scale: f.a.scale,
		Q:    besides(tensor.Data[float32](f.q.t)[f.q.at(row*n):], n, f.q.depth),
		K:    kernels.HeadRows{Data: elements[float32](f.k.bytes(k)), Row: f.k.ld, Head: f.k.at(1)},
		V:    kernels.HeadRows{Data: elements[float32](f.v.bytes(v)), Row: f.v.ld, Head: f.v.at(1)},
		Dst:  besides(tensor.Data[float32](out.t)[out.at(row*n):], n, out.depth),
		Mask: f.mask.from(row),
		Next: elements[float32](f.k.bytes(k + f.stepK)),
	})
}

// attendGroup is evalGroup for all heads. It reports whether the kernel does that.
func (a *attention) attendGroup(c *call, dst []float32, q *tensor.Tensor, k, v *rowCache, mask *maskRow, g int) bool {
	keys, row := int(k.used[g]), g*k.beams
	if !a.inOne(c) || keys > kernels.MostAttendKeys {
		return false
	}
	c.s.own = c.s.own[:0]
	for b := range k.beams {
		own := uint64(0)
		for _, e := range k.list(row + b) {
			own |= 1 << e
		}
		c.s.own = append(c.s.own, own)
	}
	t := kernels.Attention{
		Heads: k.heads, Rows: k.beams, Keys: keys, Depth: k.depth, Width: v.depth, Scale: a.scale, Own: c.s.own,
		Q:    besides(tensor.Data[float32](q)[row*k.heads*k.depth:], k.heads, k.depth),
		K:    kernels.HeadRows{Data: elements[float32](k.group(g)), Row: k.depth, Head: k.room * k.depth},
		V:    kernels.HeadRows{Data: elements[float32](v.group(g)), Row: v.depth, Head: v.room * v.depth},
		Dst:  besides(dst[row*k.heads*v.depth:], k.heads, v.depth),
		Mask: mask.from(row),
	}
	if g+1 < len(k.used) {
		t.Next = elements[float32](k.group(g + 1))
	}
	return c.attend(&t)
}

// attend runs t, if the kernel does it, and counts its products.
func (c *call) attend(t *kernels.Attention) bool {
	t.Ahead = &c.s.ahead
	if !c.kernels().Attend(t, &c.s.scratch) {
		return false
	}
	c.count(t.Heads*t.Rows, t.Keys, t.Depth+t.Width, false)
	return true
}

// besides returns rows of n heads that lie beside each other.
func besides(data []float32, n, depth int) kernels.HeadRows {
	return kernels.HeadRows{Data: data, Row: n * depth, Head: depth}
}

// from returns the masks of a batch of rows and heads, one row of scores each, from a row on. Without a mask its data are nil.
func (r *maskRow) from(row int) kernels.HeadRows {
	rows := kernels.HeadRows{}
	if n := len(r.lead); n > 0 && r.lead[n-1] > 1 {
		rows.Head = r.cols
	}
	if n := len(r.lead); n > 1 && r.lead[n-2] > 1 {
		rows.Row = r.lead[n-1] * r.cols
	}
	rows.Data = r.data[row*rows.Row:]
	return rows
}
