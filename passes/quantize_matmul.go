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

// QuantizeMatMul rewrites products with constant weights, with the bias and activation that only they feed:
//
//	x -> MatMul(w) -> BiasAdd(b) -> Relu   becomes   x -> QuantizeV2 -> _QuantizedMatMul(w8, b)
//
// A BatchMatMul with one matrix for all batches and an Einsum that sums over dimensions of x and w are such products too, with a
// Reshape before and after. The last node keeps the name of the one it stands for, so fetches and users are untouched. A Const
// behind Enter counts as constant. Weights have one scale per output channel; inputs that calibration never saw below zero get
// codes 0..255, others -127..127. Consumers of one tensor share its QuantizeV2. A product stays float, with a reason, where a
// threshold or a constant weight is missing. Function bodies are looked at as well.
var QuantizeMatMul = Pass{
	Name: "quantize-matmul",
	Doc:  "compute products with constant weights in INT8, inside loops as well as outside",
	Run:  quantizeMatMul,
}

func quantizeMatMul(_ context.Context, g *graphdef.Graph, env *Env) error {
	return eachQuantizer(g, env, func(q *quantizer, n *graphdef.Node) error {
		if isProduct(n) {
			return q.product(n)
		}
		return nil
	})
}

// eachQuantizer calls f for the nodes of g and of function bodies, with the state of each graph.
func eachQuantizer(g *graphdef.Graph, env *Env, f func(*quantizer, *graphdef.Node) error) error {
	shapes := graphdef.Infer(g)
	for _, s := range env.scopes(g) {
		tree, err := flow.Analyze(s.g)
		if err != nil {
			return err
		}
		q := &quantizer{
			scope: s, tree: tree, shapes: shapes, place: newPlacer(s.g, tree, s.pass),
			taken:  map[*graphdef.Node]tensor.PartialShape{},
			inputs: map[inputKey]*quantizedInput{}, rows: map[rowsKey]graphdef.Output{}, weights: map[string]*quantizedWeights{},
		}
		for _, n := range slices.Clone(s.g.Nodes()) {
			if err := f(q, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// quantizer is the state of one run of a quantizing pass on one graph. What it makes for one product it gives the next as well.
type quantizer struct {
	*scope
	tree   *flow.Tree
	shapes *graphdef.Shapes // of the graph before the pass
	// taken holds the shapes of the values that new nodes have taken over.
	taken   map[*graphdef.Node]tensor.PartialShape
	place   *placer
	inputs  map[inputKey]*quantizedInput
	rows    map[rowsKey]graphdef.Output
	weights map[string]*quantizedWeights // by the name of the codes
}

type inputKey struct {
	o        graphdef.Output
	unsigned bool
}

// rowsKey is an activation that is transposed, brought to rows of k elements (0: as it is) or, for its shape, asked for its
// dimensions but the last few.
type rowsKey struct {
	x       graphdef.Output
	perm    string
	k, last int
}

// shapeOfValue returns what is known of the shape of o.
func (q *quantizer) shapeOfValue(o graphdef.Output) tensor.PartialShape {
	if s, ok := q.taken[o.Node]; ok {
		return s
	}
	return q.shapes.Shape(o)
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

// product rewrites n or notes why not.
func (q *quantizer) product(n *graphdef.Node) error {
	name := q.qualified(n)
	leave := func(r Reason, detail string) error {
		q.env.LeftFloat(name, r, detail)
		return nil
	}
	if q.env.excluded(name) {
		return leave(Excluded, fmt.Sprintf("an exclude pattern matches %q", q.env.account.first(name)))
	}
	d, reason, detail := q.denseOf(n)
	if reason == TwoActivations {
		return nil // the next pass's
	}
	if reason != "" {
		return leave(reason, detail)
	}
	t, reason, detail := q.threshold(d.x)
	if reason != "" {
		return leave(reason, detail)
	}
	weights, codesName, err := q.weightsOf(d)
	if err != nil {
		return leave(WeightNotFinite, err.Error())
	}
	q.replace(d, t, weights, codesName)
	q.env.Quantized(name)
	q.env.Rewrote()
	return nil
}

// weightsOf quantizes the weights of d once for all products that read them the same way. name is what their codes are called.
func (q *quantizer) weightsOf(d *dense) (w *quantizedWeights, name string, err error) {
	name = d.weights.Name() + "/qint8" + d.layout()
	if q.weights[name] == nil {
		maxCode := 127
		if q.env.ReduceRange {
			maxCode = 64
		}
		matrix, err := d.matrixOf()
		if err != nil {
			return nil, "", err
		}
		weights, err := quantizeWeights(matrix, d.transposed, maxCode)
		if err != nil {
			return nil, "", err
		}
		q.weights[name] = weights
	}
	return q.weights[name], name, nil
}

// replace puts a _QuantizedMatMul in the place of d's product and the bias and activation after it.
func (q *quantizer) replace(d *dense, t calib.Threshold, weights *quantizedWeights, codesName string) {
	n := d.node
	r := q.tree.Of(n)
	end := q.tail(d)
	in := q.codesFor(q.rowsOf(d), t, true)
	codes := q.place.constant(codesName, weights.codes, r)
	if d.table() {
		q.place.consts[constKey{codesName}].Node.SetAttr(weightsOfAttr, graphdef.StringAttr(d.weights.Name()))
	}
	lo := q.place.constant(codesName+"/min", vector(negated(weights.limit)), r)
	hi := q.place.constant(codesName+"/max", vector(weights.limit), r)
	fused := []string{"BiasAdd"}
	bias := end.bias
	if bias == (graphdef.Output{}) {
		bias = q.place.constant(fmt.Sprintf("zero_bias_%d", d.n), vector(make([]float32, d.n)), r)
	}
	if end.act != "" {
		fused = append(fused, end.act)
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
	if d.transposed {
		m.SetAttr("transpose_b", graphdef.BoolAttr(true))
	}
	q.takeOver(end, q.resultOf(d, m))
}

// weightsOfAttr is the attribute of a Const of codes that names the Const they were made of.
const weightsOfAttr = "_tfq8_weights"

// rowsOf returns d's activation as a float matrix [rows, k].
func (q *quantizer) rowsOf(d *dense) graphdef.Output {
	k := d.k
	if d.matrix {
		k = 0
	}
	key := rowsKey{x: d.x, perm: fmt.Sprint(d.perm), k: k}
	if o, ok := q.rows[key]; ok {
		return o
	}
	o := q.wide(q.transposedOf(d.x, d.dtype, d.perm), d.dtype)
	if !d.matrix {
		shape := tensor.FromSlice(tensor.Shape{2}, []int32{-1, int32(d.k)})
		name := fmt.Sprintf("rows_of_%d", d.k)
		o = q.reshape(baseName(o)+"/"+name, o, q.place.constant(name, shape, q.regionOf(o)))
	}
	q.rows[key] = o
	return o
}

// wide returns x, of dtype d, as float.
func (q *quantizer) wide(x graphdef.Output, d tensor.DType) graphdef.Output {
	if d == tensor.Float32 {
		return x
	}
	key := rowsKey{x: x, k: -3}
	if o, ok := q.rows[key]; ok {
		return o
	}
	o := q.cast(baseName(x)+"/wide", x, d, tensor.Float32)
	q.rows[key] = o
	return o
}

// transposedOf returns x, of dtype t, with its dimensions in the order perm; x itself where that is nil.
func (q *quantizer) transposedOf(x graphdef.Output, t tensor.DType, perm []int) graphdef.Output {
	if perm == nil {
		return x
	}
	key := rowsKey{x: x, perm: fmt.Sprint(perm), k: -1}
	if o, ok := q.rows[key]; ok {
		return o
	}
	o := q.transpose(baseName(x)+"/order_"+dashed(perm), x, t, perm)
	q.rows[key] = o
	return o
}

// resultOf brings the matrix that m computes to the shape, the order and the dtype of d's result.
func (q *quantizer) resultOf(d *dense, m *graphdef.Node) *graphdef.Node {
	if !d.matrix {
		m = q.reshape(d.node.Name()+"/shaped", m.Out(0), q.shapeOf(d)).Node
	}
	if d.dtype != tensor.Float32 {
		m = q.cast(d.node.Name()+"/narrow", m.Out(0), tensor.Float32, d.dtype).Node
	}
	if d.outPerm != nil {
		m = q.transpose(d.node.Name()+"/ordered", m.Out(0), d.dtype, d.outPerm).Node
	}
	m.Device = d.node.Device
	return m
}

// shapeOf returns the shape of d's result before outPerm: a constant where inference leaves one dimension open at most.
func (q *quantizer) shapeOf(d *dense) graphdef.Output {
	x := q.shapeOfValue(d.x)
	if rank, known := x.Rank(); known && rank >= d.summed {
		dims := make([]int32, 0, rank)
		open, empty := 0, false
		for i := range rank - d.summed {
			at := i
			if d.perm != nil {
				at = d.perm[i]
			}
			dim := x.Dim(at)
			if dim < 0 {
				open++
			}
			empty = empty || dim == 0
			dims = append(dims, int32(dim))
		}
		for _, t := range d.tail {
			dims = append(dims, int32(t))
		}
		if open <= 1 && !(open == 1 && empty) {
			shape := tensor.FromSlice(tensor.Shape{len(dims)}, dims)
			return q.place.constant(d.node.Name()+"/shape", shape, q.tree.Of(d.node))
		}
	}
	key := rowsKey{x: d.x, perm: fmt.Sprint(d.perm), k: -2, last: d.summed}
	rows, ok := q.rows[key]
	if !ok {
		x := q.transposedOf(d.x, d.dtype, d.perm)
		rows = q.leadingDims(baseName(x), x, d.dtype, d.summed)
		q.rows[key] = rows
	}
	tail := make([]int32, len(d.tail))
	for i, t := range d.tail {
		tail[i] = int32(t)
	}
	r := q.tree.Of(d.node)
	n := q.place.add(d.node.Name()+"/shape", "ConcatV2", rows,
		q.place.constant("dims_"+dashed(d.tail), tensor.FromSlice(tensor.Shape{len(tail)}, tail), r),
		q.place.constant("axis_0", tensor.Scalar(int32(0)), r))
	n.SetAttr("N", graphdef.IntAttr(2))
	n.SetAttr("T", graphdef.TypeAttr(tensor.Int32))
	n.SetAttr("Tidx", graphdef.TypeAttr(tensor.Int32))
	return n.Out(0)
}

// threshold returns the calibrated range of o, or why there is none that can be used.
func (q *quantizer) threshold(o graphdef.Output) (t calib.Threshold, reason Reason, detail string) {
	return q.env.threshold(q.tensorName(o))
}

// minimumRange is the default of QuantizeV2's ensure_minimum_range: the least width of a range, relative to the larger of 1
// and its magnitude.
const minimumRange = 0.01

// codesFor returns the codes of activation x, quantized where x is computed, for all that read it. They are unsigned where
// that is allowed and x was never below zero.
func (q *quantizer) codesFor(x graphdef.Output, t calib.Threshold, unsigned bool) *quantizedInput {
	unsigned = unsigned && t.Lo == 0
	if in := q.inputs[inputKey{x, unsigned}]; in != nil {
		return in
	}
	// An activation function's output, never below zero, has 255 codes to itself.
	lo, hi, d := -max(-t.Lo, t.Hi), max(-t.Lo, t.Hi), tensor.Qint8
	if unsigned {
		lo, d = 0, tensor.Quint8
	}
	if in := q.codesThere(x, lo, hi, d); in != nil {
		q.inputs[inputKey{x, unsigned}] = in
		return in
	}
	r := q.regionOf(x)
	base := baseName(x) + "/quantize"
	if unsigned {
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
	// By default QuantizeV2 widens a range to at least a hundredth, which leaves small values no codes.
	if hi-lo < 2*minimumRange*max(1, hi) {
		n.SetAttr("ensure_minimum_range", graphdef.FloatAttr(0))
	}
	in := &quantizedInput{codes: n.Out(0), lo: n.Out(1), hi: n.Out(2), dtype: d, limit: hi}
	q.inputs[inputKey{x, unsigned}] = in
	return in
}

// codesThere returns the codes of x over the range lo, hi that a pass before has made; nil if there are none.
func (q *quantizer) codesThere(x graphdef.Output, lo, hi float32, d tensor.DType) *quantizedInput {
	for _, u := range x.Node.UsesOf(x.Index) {
		n := u.Node
		if n.Op() != "QuantizeV2" || u.Input != 0 || n.NumInputs() != 3 || len(n.Controls()) > 0 {
			continue
		}
		a := n.AttrReader()
		least, narrow, round := a.Float("ensure_minimum_range"), a.Bool("narrow_range"), a.Str("round_mode")
		signed := d == tensor.Qint8
		ours := a.Type("T") == d && a.Str("mode") == "SCALED" && a.Int("axis") == -1 && narrow == signed &&
			(round == "HALF_TO_EVEN") == signed && (least == 0 || hi-lo >= 2*minimumRange*max(1, hi))
		if a.Err() == nil && ours && q.isScalar(n.Input(1), lo) && q.isScalar(n.Input(2), hi) {
			return &quantizedInput{codes: n.Out(0), lo: n.Out(1), hi: n.Out(2), dtype: d, limit: hi}
		}
	}
	return nil
}

// isScalar reports whether o is the constant v.
func (q *quantizer) isScalar(o graphdef.Output, v float32) bool {
	t, ok := constant(o, q.tree)
	return ok && t.Rank() == 0 && t.DType() == tensor.Float32 && tensor.Data[float32](t)[0] == v
}
