package runtime_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestFusedSteps compares graphs in which nodes run as one step with what the nodes say one by one, and checks that the step is
// there.
func TestFusedSteps(t *testing.T) {
	const inputs = `
q = Placeholder[dtype=float]()
k = Placeholder[dtype=float]()
v = Placeholder[dtype=float]()
mask = Placeholder[dtype=float]()
c = Const[value=float 0.3]()
perm = Const[value=int32 [0, 2, 1, 3]]()
`
	const dense = `
x = Placeholder[dtype=float]()
r = Placeholder[dtype=float]()
w = Const[value=float 3x4 [1, -2, 3, 0.5, -1, 2, 0.25, 1, 1, 1, -1, 2]]()
b = Const[value=float [0.5, -0.5, 1, 2]]()
half = Const[value=float 0.5]()
one = Const[value=float 1]()
root = Const[value=float 1.4142135]()
inverse = Const[value=float 0.70710677]()
slope = Const[value=float 0.7978846]()
cubic = Const[value=float 0.044715]()
three = Const[value=float 3]()
flat = Const[value=int32 [-1, 3]]()
back = Const[value=int32 [2, -1, 4]]()
`
	const norm = `
x = Placeholder[dtype=float]()
last = Const[value=int32 -1]()
eps = Const[value=float 1e-5]()
half = Const[value=float 0.5]()
gamma = Const[value=float [1, -2, 3, 0.5]]()
beta = Const[value=float [0.5, -0.5, 1, 2]]()
tall = Placeholder[dtype=float]()
wide = Const[value=float 2x1x1x1 [1, 2]]()
`
	const batchNorm = `
one = Const[value=int32 1]()
rows = Const[value=int32 6]()
cols = Const[value=int32 4]()
fone = Const[value=float 1]()
fzero = Const[value=float 0]()
none = Const[value=float 0 []]()
to = Pack(one, rows, cols, one)
from = Shape(x)
count = Pack(rows)
ones = Fill(count, fone)
zeros = Fill(count, fzero)
f = Reshape(x, to)
b = FusedBatchNormV3[data_format="NCHW", epsilon=0.001](f, ones, zeros, none, none)
n = Reshape(b, from)
`
	normed := map[string]tensor.Shape{"x": {2, 3, 4}, "tall": {3, 1}}
	heads := map[string]tensor.Shape{"q": {2, 3, 5, 4}, "k": {2, 3, 7, 4}, "v": {2, 3, 7, 6}}
	split := map[string]tensor.Shape{"q": {2, 5, 3, 4}, "k": {2, 7, 3, 4}, "v": {2, 7, 3, 6}}
	rows := map[string]tensor.Shape{"x": {10, 3}, "r": {10, 4}}
	matrices := map[string]tensor.Shape{"x": {2, 5, 3}, "r": {2, 5, 4}}
	for _, c := range []struct {
		name, text string
		shapes     map[string]tensor.Shape
		mask       tensor.Shape
		step       string
		gone       string // an op that no step has any more
	}{
		{"plain", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\np = Softmax(s)\ny = BatchMatMulV2(p, v)", heads, nil, "Attention", "Softmax"},
		{"scaled", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\nm = Mul(s, c)\np = Softmax(m)\ny = BatchMatMulV2(p, v)", heads, nil, "Attention", "Mul"},
		{"divided and masked", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\nm = RealDiv(s, c)\na = AddV2(m, mask)\np = Softmax(a)\ny = BatchMatMulV2(p, v)", heads, tensor.Shape{2, 1, 1, 7}, "Attention", "RealDiv"},
		{"mask and next to nothing", inputs + "tiny = Const[value=float 1e-9]()\ns = BatchMatMulV2[adj_y=true](q, k)\na = AddV2(s, mask)\nb = AddV2(a, tiny)\np = Softmax(b)\ny = BatchMatMulV2(p, v)", heads, tensor.Shape{2, 1, 1, 7}, "Attention", "Softmax"},
		{"softmax of next to nothing more", inputs + "tiny = Const[value=float 1e-9]()\na = AddV2(tiny, q)\ny = Softmax(a)", heads, nil, "Softmax", "AddV2"},
		{"masked softmax of next to nothing more", inputs + "tiny = Const[value=float 1e-9]()\na = AddV2(q, mask)\nb = AddV2(a, tiny)\ny = Softmax(b)", heads, tensor.Shape{5, 4}, "Softmax", "AddV2"},
		{"mask first", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\nm = Mul(c, s)\na = AddV2(mask, m)\np = Softmax(a)\ny = BatchMatMulV2(p, v)", heads, tensor.Shape{5, 7}, "Attention", "Mul"},
		{"mask for each head", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\na = AddV2(s, mask)\np = Softmax(a)\ny = BatchMatMulV2(p, v)", heads, tensor.Shape{3, 5, 7}, "Attention", "Softmax"},
		{"mask stretches rows", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\nm = Mul(c, s)\na = AddV2(s, mask)\np = Softmax(a)\ny = BatchMatMulV2(p, v)", map[string]tensor.Shape{"q": {2, 3, 1, 4}, "k": {2, 3, 7, 4}, "v": {2, 3, 7, 6}}, tensor.Shape{5, 7}, "Attention", "Softmax"},
		{"mask of columns", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\nm = Mul(c, s)\na = AddV2(m, mask)\np = Softmax(a)\ny = BatchMatMulV2(p, v)", heads, tensor.Shape{5, 1}, "Attention", "Softmax"},
		{"heads transposed", inputs + "qt = Transpose(q, perm)\nkt = Transpose(k, perm)\nvt = Transpose(v, perm)\ns = BatchMatMulV2[adj_y=true](qt, kt)\nm = Mul(s, c)\na = AddV2(m, mask)\np = Softmax(a)\nz = BatchMatMulV2(p, vt)\ny = Transpose(z, perm)", split, tensor.Shape{2, 1, 1, 7}, "Attention", "Transpose"},
		{"einsum", inputs + "s = Einsum[N=2, equation=\"aecd,abcd->acbe\"](k, q)\np = Softmax(s)\ny = Einsum[N=2, equation=\"acbe,aecd->abcd\"](p, v)", split, nil, "Attention", "Einsum"},
		{"einsum of parted heads", inputs + "s = Einsum[N=2, equation=\"bhqd,bhkd->bhqk\"](q, k)\nm = Mul(s, c)\np = Softmax(m)\ny = Einsum[N=2, equation=\"bhqk,bhkd->bqhd\"](p, v)", heads, nil, "Attention", "Einsum"},
		{"broadcast keys", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\np = Softmax(s)\ny = BatchMatMulV2(p, v)", map[string]tensor.Shape{"q": {2, 3, 5, 4}, "k": {1, 3, 7, 4}, "v": {3, 7, 6}}, nil, "Attention", "Softmax"},
		{"no keys", inputs + "s = BatchMatMulV2[adj_y=true](q, k)\np = Softmax(s)\ny = BatchMatMulV2(p, v)", map[string]tensor.Shape{"q": {2, 3, 5, 4}, "k": {2, 3, 0, 4}, "v": {2, 3, 0, 6}}, nil, "Attention", "Softmax"},

		{"relu", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\ny = Relu(z)", rows, nil, "MatMul", "Relu"},
		{"residual", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\na = Relu(z)\ny = AddV2(r, a)", rows, nil, "MatMul", "AddV2"},
		{"bias after reshape", dense + "f = Reshape(x, flat)\nm = MatMul(f, w)\nz = Reshape(m, back)\na = BiasAdd(z, b)\ny = Tanh(a)", matrices, nil, "MatMul", "Tanh"},
		{"addition as bias", dense + "f = Reshape(x, flat)\nm = MatMul(f, w)\nz = Reshape(m, back)\na = AddV2(z, b)\ny = AddV2(a, r)", matrices, nil, "MatMul", "AddV2"},
		{"gelu, erf", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\nd = RealDiv(z, root)\ne = Erf(d)\np = AddV2(one, e)\nh = Mul(half, z)\ny = Mul(h, p)", rows, nil, "MatMul", "Erf"},
		{"gelu, erf of a product", dense + "d = Mul(inverse, x)\ne = Erf(d)\np = AddV2(e, one)\nh = Mul(p, half)\ny = Mul(x, h)", rows, nil, "GeluExact", "Erf"},
		{"gelu, erfc", dense + "f = Reshape(x, flat)\nm = MatMul(f, w)\nz = Reshape(m, back)\na = BiasAdd(z, b)\nn = Neg(a)\nd = Mul(n, inverse)\ne = Erfc(d)\nh = Mul(half, a)\ny = Mul(h, e)", matrices, nil, "MatMul", "Erfc"},
		{"gelu, tanh", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\nq = Pow(z, three)\nc = Mul(cubic, q)\ns = AddV2(z, c)\nl = Mul(slope, s)\ne = Tanh(l)\np = AddV2(one, e)\nh = Mul(half, z)\ny = Mul(h, p)", rows, nil, "MatMul", "Pow"},
		{"gelu, tanh, no product", dense + "q = Pow(x, three)\nc = Mul(q, cubic)\ns = AddV2(x, c)\nl = Mul(slope, s)\ne = Tanh(l)\np = AddV2(one, e)\ng = Mul(p, half)\ny = Mul(x, g)", rows, nil, "GeluApproximate", "Pow"},
		{"residual that broadcasts", dense + "f = Reshape(x, flat)\nm = MatMul(f, w)\nz = Reshape(m, back)\ny = AddV2(z, r)", map[string]tensor.Shape{"x": {2, 5, 3}, "r": {1, 5, 4}}, nil, "MatMul", ""},
		{"layer norm with a gain for all", `
x = Placeholder[dtype=float]()
axis = Const[value=int32 [-1]]()
eps = Const[value=float 1e-6]()
gamma = Const[value=float 2]()
beta = Const[value=float [1, 2, 3]]()
m = Mean[keep_dims=true](x, axis)
d = SquaredDifference(x, m)
v = Mean[keep_dims=true](d, axis)
ve = AddV2(v, eps)
r = Rsqrt(ve)
inv = Mul(r, gamma)
xi = Mul(x, inv)
mi = Mul(m, inv)
s = Sub(beta, mi)
y = AddV2(xi, s)`, rows, nil, "LayerNorm", "Rsqrt"},
		{"residual that is the product", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\ny = AddV2(z, z)", rows, nil, "AddV2", ""},
		{"residual that is wider", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\na = Relu(z)\ny = AddV2(a, r)", map[string]tensor.Shape{"x": {10, 3}, "r": {2, 10, 4}}, nil, "MatMul", ""},
		{"silu", dense + "m = MatMul(x, w)\nz = BiasAdd(m, b)\ng = Sigmoid(z)\ny = Mul(g, z)", rows, nil, "MatMul", "Sigmoid"},
		{"silu, no product", dense + "g = Sigmoid(r)\ny = Mul(r, g)", rows, nil, "Silu", "Sigmoid"},
		{"rms norm", norm + "s = Square(x)\nm = Mean[keep_dims=true](s, last)\na = AddV2(m, eps)\nr = Rsqrt(a)\nn = Mul(x, r)\ny = Mul(gamma, n)", normed, nil, "RMSNorm", "Rsqrt"},
		{"rms norm, one gain", norm + "s = Mul(x, x)\nm = Mean[keep_dims=true](s, last)\na = AddV2(eps, m)\nr = Rsqrt(a)\nn = Mul(r, x)\ny = Mul(n, half)", normed, nil, "RMSNorm", "Rsqrt"},
		{"layer norm, gain for each row", norm + "m = Mean[keep_dims=true](x, last)\nd = SquaredDifference(x, m)\nv = Mean[keep_dims=true](d, last)\na = AddV2(v, eps)\nr = Rsqrt(a)\nc = Sub(x, m)\nn = Mul(c, r)\ng = Mul(n, tall)\ny = AddV2(g, beta)", normed, nil, "LayerNorm", "Rsqrt"},
		{"layer norm by batch norm", norm + batchNorm + "g = Mul(n, gamma)\ny = AddV2(beta, g)", normed, nil, "LayerNorm", "FusedBatchNormV3"},
		{"layer norm by batch norm, wide shift", norm + batchNorm + "g = Mul(gamma, n)\ny = AddV2(g, wide)", normed, nil, "LayerNorm", "FusedBatchNormV3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := graphdef.Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			feeds := map[string]*tensor.Tensor{}
			for _, n := range g.Nodes() {
				shape := c.shapes[n.Name()]
				if n.Name() == "mask" {
					shape = c.mask
				}
				if n.Op() == "Placeholder" && len(n.Users()) > 0 {
					feeds[n.Name()] = randomFloats(r, shape...)
				}
			}
			run := func(opts runtime.CompileOptions) (*tensor.Tensor, map[string]bool) {
				opts.Fetches = []string{"y"}
				p, err := runtime.Compile(g, opts)
				if err != nil {
					t.Fatal(err)
				}
				s := p.NewSession()
				ops := map[string]bool{}
				s.Profile = func(st runtime.StepTime) { ops[st.Op] = true }
				out, err := s.Run(context.Background(), feeds)
				if err != nil {
					t.Fatal(err)
				}
				return out["y"], ops
			}
			want, _ := run(runtime.CompileOptions{NoFusion: true})
			got, ops := run(runtime.CompileOptions{})
			if !ops[c.step] || ops[c.gone] {
				t.Errorf("steps are %v, want %s and no %s", ops, c.step, c.gone)
			}
			if !got.Shape().Equal(want.Shape()) {
				t.Fatalf("shape = %v, want %v", got.Shape(), want.Shape())
			}
			for i, w := range tensor.Data[float32](want) {
				if g := tensor.Data[float32](got)[i]; math.Abs(float64(g-w)) > 4e-6*(1+math.Abs(float64(w))) {
					t.Errorf("element %d = %v, want %v", i, g, w)
				}
			}
		})
	}
}
