package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
)

// StripUnused removes the nodes that neither the outputs nor, in function bodies, the results depend on, functions that nothing
// calls, and the control edges that order nothing: from a node that only computes to one that does not read it. A control edge stays where it ties
// its node to a loop's frame, or makes it run in one branch of a conditional only. Inputs stay even if nothing needs them.
var StripUnused = Pass{
	Name: "strip-unused",
	Doc:  "remove what the outputs do not depend on, and control edges that order nothing",
	Run:  stripUnused,
}

func stripUnused(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		s.strip()
		if s.dropControls(newPurity(g, false)) > 0 {
			s.strip()
		}
	}
	env.dropUncalled(g)
	return nil
}

// strip removes what the roots do not need and counts it.
func (s *scope) strip() {
	reached := graphdef.Ancestors(s.roots()...)
	for range s.remove(func(n *graphdef.Node) bool { return !reached[n] }) {
		s.env.Rewrote()
	}
}

// dropControls removes the control edges that order nothing, by what p calls pure, and returns how many. A graph whose frames
// cannot be told keeps them all.
func (s *scope) dropControls(p *purity) (count int) {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return 0
	}
	effects := spread(s.g, true, func(n *graphdef.Node) bool { return !p.pure(n) })
	// In a loop, only what reads a value of the loop needs no control edge to be in its frame.
	grounded := spread(s.g, false, isControlFlow)
	again := false
	for _, n := range s.g.Nodes() {
		if len(n.Controls()) == 0 || isControlFlow(n) {
			continue
		}
		for _, c := range slices.Clone(n.Controls()) {
			switch {
			case c.Op() == "NoOp" && len(c.Controls()) == 1 && !s.fixed(c):
				// A NoOp only passes on that another has run.
				n.RemoveControl(c)
				n.AddControl(c.Controls()[0])
				again = true
			case effects[c], tree.Of(n).Kind == flow.KindLoop && !grounded[n], !runsWith(tree, n, c):
				continue
			default:
				n.RemoveControl(c)
			}
			s.change(n)
			s.env.Rewrote()
			count++
		}
	}
	if again {
		count += s.dropControls(p)
	}
	return count
}

// runsWith reports whether the data inputs of n have values only where c runs, so that n needs no control edge from c to be
// dead when c is.
func runsWith(tree *flow.Tree, n, c *graphdef.Node) bool {
	guards := tree.Guards(c)
	if len(guards) == 0 {
		return true
	}
	have := map[flow.Guard]bool{}
	for _, in := range n.Inputs() {
		for _, g := range tree.OutputGuards(in) {
			have[g] = true
		}
	}
	for _, g := range guards {
		if !have[g] {
			return false
		}
	}
	return true
}

// spread returns the nodes for which start is true and all that depend on them, through control edges too if controls is set.
func spread(g *graphdef.Graph, controls bool, start func(*graphdef.Node) bool) map[*graphdef.Node]bool {
	reached := map[*graphdef.Node]bool{}
	var stack []*graphdef.Node
	for _, n := range g.Nodes() {
		if start(n) {
			reached[n] = true
			stack = append(stack, n)
		}
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, u := range n.Users() {
			if (controls || u.Input != graphdef.ControlInput) && !reached[u.Node] {
				reached[u.Node] = true
				stack = append(stack, u.Node)
			}
		}
	}
	return reached
}
