package flow

import (
	"github.com/tfq8/tfq8/graphdef"
)

// Source is [Tree.Source] across calls: from an argument on to what the callers pass, where all call sites agree (and, in the
// functions of a loop, no iteration changes it), from the output of a call on to an input of it or a Const that the function
// returns, from the output of a loop on to the initial value of a variable that the body hands on. The result may be in
// another graph than o.
func (p *Program) Source(o graphdef.Output) graphdef.Output { return p.trace(o, 0) }

// ConstOf is [Tree.ConstOf] across calls: the Const, of whatever graph of the program, whose value o has where it is alive.
func (p *Program) ConstOf(o graphdef.Output) (c *graphdef.Node, ok bool) {
	o = p.trace(o, 1)
	return o.Node, o.Node.Op() == "Const"
}

// trace follows o as far as it can; mode 1 looks through the Switches of conditionals as well.
func (p *Program) trace(o graphdef.Output, mode int) graphdef.Output {
	for {
		b := p.bodies[o.Node.Graph()]
		if b == nil {
			return o
		}
		if mode == 0 {
			o = b.tree.Source(o)
		} else {
			o = b.tree.origin(o)
		}
		next, ok := p.passed(b, o.Node, mode)
		if !ok {
			next, ok = p.returned(o)
		}
		if !ok {
			return o
		}
		o = next
	}
}

// passed returns what all callers pass for n, if it is an argument of b.
func (p *Program) passed(b *body, n *graphdef.Node, mode int) (graphdef.Output, bool) {
	i, ok := b.args[n]
	if !ok {
		return graphdef.Output{}, false
	}
	known := &b.known[mode][i]
	if known.state == unasked {
		known.state = asking
		o, ok := p.agreed(b, i, mode)
		*known = answer{none, o}
		if ok {
			known.state = found
		}
	}
	return known.value, known.state == found
}

// agreed asks every call site of b for argument i.
func (p *Program) agreed(b *body, i, mode int) (o graphdef.Output, ok bool) {
	for k, s := range b.sites {
		in, ok := s.input(i)
		if !ok || s.varies(p, i) {
			return graphdef.Output{}, false
		}
		in = p.trace(in, mode)
		if k > 0 && in != o {
			return graphdef.Output{}, false
		}
		o = in
	}
	return o, len(b.sites) > 0
}

// input returns what the site gives for argument i before the first iteration; ok is false where no input of the node is that.
func (s Site) input(i int) (o graphdef.Output, ok bool) {
	switch s.Role {
	case Branch:
		i++
	case ForBody:
		// start, limit, delta, then the variables; the body's first argument counts.
		if i == 0 {
			return graphdef.Output{}, false
		}
		i += 2
	case Other:
		return graphdef.Output{}, false
	case Map:
		a, _ := s.Node.Attr("Targuments")
		if mapped, _ := a.AsTypes(); i < len(mapped) {
			return graphdef.Output{}, false
		}
	}
	if i >= s.Node.NumInputs() {
		return graphdef.Output{}, false
	}
	return s.Node.Input(i), true
}

// varies reports whether argument i may differ from one run of the function at this site to the next.
func (s Site) varies(p *Program, i int) bool {
	switch s.Role {
	case LoopCond, LoopBody:
	case ForBody:
		i--
	default:
		return false
	}
	l := p.loops[s.Node]
	return l == nil || i >= len(l.Vars) || !l.Vars[i].carried
}

// exit is what a function's result is, as far as that can be said without its caller.
type exit struct {
	state exitState
	arg   int            // the argument that it is
	value *graphdef.Node // the Const that it is
}

type exitState uint8

const (
	notAsked exitState = iota
	computed           // something else, or being answered
	passesArgument
	givesConst
)

// exit returns what result i of f is.
func (p *Program) exit(f *graphdef.Function, i int) exit {
	b := p.bodies[f.Body]
	if b == nil || i >= len(b.exits) || f.Rets[i].NumInputs() == 0 {
		return exit{state: computed}
	}
	if b.exits[i].state == notAsked {
		b.exits[i].state = computed
		b.exits[i] = p.findExit(b, f.Rets[i].Input(0))
	}
	return b.exits[i]
}

// findExit follows o within b, through the calls that it holds.
func (p *Program) findExit(b *body, o graphdef.Output) exit {
	for {
		o = b.tree.Source(o)
		if i, ok := b.args[o.Node]; ok {
			return exit{state: passesArgument, arg: i}
		}
		if o.Node.Op() == "Const" {
			return exit{state: givesConst, value: o.Node}
		}
		next, ok := p.returned(o)
		if !ok {
			return exit{state: computed}
		}
		if next.Node.Graph() != o.Node.Graph() {
			return exit{state: givesConst, value: next.Node}
		}
		o = next
	}
}

// returned follows o, an output of a node that calls functions, to the input or Const that the functions return for it.
func (p *Program) returned(o graphdef.Output) (graphdef.Output, bool) {
	calls := p.callsOf(o.Node)
	if l := p.loops[o.Node]; l != nil {
		if p.carried(l, o.Index) {
			return l.Vars[o.Index].Init, true
		}
		return o, false
	}
	var same graphdef.Output
	for k, c := range calls {
		var at graphdef.Output
		switch e := p.exit(c.fn, o.Index); {
		case c.site.Role != Call && c.site.Role != Branch:
			return o, false
		case e.state == givesConst:
			at = e.value.Out(0)
		case e.state == passesArgument:
			in, ok := c.site.input(e.arg)
			if !ok {
				return o, false
			}
			at = in
			if len(calls) > 1 {
				at = p.bodies[o.Node.Graph()].tree.Source(in)
			}
		default:
			return o, false
		}
		if k > 0 && at != same {
			return o, false
		}
		same = at
	}
	return same, len(calls) > 0
}

// carried reports whether the body of l returns variable i in its own place.
func (p *Program) carried(l *FunctionLoop, i int) bool {
	if i >= len(l.Vars) {
		return false
	}
	e := p.exit(l.Body, i)
	return e.state == passesArgument && l.Body.Args[e.arg] == l.Vars[i].BodyArg
}

// Invariant reports whether o, a value of the condition or the body of l (not of a function that these call), is the same in
// every iteration: it is computed only from constants and from variables that no iteration changes, and by operations
// without state. For a value inside a loop of frames it must hold of that loop too.
func (p *Program) Invariant(o graphdef.Output, l *FunctionLoop) bool {
	b := p.bodies[o.Node.Graph()]
	if b == nil || b.fn == nil || b.fn != l.Body && b.fn != l.Cond {
		return false
	}
	l.once.Do(func() {
		for i, f := range []*graphdef.Function{l.Cond, l.Body} {
			if f != nil {
				t := p.bodies[f.Body].tree
				l.varying[i] = t.spread(t.Root, func(n *graphdef.Node, own bool) bool { return p.changes(n, own, l) })
			}
		}
	})
	t := b.tree
	for r := t.Of(o.Node); r != nil && r.Kind == KindLoop; r = r.Parent {
		if !t.Invariant(o, r) {
			return false
		}
	}
	i := 0
	if b.fn == l.Body {
		i = 1
	}
	return !l.varying[i][o.Node]
}

// changes is Tree.changes for the functions of a loop: the variables that iterations change do, calls of functions without
// state do not.
func (p *Program) changes(n *graphdef.Node, own bool, l *FunctionLoop) bool {
	b := p.bodies[n.Graph()]
	if i, ok := b.args[n]; ok {
		first := len(l.Body.Args) - len(l.Vars)
		if b.fn == l.Body {
			i -= first
		}
		return i < 0 || i >= len(l.Vars) || !l.Vars[i].carried
	}
	if len(p.callsOf(n)) > 0 {
		return !p.pure(n, map[*graphdef.Graph]bool{})
	}
	return b.tree.changes(n, own)
}

// pure reports whether the functions that n calls, at any depth, hold no operation with state.
func (p *Program) pure(n *graphdef.Node, seen map[*graphdef.Graph]bool) bool {
	for _, c := range p.callsOf(n) {
		if c.site.Role == Other {
			return false
		}
		if seen[c.fn.Body] {
			continue
		}
		seen[c.fn.Body] = true
		for _, m := range c.fn.Body.Nodes() {
			sig, ok := graphdef.Lookup(m.Op())
			switch {
			case len(p.callsOf(m)) > 0:
				if !p.pure(m, seen) {
					return false
				}
			case m.Op() == "_Arg", m.Op() == "_Retval":
			case !ok, sig.Has(graphdef.Stateful), sig.Has(graphdef.CallsFunctions):
				return false
			}
		}
	}
	return true
}
