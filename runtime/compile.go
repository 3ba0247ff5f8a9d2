package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// Compile turns g into a Plan for the given feeds and fetches. It refuses names that g does not have, ops that have no
// evaluator (all of them in one error), attributes that contradict an op, and loops that are not structured. g is not
// changed and, apart from the contents of its constants, not needed afterwards.
func Compile(g *graphdef.Graph, opts CompileOptions) (*Plan, error) {
	c := &compiler{
		opts:     opts,
		kernels:  opts.Kernels,
		constOf:  map[int32]*tensor.Tensor{},
		mayDie:   map[int32]bool{},
		aliveIf:  map[int32]conditions{},
		observed: map[string]bool{},
		empty:    -1,
	}
	if c.kernels == nil {
		c.kernels = kernels.For(kernels.Best())
	}
	for _, name := range opts.Observe {
		c.observed[tensorName(name)] = true
	}
	c.packer = newPacker(c.kernels)
	p, err := c.compile(g)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return p, nil
}

// compiler is the state of one Compile.
type compiler struct {
	opts     CompileOptions
	kernels  *kernels.Set
	numSlots int
	constOf  map[int32]*tensor.Tensor // slots whose value is known
	mayDie   map[int32]bool           // slots that can be dead when the step that reads them comes
	aliveIf  map[int32]conditions     // exactly when slots of mayDie are alive, where that is known
	observed map[string]bool          // canonical names still to be matched with a value
	packer   *packer
	empty    int32    // a constant slot that nothing reads, -1 until it is needed
	missing  missing  // nodes whose ops have no evaluator
	calls    []string // functions being inlined, to refuse recursion
	inlined  int      // nodes of the calls so far
	made     int64    // bytes of the constants that the graph does not spell out

	functions map[string]*graphdef.Function // the library
}

// scope is one graph being compiled: the outer graph or one call of a function.
type scope struct {
	c      *compiler
	g      *graphdef.Graph
	tree   *flow.Tree
	slots  map[graphdef.Output]int32
	tokens map[*graphdef.Node]int32 // slots that are dead when a node without outputs is
	needed map[*graphdef.Node]bool
	given  map[*graphdef.Node]bool             // needed nodes that nothing computes: they are fed, or arguments
	after  map[*graphdef.Node][]*graphdef.Node // what nodes wait for beside what the graph says: initializers of tables
	fused  *fusion
	fn     *graphdef.Function // whose body g is, nil for the outer graph
	caller *graphdef.Node     // the node of the outer graph from which fn came to be called
}

func (c *compiler) newSlot() int32 { c.numSlots++; return int32(c.numSlots - 1) }

func (c *compiler) constSlot(t *tensor.Tensor) int32 {
	s := c.newSlot()
	c.constOf[s] = t
	return s
}

func (c *compiler) compile(g *graphdef.Graph) (*Plan, error) {
	g = readReferences(g)
	sc := &scope{c: c, g: g, slots: map[graphdef.Output]int32{}, after: map[*graphdef.Node][]*graphdef.Node{}}
	c.functions = make(map[string]*graphdef.Function, len(g.Functions()))
	for _, f := range g.Functions() {
		c.functions[f.Name] = f
	}
	var fetches []graphdef.Output
	if len(c.opts.Fetches) == 0 {
		return nil, errors.New("no fetches given; name at least one")
	}
	for _, name := range c.opts.Fetches {
		o, err := Resolve(g, name)
		if err != nil {
			return nil, fmt.Errorf("fetch %w", err)
		}
		if isReference(o) {
			o = readNode(g, o).Out(0)
		}
		fetches = append(fetches, o)
	}
	p := &Plan{kernels: c.kernels, root: &block{}, maxBytes: c.opts.MaxBytes, assets: c.opts.Assets}
	for _, name := range c.opts.Feeds {
		o, err := Resolve(g, name)
		if err != nil {
			return nil, fmt.Errorf("feed %w", err)
		}
		p.feeds = append(p.feeds, sc.feed(name, o))
	}
	sc.need(fetches, nil)
	if fill := sc.addInitializers(); len(fill) > 0 {
		sc.need(fetches, fill)
	}
	if len(c.opts.Feeds) == 0 {
		for _, n := range g.Nodes() {
			if n.Op() == "Placeholder" && sc.needed[n] {
				p.feeds = append(p.feeds, sc.feed(n.Name(), n.Out(0)))
				sc.given[n] = true
			}
		}
	}
	if err := sc.prepare(fetches); err != nil {
		return nil, err
	}
	if err := sc.emitRegion(sc.tree.Root, p.root); err != nil {
		return nil, err
	}
	if len(c.missing.nodes) > 0 {
		return nil, sc.unsupported(fetches)
	}
	for i, o := range fetches {
		slot, ok := sc.slots[o]
		if !ok {
			return nil, o.Node.Errorf("is fetched as %q, but lies inside a loop or has no such output", c.opts.Fetches[i])
		}
		p.fetches = append(p.fetches, endpoint{name: c.opts.Fetches[i], slot: slot})
	}
	c.foldConstants(p.root)
	c.dropExits(p)
	c.growCaches(p.root)
	c.hoist(p.root)
	c.specialize(p)
	c.readShapes(p)
	keep := map[int32]bool{}
	for _, f := range p.fetches {
		keep[f.slot] = true
	}
	c.setLifetimes([]*block{p.root}, keep, nil)
	foldRepeats(p)
	eachBlock(p.root, lookAhead)
	c.layOut(p)
	eachBlock(p.root, lookNear)
	c.findLeavers(p)
	p.numSlots = c.numSlots
	p.consts = c.usedConstants(p)
	return p, nil
}

// feed makes o a feed.
func (sc *scope) feed(name string, o graphdef.Output) endpoint {
	slot := sc.c.newSlot()
	sc.slots[o] = slot
	e := endpoint{name: name, slot: slot}
	if d, err := o.Node.OutputType(o.Index); err == nil {
		e.dtype = d.Base()
	}
	if a, ok := o.Node.Attr("shape"); ok && o.Index == 0 && strings.HasPrefix(o.Node.Op(), "Placeholder") {
		e.shape, _ = a.AsShape()
		// Before producer 22 an empty shape meant that nothing was said.
		if r, known := e.shape.Rank(); known && r == 0 && o.Node.Op() == "Placeholder" && sc.g.Versions.Producer <= 21 {
			e.shape = tensor.PartialShape{}
		}
	}
	return e
}

// need finds the nodes that the outputs and the nodes to run depend on, not looking behind outputs that already have a slot
// (feeds, arguments). Of a node that has one, the others are computed if they are read; to wait for it is to wait for the feed.
func (sc *scope) need(outputs []graphdef.Output, run []*graphdef.Node) {
	sc.needed, sc.given = map[*graphdef.Node]bool{}, map[*graphdef.Node]bool{}
	fed := map[*graphdef.Node]bool{}
	for o := range sc.slots {
		fed[o.Node] = true
	}
	computed := map[*graphdef.Node]bool{}
	var stack []*graphdef.Node
	read := func(o graphdef.Output) {
		if _, ok := sc.slots[o]; ok {
			sc.needed[o.Node] = true
		} else {
			stack = append(stack, o.Node)
		}
	}
	wait := func(n *graphdef.Node) {
		if fed[n] {
			sc.needed[n] = true
		} else {
			stack = append(stack, n)
		}
	}
	for _, o := range outputs {
		read(o)
	}
	for _, n := range run {
		wait(n)
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if computed[n] {
			continue
		}
		sc.needed[n], computed[n] = true, true
		for _, in := range n.Inputs() {
			read(in)
		}
		for _, c := range n.Controls() {
			wait(c)
		}
	}
	for n := range sc.needed {
		sc.given[n] = !computed[n]
	}
}

// prepare checks and analyses the scope's graph: regions, order, what can be dead, fusions.
func (sc *scope) prepare(results []graphdef.Output) error {
	if err := sc.check(); err != nil {
		return err
	}
	tree, err := flow.Analyze(sc.g)
	if err != nil {
		return err
	}
	sc.tree = tree
	sc.tokens = map[*graphdef.Node]int32{}
	sc.fused = newFusion(sc, results)
	return nil
}

// emitRegion appends the steps of the needed nodes of r to b, inner loops included, in topological order.
func (sc *scope) emitRegion(r *flow.Region, b *block) error {
	list, err := sc.arrange(r)
	if err != nil {
		return err
	}
	return sc.emit(list, b)
}

// emit appends the steps of the members to b.
func (sc *scope) emit(list []member, b *block) error {
	for _, m := range list {
		var err error
		if m.loop != nil {
			err = sc.emitLoop(m.loop, b)
		} else {
			err = sc.emitNode(m.node, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passThrough are the ops whose output is their input: they have no step, only a second name for a slot.
var passThrough = map[string]bool{
	"Identity": true, "StopGradient": true, "PreventGradient": true, "Snapshot": true, "PlaceholderWithDefault": true,
	"DebugGradientIdentity": true, "GuaranteeConst": true, "Copy": true, "CopyHost": true,
}

// emitNode appends the step of n, if it needs one.
func (sc *scope) emitNode(n *graphdef.Node, b *block) error {
	if sc.given[n] {
		return sc.observeGiven(n, b)
	}
	if sc.fused.interior[n] {
		return nil
	}
	if f := sc.fused.steps[n]; f != nil {
		return sc.emitFused(n, f, b)
	}
	switch op := n.Op(); {
	case op == "Const" && !sc.controlsMayDie(n):
		t, err := n.Tensor("value")
		if err != nil {
			return n.Errorf("%w", err)
		}
		if err := sc.c.allowConst(n, t); err != nil {
			return n.Errorf("%w", err)
		}
		sc.slots[n.Out(0)] = sc.c.constSlot(t)
		return sc.observeAtStart(n.Out(0), b)
	case passThrough[op] && n.NumInputs() == 1 && !sc.controlsMayDie(n):
		in, err := sc.slot(n.Input(0), n)
		if err != nil {
			return err
		}
		sc.slots[n.Out(0)] = in
		return sc.observeAtStart(n.Out(0), b)
	case op == "Placeholder":
		return n.Errorf("is needed by the fetches, but is not fed; feed it or fetch something else")
	case op == "NoOp" || op == "ControlTrigger":
		if op == "NoOp" && sc.controlsMayDie(n) {
			return sc.emitToken(n, b)
		}
		return nil
	case sc.c.isCall(n):
		return sc.emitCall(n, b)
	case isBranch(op):
		return sc.emitBranch(n, b)
	case isWhile(op):
		return sc.emitWhile(n, b)
	case op == "For":
		return sc.emitFor(n, b)
	case op == "MapDefun":
		return sc.emitMap(n, b)
	case op == "ReadVariableOp" && n.NumInputs() == 1 && !sc.controlsMayDie(n):
		// What freezing left of a variable is its value, which the compiler is to know.
		if slot, ok := sc.slots[n.Input(0)]; ok && sc.c.constOf[slot] != nil {
			sc.put(n.Out(0), slot)
			return sc.observeAtStart(n.Out(0), b)
		}
	case op == "ResourceGather" || op == "ResourceGatherNd":
		return sc.emitResourceGather(n, b)
	case op == "Bitcast" && n.NumInputs() == 1 && !sc.controlsMayDie(n):
		// Codes of weights pass function calls as integers; the body's products are to know them.
		if slot, ok := sc.slots[n.Input(0)]; ok {
			if t := recast(sc.c.constOf[slot], n); t != nil {
				sc.put(n.Out(0), sc.c.constSlot(t))
				return sc.observeAtStart(n.Out(0), b)
			}
		}
	}
	return sc.emitStep(n, n.Inputs(), b)
}

// recast returns constant t as the dtype of Bitcast n; nil where that changes its shape, or t is nil.
func recast(t *tensor.Tensor, n *graphdef.Node) *tensor.Tensor {
	to, err := n.Type("type")
	if t == nil || err != nil || t.DType().Size() == 0 || t.DType().Size() != to.Size() {
		return nil
	}
	return t.As(to)
}

// emitResourceGather appends a step that reads the variable, and the step of n, which takes its value.
func (sc *scope) emitResourceGather(n *graphdef.Node, b *block) error {
	if n.NumInputs() != 2 {
		return n.Errorf("have %d inputs, want 2", n.NumInputs())
	}
	in, err := sc.slot(n.Input(0), n)
	if err != nil || sc.c.constOf[in] != nil {
		return cmp.Or(err, sc.emitStep(n, n.Inputs(), b))
	}
	read := step{name: n.Name(), op: n.Op(), in: []int32{in}, out: []int32{sc.c.newSlot()}, stateful: true,
		eval: func(c *call) error { return c.readVariable(0, 0, tensor.Invalid) }}
	sc.markDeath(n, &read)
	b.steps = append(b.steps, read)
	if err := sc.emitStep(n, n.Inputs(), b); err != nil {
		return err
	}
	b.steps[len(b.steps)-1].in[0] = read.out[0]
	return nil
}

// emitStep appends the ordinary step of n.
func (sc *scope) emitStep(n *graphdef.Node, inputs []graphdef.Output, b *block) error {
	newEval, ok := lookupEvaluator(n.Op())
	if !ok {
		sc.noteMissing(n)
		for i := range max(1, sc.outputsRead(n)) {
			sc.slots[n.Out(i)] = sc.c.newSlot()
		}
		return nil
	}
	eval, err := newEval(n, sc.c.kernels)
	if err != nil {
		var ne *graphdef.NodeError
		if errors.As(err, &ne) {
			return err
		}
		return n.Errorf("%w", err)
	}
	num, err := n.NumOutputs()
	if err != nil {
		return err
	}
	st := step{name: n.Name(), op: n.Op(), eval: eval, specialize: specializerOf(n), stateful: isStateful(n.Op()), rows: ruleOf(n),
		shape: newShapeRule(n), dimsIn: dimsOperands[n.Op()]}
	for _, in := range inputs {
		slot, err := sc.slot(in, n)
		if err != nil {
			return err
		}
		st.in = append(st.in, slot)
	}
	for i := range num {
		slot := sc.c.newSlot()
		sc.put(n.Out(i), slot)
		st.out = append(st.out, slot)
	}
	sc.markDeath(n, &st)
	sc.observeOutputs(n, &st)
	b.steps = append(b.steps, st)
	return nil
}

// put notes where o is, unless it is fed: then nobody reads what is computed.
func (sc *scope) put(o graphdef.Output, slot int32) {
	if _, fed := sc.slots[o]; !fed {
		sc.slots[o] = slot
	}
}

// slot returns where o is; the error says who asked.
func (sc *scope) slot(o graphdef.Output, for_ *graphdef.Node) (int32, error) {
	s, ok := sc.slots[o]
	if !ok {
		return 0, for_.Errorf("reads %q, which is not computed before it in its frame; the graph has an edge across frames or %q has fewer outputs",
			o, o.Node.Name())
	}
	return s, nil
}

// outputsRead returns one more than the highest output of n that is read.
func (sc *scope) outputsRead(n *graphdef.Node) int {
	most := 0
	for _, u := range n.Users() {
		if u.Input != graphdef.ControlInput {
			most = max(most, u.Node.Input(u.Input).Index+1)
		}
	}
	return most
}

// markDeath notes how a step of n can be dead: through its inputs, its controls, or because it is a Switch.
func (sc *scope) markDeath(n *graphdef.Node, st *step) {
	st.merge = n.Op() == "Merge" || n.Op() == "RefMerge"
	isSwitch := n.Op() == "Switch" || n.Op() == "RefSwitch" || n.Op() == "_SwitchN"
	for _, in := range st.in {
		st.mayDie = st.mayDie || sc.c.mayDie[in]
	}
	if n.Op() != "ControlTrigger" {
		for _, ctrl := range n.Controls() {
			if t, ok := sc.deathToken(ctrl); ok {
				st.controls = append(st.controls, t)
				st.mayDie = true
			}
		}
	}
	if !st.mayDie && !isSwitch {
		return
	}
	when := sc.c.aliveWhen(st)
	if st.merge && when != nil && len(when) == 0 {
		return // one of its inputs is alive always
	}
	if len(st.out) == 0 {
		t := sc.c.newSlot()
		st.out = []int32{t}
		sc.tokens[n] = t
	}
	for i, o := range st.out {
		sc.c.mayDie[o] = true
		switch {
		case !isSwitch:
			sc.c.aliveIf[o] = when
		case n.Op() != "_SwitchN":
			sc.c.aliveIf[o] = when.and(conditions{st.in[1]: i == 1})
		}
	}
}

// deathToken returns a slot that is dead when n does not run, if that can happen. For a node of several outputs of which
// some can be dead alone (Switch), a control edge waits for the node, which runs.
func (sc *scope) deathToken(n *graphdef.Node) (int32, bool) {
	if t, ok := sc.tokens[n]; ok {
		return t, true
	}
	switch n.Op() {
	case "Switch", "RefSwitch":
		s, ok := sc.slots[n.Input(0)]
		return s, ok && sc.c.mayDie[s]
	}
	s, ok := sc.slots[n.Out(0)]
	return s, ok && sc.c.mayDie[s]
}

func (sc *scope) controlsMayDie(n *graphdef.Node) bool {
	for _, c := range n.Controls() {
		if _, ok := sc.deathToken(c); ok {
			return true
		}
	}
	return false
}

// emitToken appends a step without effect that is dead when n is.
func (sc *scope) emitToken(n *graphdef.Node, b *block) error {
	st := step{name: n.Name(), op: n.Op(), eval: func(*call) error { return nil }}
	sc.markDeath(n, &st)
	b.steps = append(b.steps, st)
	return nil
}
