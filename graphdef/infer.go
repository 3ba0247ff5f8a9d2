package graphdef

import (
	"container/heap"
	"errors"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// Shapes is what Infer found: the shape and dtype of every output of a graph and of its function bodies. It is immutable.
type Shapes struct {
	of   map[*Node][]known
	errs []error
}

// Shape returns what is known of the shape of o; the unknown shape where that is nothing, or o is not of the graph.
func (s *Shapes) Shape(o Output) tensor.PartialShape {
	return s.known(o).shape
}

// Type returns the dtype of o, without the mark of TF1 references; tensor.Invalid where it is not known.
func (s *Shapes) Type(o Output) tensor.DType { return s.known(o).dtype.Base() }

// Ints returns the value of o where o is a scalar or vector of int32 or int64 whose elements are all known, nil otherwise.
func (s *Shapes) Ints(o Output) []int64 {
	k := s.known(o)
	v := k.ints
	if d := k.dtype.Base(); (d != tensor.Int32 && d != tensor.Int64) || slices.Contains(v, unknownInt) {
		return nil
	}
	return slices.Clone(v)
}

// Err returns every contradiction in the graph (each a *NodeError, joined, sorted by node), nil if there is none. The
// shapes of the other nodes are right even so.
func (s *Shapes) Err() error { return errors.Join(s.errs...) }

func (s *Shapes) known(o Output) known {
	if outs := s.of[o.Node]; o.Index >= 0 && o.Index < len(outs) {
		return outs[o.Index]
	}
	return known{}
}

// Infer finds what can be known of g's shapes before it runs. It follows loops (TF1 frames and functional ones) and calls;
// a function that is called with different shapes gets what they have in common. The attribute _output_shapes counts only
// where the op says nothing.
func Infer(g *Graph) *Shapes { return InferFrom(g, nil) }

// InferFrom is Infer where the given outputs, such as the placeholders that are fed, have shapes narrower than the graph
// says.
func InferFrom(g *Graph, feeds map[Output]tensor.PartialShape) *Shapes {
	a := &inference{
		top: g, feeds: feeds, of: make(map[*Node][]known, len(g.nodes)), errs: map[*Node]error{},
		lib: newLibrary(g), bodies: map[*Graph]*body{},
	}
	a.settle(a.body(g, nil))
	// Functions that nothing calls, of which nothing is known.
	for _, f := range g.functions {
		if b := a.body(f.Body, f); b.args == nil {
			b.args = unknownOutputs(len(f.Args))
			a.settle(b)
		}
	}
	return &Shapes{of: a.of, errs: a.sortedErrors()}
}

// inference is the state of one Infer: the least that is known of each output over all the ways to reach it. A node is
// visited again only when an input got less known than before, so that the number of visits is bounded by the ranks.
type inference struct {
	top    *Graph
	feeds  map[Output]tensor.PartialShape
	lib    *library
	bodies map[*Graph]*body
	order  []*body // bodies as they were met
	of     map[*Node][]known
	errs   map[*Node]error
	cycles []error // of Order
}

// body is the graph, or the body of a function.
type body struct {
	f       *Function // nil: the graph itself
	order   []*Node
	index   map[*Node]int
	dirty   []bool
	round   indexHeap // dirty nodes of this round of a sweep, by their place in the order
	later   []int     // of the next round
	at      int       // the place that the sweep has reached
	active  bool
	args    []known // nil: not called yet
	results []known
	callers map[*Node]*body
}

func (a *inference) body(g *Graph, f *Function) *body {
	if b := a.bodies[g]; b != nil {
		return b
	}
	order, err := g.Order()
	if err != nil {
		a.cycles = append(a.cycles, err)
		order = g.nodes
	}
	b := &body{f: f, order: order, index: make(map[*Node]int, len(order)), dirty: make([]bool, len(order)), callers: map[*Node]*body{}}
	for i, n := range order {
		b.index[n] = i
		b.mark(n)
	}
	a.bodies[g] = b
	a.order = append(a.order, b)
	return b
}

func (b *body) mark(n *Node) {
	i, ok := b.index[n]
	if !ok || b.dirty[i] {
		return
	}
	b.dirty[i] = true
	if b.active && i > b.at {
		heap.Push(&b.round, i)
	} else {
		b.later = append(b.later, i)
	}
}

// indexHeap is a heap.Interface of places in an order.
type indexHeap []int

func (h indexHeap) Len() int           { return len(h) }
func (h indexHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h indexHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indexHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *indexHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// settle visits b, and all that its changes reach, until nothing changes.
func (a *inference) settle(b *body) {
	a.sweep(b)
	for again := true; again; {
		again = false
		for _, b := range slices.Clone(a.order) {
			if len(b.later) > 0 && (b.f == nil || b.args != nil) {
				a.sweep(b)
				again = true
			}
		}
	}
}

// sweep visits the dirty nodes of b in order; what NextIteration changes is visited in the next round.
func (a *inference) sweep(b *body) {
	b.active = true
	for len(b.later) > 0 {
		slices.Sort(b.later) // sorted, it is a heap
		b.round, b.later = indexHeap(b.later), nil
		for len(b.round) > 0 {
			b.at = heap.Pop(&b.round).(int)
			b.dirty[b.at] = false
			a.visit(b, b.order[b.at])
		}
	}
	b.active = false
	if b.f == nil {
		return
	}
	results := make([]known, len(b.f.Rets))
	changed := len(b.results) != len(results)
	for i, n := range b.f.Rets {
		if len(n.inputs) > 0 {
			results[i] = a.read(n.inputs[0])
		}
		changed = changed || !results[i].equal(b.results[i])
	}
	if b.results != nil && changed {
		for n, in := range b.callers {
			in.mark(n)
		}
	}
	b.results = results
}

// read returns what is known of o so far; its set is false before o's first visit.
func (a *inference) read(o Output) known {
	outs, seen := a.of[o.Node]
	if o.Index >= 0 && o.Index < len(outs) {
		return outs[o.Index]
	}
	return known{set: seen}
}

// visit infers n's outputs and marks its users where they are less known than before.
func (a *inference) visit(b *body, n *Node) {
	before, again := a.of[n]
	now := a.evaluate(b, n)
	changed := !again
	for i := range now {
		now[i].set = true
		if again && i < len(before) {
			now[i] = before[i].relax(now[i])
			changed = changed || !now[i].equal(before[i])
		}
	}
	a.of[n] = now
	if !changed {
		return
	}
	for _, u := range n.users {
		// In the first round the users come later in the order and are still dirty, except over back edges.
		if u.Input != ControlInput {
			b.mark(u.Node)
		}
	}
}

func (a *inference) evaluate(b *body, n *Node) []known {
	delete(a.errs, n)
	sig, ok := a.lib.signature(n)
	if !ok {
		return a.hinted(n, unknownOutputs(usedOutputs(n)))
	}
	c := &ShapeContext{n: n, sig: sig, attrs: &AttrReader{n: n, sig: sig, lookup: a.lib.signature}, calls: &caller{a, b}, producer: a.top.Versions.Producer}
	if err := c.allocate(); err != nil {
		a.errs[n] = err
		return a.hinted(n, unknownOutputs(usedOutputs(n)))
	}
	c.in = make([]known, len(n.inputs))
	for i, in := range n.inputs {
		c.in[i] = a.read(in)
	}
	var err error
	switch {
	case b.f != nil && n.op == "_Arg":
		if i := slices.Index(b.f.Args, n); i >= 0 && i < len(b.args) {
			c.give(0, b.args[i])
		}
	case a.lib.calls(n):
		err = c.results(n.op, 0)
	case sig.Shape == nil:
		c.out = a.hinted(n, c.out)
	default:
		if err = c.checkInputs(); err == nil {
			err = sig.Shape(c)
		}
		if err == nil {
			err = c.attrs.Err()
		}
	}
	if err != nil {
		a.errs[n] = n.asError(err)
		for i := range c.out {
			c.out[i] = known{dtype: c.out[i].dtype}
		}
	}
	for i := range c.out {
		if s, ok := a.feeds[Output{n, i}]; ok {
			c.out[i].shape, c.out[i].ints = s, nil
		}
	}
	return c.out
}

// asError makes err a *NodeError of n.
func (n *Node) asError(err error) error {
	var of *NodeError
	if errors.As(err, &of) {
		return err
	}
	return &NodeError{Node: n.name, Op: n.op, Err: err}
}

// hinted fills outputs of which nothing is known from _output_shapes.
func (a *inference) hinted(n *Node, outs []known) []known {
	hint, ok := n.Attr("_output_shapes")
	if !ok {
		return outs
	}
	if shapes, ok := hint.AsShapes(); ok && len(shapes) == len(outs) {
		for i := range outs {
			outs[i].shape = shapes[i]
		}
	}
	return outs
}

func unknownOutputs(k int) []known { return make([]known, k) }

// usedOutputs returns how many outputs n's users take it to have.
func usedOutputs(n *Node) int {
	k := 0
	for _, u := range n.users {
		if u.Input != ControlInput {
			k = max(k, u.Node.inputs[u.Input].Index+1)
		}
	}
	return k
}

func (a *inference) sortedErrors() []error {
	errs := slices.Clone(a.cycles)
	for _, err := range a.errs {
		errs = append(errs, err)
	}
	slices.SortFunc(errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	return errs
}

// caller lets shape functions infer the functions that their node calls.
type caller struct {
	a *inference
	b *body // the body that the call is in
}

// call returns what function name gives for args; ok is false where it is not in the library, calls itself, or has other
// arguments.
func (c *caller) call(n *Node, name string, args []known) (results []known, ok bool) {
	f := c.a.lib.functions[name]
	if f == nil || len(f.Args) != len(args) {
		return nil, false
	}
	b := c.a.body(f.Body, f)
	b.callers[n] = c.b
	if b.active {
		return nil, false
	}
	if b.args == nil {
		b.args = slices.Clone(args)
	} else {
		for i, arg := range args {
			relaxed := b.args[i].relax(arg)
			if !relaxed.equal(b.args[i]) {
				b.args[i] = relaxed
				b.mark(f.Args[i])
			}
		}
	}
	if len(b.later) > 0 {
		c.a.sweep(b)
	}
	return b.results, true
}
