package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
)

// readReferences returns g where no output of its nodes is a reference of TF1, else a copy in which every input that reads a
// reference as a value comes from a ReadVariableOp of its own, which waits for what the reader waits for: the value is that
// at the time of reading. Names and outputs of g's nodes stay.
func readReferences(g *graphdef.Graph) *graphdef.Graph {
	found := false
	for _, n := range g.Nodes() {
		found = found || givesReference(n)
	}
	if !found {
		return g
	}
	g = g.Clone()
	nodes := append([]*graphdef.Node{}, g.Nodes()...)
	for _, n := range nodes {
		takes := takesReferences(n)
		for i, in := range n.Inputs() {
			if i < len(takes) && takes[i] || !isReference(in) {
				continue
			}
			r := readNode(g, in)
			for _, c := range n.Controls() {
				r.AddControl(c)
			}
			n.SetInput(i, r.Out(0))
		}
	}
	return g
}

// readNode adds a node that reads the reference o.
func readNode(g *graphdef.Graph, o graphdef.Output) *graphdef.Node {
	r := g.MustAdd(o.Node.Name()+"/read_reference", "ReadVariableOp", o)
	if t, err := o.Node.OutputType(o.Index); err == nil {
		r.SetAttr("dtype", graphdef.TypeAttr(t.Base()))
	}
	return r
}

func givesReference(n *graphdef.Node) bool {
	sig, ok := graphdef.Lookup(n.Op())
	if !ok {
		return false
	}
	for _, a := range sig.Outputs {
		if a.Ref && a.Type != "string" { // tables are references of strings, and stay handles
			return true
		}
	}
	return false
}

// isReference reports whether o is a reference to a variable.
func isReference(o graphdef.Output) bool {
	if !givesReference(o.Node) {
		return false
	}
	t, err := o.Node.OutputType(o.Index)
	return err == nil && t.IsRef()
}

// takesReferences reports for each data input of n whether it is a reference.
func takesReferences(n *graphdef.Node) []bool {
	types, err := n.InputTypes()
	if err != nil {
		return nil
	}
	takes := make([]bool, len(types))
	for i, t := range types {
		takes[i] = t.IsRef()
	}
	return takes
}
