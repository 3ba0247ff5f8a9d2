package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
)

// RemoveTraining removes what a graph keeps from its training, where that changes no answer:
//
//   - StopGradient, PreventGradient, CheckNumerics and their like, and PlaceholderWithDefault that is no input (its default is
//     then the value);
//   - assertions that only guard: a wrong input gives a wrong answer, not an error;
//   - dropout that is off: x·1, x/1, and masks that are all ones at rate 0, whatever the random numbers;
//   - conditionals on a constant predicate, of which one branch is taken: Switch and Merge, and If.
//
// What then nothing needs is stripped.
var RemoveTraining = Pass{
	Name: "remove-training",
	Doc:  "remove what only training needs: dropout that is off, gradient stops, numeric checks, assertions, constant branches",
	Run:  removeTraining,
}

// trainingOnly are the ops whose output is their input, whatever they do beside.
var trainingOnly = map[string]bool{
	"StopGradient": true, "PreventGradient": true, "CheckNumerics": true, "CheckNumericsV2": true,
	"DebugGradientIdentity": true, "GuaranteeConst": true, "PlaceholderWithDefault": true,
}

func removeTraining(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		// One rewrite lays open another: a branch that is taken frees its constants, a dropout may lie in it.
		for before := -1; before != env.account.rewrites; {
			before = env.account.rewrites
			if err := s.removeTraining(g); err != nil {
				return err
			}
			if env.account.rewrites > before {
				s.strip()
			}
		}
	}
	return nil
}

func (s *scope) removeTraining(lib *graphdef.Graph) error {
	s.dropControls(newPurity(lib, true))
	for _, n := range slices.Clone(s.g.Nodes()) {
		if trainingOnly[n.Op()] && !s.fed(n) && s.idle(n) {
			s.bypass(n, n.Input(0))
		}
	}
	if err := s.takeConstantBranches(); err != nil {
		return err
	}
	return s.removeDropout()
}

// removeDropout bypasses the products and selections that hand on their input.
func (s *scope) removeDropout() error {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return err
	}
	for _, n := range slices.Clone(s.g.Nodes()) {
		x, ok := keptWhole(n, tree)
		if ok && s.idleFor(n, x) && runsWhere(tree, n, x) {
			s.bypass(n, x)
		}
	}
	return nil
}

// runsWhere reports whether n runs wherever x has a value, in x's frame.
func runsWhere(tree *flow.Tree, n *graphdef.Node, x graphdef.Output) bool {
	if x.Node.NumInputs() == 0 && len(x.Node.Controls()) == 0 && tree.Of(n).Kind == flow.KindLoop {
		return false // n may be what ties its readers to the loop
	}
	have := tree.OutputGuards(x)
	for _, g := range tree.Guards(n) {
		if !slices.Contains(have, g) {
			return false
		}
	}
	return true
}
