package passes

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// QuantizeMatMul rewrites a MatMul whose second input is a Const, with the bias and activation that only it feeds:
//
//	x -> MatMul(w) -> BiasAdd(b) -> Relu   becomes   x -> QuantizeV2 -> _QuantizedMatMul(w8, b)
//
// The last node keeps the name of the one it stands for, so fetches and users are untouched. A Const behind Enter counts as
// constant. Weights have one scale per output channel; inputs that calibration never saw below zero get codes 0..255, others
// -127..127 (facts: TensorFlow's _QuantizedMatMul with fused_ops and per-channel ranges). Consumers of one tensor share its
// QuantizeV2. A product stays float, with a reason, where a threshold or a constant weight is missing.
var QuantizeMatMul = Pass{
	Name: "quantize-matmul",
	Doc:  "compute products with constant weights in INT8, inside loops as well as outside",
	Run:  quantizeMatMul,
}

func quantizeMatMul(_ context.Context, g *graphdef.Graph, env *Env) error {
	tree, err := flow.Analyze(g)
	if err != nil {
		return err
	}
	q := newQuantizer(env, g, tree, env.pass)
	for _, n := range slices.Clone(g.Nodes()) {
		if n.Op() == "MatMul" {
			if err := q.matMul(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// quantizer is the state of one run of the quantizing passes.
type quantizer struct {
	env     *Env
	g       *graphdef.Graph
	tree    *flow.Tree
	place   *placer
	inputs  map[graphdef.Output]*quantizedInput
	weights map[weightKey]*quantizedWeights
}

func newQuantizer(env *Env, g *graphdef.Graph, tree *flow.Tree, pass string) *quantizer {
	return &quantizer{
		env: env, g: g, tree: tree, place: newPlacer(g, tree, pass),
		inputs: map[graphdef.Output]*quantizedInput{}, weights: map[weightKey]*quantizedWeights{},
	}
}

type weightKey struct {
	node       *graphdef.Node
	transposed bool
}

// quantizedInput is the codes of an activation and their range.
type quantizedInput struct {
	codes, lo, hi graphdef.Output
	dtype         tensor.DType
	limit         float32 // what the largest code stands for
}

// levels returns the largest code.
func (in *quantizedInput) levels() float32 {
	if in.dtype == tensor.Quint8 {
		return 255
	}
	return 127
}

// matMul rewrites n or notes why not.
func (q *quantizer) matMul(n *graphdef.Node) error {
	name := n.Name()
	leave := func(r Reason, format string, args ...any) error {
		q.env.LeftFloat(name, r, fmt.Sprintf(format, args...))
		return nil
	}
	if q.env.Excluded != nil && q.env.Excluded(name) {
		return leave(Excluded, "an exclude pattern matches %q", name)
	}
	if d, err := n.Type("T"); err != nil || d != tensor.Float32 {
		return leave(NotFloat, "dtype is %v", d)
	}
	if ta, _ := n.Bool("transpose_a"); ta {
		return leave(UnsupportedForm, "transpose_a is set")
	}
	tb, _ := n.Bool("transpose_b")
	w, ok := q.tree.ConstOf(n.Input(1))
	if !ok {
		return leave(TwoActivations, "weights come from %q, not from a Const", q.tree.Source(n.Input(1)))
	}
	value, err := w.Tensor("value")
	if err != nil || value.Rank() != 2 || value.Len() == 0 {
		return leave(UnsupportedForm, "weights %q are no matrix with elements", w.Name())
	}
	k := value.Shape()[0]
	if tb {
		k = value.Shape()[1]
	}
	if k > maxDepth {
		return leave(TooDeep, "%d terms, at most %d are sure to fit 32 bits", k, maxDepth)
	}
	in, reason, detail := q.codesFor(n.Input(0), true)
	if reason != "" {
		return leave(reason, "%s", detail)
	}
	weights, err := q.weightsOf(w, value, tb)
	if err != nil {
		return leave(WeightNotFinite, "%v", err)
	}
	q.replace(n, w, weights, in, tb)
	q.env.Quantized(name)
	q.env.Rewrote()
	return nil
}

// weightsOf quantizes the weights w once for all products that read them the same way.
func (q *quantizer) weightsOf(w *graphdef.Node, value *tensor.Tensor, transposed bool) (*quantizedWeights, error) {
	key := weightKey{w, transposed}
	if q.weights[key] == nil {
		maxCode := 127
		if q.env.ReduceRange {
			maxCode = 64
		}
		weights, err := quantizeWeights(value, transposed, maxCode)
		if err != nil {
			return nil, err
		}
		q.weights[key] = weights
	}
	return q.weights[key], nil
}

// threshold returns the calibrated range of o, or why there is none that can be used.
func (q *quantizer) threshold(o graphdef.Output) (t calib.Threshold, reason Reason, detail string) {
	name := o.String()
	if why, bad := q.env.NotFinite[name]; bad {
		return t, InputNotFinite, why
	}
	t, ok := q.env.Thresholds[name]
	switch {
	case !ok:
		return t, NotCalibrated, fmt.Sprintf("calibration did not compute %q", name)
	case t.Lo == 0 && t.Hi == 0:
		return t, InputConstantZero, fmt.Sprintf("%q was zero throughout", name)
	case t.Class == calib.Sparse:
		return t, SparseInput, fmt.Sprintf("%q: peak more than 32 times its root mean square", name)
	}
	return t, "", ""
}

// codesFor returns the codes of activation x, quantized where x is computed, for all that read it. They are unsigned where
// that is allowed and x was never below zero.
func (q *quantizer) codesFor(x graphdef.Output, unsigned bool) (in *quantizedInput, reason Reason, detail string) {
	if in := q.inputs[x]; in != nil && (unsigned || in.dtype == tensor.Qint8) {
		return in, "", ""
	}
	t, reason, detail := q.threshold(x)
	if reason != "" {
		return nil, reason, detail
	}
	// An activation function's output, never below zero, has 255 codes to itself.
	lo, hi, d := -max(-t.Lo, t.Hi), max(-t.Lo, t.Hi), tensor.Qint8
	if t.Lo == 0 && unsigned {
		lo, d = 0, tensor.Quint8
	}
	r := q.tree.Of(x.Node)
	base := x.Node.Name()
	if x.Index > 0 {
		base = fmt.Sprintf("%s_%d", base, x.Index)
	}
	base += "/quantize"
	if d == tensor.Quint8 {
		base += "_u8"
	}
	n := q.place.add(base, "QuantizeV2", x,
		q.place.constant(base+"/min", tensor.Scalar(lo), r),
		q.place.constant(base+"/max", tensor.Scalar(hi), r))
	n.SetAttr("T", graphdef.TypeAttr(d))
	n.SetAttr("mode", graphdef.StringAttr("SCALED"))
	// These forms give the same codes on every TensorFlow build: oneDNN rewrites others (it rounds half to even, and scales
	// signed codes by 127.5). Rounding half away is the default for the unsigned one, and narrow_range blocks it for the other.
	if d == tensor.Qint8 {
		n.SetAttr("narrow_range", graphdef.BoolAttr(true))
		n.SetAttr("round_mode", graphdef.StringAttr("HALF_TO_EVEN"))
	}
	in = &quantizedInput{codes: n.Out(0), lo: n.Out(1), hi: n.Out(2), dtype: d, limit: hi}
	q.inputs[x] = in
	return in, "", ""
}

// weightsOfAttr is the attribute of a Const of codes that names the Const they were made of.
const weightsOfAttr = "_tfq8_weights"

// replace puts a _QuantizedMatMul in the place of n and the bias and activation after it.
func (q *quantizer) replace(n, w *graphdef.Node, weights *quantizedWeights, in *quantizedInput, transposeB bool) {
	r := q.tree.Of(n)
	chain, bias, act := q.tail(n)
	codesName := w.Name() + "/qint8"
	if transposeB {
		codesName += "_rows"
	}
	channels := len(weights.limit)
	codes := q.place.constant(codesName, weights.codes, r)
	q.place.consts[constKey{codesName}].Node.SetAttr(weightsOfAttr, graphdef.StringAttr(w.Name()))
	lo := q.place.constant(codesName+"/min", vector(negated(weights.limit)), r)
	hi := q.place.constant(codesName+"/max", vector(weights.limit), r)
	fused := []string{"BiasAdd"}
	if bias == (graphdef.Output{}) {
		bias = q.place.constant(fmt.Sprintf("zero_bias_%d", channels), vector(make([]float32, channels)), r)
	}
	if act != "" {
		fused = append(fused, act)
	}
	m := q.place.add(n.Name()+"/quantized", "_QuantizedMatMul", in.codes, codes, bias, in.lo, in.hi, lo, hi)
	m.Device = n.Device
	m.SetAttr("T1", graphdef.TypeAttr(in.dtype))
	m.SetAttr("T2", graphdef.TypeAttr(tensor.Qint8))
	for _, name := range []string{"Tbias", "U", "Tout"} {
		m.SetAttr(name, graphdef.TypeAttr(tensor.Float32))
	}
	m.SetAttr("fused_ops", graphdef.StringsAttr(append(fused, "Dequantize")...))
	m.SetAttr("input_quant_mode", graphdef.StringAttr("SCALED"))
	m.SetAttr("output_quant_mode", graphdef.StringAttr("SCALED"))
	m.SetAttr("Thost_inputs", graphdef.TypesAttr())
	m.SetAttr("Tdevice_inputs", graphdef.TypesAttr(in.dtype, tensor.Qint8, tensor.Float32, tensor.Float32, tensor.Float32, tensor.Float32, tensor.Float32))
	m.SetAttr("Thost_outputs", graphdef.TypesAttr())
	m.SetAttr("Tdevice_outputs", graphdef.TypesAttr(tensor.Float32))
	if transposeB {
		m.SetAttr("transpose_b", graphdef.BoolAttr(true))
	}
	q.takeOver(chain, m)
}

// takeOver makes m stand for the last node of chain, in which each node is read by the next alone, and removes the chain.
func (q *quantizer) takeOver(chain []*graphdef.Node, m *graphdef.Node) {
	for _, old := range chain {
		for _, c := range old.Controls() {
			m.AddControl(c)
		}
	}
	last := len(chain) - 1
	must(q.g.TakeOver(chain[last], m))
	for _, old := range slices.Backward(chain[:last]) {
		must(q.g.Remove(old))
	}
}

// must is for edits that cannot fail by what the caller has checked.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// tail returns product n and what follows it and only it: a bias vector, then an activation that the quantized product can
// apply. bias is the zero Output where there is none.
func (q *quantizer) tail(n *graphdef.Node) (chain []*graphdef.Node, bias graphdef.Output, act string) {
	chain = []*graphdef.Node{n}
	u := q.onlyUser(n)
	if u == nil {
		return chain, bias, ""
	}
	b, ok := q.biasOf(u, n)
	if !ok {
		return chain, bias, ""
	}
	chain, bias = append(chain, u), b
	if v := q.onlyUser(u); v != nil && (v.Op() == "Relu" || v.Op() == "Relu6") {
		chain, act = append(chain, v), v.Op()
	}
	return chain, bias, act
}

// onlyUser returns the node that alone reads n, in n's region, where nothing asks for n itself.
func (q *quantizer) onlyUser(n *graphdef.Node) *graphdef.Node {
	if len(n.Users()) != 1 || n.Users()[0].Input == graphdef.ControlInput || q.env.isFixed(n) {
		return nil
	}
	u := n.Users()[0].Node
	if q.tree.Of(u) != q.tree.Of(n) {
		return nil
	}
	return u
}

// biasOf returns the vector that u adds to the columns of product n.
func (q *quantizer) biasOf(u, n *graphdef.Node) (graphdef.Output, bool) {
	switch u.Op() {
	case "BiasAdd":
		format, _ := u.Str("data_format")
		return u.Input(1), u.Input(0).Node == n && format != "NCHW"
	case "Add", "AddV2":
		for i := range 2 {
			if u.Input(i).Node != n {
				continue
			}
			c, ok := q.tree.ConstOf(u.Input(1 - i))
			if !ok {
				return graphdef.Output{}, false
			}
			v, err := c.Tensor("value")
			return u.Input(1 - i), err == nil && v.Rank() == 1 && v.DType() == tensor.Float32
		}
	}
	return graphdef.Output{}, false
}
