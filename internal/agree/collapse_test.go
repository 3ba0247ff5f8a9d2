package agree

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// scaling returns a graph with a float output y = x·by and an integer output ids + plus.
func scaling(t *testing.T, by, plus string) *graphdef.Graph {
	t.Helper()
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?x?]()
by = Const[value=float ` + by + `]()
y = Mul(x, by)
ids = Placeholder[dtype=int32, shape=?x?]()
plus = Const[value=int32 ` + plus + `]()
z = AddV2(ids, plus)
`)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func compare(t *testing.T, a, b *graphdef.Graph, streams int) *Report {
	t.Helper()
	feeds := []map[string]*tensor.Tensor{
		{"x": tensor.FromSlice(tensor.Shape{1, 2}, []float32{3, 4}), "ids": tensor.FromSlice(tensor.Shape{2, 3}, []int32{5, 1, 0, 6, 7, 1})},
		{"x": tensor.FromSlice(tensor.Shape{1, 1}, []float32{0}), "ids": tensor.FromSlice(tensor.Shape{1, 1}, []int32{1})},
	}
	r, err := Compare(context.Background(), a, b, feeds, Options{
		Inputs: []string{"x", "ids"}, Outputs: []string{"y", "z"}, EOS: 1, Streams: streams,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEqualGraphsAgree(t *testing.T) {
	g := scaling(t, "2", "0")
	r := compare(t, g, g.Clone(), 2)
	if r.Feeds != 2 || len(r.Floats) != 1 || r.Floats[0] != (FloatOutput{Name: "y"}) {
		t.Errorf("have %+v", r)
	}
	// Three rows: 5 and its end, 6 7 and its end, the end alone.
	if r.Tokens != 6 || r.Equal != 6 || r.Rows != 3 || r.StoppedA != 3 || r.StoppedB != 3 || r.Collapse() != "" {
		t.Errorf("have %+v: %s", r, r.Collapse())
	}
}

func TestErrorIsRelative(t *testing.T) {
	for _, streams := range []int{0, 3} {
		r := compare(t, scaling(t, "2", "0"), scaling(t, "3", "0"), streams)
		if math.Abs(r.Floats[0].Error-0.5) > 1e-6 || r.Collapse() != "" {
			t.Errorf("error %g, want 0.5: %s", r.Floats[0].Error, r.Collapse())
		}
	}
}

func TestCollapse(t *testing.T) {
	for _, c := range []struct{ by, plus, want string }{
		{"inf", "0", "NaN or infinite"},
		{"2", "1", "of the tokens are as before"},
	} {
		if have := compare(t, scaling(t, "2", "0"), scaling(t, c.by, c.plus), 1).Collapse(); !strings.Contains(have, c.want) {
			t.Errorf("by %s, plus %s: %q, want %q", c.by, c.plus, have, c.want)
		}
	}
	stops := &Report{Tokens: 10, Equal: 9, Rows: 10, StoppedA: 10, StoppedB: 5}
	if have := stops.Collapse(); !strings.Contains(have, "stop token") {
		t.Errorf("half of the sentences do not end: %q", have)
	}
	floats := &Report{Floats: []FloatOutput{{Name: "y", Error: 2}}}
	if have := floats.Collapse(); !strings.Contains(have, "relative error") {
		t.Errorf("an error above that of zeros: %q", have)
	}
}

func TestFailingFeedIsNamed(t *testing.T) {
	g := scaling(t, "2", "0")
	feeds := []map[string]*tensor.Tensor{{"x": tensor.FromSlice(tensor.Shape{1}, []float32{3})}}
	_, err := Compare(context.Background(), g, g, feeds, Options{Inputs: []string{"x"}, Outputs: []string{"y"}})
	if err == nil || !strings.Contains(err.Error(), "feed 1 of 1: the original graph") {
		t.Errorf("have %v", err)
	}
}
