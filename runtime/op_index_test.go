package runtime

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// evalCase is a node on given inputs, and what its outputs print as, or a part of the error.
type evalCase struct {
	name, op string
	attrs    map[string]graphdef.Attr
	inputs   []*tensor.Tensor
	want     []string
	fails    string
}

func (n evalCase) run(t *testing.T) {
	t.Helper()
	got, err := runNode(t, n.op, n.attrs, n.inputs...)
	if n.fails != "" {
		if err == nil {
			t.Errorf("%s: no error, want %q", n.name, n.fails)
		} else if !strings.Contains(err.Error(), n.fails) || !strings.Contains(err.Error(), `node "op" (`+n.op+")") {
			t.Errorf("%s: error %q, want the node and %q", n.name, err, n.fails)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", n.name, err)
		return
	}
	var s []string
	for _, t := range got {
		s = append(s, describe(t))
	}
	if !slices.Equal(s, n.want) {
		t.Errorf("%s = %q, want %q", n.name, s, n.want)
	}
}

// describe prints the dtype, shape and elements of t.
func describe(t *tensor.Tensor) string {
	var d any
	switch t.DType() {
	case tensor.Float32:
		d = tensor.Data[float32](t)
	case tensor.Int32:
		d = tensor.Data[int32](t)
	case tensor.Int64:
		d = tensor.Data[int64](t)
	case tensor.Int8:
		d = tensor.Data[int8](t)
	case tensor.Float16, tensor.Bfloat16:
		var v []float64
		f := floatsOf(t)
		for i := range t.Len() {
			v = append(v, f.at(i))
		}
		d = v
	case tensor.Bool:
		d = tensor.Data[bool](t)
	case tensor.String:
		d = t.Strings()
	}
	return fmt.Sprintf("%v%v %v", t.DType(), t.Shape(), d)
}

func vec[T tensor.Element](v ...T) *tensor.Tensor { return tensor.FromSlice(tensor.Shape{len(v)}, v) }

func mat[T tensor.Element](rows, cols int, v ...T) *tensor.Tensor {
	return tensor.FromSlice(tensor.Shape{rows, cols}, v)
}

func words(v ...string) *tensor.Tensor { return tensor.FromStrings(tensor.Shape{len(v)}, v) }

func halves(d tensor.DType, v ...float64) *tensor.Tensor {
	t := tensor.New(d, tensor.Shape{len(v)})
	for i, x := range v {
		setFloat(t, i, x)
	}
	return t
}

type attrs = map[string]graphdef.Attr

func list(t ...*tensor.Tensor) []*tensor.Tensor { return t }

func TestScatter(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []evalCase{
		{name: "duplicates add", op: "ScatterNd", inputs: list(mat[int32](3, 1, 1, 0, 1), vec[float32](1, 2, 3), vec[int32](3)),
			want: []string{"float[3] [2 4 0]"}},
		{name: "half rounds after each update", op: "ScatterNd",
			inputs: list(mat[int32](2, 1, 0, 0), halves(tensor.Float16, 2048, 1), vec[int32](1)), want: []string{"half[1] [2048]"}},
		{name: "int8 wraps", op: "ScatterNd", inputs: list(mat[int64](2, 1, 0, 0), vec[int8](100, 100), vec[int64](1)), want: []string{"int8[1] [-56]"}},
		{name: "strings join", op: "ScatterNd", inputs: list(mat[int32](2, 1, 1, 1), words("a", "b"), vec[int32](2)), want: []string{"string[2] [ ab]"}},
		{name: "bools or", op: "ScatterNd", inputs: list(mat[int32](2, 1, 1, 1), vec(true, true), vec[int32](2)), want: []string{"bool[2] [false true]"}},
		{name: "nothing into nothing", op: "ScatterNd", inputs: list(mat[int32](0, 1), vec[float32](), vec[int32](0)), want: []string{"float[0] []"}},
		{name: "something into nothing", op: "ScatterNd", inputs: list(mat[int32](1, 1, 0), vec[float32](1), vec[int32](0)), fails: "empty tensor"},
		{name: "places of no dimensions", op: "ScatterNd",
			inputs: list(tensor.New(tensor.Int32, tensor.Shape{2, 0}), mat[float32](2, 2, 1, 2, 3, 4), vec[int32](2)), want: []string{"float[2] [4 6]"}},
		{name: "negative index", op: "ScatterNd", inputs: list(mat[int32](1, 1, -1), vec[float32](1), vec[int32](3)), fails: "[-1] does not index"},
		{name: "index at the end", op: "ScatterNd", inputs: list(mat[int32](1, 1, 3), vec[float32](1), vec[int32](3)), fails: "[3] does not index"},
		{name: "bad index ignored", op: "ScatterNd", attrs: attrs{"bad_indices_policy": graphdef.StringAttr("IGNORE")},
			inputs: list(mat[int32](2, 1, -1, 1), vec[float32](1, 2), vec[int32](2)), want: []string{"float[2] [0 2]"}},
		{name: "unknown policy", op: "ScatterNd", attrs: attrs{"bad_indices_policy": graphdef.StringAttr("WRAP")},
			inputs: list(mat[int32](1, 1, 0), vec[float32](1), vec[int32](2)), fails: "bad_indices_policy"},
		{name: "negative shape", op: "ScatterNd", inputs: list(mat[int32](1, 1, 0), vec[float32](1), vec[int32](-3)), fails: "negative dimension"},
		{name: "huge shape", op: "ScatterNd", inputs: list(mat[int64](1, 2, 0, 0), vec[float32](1), vec[int64](1<<40, 1<<40)), fails: "too many elements"},
		{name: "long shape", op: "ScatterNd", inputs: list(mat[int64](1, 1, 0), vec[float32](1), vec[int64](1<<40)), fails: "limit"},
		{name: "scalar update", op: "ScatterNd", inputs: list(vec[int32](0), tensor.Scalar[float32](1), vec[int32](3)), fails: "rank 1 or more"},
		{name: "wrong slices", op: "ScatterNd", inputs: list(mat[int32](1, 1, 0), mat[float32](1, 3, 1, 2, 3), vec[int32](2, 2)), fails: "updates has shape [1, 3]"},
		{name: "deep places", op: "ScatterNd", inputs: list(mat[int32](1, 3, 0, 0, 0), vec[float32](1), vec[int32](2, 2)), fails: "places of 3 dimensions"},

		{name: "last one wins", op: "TensorScatterUpdate", inputs: list(vec[float32](1, 2, 3), mat[int32](2, 1, 1, 1), vec[float32](8, 9)), want: []string{"float[3] [1 9 3]"}},
		{name: "strings", op: "TensorScatterUpdate", inputs: list(words("a", "b"), mat[int32](1, 1, 0), words("c")), want: []string{"string[2] [c b]"}},
		{name: "max keeps what NaN meets", op: "TensorScatterMax", inputs: list(vec[float32](1, nan), mat[int32](2, 1, 0, 1), vec(nan, 5)), want: []string{"float[2] [1 NaN]"}},
		{name: "min of uint8", op: "TensorScatterMin", inputs: list(vec[int8](3, -3), mat[int32](2, 1, 0, 1), vec[int8](-4, 4)), want: []string{"int8[2] [-4 -3]"}},
		{name: "sub twice", op: "TensorScatterSub", inputs: list(vec[int32](1, 2), mat[int32](2, 1, 1, 1), vec[int32](5, 6)), want: []string{"int32[2] [1 -9]"}},
		{name: "slices", op: "TensorScatterAdd", inputs: list(mat[int32](2, 2, 1, 2, 3, 4), mat[int64](1, 1, 1), mat[int32](1, 2, 10, 20)), want: []string{"int32[2, 2] [1 2 13 24]"}},
		{name: "alias", op: "ScatterNdNonAliasingAdd", inputs: list(vec[float32](1, 2), mat[int32](1, 1, 0), vec[float32](1)), want: []string{"float[2] [2 2]"}},
		{name: "order of strings", op: "TensorScatterMax", inputs: list(words("a"), mat[int32](1, 1, 0), words("b")), fails: "no such update"},

		{name: "gather ignores", op: "GatherNd", attrs: attrs{"bad_indices_policy": graphdef.StringAttr("IGNORE")},
			inputs: list(vec[int32](7, 8), mat[int32](2, 1, 2, 1)), want: []string{"int32[2] [0 8]"}},
		{name: "gather of nothing", op: "GatherNd", inputs: list(tensor.New(tensor.Int32, tensor.Shape{3, 0}), mat[int32](1, 1, 5)), fails: "empty"},
	} {
		c.run(t)
	}
}

func TestSets(t *testing.T) {
	nan := float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []evalCase{
		{name: "no NaN equals another, both zeros do", op: "Unique", inputs: list(vec(nan, 0, negZero, nan, 0)),
			want: []string{"float[3] [NaN 0 NaN]", "int32[5] [0 1 1 2 1]"}},
		{name: "strings", op: "UniqueWithCounts", inputs: list(words("b", "", "b")), want: []string{"string[2] [b ]", "int32[3] [0 1 0]", "int32[2] [2 1]"}},
		{name: "empty", op: "UniqueWithCounts", attrs: attrs{"out_idx": graphdef.TypeAttr(tensor.Int64)}, inputs: list(vec[int32]()),
			want: []string{"int32[0] []", "int64[0] []", "int64[0] []"}},
		{name: "matrix without axis", op: "Unique", inputs: list(mat[int32](1, 1, 1)), fails: "want a vector"},
		{name: "columns", op: "UniqueWithCountsV2", inputs: list(mat[int32](2, 3, 1, 2, 1, 4, 5, 4), vec[int64](-1)),
			want: []string{"int32[2, 2] [1 2 4 5]", "int32[3] [0 1 0]", "int32[2] [2 1]"}},
		{name: "two axes", op: "UniqueV2", inputs: list(mat[int32](1, 1, 1), vec[int64](0, 1)), fails: "at most one"},
		{name: "axis beyond rank", op: "UniqueV2", inputs: list(mat[int32](1, 1, 1), vec[int64](2)), fails: "axis is 2"},
		{name: "empty slices are equal", op: "UniqueV2", inputs: list(tensor.New(tensor.Int32, tensor.Shape{2, 0}), vec[int64](0)),
			want: []string{"int32[1, 0] []", "int32[2] [0 0]"}},

		{name: "difference", op: "ListDiff", inputs: list(vec[int32](1, 2, 2, 3), vec[int32](3, 1)), want: []string{"int32[2] [2 2]", "int32[2] [1 2]"}},
		{name: "NaN stays", op: "ListDiff", inputs: list(vec(nan, negZero), vec(nan, 0)), want: []string{"float[1] [NaN]", "int32[1] [0]"}},

		{name: "zeros of both signs", op: "Where", inputs: list(vec(nan, 0, negZero, 2)), want: []string{"int64[2, 1] [0 3]"}},
		{name: "half", op: "Where", inputs: list(halves(tensor.Float16, math.Copysign(0, -1), 1)), want: []string{"int64[1, 1] [1]"}},
		{name: "none", op: "Where", inputs: list(tensor.New(tensor.Bool, tensor.Shape{2, 0, 3})), want: []string{"int64[0, 3] []"}},
		{name: "scalar", op: "Where", inputs: list(tensor.Scalar(true)), fails: "scalar"},

		{name: "nth", op: "NthElement", inputs: list(mat[int32](2, 3, 3, 1, 2, 9, 7, 8), tensor.Scalar[int32](1)), want: []string{"int32[2] [2 8]"}},
		{name: "nth from above", op: "NthElement", attrs: attrs{"reverse": graphdef.BoolAttr(true)}, inputs: list(vec[int32](3, 1, 2), tensor.Scalar[int32](0)), want: []string{"int32[] [3]"}},
		{name: "nth beyond", op: "NthElement", inputs: list(vec[int32](3, 1, 2), tensor.Scalar[int32](3)), fails: "n is 3"},
	} {
		c.run(t)
	}
}

func TestPartitionAndStitch(t *testing.T) {
	two := attrs{"num_partitions": graphdef.IntAttr(2)}
	n2 := attrs{"N": graphdef.IntAttr(2)}
	for _, c := range []evalCase{
		{name: "rows", op: "DynamicPartition", attrs: two, inputs: list(mat[int32](3, 2, 1, 2, 3, 4, 5, 6), vec[int32](1, 0, 1)),
			want: []string{"int32[1, 2] [3 4]", "int32[2, 2] [1 2 5 6]"}},
		{name: "nothing", op: "DynamicPartition", attrs: two, inputs: list(tensor.New(tensor.Int32, tensor.Shape{0, 2}), vec[int32]()),
			want: []string{"int32[0, 2] []", "int32[0, 2] []"}},
		{name: "rows of nothing", op: "DynamicPartition", attrs: two, inputs: list(tensor.New(tensor.Int32, tensor.Shape{2, 0}), vec[int32](1, 1)),
			want: []string{"int32[0, 0] []", "int32[2, 0] []"}},
		{name: "one for all", op: "DynamicPartition", attrs: two, inputs: list(vec[int32](4, 5), tensor.Scalar[int32](1)),
			want: []string{"int32[0, 2] []", "int32[1, 2] [4 5]"}},
		{name: "negative", op: "DynamicPartition", attrs: two, inputs: list(vec[int32](4), vec[int32](-1)), fails: "partitions[0] is -1"},
		{name: "too few", op: "DynamicPartition", attrs: two, inputs: list(vec[int32](4, 5), vec[int32](0)), fails: "first dimensions"},

		{name: "later wins, gaps are zero", op: "DynamicStitch", attrs: n2, inputs: list(vec[int32](0, 3), vec[int32](3), vec[float32](1, 2), vec[float32](9)),
			want: []string{"float[4] [1 0 0 9]"}},
		{name: "nothing", op: "DynamicStitch", attrs: n2, inputs: list(vec[int32](), vec[int32](), mat[float32](0, 2), mat[float32](0, 2)), want: []string{"float[0, 2] []"}},
		{name: "negative", op: "DynamicStitch", attrs: n2, inputs: list(vec[int32](-1), vec[int32](0), vec[float32](1), vec[float32](2)), fails: "is -1"},
		{name: "rests differ", op: "DynamicStitch", attrs: n2, inputs: list(vec[int32](0), vec[int32](1), mat[float32](1, 1, 1), vec[float32](2)), fails: "data[1]"},
		{name: "far index", op: "DynamicStitch", attrs: n2, inputs: list(vec[int32](math.MaxInt32), vec[int32](1), vec[float32](1), vec[float32](2)), fails: "limit"},
	} {
		c.run(t)
	}
}

func TestSearchSorted(t *testing.T) {
	for _, c := range []evalCase{
		{name: "lower", op: "LowerBound", inputs: list(mat[float32](1, 4, 1, 2, 2, 3), mat[float32](1, 4, 0, 2, 3, 4)), want: []string{"int32[1, 4] [0 1 3 4]"}},
		{name: "upper", op: "UpperBound", attrs: attrs{"out_type": graphdef.TypeAttr(tensor.Int64)},
			inputs: list(mat[float32](1, 4, 1, 2, 2, 3), mat[float32](1, 4, 0, 2, 3, 4)), want: []string{"int64[1, 4] [0 3 4 4]"}},
		{name: "in nothing", op: "LowerBound", inputs: list(mat[float32](2, 0), mat[float32](2, 1, 5, 6)), want: []string{"int32[2, 1] [0 0]"}},
		{name: "for nothing", op: "LowerBound", inputs: list(mat[float32](2, 1, 5, 6), mat[float32](2, 0)), want: []string{"int32[2, 0] []"}},
		{name: "rows differ", op: "UpperBound", inputs: list(mat[float32](1, 1, 1), mat[float32](2, 1, 1, 2)), fails: "as many rows"},
	} {
		c.run(t)
	}
}
