package runtime

import (
	"fmt"
	"unsafe"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// attention is softmax(q·kᵀ + mask)·v for every matrix of a batch, in one step: the scores of one head stay in the cache. Inputs:
// q, k, v and, where masked, what is added to the scores.
type attention struct {
	masked      bool
	scores      headProduct // q·kᵀ
	out         headProduct // softmax·v
	probability kernels.Quantization
}

// headProduct is how one of the two products is computed: in FP32, or on INT8 codes with one scale.
type headProduct struct {
	int8     bool
	unsigned bool // the left codes are uint8
	scale    float32
}

// fuseAttention matches, ending in n, the product of a softmax and v:
//
//	BatchMatMul(Softmax(BatchMatMul(q, k, adj_y) [+ mask]), v)
//
// or the same with both products in INT8, as quantizing passes write it: BatchMatMulV3 on codes, Cast, Mul, and QuantizeV2 and
// Bitcast between softmax and the second product.
func fuseAttention(f *fusion, n *graphdef.Node) *fusedStep {
	a := attention{}
	st := &fusedStep{op: "Attention"}
	second, left, right, ok := f.batchProduct(n, n, st, false)
	if !ok {
		return nil
	}
	a.out = second
	soft := left
	if second.int8 {
		if soft, ok = f.quantizedSoftmax(left, n, st, &a); !ok {
			return nil
		}
	}
	if soft.Index != 0 || soft.Node.Op() != "Softmax" || !isFloat(soft.Node) || !f.private(soft, n) {
		return nil
	}
	st.interior = append(st.interior, soft.Node)
	sum := soft.Node.Input(0)
	var mask graphdef.Output
	if add := sum.Node; sum.Index == 0 && isAdd(add) && f.private(sum, n) {
		for i := range 2 {
			if op := add.Input(i).Node.Op(); op == "Mul" || op == "BatchMatMul" || op == "BatchMatMulV2" {
				sum, mask, a.masked = add.Input(i), add.Input(1-i), true
				st.interior = append(st.interior, add)
				break
			}
		}
	}
	if sum.Index != 0 || !f.private(sum, n) {
		return nil
	}
	first, q, k, ok := f.batchProduct(sum.Node, n, st, true)
	if !ok {
		return nil
	}
	a.scores = first
	if sum.Node != n {
		st.interior = append(st.interior, sum.Node)
	}
	st.inputs = []graphdef.Output{q, k, right}
	if a.masked {
		st.inputs = append(st.inputs, mask)
	}
	st.eval, st.attention = a.eval, &a
	return st
}

// batchProduct matches a product of two activations that ends in n: a float BatchMatMul, or an INT8 one with its scale. adjY says
// whether the right operand must be read transposed.
func (f *fusion) batchProduct(n, last *graphdef.Node, st *fusedStep, adjY bool) (p headProduct, left, right graphdef.Output, ok bool) {
	switch n.Op() {
	case "BatchMatMul", "BatchMatMulV2":
		x, _ := n.Bool("adj_x")
		y, _ := n.Bool("adj_y")
		return p, n.Input(0), n.Input(1), !x && y == adjY && isFloat(n)
	case "Mul":
		m, cast, product, ok := f.int8Product(n, last)
		if !ok || m.adjX || m.adjY != adjY {
			return p, left, right, false
		}
		st.interior = append(st.interior, cast, product)
		return headProduct{int8: true, unsigned: m.unsigned, scale: m.scale}, product.Input(0), product.Input(1), true
	}
	return p, left, right, false
}

// quantizedSoftmax looks through Bitcast and QuantizeV2 from codes to the tensor that was quantized.
func (f *fusion) quantizedSoftmax(codes graphdef.Output, last *graphdef.Node, st *fusedStep, a *attention) (graphdef.Output, bool) {
	bits := codes.Node
	if codes.Index != 0 || bits.Op() != "Bitcast" || !f.private(codes, last) {
		return graphdef.Output{}, false
	}
	q := bits.Input(0)
	if q.Index != 0 || q.Node.Op() != "QuantizeV2" || !f.private(q, last) || f.uses[q.Node.Out(1)]+f.uses[q.Node.Out(2)] > 0 {
		return graphdef.Output{}, false
	}
	r, ok := f.quantization(q.Node, a.out.unsigned)
	if !ok {
		return graphdef.Output{}, false
	}
	a.probability = r.Quantization
	st.interior = append(st.interior, bits, q.Node)
	return q.Node.Input(0), true
}

func (a attention) eval(c *call) error {
	q, k, v := c.in(0), c.in(1), c.in(2)
	if q.Rank() < 2 || k.Rank() < 2 || v.Rank() < 2 {
		return fmt.Errorf("queries %v, keys %v and values %v must have rank 2 or more", q.Shape(), k.Shape(), v.Shape())
	}
	qs, ks, vs := q.Shape(), k.Shape(), v.Shape()
	m, d := qs[len(qs)-2], qs[len(qs)-1]
	t := ks[len(ks)-2]
	n := vs[len(vs)-1]
	if ks[len(ks)-1] != d || vs[len(vs)-2] != t && !a.masked {
		return fmt.Errorf("inner dimensions differ, have queries %v, keys %v and values %v", qs, ks, vs)
	}
	qb, kb, vb := qs[:len(qs)-2], ks[:len(ks)-2], vs[:len(vs)-2]
	batch := qb
	if !qb.Equal(kb) || !qb.Equal(vb) {
		both, err := tensor.Broadcast(qb, kb)
		if err == nil {
			batch, err = tensor.Broadcast(both, vb)
		}
		if err != nil {
			return fmt.Errorf("batch dimensions: %w", err)
		}
	}
	var mask maskRow
	if a.masked {
		var whole bool
		if mask, whole = c.s.newMaskRow(c.in(3), batch, m, t); !whole || vs[len(vs)-2] != t {
			return a.general(c, q, k, v, c.in(3))
		}
	}
	var dims [8]int
	out, err := c.alloc(0, tensor.Float32, append(append(dims[:0], batch...), m, n))
	if err != nil || out.Len() == 0 {
		return err
	}
	dst := tensor.Data[float32](out)
	if f, ok := a.fold(c, batch, mask, m, t, d, n); ok {
		f.run(c, dst, q, k, v)
		return nil
	}
	c.s.product = growFloats(c.s.product, m*t)
	scores := c.s.product
	same := qb.Equal(batch) && kb.Equal(batch) && vb.Equal(batch)
	for i := range out.Len() / (m * n) {
		iq, ik, iv := i, i, i
		if !same {
			iq, ik, iv = batchIndex(i, batch, qb), batchIndex(i, batch, kb), batchIndex(i, batch, vb)
		}
		a.score(c, scores, q, iq*m*d, d, matrixOf(k, ik, t*d), m, d, t)
		switch {
		case t == 0:
		case a.masked:
			row, stride := mask.at(i)
			c.kernels().SoftmaxMasked(scores, scores, m, t, 1, row, stride)
		default:
			c.kernels().Softmax(scores, scores, m, t)
		}
		a.weigh(c, dst[i*m*n:], n, scores, matrixOf(v, iv, t*n), m, t, n)
	}
	return nil
}

// general is eval for masks that stretch the scores, or stretch over their columns: it forms all scores before it adds the mask.
func (a attention) general(c *call, q, k, v, mask *tensor.Tensor) error {
	qs, ks, vs := q.Shape(), k.Shape(), v.Shape()
	batch, err := tensor.Broadcast(qs[:len(qs)-2], ks[:len(ks)-2])
	if err != nil {
		return fmt.Errorf("batch dimensions: %w", err)
	}
	m, d, t, n := qs[len(qs)-2], qs[len(qs)-1], ks[len(ks)-2], vs[len(vs)-1]
	scores := tensor.New(tensor.Float32, append(batch.Clone(), m, t))
	walkBatch(batch, qs[:len(qs)-2], ks[:len(ks)-2], func(i, iq, ik int) {
		a.score(c, tensor.Data[float32](scores)[i*m*t:][:m*t], q, iq*m*d, d, matrixOf(k, ik, t*d), m, d, t)
	})
	if err := broadcastAdd(c, scores, mask); err != nil {
		return err
	}
	sum := c.s.values[c.st.out[0]].t.Clone()
	ss := sum.Shape()
	m, batch = ss[len(ss)-2], ss[:len(ss)-2]
	if ss[len(ss)-1] != vs[len(vs)-2] {
		return fmt.Errorf("inner dimensions differ, have weights %v and values %v", ss, vs)
	}
	if t = ss[len(ss)-1]; t > 0 {
		c.kernels().Softmax(tensor.Data[float32](sum), tensor.Data[float32](sum), sum.Len()/t, t)
	}
	all, err := tensor.Broadcast(batch, vs[:len(vs)-2])
	if err != nil {
		return fmt.Errorf("batch dimensions: %w", err)
	}
	out, err := c.alloc(0, tensor.Float32, append(all.Clone(), m, n))
	if err != nil || out.Len() == 0 {
		return err
	}
	walkBatch(all, batch, vs[:len(vs)-2], func(i, is, iv int) {
		a.weigh(c, tensor.Data[float32](out)[i*m*n:], n, tensor.Data[float32](sum)[is*m*t:][:m*t], matrixOf(v, iv, t*n), m, t, n)
	})
	return nil
}

// matrixOf returns the bytes of matrix i of t, of n elements.
func matrixOf(t *tensor.Tensor, i, n int) []byte {
	size := t.DType().Size()
	return t.Bytes()[i*n*size:][:n*size]
}

// score computes q·kᵀ, [m, t]: q's m rows begin at element at and are ldq apart, k is [t, d].
func (a *attention) score(c *call, scores []float32, q *tensor.Tensor, at, ldq int, k []byte, m, d, t int) {
	c.count(m, t, d, a.scores.int8)
	if !a.scores.int8 {
		c.kernels().MatMulF32Strided(scores, t, tensor.Data[float32](q)[at:], ldq, elements[float32](k), d, true, m, t, d, &c.s.scratch)
		return
	}
	if a.scores.unsigned {
		c.kernels().LoadU8(&c.s.codes, tensor.Data[uint8](q)[at:], m, d, ldq, 0)
	} else {
		c.kernels().LoadS8(&c.s.codes, tensor.Data[int8](q)[at:], m, d, ldq)
	}
	c.kernels().MatMulInt8Strided(scores, t, &c.s.codes, elements[int8](k), d, true, t, a.scores.scale, &c.s.scratch)
}

// weigh computes scores·v, v being [t, n], m rows ldd apart in dst.
func (a *attention) weigh(c *call, dst []float32, ldd int, scores []float32, v []byte, m, t, n int) {
	c.count(m, n, t, a.out.int8)
	if !a.out.int8 {
		c.kernels().MatMulF32Strided(dst, ldd, scores, t, elements[float32](v), n, false, m, n, t, &c.s.scratch)
		return
	}
	c.kernels().Quantize(&c.s.codes, scores, m, t, t, a.probability)
	c.kernels().MatMulInt8Strided(dst, ldd, &c.s.codes, elements[int8](v), n, false, n, a.out.scale, &c.s.scratch)
}

// elements returns memory, aligned for T, as a slice of T.
func elements[T float32 | int8](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(T))))
}

// foldedBeams is attention of one query a row, [rows, heads, 1, d], over keys and values that are the same for the beams of a
// sentence: the beams' queries become the rows of one product.
type foldedBeams struct {
	a                           attention
	mask                        maskRow
	rows, heads, beams, t, d, n int
	maskStride                  int // elements from a row's mask to the next row's
}

// fold reports whether the keys and values of this call repeat for groups of rows.
func (a attention) fold(c *call, batch tensor.Shape, mask maskRow, m, t, d, n int) (f foldedBeams, ok bool) {
	r, rv := c.repeatOf(1), c.repeatOf(2)
	if r.times < 2 || r.times != rv.times || m != 1 || len(batch) != 2 || batch[0]%r.times != 0 {
		return f, false
	}
	heads := batch[1]
	if r.chunk != heads*t*d || rv.chunk != heads*t*n || c.in(0).Len() != batch[0]*heads*d || c.in(1).Len() != batch[0]*r.chunk ||
		c.in(2).Len() != batch[0]*rv.chunk {
		return f, false
	}
	f = foldedBeams{a: a, mask: mask, rows: batch[0], heads: heads, beams: r.times, t: t, d: d, n: n}
	if a.masked && !mask.whole {
		if mask.rows != 1 || len(mask.lead) != 2 || mask.lead[0] != batch[0] || mask.lead[1] != 1 {
			return f, false
		}
		f.maskStride = t
	}
	return f, true
}

// run computes the rows of each sentence and head together.
func (f *foldedBeams) run(c *call, dst []float32, q, k, v *tensor.Tensor) {
	c.s.product = growFloats(c.s.product, f.beams*f.t)
	scores := c.s.product
	for row := 0; row < f.rows; row += f.beams {
		for h := range f.heads {
			at := row*f.heads + h
			f.a.score(c, scores, q, at*f.d, f.heads*f.d, matrixOf(k, at, f.t*f.d), f.beams, f.d, f.t)
			switch {
			case f.t == 0:
			case f.a.masked:
				c.kernels().SoftmaxMasked(scores, scores, f.beams, f.t, 1, f.mask.data[row*f.maskStride:], f.maskStride)
			default:
				c.kernels().Softmax(scores, scores, f.beams, f.t)
			}
			f.a.weigh(c, dst[at*f.n:], f.heads*f.n, scores, matrixOf(v, at, f.t*f.n), f.beams, f.t, f.n)
		}
	}
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
