package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// QuantizeCache keeps a decoder's cache in INT8: where codes are made of a value that a loop carries and only moves about,
//
//	cache -> ConcatV2(cache, new) -> GatherNd(beams) -> cache     with     ConcatV2 -> QuantizeV2 -> Bitcast -> BatchMatMulV3
//
// the values are quantized before they enter the cache, and every node of the circle moves codes. Reordering the beams then
// moves a quarter of the bytes (the paper's quantized GatherNd). Codes are the same as before: moving and quantizing commute.
var QuantizeCache = Pass{
	Name: "quantize-cache",
	Doc:  "hold decoder caches as INT8 codes, so that beam reordering moves a quarter of the bytes (target tfq8)",
	Run:  quantizeCache,
}

// movers are the ops that put elements elsewhere and do not change them, with the attribute that holds their dtype and the
// data inputs that carry elements (from, to; to < 0 counts from the end).
var movers = map[string]struct {
	attr     string
	from, to int
}{
	"Identity": {"T", 0, 1}, "Enter": {"T", 0, 1}, "Merge": {"T", 0, 2}, "Switch": {"T", 0, 1}, "NextIteration": {"T", 0, 1},
	"Reshape": {"T", 0, 1}, "ExpandDims": {"T", 0, 1}, "Squeeze": {"T", 0, 1}, "Transpose": {"T", 0, 1},
	"ConcatV2": {"T", 0, -1}, "GatherNd": {"Tparams", 0, 1}, "GatherV2": {"Tparams", 0, 1}, "Tile": {"T", 0, 1},
	"Slice": {"T", 0, 1}, "StridedSlice": {"T", 0, 1},
	// What a functional loop carries comes into its body by an argument and leaves it by a result.
	"_Arg": {"T", 0, 0}, "_Retval": {"T", 0, 1},
}

// carried returns the inputs of mover n that carry elements.
func carried(n *graphdef.Node) []graphdef.Output {
	m := movers[n.Op()]
	to := m.to
	if to < 0 {
		to += n.NumInputs()
	}
	return n.Inputs()[m.from:min(to, n.NumInputs())]
}

func quantizeCache(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		for again := true; again; {
			// Every rewrite changes the graph that the tree describes.
			tree, err := flow.Analyze(s.g)
			if err != nil {
				return err
			}
			again = false
			loop := s.loopOf()
			for _, n := range s.g.Nodes() {
				if c := s.newCache(n, tree, loop); c != nil {
					c.rewrite(newPlacer(s.g, tree, s.pass))
					env.Rewrote()
					again = true
					break
				}
			}
		}
	}
	return nil
}

// functionLoop is a While node, in the graph or body that it belongs to.
type functionLoop struct {
	*scope
	sinkable
}

// loopOf returns the While whose body s is; nil if there is none, or others call the body or the condition too.
func (s *scope) loopOf() *functionLoop {
	if s.fn == nil {
		return nil
	}
	uses := s.env.functionUses(s.lib)
	for _, t := range s.env.scopes(s.lib) {
		for _, n := range t.g.Nodes() {
			if c, ok := t.sinkableOf(n); ok && c.loop && c.roles[1].fn == s.fn && uses[s.fn.Name] == 1 && uses[c.roles[0].fn.Name] == 1 {
				return &functionLoop{t, c}
			}
		}
	}
	return nil
}

// cache is the nodes that move one carried value, found from a QuantizeV2 that reads it.
type cache struct {
	*scope
	tree     *flow.Tree
	loop     *functionLoop  // whose body the nodes are in; nil: a loop of frames
	quantize *graphdef.Node // the pattern of all quantizations of the value
	bits     *graphdef.Node // its Bitcast
	members  map[*graphdef.Node]bool
	order    []*graphdef.Node // members as they were found
	sources  []graphdef.Use   // inputs of members that come from outside
	readers  []*graphdef.Node // QuantizeV2 nodes equal to quantize
	untyped  []*graphdef.Node // readers of shapes only
	hasLoop  bool
}

// newCache returns the cache that q quantizes, nil if q is no such node or the value is needed in FP32 somewhere.
func (s *scope) newCache(q *graphdef.Node, tree *flow.Tree, loop *functionLoop) *cache {
	if q.Op() != "QuantizeV2" || movers[q.Input(0).Node.Op()].attr == "" || tree.Of(q) == nil {
		return nil
	}
	if tree.Of(q).Kind != flow.KindLoop && loop == nil {
		return nil
	}
	bits := onlyBitcast(q)
	if bits == nil {
		return nil
	}
	for i := 1; i <= 2; i++ {
		if _, ok := constant(q.Input(i), tree); !ok {
			return nil
		}
	}
	c := &cache{scope: s, tree: tree, loop: loop, quantize: q, bits: bits, members: map[*graphdef.Node]bool{}}
	if !c.grow(q.Input(0).Node) || !c.hasLoop {
		return nil
	}
	return c
}

// onlyBitcast returns the Bitcast that alone reads q's codes, nil where there is none or q's range is read.
func onlyBitcast(q *graphdef.Node) *graphdef.Node {
	if len(q.Users()) != 1 || q.Users()[0].Node.Op() != "Bitcast" || q.Users()[0].Input != 0 || q.UsesOf(0) == nil {
		return nil
	}
	return q.Users()[0].Node
}

// grow collects the movers connected to n; false where something else reads or makes the value in FP32 only.
func (c *cache) grow(n *graphdef.Node) bool {
	stack := []*graphdef.Node{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if c.members[n] {
			continue
		}
		if n.Op() == "_Arg" || n.Op() == "_Retval" {
			other := c.otherEnd(n)
			if other == nil {
				return false
			}
			stack = append(stack, other)
		} else if c.fixed(n) {
			return false
		}
		c.members[n] = true
		c.order = append(c.order, n)
		c.hasLoop = c.hasLoop || n.Op() == "NextIteration" || n.Op() == "_Arg"
		for i, in := range carried(n) {
			if movers[in.Node.Op()].attr != "" && in.Index == c.elements(in.Node, in.Index) {
				stack = append(stack, in.Node)
				continue
			}
			c.sources = append(c.sources, graphdef.Use{Node: n, Input: movers[n.Op()].from + i})
		}
		for _, u := range n.Users() {
			if u.Input == graphdef.ControlInput || u.Node.Input(u.Input).Index != c.elements(n, u.Node.Input(u.Input).Index) {
				continue
			}
			switch {
			case movers[u.Node.Op()].attr != "" && c.carries(u):
				stack = append(stack, u.Node)
			case u.Node.Op() == "QuantizeV2" && u.Input == 0 && c.same(u.Node):
				if !slices.Contains(c.readers, u.Node) {
					c.readers = append(c.readers, u.Node)
				}
			case u.Node.Op() == "Shape" || u.Node.Op() == "Size" || u.Node.Op() == "Rank":
				c.untyped = append(c.untyped, u.Node)
			default:
				return false
			}
		}
	}
	return true
}

// otherEnd returns, of an argument of the loop's body, the result that is its next value, and of that the argument; nil where
// they cannot hold codes, since the condition or what comes after the loop reads the variable.
func (c *cache) otherEnd(n *graphdef.Node) *graphdef.Node {
	i, err := n.Int("index")
	if c.loop == nil || err != nil {
		return nil
	}
	cond, body := c.loop.roles[0].fn, c.loop.roles[1].fn
	if len(cond.Args[i].Users()) > 0 || len(c.loop.node.UsesOf(int(i))) > 0 {
		return nil
	}
	if n.Op() == "_Arg" {
		return body.Rets[i]
	}
	return body.Args[i]
}

// elements returns index where output index of mover n carries elements, -1 where it does not (Merge's index of the live input).
func (c *cache) elements(n *graphdef.Node, index int) int {
	if n.Op() == "Merge" && index == 1 {
		return -1
	}
	return index
}

// carries reports whether edge u brings elements and not a shape or an index.
func (c *cache) carries(u graphdef.Use) bool {
	first := movers[u.Node.Op()].from
	return u.Input >= first && u.Input < first+len(carried(u.Node))
}

// same reports whether q makes the same codes as the cache's quantization.
func (c *cache) same(q *graphdef.Node) bool {
	if q == c.quantize {
		return true
	}
	if onlyBitcast(q) == nil || c.tree.Source(q.Input(1)) != c.tree.Source(c.quantize.Input(1)) || c.tree.Source(q.Input(2)) != c.tree.Source(c.quantize.Input(2)) {
		return false
	}
	for _, name := range []string{"T", "mode", "round_mode", "narrow_range", "ensure_minimum_range", "axis"} {
		a, _ := q.Attr(name)
		b, _ := c.quantize.Attr(name)
		if !slices.Equal(a.Wire(), b.Wire()) {
			return false
		}
	}
	return true
}

// rewrite moves the quantization to the sources.
func (c *cache) rewrite(place *placer) {
	d, _ := c.bits.Type("type")
	lo, hi := c.tree.Source(c.quantize.Input(1)), c.tree.Source(c.quantize.Input(2))
	codes := map[graphdef.Output]graphdef.Output{}
	for _, u := range c.sources {
		src := u.Node.Input(u.Input)
		if _, ok := codes[src]; !ok {
			codes[src] = c.quantizeAt(src, lo, hi, place)
		}
		u.Node.SetInput(u.Input, codes[src])
	}
	for _, n := range c.order {
		if n.Op() == "_Arg" {
			c.enterLoop(n, d, lo, hi)
		}
		n.SetAttr(movers[n.Op()].attr, graphdef.TypeAttr(d))
		n.RemoveAttr("_output_shapes")
		mark(n, place.pass)
	}
	for _, n := range c.untyped {
		n.SetAttr("T", graphdef.TypeAttr(d))
		mark(n, place.pass)
	}
	for _, q := range c.readers {
		bits := onlyBitcast(q)
		place.g.ReplaceUses(bits.Out(0), q.Input(0))
		place.g.ReplaceControls(bits, q.Input(0).Node)
		must(place.g.Remove(bits))
		must(place.g.Remove(q))
	}
}

// quantizeAt quantizes src, in its region, as the cache's quantization does.
func (c *cache) quantizeAt(src, lo, hi graphdef.Output, place *placer) graphdef.Output {
	r := c.tree.Of(src.Node)
	name := src.Node.Name() + "/cache"
	q := place.add(name, "QuantizeV2", src, place.enter(lo, tensor.Float32, r), place.enter(hi, tensor.Float32, r))
	for _, a := range c.quantize.Attrs() {
		q.SetAttr(a.Name, a.Attr)
	}
	mark(q, place.pass)
	bits := place.add(name+"/bits", "Bitcast", q.Out(0))
	for _, a := range c.bits.Attrs() {
		bits.SetAttr(a.Name, a.Attr)
	}
	mark(bits, place.pass)
	return bits.Out(0)
}

// enterLoop quantizes what argument n of the loop's body has at first.
func (c *cache) enterLoop(n *graphdef.Node, d tensor.DType, lo, hi graphdef.Output) {
	index, _ := n.Int("index")
	i, call := int(index), c.loop.node
	tree, err := flow.Analyze(c.loop.g)
	must(err)
	place := newPlacer(c.loop.g, tree, c.pass)
	src := call.Input(i)
	name := baseName(src) + "/cache"
	var ends [2]graphdef.Output
	for j, o := range []graphdef.Output{lo, hi} {
		v, _ := constant(o, c.tree)
		ends[j] = place.constant(name+[]string{"/min", "/max"}[j], v, tree.Of(call))
	}
	outer := &cache{tree: tree, quantize: c.quantize, bits: c.bits}
	call.SetInput(i, outer.quantizeAt(src, ends[0], ends[1], place))
	types, _ := call.Types("T")
	types = slices.Clone(types)
	types[i] = d
	call.SetAttr("T", graphdef.TypesAttr(types...))
	c.loop.change(call)
	c.loop.roles[0].fn.Args[i].SetAttr("T", graphdef.TypeAttr(d))
}
