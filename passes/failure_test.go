package passes

import (
	"context"
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Ranges that are computed while the graph runs become NaN, or as wide as nothing, for inputs that are empty, constant or not
// finite themselves, and the requantizing ops then fail. Here each range is a constant, finite and wider than nothing; an input
// that has no such range stays in FP32 with the reason; and the graph runs on any feed, an empty one too.
func TestFailure02NaNRanges(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?x4]()
w = Const[value=float 4x2 [1, -1, 2, 1, -1, 3, 0.5, 1]]()
y = MatMul(x, w)
p = Placeholder[dtype=float, shape=?x4]()
z = MatMul(p, w)
`)
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	rows := func(v ...float32) *tensor.Tensor { return tensor.FromSlice(tensor.Shape{len(v) / 4, 4}, v) }
	good := rows(1, -2, 3, 0.5)
	for _, c := range []struct {
		name   string
		p      *tensor.Tensor
		reason Reason // of z; empty: it is quantized
	}{
		{"no rows", rows(), InputConstantZero},
		{"zeros", rows(0, 0, 0, 0), InputConstantZero},
		{"one value", rows(3, 3, 3, 3), ""},
		{"one negative value", rows(-3, -3, -3, -3), ""},
		{"a NaN", rows(1, nan, 2, 3), InputNotFinite},
		{"an infinity", rows(1, inf, 2, 3), InputNotFinite},
		{"NaN only", rows(nan, nan, nan, nan), InputNotFinite},
	} {
		for _, target := range []Target{TensorFlow, TFQ8} {
			t.Run(c.name+"/"+target.String(), func(t *testing.T) {
				res, err := Convert(context.Background(), g, Options{
					Outputs: []string{"y", "z"}, Calibrate: []Feeds{{"x": good, "p": c.p}}, Target: target, Verify: true,
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range res.Report.Products {
					if want := c.reason; p.Node == "z" && p.Reason != want || p.Node == "y" && p.Reason != "" {
						t.Errorf("product %q: reason %q (%s), want %q", p.Node, p.Reason, p.Detail, want)
					}
				}
				checkRanges(t, res.Graph)
				runBoth(t, g, res.Graph, Feeds{"x": good, "p": rows(1, 2, 3, 4)})
				runBoth(t, g, res.Graph, Feeds{"x": rows(), "p": rows()})
			})
		}
	}
}

// checkRanges checks that every QuantizeV2 of g reads a constant range that is finite and wider than nothing.
func checkRanges(t *testing.T, g *graphdef.Graph) {
	t.Helper()
	for _, n := range g.Nodes() {
		if n.Op() != "QuantizeV2" {
			continue
		}
		var ends [2]float64
		for i := range ends {
			end := n.Input(i + 1).Node
			v, err := end.Tensor("value")
			if end.Op() != "Const" || err != nil {
				t.Fatalf("node %q: its range comes from node %q (%s), want a Const", n.Name(), end.Name(), end.Op())
			}
			ends[i] = float64(tensor.Data[float32](v)[0])
		}
		if width := ends[1] - ends[0]; !(width > 0) || math.IsInf(width, 0) {
			t.Errorf("node %q: range %v to %v, want finite numbers in ascending order", n.Name(), ends[0], ends[1])
		}
	}
}
