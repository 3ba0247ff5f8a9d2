package savedmodel

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Repair puts right what TensorFlow's own freezer leaves wrong in a graph, in place: nodes that read a variable by its handle
// where the freezer has put the value become nodes that read the value, and placeholders that nobody can feed, left behind by
// loops, go. It changes nothing else.
func Repair(g *graphdef.Graph) error {
	shapes := graphdef.Infer(g)
	repairGraph(g, shapes.Type)
	for _, f := range g.Functions() {
		types := graphdef.Infer(f.Body)
		repairGraph(f.Body, types.Type)
	}
	return nil
}

func repairGraph(g *graphdef.Graph, typeOf func(graphdef.Output) tensor.DType) {
	for _, n := range append([]*graphdef.Node(nil), g.Nodes()...) {
		switch n.Op() {
		case "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape":
			d := valueType(n, typeOf)
			if d != tensor.Invalid {
				readVariable(g, n, d)
			}
		}
	}
}

// valueType returns the dtype of the value that n reads where it should have a handle; Invalid if it has one.
func valueType(n *graphdef.Node, typeOf func(graphdef.Output) tensor.DType) tensor.DType {
	if n.NumInputs() == 0 {
		return tensor.Invalid
	}
	switch d := typeOf(n.Input(0)); d {
	case tensor.Resource, tensor.Invalid, tensor.Variant:
		return tensor.Invalid
	default:
		return d.Base()
	}
}
