package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// InlineCalls puts the body of a function in the place of its call:
//
//	x -> PartitionedCall{f}   becomes   x -> call/MatMul -> call/Relu
//
// so that what the caller passes, a weight above all, is seen where it is used, and layers that share a function have
// thresholds of their own. Calls in function bodies are looked at too, and so are those of old graphs, whose op is the name of
// the function. A function with effects, one that calls itself, and a call of which only a part of the inputs may be dead
// stay. While, If and Case call their functions still.
var InlineCalls = Pass{
	Name: "inline-calls",
	Doc:  "put the bodies of functions without effects in the place of their calls",
	Run:  inlineCalls,
}

// maxInlined bounds the nodes that inlining may add to one graph: functions that call each other twice double with each step.
const maxInlined = 200_000

func inlineCalls(_ context.Context, g *graphdef.Graph, env *Env) error {
	left := maxInlined
	for _, s := range env.scopes(g) {
		for {
			tree, err := flow.Analyze(s.g)
			if err != nil {
				return err
			}
			calls := s.inlinable(tree)
			for _, c := range calls {
				if left -= len(c.fn.Body.Nodes()); left < 0 {
					return nil
				}
				s.inline(c)
			}
			if len(calls) == 0 {
				break
			}
			s.strip()
		}
	}
	env.dropUncalled(g)
	return nil
}

// inlined is a call that can be replaced by the body of fn.
type inlined struct {
	call *graphdef.Node
	fn   *graphdef.Function
	// anchored is set where nodes without inputs must wait for something, to be in the frame and branch of the call.
	anchored bool
}

// inlinable returns the calls of s that can be inlined, in file order.
func (s *scope) inlinable(tree *flow.Tree) (list []inlined) {
	p := newPurity(s.lib, false)
	for _, n := range s.g.Nodes() {
		name := n.Op()
		switch n.Op() {
		case "PartitionedCall", "StatefulPartitionedCall":
			var err error
			if name, err = n.Func("f"); err != nil {
				continue
			}
		}
		f := s.lib.Function(name)
		if f == nil || f == s.fn || len(f.Args) != n.NumInputs() || !p.function(name) || generic(f) || s.fed(n) {
			continue
		}
		guards := tree.Guards(n)
		same := true
		for _, in := range n.Inputs() {
			same = same && sameGuards(tree.OutputGuards(in), guards)
		}
		if !same && len(f.Args) > 1 {
			continue
		}
		list = append(list, inlined{call: n, fn: f, anchored: len(guards) > 0 || tree.Of(n).Kind == flow.KindLoop})
	}
	return list
}

func sameGuards(a, b []flow.Guard) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(g flow.Guard) bool { return !slices.Contains(b, g) })
}

// generic reports whether body nodes of f take attributes from the call.
func generic(f *graphdef.Function) bool {
	return slices.ContainsFunc(f.Body.Nodes(), func(n *graphdef.Node) bool {
		return slices.ContainsFunc(n.Attrs(), func(a graphdef.NamedAttr) bool { return a.Attr.Kind() == graphdef.KindPlaceholder })
	})
}

// inline replaces a call.
func (s *scope) inline(c inlined) {
	call, name := c.call, c.call.Name()
	twins := map[*graphdef.Node]*graphdef.Node{}
	args := map[*graphdef.Node]graphdef.Output{}
	for i, a := range c.fn.Args {
		args[a] = call.Input(i)
		if len(call.Controls()) > 0 {
			args[a] = s.identity(name+"/"+a.Name(), call.Input(i), call.Controls())
		}
	}
	anchors := call.Controls()
	if c.anchored && len(anchors) == 0 && call.NumInputs() > 0 {
		anchors = []*graphdef.Node{call.Input(0).Node}
		if needsAnchor(c.fn) {
			anchors[0] = s.waitable(name+"/anchor", call.Input(0))
		}
	}
	order := c.fn.Body.Nodes()
	for _, n := range order {
		if n.Op() != "_Arg" && n.Op() != "_Retval" {
			m := s.g.MustAdd(name+"/"+n.Name(), n.Op())
			m.Device = n.Device
			twins[n] = m
		}
	}
	source := func(o graphdef.Output) graphdef.Output {
		if arg, ok := args[o.Node]; ok {
			return arg
		}
		return twins[o.Node].Out(o.Index)
	}
	for _, n := range order {
		m := twins[n]
		if m == nil {
			continue
		}
		for _, in := range n.Inputs() {
			m.AddInput(source(in))
		}
		for _, a := range n.Attrs() {
			switch {
			case a.Name == "_class":
			case a.Name == "frame_name":
				frame, _ := a.Attr.AsString()
				m.SetAttr(a.Name, graphdef.StringAttr(name+"/"+frame))
			default:
				m.SetAttr(a.Name, a.Attr)
			}
		}
		for _, w := range n.Controls() {
			if t := twins[w]; t != nil {
				m.AddControl(t)
			} else if arg, ok := args[w]; ok {
				m.AddControl(s.waitable(name+"/"+w.Name(), arg))
			}
		}
		if n.NumInputs() == 0 && len(m.Controls()) == 0 {
			for _, w := range anchors {
				m.AddControl(w)
			}
		}
		mark(m, s.pass)
		if isProduct(n) {
			s.env.Inlined(qualified(c.fn, n), s.qualified(m))
		}
	}
	outs := make([]graphdef.Output, len(c.fn.Rets))
	for i, r := range c.fn.Rets {
		outs[i] = source(r.Input(0))
	}
	s.handOver(call, outs)
	s.env.Rewrote()
}

// needsAnchor reports whether f has nodes that nothing in f makes wait.
func needsAnchor(f *graphdef.Function) bool {
	return slices.ContainsFunc(f.Body.Nodes(), func(n *graphdef.Node) bool {
		return n.NumInputs() == 0 && n.Op() != "_Arg"
	})
}

func isSwitch(n *graphdef.Node) bool {
	return n.Op() == "Switch" || n.Op() == "RefSwitch" || n.Op() == "_SwitchN"
}

// waitable returns the node to wait for where o must have a value: a control edge from a Switch says nothing of the branch that
// it takes.
func (s *scope) waitable(name string, o graphdef.Output) *graphdef.Node {
	if isSwitch(o.Node) {
		return s.identity(name, o, nil).Node
	}
	return o.Node
}

// identity adds a node that hands on o after the given nodes have run.
func (s *scope) identity(name string, o graphdef.Output, after []*graphdef.Node) graphdef.Output {
	n := s.g.MustAdd(name, "Identity", o)
	if d, err := o.Node.OutputType(o.Index); err == nil {
		n.SetAttr("T", graphdef.TypeAttr(d.Base()))
	}
	for _, c := range after {
		n.AddControl(c)
	}
	mark(n, s.pass)
	return n.Out(0)
}

// handOver makes what reads output i of n read outs[i], what waits for n wait for all of them, and removes n; where n keeps
// its name, an Identity takes n's place.
func (s *scope) handOver(n *graphdef.Node, outs []graphdef.Output) {
	if s.fixed(n) && len(outs) > 0 {
		op := "Identity"
		if len(outs) > 1 {
			op = "IdentityN"
		}
		with := s.g.MustAdd(n.Name()+"/results", op, outs...)
		var types []tensor.DType
		for _, o := range outs {
			d, _ := o.Node.OutputType(o.Index)
			types = append(types, d.Base())
		}
		with.SetAttr("T", graphdef.TypesAttr(types...))
		if len(outs) == 1 {
			with.SetAttr("T", graphdef.TypeAttr(types[0]))
		}
		mark(with, s.pass)
		must(s.g.TakeOver(n, with))
		return
	}
	for _, u := range slices.Clone(n.Users()) {
		if u.Input != graphdef.ControlInput {
			u.Node.SetInput(u.Input, outs[u.Node.Input(u.Input).Index])
		} else {
			u.Node.RemoveControl(n)
			for i, o := range outs {
				u.Node.AddControl(s.waitable(n.Name()+"/done_"+itoa(i), o))
			}
		}
		s.change(u.Node)
	}
	s.remove(func(m *graphdef.Node) bool { return m == n })
}
