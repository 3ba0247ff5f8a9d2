package runtime

import (
	"errors"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// maxReported bounds the faults that one error lists.
const maxReported = 20

// check refuses needed nodes whose inputs are not what their ops take, in number and dtype, so that evaluators and fusions
// may rely on both. Ops that have no signature are left to those who report them.
func (sc *scope) check() error {
	var errs []error
	for _, n := range sc.g.Nodes() {
		if !sc.needed[n] || sc.given[n] {
			continue
		}
		if err := checkInputs(n); err != nil {
			errs = append(errs, err)
		}
		if len(errs) == maxReported {
			break
		}
	}
	return errors.Join(errs...)
}

func checkInputs(n *graphdef.Node) error {
	if _, ok := n.Signature(); !ok {
		return nil
	}
	want, err := n.InputTypes()
	if err != nil {
		return err
	}
	for i, in := range n.Inputs() {
		if _, ok := in.Node.Signature(); !ok {
			continue
		}
		have, err := in.Node.OutputType(in.Index)
		if err != nil {
			return n.Errorf("input %d: %w", i, err)
		}
		if have.Base() != want[i].Base() && !readsFrozen(n, i, have) {
			return n.Errorf("input %d, %v, has dtype %v, want %v", i, in, have, want[i])
		}
	}
	return nil
}

// readsFrozen reports whether n would read a variable by its handle in input i, but freezing put the value there.
func readsFrozen(n *graphdef.Node, i int, have tensor.DType) bool {
	switch n.Op() {
	case "ReadVariableOp", "ResourceGather", "ResourceGatherNd":
		return i == 0 && have != tensor.Variant
	}
	return false
}
