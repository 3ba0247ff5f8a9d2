package graphdef

import "io"

// Size returns the bytes that g takes as a serialized GraphDef, without building it. Of a graph too large for one file it is
// the bytes of the attributes, which are nearly all.
func Size(g *Graph) int {
	n, err := g.WriteTo(io.Discard)
	if err != nil {
		return int(max(n, g.attrBytes()))
	}
	return int(n)
}
