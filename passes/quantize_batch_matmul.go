package passes

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// QuantizeBatchMatMul rewrites, for the target tfq8, a product of two activations (attention):
//
//	BatchMatMul(x, y)   becomes   Mul(Cast(BatchMatMulV3(x8, y8)), scale)
//
// with x8 = Bitcast(QuantizeV2(x)) as int8, or uint8 where x was never below zero (attention weights), and 32-bit sums. An Einsum
// of this kind has its operands and its result transposed. All are stock ops, but TensorFlow has no fast kernel for them, so that
// the target tensorflow leaves these products in FP32.
var QuantizeBatchMatMul = Pass{
	Name: "quantize-batch-matmul",
	Doc:  "compute products of two activations in INT8 (target tfq8)",
	Run:  quantizeBatchMatMul,
}

func quantizeBatchMatMul(_ context.Context, g *graphdef.Graph, env *Env) error {
	return eachQuantizer(g, env, func(q *quantizer, n *graphdef.Node) error {
		if isProduct(n) {
			q.twoActivations(n)
		}
		return nil
	})
}

// pairwise is a product of two activations as a BatchMatMul: [batch…, m, k] · [batch…, k, n], each transposed where needed.
type pairwise struct {
	perms      [2][]int
	adjX, adjY bool
	outPerm    []int
}

// pairwiseOf reads product n; problem says why it is none that a BatchMatMul computes.
func (q *quantizer) pairwiseOf(n *graphdef.Node) (p pairwise, problem string) {
	switch n.Op() {
	case "MatMul":
		p.adjX, _ = n.Bool("transpose_a")
		p.adjY, _ = n.Bool("transpose_b")
		return p, ""
	case "Einsum":
		return einsumPair(n)
	}
	p.adjX, _ = n.Bool("adj_x")
	p.adjY, _ = n.Bool("adj_y")
	return p, ""
}

// einsumPair reads an Einsum that sums over one dimension and leaves one to each operand.
func einsumPair(n *graphdef.Node) (p pairwise, problem string) {
	equation, _ := n.Str("equation")
	c, ok := parseContraction(equation)
	if ok {
		ok = !slices.Contains(slices.Concat(c.x, c.y, c.out), ellipsis)
	}
	batch, summed, rows, columns, isProduct := c.kinds()
	if !ok || !isProduct || len(summed) != 1 || len(rows) != 1 || len(columns) != 1 {
		return p, fmt.Sprintf("equation %q is no batch of matrix products", equation)
	}
	p.perms[0] = permutation(c.x, slices.Concat(batch, rows, summed), 0)
	// Of the two orders of y the one that needs no transposition.
	p.adjY = true
	if p.perms[1] = permutation(c.y, slices.Concat(batch, columns, summed), 0); p.perms[1] != nil {
		if other := permutation(c.y, slices.Concat(batch, summed, columns), 0); other == nil {
			p.perms[1], p.adjY = nil, false
		}
	}
	p.outPerm = permutation(slices.Concat(batch, rows, columns), c.out, 0)
	return p, ""
}

// twoActivations rewrites n or notes why not.
func (q *quantizer) twoActivations(n *graphdef.Node) {
	name := q.qualified(n)
	types, err := n.InputTypes()
	if err == nil && len(types) == 2 && integerCodes(types[0]) && integerCodes(types[1]) {
		return // an INT8 product already
	}
	leave := func(r Reason, detail string) { q.env.LeftFloat(name, r, detail) }
	switch {
	case q.env.excluded(name):
		leave(Excluded, fmt.Sprintf("an exclude pattern matches %q", q.env.account.first(name)))
		return
	case err != nil || len(types) != 2 || types[0] != types[1] || !castable(types[0]):
		leave(NotFloat, fmt.Sprintf("dtypes are %v", types))
		return
	case q.env.Target != TFQ8:
		leave(TwoActivations, fmt.Sprintf("neither %q nor %q is constant, and TensorFlow has no fast INT8 product for that",
			q.tree.Source(n.Input(0)), q.tree.Source(n.Input(1))))
		return
	}
	p, problem := q.pairwiseOf(n)
	if problem != "" {
		leave(UnsupportedForm, problem)
		return
	}
	var ranges [2]calib.Threshold
	for i, o := range n.Inputs() {
		if _, ok := q.tree.ConstOf(o); ok {
			return // a product with weights: the pass before has noted why it stays
		}
		t, reason, detail := q.threshold(o)
		if reason != "" {
			leave(reason, detail)
			return
		}
		ranges[i] = t
	}
	q.replacePair(n, p, types[0], ranges)
	q.env.Quantized(name)
	q.env.Rewrote()
}

// replacePair puts a BatchMatMulV3 of codes in the place of n, a product of dtype d.
func (q *quantizer) replacePair(n *graphdef.Node, p pairwise, d tensor.DType, ranges [2]calib.Threshold) {
	name := n.Name()
	var in [2]*quantizedInput
	var codes [2]graphdef.Output
	for i, o := range n.Inputs() {
		// The product instructions take one unsigned operand: the left one.
		in[i] = q.codesFor(q.wide(o, d), ranges[i], i == 0)
		codes[i] = q.transposedOf(q.bits(in[i]), plain(in[i].dtype), p.perms[i])
	}
	product := q.place.add(name+"/int32", "BatchMatMulV3", codes[0], codes[1])
	product.SetAttr("Ta", graphdef.TypeAttr(plain(in[0].dtype)))
	product.SetAttr("Tb", graphdef.TypeAttr(plain(in[1].dtype)))
	product.SetAttr("Tout", graphdef.TypeAttr(tensor.Int32))
	if p.adjX {
		product.SetAttr("adj_x", graphdef.BoolAttr(true))
	}
	if p.adjY {
		product.SetAttr("adj_y", graphdef.BoolAttr(true))
	}
	sums := q.cast(name+"/float", product.Out(0), tensor.Int32, tensor.Float32)
	scale := in[0].limit / in[0].levels() * (in[1].limit / in[1].levels())
	m := q.place.add(name+"/scaled", "Mul", sums, q.place.constant(name+"/scale", tensor.Scalar(scale), q.tree.Of(n)))
	m.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	if d != tensor.Float32 {
		m = q.cast(name+"/narrow", m.Out(0), tensor.Float32, d).Node
	}
	if p.outPerm != nil {
		m = q.transpose(name+"/ordered", m.Out(0), d, p.outPerm).Node
	}
	m.Device = n.Device
	q.takeOver(ending{chain: []*graphdef.Node{n}}, m)
}

func integerCodes(d tensor.DType) bool { return d == tensor.Int8 || d == tensor.Uint8 }

// plain returns the integer type that has the bits of quantized type d.
func plain(d tensor.DType) tensor.DType {
	if d == tensor.Quint8 {
		return tensor.Uint8
	}
	return tensor.Int8
}

// bits returns the codes of in as plain integers.
func (q *quantizer) bits(in *quantizedInput) graphdef.Output {
	return q.bitcast(in.codes.Node.Name()+"/bits", in.codes, in.dtype, plain(in.dtype))
}
