package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// RemoveIdentity removes nodes that only hand a value on:
//
//	w -> Identity -> MatMul   becomes   w -> MatMul
//
// One stays where it is a feed or fetch, where it waits for other nodes, where it reads a Switch (it then stands for the
// branch: what waits for it runs only if the branch does) and where it reads a variable of TF1 (it then is what copies it).
var RemoveIdentity = Pass{
	Name: "remove-identity",
	Doc:  "remove nodes that only hand a value on",
	Run:  removeIdentity,
}

func removeIdentity(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		for _, n := range slices.Clone(s.g.Nodes()) {
			if (n.Op() == "Identity" || n.Op() == "Snapshot") && s.idle(n) {
				s.bypass(n, n.Input(0))
			}
		}
	}
	return nil
}

// idle reports whether n, an op whose output is its input, may go.
func (s *scope) idle(n *graphdef.Node) bool {
	return n.NumInputs() == 1 && s.idleFor(n, n.Input(0))
}

// idleFor reports whether what reads n may read x, which has the same value.
func (s *scope) idleFor(n *graphdef.Node, x graphdef.Output) bool {
	if len(n.Controls()) > 0 || s.fixed(n) {
		return false
	}
	switch x.Node.Op() {
	case "Switch", "RefSwitch", "_SwitchN":
		return false
	}
	t, err := x.Node.OutputType(x.Index)
	return err != nil || !t.IsRef()
}
