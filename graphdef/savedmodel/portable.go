package savedmodel

import (
	"bytes"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// Portable returns a copy of g as every TensorFlow reads it: attributes that have their default are left out, so that a version
// that does not know them does not refuse the file, and so are hints about shapes and places, which the graph may contradict
// after a rewrite; a constant that a loop reads is tied into the loop's frame, where TensorFlow looks for it.
func Portable(g *graphdef.Graph) *graphdef.Graph {
	g = g.Clone()
	portable(g)
	for _, f := range g.Functions() {
		portable(f.Body)
	}
	return g
}

func portable(g *graphdef.Graph) {
	for _, n := range g.Nodes() {
		n.RemoveAttr("_class")
		n.RemoveAttr("_output_shapes")
		n.RemoveAttr("_gradient_op_type") // a function that is not in the file
		stripDefaults(n)
	}
	if hasControlFlow(g) {
		tieConstants(g)
	}
}

// stripDefaults drops the attributes of n that say what leaving them out says.
func stripDefaults(n *graphdef.Node) {
	sig, ok := n.Signature()
	if !ok {
		return
	}
	for _, a := range slices.Clone(n.Attrs()) {
		d := sig.Attr(a.Name)
		if d == nil || d.Required() || a.Attr.Kind() == graphdef.KindTensor {
			continue
		}
		if bytes.Equal(a.Attr.AppendCanonical(nil), d.Default.AppendCanonical(nil)) {
			n.RemoveAttr(a.Name)
		}
	}
}

// A frame is a loop of TensorFlow 1; nil is the outside of all loops.
type frame struct {
	parent *frame
	name   string
}

// loose reports whether n is a constant that a reader of files may take to be in any frame.
func loose(n *graphdef.Node) bool {
	return n.Op() == "Const" && n.NumInputs() == 0 && len(n.Controls()) == 0
}

// tieConstants gives constants that are read inside of frames a control input from there; one that several frames read is
// copied.
func tieConstants(g *graphdef.Graph) {
	order, err := g.Order()
	if err != nil {
		return // whoever compiles the graph says so
	}
	all := map[frame]*frame{}
	in := map[*graphdef.Node]*frame{} // of each node's outputs
	at := map[*graphdef.Node]*frame{} // where each node runs
	for _, n := range order {
		var f *frame
		for _, m := range sources(n) {
			// A Merge reads its next iteration later in the order; its Enter says the frame.
			if w, seen := in[m]; seen && !loose(m) {
				f = w
				break
			}
		}
		at[n] = f
		switch n.Op() {
		case "Enter", "RefEnter":
			name, _ := n.Str("frame_name")
			key := frame{f, name}
			if all[key] == nil {
				all[key] = &key
			}
			f = all[key]
		case "Exit", "RefExit":
			if f != nil {
				f = f.parent
			}
		}
		in[n] = f
	}
	type copyOf struct {
		n *graphdef.Node
		f *frame
	}
	copies := map[copyOf]*graphdef.Node{}
	for _, n := range order {
		f := at[n]
		if f == nil {
			continue
		}
		for i, o := range n.Inputs() {
			if !loose(o.Node) {
				continue
			}
			c := copies[copyOf{o.Node, f}]
			if c == nil {
				mate := mateIn(n, f, in)
				if mate == nil {
					continue
				}
				name := newNamer(g).unique(o.Node.Name() + "/inside")
				if c, err = g.AddCopy(name, o.Node); err != nil {
					continue
				}
				c.AddControl(mate)
				copies[copyOf{o.Node, f}] = c
			}
			n.SetInput(i, c.Out(0))
		}
	}
	// A constant that is read in one frame only keeps its name.
	for key, c := range copies {
		if len(key.n.Users()) > 0 || c.Graph() == nil {
			continue
		}
		name := key.n.Name()
		if g.Remove(key.n) == nil {
			g.Rename(c, name)
		}
	}
}

func sources(n *graphdef.Node) []*graphdef.Node {
	var list []*graphdef.Node
	for _, in := range n.Inputs() {
		list = append(list, in.Node)
	}
	return append(list, n.Controls()...)
}

// mateIn returns a node that n reads or waits for in frame f, other than a loose constant.
func mateIn(n *graphdef.Node, f *frame, in map[*graphdef.Node]*frame) *graphdef.Node {
	for _, m := range sources(n) {
		if !loose(m) && in[m] == f {
			return m
		}
	}
	return nil
}
