package runtime

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// stepSession returns a session of one node whose inputs are fed, and the slots of its outputs.
func stepSession(tb testing.TB, op string, attrs map[string]graphdef.Attr, inputs ...*tensor.Tensor) (*Session, []int32) {
	tb.Helper()
	g := graphdef.NewGraph()
	feeds := map[string]*tensor.Tensor{}
	opts := CompileOptions{Feeds: []string{}}
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
	for name, a := range attrs {
		n.SetAttr(name, a)
	}
	num, err := n.NumOutputs()
	if err != nil {
		tb.Fatal(err)
	}
	for i := range num {
		opts.Fetches = append(opts.Fetches, fmt.Sprintf("op:%d", i))
	}
	p, err := Compile(g, opts)
	if err != nil {
		tb.Fatal(err)
	}
	s := p.NewSession()
	if err := s.feed(feeds); err != nil {
		tb.Fatal(err)
	}
	if err := s.run(p.root); err != nil {
		tb.Fatal(err)
	}
	var out []int32
	for _, f := range p.fetches {
		out = append(out, f.slot)
	}
	return s, out
}

func ints32(v ...int32) *tensor.Tensor { return tensor.FromSlice(tensor.Shape{len(v)}, v) }

func iota32(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(i)
	}
	return t
}

// hotSteps are the steps of which a decoder runs hundreds a token.
var hotSteps = []struct {
	name, op string
	attrs    map[string]graphdef.Attr
	inputs   []*tensor.Tensor
}{
	{"Shape", "Shape", nil, []*tensor.Tensor{iota32(4, 3, 8)}},
	{"StridedSlice/dim", "StridedSlice", map[string]graphdef.Attr{"shrink_axis_mask": graphdef.IntAttr(1)},
		[]*tensor.Tensor{ints32(4, 3, 8), ints32(1), ints32(2), ints32(1)}},
	{"StridedSlice/tail", "StridedSlice", map[string]graphdef.Attr{"end_mask": graphdef.IntAttr(1)},
		[]*tensor.Tensor{ints32(4, 3, 8), ints32(1), ints32(0), ints32(1)}},
	{"StridedSlice/rank3", "StridedSlice", map[string]graphdef.Attr{"shrink_axis_mask": graphdef.IntAttr(2), "begin_mask": graphdef.IntAttr(5), "end_mask": graphdef.IntAttr(5)},
		[]*tensor.Tensor{iota32(4, 3, 8), ints32(0, 1, 0), ints32(0, 2, 0), ints32(1, 1, 1)}},
	{"Pack", "Pack", nil, []*tensor.Tensor{tensor.Scalar[int32](2), tensor.Scalar[int32](6), tensor.Scalar[int32](8)}},
	{"Reshape", "Reshape", nil, []*tensor.Tensor{iota32(4, 3, 8), ints32(4, -1, 2, 4)}},
	{"ExpandDims", "ExpandDims", nil, []*tensor.Tensor{iota32(4, 3, 8), tensor.Scalar[int32](1)}},
	{"ConcatV2", "ConcatV2", nil, []*tensor.Tensor{ints32(1, 2), ints32(3), tensor.Scalar[int32](0)}},
	{"Range", "Range", nil, []*tensor.Tensor{tensor.Scalar[int32](0), tensor.Scalar[int32](4), tensor.Scalar[int32](1)}},
	{"Fill", "Fill", nil, []*tensor.Tensor{ints32(4, 1), tensor.Scalar[int32](4)}},
	{"Tile", "Tile", nil, []*tensor.Tensor{tensor.FromSlice(tensor.Shape{4, 1}, []int32{1, 2, 3, 4}), ints32(1, 4)}},
	{"Transpose", "Transpose", nil, []*tensor.Tensor{iota32(4, 1, 2, 8), ints32(0, 2, 1, 3)}},
	{"GatherV2", "GatherV2", nil, []*tensor.Tensor{iota32(9, 16), ints32(3, 8, 0, 1), tensor.Scalar[int32](0)}},
	{"GatherNd", "GatherNd", nil, []*tensor.Tensor{iota32(4, 9), tensor.FromSlice(tensor.Shape{4, 2}, []int32{0, 1, 1, 8, 2, 3, 3, 3})}},
	{"TopKV2", "TopKV2", nil, []*tensor.Tensor{iota32(1, 16), tensor.Scalar[int32](4)}},
	{"Pad", "Pad", nil, []*tensor.Tensor{iota32(4, 2), tensor.FromSlice(tensor.Shape{2, 2}, []int32{0, 0, 0, 1})}},
	{"OneHot", "OneHot", nil, []*tensor.Tensor{tensor.FromSlice(tensor.Shape{2}, []int64{1, 5}), tensor.Scalar[int32](8), tensor.Scalar[float32](1), tensor.Scalar[float32](0)}},
	{"ReverseV2", "ReverseV2", nil, []*tensor.Tensor{iota32(4, 2), ints32(1)}},
	{"ScatterNd", "ScatterNd", nil, []*tensor.Tensor{tensor.FromSlice(tensor.Shape{2, 1}, []int32{1, 3}), iota32(2, 4), ints32(5, 4)}},
	{"TensorScatterUpdate", "TensorScatterUpdate", nil, []*tensor.Tensor{iota32(5, 4), tensor.FromSlice(tensor.Shape{2, 1}, []int32{1, 3}), iota32(2, 4)}},
	{"Roll", "Roll", nil, []*tensor.Tensor{iota32(4, 2), tensor.Scalar[int32](1), tensor.Scalar[int32](1)}},
	{"OnesLike", "OnesLike", nil, []*tensor.Tensor{ints32(1, 2, 3)}},
	{"EnsureShape", "EnsureShape", map[string]graphdef.Attr{"shape": graphdef.ShapeAttr(tensor.Partial(-1, 2))}, []*tensor.Tensor{iota32(4, 2)}},
}

func TestHotStepsDoNotAllocate(t *testing.T) {
	for _, h := range hotSteps {
		s, _ := stepSession(t, h.op, h.attrs, h.inputs...)
		if n := testing.AllocsPerRun(20, func() {
			if err := s.run(s.plan.root); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s allocates %v times a run", h.name, n)
		}
	}
}

func BenchmarkHotSteps(b *testing.B) {
	for _, h := range hotSteps {
		b.Run(h.name, func(b *testing.B) {
			s, _ := stepSession(b, h.op, h.attrs, h.inputs...)
			for b.Loop() {
				if err := s.run(s.plan.root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTransposeByDefinition compares with element-by-element copies, in all orders of up to five dimensions.
func TestTransposeByDefinition(t *testing.T) {
	for _, dims := range []tensor.Shape{{}, {5}, {3, 40}, {33, 17}, {2, 1, 5}, {3, 20, 18}, {2, 17, 3, 19}, {2, 3, 1, 4, 5}} {
		x := iota32(dims...)
		permutations(len(dims), func(perm []int32) {
			s, out := stepSession(t, "Transpose", nil, x, ints32(perm...))
			got := &s.values[out[0]].t
			strides := make([]int, len(dims))
			denseStrides(strides, dims)
			for i, v := range tensor.Data[float32](got) {
				at, rest := 0, i
				for d := len(perm) - 1; d >= 0; d-- {
					at += rest % got.Shape()[d] * strides[perm[d]]
					rest /= got.Shape()[d]
				}
				if v != float32(at) {
					t.Fatalf("%v by %v: element %d is %v, want %d", dims, perm, i, v, at)
				}
			}
		})
	}
}

func permutations(n int, f func([]int32)) {
	perm := make([]int32, 0, n)
	var next func()
	next = func() {
		if len(perm) == n {
			f(perm)
			return
		}
		for i := range int32(n) {
			if !slices.Contains(perm, i) {
				perm = append(perm, i)
				next()
				perm = perm[:len(perm)-1]
			}
		}
	}
	next()
}

func BenchmarkTransposeHeads(b *testing.B) {
	for _, shape := range []tensor.Shape{{16, 64, 8, 64}, {64, 8, 64, 64}} {
		for _, perm := range [][]int32{{0, 2, 1, 3}, {0, 2, 3, 1}} {
			b.Run(fmt.Sprint(shape, perm), func(b *testing.B) {
				s, _ := stepSession(b, "Transpose", nil, iota32(shape...), ints32(perm...))
				b.SetBytes(int64(shape.Elements() * 4))
				for b.Loop() {
					if err := s.run(s.plan.root); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
