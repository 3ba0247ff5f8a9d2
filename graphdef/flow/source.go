package flow

import (
	"github.com/tfq8/tfq8/graphdef"
)

// Source follows o to the node that computes its value: through Identity and its like, through Enters that are the same in
// every iteration, and through loop variables that the body hands on unchanged (as lowered functional loops pass their
// captured values). The value of the result is that of o whenever o has one.
func (t *Tree) Source(o graphdef.Output) graphdef.Output {
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
		return n.Input(0), true
	}
	return o, false
}

// findCarried marks the variables of r whose body hands on their value. The loops inside r have been looked at.
func (t *Tree) findCarried(r *Region) {
	for i := range r.Loop.Vars {
		v := &r.Loop.Vars[i]
		next := t.Source(v.Next.Input(0))
		v.carried = next == v.Merge.Out(0) || v.Switch != nil && next == v.Switch.Out(1)
	}
}

// ConstOf returns the Const whose value o has, seen through all that [Tree.Source] looks through and through the Switches
// of conditionals: where o is alive at all, it is this constant.
func (t *Tree) ConstOf(o graphdef.Output) (c *graphdef.Node, ok bool) {
	o = t.origin(o)
	return o.Node, o.Node.Op() == "Const"
}

// origin is Source that looks through the Switches of conditionals as well: o has its value where it has one.
func (t *Tree) origin(o graphdef.Output) graphdef.Output {
	for {
		o = t.Source(o)
		if !isSwitch(o.Node.Op()) || t.Var(o.Node) != nil {
			return o
		}
		o = o.Node.Input(0)
	}
}
