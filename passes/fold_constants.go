package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// FoldConstants computes, with the interpreter's own kernels, what depends on constants only:
//
//	Const -> Transpose -> MatMul   becomes   Const -> MatMul
//
// inside loops too. The new Const has the name of the node whose value it is, and what waited for that node waits for it. A
// constant that a loop reads through Enter is folded outside and enters in its turn; one that a control edge ties to a frame or
// a branch hands that edge on. Random numbers, nodes with state, results that would make the file grow by more than maxGrowth
// and what the interpreter cannot compute stay; so do Dequantize and its like, or a quantized graph would turn into a float one.
var FoldConstants = Pass{
	Name: "fold-constants",
	Doc:  "compute what depends on constants only",
	Run:  foldConstants,
}

const (
	// maxGrowth is the most bytes that a folded constant may have beyond those of the constants it is computed from.
	maxGrowth = 64 << 10
	// maxFolded is the most bytes that a value on the way may have, and all Consts together that the file does not spell out.
	maxFolded = 256 << 20
	// maxAnchors is the most control edges that a folded constant may need to stay in its frame and branch.
	maxAnchors = 4
)

// unfolded are the ops that stay although they read constants: they are how a quantized graph keeps its weights small, or what
// simulates quantization.
var unfolded = map[string]bool{
	"Dequantize": true, "FakeQuantWithMinMaxArgs": true, "FakeQuantWithMinMaxVars": true,
	"FakeQuantWithMinMaxVarsPerChannel": true, "QuantizeAndDequantize": true, "QuantizeAndDequantizeV2": true,
	"QuantizeAndDequantizeV3": true, "QuantizeAndDequantizeV4": true, "QuantizeAndDequantizeV4Grad": true,
}

func foldConstants(ctx context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		if err := s.foldConstants(ctx); err != nil {
			return err
		}
	}
	return nil
}

// known is a node whose outputs are constant.
type known struct {
	values  []*tensor.Tensor
	bytes   int              // of the constants that it is computed from
	anchors []*graphdef.Node // what it must wait for to be in its frame and branch
	entered bool             // the value comes through an Enter
	folded  bool             // it is to be replaced, not a Const or what hands one on
	read    bool             // something read it before
}

// folder is one run on one graph.
type folder struct {
	s     *scope
	tree  *flow.Tree
	pure  *purity
	place *placer
	nodes map[*graphdef.Node]*known
	// filled are the bytes of the Consts of which the file spells out less.
	filled int
}

func (s *scope) foldConstants(ctx context.Context) error {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return err
	}
	order, err := s.g.Order()
	if err != nil {
		return err
	}
	f := &folder{s: s, tree: tree, pure: newPurity(s.lib, false), place: newPlacer(s.g, tree, s.pass), nodes: map[*graphdef.Node]*known{}}
	for _, n := range order {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if k := f.know(ctx, n); k != nil {
			k.read = len(n.Users()) > 0
			f.nodes[n] = k
		}
	}
	changed := false
	for _, n := range order {
		if k := f.nodes[n]; k != nil && k.folded && f.wanted(n) && f.fits(n, k) {
			f.replace(n, k)
			changed = true
		}
	}
	if changed {
		f.dropUnread()
	}
	return nil
}

// know returns what n's outputs are, nil where they are not constant. Its inputs have been looked at.
func (f *folder) know(ctx context.Context, n *graphdef.Node) *known {
	if f.s.fed(n) {
		return nil
	}
	if n.Op() == "Const" {
		t, err := n.Tensor("value")
		if err != nil || t.DType() == tensor.Resource || t.DType() == tensor.Variant {
			return nil
		}
		k := &known{values: []*tensor.Tensor{t}, bytes: bytesOf(t)}
		// Values of which the file spells out little are held as long as the pass runs: not without end.
		if a, _ := n.Attr("value"); a.Stored() == nil && len(a.Wire()) < k.bytes {
			if f.filled += k.bytes; f.filled > maxFolded {
				return nil
			}
		}
		f.wait(k, n)
		return k
	}
	if n.NumInputs() == 0 || unfolded[n.Op()] {
		return nil
	}
	k := &known{}
	var inputs []*tensor.Tensor
	for _, in := range n.Inputs() {
		from := f.nodes[in.Node]
		if from == nil || in.Index >= len(from.values) {
			return nil
		}
		k.join(from)
		inputs = append(inputs, from.values[in.Index])
	}
	f.wait(k, n)
	if len(k.anchors) > maxAnchors {
		return nil
	}
	switch n.Op() {
	case "Enter":
		// Anchors of the region around mean nothing inside.
		constant, _ := n.Bool("is_constant")
		if !constant || len(k.anchors) > 0 {
			return nil
		}
		k.values, k.entered = inputs, true
		return k
	case "Identity", "Snapshot", "StopGradient", "PreventGradient":
		k.values = inputs
		return k
	}
	if isControlFlow(n) || !f.pure.pure(n) || widens(n, inputs) {
		return nil
	}
	values, ok := evaluate(ctx, n, inputs, f.s.lib)
	if !ok {
		return nil
	}
	k.values, k.folded = values, true
	return k
}

// wait adds what n waits for; for a node that may be folded, what that one needs.
func (f *folder) wait(k *known, n *graphdef.Node) {
	for _, c := range n.Controls() {
		if from := f.nodes[c]; from != nil {
			k.anchor(from.anchors...)
		} else {
			k.anchor(c)
		}
	}
}

// join adds what from needs.
func (k *known) join(from *known) {
	k.bytes += from.bytes
	k.entered = k.entered || from.entered
	k.anchor(from.anchors...)
}

func (k *known) anchor(nodes ...*graphdef.Node) {
	for _, n := range nodes {
		if !slices.Contains(k.anchors, n) {
			k.anchors = append(slices.Clip(k.anchors), n)
		}
	}
}

// widens reports whether n turns many 8-bit codes into wider numbers: weights that are stored small on purpose.
func widens(n *graphdef.Node, inputs []*tensor.Tensor) bool {
	return n.Op() == "Cast" && inputs[0].DType().Size() == 1 && inputs[0].DType() != tensor.Bool && inputs[0].Len() > 64
}

// wanted reports whether something that is not folded itself reads n or waits for it.
func (f *folder) wanted(n *graphdef.Node) bool {
	if f.s.fixed(n) {
		return true
	}
	return slices.ContainsFunc(n.Users(), func(u graphdef.Use) bool {
		k := f.nodes[u.Node]
		return k == nil || !k.folded || !f.fits(u.Node, k)
	})
}

// fits reports whether n can be replaced by constants.
func (f *folder) fits(n *graphdef.Node, k *known) bool {
	size := 0
	for i, t := range k.values {
		if i == 0 || len(n.UsesOf(i)) > 0 {
			size += bytesOf(t)
		}
	}
	if size > k.bytes+maxGrowth {
		return false
	}
	// Other outputs become nodes with other names.
	if len(k.values) != 1 && f.s.fixed(n) {
		return false
	}
	// A constant outside of the loop cannot be dead where a branch inside is.
	return !k.entered || len(k.anchors) == 0 && len(f.tree.Guards(n)) == 0
}

// replace puts constants in the place of n.
func (f *folder) replace(n *graphdef.Node, k *known) {
	for i, t := range k.values {
		uses := n.UsesOf(i)
		if i == 0 || len(uses) == 0 {
			continue
		}
		o := f.constant(n, n.Name()+"/"+itoa(i), t, k)
		for _, u := range uses {
			u.Node.SetInput(u.Input, o)
			f.s.change(u.Node)
		}
	}
	c := f.constant(n, n.Name()+"/folded", k.values[0], k).Node
	c.Device = n.Device
	must(f.s.g.TakeOver(n, c))
	f.s.env.Rewrote()
}

// constant adds a Const that can be read where n could.
func (f *folder) constant(n *graphdef.Node, name string, t *tensor.Tensor, k *known) graphdef.Output {
	if k.entered {
		return f.place.constant(name, t, f.tree.Of(n))
	}
	o := f.place.constant(name, t, nil)
	for _, a := range k.anchors {
		o.Node.AddControl(a)
	}
	return o
}

// dropUnread removes the folded nodes and constants that something read before and nothing does now.
func (f *folder) dropUnread() {
	left := map[*graphdef.Node]int{}
	for _, n := range f.s.g.Nodes() {
		left[n] = len(n.Users())
	}
	dead := map[*graphdef.Node]bool{}
	var stack []*graphdef.Node
	consider := func(n *graphdef.Node) {
		if k := f.nodes[n]; k != nil && k.read && left[n] == 0 && !f.s.fixed(n) {
			dead[n] = true
			stack = append(stack, n)
		}
	}
	for _, n := range slices.Clone(f.s.g.Nodes()) {
		consider(n)
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, in := range n.Inputs() {
			left[in.Node]--
			consider(in.Node)
		}
		for _, c := range n.Controls() {
			left[c]--
			consider(c)
		}
	}
	f.s.remove(func(n *graphdef.Node) bool { return dead[n] })
}

func bytesOf(t *tensor.Tensor) int {
	size := t.Len() * t.DType().Size()
	if t.DType() == tensor.String {
		for _, s := range t.Strings() {
			size += len(s)
		}
	}
	return size
}
