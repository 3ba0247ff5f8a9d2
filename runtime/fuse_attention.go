package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// fuseAttention matches, ending in n, the product of a softmax and values:
//
//	scores  = BatchMatMul(q, k, adj_y)
//	weights = Softmax([scores · scale] [+ mask])
//	          BatchMatMul(weights, v)
//
// also as Einsums, as Keras writes it, and with both products in INT8, as quantizing passes write it: BatchMatMulV3 on codes,
// Cast, Mul, and QuantizeV2 and Bitcast between softmax and the second product. Transpose nodes that part the heads of q, k
// and v, and join those of the result, become strides.
func fuseAttention(f *fusion, n *graphdef.Node) *fusedStep {
	if st := f.attentionEndingIn(n, n); st != nil {
		return st
	}
	// The heads joined: [batch, heads, rows, depth] becomes [batch, rows, heads, depth].
	if x, ok := f.headsTransposed(n.Out(0)); ok && f.private(x, n) {
		if st := f.attentionEndingIn(x.Node, n); st != nil && !st.attention.layout.out {
			st.attention.layout.out = true
			st.interior = append(st.interior, x.Node)
			return st
		}
	}
	return nil
}

// attentionEndingIn matches an attention whose second product is n, in a step that takes the place of last.
func (f *fusion) attentionEndingIn(n, last *graphdef.Node) *fusedStep {
	a := &attention{}
	st := &fusedStep{op: "Attention", attention: a, rows: same(attentionRows)}
	second, ok := f.headProduct(n, last, st, false)
	if !ok {
		return nil
	}
	a.out, a.layout.v, a.layout.out = second.headProduct, second.right.split, second.split
	soft := second.left.o
	if second.int8 {
		if soft, ok = f.quantizedSoftmax(soft, last, st, a); !ok {
			return nil
		}
	}
	if soft = f.skip(soft, last, st); soft.Index != 0 || soft.Node.Op() != "Softmax" || !isFloat(soft.Node) || !f.private(soft, last) {
		return nil
	}
	st.interior = append(st.interior, soft.Node)
	sum := f.unshifted(soft.Node.Input(0), last, st)
	mark := len(st.interior)
	for _, masked := range []int{0, 1, -1} { // which input of an addition is the scores; -1: there is no addition
		st.interior = st.interior[:mark]
		scores := sum
		var mask graphdef.Output
		if masked >= 0 {
			add := scores.Node
			if scores.Index != 0 || !isAdd(add) || !isFloat(add) || !f.private(scores, last) {
				continue
			}
			scores, mask = add.Input(masked), add.Input(1-masked)
			st.interior = append(st.interior, add)
		}
		first, ok := f.scaledScores(f.skip(scores, last, st), last, st, a)
		if !ok {
			continue
		}
		a.masked = masked >= 0
		a.scores, a.layout.q, a.layout.k = first.headProduct, first.left.split, first.right.split
		q, k, v := first.left.o, first.right.o, second.right.o
		if !first.int8 {
			q, a.layout.q = f.unsplit(q, a.layout.q, last, st)
			k, a.layout.k = f.unsplit(k, a.layout.k, last, st)
		}
		if !second.int8 {
			v, a.layout.v = f.unsplit(v, a.layout.v, last, st)
		}
		st.inputs = []graphdef.Output{q, k, v}
		if a.masked {
			st.inputs = append(st.inputs, mask)
		}
		st.eval = a.eval
		return st
	}
	return nil
}

// scaledScores matches the first product, multiplied or divided by a constant or not.
func (f *fusion) scaledScores(o graphdef.Output, last *graphdef.Node, st *fusedStep, a *attention) (batchedProduct, bool) {
	if o.Index != 0 || !f.private(o, last) {
		return batchedProduct{}, false
	}
	a.scale = 1
	st.interior = append(st.interior, o.Node)
	if p, ok := f.headProduct(o.Node, last, st, true); ok && !p.split {
		return p, true
	}
	n := o.Node
	if !isFloat(n) || n.NumInputs() != 2 {
		return batchedProduct{}, false
	}
	for i := range 2 {
		c, ok := f.scalar(n.Input(1 - i))
		switch {
		case ok && n.Op() == "Mul":
			a.scale = c
		case ok && n.Op() == "RealDiv" && i == 0 && c != 0:
			a.scale = 1 / c
		default:
			continue
		}
		x := f.skip(n.Input(i), last, st)
		if x.Index != 0 || !f.private(x, last) {
			continue
		}
		mark := len(st.interior)
		st.interior = append(st.interior, x.Node)
		if p, ok := f.headProduct(x.Node, last, st, true); ok && !p.split {
			return p, true
		}
		st.interior = st.interior[:mark]
	}
	return batchedProduct{}, false
}

// batchedProduct is a matched product of two activations.
type batchedProduct struct {
	headProduct
	left, right operandOutput
	split       bool // the result is [batch, rows, heads, columns]
}

// operandOutput is an operand: split where it is [batch, rows, heads, depth], its heads not yet parted.
type operandOutput struct {
	o     graphdef.Output
	split bool
}

// headProduct matches a product of two activations that ends in n: a float BatchMatMul or Einsum, or an INT8 one with its scale.
// adjY says whether the right operand must be read transposed.
func (f *fusion) headProduct(n, last *graphdef.Node, st *fusedStep, adjY bool) (p batchedProduct, ok bool) {
	switch n.Op() {
	case "BatchMatMul", "BatchMatMulV2":
		x, _ := n.Bool("adj_x")
		y, _ := n.Bool("adj_y")
		p.left.o, p.right.o = n.Input(0), n.Input(1)
		return p, !x && y == adjY && isFloat(n)
	case "Einsum":
		return einsumHeads(n, adjY)
	case "Mul":
		m, cast, product, ok := f.int8Product(n, last)
		if !ok || m.adjX || m.adjY != adjY {
			return p, false
		}
		st.interior = append(st.interior, cast, product)
		p.headProduct = headProduct{int8: true, unsigned: m.unsigned, scale: m.scale}
		p.left.o, p.right.o = product.Input(0), product.Input(1)
		return p, true
	}
	return p, false
}

// einsumHeads reads an Einsum of two tensors of rank 4 as the product of the matrices of each batch and head: over their depth
// (adjY), giving [batch, heads, rows, columns], or over the columns of the left one.
func einsumHeads(n *graphdef.Node, adjY bool) (p batchedProduct, ok bool) {
	equation, err := n.Str("equation")
	if err != nil || !isFloat(n) || n.NumInputs() != 2 {
		return p, false
	}
	e, err := parseEinsum(equation, 2)
	if err != nil {
		return p, false
	}
	for _, labels := range [][]uint8{e.in[0], e.in[1], e.out} {
		if len(labels) != 4 || slices.Contains(labels, dots) {
			return p, false
		}
	}
	for i := range 2 {
		left, right, out := e.in[i], e.in[1-i], e.out
		split, fits := matchHeads(left, right, out, adjY)
		if fits {
			p.left = operandOutput{n.Input(i), split[0]}
			p.right = operandOutput{n.Input(1 - i), split[1]}
			p.split = split[2]
			return p, true
		}
	}
	return p, false
}

// matchHeads reports whether the labels are those of a product of heads, and which of left, right and out are split.
func matchHeads(left, right, out []byte, adjY bool) (split [3]bool, ok bool) {
	for _, l := range []bool{false, true} {
		for _, r := range []bool{false, true} {
			for _, o := range []bool{false, true} {
				b, h, rows, inner := rolesOf(left, l)
				b2, h2, y0, y1 := rolesOf(right, r)
				b3, h3, rows3, cols := rolesOf(out, o)
				if adjY {
					y0, y1 = y1, y0
				}
				if b == b2 && b == b3 && h == h2 && h == h3 && inner == y0 && rows == rows3 && y1 == cols && distinct(b, h, rows, inner, cols) {
					return [3]bool{l, r, o}, true
				}
			}
		}
	}
	return split, false
}

// rolesOf names the labels of a tensor of rank 4, split or not.
func rolesOf(labels []byte, split bool) (batch, heads, rows, cols byte) {
	if split {
		return labels[0], labels[2], labels[1], labels[3]
	}
	return labels[0], labels[1], labels[2], labels[3]
}

func distinct(labels ...byte) bool {
	slices.Sort(labels)
	return len(slices.Compact(labels)) == len(labels)
}

// unsplit looks behind the Transpose that parts the heads of an operand.
func (f *fusion) unsplit(o graphdef.Output, split bool, last *graphdef.Node, st *fusedStep) (graphdef.Output, bool) {
	if split {
		return o, true
	}
	x, ok := f.headsTransposed(o)
	if !ok || f.sc.tree.Of(x.Node) != f.sc.tree.Of(last) {
		return o, false
	}
	if f.private(o, last) {
		st.interior = append(st.interior, o.Node)
		return x, true
	}
	return o, false
}

// headsTransposed reports whether o is a Transpose that swaps the two middle dimensions of four, and returns what it transposes.
func (f *fusion) headsTransposed(o graphdef.Output) (graphdef.Output, bool) {
	if o.Index != 0 || o.Node.Op() != "Transpose" || o.Node.NumInputs() != 2 {
		return o, false
	}
	perm := f.constant(o.Node.Input(1))
	if perm == nil || perm.Len() != 4 {
		return o, false
	}
	p, err := appendInts(nil, perm, "perm")
	return o.Node.Input(0), err == nil && slices.Equal(p, []int{0, 2, 1, 3})
}

// skip goes back over nodes that hand on their input, taking them into the step.
func (f *fusion) skip(o graphdef.Output, last *graphdef.Node, st *fusedStep) graphdef.Output {
	for o.Index == 0 && passThrough[o.Node.Op()] && o.Node.NumInputs() == 1 && f.private(o, last) {
		st.interior = append(st.interior, o.Node)
		o = o.Node.Input(0)
	}
	return o
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
