package runtime

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// runNode runs a graph of one node on inputs that are fed and returns the node's outputs.
func runNode(tb testing.TB, op string, attrs map[string]graphdef.Attr, inputs ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	tb.Helper()
	g := graphdef.NewGraph()
	feeds := map[string]*tensor.Tensor{}
	opts := CompileOptions{MaxBytes: 1 << 30} // hostile sizes must not take the machine's memory
	var in []graphdef.Output
	for i, t := range inputs {
		name := fmt.Sprintf("in%d", i)
		p := g.MustAdd(name, "Placeholder")
		p.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		in = append(in, p.Out(0))
		feeds[name] = t
		opts.Feeds = append(opts.Feeds, name)
	}
	n := g.MustAdd("op", op, in...)
	// Dtypes that have a default must be said where the inputs have others.
	if sig, ok := n.Signature(); ok && len(sig.Inputs) == len(inputs) {
		for i, arg := range sig.Inputs {
			if arg.Number == "" && !arg.List && sig.Attr(arg.Type) != nil {
				n.SetAttr(arg.Type, graphdef.TypeAttr(inputs[i].DType()))
			}
		}
	}
	for name, a := range attrs {
		n.SetAttr(name, a)
	}
	num, err := n.NumOutputs()
	if err != nil {
		return nil, err
	}
	for i := range num {
		opts.Fetches = append(opts.Fetches, fmt.Sprintf("op:%d", i))
	}
	p, err := Compile(g, opts)
	if err != nil {
		return nil, err
	}
	got, err := p.NewSession().Run(context.Background(), feeds)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, num)
	for i, name := range opts.Fetches {
		out[i] = got[name]
	}
	return out, nil
}

// nodeCase is a node and what its output 0 must print, or a part of the error that it must give.
type nodeCase struct {
	name, op string
	attrs    map[string]graphdef.Attr
	inputs   []*tensor.Tensor
	want     string
	wantErr  string
}

func checkNodes(t *testing.T, cases []nodeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			out, err := runNode(t, c.op, c.attrs, c.inputs...)
			switch {
			case c.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("error = %v, want one with %q", err, c.wantErr)
				}
			case err != nil:
				t.Error(err)
			default:
				if got := flatText(out[0]); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

// flatText prints a tensor's dtype, shape and elements on one line.
func flatText(t *tensor.Tensor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v", t.DType(), t.Shape())
	for i := range t.Len() {
		b.WriteString(" " + t.ElementText(i))
	}
	return b.String()
}

func typed(d tensor.DType) map[string]graphdef.Attr {
	return map[string]graphdef.Attr{"T": graphdef.TypeAttr(d)}
}

func vector[T tensor.Element](v ...T) *tensor.Tensor {
	return tensor.FromSlice(tensor.Shape{len(v)}, v)
}

func matrix[T tensor.Element](rows, cols int, v ...T) *tensor.Tensor {
	return tensor.FromSlice(tensor.Shape{rows, cols}, v)
}

func TestReduce(t *testing.T) {
	f32, i32, u8 := typed(tensor.Float32), typed(tensor.Int32), typed(tensor.Uint8)
	nan := float32(math.NaN())
	empty := tensor.New(tensor.Float32, tensor.Shape{2, 0})
	emptyInts := tensor.New(tensor.Int32, tensor.Shape{2, 0})
	checkNodes(t, []nodeCase{
		{name: "none", op: "Sum", attrs: f32, inputs: []*tensor.Tensor{matrix[float32](1, 2, 3, 4), ints32()}, want: "float [1, 2] 3 4"},
		{name: "ones", op: "Sum", attrs: f32, inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{1, 1, 1}), ints32(0, -1)}, want: "float [1] 0"},
		{name: "empty rows", op: "Sum", attrs: f32, inputs: []*tensor.Tensor{empty, ints32(1)}, want: "float [2] 0 0"},
		{name: "empty rows", op: "Prod", attrs: f32, inputs: []*tensor.Tensor{empty, ints32(1)}, want: "float [2] 1 1"},
		{name: "empty rows", op: "Mean", attrs: f32, inputs: []*tensor.Tensor{empty, ints32(1)}, want: "float [2] nan nan"},
		{name: "empty rows", op: "Max", attrs: f32, inputs: []*tensor.Tensor{empty, ints32(1)}, want: "float [2] -inf -inf"},
		{name: "empty ints", op: "Mean", attrs: i32, inputs: []*tensor.Tensor{emptyInts, ints32(1)}, want: "int32 [2] 0 0"},
		{name: "empty ints", op: "Min", attrs: i32, inputs: []*tensor.Tensor{emptyInts, ints32(1)}, want: "int32 [2] 2147483647 2147483647"},
		{name: "no outputs", op: "Max", attrs: f32, inputs: []*tensor.Tensor{empty, ints32(0)}, want: "float [0]"},
		{name: "huge and empty", op: "Any", inputs: []*tensor.Tensor{tensor.New(tensor.Bool, tensor.Shape{1 << 25, 2, 0}), ints32(0, 2)}, want: "bool [2] false false"},
		{name: "NaN", op: "Max", attrs: f32, inputs: []*tensor.Tensor{matrix(3, 2, 1, nan, nan, 2, 3, 4), ints32(0)}, want: "float [2] nan nan"},
		{name: "NaN", op: "Min", attrs: f32, inputs: []*tensor.Tensor{matrix(3, 2, 1, nan, nan, 2, 3, 4), ints32(1)}, want: "float [3] nan nan 3"},
		{name: "wraps in the sum only", op: "Sum", attrs: u8, inputs: []*tensor.Tensor{vector[uint8](200, 100), ints32(0)}, want: "uint8 [] 44"},
		{name: "does not wrap", op: "Mean", attrs: u8, inputs: []*tensor.Tensor{vector[uint8](200, 100), ints32(0)}, want: "uint8 [] 150"},
		{name: "above int64", op: "Mean", attrs: typed(tensor.Uint64), inputs: []*tensor.Tensor{vector[uint64](math.MaxUint64), ints32(0)}, want: "uint64 [] 18446744073709551615"},
		{name: "one element", op: "EuclideanNorm", attrs: f32, inputs: []*tensor.Tensor{vector[float32](-3), ints32(0)}, want: "float [] 3"},
		{name: "complex", op: "EuclideanNorm", attrs: typed(tensor.Complex64), inputs: []*tensor.Tensor{vector[complex64](3 + 4i), ints32(0)}, want: "complex64 [] (5+0j)"},
		{name: "complex", op: "Prod", attrs: typed(tensor.Complex64), inputs: []*tensor.Tensor{vector[complex64](1i, 1i), ints32(0)}, want: "complex64 [] (-1+0j)"},
		{name: "range", op: "Sum", attrs: f32, inputs: []*tensor.Tensor{vector[float32](1), ints32(1)}, wantErr: "want one in [-1, 1)"},
		{name: "twice", op: "All", inputs: []*tensor.Tensor{matrix(1, 1, true), ints32(1, -1)}, wantErr: "twice"},
		{name: "order", op: "Max", attrs: typed(tensor.Complex64), inputs: []*tensor.Tensor{vector[complex64](1), ints32(0)}, wantErr: "complex64"},
	})
}

// TestReduceByDefinition compares every choice of axes of a rank 4 tensor with plain loops.
func TestReduceByDefinition(t *testing.T) {
	shape := tensor.Shape{2, 3, 4, 5}
	x := iota32(shape...)
	for axes := range 1 << len(shape) {
		var list []int32
		for i := range shape {
			if axes>>i&1 == 1 {
				list = append(list, int32(i))
			}
		}
		sums := map[[4]int]float32{}
		at := [4]int{}
		for i, v := range tensor.Data[float32](x) {
			for d, rest := 3, i; d >= 0; d-- {
				at[d] = rest % shape[d]
				rest /= shape[d]
				if axes>>d&1 == 1 {
					at[d] = 0
				}
			}
			sums[at] += v
		}
		out, err := runNode(t, "Sum", map[string]graphdef.Attr{"T": graphdef.TypeAttr(tensor.Float32), "keep_dims": graphdef.BoolAttr(true)}, x, ints32(list...))
		if err != nil {
			t.Fatal(err)
		}
		s := out[0].Shape()
		for i, v := range tensor.Data[float32](out[0]) {
			for d, rest := 3, i; d >= 0; d-- {
				at[d] = rest % s[d]
				rest /= s[d]
			}
			if v != sums[at] {
				t.Fatalf("axes %v: element %v is %v, want %v", list, at, v, sums[at])
			}
		}
	}
}

// TestReduceRowsAlone checks that a row's sum does not depend on the rows beside it.
func TestReduceRowsAlone(t *testing.T) {
	x := tensor.New(tensor.Float32, tensor.Shape{5, 37, 3})
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(math.Sin(float64(i*i))) * float32(i)
	}
	for _, op := range []string{"Sum", "Mean", "Prod", "EuclideanNorm"} {
		for _, axes := range [][]int32{{1}, {2}, {1, 2}} {
			all, err := runNode(t, op, typed(tensor.Float32), x, ints32(axes...))
			if err != nil {
				t.Fatal(err)
			}
			row := tensor.FromSlice(tensor.Shape{1, 37, 3}, tensor.Data[float32](x)[3*37*3:][:37*3])
			one, err := runNode(t, op, typed(tensor.Float32), row, ints32(axes...))
			if err != nil {
				t.Fatal(err)
			}
			got := tensor.Data[float32](one[0])
			if want := tensor.Data[float32](all[0])[3*len(got):][:len(got)]; !slices.Equal(got, want) {
				t.Errorf("%s over %v: row alone %v, in its batch %v", op, axes, got, want)
			}
		}
	}
}

func TestReduceDoesNotAllocate(t *testing.T) {
	for _, c := range []nodeCase{
		{op: "Sum", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{iota32(4, 3, 8), ints32(-1)}},
		{op: "Mean", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{iota32(4, 3, 8), ints32(0, 2)}},
		{op: "Max", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{iota32(4, 3, 8), ints32(1)}},
		{op: "Min", attrs: typed(tensor.Int32), inputs: []*tensor.Tensor{ints32(1, 2), ints32(0)}},
		{op: "All", inputs: []*tensor.Tensor{matrix(2, 2, true, false, true, true), ints32(0, 1)}},
		{op: "ArgMax", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{iota32(4, 3, 8), tensor.Scalar[int32](-1)}},
		{op: "ArgMax", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{iota32(4, 3, 8), tensor.Scalar[int32](1)}},
		{op: "Cumsum", attrs: typed(tensor.Int32), inputs: []*tensor.Tensor{ints32(1, 2), tensor.Scalar[int32](0)}},
		{op: "_FusedMatMul", attrs: map[string]graphdef.Attr{"T": graphdef.TypeAttr(tensor.Float32), "num_args": graphdef.IntAttr(1), "fused_ops": graphdef.StringsAttr("BiasAdd", "Tanh")},
			inputs: []*tensor.Tensor{iota32(4, 8), iota32(8, 8), iota32(8)}},
	} {
		s, _ := stepSession(t, c.op, c.attrs, c.inputs...)
		if n := testing.AllocsPerRun(20, func() {
			if err := s.run(s.plan.root); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s allocates %v times a run", c.op, n)
		}
	}
}
