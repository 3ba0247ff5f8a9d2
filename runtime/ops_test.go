package runtime_test

import (
	"slices"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
)

// TestOpsHaveSignatures: an evaluator without a signature would get attributes without defaults and inputs that nobody has
// counted. No op has two evaluators.
func TestOpsHaveSignatures(t *testing.T) {
	ops := runtime.Ops()
	slices.Sort(ops)
	for i, op := range ops {
		if _, ok := graphdef.Lookup(op); !ok {
			t.Errorf("op %q has an evaluator in package runtime, but no signature in package graphdef", op)
		}
		if i > 0 && op == ops[i-1] {
			t.Errorf("op %q is in two families of evaluators", op)
		}
	}
}
