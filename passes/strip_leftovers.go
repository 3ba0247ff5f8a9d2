package passes

import (
	"context"

	"github.com/tfq8/tfq8/graphdef"
)

// StripLeftovers removes what the other passes have left: nodes that nothing reads any more (ranges, constants that have
// become codes), control edges that order nothing, and functions that nothing calls.
var StripLeftovers = Pass{
	Name: "strip-leftovers",
	Doc:  "remove nodes, constants and functions that nothing uses any more",
	Run:  stripLeftovers,
}

func stripLeftovers(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		s.strip()
		if s.dropControls(newPurity(g, false)) > 0 {
			s.strip()
		}
	}
	env.dropUncalled(g)
	return nil
}

// dropUncalled removes the functions that nothing calls.
func (env *Env) dropUncalled(g *graphdef.Graph) {
	used := usedFunctions(g)
	g.RemoveFunctions(func(f *graphdef.Function) bool {
		if used[f.Name] {
			return false
		}
		env.Rewrote()
		return true
	})
}

// usedFunctions returns the names of the functions that the nodes of g call, directly or from one another.
func usedFunctions(g *graphdef.Graph) map[string]bool {
	used := map[string]bool{}
	stack := []*graphdef.Graph{g}
	for len(stack) > 0 {
		body := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, n := range body.Nodes() {
			for _, name := range append(called(n), n.Op()) {
				if f := g.Function(name); f != nil && !used[name] {
					used[name] = true
					stack = append(stack, f.Body)
				}
			}
		}
	}
	return used
}
