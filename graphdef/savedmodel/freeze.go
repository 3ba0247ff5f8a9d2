package savedmodel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// freezer turns the variables of a graph into constants. The handle of a variable becomes its value, and so do all tensors that
// the handle reaches: through identities and frames, through arguments of loops, conditionals and their functions.
type freezer struct {
	g      *graphdef.Graph
	bind   *binder // nil: a graph without a checkpoint
	inline *inliner
	names  map[string]int
	done   map[string]*frozenFunction // by the name of the function and what its arguments are
	errs   []error
	active []string // functions being frozen, to refuse recursion
}

// variable is what a tensor that was a handle stands for.
type variable struct {
	name  string
	dtype tensor.DType
	shape tensor.PartialShape
}

// Errors of freezing that name what the graph does are joined; maxReported of them are spelt out.
const maxReported = 8

func (z *freezer) fail(err error) { z.errs = append(z.errs, err) }

// run freezes the graph, which holds only what its outputs need.
func (z *freezer) run(keep func(*graphdef.Node) bool) error {
	if err := z.inline.run(z.g, keep); err != nil {
		return err
	}
	z.done, z.names = map[string]*frozenFunction{}, map[string]int{}
	vals := map[graphdef.Output]*variable{}
	for _, n := range z.g.Nodes() {
		if isVariable(n) {
			vals[n.Out(0)] = describe(n)
		}
	}
	z.graph(z.g, vals)
	if err := z.err(); err != nil {
		return err
	}
	return z.replaceFunctions()
}

func describe(n *graphdef.Node) *variable {
	v := &variable{name: n.Name()}
	if s, _ := n.Str("shared_name"); s != "" {
		v.name = s
	}
	v.dtype, _ = n.Type("dtype")
	v.dtype = v.dtype.Base()
	v.shape, _ = n.Shape("shape")
	return v
}

func (z *freezer) err() error {
	if len(z.errs) <= maxReported {
		return errors.Join(z.errs...)
	}
	return errors.Join(append(slices.Clone(z.errs[:maxReported]), fmt.Errorf("and %d more", len(z.errs)-maxReported))...)
}

// graph freezes one graph, in which the tensors of vals are variables.
func (z *freezer) graph(g *graphdef.Graph, vals map[graphdef.Output]*variable) {
	order, err := g.Order()
	if err != nil {
		z.fail(err)
		return
	}
	// Loops carry handles around: until nothing is new.
	for changed := true; changed && len(z.errs) == 0; {
		changed = false
		for _, n := range order {
			for i, v := range z.outputs(n, vals) {
				if v != nil && vals[n.Out(i)] == nil {
					vals[n.Out(i)] = v
					changed = true
				}
			}
		}
	}
	for _, n := range order {
		if len(z.errs) > 1000 {
			return
		}
		z.node(g, n, vals)
	}
}

// outputs returns which outputs of n are variables because inputs are.
func (z *freezer) outputs(n *graphdef.Node, vals map[graphdef.Output]*variable) []*variable {
	ins := n.Inputs()
	any := false
	vs := make([]*variable, len(ins))
	for i, in := range ins {
		vs[i] = vals[in]
		any = any || vs[i] != nil
	}
	if !any {
		return nil
	}
	switch n.Op() {
	case "Identity", "RefIdentity", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration":
		return vs[:1]
	case "Switch", "RefSwitch":
		return []*variable{vs[0], vs[0]}
	case "Merge", "RefMerge":
		for _, v := range vs {
			if v != nil {
				return []*variable{v}
			}
		}
	case "IdentityN", "While", "StatelessWhile":
		return vs
	case "If", "StatelessIf", "Case", "StatelessCase":
		for _, name := range branches(n) {
			if f := z.function(n, name, vs[1:]); f != nil {
				return f.results
			}
		}
	}
	return nil
}

// isPure reports whether n only computes a value.
func isPure(n *graphdef.Node) bool {
	sig, ok := n.Signature()
	return ok && !sig.Has(graphdef.Stateful) && n.Op() != "NoOp"
}

// prune removes the nodes that none of roots needs.
func prune(g *graphdef.Graph, roots []*graphdef.Node) {
	needed := graphdef.Ancestors(roots...)
	g.RemoveAll(func(n *graphdef.Node) bool { return !needed[n] })
}

// node freezes one node.
func (z *freezer) node(g *graphdef.Graph, n *graphdef.Node, vals map[graphdef.Output]*variable) {
	n.RemoveAttr("_class")
	n.RemoveAttr("_output_shapes")
	plainTypes(n)
	if isVariable(n) {
		z.constant(n)
		return
	}
	switch n.Op() {
	case "While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase":
		z.functional(n, vals)
		return
	}
	for i, in := range n.Inputs() {
		if v := vals[in]; v != nil {
			z.use(g, n, i, v, vals)
			return
		}
	}
}

// plainTypes makes ops on references to variables, and their dtypes, those of plain values.
func plainTypes(n *graphdef.Node) {
	switch n.Op() {
	case "RefIdentity", "RefSwitch", "RefMerge", "RefEnter", "RefExit", "RefNextIteration":
		attrs := slices.Clone(n.Attrs())
		n.SetOp(strings.TrimPrefix(n.Op(), "Ref"))
		for _, a := range attrs {
			n.SetAttr(a.Name, a.Attr)
		}
	}
	for _, a := range n.Attrs() {
		if t, ok := a.Attr.AsType(); ok && t != t.Base() {
			n.SetAttr(a.Name, graphdef.TypeAttr(t.Base()))
		}
	}
}

// constant makes a Const of a variable.
func (z *freezer) constant(n *graphdef.Node) {
	v := describe(n)
	var value graphdef.Attr
	err := fmt.Errorf("there is no checkpoint")
	if z.bind != nil {
		value, err = z.bind.valueOf(n, v)
	}
	if err != nil {
		z.fail(n.Errorf("variable %q has no value: %w", v.name, err))
		return
	}
	n.SetOp("Const")
	n.SetAttr("dtype", graphdef.TypeAttr(v.dtype))
	n.SetAttr("value", value)
}

// valueOf returns the value of the variable n.
func (b *binder) valueOf(n *graphdef.Node, v *variable) (graphdef.Attr, error) {
	from := b.variables[sharedName(n)]
	switch {
	case from == nil && b.checkpoint == nil:
		return graphdef.Attr{}, fmt.Errorf("the model has no checkpoint, and nothing else sets the variable")
	case from == nil:
		return graphdef.Attr{}, fmt.Errorf("neither restoring nor the object graph says which tensor of %s it is", b.checkpoint.Prefix())
	case from.value != nil:
		if from.value.DType() != v.dtype || !v.shape.Accepts(from.value.Shape()) {
			return graphdef.Attr{}, fmt.Errorf("it is set to %v %v, want %v %v", from.value.DType(), from.value.Shape(), v.dtype, v.shape)
		}
		return graphdef.TensorAttr(from.value), nil
	case b.checkpoint == nil:
		return graphdef.Attr{}, fmt.Errorf("the model has no checkpoint, want one with tensor %q", from.key)
	}
	if from.stored == nil {
		s, err := b.checkpoint.Stored(from.key, from.full, from.slice)
		if err != nil {
			return graphdef.Attr{}, err
		}
		from.stored = s
	}
	if s := from.stored; s.DType() != v.dtype || !v.shape.Accepts(s.Shape()) {
		return graphdef.Attr{}, fmt.Errorf("tensor %q of %s is %v %v, want %v %v", from.key, b.checkpoint.Prefix(), s.DType(), s.Shape(), v.dtype, v.shape)
	}
	return graphdef.StoredAttr(from.stored), nil
}

// use rewrites n, whose input i is the variable v.
func (z *freezer) use(g *graphdef.Graph, n *graphdef.Node, i int, v *variable, vals map[graphdef.Output]*variable) {
	switch n.Op() {
	case "Identity", "Enter", "Exit", "NextIteration", "Switch", "Merge":
		n.SetAttr("T", graphdef.TypeAttr(v.dtype))
	case "IdentityN":
		types, _ := n.Types("T")
		types = slices.Clone(types)
		for k, in := range n.Inputs() {
			if w := vals[in]; w != nil && k < len(types) {
				types[k] = w.dtype
			}
		}
		n.SetAttr("T", graphdef.TypesAttr(types...))
	case "_Retval":
	default:
		if i == 0 && readVariable(g, n, v.dtype) {
			return
		}
		if wantsHandle(n, i) {
			z.fail(n.Errorf("uses variable %q in a way that a frozen graph cannot: constants are not written; choose outputs that do not need this node, or make the variable an input", v.name))
		}
	}
}

// wantsHandle reports whether input i of n is a handle or a reference to a variable, rather than its value.
func wantsHandle(n *graphdef.Node, i int) bool {
	sig, ok := n.Signature()
	if !ok {
		return true
	}
	for k := range sig.Inputs {
		a := &sig.Inputs[k]
		if a.Number != "" || a.List {
			return a.Type == "resource"
		}
		if k == i {
			return a.Ref || a.Type == "resource"
		}
	}
	return false
}

// readVariable makes n, which reads a variable by its handle, input 0, read the value that stands there instead. It reports
// whether n is such a node.
func readVariable(g *graphdef.Graph, n *graphdef.Node, d tensor.DType) bool {
	r := n.AttrReader()
	set := func(op string, attrs ...graphdef.NamedAttr) {
		n.SetOp(op)
		for _, a := range attrs {
			n.SetAttr(a.Name, a.Attr)
		}
	}
	attr := func(name string, v graphdef.Attr) graphdef.NamedAttr { return graphdef.NamedAttr{Name: name, Attr: v} }
	switch n.Op() {
	case "ReadVariableOp":
		set("Identity", attr("T", graphdef.TypeAttr(d)))
		// The order with assignments does not matter to a constant. In branches what the node waits for may be dead.
		if !hasControlFlow(g) {
			for _, c := range slices.Clone(n.Controls()) {
				n.RemoveControl(c)
			}
		}
	case "ResourceGather":
		batch, indices := r.Int("batch_dims"), r.Type("Tindices")
		axis := g.MustAdd(n.Name()+"/axis", "Const")
		axis.SetAttr("dtype", graphdef.TypeAttr(tensor.Int32))
		axis.SetAttr("value", graphdef.TensorAttr(tensor.Scalar(int32(batch))))
		if hasControlFlow(g) {
			axis.AddControl(frameMate(n)) // TensorFlow wants it in the frame of n
		}
		set("GatherV2", attr("Tparams", graphdef.TypeAttr(d)), attr("Tindices", graphdef.TypeAttr(indices)), attr("Taxis", graphdef.TypeAttr(tensor.Int32)))
		if batch != 0 {
			n.SetAttr("batch_dims", graphdef.IntAttr(batch))
		}
		n.AddInput(axis.Out(0))
	case "ResourceGatherNd":
		indices := r.Type("Tindices")
		set("GatherNd", attr("Tparams", graphdef.TypeAttr(d)), attr("Tindices", graphdef.TypeAttr(indices)))
	case "VariableShape":
		out := r.Type("out_type")
		set("Shape", attr("T", graphdef.TypeAttr(d)), attr("out_type", graphdef.TypeAttr(out)))
	case "VarIsInitializedOp", "IsVariableInitialized":
		in := n.Input(0).Node
		n.SetInputs()
		n.AddControl(in) // the constant stays in the frame or branch of the variable
		set("Const", attr("dtype", graphdef.TypeAttr(tensor.Bool)), attr("value", graphdef.TensorAttr(tensor.Scalar(true))))
	case "DisableCopyOnRead":
		in := n.Input(0).Node
		n.SetInputs()
		n.AddControl(in)
		set("NoOp")
	default:
		return false
	}
	return true
}

// frameMate returns a node that runs whenever n does: one that it reads and that is no constant by itself, which TensorFlow
// would put outside of all frames.
func frameMate(n *graphdef.Node) *graphdef.Node {
	for _, in := range slices.Backward(n.Inputs()) {
		if m := in.Node; m.Op() != "Const" || len(m.Controls()) > 0 {
			return m
		}
	}
	return n.Input(0).Node
}
