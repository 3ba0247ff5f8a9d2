package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// beamLoop is the heart of a beam search: keys and values grow by a step in each iteration, every row attends to what it has
// seen, and the rows take each other's places. Six rows, two heads. The sum of what attention gives comes out.
const beamLoop = `
keys0 = Placeholder[dtype=float, shape=6x2x?x%[2]d]()
values0 = Placeholder[dtype=float, shape=6x2x?x%[2]d]()
news = Placeholder[dtype=float, shape=?x6x2x1x%[2]d]()
places = Placeholder[dtype=int32, shape=?x2x3x2]()
mask = Placeholder[dtype=float, shape=%[1]s]()
zero = Const[value=int32 0]()
sum0 = Const[value=float 6x2x1x%[2]d fill 0]()
steps = Const[value=int32 5]()
i_in = Enter[frame_name="f"](zero)
sum_in = Enter[frame_name="f"](sum0)
k_in = Enter[frame_name="f"](keys0)
v_in = Enter[frame_name="f"](values0)
news_in = Enter[frame_name="f", is_constant=true](news)
places_in = Enter[frame_name="f", is_constant=true](places)
mask_in = Enter[frame_name="f", is_constant=true](mask)
steps_in = Enter[frame_name="f", is_constant=true](steps)
i = Merge(i_in, i_next)
sum = Merge(sum_in, sum_next)
k = Merge(k_in, k_next)
v = Merge(v_in, v_next)
less = Less(i, steps_in)
cond = LoopCond(less)
i_sw = Switch(i, cond)
sum_sw = Switch(sum, cond)
k_sw = Switch(k, cond)
v_sw = Switch(v, cond)
axis0 = Const[value=int32 0](^i_sw)
one = Const[value=int32 1](^i_sw)
axis2 = Const[value=int32 2](^i_sw)
split = Const[value=int32 [2, 3, 2, -1, %[2]d]](^i_sw)
flat = Const[value=int32 [6, 2, -1, %[2]d]](^i_sw)
new = GatherV2(news_in, i_sw:1, axis0)
place = GatherV2(places_in, i_sw:1, axis0)
keys = ConcatV2(k_sw:1, new, axis2)
twice = AddV2(new, new)
values = ConcatV2(v_sw:1, twice, axis2)
scores = BatchMatMulV2[adj_y=true](new, keys)
masked = AddV2(scores, mask_in)
soft = Softmax(masked)
attended = BatchMatMulV2(soft, values)
sum_next_value = AddV2(sum_sw:1, attended)
ks = Reshape(keys, split)
kg = GatherNd(ks, place)
kf = Reshape(kg, flat)
vs = Reshape(values, split)
vg = GatherNd(vs, place)
vf = Reshape(vg, flat)
i_next_value = AddV2(i_sw:1, one)
i_next = NextIteration(i_next_value)
sum_next = NextIteration(sum_next_value)
k_next = NextIteration(kf)
v_next = NextIteration(vf)
out = Exit(sum_sw)
`

// TestGrowingCaches compares loops that hold keys and values in caches with what the nodes say one by one, for beams that stay
// within their sentence, that do not, and with values that are not finite.
func TestGrowingCaches(t *testing.T) {
	for _, c := range []struct {
		mask  string
		depth int // of 16, the keys suit the kernel that does all of attention
	}{{"scalar", 4}, {"6x1x1x1", 4}, {"1x1x6x1", 4}, {"scalar", 16}} {
		mask, depth := c.mask, c.depth
		for _, kind := range []string{"plain", "longer start", "across", "infinite"} {
			if mask == "1x1x6x1" && kind != "plain" {
				continue
			}
			t.Run(fmt.Sprint(mask, " ", kind, " ", depth), func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, 7))
				start := 0
				if kind == "longer start" {
					start = 2
				}
				feeds := map[string]*tensor.Tensor{
					"keys0":   randomFloats(r, 6, 2, start, depth),
					"values0": randomFloats(r, 6, 2, start, depth),
					"news":    randomFloats(r, 5, 6, 2, 1, depth),
				}
				switch mask {
				case "scalar":
					feeds["mask"] = tensor.Scalar[float32](0.5)
				case "6x1x1x1":
					feeds["mask"] = randomFloats(r, 6, 1, 1, 1)
				default:
					feeds["mask"] = randomFloats(r, 1, 1, 6, 1)
				}
				if kind == "infinite" {
					tensor.Data[float32](feeds["news"])[50] = float32(math.Inf(1))
				}
				p := tensor.New(tensor.Int32, tensor.Shape{5, 2, 3, 2})
				for i := range p.Len() / 2 {
					sentence := int32(i / 3 % 2)
					if kind == "across" && i == 13 {
						sentence = 1 - sentence
					}
					tensor.Data[int32](p)[2*i], tensor.Data[int32](p)[2*i+1] = sentence, int32(r.IntN(3))
				}
				feeds["places"] = p
				g, err := graphdef.Parse(fmt.Sprintf(beamLoop, mask, depth))
				if err != nil {
					t.Fatal(err)
				}
				run := func(opts runtime.CompileOptions) (*tensor.Tensor, map[string]bool) {
					opts.Fetches = []string{"out"}
					plan, err := runtime.Compile(g, opts)
					if err != nil {
						t.Fatal(err)
					}
					s := plan.NewSession()
					ops := map[string]bool{}
					s.Profile = func(st runtime.StepTime) { ops[st.Op] = true }
					var got *tensor.Tensor
					for range 2 { // the second time on the buffers of the first
						out, err := s.Run(context.Background(), feeds)
						if err != nil {
							t.Fatal(err)
						}
						got = out["out"]
					}
					return got, ops
				}
				want, _ := run(runtime.CompileOptions{NoFusion: true})
				got, ops := run(runtime.CompileOptions{})
				if !ops["CacheReorder"] || !ops["CachedAttention"] || !ops["CacheAppend"] {
					t.Errorf("steps ran = %v, want those of caches", ops)
				}
				for i, w := range tensor.Data[float32](want) {
					g := tensor.Data[float32](got)[i]
					if math.Abs(float64(g-w)) > 1e-6*(1+math.Abs(float64(w))) || (w != w) != (g != g) {
						t.Errorf("element %d = %v, want %v", i, g, w)
					}
				}
			})
		}
	}
}

// cacheForms are ways in which graphs keep caches of six rows, two heads and depth four: the shapes of a cache and of what is new
// in a step, and how the body extends, reads and reorders the caches that v0 and v1 hold. attended is [6, 2, 1, 4].
var cacheForms = []struct {
	name, start, fresh, body string
	reorders                 bool
}{
	{"heads first, rows by number", "6x2x?x4", "6x2x1x4", `
keys = ConcatV2(k_sw:1, new, axis2)
values = ConcatV2(v_sw:1, twice, axis2)
scores = BatchMatMulV2[adj_y=true](new, keys)
soft = Softmax(scores)
attended = BatchMatMulV2(soft, values)
kf = GatherV2(keys, row, axis0)
vf = GatherV2(values, row, axis0)
`, true},
	{"time first", "6x?x2x4", "6x1x2x4", `
keys = ConcatV2(k_sw:1, new, axis1)
values = ConcatV2(v_sw:1, twice, axis1)
scores = Einsum[N=2, equation="bthd,bqhd->bhqt"](keys, new)
soft = Softmax(scores)
attended = Einsum[N=2, equation="bhqt,bthd->bhqd"](soft, values)
split = Const[value=int32 [2, 3, -1, 2, 4]](^i_sw)
flat = Const[value=int32 [6, -1, 2, 4]](^i_sw)
ks = Reshape(keys, split)
kg = GatherNd(ks, place)
kf = Reshape(kg, flat)
vs = Reshape(values, split)
vg = GatherNd(vs, place)
vf = Reshape(vg, flat)
`, true},
	{"heads as one", "6x?x8", "6x1x8", `
keys = ConcatV2(k_sw:1, new, axis1)
values = ConcatV2(v_sw:1, twice, axis1)
part = Const[value=int32 [6, -1, 2, 4]](^i_sw)
perm = Const[value=int32 [0, 2, 1, 3]](^i_sw)
qp = Reshape(new, part)
qt = Transpose(qp, perm)
kp = Reshape(keys, part)
kt = Transpose(kp, perm)
vp = Reshape(values, part)
vt = Transpose(vp, perm)
scores = BatchMatMulV2[adj_y=true](qt, kt)
soft = Softmax(scores)
attended = BatchMatMulV2(soft, vt)
kf = GatherV2(keys, row, axis0)
vf = GatherV2(values, row, axis0)
`, true},
	{"sentences and beams apart, picked twice", "2x3x2x?x4", "6x2x1x4", `
flat = Const[value=int32 [6, 2, -1, 4]](^i_sw)
split = Const[value=int32 [2, 3, 2, -1, 4]](^i_sw)
wide = Const[value=int32 2x4x2 [0, 2, 0, 0, 0, 1, 0, 2, 1, 0, 1, 0, 1, 2, 1, 1]](^i_sw)
k_flat = Reshape(k_sw:1, flat)
v_flat = Reshape(v_sw:1, flat)
keys = ConcatV2(k_flat, new, axis2)
values = ConcatV2(v_flat, twice, axis2)
scores = BatchMatMulV2[adj_y=true](new, keys)
soft = Softmax(scores)
attended = BatchMatMulV2(soft, values)
ks = Reshape(keys, split)
kw = GatherNd(ks, wide)
kf = GatherNd(kw, place)
vs = Reshape(values, split)
vw = GatherNd(vs, wide)
vf = GatherNd(vw, place)
`, true},
	{"no beams, behind a conditional", "6x2x?x4", "6x2x1x4", `
less_two = Less(i_sw:1, two)
cond_sw = Switch(twice, less_two)
cond_neg = Neg(cond_sw:1)
other = Merge(cond_sw, cond_neg)
kf = ConcatV2(k_sw:1, new, axis2)
vf = ConcatV2(v_sw:1, other, axis2)
scores = BatchMatMulV2[adj_y=true](new, kf)
soft = Softmax(scores)
attended = BatchMatMulV2(soft, vf)
`, false},
}

const cacheFormLoop = `
keys0 = Placeholder[dtype=float, shape=%[1]s]()
values0 = Placeholder[dtype=float, shape=%[1]s]()
news = Placeholder[dtype=float, shape=?x%[2]s]()
places = Placeholder[dtype=int32, shape=?x2x3x2]()
rows = Placeholder[dtype=int64, shape=?x6]()
zero = Const[value=int32 0]()
sum0 = Const[value=float 6x2x1x4 fill 0]()
steps = Const[value=int32 5]()
i_in = Enter[frame_name="f"](zero)
sum_in = Enter[frame_name="f"](sum0)
k_in = Enter[frame_name="f"](keys0)
v_in = Enter[frame_name="f"](values0)
news_in = Enter[frame_name="f", is_constant=true](news)
places_in = Enter[frame_name="f", is_constant=true](places)
rows_in = Enter[frame_name="f", is_constant=true](rows)
steps_in = Enter[frame_name="f", is_constant=true](steps)
i = Merge(i_in, i_next)
sum = Merge(sum_in, sum_next)
k = Merge(k_in, k_next)
v = Merge(v_in, v_next)
less = Less(i, steps_in)
cond = LoopCond(less)
i_sw = Switch(i, cond)
sum_sw = Switch(sum, cond)
k_sw = Switch(k, cond)
v_sw = Switch(v, cond)
axis0 = Const[value=int32 0](^i_sw)
one = Const[value=int32 1](^i_sw)
two = Const[value=int32 2](^i_sw)
axis1 = Const[value=int32 1](^i_sw)
axis2 = Const[value=int32 -2](^i_sw)
new = GatherV2(news_in, i_sw:1, axis0)
twice = AddV2(new, new)
place = GatherV2(places_in, i_sw:1, axis0)
row = GatherV2(rows_in, i_sw:1, axis0)
%[3]s
sum_next_value = AddV2(sum_sw:1, attended)
i_next_value = AddV2(i_sw:1, one)
i_next = NextIteration(i_next_value)
sum_next = NextIteration(sum_next_value)
k_next = NextIteration(kf)
v_next = NextIteration(vf)
out = Exit(sum_sw)
keys_out = Exit(k_sw)
`

// TestCacheForms compares each way to keep caches with what the nodes say one by one: with rows that keep to their sentences, that
// do not at times, and that are not there.
func TestCacheForms(t *testing.T) {
	for _, form := range cacheForms {
		for _, kind := range []string{"plain", "across", "outside"} {
			t.Run(form.name+", "+kind, func(t *testing.T) {
				g, err := graphdef.Parse(fmt.Sprintf(cacheFormLoop, form.start, form.fresh, form.body))
				if err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(3, 3))
				shape := func(text string, open int, lead ...int) []int {
					for _, d := range strings.Split(text, "x") {
						n, err := strconv.Atoi(d)
						if err != nil {
							n = open
						}
						lead = append(lead, n)
					}
					return lead
				}
				feeds := map[string]*tensor.Tensor{
					"keys0":   randomFloats(r, shape(form.start, 2)...),
					"values0": randomFloats(r, shape(form.start, 2)...),
					"news":    randomFloats(r, shape(form.fresh, 1, 5)...),
				}
				places := tensor.New(tensor.Int32, tensor.Shape{5, 2, 3, 2})
				rows := tensor.New(tensor.Int64, tensor.Shape{5, 6})
				for i := range rows.Len() {
					sentence, beam := i/3%2, r.IntN(3)
					if kind == "across" && i == 13 {
						sentence = 1 - sentence
					}
					if kind == "outside" && i == 20 {
						beam = 7
					}
					tensor.Data[int32](places)[2*i], tensor.Data[int32](places)[2*i+1] = int32(sentence), int32(beam)
					tensor.Data[int64](rows)[i] = int64(3*sentence + beam)
				}
				feeds["places"], feeds["rows"] = places, rows
				run := func(opts runtime.CompileOptions) (*tensor.Tensor, map[string]bool, error) {
					opts.Fetches = []string{"out"}
					plan, err := runtime.Compile(g, opts)
					if err != nil {
						t.Fatal(err)
					}
					s := plan.NewSession()
					ops := map[string]bool{}
					s.Profile = func(st runtime.StepTime) { ops[st.Op] = true }
					var got *tensor.Tensor
					for range 2 { // the second time on the buffers of the first
						used := map[string]*tensor.Tensor{}
						for _, name := range plan.Feeds() {
							used[name] = feeds[name]
						}
						out, err := s.Run(context.Background(), used)
						if err != nil {
							return nil, ops, err
						}
						got = out["out"]
					}
					return got, ops, nil
				}
				want, _, wantErr := run(runtime.CompileOptions{NoFusion: true})
				got, ops, err := run(runtime.CompileOptions{})
				if (err != nil) != (wantErr != nil) {
					t.Fatalf("error = %v, want one like %v", err, wantErr)
				}
				if !ops["CachedAttention"] || !ops["CacheAppend"] || ops["CacheReorder"] != form.reorders {
					t.Errorf("steps ran = %v, want those of caches", ops)
				}
				if err != nil {
					return
				}
				for i, w := range tensor.Data[float32](want) {
					if g := tensor.Data[float32](got)[i]; math.Abs(float64(g-w)) > 1e-6*(1+math.Abs(float64(w))) {
						t.Errorf("element %d = %v, want %v", i, g, w)
					}
				}
			})
		}
	}
}

// randomFloats returns a tensor of numbers in [-1, 1).
func randomFloats(r *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = 2*r.Float32() - 1
	}
	return t
}
