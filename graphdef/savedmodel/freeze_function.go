package savedmodel

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// frozenFunction is a function for certain arguments.
type frozenFunction struct {
	f       *graphdef.Function
	results []*variable // nil where the result is no variable
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
