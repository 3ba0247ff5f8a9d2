package flow

import (
	"github.com/tfq8/tfq8/graphdef"
)

// findLoop recognises the parts of a loop: its variables, what they enter with and how they leave.
func (t *Tree) findLoop(r *Region) error {
	l := &Loop{}
	r.Loop = l
	for _, n := range r.Nodes {
		if n.Op() != "LoopCond" {
			continue
		}
		if l.LoopCond != nil {
			return n.Errorf("is the second LoopCond of frame %q, after %q; want one", r.Name, l.LoopCond.Name())
		}
		l.LoopCond, l.Cond = n, n.Input(0)
	}
	for _, n := range r.Nodes {
		if !isMerge(n.Op()) {
			continue
		}
		v, err := t.loopVar(r, n)
		if err != nil {
			return err
		}
		if v != nil {
			l.Vars = append(l.Vars, *v)
		}
	}
	for i := range l.Vars {
		v := &l.Vars[i]
		t.vars[t.index[v.Merge]] = v
		if t.vars[t.index[v.Next]] == nil {
			t.vars[t.index[v.Next]] = v
		}
	}
	if err := t.findSwitches(r); err != nil {
		return err
	}
	if err := t.findExits(r); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if isEnter(n.Op()) && !t.idle[n] && t.readAsInvariant(n) {
			l.Invariants = append(l.Invariants, n)
		}
		if !isNextIteration(n.Op()) {
			continue
		}
		for _, u := range n.Users() {
			if v := t.vars[t.index[u.Node]]; u.Input != graphdef.ControlInput && (v == nil || v.Merge != u.Node) {
				return u.Node.Errorf("reads %q (%s), which only the Merge of a loop variable may", n.Name(), n.Op())
			}
		}
	}
	return nil
}

// loopVar returns the variable that starts at a Merge, nil for the Merge of a conditional.
func (t *Tree) loopVar(r *Region, merge *graphdef.Node) (*LoopVar, error) {
	v := &LoopVar{Merge: merge}
	for _, in := range merge.Inputs() {
		switch op := in.Node.Op(); {
		case isEnter(op) && t.Of(in.Node) == r:
			if v.Enter != nil {
				return nil, merge.Errorf("reads two Enters, %q and %q; want an Enter and a NextIteration", v.Enter.Name(), in.Node.Name())
			}
			v.Enter = in.Node
		case isNextIteration(op):
			if v.Next != nil {
				return nil, merge.Errorf("reads two NextIterations, %q and %q; want an Enter and a NextIteration", v.Next.Name(), in.Node.Name())
			}
			v.Next = in.Node
		}
	}
	switch {
	case v.Next == nil && (v.Enter == nil || isConstantEnter(v.Enter)):
		return nil, nil
	case v.Next == nil:
		return nil, merge.Errorf("reads %q (%s) but no NextIteration: the loop variable has no next value", v.Enter.Name(), v.Enter.Op())
	case v.Enter == nil:
		return nil, merge.Errorf("reads %q (%s) but no Enter: the loop variable has no first value", v.Next.Name(), v.Next.Op())
	case merge.NumInputs() != 2:
		return nil, merge.Errorf("has %d inputs, a loop variable wants 2: an Enter and a NextIteration", merge.NumInputs())
	case isConstantEnter(v.Enter):
		return nil, merge.Errorf("reads %q (%s), which has is_constant; the first value of a loop variable must not", v.Enter.Name(), v.Enter.Op())
	}
	return v, nil
}

func isConstantEnter(n *graphdef.Node) bool {
	a, _ := n.Attr("is_constant")
	b, _ := a.AsBool()
	return b
}

// readAsInvariant reports whether every iteration may read an Enter.
func (t *Tree) readAsInvariant(enter *graphdef.Node) bool {
	if isConstantEnter(enter) {
		return true
	}
	for _, u := range enter.Users() {
		if v := t.vars[t.index[u.Node]]; u.Input != graphdef.ControlInput && (v == nil || v.Merge != u.Node) {
			return true
		}
	}
	return false
}

// findSwitches gives the variables of r their Switch: the one that LoopCond steers.
func (t *Tree) findSwitches(r *Region) error {
	for _, n := range r.Nodes {
		if !isSwitch(n.Op()) || t.through(n.Input(1)).Node != r.Loop.LoopCond {
			continue
		}
		v := t.vars[t.index[n.Input(0).Node]]
		if v == nil || v.Merge != n.Input(0).Node || n.Input(0).Index != 0 {
			return n.Errorf("is steered by %q but reads %q, want the Merge of a loop variable", r.Loop.LoopCond.Name(), n.Input(0))
		}
		if v.Switch != nil {
			return n.Errorf("is the second Switch of loop variable %q, after %q; want one", v.Merge.Name(), v.Switch.Name())
		}
		v.Switch = n
		t.vars[t.index[n]] = v
	}
	return nil
}

// findPassed notes for each node where the value of its output 0 comes from, through nodes that hand on their input.
func (t *Tree) findPassed() {
	t.passed = make([]graphdef.Output, len(t.of))
	for _, n := range t.order {
		o := n.Out(0)
		if passes(n) {
			o = t.through(n.Input(0))
		}
		t.passed[t.index[n]] = o
	}
}

// through follows o through nodes that hand on their input, within its region.
func (t *Tree) through(o graphdef.Output) graphdef.Output {
	if o.Index != 0 {
		return o
	}
	return t.passed[t.index[o.Node]]
}

// passes reports whether output 0 of n has the value of its input 0.
func passes(n *graphdef.Node) bool {
	sig, ok := graphdef.Lookup(n.Op())
	return ok && sig.Has(graphdef.PassesThrough) && n.NumInputs() > 0
}

// findExits gives the variables of r their Exits. Output 0 of a Switch is alive after the last iteration only, so nothing
// but an Exit may depend on it.
func (t *Tree) findExits(r *Region) error {
	for _, n := range r.Nodes {
		switch {
		case isExit(n.Op()):
			from := t.through(n.Input(0))
			v := t.vars[t.index[from.Node]]
			if v == nil || v.Switch != from.Node || from.Index != 0 {
				return n.Errorf("reads %q, want output 0 of the Switch of a loop variable", n.Input(0))
			}
			if v.Exit == nil {
				v.Exit = n
			}
			v.Exits = append(v.Exits, n)
			t.vars[t.index[n]] = v
		case t.leaving(n):
			for _, u := range n.Users() {
				if !isExit(u.Node.Op()) && (u.Input == graphdef.ControlInput || !passes(u.Node)) {
					return u.Node.Errorf("depends on %q (%s), which runs when the loop has ended; want an Exit in between", n.Name(), n.Op())
				}
			}
		default:
			for _, in := range n.Inputs() {
				if v := t.vars[t.index[in.Node]]; v != nil && v.Switch == in.Node && in.Index == 0 {
					return n.Errorf("reads %q, which has a value only when the loop has ended; want an Exit in between", in)
				}
			}
		}
	}
	return nil
}

// leaving reports whether n hands output 0 of a loop's Switch on towards an Exit.
func (t *Tree) leaving(n *graphdef.Node) bool {
	if !passes(n) {
		return false
	}
	from := t.through(n.Out(0))
	v := t.vars[t.index[from.Node]]
	return v != nil && v.Switch == from.Node && from.Index == 0
}

// splitLoop sorts the members of r into those that the condition needs and the others.
func (t *Tree) splitLoop(r *Region) {
	l := r.Loop
	needed := map[*graphdef.Node]bool{}
	child := map[*Region]bool{}
	stack := []*graphdef.Node{l.Cond.Node}
	stack = append(stack, l.LoopCond.Controls()...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if needed[n] {
			continue
		}
		needed[n] = true
		home := t.Of(n)
		if isExit(n.Op()) && home.Parent == r {
			// The loop inside runs as a whole.
			if child[home] {
				continue
			}
			child[home] = true
			home.InCond = true
			for _, m := range home.Nodes {
				if isEnter(m.Op()) {
					stack = append(stack, m.Input(0).Node)
					stack = append(stack, m.Controls()...)
				}
			}
			continue
		}
		if home != r || isEnter(n.Op()) || t.isPart(n) {
			continue
		}
		for _, in := range n.Inputs() {
			stack = append(stack, in.Node)
		}
		stack = append(stack, n.Controls()...)
	}
	for _, n := range r.Nodes {
		switch {
		case n == l.LoopCond || isEnter(n.Op()) || t.isPart(n) || t.leaving(n):
		case needed[n]:
			l.CondNodes = append(l.CondNodes, n)
		default:
			l.BodyNodes = append(l.BodyNodes, n)
		}
	}
}

// isPart reports whether n belongs to a loop variable.
func (t *Tree) isPart(n *graphdef.Node) bool { return t.vars[t.index[n]] != nil }
