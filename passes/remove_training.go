package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// RemoveTraining removes what matters to training only.
var RemoveTraining = Pass{
	Name: "remove-training",
	Doc:  "remove what only training needs: dropout that is off, gradient stops, numeric checks, assertions",
	Run:  removeTraining,
}

// trainingOnly are the ops whose output is their input, whatever they do beside.
var trainingOnly = map[string]bool{
	"StopGradient": true, "PreventGradient": true, "CheckNumerics": true, "CheckNumericsV2": true,
	"DebugGradientIdentity": true, "GuaranteeConst": true, "PlaceholderWithDefault": true,
}

func removeTraining(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		for _, n := range slices.Clone(s.g.Nodes()) {
			if trainingOnly[n.Op()] && !s.fed(n) && s.idle(n) {
				s.bypass(n, n.Input(0))
			}
		}
		tree, err := flow.Analyze(s.g)
		if err != nil {
			return err
		}
		for _, n := range slices.Clone(s.g.Nodes()) {
			if o, ok := timesOne(n, tree); ok && s.idle1(n, o) {
				s.bypass(n, o)
			}
		}
		if s.dropControls(newPurity(g, true)) > 0 {
			s.strip()
		}
	}
	return nil
}

// idle1 is idle for a node that reads more than the value it hands on.
func (s *scope) idle1(n *graphdef.Node, o graphdef.Output) bool {
	return len(n.Controls()) == 0 && !s.fixed(n) && !isControlFlow(o.Node)
}

// timesOne returns x where n is x·1 or x/1.
func timesOne(n *graphdef.Node, tree *flow.Tree) (x graphdef.Output, ok bool) {
	one := func(o graphdef.Output) bool {
		c, ok := tree.ConstOf(o)
		if !ok {
			return false
		}
		t, err := c.Tensor("value")
		return err == nil && t.Rank() == 0 && t.DType() == tensor.Float32 && tensor.Data[float32](t)[0] == 1
	}
	switch {
	case n.NumInputs() != 2:
		return x, false
	case (n.Op() == "Mul" || n.Op() == "RealDiv" || n.Op() == "Div") && one(n.Input(1)):
		return n.Input(0), true
	case n.Op() == "Mul" && one(n.Input(0)):
		return n.Input(1), true
	}
	return x, false
}
