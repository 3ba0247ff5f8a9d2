package savedmodel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

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

// frozenFunction is a function for certain arguments.
type frozenFunction struct {
	f       *graphdef.Function
	results []*variable // nil where the result is no variable
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

// branches returns the functions that a conditional chooses from.
func branches(n *graphdef.Node) []string {
	if a, ok := n.Attr("branches"); ok {
		names, _ := a.AsFuncs()
		return names
	}
	var names []string
	for _, attr := range []string{"then_branch", "else_branch"} {
		if a, ok := n.Attr(attr); ok {
			name, _, _ := a.AsFunc()
			names = append(names, name)
		}
	}
	return names
}

// function returns function name of the library for arguments of which some are variables; nil after an error.
func (z *freezer) function(n *graphdef.Node, name string, args []*variable) *frozenFunction {
	original := z.g.Function(name)
	if original == nil {
		z.fail(n.Errorf("function %q is not in the library", name))
		return nil
	}
	if len(args) != len(original.Args) {
		z.fail(n.Errorf("function %q takes %d arguments, have %d", name, len(original.Args), len(args)))
		return nil
	}
	key := name
	for _, v := range args {
		if v == nil {
			key += "|"
		} else {
			key += fmt.Sprintf("|%v%v", v.dtype, v.shape)
		}
	}
	if done, ok := z.done[key]; ok {
		return done
	}
	if slices.Contains(z.active, name) || len(z.active) > maxDepth {
		z.fail(n.Errorf("function %q calls itself (%s); recursion cannot be frozen", name, strings.Join(z.active, " > ")))
		return nil
	}
	z.active = append(z.active, name)
	defer func() { z.active = z.active[:len(z.active)-1] }()
	f := original.Clone()
	if z.names[name]++; z.names[name] > 1 {
		// One function for variables of different kinds: each gets a copy.
		f.Name = fmt.Sprintf("%s_frozen_%d", name, z.names[name]-1)
	}
	out := &frozenFunction{f: f}
	z.done[key] = out
	keepEnds(f)
	if err := z.inline.run(f.Body, func(*graphdef.Node) bool { return false }); err != nil {
		z.fail(fmt.Errorf("function %q: %w", name, err))
		return nil
	}
	vals := map[graphdef.Output]*variable{}
	for i, a := range f.Args {
		a.RemoveAttr("_resource_arg_unique_id")
		a.RemoveAttr("_output_shapes")
		if args[i] == nil {
			continue
		}
		vals[a.Out(0)] = args[i]
		a.SetAttr("T", graphdef.TypeAttr(args[i].dtype))
	}
	f.Attrs = slices.DeleteFunc(slices.Clone(f.Attrs), func(a graphdef.NamedAttr) bool { return a.Name == "_input_shapes" })
	before := len(z.errs)
	z.graph(f.Body, vals)
	for i := before; i < len(z.errs); i++ {
		z.errs[i] = fmt.Errorf("function %q: %w", name, z.errs[i])
	}
	for _, r := range f.Rets {
		v := vals[r.Input(0)]
		out.results = append(out.results, v)
		if v != nil {
			r.SetAttr("T", graphdef.TypeAttr(v.dtype))
		}
	}
	// What ran for its effect on handles alone does not have to run any more.
	f.ControlRet = slices.DeleteFunc(f.ControlRet, func(c *graphdef.Node) bool { return c.Op() == "NoOp" && len(c.Controls()) == 0 || isPure(c) })
	prune(f.Body, slices.Concat(f.Args, f.Rets, f.ControlRet))
	return out
}

// keepEnds gives the results nodes that are no calls to run for their effect: a call is replaced by what it does.
func keepEnds(f *graphdef.Function) {
	for i, c := range f.ControlRet {
		if c.Op() == "NoOp" || c.Op() == "_Arg" {
			continue
		}
		done := f.Body.MustAdd("done", "NoOp")
		done.AddControl(c)
		f.ControlRet[i] = done
	}
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

// replaceFunctions makes the frozen functions the library of the graph, with those that other ops call.
func (z *freezer) replaceFunctions() error {
	var list []*graphdef.Function
	for _, done := range z.done {
		list = append(list, done.f)
	}
	slices.SortFunc(list, func(a, b *graphdef.Function) int { return strings.Compare(a.Name, b.Name) })
	have := map[string]bool{}
	for _, f := range list {
		have[f.Name] = true
	}
	originals := map[string]*graphdef.Function{}
	for _, f := range z.g.Functions() {
		originals[f.Name] = f
	}
	// Ops that we leave alone may name functions too.
	pending := []*graphdef.Graph{z.g}
	for _, f := range list {
		pending = append(pending, f.Body)
	}
	for len(pending) > 0 {
		g := pending[0]
		pending = pending[1:]
		for _, n := range g.Nodes() {
			for _, name := range called(n) {
				if f := originals[name]; f != nil && !have[name] {
					have[name] = true
					list = append(list, f)
					pending = append(pending, f.Body)
				}
			}
		}
	}
	z.g.RemoveFunctions(func(*graphdef.Function) bool { return true })
	for _, f := range list {
		if err := z.g.AddFunction(f); err != nil {
			return err
		}
	}
	return nil
}

// called returns the functions that the op and the attributes of n name.
func called(n *graphdef.Node) []string {
	names := []string{n.Op()}
	for _, a := range n.Attrs() {
		if name, _, ok := a.Attr.AsFunc(); ok {
			names = append(names, name)
		}
		if list, ok := a.Attr.AsFuncs(); ok {
			names = append(names, list...)
		}
	}
	return names
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

// functional freezes the functions of a loop or conditional.
func (z *freezer) functional(n *graphdef.Node, vals map[graphdef.Output]*variable) {
	vs := make([]*variable, n.NumInputs())
	shapes := []tensor.PartialShape{}
	for i, in := range n.Inputs() {
		vs[i] = vals[in]
	}
	retype := func(attr string, of []*variable) {
		a, ok := n.Attr(attr)
		types, isList := a.AsTypes()
		if !ok || !isList || len(types) != len(of) {
			return
		}
		types = slices.Clone(types)
		for i, v := range of {
			if v != nil {
				types[i] = v.dtype
			}
		}
		n.SetAttr(attr, graphdef.TypesAttr(types...))
	}
	reshape := func(of []*variable) {
		a, ok := n.Attr("output_shapes")
		if !ok {
			return
		}
		if shapes, ok = a.AsShapes(); !ok || len(shapes) != len(of) {
			return
		}
		if !slices.ContainsFunc(of, func(v *variable) bool { return v != nil }) {
			return
		}
		for i, v := range of {
			if v != nil {
				shapes[i] = v.shape
			}
		}
		n.SetAttr("output_shapes", shapesAttr(shapes))
	}
	if strings.HasSuffix(n.Op(), "While") {
		cond, body := funcName(n, "cond"), funcName(n, "body")
		c, b := z.function(n, cond, vs), z.function(n, body, vs)
		if c == nil || b == nil {
			return
		}
		for i, v := range vs {
			if v != nil && (i >= len(b.results) || b.results[i] == nil) {
				z.fail(n.Errorf("loop variable %d is variable %q, but the body returns something else for it", i, v.name))
				return
			}
		}
		n.SetAttr("cond", graphdef.FuncAttr(c.f.Name))
		n.SetAttr("body", graphdef.FuncAttr(b.f.Name))
		retype("T", vs)
		reshape(vs)
		return
	}
	if len(vs) == 0 {
		z.fail(n.Errorf("has no input to choose by"))
		return
	}
	names := branches(n)
	var results []*variable
	var frozen []string
	for k, name := range names {
		f := z.function(n, name, vs[1:])
		if f == nil {
			return
		}
		frozen = append(frozen, f.f.Name)
		if k == 0 {
			results = f.results
		}
		for i, v := range f.results {
			if i >= len(results) || (v == nil) != (results[i] == nil) {
				z.fail(n.Errorf("result %d is a variable in one branch and not in another", i))
				return
			}
		}
	}
	if strings.HasSuffix(n.Op(), "Case") {
		n.SetAttr("branches", funcsAttr(frozen))
	} else if len(frozen) == 2 {
		n.SetAttr("then_branch", graphdef.FuncAttr(frozen[0]))
		n.SetAttr("else_branch", graphdef.FuncAttr(frozen[1]))
	}
	retype("Tin", vs[1:])
	retype("Tout", results)
	reshape(results)
}

func funcName(n *graphdef.Node, attr string) string {
	a, _ := n.Attr(attr)
	name, _, _ := a.AsFunc()
	return name
}

// shapesAttr returns a list of shapes.
func shapesAttr(shapes []tensor.PartialShape) graphdef.Attr {
	var list []byte
	for _, s := range shapes {
		list = protowire.AppendBytes(protowire.AppendTag(list, 7, protowire.BytesType), shapeProto(s))
	}
	return graphdef.AttrFromWire(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), list))
}

// funcsAttr returns a list of functions.
func funcsAttr(names []string) graphdef.Attr {
	var list []byte
	for _, name := range names {
		f := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
		list = protowire.AppendBytes(protowire.AppendTag(list, 9, protowire.BytesType), f)
	}
	return graphdef.AttrFromWire(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), list))
}
