package agree

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// a passes on what it is fed: tokens [batch, length] and floats.
const a = `
ids = Placeholder[dtype=int32, shape=?x?]()
x = Placeholder[dtype=float, shape=?]()
tokens = Identity(ids)
y = Identity(x)
`

func parse(t *testing.T, text string) *graphdef.Graph {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func feeds() []map[string]*tensor.Tensor {
	one := map[string]*tensor.Tensor{
		"ids": tensor.FromSlice(tensor.Shape{2, 4}, []int32{0, 5, 6, 1, 0, 7, 1, 0}),
		"x":   tensor.FromSlice(tensor.Shape{2}, []float32{3, float32(math.Inf(-1))}),
	}
	return []map[string]*tensor.Tensor{one, one, one}
}

func compareWith(t *testing.T, b string, outputs ...string) *Report {
	t.Helper()
	var first *Report
	for _, streams := range []int{1, 3} {
		r, err := Compare(context.Background(), parse(t, a), parse(t, b), feeds(), Options{
			Inputs: []string{"ids", "x"}, Outputs: outputs, EOS: 1, Pad: 0, BOS: -1, Streams: streams,
		})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		} else if first.Equal != r.Equal || first.Tokens != r.Tokens || first.StoppedB != r.StoppedB {
			t.Errorf("the report depends on the streams: %+v and %+v", first, r)
		}
	}
	return first
}

func TestCompareEqual(t *testing.T) {
	r := compareWith(t, a, "tokens", "y")
	if r.Feeds != 3 || r.Tokens != 15 || r.Equal != 15 || r.Rows != 6 || r.StoppedA != 6 || r.StoppedB != 6 {
		t.Errorf("equal graphs give %+v", r)
	}
	if len(r.Floats) != 1 || r.Floats[0].Error != 0 || r.Floats[0].NotFinite != 0 {
		t.Errorf("equal floats give %+v", r.Floats)
	}
	if r.Collapse() != "" {
		t.Errorf("equal graphs collapsed: %s", r.Collapse())
	}
}

func TestCompareDifferent(t *testing.T) {
	for _, c := range []struct {
		name, b, outputs, collapse string
	}{
		{"a tenth off", strings.Replace(a, "y = Identity(x)", "f = Const[value=float 1.1]()\ny = Mul(x, f)", 1), "y", ""},
		{"zeros", strings.Replace(a, "y = Identity(x)", "y = ZerosLike(x)", 1), "y", `output "y" has a relative error of 100 %`},
		{"NaN", strings.Replace(a, "y = Identity(x)", "f = Const[value=float nan]()\ny = Mul(x, f)", 1), "y", "NaN or infinite"},
		{"one token in three off", strings.Replace(a, "tokens = Identity(ids)", "m = Const[value=int32 6]()\ntokens = Minimum(ids, m)", 1), "tokens", ""},
		{"other tokens", strings.Replace(a, "tokens = Identity(ids)", "m = Const[value=int32 100]()\ntokens = Add(ids, m)", 1), "tokens", "of the tokens are as before"},
		{"no stop", strings.Replace(a, "tokens = Identity(ids)", "m = Const[value=int32 2x4 [0, 0, 0, 8, 0, 0, 8, 0]]()\ntokens = Add(ids, m)", 1), "tokens", "end with the stop token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compareWith(t, c.b, c.outputs)
			got := r.Collapse()
			if c.collapse == "" && got != "" || !strings.Contains(got, c.collapse) {
				t.Errorf("collapse is %q, want %q (%+v)", got, c.collapse, r)
			}
		})
	}
}

// What is infinite in the original has no error.
func TestCompareFiniteOnly(t *testing.T) {
	r := compareWith(t, strings.Replace(a, "y = Identity(x)", "y = Sub(x, x)", 1), "y")
	if f := r.Floats[0]; f.Error != 1 || f.NotFinite != 0 {
		t.Errorf("have %+v, want the error of the finite element alone, 1", f)
	}
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		x, y []int
		want int
	}{
		{nil, []int{1}, 0},
		{[]int{1, 2, 3}, []int{1, 2, 3}, 3},
		{[]int{1, 2, 3}, []int{9, 1, 2, 3}, 3}, // one word more at the start
		{[]int{1, 2, 3}, []int{3, 2, 1}, 1},
	} {
		if got := common(c.x, c.y); got != c.want {
			t.Errorf("common(%v, %v) = %d, want %d", c.x, c.y, got, c.want)
		}
	}
}

func TestCompareErrors(t *testing.T) {
	b := strings.Replace(a, "y = Identity(x)", "y = Cast[DstT=int32](x)", 1)
	_, err := Compare(context.Background(), parse(t, a), parse(t, b), feeds(), Options{Inputs: []string{"ids", "x"}, Outputs: []string{"y"}, EOS: -1})
	if err == nil || !strings.Contains(err.Error(), `output "y": the converted graph has dtype int32, want float`) {
		t.Errorf("error %v", err)
	}
	_, err = Compare(context.Background(), parse(t, a), parse(t, "x = Frobnicate()\n"), feeds(), Options{Outputs: []string{"x"}})
	if err == nil || !strings.Contains(err.Error(), "the converted graph: ") {
		t.Errorf("error %v", err)
	}
}
