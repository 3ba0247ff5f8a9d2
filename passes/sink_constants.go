package passes

import (
	"context"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// SinkConstants moves constants into the bodies of the functions that get them as arguments:
//
//	w = Const, x -> While{body(a, b): a, MatMul(b, a)}(w, x)   becomes   x -> While{body(b): MatMul(b, w)}(x)
//
// A variable of a While is moved only if its body returns it as it came. The argument is gone then, from the condition or the
// other branches too, where it becomes a Const as well. A function that several nodes call is copied for the one that passes
// constants. What becomes constant in a body is folded there. Fetches and feeds keep their nodes.
var SinkConstants = Pass{
	Name: "sink-constants",
	Doc:  "move constants into the functions that get them as arguments",
	Run:  sinkConstants,
}

func sinkConstants(ctx context.Context, g *graphdef.Graph, env *Env) error {
	for {
		again := false
		for _, s := range env.scopes(g) {
			changed, err := s.sinkConstants(ctx)
			if err != nil {
				return err
			}
			again = again || changed
		}
		if !again {
			return nil
		}
	}
}

// role is one function that a node calls: the attribute that names it, alone or in a list.
type role struct {
	attr string
	list bool
	fn   *graphdef.Function
}

// sinkable is a node that calls functions, all with the same arguments.
type sinkable struct {
	node  *graphdef.Node
	roles []role
	first int    // data input that is argument 0
	types string // attribute with the dtypes of the arguments
	loop  bool   // results are the arguments of the next iteration
}

// sinkableOf returns what n calls; ok is false where that is not known, or n must keep its inputs.
func (s *scope) sinkableOf(n *graphdef.Node) (c sinkable, ok bool) {
	c = sinkable{node: n}
	var attrs []string
	switch n.Op() {
	case "While", "StatelessWhile":
		attrs, c.types, c.loop = []string{"cond", "body"}, "T", true
	case "If", "StatelessIf":
		attrs, c.types, c.first = []string{"then_branch", "else_branch"}, "Tin", 1
	case "Case", "StatelessCase":
		attrs, c.types, c.first = []string{"branches"}, "Tin", 1
	case "PartitionedCall", "StatefulPartitionedCall":
		attrs, c.types = []string{"f"}, "Tin"
	default:
		return c, false
	}
	if s.fixed(n) || s.fed(n) {
		return c, false
	}
	for _, name := range attrs {
		a, _ := n.Attr(name)
		names, isList := a.AsFuncs()
		if f, _, ok := a.AsFunc(); ok {
			names, isList = []string{f}, false
		}
		for _, f := range names {
			c.roles = append(c.roles, role{name, isList, s.lib.Function(f)})
		}
	}
	args := n.NumInputs() - c.first
	types, err := n.Types(c.types)
	if err != nil || len(types) != args || len(c.roles) == 0 {
		return c, false
	}
	for _, r := range c.roles {
		if r.fn == nil || len(r.fn.Args) != args || r.fn == s.fn {
			return c, false
		}
	}
	if c.loop {
		body := c.roles[1].fn
		return c, len(body.Rets) == args
	}
	return c, true
}

// sinkConstants moves the constants that nodes of s pass, and reports whether there were any.
func (s *scope) sinkConstants(ctx context.Context) (changed bool, err error) {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return false, err
	}
	// Which node gets a copy of a function must not depend on their order in the file.
	for _, n := range slices.SortedFunc(slices.Values(s.g.Nodes()), byName) {
		c, ok := s.sinkableOf(n)
		if !ok {
			continue
		}
		consts := s.constantArgs(c, tree)
		if len(consts) == 0 {
			continue
		}
		if !s.own(&c) {
			continue
		}
		for i := n.NumInputs() - c.first - 1; i >= 0; i-- {
			if value := consts[i]; value != nil {
				s.sink(c, i, value)
				s.env.Rewrote()
			}
		}
		s.change(n)
		changed = true
		for _, r := range c.roles {
			body := &scope{g: r.fn.Body, lib: s.lib, env: s.env, pass: s.pass, fn: r.fn}
			if err := body.foldConstants(ctx); err != nil {
				return false, err
			}
		}
	}
	if changed {
		s.strip()
	}
	return changed, nil
}

// constantArgs returns the Consts that c passes, by argument.
func (s *scope) constantArgs(c sinkable, tree *flow.Tree) map[int]*graphdef.Node {
	var returned []graphdef.Output
	if c.loop {
		body := c.roles[1].fn
		inner, err := flow.Analyze(body.Body)
		if err != nil {
			return nil
		}
		for _, r := range body.Rets {
			returned = append(returned, inner.Source(r.Input(0)))
		}
	}
	consts := map[int]*graphdef.Node{}
	for i := range c.node.NumInputs() - c.first {
		w, ok := tree.ConstOf(c.node.Input(c.first + i))
		if !ok || s.fed(w) {
			continue
		}
		if d, err := w.Type("dtype"); err != nil || d == tensor.Resource || d == tensor.Variant {
			continue
		}
		if !c.loop || returned[i] == c.roles[1].fn.Args[i].Out(0) {
			consts[i] = w
		}
	}
	return consts
}

// own gives c copies of the functions that other nodes call too, or that it calls in two roles; false where it cannot.
func (s *scope) own(c *sinkable) bool {
	uses := s.env.functionUses(s.lib)
	for _, r := range c.roles {
		if r.list && uses[r.fn.Name] > 1 {
			return false
		}
	}
	for i, r := range c.roles {
		if uses[r.fn.Name] < 2 {
			continue
		}
		uses[r.fn.Name]--
		twin := r.fn.Clone()
		for k := 1; s.lib.Function(twin.Name) != nil; k++ {
			twin.Name = r.fn.Name + "_" + itoa(k)
		}
		must(s.lib.AddFunction(twin))
		for _, n := range twin.Body.Nodes() {
			if isProduct(n) {
				s.env.Inlined(qualified(r.fn, n), qualified(twin, n))
			}
		}
		c.node.SetAttr(r.attr, graphdef.FuncAttr(twin.Name))
		c.roles[i].fn = twin
	}
	return true
}

// sink moves Const w, argument i of c, into the functions.
func (s *scope) sink(c sinkable, i int, w *graphdef.Node) {
	for k, r := range c.roles {
		arg := r.fn.Args[i]
		if c.loop && k == 1 {
			ret := r.fn.Rets[i]
			r.fn.Rets = slices.Delete(r.fn.Rets, i, i+1)
			must(r.fn.Body.Remove(ret))
		}
		if len(arg.Users()) > 0 {
			inner := r.fn.Body.MustAdd(w.Name(), "Const")
			for _, name := range []string{"dtype", "value"} {
				a, _ := w.Attr(name)
				inner.SetAttr(name, a)
			}
			mark(inner, s.pass)
			for _, u := range arg.UsesOf(0) {
				u.Node.SetInput(u.Input, inner.Out(0))
				u.Node.RemoveAttr("_output_shapes")
				mark(u.Node, s.pass)
			}
			r.fn.Body.ReplaceControls(arg, inner)
		}
		must(r.fn.Body.Remove(arg))
		r.fn.Args = slices.Delete(r.fn.Args, i, i+1)
		renumber(r.fn.Args)
		renumber(r.fn.Rets)
		r.fn.Attrs = slices.DeleteFunc(slices.Clone(r.fn.Attrs), func(a graphdef.NamedAttr) bool { return a.Name == "_input_shapes" })
	}
	n := c.node
	if c.loop {
		s.dropOutput(n, i, n.Input(i))
	}
	n.SetInputs(slices.Delete(slices.Clone(n.Inputs()), c.first+i, c.first+i+1)...)
	types, _ := n.Types(c.types)
	n.SetAttr(c.types, graphdef.TypesAttr(slices.Delete(slices.Clone(types), i, i+1)...))
}

// renumber writes the places of arguments or results.
func renumber(nodes []*graphdef.Node) {
	for i, n := range nodes {
		n.SetAttr("index", graphdef.IntAttr(int64(i)))
	}
}

// dropOutput makes what reads output i of n read o, and what reads a later one read that in its new place.
func (s *scope) dropOutput(n *graphdef.Node, i int, o graphdef.Output) {
	for _, u := range slices.Clone(n.Users()) {
		if u.Input == graphdef.ControlInput {
			continue
		}
		switch at := u.Node.Input(u.Input).Index; {
		case at == i:
			u.Node.SetInput(u.Input, o)
			s.change(u.Node)
		case at > i:
			u.Node.SetInput(u.Input, n.Out(at-1))
			s.change(u.Node)
		}
	}
	n.RemoveAttr("output_shapes")
}

func byName(a, b *graphdef.Node) int { return strings.Compare(a.Name(), b.Name()) }
