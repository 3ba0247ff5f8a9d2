package graphdef

import (
	"math"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// Pattern describes outputs by what computes them: a tree of operations over values to capture. Patterns are immutable
// once built and may be shared.
//
//	gelu := Op("Mul", Any("x"), Op("Tanh", Op("Mul", Any("x"), Scalar(0.7978846))))
//	if m, ok := gelu.Match(n.Out(0)); ok {
//		x := m.Out("x")
//
// The two inputs of commutative operations match in either order; Identity and StopGradient between the nodes do not
// count; a name that occurs twice must be the same output both times.
type Pattern struct {
	ops     []string // any of these; empty: any output
	inputs  []*Pattern
	index   int
	name    string
	options []*Pattern // one of these, tried in order
	if_     func(Output) bool
}

// Op matches output 0 of a node whose op is one of the names in ops, separated by |, and whose data inputs match the
// patterns, one each. Without input patterns the inputs do not matter.
func Op(ops string, inputs ...*Pattern) *Pattern {
	return &Pattern{ops: strings.Split(ops, "|"), inputs: inputs}
}

// Any matches every output and captures it under name.
func Any(name string) *Pattern { return &Pattern{name: name} }

// Const matches a Const and captures it under name.
func Const(name string) *Pattern { return Op("Const").As(name) }

// Scalar matches a floating-point Const with one element that equals v, up to the rounding of its dtype.
func Scalar(v float64) *Pattern {
	return Op("Const").If(func(o Output) bool {
		x, eps, ok := scalarFloat(o.Node)
		return ok && math.Abs(x-v) <= eps*math.Abs(v)
	})
}

// OneOf matches what one of the patterns matches, tried in order.
func OneOf(patterns ...*Pattern) *Pattern { return &Pattern{options: patterns} }

// As captures what p matches under name and returns the new pattern; so do the methods below.
func (p *Pattern) As(name string) *Pattern { c := *p; c.name = name; return &c }

// Output matches output i of the node rather than output 0.
func (p *Pattern) Output(i int) *Pattern { c := *p; c.index = i; return &c }

// If adds a condition.
func (p *Pattern) If(ok func(Output) bool) *Pattern {
	c := *p
	if before := p.if_; before != nil {
		c.if_ = func(o Output) bool { return before(o) && ok(o) }
	} else {
		c.if_ = ok
	}
	return &c
}

// Once adds the condition that nothing else reads the output: a pass may then change or drop it.
func (p *Pattern) Once() *Pattern {
	return p.If(func(o Output) bool { return len(o.Node.users) == 1 })
}

// Match is what a pattern found.
type Match struct {
	names []string
	outs  []Output
	nodes []*Node
}

// Out returns the output captured under name; its Node is nil where nothing was.
func (m *Match) Out(name string) Output {
	if i := slices.Index(m.names, name); i >= 0 {
		return m.outs[i]
	}
	return Output{}
}

// Node returns the node of Out(name).
func (m *Match) Node(name string) *Node { return m.Out(name).Node }

// Nodes returns the nodes that Op patterns matched, the root first.
func (m *Match) Nodes() []*Node { return m.nodes }

// Match reports whether p describes o, and what it captured. It finds the first match in the order of the pattern and takes
// time in proportion to the pattern, not to the graph.
func (p *Pattern) Match(o Output) (*Match, bool) {
	m := &Match{}
	ok := m.match(p, o, func() bool { return true })
	return m, ok
}

// match calls rest, which matches what is left of the whole pattern, once p matches o; when rest fails, other ways to match
// p are tried.
func (m *Match) match(p *Pattern, o Output, rest func() bool) bool {
	if p.options != nil {
		for _, option := range p.options {
			if m.match(option, o, func() bool { return m.accept(p, o, rest) }) {
				return true
			}
		}
		return false
	}
	if p.ops == nil {
		return m.accept(p, o, rest)
	}
	o = Through(o)
	n := o.Node
	if n == nil || o.Index != p.index || !slices.Contains(p.ops, n.op) || (p.inputs != nil && len(p.inputs) != len(n.inputs)) {
		return false
	}
	at := len(m.nodes)
	m.nodes = append(m.nodes, n)
	done := func() bool { return m.accept(p, o, rest) }
	if p.inputs == nil {
		if done() {
			return true
		}
	} else if m.all(p.inputs, n.inputs, done) || (swaps(n) && m.all(p.inputs, []Output{n.inputs[1], n.inputs[0]}, done)) {
		return true
	}
	m.nodes = m.nodes[:at]
	return false
}

func (m *Match) all(patterns []*Pattern, inputs []Output, rest func() bool) bool {
	if len(patterns) == 0 {
		return rest()
	}
	return m.match(patterns[0], inputs[0], func() bool { return m.all(patterns[1:], inputs[1:], rest) })
}

// accept captures o for p and goes on.
func (m *Match) accept(p *Pattern, o Output, rest func() bool) bool {
	if p.if_ != nil && !p.if_(o) {
		return false
	}
	if p.name == "" {
		return rest()
	}
	if i := slices.Index(m.names, p.name); i >= 0 {
		return Through(m.outs[i]) == Through(o) && rest()
	}
	at := len(m.names)
	m.names, m.outs = append(m.names, p.name), append(m.outs, o)
	if rest() {
		return true
	}
	m.names, m.outs = m.names[:at], m.outs[:at]
	return false
}

// swaps reports whether n's two inputs may change places.
func swaps(n *Node) bool {
	sig, ok := Lookup(n.op)
	if !ok || len(n.inputs) != 2 {
		return false
	}
	// TensorFlow does not say so of these three: Add concatenates strings, and the others pick either of two zeros.
	return sig.Has(Commutative) || n.op == "Add" || n.op == "Maximum" || n.op == "Minimum"
}

// Through follows o through nodes that only hand a value on: Identity, StopGradient and the like, unless they wait for
// other nodes (such as the assertions of a training graph).
func Through(o Output) Output {
	for hops := 0; hops < maxHops && o.Node != nil && handsOn(o.Node); hops++ {
		o = o.Node.inputs[0]
	}
	return o
}

// maxHops bounds Through on graphs whose Identities form a cycle.
const maxHops = 1000

func handsOn(n *Node) bool {
	switch n.op {
	case "Identity", "StopGradient", "PreventGradient", "Snapshot", "DebugGradientIdentity":
		return len(n.inputs) == 1 && len(n.controls) == 0
	}
	return false
}

// scalarFloat returns the value of a floating-point Const with one element, and the rounding of its dtype.
func scalarFloat(n *Node) (v, eps float64, ok bool) {
	if s, err := constShape(n); err != nil || elements(s) != 1 {
		return 0, 0, false
	}
	t, err := n.Tensor("value")
	if err != nil {
		return 0, 0, false
	}
	switch t.DType() {
	case tensor.Float32:
		return float64(tensor.Data[float32](t)[0]), 0x1p-22, true
	case tensor.Float64:
		return tensor.Data[float64](t)[0], 0x1p-22, true // written by hand with as many digits as of a float
	case tensor.Bfloat16:
		return float64(math.Float32frombits(uint32(tensor.Data[uint16](t)[0]) << 16)), 0x1p-8, true
	case tensor.Float16:
		return halfFloat(tensor.Data[uint16](t)[0]), 0x1p-11, true
	}
	return 0, 0, false
}

// halfFloat decodes an IEEE 754 half.
func halfFloat(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}
