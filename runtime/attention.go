package runtime

import (
	"fmt"
	"unsafe"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// attention is softmax(q·kᵀ·scale + mask)·v for every matrix of a batch, in one step: the scores of one head stay in the cache.
// Inputs: q, k, v and, where masked, what is added to the scores.
type attention struct {
	masked      bool
	scale       float32
	scores      headProduct // q·kᵀ
	out         headProduct // softmax·v
	probability kernels.Quantization
	layout      attentionLayout
}

// attentionLayout says which tensors are [batch, rows, heads, depth] in place of [batch, heads, rows, depth].
type attentionLayout struct{ q, k, v, out bool }

// headProduct is how one of the two products is computed: in FP32, or on INT8 codes with one scale.
type headProduct struct {
	int8     bool
	unsigned bool // the left codes are uint8
	scale    float32
}

// heads is a tensor seen as the matrices [rows, depth] of a batch.
type heads struct {
	t           *tensor.Tensor
	batch       tensor.Shape
	batchDims   [2]int
	rows, depth int
	ld          int // elements from row to row
	split       bool
}

// read makes h the view of t.
func (h *heads) read(t *tensor.Tensor, split bool, what string) error {
	s := t.Shape()
	h.t, h.split = t, split
	switch {
	case split && len(s) != 4:
		return fmt.Errorf("%s have shape %v, want [batch, rows, heads, depth]", what, s.Clone())
	case split:
		h.batchDims = [2]int{s[0], s[2]}
		h.batch, h.rows, h.depth, h.ld = h.batchDims[:], s[1], s[3], s[2]*s[3]
	case len(s) < 2:
		return fmt.Errorf("%s have shape %v, want rank 2 or more", what, s.Clone())
	default:
		h.batch, h.rows, h.depth = s[:len(s)-2], s[len(s)-2], s[len(s)-1]
		h.ld = h.depth
	}
	return nil
}

// at returns the first element of matrix i.
func (h *heads) at(i int) int {
	if h.split {
		n := h.batch[1]
		return i/n*h.rows*h.ld + i%n*h.depth
	}
	return i * h.rows * h.depth
}

// bytes returns the memory from matrix i on.
func (h *heads) bytes(i int) []byte {
	b := h.t.Bytes()
	return b[min(h.at(i)*h.t.DType().Size(), len(b)):]
}

func (a *attention) eval(c *call) error {
	defer c.s.ahead.Reset() // the kernel still asks for what is left
	var q, k, v heads
	if err := q.read(c.in(0), a.layout.q, "queries"); err != nil {
		return err
	}
	if err := k.read(c.in(1), a.layout.k, "keys"); err != nil {
		return err
	}
	if err := v.read(c.in(2), a.layout.v, "values"); err != nil {
		return err
	}
	if k.depth != q.depth || v.rows != k.rows && !a.masked {
		return fmt.Errorf("inner dimensions differ, have queries %v, keys %v and values %v", q.t.Shape().Clone(), k.t.Shape().Clone(), v.t.Shape().Clone())
	}
	batch := q.batch
	same := q.batch.Equal(k.batch) && q.batch.Equal(v.batch)
	if !same {
		both, err := tensor.Broadcast(q.batch, k.batch)
		if err == nil {
			batch, err = tensor.Broadcast(both, v.batch)
		}
		if err != nil {
			return fmt.Errorf("batch dimensions: %w", err)
		}
	}
	m, t := q.rows, k.rows
	var mask maskRow
	whole := true
	if a.masked {
		mask, whole = c.s.newMaskRow(c.in(3), batch, m, t)
	}
	if f, ok := a.fold(c, &q, &k, &v, &mask); ok && whole && v.rows == t {
		return f.run(c)
	}
	for _, i := range []int{1, 2} {
		if err := c.unfold(i); err != nil {
			return err
		}
	}
	if !whole || v.rows != t {
		return a.general(c, &q, &k, &v)
	}
	var out heads
	if err := a.alloc(c, &out, batch, m, v.depth); err != nil || out.t.Len() == 0 {
		return err
	}
	c.s.product = growFloats(c.s.product, m*t)
	scores, dst := c.s.product, tensor.Data[float32](out.t)
	for i := range batch.Elements() {
		iq, ik, iv := i, i, i
		if !same {
			iq, ik, iv = batchIndex(i, batch, q.batch), batchIndex(i, batch, k.batch), batchIndex(i, batch, v.batch)
		}
		a.score(c, scores, q.t, q.at(iq), q.ld, k.bytes(ik), k.ld, m, q.depth, t)
		if t > 0 {
			row, stride := a.maskAt(&mask, i)
			a.softmax(c, scores, m, t, row, stride)
		}
		a.weigh(c, dst[out.at(i):], out.ld, scores, v.bytes(iv), v.ld, m, t, v.depth)
	}
	return nil
}

// alloc makes output 0 the memory of the results, [rows, depth] for each matrix of batch.
func (a *attention) alloc(c *call, out *heads, batch tensor.Shape, rows, depth int) error {
	var dims [8]int
	shape := append(append(dims[:0], batch...), rows, depth)
	if a.layout.out {
		if len(batch) != 2 {
			return fmt.Errorf("have %d batch dimensions, want a batch and heads", len(batch))
		}
		shape = append(dims[:0], batch[0], rows, batch[1], depth)
	}
	t, err := c.alloc(0, tensor.Float32, shape)
	if err != nil {
		return err
	}
	return out.read(t, a.layout.out, "results")
}

// maskAt returns the mask of matrix i, nil if there is none.
func (a *attention) maskAt(mask *maskRow, i int) (row []float32, stride int) {
	if !a.masked {
		return nil, 0
	}
	return mask.at(i)
}

// softmax replaces scores, [m, t], by their softmax after scale and mask.
func (a *attention) softmax(c *call, scores []float32, m, t int, mask []float32, stride int) {
	if mask == nil && a.scale == 1 {
		c.kernels().Softmax(scores, scores, m, t)
		return
	}
	c.kernels().SoftmaxMasked(scores, scores, m, t, a.scale, mask, stride)
}

// general is eval for masks that stretch the scores, or stretch over their columns: it forms all scores before it adds the mask.
func (a *attention) general(c *call, q, k, v *heads) error {
	batch, err := tensor.Broadcast(q.batch, k.batch)
	if err != nil {
		return fmt.Errorf("batch dimensions: %w", err)
	}
	m, t := q.rows, k.rows
	scores := tensor.New(tensor.Float32, append(batch.Clone(), m, t))
	walkBatch(batch, q.batch, k.batch, func(i, iq, ik int) {
		a.score(c, tensor.Data[float32](scores)[i*m*t:][:m*t], q.t, q.at(iq), q.ld, k.bytes(ik), k.ld, m, q.depth, t)
	})
	if a.scale != 1 {
		s := tensor.Data[float32](scores)
		c.kernels().MulScalar(s, s, a.scale)
	}
	if err := broadcastAdd(c, scores, c.in(3)); err != nil {
		return err
	}
	sum := c.s.values[c.st.out[0]].t.Clone()
	ss := sum.Shape()
	m, batch = ss[len(ss)-2], ss[:len(ss)-2]
	if ss[len(ss)-1] != v.rows {
		return fmt.Errorf("inner dimensions differ, have weights %v and values %v", ss, v.t.Shape().Clone())
	}
	if t = ss[len(ss)-1]; t > 0 {
		c.kernels().Softmax(tensor.Data[float32](sum), tensor.Data[float32](sum), sum.Len()/t, t)
	}
	all, err := tensor.Broadcast(batch, v.batch)
	if err != nil {
		return fmt.Errorf("batch dimensions: %w", err)
	}
	var out heads
	if err := a.alloc(c, &out, all, m, v.depth); err != nil || out.t.Len() == 0 {
		return err
	}
	dst := tensor.Data[float32](out.t)
	walkBatch(all, batch, v.batch, func(i, is, iv int) {
		a.weigh(c, dst[out.at(i):], out.ld, tensor.Data[float32](sum)[is*m*t:][:m*t], v.bytes(iv), v.ld, m, t, v.depth)
	})
	return nil
}

// score computes q·kᵀ, [m, t]: q's m rows begin at element at and are ldq apart, k's t rows ldk.
func (a *attention) score(c *call, scores []float32, q *tensor.Tensor, at, ldq int, k []byte, ldk, m, d, t int) {
	c.count(m, t, d, a.scores.int8)
	if !a.scores.int8 {
		c.kernels().MatMulF32Strided(scores, t, tensor.Data[float32](q)[min(at, q.Len()):], ldq, elements[float32](k), ldk, true, m, t, d, &c.s.scratch)
		return
	}
	if a.scores.unsigned {
		c.kernels().LoadU8(&c.s.codes, tensor.Data[uint8](q)[min(at, q.Len()):], m, d, ldq, 0)
	} else {
		c.kernels().LoadS8(&c.s.codes, tensor.Data[int8](q)[min(at, q.Len()):], m, d, ldq)
	}
	c.kernels().MatMulInt8Strided(scores, t, &c.s.codes, elements[int8](k), ldk, true, t, a.scores.scale, &c.s.scratch)
}

// weigh computes scores·v, v's t rows being ldv apart and the m rows of dst ldd.
func (a *attention) weigh(c *call, dst []float32, ldd int, scores []float32, v []byte, ldv, m, t, n int) {
	c.count(m, n, t, a.out.int8)
	if !a.out.int8 {
		c.kernels().MatMulF32Strided(dst, ldd, scores, t, elements[float32](v), ldv, false, m, n, t, &c.s.scratch)
		return
	}
	c.kernels().Quantize(&c.s.codes, scores, m, t, t, a.probability)
	c.kernels().MatMulInt8Strided(dst, ldd, &c.s.codes, elements[int8](v), ldv, false, n, a.out.scale, &c.s.scratch)
}

// elements returns memory, aligned for T, as a slice of T.
func elements[T float32 | int8](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(T))))
}

// foldedBeams is attention of one query a row over keys and values that are the same for the beams of a sentence: the beams'
// queries become the rows of one product.
type foldedBeams struct {
	a          *attention
	q, k, v    *heads
	mask       *maskRow
	beams      int
	maskStride int // elements from a row's mask to the next row's
	stepK      int // matrices of keys, and of values, from a sentence to the next
	stepV      int
}

// fold reports whether the keys and values of this call repeat for groups of rows.
func (a *attention) fold(c *call, q, k, v *heads, mask *maskRow) (f foldedBeams, ok bool) {
	r, rv := c.repeatOf(1), c.repeatOf(2)
	if r.times < 2 || r.times != rv.times || q.rows != 1 || len(q.batch) != 2 || q.batch[0]%r.times != 0 {
		return f, false
	}
	if !q.batch.Equal(k.batch) || !q.batch.Equal(v.batch) || r.chunk != k.batch[1]*k.rows*k.depth || rv.chunk != v.batch[1]*v.rows*v.depth {
		return f, false
	}
	f = foldedBeams{a: a, q: q, k: k, v: v, mask: mask, beams: r.times}
	f.stepK, f.stepV = f.beams*q.batch[1], f.beams*q.batch[1]
	if r.folded {
		f.stepK = q.batch[1]
	}
	if rv.folded {
		f.stepV = q.batch[1]
	}
	if a.masked && !mask.whole {
		if mask.rows != 1 || len(mask.lead) != 2 || mask.lead[0] != q.batch[0] || mask.lead[1] != 1 {
			return f, false
		}
		f.maskStride = k.rows
	}
	return f, true
}

// run computes the rows of each sentence and head together.
func (f *foldedBeams) run(c *call) error {
	var out heads
	if err := f.a.alloc(c, &out, f.q.batch, f.q.rows, f.v.depth); err != nil || out.t.Len() == 0 {
		return err
	}
	t, n := f.k.rows, f.q.batch[1]
	c.s.product = growFloats(c.s.product, f.beams*t)
	scores, dst := c.s.product, tensor.Data[float32](out.t)
	var mask []float32
	for s := range f.q.batch[0] / f.beams {
		if f.attend(c, &out, s) {
			continue
		}
		row := s * f.beams
		if f.a.masked {
			mask = f.mask.data[row*f.maskStride:]
		}
		for h := range n {
			at := row*n + h
			keys, values, next := f.k.bytes(s*f.stepK+h), f.v.bytes(s*f.stepV+h), s*f.stepK+h+1
			if h+1 == n {
				next = (s + 1) * f.stepK
			}
			c.s.scratch.Soon(values, f.k.bytes(next))
			f.a.score(c, scores, f.q.t, f.q.at(at), n*f.q.depth, keys, f.k.ld, f.beams, f.q.depth, t)
			if t > 0 {
				f.a.softmax(c, scores, f.beams, t, mask, f.maskStride)
			}
			f.a.weigh(c, dst[out.at(at):], n*out.depth, scores, values, f.v.ld, f.beams, t, f.v.depth)
		}
	}
	return nil
}

// maskRow finds the rows of a mask that is broadcast over the scores of a batch.
type maskRow struct {
	data        []float32
	batch, lead tensor.Shape
	rows, cols  int
	whole       bool // one mask for the whole batch
}

// newMaskRow reports whether mask has whole rows, each for one or all of the rows of scores [batch, m, t].
func (ss *Session) newMaskRow(mask *tensor.Tensor, batch tensor.Shape, m, t int) (maskRow, bool) {
	s := mask.Shape()
	if mask.Len() == 1 && len(s) <= len(batch)+2 { // the mask of a step that sees all before it is one number
		ss.maskRow = growFloats(ss.maskRow, t)
		for i := range ss.maskRow {
			ss.maskRow[i] = tensor.Data[float32](mask)[0]
		}
		return maskRow{data: ss.maskRow, rows: 1, cols: t, whole: true}, true
	}
	r := maskRow{data: tensor.Data[float32](mask), batch: batch, rows: 1, cols: 1}
	if len(s) > 0 {
		r.cols = s[len(s)-1]
	}
	if len(s) > 1 {
		r.rows, r.lead = s[len(s)-2], s[:len(s)-2]
	}
	if r.cols != t || (r.rows != 1 && r.rows != m) || len(r.lead) > len(batch) {
		return r, false
	}
	for i, d := range r.lead {
		if d != 1 && d != batch[len(batch)-len(r.lead)+i] {
			return r, false
		}
	}
	r.whole = r.lead.Elements() == 1
	return r, true
}

// at returns the mask of matrix i of the batch and its row stride, 0 where all rows have one mask.
func (r *maskRow) at(i int) (rows []float32, stride int) {
	if r.rows > 1 {
		stride = r.cols
	}
	if r.whole {
		return r.data, stride
	}
	return r.data[batchIndex(i, r.batch, r.lead)*r.rows*r.cols:], stride
}
