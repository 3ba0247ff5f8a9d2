package runtime_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestBeamTopK compares the fused step with the nodes one by one, bit by bit, also where add is not one number a row.
func TestBeamTopK(t *testing.T) {
	const reshaped = `
x = Placeholder[dtype=float, shape=?x300]()
add = Placeholder[dtype=float]()
k = Const[value=int32 5]()
s = Const[value=int32 [-1, 3, 300]]()
j = Const[value=int32 [-1, 900]]()
log = LogSoftmax(x)
split = Reshape(log, s)
sum = AddV2(split, add)
join = Reshape(sum, j)
top = TopKV2(join, k)
`
	const direct = `
x = Placeholder[dtype=float, shape=?x300]()
add = Placeholder[dtype=float]()
k = Const[value=int32 5]()
log = LogSoftmax(x)
sum = AddV2(add, log)
top = TopKV2(sum, k)
`
	for _, c := range []struct {
		name, text string
		add        tensor.Shape
	}{
		{"beams", reshaped, tensor.Shape{2, 3, 1}},
		{"one for all", reshaped, tensor.Shape{1, 1, 1}},
		{"every element", reshaped, tensor.Shape{2, 3, 300}},
		{"rows", direct, tensor.Shape{6, 1}},
		{"columns", direct, tensor.Shape{1, 300}},
		{"one row", direct, tensor.Shape{300}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := graphdef.Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(3, 4))
			feeds := map[string]*tensor.Tensor{"x": randomFloats(r, 6, 300), "add": randomFloats(r, c.add...)}
			var results []map[string]*tensor.Tensor
			for _, opts := range []runtime.CompileOptions{{NoFusion: true}, {}} {
				opts.Fetches = []string{"top", "top:1"}
				p, err := runtime.Compile(g, opts)
				if err != nil {
					t.Fatal(err)
				}
				s := p.NewSession()
				fused := false
				s.Profile = func(st runtime.StepTime) { fused = fused || st.Op == "BeamTopK" }
				out, err := s.Run(context.Background(), feeds)
				if err != nil {
					t.Fatal(err)
				}
				if fused == opts.NoFusion {
					t.Errorf("a fused step ran: %v, want %v", fused, !opts.NoFusion)
				}
				results = append(results, out)
			}
			for name, want := range results[0] {
				got := results[1][name]
				if !got.Shape().Equal(want.Shape()) || string(got.Bytes()) != string(want.Bytes()) {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
		})
	}
}
