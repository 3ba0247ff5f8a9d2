package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
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
	const spelled = `
x = Placeholder[dtype=float, shape=?x300]()
add = Placeholder[dtype=float]()
k = Const[value=int32 5]()
last = Const[value=int32 2]()
s = Const[value=int32 [-1, 3, 300]]()
j = Const[value=int32 [-1, 900]]()
penalty = Const[value=float %s]()
split = Reshape(x, s)
max = Max[keep_dims=true](split, last)
finite = IsFinite(max)
zeros = ZerosLike(max)
selected = SelectV2(finite, max, zeros)
stop = StopGradient(selected)
diff = Sub(split, stop)
exp = Exp(diff)
all = Sum[keep_dims=true](exp, last)
lse = Log(all)
whole = AddV2(lse, stop)
log = Sub(split, whole)
sum = AddV2(log, add)
divided = RealDiv(sum, penalty)
join = Reshape(divided, j)
top = TopKV2(join, k)
`
	for _, c := range []struct {
		name, text string
		add        tensor.Shape
	}{
		{"spelled", fmt.Sprintf(spelled, "1.7"), tensor.Shape{2, 3, 1}},
		{"many equal", fmt.Sprintf(spelled, "3"), tensor.Shape{2, 3, 1}},
		{"infinite", fmt.Sprintf(spelled, "1"), tensor.Shape{2, 3, 1}},
		{"divided by less than nothing", fmt.Sprintf(spelled, "-2"), tensor.Shape{2, 3, 1}},
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
			// Logarithms in another order of operations are other numbers by a bit or two.
			exact := strings.Contains(c.text, "LogSoftmax")
			if c.name == "many equal" {
				for i, v := range tensor.Data[float32](feeds["x"]) {
					tensor.Data[float32](feeds["x"])[i] = float32(math.Round(float64(v)))
				}
			}
			if strings.HasPrefix(c.name, "infinite") {
				tensor.Data[float32](feeds["x"])[77] = float32(math.Inf(1))
			}
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
				equal := got.Shape().Equal(want.Shape())
				if equal && !exact && want.DType() == tensor.Float32 {
					for i, w := range tensor.Data[float32](want) {
						g := tensor.Data[float32](got)[i]
						equal = equal && (math.Abs(float64(g-w)) < 1e-5 || g == w || g != g && w != w)
					}
				} else {
					equal = equal && string(got.Bytes()) == string(want.Bytes())
				}
				if !equal {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
		})
	}
}
