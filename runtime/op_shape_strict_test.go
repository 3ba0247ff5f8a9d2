package runtime

import (
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// TestShapeArguments: a scalar is no vector, nor a vector of one element a scalar, as in TensorFlow.
func TestShapeArguments(t *testing.T) {
	x := ints(tensor.Shape{2})
	one, ones := tensor.Scalar[int32](1), vec[int32](1)
	split := attrs{"num_split": graphdef.IntAttr(1)}
	for _, c := range []evalCase{
		{name: "reshape", op: "Reshape", inputs: list(x, tensor.Scalar[int32](2)), fails: "want a vector"},
		{name: "fill", op: "Fill", inputs: list(one, one), fails: "want a vector"},
		{name: "slice", op: "Slice", inputs: list(x, one, one), fails: "want a vector"},
		{name: "strided slice", op: "StridedSlice", inputs: list(x, one, one, one), fails: "want a vector"},
		{name: "tile", op: "Tile", inputs: list(x, one), fails: "want a vector"},
		{name: "broadcast", op: "BroadcastTo", inputs: list(x, one), fails: "want a vector"},
		{name: "broadcast args", op: "BroadcastArgs", inputs: list(one, ones), fails: "want a vector"},
		{name: "transpose", op: "Transpose", inputs: list(x, tensor.Scalar[int32](0)), fails: "want a vector"},
		{name: "reverse", op: "ReverseV2", inputs: list(x, tensor.Scalar[int32](0)), fails: "want a vector"},
		{name: "gather", op: "GatherV2", inputs: list(x, one, vec[int32](0)), fails: "want a scalar"},
		{name: "concat", op: "ConcatV2", attrs: attrs{"N": graphdef.IntAttr(2)}, inputs: list(x, x, vec[int32](0)), fails: "want a scalar"},
		{name: "range", op: "Range", inputs: list(ones, one, one), fails: "want a scalar"},
		{name: "expand", op: "ExpandDims", inputs: list(x, vec[int32](0)), want: []string{"int32[1, 2] [0 1]"}},
		{name: "split", op: "Split", attrs: split, inputs: list(vec[int32](0), x), want: []string{"int32[2] [0 1]"}},
	} {
		c.run(t)
	}
}

// TestHostileSizes: sizes that no memory holds, or that overflow, are errors.
func TestHostileSizes(t *testing.T) {
	x := ints(tensor.Shape{2})
	const big = math.MaxInt64
	for _, c := range []evalCase{
		{name: "reshape", op: "Reshape", inputs: list(x, vec[int64](1<<32, 1<<32)), fails: "cannot reshape"},
		{name: "reshape to minimum", op: "Reshape", inputs: list(x, vec[int64](math.MinInt64)), fails: "negative"},
		{name: "fill", op: "Fill", inputs: list(vec[int64](big, big), tensor.Scalar[int32](0)), fails: "too many elements"},
		{name: "fill of strings", op: "Fill", inputs: list(vec[int64](big), tensor.FromStrings(tensor.Shape{}, []string{""})), fails: "too many elements"},
		{name: "fill of many strings", op: "Fill", inputs: list(vec[int64](1<<30), tensor.FromStrings(tensor.Shape{}, []string{""})), fails: "limit"},
		{name: "tile", op: "Tile", inputs: list(x, vec[int64](big)), fails: "too many elements"},
		{name: "tile to a lot", op: "Tile", inputs: list(x, vec[int64](1<<40)), fails: "limit"},
		{name: "broadcast", op: "BroadcastTo", inputs: list(x, vec[int64](big, big, 2)), fails: "too many elements"},
		{name: "pad", op: "Pad", inputs: list(x, mat[int64](1, 2, big, 1)), fails: "paddings[0]"},
		{name: "pad with a lot", op: "Pad", inputs: list(x, mat[int64](1, 2, 1<<40, 1)), fails: "limit"},
		{name: "mirror", op: "MirrorPad", attrs: attrs{"mode": graphdef.StringAttr("REFLECT")}, inputs: list(x, mat[int64](1, 2, big, 1)), fails: "paddings[0]"},
		{name: "range", op: "Range", inputs: list(tensor.Scalar[int64](math.MinInt64), tensor.Scalar[int64](big), tensor.Scalar[int64](1)), fails: "too long"},
		{name: "range of a lot", op: "Range", inputs: list(tensor.Scalar[int64](0), tensor.Scalar[int64](1<<40), tensor.Scalar[int64](1)), fails: "limit"},
		{name: "range of NaN", op: "Range", inputs: list(tensor.Scalar(float32(math.NaN())), tensor.Scalar[float32](1), tensor.Scalar[float32](1)), fails: "want numbers"},
		{name: "range to infinity", op: "Range", inputs: list(tensor.Scalar[float32](0), tensor.Scalar(float32(math.Inf(1))), tensor.Scalar[float32](1)), fails: "too long"},
		{name: "slice", op: "Slice", inputs: list(x, vec[int64](1), vec[int64](big)), fails: "size[0]"},
		{name: "strided slice", op: "StridedSlice", inputs: list(x, vec[int64](0), vec[int64](big), vec[int64](big)), want: []string{"int32[1] [0]"}},
		{name: "strided slice backwards", op: "StridedSlice", inputs: list(x, vec[int64](big), vec[int64](math.MinInt64), vec[int64](math.MinInt64)), want: []string{"int32[1] [1]"}},
		{name: "transpose", op: "Transpose", inputs: list(x, vec[int64](math.MinInt64)), fails: "perm[0]"},
		{name: "gather", op: "GatherV2", inputs: list(x, vec[int64](1<<32), tensor.Scalar[int32](0)), fails: "indices[0]"},
		{name: "split", op: "SplitV", attrs: attrs{"num_split": graphdef.IntAttr(3)}, inputs: list(x, vec[int64](big, big, 4), tensor.Scalar[int32](0)), fails: "size_splits"},
		{name: "rank", op: "Fill", inputs: list(tensor.FromSlice(tensor.Shape{300}, make([]int32, 300)), tensor.Scalar[int32](0)), fails: "dimensions"},
	} {
		c.run(t)
	}
}
