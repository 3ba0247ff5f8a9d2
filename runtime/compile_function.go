package runtime

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// maxCallDepth bounds how deep functions call each other; recursion is refused before it is reached.
const maxCallDepth = 200

// maxInlined bounds the nodes of all calls together: functions of a few nodes each, which call the next one twice, are as many
// as there are atoms.
const maxInlined = 1 << 18

// isCall reports whether n calls one function with all its inputs.
func (c *compiler) isCall(n *graphdef.Node) bool {
	switch n.Op() {
	case "PartitionedCall", "StatefulPartitionedCall", "RemoteCall", "XlaLaunch":
		return true
	}
	if c.functions[n.Op()] == nil {
		return false
	}
	_, stock := graphdef.Lookup(n.Op())
	return !stock
}

func isWhile(op string) bool {
	switch op {
	case "While", "StatelessWhile", "XlaWhile":
		return true
	}
	return false
}

func isBranch(op string) bool {
	switch op {
	case "If", "StatelessIf", "XlaIf", "Case", "StatelessCase":
		return true
	}
	return false
}

// inline compiles the body of function name, with its arguments in the given slots, into b, and returns the slots of its
// results.
func (sc *scope) inline(n *graphdef.Node, name string, args []int32, b *block) ([]int32, error) {
	f := sc.c.functions[name]
	if f == nil {
		return nil, n.Errorf("calls function %q, which the graph's library does not have", name)
	}
	if slices.Contains(sc.c.calls, name) || len(sc.c.calls) > maxCallDepth {
		return nil, n.Errorf("function %q calls itself (%s); recursion is not supported", name, strings.Join(sc.c.calls, " > "))
	}
	if len(args) != len(f.Args) {
		return nil, n.Errorf("function %q takes %d arguments, have %d", name, len(f.Args), len(args))
	}
	if sc.c.inlined += len(f.Body.Nodes()); sc.c.inlined > maxInlined {
		return nil, n.Errorf("function %q: the calls of the graph come to more than %d nodes", name, maxInlined)
	}
	sc.c.calls = append(sc.c.calls, name)
	defer func() { sc.c.calls = sc.c.calls[:len(sc.c.calls)-1] }()
	in := &scope{c: sc.c, g: f.Body, fn: f, caller: sc.caller, slots: map[graphdef.Output]int32{}}
	if in.caller == nil {
		in.caller = n
	}
	for i, a := range f.Args {
		in.slots[a.Out(0)] = args[i]
	}
	var results []graphdef.Output
	for _, r := range f.Rets {
		if r.NumInputs() != 1 {
			return nil, r.Errorf("in function %q: have %d inputs, want 1", name, r.NumInputs())
		}
		results = append(results, r.Input(0))
	}
	in.need(results, f.ControlRet)
	if err := in.prepare(results); err != nil {
		return nil, err
	}
	if err := in.emitRegion(in.tree.Root, b); err != nil {
		return nil, fmt.Errorf("in function %q: %w", name, err)
	}
	out := make([]int32, len(results))
	for i, o := range results {
		s, err := in.slot(o, f.Rets[i])
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

// slotsOf returns the slots of n's data inputs.
func (sc *scope) slotsOf(n *graphdef.Node) ([]int32, error) {
	var out []int32
	for _, in := range n.Inputs() {
		s, err := sc.slot(in, n)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// emitCall inlines the function that n calls. Where the call can be dead, nothing of it may run: it then is a branch of one way.
func (sc *scope) emitCall(n *graphdef.Node, b *block) error {
	name := n.Op()
	for _, attr := range []string{"f", "function"} {
		if a, ok := n.Attr(attr); ok {
			if f, _, ok := a.AsFunc(); ok {
				name = f
			}
		}
	}
	args, err := sc.slotsOf(n)
	if err != nil {
		return err
	}
	if n.Op() == "RemoteCall" && len(args) > 0 {
		args = args[1:] // where to run it
	}
	if sc.controlsMayDie(n) || slices.ContainsFunc(args, func(s int32) bool { return sc.c.mayDie[s] }) {
		return sc.emitBlocks(n, &branch{}, []string{name}, args, nil, b)
	}
	results, err := sc.inline(n, name, args, b)
	if err != nil {
		return err
	}
	for i, s := range results {
		sc.put(n.Out(i), s)
		if err := sc.observeAtStart(n.Out(i), b); err != nil {
			return err
		}
	}
	return nil
}

// functionAttr returns the function name in attribute name of n.
func functionAttr(n *graphdef.Node, name string) (string, error) {
	if a, ok := n.Attr(name); ok {
		if f, _, ok := a.AsFunc(); ok {
			return f, nil
		}
	}
	return "", n.Errorf("attribute %q names no function", name)
}

// emitWhile appends the step of a functional While: inputs and outputs are the loop variables.
func (sc *scope) emitWhile(n *graphdef.Node, b *block) error {
	condName, err := functionAttr(n, "cond")
	if err != nil {
		return err
	}
	bodyName, err := functionAttr(n, "body")
	if err != nil {
		return err
	}
	inits, err := sc.slotsOf(n)
	if err != nil {
		return err
	}
	l := &loop{}
	st := step{name: n.Name(), op: n.Op(), loop: l, in: inits}
	// A variable that the body returns as it came is the same in every iteration: it needs no slot of its own, and what
	// depends on it alone (a weight) stays known to the compiler.
	// Not where the loop can be dead: its outputs then are, though such a variable's input may live.
	same := map[int]bool{}
	if !sc.controlsMayDie(n) && !slices.ContainsFunc(inits, func(s int32) bool { return sc.c.mayDie[s] }) {
		same = unchangedArgs(sc.c.functions[bodyName])
	}
	cur := make([]int32, len(inits))
	for i := range inits {
		cur[i] = inits[i]
		if !same[i] {
			cur[i] = sc.c.newSlot()
		}
	}
	pred, err := sc.inline(n, condName, cur, &l.cond)
	if err != nil {
		return err
	}
	if len(pred) != 1 {
		return n.Errorf("condition %q returns %d values, want 1", condName, len(pred))
	}
	l.pred = sc.truth(n, pred[0], &l.cond)
	next, err := sc.inline(n, bodyName, cur, &l.body)
	if err != nil {
		return err
	}
	if len(next) != len(inits) {
		return n.Errorf("body %q returns %d values for %d loop variables", bodyName, len(next), len(inits))
	}
	for i := range inits {
		if same[i] {
			sc.put(n.Out(i), inits[i])
			continue
		}
		exit := sc.c.newSlot()
		l.vars = append(l.vars, loopVar{init: inits[i], cur: cur[i], next: next[i], exit: exit})
		sc.put(n.Out(i), exit)
		st.out = append(st.out, exit)
	}
	sc.markDeath(n, &st)
	for i := range inits {
		if !same[i] {
			sc.observeResult(n.Out(i), &st)
		}
	}
	b.steps = append(b.steps, st)
	return nil
}

// unchangedArgs reports for each argument of a loop body whether it is returned in its own place.
func unchangedArgs(f *graphdef.Function) map[int]bool {
	same := map[int]bool{}
	if f == nil || len(f.Args) != len(f.Rets) {
		return same
	}
	for i, r := range f.Rets {
		if r.NumInputs() != 1 {
			continue
		}
		o := r.Input(0)
		// Nodes that feed each other in a circle end no walk.
		for steps := len(f.Body.Nodes()); steps > 0 && passThrough[o.Node.Op()] && o.Node.NumInputs() == 1 && len(o.Node.Controls()) == 0; steps-- {
			o = o.Node.Input(0)
		}
		same[i] = o.Node == f.Args[i]
	}
	return same
}

// truth appends a step that turns a value into a bool as If and While do, and returns its slot.
func (sc *scope) truth(n *graphdef.Node, slot int32, b *block) int32 {
	out := sc.c.newSlot()
	b.steps = append(b.steps, step{name: n.Name(), op: n.Op(), in: []int32{slot}, out: []int32{out},
		eval: func(c *call) error {
			v, err := truth(c.in(0))
			if err != nil {
				return err
			}
			t, err := c.alloc(0, tensor.Bool, nil)
			if err != nil {
				return err
			}
			tensor.Data[bool](t)[0] = v
			return nil
		}, rows: only(func(r *rowCheck) rowForm {
			if r.is(0, formVerdict) {
				return r.form(0)
			}
			return rowForm{}
		})})
	return out
}

// emitBranch appends the step of an If or Case.
func (sc *scope) emitBranch(n *graphdef.Node, b *block) error {
	var names []string
	choose := chooseCase
	if strings.HasSuffix(n.Op(), "If") {
		then, err := functionAttr(n, "then_branch")
		if err != nil {
			return err
		}
		els, err := functionAttr(n, "else_branch")
		if err != nil {
			return err
		}
		names, choose = []string{then, els}, chooseIf
	} else if a, ok := n.Attr("branches"); ok {
		names, _ = a.AsFuncs()
	}
	if len(names) == 0 || n.NumInputs() == 0 {
		return n.Errorf("has no branches or no input to choose by")
	}
	in, err := sc.slotsOf(n)
	if err != nil {
		return err
	}
	br := &branch{choose: func(t *tensor.Tensor) (int, error) { return choose(t, len(names)) }}
	return sc.emitBlocks(n, br, names, in[1:], in[:1], b)
}

// emitBlocks appends the step of br, whose blocks are the functions of the given names called with args; index is the slot
// that it chooses by, if it has one.
func (sc *scope) emitBlocks(n *graphdef.Node, br *branch, names []string, args, index []int32, b *block) error {
	br.blocks = make([]block, len(names))
	st := step{name: n.Name(), op: n.Op(), branch: br, in: slices.Concat(index, args)}
	for i, name := range names {
		results, err := sc.inline(n, name, args, &br.blocks[i])
		if err != nil {
			return err
		}
		if i > 0 && len(results) != len(br.results[0]) {
			return n.Errorf("branch %q returns %d values, %q returns %d", name, len(results), names[0], len(br.results[0]))
		}
		br.results = append(br.results, results)
	}
	for i := range br.results[0] {
		slot := sc.c.newSlot()
		sc.put(n.Out(i), slot)
		st.out = append(st.out, slot)
	}
	sc.markDeath(n, &st)
	sc.observeOutputs(n, &st)
	b.steps = append(b.steps, st)
	return nil
}

// chooseIf returns the branch of an If: 0 for then, 1 for else.
func chooseIf(t *tensor.Tensor, _ int) (int, error) {
	v, err := truth(t)
	if v {
		return 0, err
	}
	return 1, err
}

// chooseCase returns the branch of a Case: any index that is out of range means the last.
func chooseCase(t *tensor.Tensor, branches int) (int, error) {
	if t.DType() != tensor.Int32 || t.Len() != 1 {
		return 0, fmt.Errorf("branch index is %v %v, want an int32 scalar", t.DType(), t.Shape())
	}
	i := int(tensor.Data[int32](t)[0])
	if i < 0 || i >= branches {
		i = branches - 1
	}
	return i, nil
}

// truth is TensorFlow's reading of a condition: a number that is not 0, a string that is not empty, or, where t is no
// scalar, having elements.
func truth(t *tensor.Tensor) (bool, error) {
	if t.Rank() > 0 {
		return t.Len() > 0, nil
	}
	if t.DType() == tensor.String {
		return t.Strings()[0] != "", nil
	}
	switch t.DType() {
	case tensor.Float32:
		return tensor.Data[float32](t)[0] != 0, nil
	case tensor.Float64:
		return tensor.Data[float64](t)[0] != 0, nil
	case tensor.Resource, tensor.Variant, tensor.Float16, tensor.Bfloat16:
		return false, fmt.Errorf("a condition cannot be %v", t.DType())
	}
	for _, b := range t.Bytes() {
		if b != 0 {
			return true, nil
		}
	}
	return false, nil
}
