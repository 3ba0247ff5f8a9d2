package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// fusion is what a scope computes in one step though the graph says it in several nodes. Matching looks at what the nodes
// compute, never at their names.
type fusion struct {
	sc       *scope
	interior map[*graphdef.Node]bool       // nodes that some fused step computes on the way
	steps    map[*graphdef.Node]*fusedStep // by the last node of the pattern, which gives the step its place and name
	kept     map[graphdef.Output]bool      // tensors that are fetched or observed: they are computed as they are
	uses     map[graphdef.Output]int       // data edges from needed nodes
	shapes   *graphdef.Shapes              // inferred at first need
}

// fusedStep is a step that stands for several nodes. Its outputs are outputs of the last node.
type fusedStep struct {
	op         string
	outputs    int // 0 is 1
	inputs     []graphdef.Output
	interior   []*graphdef.Node
	eval       evalFunc
	specialize specializer
	attention  *attention // what eval computes, if it is that
	dense      bool       // eval is that of dense
	rows       rowRule    // nil: rows are mixed
	dims       []int      // inputs that eval reads by call.ints
}

// specializer returns an evalFunc for a step of which the given inputs are constants (nil where they are not): weights are
// packed here, once a plan. packed has the bits of the inputs that the new evalFunc no longer reads. A nil evalFunc keeps
// the step as it is.
type specializer func(p *packer, consts []*tensor.Tensor) (eval evalFunc, packed uint64)

// fusers are tried in this order for every node, so the larger patterns come first.
var fusers = []func(f *fusion, n *graphdef.Node) *fusedStep{
	fuseLayerNorm,
	fuseBatchLayerNorm,
	fuseRMSNorm,
	fuseAttention,
	fuseSoftmax,
	fuseBeamTopK,
	fuseLogSumExp,
	fuseDense,
	fuseGelu,
	fuseInt8Batch,
}

// newFusion matches the fusers against the needed nodes of sc. results are read from outside.
func newFusion(sc *scope, results []graphdef.Output) *fusion {
	f := &fusion{
		sc:       sc,
		interior: map[*graphdef.Node]bool{},
		steps:    map[*graphdef.Node]*fusedStep{},
		kept:     map[graphdef.Output]bool{},
		uses:     map[graphdef.Output]int{},
	}
	if sc.c.opts.NoFusion {
		return f
	}
	for _, o := range results {
		f.kept[o] = true
	}
	nodes := sc.inputsFirst()
	for _, n := range nodes {
		for _, in := range n.Inputs() {
			f.uses[in]++
		}
	}
	for _, fuse := range fusers {
		// The last node of a pattern comes before the patterns that end in its inputs.
		for i := len(nodes) - 1; i >= 0; i-- {
			n := nodes[i]
			if f.interior[n] || f.steps[n] != nil {
				continue
			}
			if st := fuse(f, n); st != nil && !st.readsItself() {
				f.steps[n] = st
				for _, m := range st.interior {
					f.interior[m] = true
				}
			}
		}
	}
	return f
}

// readsItself reports whether the step reads from outside what it computes inside, as a residual that is the product itself.
func (st *fusedStep) readsItself() bool {
	return slices.ContainsFunc(st.inputs, func(o graphdef.Output) bool { return slices.Contains(st.interior, o.Node) })
}

// computed reports whether the scope computes n.
func (sc *scope) computed(n *graphdef.Node) bool { return sc.needed[n] && !sc.given[n] }

// inputsFirst returns the nodes that are needed and not given, each after its inputs: where that leaves a choice, in the order of the file. The edges
// that close loops do not count.
func (sc *scope) inputsFirst() []*graphdef.Node {
	var list []*graphdef.Node
	seen := map[*graphdef.Node]bool{}
	type visit struct {
		n    *graphdef.Node
		next int
	}
	var stack []visit
	for _, root := range sc.g.Nodes() {
		if !sc.computed(root) || seen[root] {
			continue
		}
		seen[root] = true
		stack = append(stack, visit{n: root})
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			if v.next == v.n.NumInputs() {
				list = append(list, v.n)
				stack = stack[:len(stack)-1]
				continue
			}
			in := v.n.Input(v.next).Node
			v.next++
			if !seen[in] && sc.computed(in) && in.Op() != "NextIteration" && in.Op() != "RefNextIteration" {
				seen[in] = true
				stack = append(stack, visit{n: in})
			}
		}
	}
	return list
}

// private reports whether one edge alone reads o and o's node can vanish into a step in place of last.
func (f *fusion) private(o graphdef.Output, last *graphdef.Node) bool {
	return f.uses[o] == 1 && f.canVanish(o.Node, last)
}

// closed reports whether all of nodes can vanish into a step in place of last: nothing else reads them.
func (f *fusion) closed(nodes []*graphdef.Node, last *graphdef.Node) bool {
	in := map[*graphdef.Node]bool{last: true}
	for _, n := range nodes {
		in[n] = true
	}
	for _, n := range nodes {
		if n == last || !f.canVanish(n, last) {
			return false
		}
		for _, u := range n.Users() {
			if u.Input != graphdef.ControlInput && f.sc.needed[u.Node] && !in[u.Node] {
				return false
			}
		}
	}
	return true
}

// canVanish reports whether n is in the region of last, is not wanted for itself and not part of another fused step.
func (f *fusion) canVanish(n, last *graphdef.Node) bool {
	o := n.Out(0)
	if f.kept[o] || f.interior[n] || f.steps[n] != nil || f.sc.tree.Of(n) != f.sc.tree.Of(last) {
		return false
	}
	if f.sc.observed(o) != "" {
		return false
	}
	if _, fed := f.sc.slots[o]; fed {
		return false
	}
	for _, u := range n.Users() {
		// Constants wait for a node of their loop only to be in its frame.
		if u.Input == graphdef.ControlInput && f.sc.needed[u.Node] && u.Node.Op() != "Const" && u.Node.Op() != "NoOp" {
			return false
		}
	}
	return true
}

// constant returns the value of o where it is known before the graph runs: a Const, also behind Identity and Enter, and a
// constant that a function is called with.
func (f *fusion) constant(o graphdef.Output) *tensor.Tensor {
	for {
		if slot, ok := f.sc.slots[o]; ok {
			return f.sc.c.constOf[slot]
		}
		switch n := o.Node; {
		case n.Op() == "Const":
			t, err := n.Tensor("value")
			if err != nil {
				return nil
			}
			return t
		case passThrough[n.Op()] && n.NumInputs() == 1:
			o = n.Input(0)
		case f.invariantEnter(n):
			o = n.Input(0)
		case n.Op() == "Bitcast" && n.NumInputs() == 1:
			return recast(f.constant(n.Input(0)), n)
		default:
			return nil
		}
	}
}

// invariantEnter reports whether n hands a value from outside to every iteration of a loop.
func (f *fusion) invariantEnter(n *graphdef.Node) bool {
	r := f.sc.tree.Of(n)
	return r != nil && r.Loop != nil && slices.Contains(r.Loop.Invariants, n)
}

// scalar returns the value of o where it is a float constant of one element.
func (f *fusion) scalar(o graphdef.Output) (float32, bool) {
	t := f.constant(o)
	if t == nil || t.DType() != tensor.Float32 || t.Len() != 1 {
		return 0, false
	}
	return tensor.Data[float32](t)[0], true
}

// isFloat reports whether n's type attribute T is float.
func isFloat(n *graphdef.Node) bool {
	t, err := n.Type("T")
	return err == nil && t == tensor.Float32
}

// emitFused appends the step that stands for n and the nodes before it.
func (sc *scope) emitFused(n *graphdef.Node, f *fusedStep, b *block) error {
	st := step{name: n.Name(), op: f.op, eval: f.eval, specialize: f.specialize, attention: f.attention, dense: f.dense, rows: f.rows, dimsIn: f.dims}
	for _, in := range f.inputs {
		slot, err := sc.slot(in, n)
		if err != nil {
			return err
		}
		st.in = append(st.in, slot)
	}
	for i := range max(1, f.outputs) {
		slot := sc.c.newSlot()
		sc.slots[n.Out(i)] = slot
		st.out = append(st.out, slot)
	}
	sc.markDeath(n, &st)
	sc.observeOutputs(n, &st)
	b.steps = append(b.steps, st)
	return nil
}

// specialize replaces the evalFuncs of p's steps whose constant inputs can be prepared, in the order in which the steps run: packed
// weights then lie so that those of the next product follow, which kernels ask for ahead of time.
func (c *compiler) specialize(p *Plan) {
	eachStep(p.root, func(st *step) {
		if st.specialize == nil {
			return
		}
		consts := make([]*tensor.Tensor, len(st.in))
		for j, s := range st.in {
			consts[j] = c.constOf[s]
		}
		eval, packed := st.specialize(c.packer, consts)
		if eval == nil {
			return
		}
		st.eval = eval
		for j := range st.in {
			if packed&(1<<j) != 0 {
				st.in[j] = c.nothing()
			}
		}
	})
}

// nothing returns a constant slot for inputs that are not read any more.
func (c *compiler) nothing() int32 {
	if c.empty < 0 {
		c.empty = c.constSlot(tensor.New(tensor.Float32, tensor.Shape{0}))
	}
	return c.empty
}

// rank returns the rank of o where inference finds it.
func (f *fusion) rank(o graphdef.Output) (int, bool) {
	if f.shapes == nil {
		f.shapes = graphdef.Infer(f.sc.g)
	}
	return f.shapes.Shape(o).Rank()
}
