package passes

import "github.com/tfq8/tfq8/graphdef"

// Candidates lists the products of g that the outputs reach, in file order: those whose fate Convert reports.
func Candidates(g *graphdef.Graph, outputs ...*graphdef.Node) []Product {
	return candidates(g, outputs)
}
