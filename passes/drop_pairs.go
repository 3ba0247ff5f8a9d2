package passes

import (
	"bytes"
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// DropPairs removes a QuantizeV2 that gives back the codes that a Dequantize was given:
//
//	codes -> Dequantize -> QuantizeV2 -> y   becomes   codes -> y
//
// That is so where both have the same mode and range, but rounding decides: each code that can occur is run through the pair.
// Of several Dequantize of the same codes and range, one stays; so a value that already lies on the grid is not quantized and
// dequantized again. QuantizeV2 followed by Dequantize is no such pair: it rounds. Only constant ranges are looked at.
var DropPairs = Pass{
	Name: "drop-pairs",
	Doc:  "remove Dequantize and QuantizeV2 pairs that give the same codes back",
	Run:  dropPairs,
}

func dropPairs(ctx context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		tree, err := flow.Analyze(s.g)
		if err != nil {
			return err
		}
		for _, q := range slices.Clone(s.g.Nodes()) {
			if q.Op() == "QuantizeV2" && q.NumInputs() == 3 && q.Input(0).Node.Op() == "Dequantize" {
				s.dropPair(ctx, q, tree)
			}
		}
		s.mergeDequantize(tree)
	}
	return nil
}

// dropPair removes q where it gives back the codes of the Dequantize before it.
func (s *scope) dropPair(ctx context.Context, q *graphdef.Node, tree *flow.Tree) {
	d := q.Input(0).Node
	if d.NumInputs() != 3 || len(q.Controls()) > 0 || len(d.Controls()) > 0 || s.fixed(q) || tree.Of(d) == nil {
		return
	}
	codes := d.Input(0)
	if !runsWhere(tree, q, codes) {
		return
	}
	lo, hi, ok := samePair(ctx, d, q, tree)
	if !ok {
		return
	}
	place := newPlacer(s.g, tree, s.pass)
	s.useRange(q, 1, d.Input(1), lo, tree, place)
	s.useRange(q, 2, d.Input(2), hi, tree, place)
	for _, u := range slices.Clone(q.Users()) {
		if u.Input == graphdef.ControlInput {
			u.Node.RemoveControl(q)
			u.Node.AddControl(codes.Node)
		} else {
			u.Node.SetInput(u.Input, codes)
		}
		s.change(u.Node)
	}
	s.remove(func(n *graphdef.Node) bool { return n == q })
	if len(d.Users()) == 0 && !s.fixed(d) {
		s.remove(func(n *graphdef.Node) bool { return n == d })
	}
	s.env.Rewrote()
}

// useRange makes what reads output i of q, an end of its range with value v, read the end of the Dequantize's range if that
// is the same number, else a constant.
func (s *scope) useRange(q *graphdef.Node, i int, end graphdef.Output, v *tensor.Tensor, tree *flow.Tree, place *placer) {
	uses := q.UsesOf(i)
	if len(uses) == 0 {
		return
	}
	with := end
	if c, ok := constant(end, tree); !ok || !bytes.Equal(c.Bytes(), v.Bytes()) {
		with = place.constant(q.Name()+"/"+[]string{"", "min", "max"}[i], v, tree.Of(q))
	}
	for _, u := range uses {
		u.Node.SetInput(u.Input, with)
		s.change(u.Node)
	}
}

// constant returns the value of o where that is constant.
func constant(o graphdef.Output, tree *flow.Tree) (*tensor.Tensor, bool) {
	c, ok := tree.ConstOf(o)
	if !ok {
		return nil, false
	}
	t, err := c.Tensor("value")
	return t, err == nil
}

// samePair runs all codes that d can be given through d and q, and reports whether they come out the same; lo and hi are the
// range that q then tells.
func samePair(ctx context.Context, d, q *graphdef.Node, tree *flow.Tree) (lo, hi *tensor.Tensor, ok bool) {
	from, errD := d.Type("T")
	to, errQ := q.Type("T")
	if errD != nil || errQ != nil || from != to {
		return nil, nil, false
	}
	codes := allCodes(d, from, tree)
	if codes == nil {
		return nil, nil, false
	}
	feeds := map[string]*tensor.Tensor{"codes": codes}
	g := graphdef.NewGraph()
	feed := func(name string, t *tensor.Tensor) graphdef.Output {
		p := g.MustAdd(name, "Placeholder")
		p.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		feeds[name] = t
		return p.Out(0)
	}
	last := feed("codes", codes)
	for i, n := range []*graphdef.Node{d, q} {
		var ends [2]graphdef.Output
		for j := range ends {
			t, ok := constant(n.Input(j+1), tree)
			if !ok || t.Rank() != 0 {
				return nil, nil, false
			}
			ends[j] = feed([]string{"d", "q"}[i]+[]string{"min", "max"}[j], t)
		}
		m := g.MustAdd([]string{"dequantize", "quantize"}[i], n.Op(), last, ends[0], ends[1])
		for _, a := range n.Attrs() {
			m.SetAttr(a.Name, a.Attr)
		}
		last = m.Out(0)
	}
	plan, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"quantize:0", "quantize:1", "quantize:2"}, NoFusion: true})
	if err != nil {
		return nil, nil, false
	}
	out, err := plan.NewSession().Run(ctx, feeds)
	if err != nil || !bytes.Equal(out["quantize:0"].Bytes(), codes.Bytes()) {
		return nil, nil, false
	}
	return out["quantize:1"], out["quantize:2"], true
}

// allCodes returns the codes that Dequantize d can be given; nil where they are too many to try.
func allCodes(d *graphdef.Node, t tensor.DType, tree *flow.Tree) *tensor.Tensor {
	if axis, err := d.Int("axis"); err != nil || axis >= 0 {
		return nil
	}
	if c, ok := constant(d.Input(0), tree); ok {
		return c
	}
	lowest := 0
	if src := tree.Source(d.Input(0)).Node; src.Op() == "QuantizeV2" {
		if narrow, _ := src.Bool("narrow_range"); narrow {
			lowest = 1 // the most negative code does not occur
		}
	}
	switch t {
	case tensor.Qint8:
		v := make([]int8, 256-lowest)
		for i := range v {
			v[i] = int8(i + lowest - 128)
		}
		return tensor.FromTyped(t, tensor.Shape{len(v)}, v)
	case tensor.Quint8:
		v := make([]uint8, 256)
		for i := range v {
			v[i] = uint8(i)
		}
		return tensor.FromTyped(t, tensor.Shape{len(v)}, v)
	}
	return nil
}

// mergeDequantize keeps one of several Dequantize of the same codes, range and attributes.
func (s *scope) mergeDequantize(tree *flow.Tree) {
	kept := map[string]*graphdef.Node{}
	list := slices.Clone(s.g.Nodes())
	slices.SortFunc(list, func(a, b *graphdef.Node) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	for _, n := range list {
		if n.Op() != "Dequantize" || n.NumInputs() != 3 || len(n.Controls()) > 0 || s.fixed(n) || tree.Of(n) == nil {
			continue
		}
		key := []byte(n.Input(0).String() + n.Device)
		ok := true
		for i := 1; i <= 2 && ok; i++ {
			var t *tensor.Tensor
			if t, ok = constant(n.Input(i), tree); ok {
				key = graphdef.AppendCanonicalTensor(key, t)
			}
		}
		for _, a := range []string{"T", "dtype", "mode", "axis", "narrow_range"} {
			v, _ := n.Attr(a)
			key = v.AppendCanonical(append(key, a...))
		}
		first := kept[string(key)]
		switch {
		case !ok:
		case first == nil:
			kept[string(key)] = n
		case tree.Of(first) == tree.Of(n) && runsWhere(tree, n, first.Out(0)):
			s.bypass(n, first.Out(0))
		}
	}
}
