package runtime_test

import (
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestCompileChecksInputs: what a file says of a node's inputs is not believed.
func TestCompileChecksInputs(t *testing.T) {
	build := func(op string, inputs ...tensor.DType) *graphdef.Graph {
		g := graphdef.NewGraph()
		var in []graphdef.Output
		for i, d := range inputs {
			p := g.MustAdd("in"+string(rune('0'+i)), "Placeholder")
			p.SetAttr("dtype", graphdef.TypeAttr(d))
			in = append(in, p.Out(0))
		}
		n := g.MustAdd("op", op, in...)
		n.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
		g.MustAdd("out", "Identity", n.Out(0))
		return g
	}
	for _, c := range []struct {
		name  string
		graph *graphdef.Graph
		want  string
	}{
		{"too few", build("AddV2", tensor.Float32), "wrong number of inputs"},
		{"too many", build("AddV2", tensor.Float32, tensor.Float32, tensor.Float32), "wrong number of inputs, have 3, want 2"},
		{"none", build("MatMul"), "inputs"},
		{"other dtype", build("AddV2", tensor.Float32, tensor.Int64), `input 1, in1:0, has dtype int64, want float`},
		{"fixed dtype", build("Fill", tensor.Float32, tensor.Float32), "has dtype float, want int32"},
	} {
		_, err := runtime.Compile(c.graph, runtime.CompileOptions{Fetches: []string{"out"}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `node "op"`) {
			t.Errorf("%s: error %v, want %q of node op", c.name, err, c.want)
		}
	}
	g := build("AddV2", tensor.Float32, tensor.Float32)
	g.MustAdd("far", "Identity", g.Node("op").Out(3)).SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	if _, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"far"}}); err == nil || !strings.Contains(err.Error(), "no output 3") {
		t.Errorf("output that does not exist: error %v", err)
	}
	// What is not needed may be broken.
	if _, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"op"}}); err != nil {
		t.Errorf("broken node that no fetch needs: %v", err)
	}
}
