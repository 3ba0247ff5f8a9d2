package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/mutate"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestRunRows runs a beam search over batches of sentences that end at different times, fused and node by node: each sentence's
// hypotheses are, bit by bit, those of the sentence alone with its padding, on every tier, and sentences leave the batch.
func TestRunRows(t *testing.T) {
	file, err := os.ReadFile("../testdata/numbers/numbers.pb")
	if err != nil {
		t.Fatal(err)
	}
	g, err := graphdef.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for tier := kernels.Portable; tier <= kernels.AVX512VNNI; tier++ {
		if !kernels.Supported(tier) {
			continue
		}
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/plain=%v", tier, plain), func(t *testing.T) {
				plan, err := runtime.Compile(g, runtime.CompileOptions{
					Feeds: []string{"source"}, Fetches: []string{"translations", "scores"}, Kernels: kernels.For(tier), NoFusion: plain,
				})
				if err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(1, 2))
				many, one := plan.NewSession(), plan.NewSession()
				for _, rows := range []int{5, 9, 3} { // one session, so that buffers and caches come from other batches
					source := sentences(r, rows, 8)
					if groups := checkRows(t, many, one, source); groups < 2 {
						t.Errorf("%d sentences ended in %d groups, want more", rows, groups)
					}
				}
			})
		}
	}
}

// sentences returns random ids that end with 1 and are padded with 0.
func sentences(r *rand.Rand, rows, width int) *tensor.Tensor {
	x := tensor.New(tensor.Int32, tensor.Shape{rows, width})
	for row := range rows {
		ids := tensor.Data[int32](x)[row*width:][:1+r.IntN(width)]
		for i := range ids {
			ids[i] = 3 + r.Int32N(40)
		}
		ids[len(ids)-1] = 1
	}
	return x
}

// checkRows compares what many makes of all rows with what one makes of each, and returns the number of groups.
func checkRows(t *testing.T, many, one *runtime.Session, source *tensor.Tensor) int {
	t.Helper()
	rows := source.Shape()[0]
	groups, err := many.RunRows(context.Background(), map[string]*tensor.Tensor{"source": source})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, g := range groups {
		for i, row := range g.Rows {
			seen[row] = true
			want, err := one.Run(context.Background(), map[string]*tensor.Tensor{"source": rowOf(source, row, rows)})
			if err != nil {
				t.Fatal(err)
			}
			for name, w := range want {
				if got := rowOf(g.Results[name], i, len(g.Rows)); !got.Shape().Equal(w.Shape()) || !bytes.Equal(got.Bytes(), w.Bytes()) {
					t.Errorf("row %d of %d: %s = %v, want %v", row, rows, name, got, w)
				}
			}
		}
	}
	if len(seen) != rows {
		t.Errorf("results of %d rows, want %d", len(seen), rows)
	}
	return len(groups)
}

// rowOf returns row i of rows as a batch of one.
func rowOf(x *tensor.Tensor, i, rows int) *tensor.Tensor {
	shape := x.Shape().Clone()
	shape[0] = 1
	out := tensor.New(x.DType(), shape)
	n := len(x.Bytes()) / rows
	copy(out.Bytes(), x.Bytes()[i*n:][:n])
	return out
}

// countUp adds x to a sum until each row's sum has reached ten. What %s says stands between.
const countUp = `
source = Placeholder[dtype=float, shape=?]()
axis = Const[value=int32 [0]]()
ten = Const[value=float 10]()
zero = Const[value=int32 0]()
onef = Const[value=float 1]()
onei = Const[value=int32 1]()
start = ZerosLike(source)
n = Shape(source)
n0 = Squeeze[squeeze_dims=[0]](n)
sum_in = Enter[frame_name="f"](start)
x_in = Enter[frame_name="f", is_constant=true](source)
ten_in = Enter[frame_name="f", is_constant=true](ten)
axis_in = Enter[frame_name="f", is_constant=true](axis)
n_in = Enter[frame_name="f", is_constant=true](n0)
zero_in = Enter[frame_name="f", is_constant=true](zero)
onei_in = Enter[frame_name="f", is_constant=true](onei)
sum = Merge(sum_in, sum_next)
less = Less(sum, ten_in)
any = %[1]s(less, axis_in)
cond = LoopCond(any)
sum_sw = Switch(sum, cond)
%[2]s
sum_next = NextIteration(sum_next_value)
after = Exit(sum_sw)
%[3]s
`

// ownRow adds what a row finds in x under its own number.
const ownRow = `r = Range(zero_in, n_in, onei_in)
minus = Const[value=int32 -1](^sum_sw)
e = ExpandDims(r, minus)
s = Shape(e)
z = ZerosLike(x_in)
zi = Cast[SrcT=float, DstT=int32](z)
ze = ExpandDims(zi, minus)
p = Pack[N=2, axis=-1](r, zi)
xe = ExpandDims(x_in, minus)
g = GatherNd(xe, p)
sum_next_value = AddV2(sum_sw:1, g)`

// TestRunRowsOfLoops: rows leave where nothing in the loop or behind it mixes them or asks where they stand, and only there.
func TestRunRowsOfLoops(t *testing.T) {
	const plain, result = "sum_next_value = AddV2(sum_sw:1, x_in)", "out = Identity(after)"
	for _, c := range []struct {
		name, until, body, behind string
		groups                    int
	}{
		{"apart", "Any", plain, result, 3},
		{"until one has", "All", plain, result, 1},
		{"mean in the loop", "Any", "m = Mean[keep_dims=true](x_in, axis_in)\nsum_next_value = AddV2(sum_sw:1, m)", result, 1},
		{"mean behind the loop", "Any", plain, "m = Mean[keep_dims=true](after, axis)\nout = Sub(after, m)", 1},
		{"turned around behind the loop", "Any", plain, "out = ReverseV2(after, axis)", 1},
		{"places", "Any", "r = Range(zero_in, n_in, onei_in)\nf = Cast[SrcT=int32, DstT=float](r)\nm = Mul(x_in, f)\na = AddV2(m, x_in)\nsum_next_value = AddV2(sum_sw:1, a)", result, 1},
		{"how many there are", "Any", "f = Cast[SrcT=int32, DstT=float](n_in)\na = AddV2(x_in, f)\nsum_next_value = AddV2(sum_sw:1, a)", result, 1},
		{"shape of the batch", "Any", "s = Shape(sum_sw:1)\nl = Fill(s, ten_in)\nm = Minimum(x_in, l)\nsum_next_value = AddV2(sum_sw:1, m)", result, 3},
		{"what the condition says of each", "Any", "f = Cast[SrcT=bool, DstT=float](less)\nm = Mul(x_in, f)\nsum_next_value = AddV2(sum_sw:1, m)", result, 3},
		{"own row picked by number", "Any", ownRow, result, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := compileText(t, fmt.Sprintf(countUp, c.until, c.body, c.behind), runtime.CompileOptions{Fetches: []string{"out"}})
			feeds := map[string]*tensor.Tensor{"source": tensor.FromSlice(tensor.Shape{5}, []float32{1, 2.5, 1, 0.75, 2.5})}
			s := plan.NewSession()
			for range 2 {
				groups, err := s.RunRows(context.Background(), feeds)
				if err != nil {
					t.Fatal(err)
				}
				if len(groups) != c.groups {
					t.Errorf("%d groups, want %d", len(groups), c.groups)
				}
				if len(groups) == 1 {
					want, err := plan.NewSession().Run(context.Background(), feeds)
					if err != nil {
						t.Fatal(err)
					}
					if got := groups[0].Results["out"]; !slices.Equal(tensor.Data[float32](got), tensor.Data[float32](want["out"])) {
						t.Errorf("out = %v, want that of the batch, %v", got, want["out"])
					}
					continue
				}
				checkRows(t, s, plan.NewSession(), feeds["source"])
			}
		})
	}
}

// TestRunRowsOfWhile: a functional loop is left like one of frames.
func TestRunRowsOfWhile(t *testing.T) {
	const text = `
		source = Placeholder[dtype=float, shape=?]()
		start = ZerosLike(source)
		loop = While[cond=@c, body=@b, T=[float, float]](start, source)
		out = Identity(loop)

		func c {
			sum = _Arg[T=float, index=0]()
			x = _Arg[T=float, index=1]()
			ten = Const[value=float 10]()
			axis = Const[value=int32 [0]]()
			less = Less(sum, ten)
			any = Any(less, axis)
			result = _Retval[T=bool, index=0](any)
		}
		func b {
			sum = _Arg[T=float, index=0]()
			x = _Arg[T=float, index=1]()
			more = AddV2(sum, x)
			result = _Retval[T=float, index=0](more)
			same = _Retval[T=float, index=1](x)
		}`
	plan := compileText(t, text, runtime.CompileOptions{Fetches: []string{"out"}})
	source := tensor.FromSlice(tensor.Shape{5}, []float32{1, 2.5, 1, 0.75, 2.5})
	if groups := checkRows(t, plan.NewSession(), plan.NewSession(), source); groups != 3 {
		t.Errorf("%d groups, want 3", groups)
	}
}

// FuzzRunRows changes graphs with loops in a few places, by a seed. Whatever comes out: if rows leave, each row's results are bit by
// bit those of the row alone.
func FuzzRunRows(f *testing.F) {
	file, err := os.ReadFile("../testdata/numbers/numbers.pb")
	if err != nil {
		f.Fatal(err)
	}
	search, err := graphdef.Read(file)
	if err != nil {
		f.Fatal(err)
	}
	count, err := graphdef.Parse(fmt.Sprintf(countUp, "Any", ownRow, "out = Identity(after)"))
	if err != nil {
		f.Fatal(err)
	}
	for seed := range uint64(40) {
		f.Add(seed, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, small bool) {
		r := rand.New(rand.NewPCG(seed, 5))
		g, source := search, sentences(r, 4, 5)
		opts := runtime.CompileOptions{Feeds: []string{"source"}, Fetches: []string{"translations", "scores"}, MaxBytes: 1 << 24}
		if small {
			g, source = count, tensor.FromSlice(tensor.Shape{4}, []float32{3, 0.5, 1.25, 3})
			opts.Fetches = []string{"out"}
		}
		g, err := mutate.Graph(g, opts.Fetches, r)
		if err != nil {
			return
		}
		plan, err := runtime.Compile(g, opts)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s := plan.NewSession()
		groups, err := s.RunRows(ctx, map[string]*tensor.Tensor{"source": source})
		if err != nil || len(groups) < 2 {
			return
		}
		checkRows(t, s, plan.NewSession(), source)
	})
}
