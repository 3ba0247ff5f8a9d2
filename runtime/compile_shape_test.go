package runtime_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

const shapeInputs = `
x = Placeholder[dtype=float]()
r = Placeholder[dtype=float]()
minus = Const[value=int32 [-1]]()
zeros = Const[value=int32 [0]]()
ones = Const[value=int32 [1]]()
twos = Const[value=int32 [2]]()
zero = Const[value=int32 0]()
one = Const[value=int32 1]()
six = Const[value=int32 6]()
sixes = Const[value=int32 [6]]()
half = Const[value=float 0.5]()
s = Shape(x)
d0 = StridedSlice[shrink_axis_mask=1](s, zeros, ones, ones)
last = StridedSlice[shrink_axis_mask=1](s, minus, zeros, ones)
`

// TestShapesAreRead compares graphs that compute shapes from shapes with what they give node by node, for several shapes in one
// session, and checks that no step computes a shape.
func TestShapesAreRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kept       string // ops that are needed
	}{
		{"pack", "p = Pack[N=3](d0, one, last)\nm = Mean[keep_dims=true](x, one)\ny = Reshape(m, p)", ""},
		{"shape of another", "o = Shape(r)\ny = Reshape(x, o)", ""},
		{"all but the last", "f = StridedSlice[begin_mask=1](s, zeros, minus, ones)\nc = ConcatV2[N=2](f, ones, zero)\nl = Sum[keep_dims=true](x, minus)\ny = Reshape(l, c)", ""},
		{"from the second on", "f = StridedSlice[end_mask=1](s, ones, zeros, ones)\nc = ConcatV2[N=2](minus, f, zero)\ny = Reshape(x, c)", ""},
		{"int64", "s8 = Shape[out_type=int64](r)\ny = Reshape(x, s8)", ""},
		{"tile", "p = Pack[N=3](one, d0, one)\ny = Tile(x, p)", ""},
		{"fill", "p = Pack[N=2](last, d0)\ny = Fill(p, half)", ""},
		{"broadcast", "m = Mean[keep_dims=true](x, zeros)\ny = BroadcastTo(m, s)", ""},
		{"product", `
w = Const[value=float 3x4 [1, -2, 3, 0.5, -1, 2, 0.25, 1, 1, 1, -1, 2]]()
b = Const[value=float [0.5, -0.5, 1, 2]]()
three = Const[value=int32 3]()
four = Const[value=int32 4]()
flat = Pack[N=2](minus1, three)
minus1 = Const[value=int32 -1]()
f = Reshape(x, flat)
m = MatMul(f, w)
a = BiasAdd(m, b)
p = Pack[N=3](d0, minus1, four)
y = Reshape(a, p)`, ""},
		{"arithmetic on dimensions", "t = Mul(d0, last)\nm1 = Const[value=int32 -1]()\np = Pack[N=2](t, m1)\ny = Reshape(x, p)", "Shape StridedSlice Pack"},
		{"wanted for itself", "p = Pack[N=2](last, d0)\nf = Fill(p, half)\nq = Fill(p, one)\nu = Cast[SrcT=int32, DstT=float](q)\ne = AddV2(f, u)\nv = Cast[SrcT=int32, DstT=float](p)\nz = Sum(v, zeros)\ny = AddV2(e, z)", "Shape StridedSlice Pack"},
		{"of dimensions alone, changed in place", "g = Range(zero, last, one)\nc = Cast[SrcT=int32, DstT=float](g)\nt = Sin(c)\nn = Neg(t)\ny = AddV2(n, x)", "Shape StridedSlice"},
		{"of dimensions alone, fetched", "p = Pack[N=2](last, d0)\nf = Fill(p, half)\ny = Sin(f)", ""},
		{"in a loop", `
x_in = Enter[frame_name="f"](x)
i_in = Enter[frame_name="f"](zero)
one_in = Enter[frame_name="f", is_constant=true](one)
six_in = Enter[frame_name="f", is_constant=true](six)
r_in = Enter[frame_name="f", is_constant=true](r)
v = Merge(x_in, v_next)
i = Merge(i_in, i_next)
less = Less(i, six_in)
cond = LoopCond(less)
v_sw = Switch(v, cond)
i_sw = Switch(i, cond)
axis = Const[value=int32 1](^i_sw)
at = Const[value=int32 [1]](^i_sw)
to = Const[value=int32 [2]](^i_sw)
all = Const[value=int32 -1](^i_sw)
grown = ConcatV2[N=2](v_sw:1, r_in, axis)
neg = Neg(grown)
gs = Shape(neg)
length = StridedSlice[shrink_axis_mask=1](gs, at, to, to_one)
to_one = Const[value=int32 [1]](^i_sw)
p = Pack[N=2](all, length)
twice = AddV2(neg, neg)
flat = Reshape(twice, p)
gs2 = Shape(grown)
back = Reshape(flat, gs2)
v_next = NextIteration(back)
n = AddV2(i_sw:1, one_in)
i_next = NextIteration(n)
y = Exit(v_sw)`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := graphdef.Parse(shapeInputs + c.text)
			if err != nil {
				t.Fatal(err)
			}
			var sessions []*runtime.Session
			ops := map[string]bool{}
			var plan *runtime.Plan
			for _, plain := range []bool{true, false} {
				if plan, err = runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}, NoFusion: plain}); err != nil {
					t.Fatal(err)
				}
				sessions = append(sessions, plan.NewSession())
			}
			sessions[1].Profile = func(st runtime.StepTime) { ops[st.Op] = true }
			rnd := rand.New(rand.NewPCG(1, 2))
			for _, shape := range []tensor.Shape{{2, 5, 3}, {4, 1, 3}, {4, 1, 3}, {1, 7, 3}, {0, 2, 3}} {
				feeds := map[string]*tensor.Tensor{}
				for _, name := range plan.Feeds() {
					feeds[name] = randomFloats(rnd, shape...)
				}
				want, err := sessions[0].Run(context.Background(), feeds)
				if err != nil {
					t.Fatal(err)
				}
				got, err := sessions[1].Run(context.Background(), feeds)
				if err != nil {
					t.Fatal(err)
				}
				if g, w := got["y"], want["y"]; !g.Shape().Equal(w.Shape()) || !bytes.Equal(g.Bytes(), w.Bytes()) {
					t.Errorf("of %v: %v, want %v", shape, g, w)
				}
				clear(got["y"].Bytes()) // it is the caller's
			}
			for _, op := range []string{"Shape", "StridedSlice", "Pack"} {
				if ops[op] != strings.Contains(c.kept, op) {
					t.Errorf("steps are %v: %s", ops, op)
				}
			}
		})
	}
}

// TestReadShapeFails checks that a dimension that a tensor does not have is an error where it is read.
func TestReadShapeFails(t *testing.T) {
	g, err := graphdef.Parse(shapeInputs + "d = StridedSlice[shrink_axis_mask=1](s, twos, sixes, ones)\np = Pack[N=2](d, d0)\ny = Fill(p, half)")
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.NewSession().Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, tensor.Shape{2, 5})})
	if err == nil || !strings.Contains(err.Error(), "dimension 2 of [2, 5]") {
		t.Errorf("error is %v, want one that names dimension 2", err)
	}
}
