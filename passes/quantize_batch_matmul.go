package passes

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// QuantizeBatchMatMul rewrites, for the target tfq8, a product of two activations (attention):
//
//	BatchMatMul(x, y)   becomes   Mul(Cast(BatchMatMulV3(x8, y8)), scale)
//
// with x8 = Bitcast(QuantizeV2(x)) as int8, or uint8 where x was never below zero (attention weights), and 32-bit sums. All are
// stock ops, but TensorFlow has no fast kernel for them, so that the target tensorflow leaves these products in FP32.
var QuantizeBatchMatMul = Pass{
	Name: "quantize-batch-matmul",
	Doc:  "compute products of two activations in INT8 (target tfq8)",
	Run:  quantizeBatchMatMul,
}

func quantizeBatchMatMul(_ context.Context, g *graphdef.Graph, env *Env) error {
	tree, err := flow.Analyze(g)
	if err != nil {
		return err
	}
	q := newQuantizer(env, g, tree, env.pass)
	for _, n := range slices.Clone(g.Nodes()) {
		switch n.Op() {
		case "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3":
			q.batchMatMul(n)
		case "Einsum":
			env.LeftFloat(n.Name(), UnsupportedForm, "Einsum has no quantized form")
		}
	}
	return nil
}

// batchMatMul rewrites n or notes why not.
func (q *quantizer) batchMatMul(n *graphdef.Node) {
	name := n.Name()
	x, y := n.Input(0), n.Input(1)
	if tx, err := n.InputTypes(); err != nil || tx[0] != tensor.Float32 || tx[1] != tensor.Float32 {
		if err == nil && integerCodes(tx[0]) && integerCodes(tx[1]) {
			return // an INT8 product already
		}
		q.env.LeftFloat(name, NotFloat, "inputs are not float")
		return
	}
	if q.env.Excluded != nil && q.env.Excluded(name) {
		q.env.LeftFloat(name, Excluded, fmt.Sprintf("an exclude pattern matches %q", name))
		return
	}
	if q.env.Target != TFQ8 {
		q.env.LeftFloat(name, TwoActivations, "TensorFlow has no fast INT8 product of two activations")
		return
	}
	var reasons [2]Reason
	var details [2]string
	var in [2]*quantizedInput
	for i, o := range []graphdef.Output{x, y} {
		// The product instructions take one unsigned operand: the left one.
		if in[i], reasons[i], details[i] = q.codesFor(o, i == 0); reasons[i] != "" {
			q.env.LeftFloat(name, reasons[i], details[i])
			return
		}
	}
	r := q.tree.Of(n)
	product := q.place.add(name+"/int32", "BatchMatMulV3", q.bits(in[0]), q.bits(in[1]))
	product.SetAttr("Ta", graphdef.TypeAttr(plain(in[0].dtype)))
	product.SetAttr("Tb", graphdef.TypeAttr(plain(in[1].dtype)))
	product.SetAttr("Tout", graphdef.TypeAttr(tensor.Int32))
	for _, adj := range []string{"adj_x", "adj_y"} {
		if v, _ := n.Bool(adj); v {
			product.SetAttr(adj, graphdef.BoolAttr(true))
		}
	}
	cast := q.place.add(name+"/float", "Cast", product.Out(0))
	cast.SetAttr("SrcT", graphdef.TypeAttr(tensor.Int32))
	cast.SetAttr("DstT", graphdef.TypeAttr(tensor.Float32))
	scale := in[0].limit / in[0].levels() * (in[1].limit / in[1].levels())
	mul := q.place.add(name+"/scaled", "Mul", cast.Out(0), q.place.constant(name+"/scale", tensor.Scalar(scale), r))
	mul.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	mul.Device = n.Device
	q.takeOver([]*graphdef.Node{n}, mul)
	q.env.Quantized(name)
	q.env.Rewrote()
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
	for _, u := range in.codes.Node.UsesOf(0) {
		if u.Node.Op() == "Bitcast" {
			return u.Node.Out(0)
		}
	}
	n := q.place.add(in.codes.Node.Name()+"/bits", "Bitcast", in.codes)
	n.SetAttr("T", graphdef.TypeAttr(in.dtype))
	n.SetAttr("type", graphdef.TypeAttr(plain(in.dtype)))
	return n.Out(0)
}
