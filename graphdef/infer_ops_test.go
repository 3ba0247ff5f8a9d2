package graphdef

import (
	"strconv"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// inferCase is one operation over inputs of which some things are known: [2, ?] is a placeholder of that shape, ? one of
// unknown rank, (1 2) a vector of int32 and 3 a scalar, 3f a scalar of float, all Const; (1 ?) a vector of which one element is not known.
type inferCase struct {
	op     string
	inputs string // separated by semicolons
	attrs  map[string]Attr
	want   string // shapes of the outputs, separated by spaces, with values of integers after =; or part of the error
}

func ints(v ...int64) Attr { return IntsAttr(v...) }

var inferCases = []inferCase{
	{"AddV2", "[?, 4]; [3, 1]", nil, "[3, 4]"},
	{"AddV2", "[?, 4]; [1, 4]", nil, "[?, 4]"},
	{"AddV2", "[2]; ?", nil, "?"},
	{"AddV2", "[2]; [3]", nil, "!do not broadcast"},
	{"AddV2", "(1 ?); 2", nil, "[2]=(3 ?)"},
	{"Mul", "(? 5); (0 7)", nil, "[2]=(0 35)"},
	{"Mul", "2147483647; 2", nil, "[]"},
	{"FloorDiv", "(-7 7); 2", nil, "[2]=(-4 3)"},
	{"FloorMod", "(-7 7); 0", nil, "[2]"},
	{"Equal", "[2]; [3]", map[string]Attr{"incompatible_shape_error": BoolAttr(false)}, "?"},
	{"Select", "[3]; [2, 4]; [?, 4]", nil, "!lengths of the condition"},
	{"Select", "[2]; [2, ?]; [?, 4]", nil, "[2, 4]"},
	{"AddN", "[?, 3]; [2, ?]", nil, "[2, 3]"},
	{"AddN", "[1, 3]; [2, ?]", nil, "!differ"},
	{"MatMul", "[?, 3]; [3, 5]", nil, "[?, 5]"},
	{"MatMul", "[?, 3]; [5, 3]", map[string]Attr{"transpose_b": BoolAttr(true)}, "[?, 5]"},
	{"MatMul", "[2, 3]; [5, 3]", nil, "!check transpose_a and transpose_b"},
	{"MatMul", "?; [3, 5]", nil, "[?, 5]"},
	{"MatMul", "[2, 3, 4]; [3, 5]", nil, "!wrong rank"},
	{"BatchMatMulV2", "[?, 1, 4, 8]; [8, 8, ?]", nil, "[?, 8, 4, ?]"},
	{"BatchMatMulV2", "[2, 4, 8]; [3, 8, 4]", nil, "!do not broadcast"},
	{"BatchMatMul", "[1, 4, 8]; [3, 8, 4]", nil, "!batch dimensions differ"},
	{"BatchMatMulV2", "?; [8, 8, 3]", nil, "?"},
	{"Einsum", "[?, 5, 8]; [8, 2, 4]", map[string]Attr{"equation": StringAttr("abc,cde->abde")}, "[?, 5, 2, 4]"},
	{"Einsum", "[2, ?, 8]; [8, 3]", map[string]Attr{"equation": StringAttr("...c,cd->...d")}, "[2, ?, 3]"},
	{"Einsum", "?; [8, 3]", map[string]Attr{"equation": StringAttr("...c,cd->...d")}, "?"},
	{"Einsum", "?; [8, 3]", map[string]Attr{"equation": StringAttr("abc,cd->abd")}, "[?, ?, 3]"},
	{"Einsum", "[2, 7]; [8, 3]", map[string]Attr{"equation": StringAttr("ab,bc->ac")}, "!differ"},
	{"BiasAdd", "[?, 4]; [?]", nil, "[?, 4]"},
	{"BiasAdd", "[?, 4]; [3]", nil, "!bias"},
	{"Softmax", "[]", nil, "!scalar"},
	{"Shape", "[?, 3]", nil, "[2]=(? 3)"},
	{"Shape", "?", nil, "[?]"},
	{"Rank", "[?, ?]", nil, "[]=(2)"},
	{"Size", "[4, 3]", nil, "[]=(12)"},
	{"Size", "[4, ?]", nil, "[]"},
	{"Reshape", "[?, 4, 8]; (? -1 32)", nil, "[?, ?, 32]"},
	{"Reshape", "[2, 4, 8]; (? 32)", nil, "[2, 32]"},
	{"Reshape", "[2, 4, 8]; (-1 7)", nil, "!does not divide"},
	{"Reshape", "[2, 4]; (2 5)", nil, "!numbers of elements"},
	{"Reshape", "[?]; (-1 -1)", nil, "!at most one"},
	{"Reshape", "[0, 4]; (-1 0)", nil, "[?, 0]"},
	{"Reshape", "?; [3]", nil, "[?, ?, ?]"},
	{"ExpandDims", "[2, 3]; -1", nil, "[2, 3, 1]"},
	{"ExpandDims", "[2, 3]; []", nil, "[?, ?, ?]"},
	{"ExpandDims", "[2, 3]; 3", nil, "!out of range"},
	{"Squeeze", "[1, 2, 1]", nil, "[2]"},
	{"Squeeze", "[1, ?]", nil, "?"},
	{"Squeeze", "[1, ?]", map[string]Attr{"squeeze_dims": ints(-1)}, "[1]"},
	{"Squeeze", "[1, 2]", map[string]Attr{"squeeze_dims": ints(1)}, "!cannot be squeezed"},
	{"Transpose", "[?, 2, 3]; (2 0 1)", nil, "[3, ?, 2]"},
	{"Transpose", "?; (1 0)", nil, "[?, ?]"},
	{"Transpose", "[2, 3]; (0 0)", nil, "!twice"},
	{"ConcatV2", "[?, 2]; [3, 4]; 1", nil, "[3, 6]"},
	{"ConcatV2", "[?, 2]; [3, 4]; 0", nil, "!differ"},
	{"ConcatV2", "(1 ?); (3); 0", nil, "[3]=(1 ? 3)"},
	{"ConcatV2", "[2]; ?; []", nil, "[?]"},
	{"Pack", "1; []", nil, "[2]=(1 ?)"},
	{"Pack", "[2]; [?]", map[string]Attr{"axis": IntAttr(1)}, "[2, 2]"},
	{"Pack", "[2]; [3]", nil, "!differ"},
	{"Unpack", "(4 5)", map[string]Attr{"num": IntAttr(2)}, "[]=(4) []=(5)"},
	{"Unpack", "[3]", map[string]Attr{"num": IntAttr(2)}, "!number of outputs"},
	{"Split", "1; [?, 6]", map[string]Attr{"num_split": IntAttr(3)}, "[?, 2] [?, 2] [?, 2]"},
	{"Split", "1; [?, 7]", map[string]Attr{"num_split": IntAttr(3)}, "!does not divide"},
	{"SplitV", "[5, ?]; (2 -1); 0", map[string]Attr{"num_split": IntAttr(2)}, "[2, ?] [3, ?]"},
	{"SplitV", "[5]; (2 2); 0", map[string]Attr{"num_split": IntAttr(2)}, "!add up"},
	{"Slice", "[?, 5]; (0 1); (2 -1)", nil, "[2, 4]"},
	{"Slice", "[4]; (3); (2)", nil, "!out of range"},
	{"Slice", "(4 5 6); (1); (-1)", nil, "[2]=(5 6)"},
	{"StridedSlice", "(4 5 6); (1); (2); (1)", map[string]Attr{"shrink_axis_mask": IntAttr(1)}, "[]=(5)"},
	{"StridedSlice", "(4 5 6); (-1); (0); (-1)", map[string]Attr{"end_mask": IntAttr(1)}, "[3]=(6 5 4)"},
	{"StridedSlice", "(4 5 6); (0); (2); (1)", nil, "[2]=(4 5)"},
	{"StridedSlice", "[?, 8, 4]; (0 0); (0 1); (1 1)", map[string]Attr{"ellipsis_mask": IntAttr(1)}, "[?, 8, 1]"},
	{"StridedSlice", "[?, 8]; (0 0); (0 0); (1 1)", map[string]Attr{"begin_mask": IntAttr(3), "end_mask": IntAttr(3), "new_axis_mask": IntAttr(2)}, "[?, 1, 8]"},
	{"StridedSlice", "[4, 8]; (4); (5); (1)", map[string]Attr{"shrink_axis_mask": IntAttr(1)}, "!out of range"},
	{"StridedSlice", "[4]; (0); (4); (0)", nil, "!stride is 0"},
	{"StridedSlice", "[4, 8]; [2]; [2]; (1 1)", map[string]Attr{"shrink_axis_mask": IntAttr(2)}, "[?]"},
	{"GatherV2", "[10, 8]; [?, 3]; 0", nil, "[?, 3, 8]"},
	{"GatherV2", "(7 8 9); (2 0); 0", nil, "[2]=(9 7)"},
	{"GatherV2", "(7 8 9); 3; 0", nil, "!out of range"},
	{"GatherV2", "[2, 5, 8]; [?, 3]; 1", map[string]Attr{"batch_dims": IntAttr(1)}, "[2, 3, 8]"},
	{"GatherV2", "[10, 8]; [3]; []", nil, "[?, ?]"},
	{"GatherNd", "[4, 5, 6]; [?, 2]", nil, "[?, 6]"},
	{"GatherNd", "[4]; [?, 2]", nil, "!address 2 dimensions"},
	{"ScatterNd", "[?, 1]; [?, 3]; (8 3)", nil, "[8, 3]"},
	{"ScatterNd", "[?, 1]; [?, 4]; (8 3)", nil, "!updates"},
	{"DynamicPartition", "[?, 3, 4]; [?]", map[string]Attr{"num_partitions": IntAttr(2)}, "[?, 3, 4] [?, 3, 4]"},
	{"DynamicStitch", "[2]; [?]; [2, 4]; [3, ?]", map[string]Attr{"N": IntAttr(2)}, "[?, 4]"},
	{"DynamicStitch", "[2]; [?]; [2, 4]; [3, 5]", map[string]Attr{"N": IntAttr(2)}, "!rows differ"},
	{"TopKV2", "[?, 9]; 4", nil, "[?, 4] [?, 4]"},
	{"TopKV2", "[?, 3]; 4", nil, "!greater"},
	{"OneHot", "[?, 3]; 5; []; []", map[string]Attr{"axis": IntAttr(0)}, "[5, ?, 3]"},
	{"Range", "2; 9; 3", nil, "[3]=(2 5 8)"},
	{"Range", "0; []; 1", nil, "[?]"},
	{"Range", "0f; 1f; 0.1f", map[string]Attr{"Tidx": TypeAttr(tensor.Float32)}, "[10]"},
	{"Range", "0f; 1f; -0.5f", map[string]Attr{"Tidx": TypeAttr(tensor.Float32)}, "!does not end"},
	{"Range", "0f; []; 1f", map[string]Attr{"Tidx": TypeAttr(tensor.Float32)}, "[?]"},
	{"Range", "0; 3; 0", nil, "!does not end"},
	{"Fill", "(2 ?); []", nil, "[2, ?]"},
	{"Fill", "(3); 7", nil, "[3]=(7 7 7)"},
	{"Fill", "(-1 2); []", nil, "!dimension -1"},
	{"Tile", "[2, ?]; (3 4)", nil, "[6, ?]"},
	{"Tile", "[2, 3]; (3)", nil, "!multiples"},
	{"BroadcastTo", "[1, 3]; (? 3)", nil, "[?, 3]"},
	{"BroadcastTo", "[2, 3]; (3)", nil, "!does not stretch"},
	{"Sum", "[?, 3, 4]; (1 -1)", nil, "[?]"},
	{"Sum", "[?, 3, 4]; (1)", map[string]Attr{"keep_dims": BoolAttr(true)}, "[?, 1, 4]"},
	{"Sum", "[?, 3]; [1]", nil, "[?]"},
	{"Sum", "[2, 3]; (2)", nil, "!out of range"},
	{"Prod", "(2 3 4); (0)", nil, "[]=(24)"},
	{"Prod", "(2 ? 4); (0)", nil, "[]"},
	{"ArgMax", "[?, 3]; -1", nil, "[?]"},
	{"Where", "[?, ?, 2]", nil, "[?, 3]"},
	{"MatrixDiag", "[?, 3]", nil, "[?, 3, 3]"},
	{"QuantizeV2", "[2, 3]; []; []", nil, "[2, 3] [] []"},
	{"QuantizeV2", "[2, 3]; [3]; [3]", nil, "!range has the wrong shape"},
	{"QuantizeV2", "[2, 3]; [3]; [3]", map[string]Attr{"axis": IntAttr(1)}, "[2, 3] [3] [3]"},
	{"UnsortedSegmentSum", "[?, 3]; [?]; 4", nil, "[4, 3]"},
	{"RandomUniform", "(2 ?)", nil, "[2, ?]"},
	{"ZerosLike", "(3 4)", nil, "[2]=(0 0)"},
	{"TensorListReserve", "-1; 3", nil, "[]"},
}

// inferInput adds what text describes.
func inferInput(t *testing.T, g *Graph, name, text string) Output {
	t.Helper()
	number := func(s string) int64 {
		v, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return v
	}
	switch {
	case text == "?":
		return addNode(t, g, name, "Placeholder", nil, "dtype", TypeAttr(tensor.Float32)).Out(0)
	case strings.HasPrefix(text, "["):
		dims := []int{}
		for _, d := range splitTop(strings.Trim(text, "[]")) {
			if d == "?" {
				d = "-1"
			}
			dims = append(dims, int(number(d)))
		}
		return placeholder32(t, g, name, dims...).Out(0)
	case strings.HasPrefix(text, "("):
		var parts []Output
		for i, e := range strings.Fields(strings.Trim(text, "()")) {
			part := name + "_" + strconv.Itoa(i)
			if e == "?" {
				parts = append(parts, addNode(t, g, part, "Placeholder", nil, "dtype", TypeAttr(tensor.Int32), "shape", ShapeAttr(scalarShape)).Out(0))
				continue
			}
			parts = append(parts, constNode(t, g, part, tensor.Scalar(int32(number(e)))).Out(0))
		}
		return addNode(t, g, name, "Pack", parts, "N", IntAttr(int64(len(parts))), "T", TypeAttr(tensor.Int32)).Out(0)
	}
	if digits, ok := strings.CutSuffix(text, "f"); ok {
		v, err := strconv.ParseFloat(digits, 32)
		if err != nil {
			t.Fatal(err)
		}
		return constNode(t, g, name, tensor.Scalar(float32(v))).Out(0)
	}
	return constNode(t, g, name, tensor.Scalar(int32(number(text)))).Out(0)
}

func TestInferOps(t *testing.T) {
	for _, c := range inferCases {
		g := NewGraph()
		var inputs []Output
		for i, text := range strings.Split(c.inputs, ";") {
			inputs = append(inputs, inferInput(t, g, "in"+strconv.Itoa(i), strings.TrimSpace(text)))
		}
		n := addNode(t, g, "op", c.op, inputs)
		for name, a := range c.attrs {
			n.SetAttr(name, a)
		}
		sig, _ := Lookup(c.op)
		for _, d := range sig.Attrs { // an Index and the like need a dtype that no input tells
			if d.Required() && d.Kind == KindType && !n.AttrReader().Has(d.Name) {
				n.SetAttr(d.Name, TypeAttr(tensor.Float32))
			}
		}
		s := Infer(g)
		got := ""
		if err := s.Err(); err != nil {
			got = "!" + err.Error()
		} else {
			outs, err := n.NumOutputs()
			if err != nil {
				t.Errorf("%s: %v", c.op, err)
			}
			var texts []string
			for i := range outs {
				k := s.known(n.Out(i))
				text := k.shape.String()
				if k.ints != nil {
					var v []string
					for _, x := range k.ints {
						if x == unknownInt {
							v = append(v, "?")
							continue
						}
						v = append(v, strconv.FormatInt(x, 10))
					}
					text += "=(" + strings.Join(v, " ") + ")"
				}
				texts = append(texts, text)
			}
			got = strings.Join(texts, " ")
		}
		fail := got != c.want
		if want, isError := strings.CutPrefix(c.want, "!"); isError {
			fail = !strings.HasPrefix(got, "!node \"op\" ("+c.op+"): ") || !strings.Contains(got, want)
		}
		if fail {
			t.Errorf("%s(%s) %v: have %s, want %s", c.op, c.inputs, c.attrs, got, c.want)
		}
	}
}
