package graphdef

import "io"

// Size returns the bytes that g takes as a serialized GraphDef, without building it. Of a graph too large for one file, or with
// constants that are stored elsewhere, it is the bytes of the attributes, which are nearly all.
func Size(g *Graph) int {
	for _, n := range g.nodes {
		for _, a := range n.attrs {
			if a.Attr.stored != nil {
				return int(g.attrBytes())
			}
		}
	}
	n, err := g.WriteTo(io.Discard)
	if err != nil {
		return int(max(n, g.attrBytes()))
	}
	return int(n)
}
