package passes

import (
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// scope is one graph that a pass works on: the graph itself, or the body of a function of its library.
type scope struct {
	g    *graphdef.Graph
	lib  *graphdef.Graph // holds the library
	env  *Env
	pass string
	fn   *graphdef.Function // nil for the graph itself
}

// scopes returns the graph and its function bodies, in the order of the file.
func (env *Env) scopes(g *graphdef.Graph) []*scope {
	list := []*scope{{g: g, lib: g, env: env, pass: env.pass}}
	for _, f := range g.Functions() {
		list = append(list, &scope{g: f.Body, lib: g, env: env, pass: env.pass, fn: f})
	}
	return list
}

// roots are the nodes that the scope is there for: fetches and feeds, or arguments and results.
func (s *scope) roots() []*graphdef.Node {
	if s.fn != nil {
		return slices.Concat(s.fn.Args, s.fn.Rets, s.fn.ControlRet)
	}
	s.env.follow(s.g)
	roots := s.env.outputNodes()
	for _, o := range s.env.Inputs {
		roots = append(roots, o.Node)
	}
	return roots
}

// fixed reports whether n must keep its name and outputs.
func (s *scope) fixed(n *graphdef.Node) bool {
	if s.fn != nil {
		return n.Op() == "_Arg" || n.Op() == "_Retval" || slices.Contains(s.fn.ControlRet, n)
	}
	return s.env.isFixed(n)
}

// wanted reports whether o is an output of the graph or an input.
func (s *scope) wanted(o graphdef.Output) bool {
	if s.fn != nil {
		return false
	}
	s.env.follow(s.g)
	return slices.Contains(s.env.Outputs, o) || slices.Contains(s.env.Inputs, o)
}

// fed reports whether n's value may come from outside.
func (s *scope) fed(n *graphdef.Node) bool {
	switch n.Op() {
	case "Placeholder", "PlaceholderV2", "_Arg":
		return true
	}
	return s.fn == nil && slices.ContainsFunc(s.env.Inputs, func(o graphdef.Output) bool { return o.Node == n })
}

// change marks a node that the pass has changed and drops what it said of its shapes, which need not hold any more.
func (s *scope) change(n *graphdef.Node) {
	n.RemoveAttr("_output_shapes")
	mark(n, s.pass)
}

// remove takes nodes out, and the colocations that name them: TensorFlow refuses a graph with one that leads nowhere.
func (s *scope) remove(drop func(*graphdef.Node) bool) (count int) {
	gone := map[string]bool{}
	s.g.RemoveAll(func(n *graphdef.Node) bool {
		if drop(n) {
			gone[n.Name()] = true
			return true
		}
		return false
	})
	if len(gone) == 0 {
		return 0
	}
	for _, n := range s.g.Nodes() {
		a, ok := n.Attr("_class")
		if !ok {
			continue
		}
		class, _ := a.AsStrings()
		if slices.ContainsFunc(class, func(c string) bool { return gone[strings.TrimPrefix(c, "loc:@")] }) {
			n.RemoveAttr("_class")
		}
	}
	return len(gone)
}

// bypass makes what reads output 0 of n read o instead, which has the same value, and removes n. What waits for n waits for
// o's node, and all of them for what n waited for.
func (s *scope) bypass(n *graphdef.Node, o graphdef.Output) {
	for _, u := range slices.Clone(n.Users()) {
		if u.Input == graphdef.ControlInput {
			u.Node.RemoveControl(n)
			if u.Node != o.Node {
				u.Node.AddControl(o.Node)
			}
		} else {
			u.Node.SetInput(u.Input, o)
		}
		for _, c := range n.Controls() {
			u.Node.AddControl(c)
		}
		s.change(u.Node)
	}
	s.remove(func(m *graphdef.Node) bool { return m == n })
	s.env.Rewrote()
}

// takesControls reports whether a control edge may be added to n. The nodes that make up a loop or a conditional decide what
// runs, and a result of a function has no control inputs.
func takesControls(n *graphdef.Node) bool {
	return !isControlFlow(n) && n.Op() != "_Retval"
}

// isControlFlow reports whether n is part of a v1 loop or conditional.
func isControlFlow(n *graphdef.Node) bool {
	sig, ok := graphdef.Lookup(n.Op())
	return ok && sig.Has(graphdef.ControlFlow)
}

// qualified returns the name of n in reports.
func (s *scope) qualified(n *graphdef.Node) string { return qualified(s.fn, n) }

// tensorName returns the name of o for observers and in thresholds.
func (s *scope) tensorName(o graphdef.Output) string {
	if s.fn == nil {
		return o.String()
	}
	return s.fn.TensorName(o)
}
