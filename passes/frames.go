package passes

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// placer adds constants where a node in any frame can read them. TensorFlow refuses a node whose inputs come from
// different frames, so a constant for a loop body is a Const outside all loops and a constant Enter for each loop around
// the reader. Within one run of a pass, equal requests share their nodes.
type placer struct {
	g      *graphdef.Graph
	tree   *flow.Tree
	pass   string
	consts map[constKey]graphdef.Output
	enters map[enterKey]graphdef.Output
}

type constKey struct{ name string }

type enterKey struct {
	value  graphdef.Output
	region *flow.Region
}

func newPlacer(g *graphdef.Graph, tree *flow.Tree, pass string) *placer {
	return &placer{g: g, tree: tree, pass: pass, consts: map[constKey]graphdef.Output{}, enters: map[enterKey]graphdef.Output{}}
}

// constant returns a value readable in region r. name is the Const's, made unique; a second request for the same name gives
// the same Const, so callers use one name for one value.
func (p *placer) constant(name string, t *tensor.Tensor, r *flow.Region) graphdef.Output {
	o, ok := p.consts[constKey{name}]
	if !ok {
		c := p.add(name, "Const")
		c.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		c.SetAttr("value", graphdef.TensorAttr(t))
		o = c.Out(0)
		p.consts[constKey{name}] = o
	}
	return p.enter(o, t.DType(), r)
}

// enter makes an output of the outermost region readable in r.
func (p *placer) enter(o graphdef.Output, d tensor.DType, r *flow.Region) graphdef.Output {
	if r == nil || r.Kind != flow.KindLoop {
		return o
	}
	key := enterKey{o, r}
	if e, ok := p.enters[key]; ok {
		return e
	}
	outer := p.enter(o, d, r.Parent)
	e := p.add(r.Name+"/"+o.Node.Name()+"/Enter", "Enter", outer)
	e.SetAttr("T", graphdef.TypeAttr(d))
	e.SetAttr("is_constant", graphdef.BoolAttr(true))
	// The frame's own Enters say what it is called and how many iterations may overlap; of several, the first by name.
	var own *graphdef.Node
	for _, n := range r.Nodes {
		if (n.Op() == "Enter" || n.Op() == "RefEnter") && (own == nil || n.Name() < own.Name()) {
			own = n
		}
	}
	for _, name := range []string{"frame_name", "parallel_iterations"} {
		if a, ok := own.Attr(name); ok {
			e.SetAttr(name, a)
		}
	}
	p.enters[key] = e.Out(0)
	return e.Out(0)
}

// add appends a node that carries the pass's mark.
func (p *placer) add(name, op string, inputs ...graphdef.Output) *graphdef.Node {
	n := p.g.MustAdd(name, op, inputs...)
	mark(n, p.pass)
	return n
}

// mark notes which pass made or changed n.
func mark(n *graphdef.Node, pass string) { n.SetAttr("_tfq8_pass", graphdef.StringAttr(pass)) }
