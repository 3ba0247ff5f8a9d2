package runtime

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func randomFloats(shape ...int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(1, uint64(len(shape))))
	t := tensor.New(tensor.Float32, shape)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(rng.IntN(9) - 4) // small integers: sums are exact in any order
	}
	return t
}

func windowed(d tensor.DType, padding, format string, strides, dilations []int64, more map[string]graphdef.Attr) map[string]graphdef.Attr {
	a := withAttrs(d, more)
	a["padding"], a["data_format"], a["strides"] = graphdef.StringAttr(padding), graphdef.StringAttr(format), graphdef.IntsAttr(strides...)
	if dilations != nil {
		a["dilations"] = graphdef.IntsAttr(dilations...)
	}
	return a
}

// TestConvByDefinition compares groups, strides, dilations and paddings with plain loops.
func TestConvByDefinition(t *testing.T) {
	for _, c := range []struct {
		padding             string
		stride, dil, groups int
	}{{"VALID", 1, 1, 1}, {"SAME", 2, 1, 1}, {"SAME", 1, 2, 2}, {"VALID", 2, 2, 2}, {"EXPLICIT", 2, 1, 1}} {
		x, f := randomFloats(2, 7, 6, 4), randomFloats(3, 2, 4/c.groups, 6)
		more := map[string]graphdef.Attr{}
		pads := [2][2]int{}
		out := [2]int{}
		for i, n := range []int{7, 6} {
			span := ([]int{3, 2}[i]-1)*c.dil + 1
			switch c.padding {
			case "SAME":
				out[i] = (n + c.stride - 1) / c.stride
				total := max(0, (out[i]-1)*c.stride+span-n)
				pads[i] = [2]int{total / 2, total - total/2}
			case "EXPLICIT":
				pads[i] = [2]int{2, 1 + i}
				more["explicit_paddings"] = graphdef.IntsAttr(0, 0, 2, 1, 2, 2, 0, 0)
			}
			out[i] = (n+pads[i][0]+pads[i][1]-span)/c.stride + 1
		}
		want := tensor.New(tensor.Float32, tensor.Shape{2, out[0], out[1], 6})
		at := 0
		for b := range 2 {
			for oy := range out[0] {
				for ox := range out[1] {
					for o := range 6 {
						sum, g := float32(0), o/(6/c.groups)
						for ky := range 3 {
							for kx := range 2 {
								y, xx := oy*c.stride-pads[0][0]+ky*c.dil, ox*c.stride-pads[1][0]+kx*c.dil
								if y < 0 || y >= 7 || xx < 0 || xx >= 6 {
									continue
								}
								for ch := range 4 / c.groups {
									sum += tensor.Data[float32](x)[((b*7+y)*6+xx)*4+g*4/c.groups+ch] * tensor.Data[float32](f)[((ky*2+kx)*4/c.groups+ch)*6+o]
								}
							}
						}
						tensor.Data[float32](want)[at] = sum
						at++
					}
				}
			}
		}
		s, d := int64(c.stride), int64(c.dil)
		name := fmt.Sprintf("%s stride %d dilation %d groups %d", c.padding, c.stride, c.dil, c.groups)
		got, err := runNode(t, "Conv2D", windowed(tensor.Float32, c.padding, "NHWC", []int64{1, s, s, 1}, []int64{1, d, d, 1}, more), x, f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if g, w := flatText(got[0]), flatText(want); g != w {
			t.Errorf("%s:\ngot  %s\nwant %s", name, g, w)
		}
		if c.padding == "EXPLICIT" {
			continue
		}
		// The same with the channels first.
		swap := func(x *tensor.Tensor, perm ...int32) *tensor.Tensor {
			out, err := runNode(t, "Transpose", typed(tensor.Float32), x, ints32(perm...))
			if err != nil {
				t.Fatal(err)
			}
			return out[0]
		}
		got, err = runNode(t, "Conv2D", windowed(tensor.Float32, c.padding, "NCHW", []int64{1, 1, s, s}, []int64{1, 1, d, d}, nil), swap(x, 0, 3, 1, 2), f)
		if err != nil {
			t.Fatalf("%s NCHW: %v", name, err)
		}
		if g, w := flatText(got[0]), flatText(swap(want, 0, 3, 1, 2)); g != w {
			t.Errorf("%s NCHW:\ngot  %s\nwant %s", name, g, w)
		}
	}
}

// TestTransposedConv checks <conv(x), y> = <x, transposed conv(y)>.
func TestTransposedConv(t *testing.T) {
	x, f := randomFloats(2, 5, 6, 3), randomFloats(3, 2, 3, 4)
	attrs := windowed(tensor.Float32, "SAME", "NHWC", []int64{1, 2, 1, 1}, nil, nil)
	y, err := runNode(t, "Conv2D", attrs, x, f)
	if err != nil {
		t.Fatal(err)
	}
	v := randomFloats(y[0].Shape()...)
	back, err := runNode(t, "Conv2DBackpropInput", attrs, ints32(2, 5, 6, 3), f, v)
	if err != nil {
		t.Fatal(err)
	}
	dot := func(a, b *tensor.Tensor) (sum float64) {
		for i, v := range tensor.Data[float32](a) {
			sum += float64(v) * float64(tensor.Data[float32](b)[i])
		}
		return sum
	}
	if got, want := dot(x, back[0]), dot(y[0], v); got != want {
		t.Errorf("<x, transposed conv(y)> = %v, want %v", got, want)
	}
}

func TestWindows(t *testing.T) {
	image := tensor.FromSlice(tensor.Shape{1, 2, 3, 1}, []float32{1, 2, 3, 4, 5, float32(math.NaN())})
	pool := func(padding string, k int64, more map[string]graphdef.Attr) map[string]graphdef.Attr {
		a := withAttrs(tensor.Float32, more)
		a["padding"], a["strides"], a["ksize"] = graphdef.StringAttr(padding), graphdef.IntsAttr(1, 2, 2, 1), graphdef.IntsAttr(1, k, k, 1)
		return a
	}
	one := []int64{1, 1, 1, 1}
	filter := tensor.New(tensor.Float32, tensor.Shape{3, 4, 1, 2})
	checkNodes(t, []nodeCase{
		{name: "edge", op: "AvgPool", attrs: pool("SAME", 2, nil), inputs: []*tensor.Tensor{image}, want: "float [1, 1, 2, 1] 3 nan"},
		{name: "NaN", op: "MaxPool", attrs: pool("SAME", 2, nil), inputs: []*tensor.Tensor{image}, want: "float [1, 1, 2, 1] 5 3"},
		{name: "no images", op: "MaxPool", attrs: pool("VALID", 2, nil), inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{0, 2, 3, 1})}, want: "float [0, 1, 1, 1]"},
		{name: "too big", op: "MaxPool", attrs: pool("VALID", 9, nil), inputs: []*tensor.Tensor{image}, wantErr: "does not fit"},
		{name: "padding", op: "MaxPool", attrs: pool("NONE", 2, nil), inputs: []*tensor.Tensor{image}, wantErr: "SAME, VALID or EXPLICIT"},
		{name: "rank", op: "AvgPool", attrs: pool("SAME", 2, nil), inputs: []*tensor.Tensor{vector[float32](1)}, wantErr: "rank"},
		{name: "too big", op: "Conv2D", attrs: windowed(tensor.Float32, "VALID", "NHWC", one, nil, nil), inputs: []*tensor.Tensor{image, filter}, wantErr: "does not fit"},
		{name: "no output", op: "Conv2D", attrs: windowed(tensor.Float32, "VALID", "NHWC", []int64{1, 3, 3, 1}, nil, nil), inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{0, 5, 5, 1}), filter}, want: "float [0, 1, 1, 2]"},
		{name: "channels", op: "Conv2D", attrs: windowed(tensor.Float32, "SAME", "NHWC", one, nil, nil), inputs: []*tensor.Tensor{image, tensor.New(tensor.Float32, tensor.Shape{1, 1, 2, 2})}, wantErr: "channels"},
		{name: "strides", op: "Conv2D", attrs: windowed(tensor.Float32, "SAME", "NHWC", []int64{1, 0, 1, 1}, nil, nil), inputs: []*tensor.Tensor{image, filter}, wantErr: "strides"},
	})
	out, err := runNode(t, "MaxPoolWithArgmax", pool("SAME", 2, nil), tensor.FromSlice(tensor.Shape{2, 2, 2, 1}, []float32{1, 2, 2, 0, 5, 5, 5, 9}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := flatText(out[1]), "int64 [2, 1, 1, 1] 1 3"; got != want {
		t.Errorf("argmax = %s, want %s", got, want)
	}
}

func TestDiagonals(t *testing.T) {
	f32, v := typed(tensor.Float32), vector[float32]
	n, minus := tensor.Scalar[int32], tensor.Scalar[int32](-1)
	x := matrix[float32](2, 3, 1, 2, 3, 4, 5, 6)
	checkNodes(t, []nodeCase{
		{name: "band right left", op: "MatrixDiagPartV3", attrs: f32, inputs: []*tensor.Tensor{x, ints32(-1, 1), tensor.Scalar[float32](9)}, want: "float [3, 2] 2 6 1 5 4 9"},
		{name: "superdiagonal", op: "MatrixDiagPartV3", attrs: f32, inputs: []*tensor.Tensor{x, n(2), tensor.Scalar[float32](9)}, want: "float [1] 3"},
		{name: "out", op: "MatrixDiagPartV3", attrs: f32, inputs: []*tensor.Tensor{x, n(3), tensor.Scalar[float32](9)}, wantErr: "diagonal 3 does not lie"},
		{name: "order", op: "MatrixDiagPartV3", attrs: f32, inputs: []*tensor.Tensor{x, ints32(1, 0), tensor.Scalar[float32](9)}, wantErr: "lower diagonal first"},
		{name: "rows", op: "MatrixDiagV3", attrs: f32, inputs: []*tensor.Tensor{v(1, 2), n(0), n(2), n(3), tensor.Scalar[float32](7)}, want: "float [2, 3] 1 7 7 7 2 7"},
		{name: "too few rows", op: "MatrixDiagV3", attrs: f32, inputs: []*tensor.Tensor{v(1, 2), n(-1), n(2), minus, tensor.Scalar[float32](7)}, wantErr: "does not fit"},
		{name: "band", op: "MatrixSetDiagV3", attrs: f32, inputs: []*tensor.Tensor{x, matrix[float32](2, 2, 7, 8, 9, 10), ints32(0, 1)}, want: "float [2, 3] 9 7 3 4 10 8"},
		{name: "shape", op: "MatrixSetDiag", attrs: f32, inputs: []*tensor.Tensor{x, v(1, 2, 3)}, wantErr: "want float [2]"},
		{name: "rank 2", op: "DiagPart", attrs: f32, inputs: []*tensor.Tensor{x}, wantErr: "one shape twice"},
	})
}

// TestFusedMatMulForms compares products with packed weights, with fed ones and with transposed operands.
func TestFusedMatMulForms(t *testing.T) {
	x, w, b, r := randomFloats(3, 5), randomFloats(5, 4), randomFloats(4), randomFloats(3, 4)
	for _, ops := range [][]string{{"BiasAdd"}, {"BiasAdd", "Relu"}, {"BiasAdd", "Tanh"}, {"BiasAdd", "Add"}, {"BiasAdd", "Add", "Relu"}} {
		args := []*tensor.Tensor{b}
		if len(ops) > 1 && ops[1] == "Add" {
			args = append(args, r)
		}
		want := tensor.New(tensor.Float32, tensor.Shape{3, 4})
		for i := range 3 {
			for j := range 4 {
				y := tensor.Data[float32](b)[j]
				for k := range 5 {
					y += tensor.Data[float32](x)[i*5+k] * tensor.Data[float32](w)[k*4+j]
				}
				if len(args) > 1 {
					y += tensor.Data[float32](r)[i*4+j]
				}
				switch ops[len(ops)-1] {
				case "Relu":
					y = max(y, 0)
				case "Tanh":
					y = float32(math.Tanh(float64(y)))
				}
				tensor.Data[float32](want)[i*4+j] = y
			}
		}
		for _, constant := range []bool{false, true} {
			g := graphdef.NewGraph()
			p := g.MustAdd("x", "Placeholder")
			p.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
			in := []graphdef.Output{p.Out(0)}
			feeds := map[string]*tensor.Tensor{"x": x}
			for i, a := range append([]*tensor.Tensor{w}, args...) {
				name := fmt.Sprintf("arg%d", i)
				if constant && i < 2 {
					c := g.MustAdd(name, "Const")
					c.SetAttr("value", graphdef.TensorAttr(a))
					c.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
					in = append(in, c.Out(0))
					continue
				}
				p := g.MustAdd(name, "Placeholder")
				p.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
				in = append(in, p.Out(0))
				feeds[name] = a
			}
			n := g.MustAdd("op", "_FusedMatMul", in...)
			n.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
			n.SetAttr("num_args", graphdef.IntAttr(int64(len(args))))
			n.SetAttr("fused_ops", graphdef.StringsAttr(ops...))
			plan, err := Compile(g, CompileOptions{Fetches: []string{"op"}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.NewSession().Run(t.Context(), feeds)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range tensor.Data[float32](got["op"]) {
				if w := tensor.Data[float32](want)[i]; math.Abs(float64(v-w)) > 1e-6 {
					t.Errorf("%v, constant %v: element %d is %v, want %v", ops, constant, i, v, w)
				}
			}
		}
	}
}
