package passes

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// lookup returns a graph that looks ids up in a table of normal numbers, changed by f.
func lookup(f func([]float32)) *graphdef.Graph {
	g := graphdef.NewGraph()
	ids := g.MustAdd("ids", "Placeholder")
	ids.SetAttr("dtype", graphdef.TypeAttr(tensor.Int32))
	ids.SetAttr("shape", graphdef.ShapeAttr(tensor.Partial(5)))
	table := tensor.New(tensor.Float32, tensor.Shape{80, 64})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range tensor.Data[float32](table) {
		tensor.Data[float32](table)[i] = float32(r.NormFloat64())
	}
	f(tensor.Data[float32](table))
	w := g.MustAdd("table", "Const")
	w.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
	w.SetAttr("value", graphdef.TensorAttr(table))
	axis := g.MustAdd("axis", "Const")
	axis.SetAttr("dtype", graphdef.TypeAttr(tensor.Int32))
	axis.SetAttr("value", graphdef.TensorAttr(tensor.Scalar(int32(0))))
	n := g.MustAdd("out", "GatherV2", w.Out(0), ids.Out(0), axis.Out(0))
	for name, t := range map[string]tensor.DType{"Tparams": tensor.Float32, "Tindices": tensor.Int32, "Taxis": tensor.Int32} {
		n.SetAttr(name, graphdef.TypeAttr(t))
	}
	return g
}

// TestOwnTables checks that a table which only lookups read is stored as codes, and that one which codes do not hold stays.
func TestOwnTables(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func([]float32)
		rewrites int
	}{
		{"normal", func([]float32) {}, 1},
		{"a peak", func(v []float32) { v[70] = 1e9 }, 0},
		{"a row of zeros", func(v []float32) { clear(v[64:128]) }, 1},
	} {
		g := lookup(c.change)
		want, err := answers(g, nil, []string{"out"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		list := []*Pass{&ShareTables, &StripLeftovers}
		results, err := runAll(context.Background(), list, g, envFor(t, g, "out"), true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if results[0].Rewrites != c.rewrites {
			t.Errorf("%s: %d rewrites, want %d", c.name, results[0].Rewrites, c.rewrites)
		}
		if c.rewrites > 0 && 3*results[1].BytesAfter > results[0].BytesBefore {
			t.Errorf("%s: %d bytes of %d are left", c.name, results[1].BytesAfter, results[0].BytesBefore)
		}
		have, err := answers(g, nil, []string{"out"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if e := relativeError(have["out"], want["out"]); e > mostLoss {
			t.Errorf("%s: relative error %g", c.name, e)
		}
	}
}
