package graphdef

// implicable reports whether inputs can imply an attribute: a dtype, a list of dtypes or the length of a list. The index
// of an argument or result is implied by its place in the body.
func implicable(d *AttrDef) bool { return d.Kind == KindType || d.Kind == KindInt && !d.List }

// implyAttrs sets the attributes that nodes do not say and their inputs imply, and the dtypes of constants: what Parse
// does for graphs written by hand. Inputs are completed before what they feed, so that no search goes far; in a graph with
// a cycle, which Validate refuses, nothing is implied.
func implyAttrs(g *Graph) {
	order, err := g.Order()
	if err != nil {
		order = nil
	}
	for _, n := range g.nodes {
		implyConst(n)
	}
	for _, n := range order {
		implyNode(n)
	}
}

func implyConst(n *Node) {
	if _, ok := n.Attr("dtype"); ok {
		return
	}
	if d, ok := constType(n); ok {
		n.SetAttr("dtype", d)
	}
}

// implyNode sets the attributes of n that its inputs imply, where that is not the default. Signatures of ops that are not
// known imply nothing.
func implyNode(n *Node) {
	r := n.AttrReader()
	if r.sig == nil {
		return
	}
	if isMerge(n.op) && !implyMerge(n, r) {
		return // any other search would go round the loop
	}
	for i := range r.sig.Attrs {
		d := &r.sig.Attrs[i]
		if _, said := n.Attr(d.Name); said || !implicable(d) {
			continue
		}
		if a, ok := r.implied(d); ok && string(a.wire) != string(d.Default.wire) {
			n.SetAttr(d.Name, a)
		}
	}
}

// implyMerge takes the dtype of a loop's Merge from what enters the loop, since what comes back is not completed yet; it
// reports whether n says its dtype.
func implyMerge(n *Node, r *AttrReader) bool {
	if _, said := n.Attr("T"); said {
		return true
	}
	for _, in := range n.inputs {
		if isNextIteration(in.Node.op) {
			continue
		}
		if d, ok := r.dtype(in); ok {
			n.SetAttr("T", TypeAttr(d.Base()))
			return true
		}
	}
	return false
}

// numberArgs gives the arguments and results of a function body that do not say their index their place among their
// like.
func numberArgs(body *Graph) {
	places := map[string]int{}
	for _, n := range body.nodes {
		if n.op != "_Arg" && n.op != "_Retval" {
			continue
		}
		if _, ok := n.Attr("index"); !ok {
			n.SetAttr("index", IntAttr(int64(places[n.op])))
		}
		places[n.op]++
	}
}
