package flow

import (
	"github.com/tfq8/tfq8/graphdef"
)

// Source follows o to the node that computes its value: through Identity and its like, through Enters that are the same in
// every iteration, and through loop variables that the body hands on unchanged (as lowered functional loops pass their
// captured values). The value of the result is that of o whenever o has one.
func (t *Tree) Source(o graphdef.Output) graphdef.Output {
	i, ok := t.index[o.Node]
	if !ok {
		return o
	}
	if t.sources != nil && (o.Index == 0 || t.carries(o.Node)) {
		return t.sources[i]
	}
	return t.follow(o)
}

// carries reports whether all outputs of n, a Switch or Exit, have the value that their variable entered with.
func (t *Tree) carries(n *graphdef.Node) bool {
	v := t.Var(n)
	return v != nil && v.carried && n != v.Merge
}

func (t *Tree) follow(o graphdef.Output) graphdef.Output {
	for {
		next, ok := t.back(o)
		if !ok {
			return o
		}
		o = next
	}
}

// back takes one step towards the source of o.
func (t *Tree) back(o graphdef.Output) (graphdef.Output, bool) {
	n := o.Node
	switch v := t.Var(n); {
	case v != nil && !isNextIteration(n.Op()):
		// Output 1 of a Merge is the number of the input that arrived.
		if v.carried && (n != v.Merge || o.Index == 0) {
			return v.Enter.Input(0), true
		}
		return o, false
	case isEnter(n.Op()) && t.readAsInvariant(n), n.Op() == "LoopCond":
		return n.Input(0), true
	case o.Index == 0 && passes(n):
		return t.through(o), true
	}
	return o, false
}

// findCarried marks the variables of r whose body hands on their value, or sets them anew to what they entered with. The
// loops inside r have been looked at.
func (t *Tree) findCarried(r *Region) {
	for i := range r.Loop.Vars {
		v := &r.Loop.Vars[i]
		next := t.follow(v.Next.Input(0))
		v.carried = next == v.Merge.Out(0) || v.Switch != nil && next == v.Switch.Out(1) || next == t.follow(v.Enter.Input(0))
	}
}

// findSources answers Source and ConstOf for every node, inputs before users, so that long chains are walked once.
func (t *Tree) findSources() {
	sources, origins := make([]graphdef.Output, len(t.of)), make([]graphdef.Output, len(t.of))
	t.sources, t.origins = sources, origins
	for _, n := range t.order {
		i := t.index[n]
		sources[i], origins[i] = n.Out(0), n.Out(0)
		if o, ok := t.back(n.Out(0)); ok {
			sources[i], origins[i] = t.Source(o), t.origin(o)
		} else if t.steers(n) {
			origins[i] = t.origin(n.Input(0))
		}
	}
}

// steers reports whether n is the Switch of a conditional.
func (t *Tree) steers(n *graphdef.Node) bool { return isSwitch(n.Op()) && t.Var(n) == nil }

// ConstOf returns the Const whose value o has, seen through all that [Tree.Source] looks through and through the Switches
// of conditionals: where o is alive at all, it is this constant. Who reads the constant in place of o keeps the reader as
// dead as it was: see [Tree.Guards].
func (t *Tree) ConstOf(o graphdef.Output) (c *graphdef.Node, ok bool) {
	o = t.origin(o)
	return o.Node, o.Node.Op() == "Const"
}

// origin is Source that looks through the Switches of conditionals as well: o has its value where it has one.
func (t *Tree) origin(o graphdef.Output) graphdef.Output {
	if i, ok := t.index[o.Node]; ok && (o.Index == 0 || t.carries(o.Node) || t.steers(o.Node)) {
		return t.origins[i]
	}
	return o
}
