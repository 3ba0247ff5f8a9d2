package runtime

import (
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func ints(shape tensor.Shape) *tensor.Tensor {
	t := tensor.New(tensor.Int32, shape)
	for i := range tensor.Data[int32](t) {
		tensor.Data[int32](t)[i] = int32(i)
	}
	return t
}

func TestReverseAndRoll(t *testing.T) {
	x := ints(tensor.Shape{2, 3})
	seq := attrs{"seq_dim": graphdef.IntAttr(1), "batch_dim": graphdef.IntAttr(0)}
	for _, c := range []evalCase{
		{name: "both", op: "ReverseV2", inputs: list(x, vec[int32](-1, 0)), want: []string{"int32[2, 3] [5 4 3 2 1 0]"}},
		{name: "no axis", op: "ReverseV2", inputs: list(x, vec[int64]()), want: []string{"int32[2, 3] [0 1 2 3 4 5]"}},
		{name: "scalar", op: "ReverseV2", inputs: list(tensor.Scalar[int32](7), vec[int32]()), want: []string{"int32[] [7]"}},
		{name: "empty", op: "ReverseV2", inputs: list(ints(tensor.Shape{0, 3}), vec[int32](0, 1)), want: []string{"int32[0, 3] []"}},
		{name: "strings", op: "ReverseV2", inputs: list(words("a", "b"), vec[int32](0)), want: []string{"string[2] [b a]"}},
		{name: "twice", op: "ReverseV2", inputs: list(x, vec[int32](1, -1)), fails: "twice"},
		{name: "beyond", op: "ReverseV2", inputs: list(x, vec[int32](2)), fails: "axis is 2"},
		{name: "marked", op: "Reverse", inputs: list(x, vec(false, true)), want: []string{"int32[2, 3] [2 1 0 5 4 3]"}},
		{name: "few marks", op: "Reverse", inputs: list(x, vec(true)), fails: "want 2 bools"},

		{name: "lengths", op: "ReverseSequence", attrs: seq, inputs: list(x, vec[int64](2, 0)), want: []string{"int32[2, 3] [1 0 2 3 4 5]"}},
		{name: "long", op: "ReverseSequence", attrs: seq, inputs: list(x, vec[int64](4, 0)), fails: "seq_lengths[0] is 4"},
		{name: "negative", op: "ReverseSequence", attrs: seq, inputs: list(x, vec[int64](-1, 0)), fails: "seq_lengths[0] is -1"},
		{name: "few", op: "ReverseSequence", attrs: seq, inputs: list(x, vec[int64](1)), fails: "want [2]"},
		{name: "one dimension", op: "ReverseSequence", attrs: attrs{"seq_dim": graphdef.IntAttr(0)}, inputs: list(x, vec[int64](1, 1)), fails: "two different"},
		{name: "beyond", op: "ReverseSequence", attrs: attrs{"seq_dim": graphdef.IntAttr(2)}, inputs: list(x, vec[int64](1, 1)), fails: "less than the rank"},

		{name: "columns", op: "Roll", inputs: list(x, tensor.Scalar[int32](1), tensor.Scalar[int32](-1)), want: []string{"int32[2, 3] [2 0 1 5 3 4]"}},
		{name: "rows and columns", op: "Roll", inputs: list(x, vec[int32](1, -1), vec[int32](0, 1)), want: []string{"int32[2, 3] [4 5 3 1 2 0]"}},
		{name: "shifts of one axis add", op: "Roll", inputs: list(x, vec[int64](2, 2), vec[int32](1, 1)), want: []string{"int32[2, 3] [2 0 1 5 3 4]"}},
		{name: "far", op: "Roll", inputs: list(x, vec[int64](math.MinInt64), vec[int32](0)), want: []string{"int32[2, 3] [0 1 2 3 4 5]"}},
		{name: "empty", op: "Roll", inputs: list(ints(tensor.Shape{0, 2}), vec[int32](1, 1), vec[int32](0, 1)), want: []string{"int32[0, 2] []"}},
		{name: "scalar", op: "Roll", inputs: list(tensor.Scalar[int32](1), vec[int32](), vec[int32]()), fails: "scalar"},
		{name: "sizes differ", op: "Roll", inputs: list(x, vec[int32](1, 1), vec[int32](0)), fails: "want them alike"},
		{name: "beyond", op: "Roll", inputs: list(x, vec[int32](1), vec[int32](2)), fails: "axis is 2"},
	} {
		c.run(t)
	}
}

func TestOneHotAndLinSpace(t *testing.T) {
	on, off := tensor.Scalar[int32](7), tensor.Scalar[int32](1)
	depth := tensor.Scalar[int32](3)
	front := attrs{"axis": graphdef.IntAttr(0)}
	for _, c := range []evalCase{
		{name: "outside is off", op: "OneHot", inputs: list(vec[int64](-1, 3, 1), depth, on, off), want: []string{"int32[3, 3] [1 1 1 1 1 1 1 7 1]"}},
		{name: "front", op: "OneHot", attrs: front, inputs: list(vec[int32](2, 0), depth, on, off), want: []string{"int32[3, 2] [1 7 1 1 7 1]"}},
		{name: "uint8", op: "OneHot", inputs: list(vec[uint8](2, 255), depth, on, off), want: []string{"int32[2, 3] [1 1 7 1 1 1]"}},
		{name: "strings", op: "OneHot", inputs: list(vec[int32](0), tensor.Scalar[int32](2), tensor.FromStrings(tensor.Shape{}, []string{"y"}), tensor.FromStrings(tensor.Shape{}, []string{"n"})), want: []string{"string[1, 2] [y n]"}},
		{name: "no indices", op: "OneHot", inputs: list(vec[int32](), depth, on, off), want: []string{"int32[0, 3] []"}},
		{name: "negative depth", op: "OneHot", inputs: list(vec[int32](0), tensor.Scalar[int32](-1), on, off), fails: "depth is -1"},
		{name: "depth of rank 1", op: "OneHot", inputs: list(vec[int32](0), vec[int32](3), on, off), fails: "scalar"},
		{name: "on of rank 1", op: "OneHot", inputs: list(vec[int32](0), depth, vec[int32](1), off), fails: "scalars"},
		{name: "axis beyond", op: "OneHot", attrs: attrs{"axis": graphdef.IntAttr(2)}, inputs: list(vec[int32](0), depth, on, off), fails: "axis is 2"},
		{name: "memory", op: "OneHot", inputs: list(vec[int32](0, 1), tensor.Scalar[int32](math.MaxInt32), on, off), fails: "limit"},

		{name: "ends are exact", op: "LinSpace", inputs: list(tensor.Scalar[float32](0), tensor.Scalar[float32](1), tensor.Scalar[int32](4)),
			want: []string{"float[4] [0 0.33333334 0.6666667 1]"}},
		{name: "one", op: "LinSpace", inputs: list(tensor.Scalar[float32](5), tensor.Scalar[float32](9), tensor.Scalar[int64](1)), want: []string{"float[1] [5]"}},
		{name: "none", op: "LinSpace", inputs: list(tensor.Scalar[float32](5), tensor.Scalar[float32](9), tensor.Scalar[int64](0)), fails: "num is 0"},
		{name: "vector", op: "LinSpace", inputs: list(vec[float32](5), tensor.Scalar[float32](9), tensor.Scalar[int64](2)), fails: "scalars"},
	} {
		c.run(t)
	}
}

func TestBlocks(t *testing.T) {
	two := attrs{"block_size": graphdef.IntAttr(2)}
	nchw := attrs{"block_size": graphdef.IntAttr(2), "data_format": graphdef.StringAttr("NCHW")}
	for _, c := range []evalCase{
		{name: "to depth", op: "SpaceToDepth", attrs: two, inputs: list(ints(tensor.Shape{1, 2, 4, 1})), want: []string{"int32[1, 1, 2, 4] [0 1 4 5 2 3 6 7]"}},
		{name: "to plane", op: "DepthToSpace", attrs: two, inputs: list(ints(tensor.Shape{1, 1, 2, 4})), want: []string{"int32[1, 2, 4, 1] [0 1 4 5 2 3 6 7]"}},
		{name: "to depth, channels first", op: "SpaceToDepth", attrs: nchw, inputs: list(ints(tensor.Shape{1, 1, 2, 4})),
			want: []string{"int32[1, 4, 1, 2] [0 2 1 3 4 6 5 7]"}},
		{name: "to plane, channels first", op: "DepthToSpace", attrs: nchw, inputs: list(ints(tensor.Shape{1, 4, 1, 2})),
			want: []string{"int32[1, 1, 2, 4] [0 2 1 3 4 6 5 7]"}},
		{name: "odd plane", op: "SpaceToDepth", attrs: two, inputs: list(ints(tensor.Shape{1, 3, 4, 1})), fails: "multiples of block_size 2"},
		{name: "odd depth", op: "DepthToSpace", attrs: two, inputs: list(ints(tensor.Shape{1, 1, 1, 6})), fails: "depth 6"},
		{name: "block of one", op: "DepthToSpace", attrs: attrs{"block_size": graphdef.IntAttr(1)}, inputs: list(ints(tensor.Shape{1, 1, 1, 6})), fails: "block_size is 1"},
		{name: "rank 3", op: "DepthToSpace", attrs: two, inputs: list(ints(tensor.Shape{1, 1, 4})), fails: "rank 4"},

		{name: "to batch with padding", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{1, 3}), vec[int32](2), mat[int32](1, 2, 1, 2)),
			want: []string{"int32[2, 3] [0 1 0 0 2 0]"}},
		{name: "from batch with crops", op: "BatchToSpaceND", inputs: list(ints(tensor.Shape{2, 3}), vec[int32](2), mat[int32](1, 2, 1, 2)),
			want: []string{"int32[1, 3] [3 1 4]"}},
		{name: "padding beyond a block", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{1, 1}), vec[int32](2), mat[int32](1, 2, 4, 1)),
			want: []string{"int32[2, 3] [0 0 0 0 0 0]"}},
		{name: "no blocks", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{2}), vec[int32](), mat[int32](0, 2)), want: []string{"int32[2] [0 1]"}},
		{name: "four dimensions", op: "BatchToSpace", attrs: two, inputs: list(ints(tensor.Shape{4, 1, 1, 1}), mat[int32](2, 2, 0, 0, 0, 0)), want: []string{"int32[1, 2, 2, 1] [0 1 2 3]"}},
		{name: "and back", op: "SpaceToBatch", attrs: two, inputs: list(ints(tensor.Shape{1, 2, 2, 1}), mat[int32](2, 2, 0, 0, 0, 0)), want: []string{"int32[4, 1, 1, 1] [0 1 2 3]"}},
		{name: "not a multiple", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{1, 3}), vec[int32](2), mat[int32](1, 2, 0, 0)), fails: "multiple of block 2"},
		{name: "negative padding", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{1, 3}), vec[int32](2), mat[int32](1, 2, -1, 0)), fails: "paddings[0]"},
		{name: "block of none", op: "BatchToSpaceND", inputs: list(ints(tensor.Shape{2, 3}), vec[int32](0), mat[int32](1, 2, 0, 0)), fails: "block_shape[0] is 0"},
		{name: "crops beyond", op: "BatchToSpaceND", inputs: list(ints(tensor.Shape{2, 1}), vec[int32](2), mat[int32](1, 2, 2, 1)), fails: "crops[0]"},
		{name: "batch too small", op: "BatchToSpaceND", inputs: list(ints(tensor.Shape{3, 1}), vec[int32](2), mat[int32](1, 2, 0, 0)), fails: "multiple of the block's 2"},
		{name: "huge blocks", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{1, 1, 1}), vec[int64](1<<40, 1<<40), mat[int32](2, 2, 0, 0, 0, 0)), fails: "too many"},
		{name: "rank too low", op: "SpaceToBatchND", inputs: list(ints(tensor.Shape{3}), vec[int32](2), mat[int32](1, 2, 0, 0)), fails: "rank 2 or more"},
	} {
		c.run(t)
	}
}

func TestStridedUpdateAndChecks(t *testing.T) {
	x := vec[int32](0, 1, 2, 3, 4)
	for _, c := range []evalCase{
		{name: "backwards", op: "TensorStridedSliceUpdate", inputs: list(x, vec[int32](4), vec[int32](0), vec[int32](-2), vec[int32](8, 9)),
			want: []string{"int32[5] [0 1 9 3 8]"}},
		{name: "one element", op: "TensorStridedSliceUpdate", attrs: attrs{"shrink_axis_mask": graphdef.IntAttr(1)},
			inputs: list(x, vec[int32](-1), vec[int32](0), vec[int32](1), tensor.Scalar[int32](9)), want: []string{"int32[5] [0 1 2 3 9]"}},
		{name: "nothing", op: "TensorStridedSliceUpdate", inputs: list(x, vec[int32](2), vec[int32](2), vec[int32](1), vec[int32](8, 9)),
			want: []string{"int32[5] [0 1 2 3 4]"}},
		{name: "wrong shape", op: "TensorStridedSliceUpdate", inputs: list(x, vec[int32](0), vec[int32](2), vec[int32](1), vec[int32](8)), fails: "value has shape [1]"},
		{name: "finite", op: "CheckNumerics", attrs: attrs{"message": graphdef.StringAttr("loss")}, inputs: list(vec[float32](1, math.MaxFloat32)), want: []string{"float[2] [1 3.4028235e+38]"}},
		{name: "NaN", op: "CheckNumericsV2", attrs: attrs{"message": graphdef.StringAttr("loss")}, inputs: list(vec(1, float32(math.NaN()))), fails: "loss"},
		{name: "infinity of half", op: "CheckNumerics", attrs: attrs{"message": graphdef.StringAttr("loss")}, inputs: list(halves(tensor.Bfloat16, math.Inf(-1))), fails: "element 0"},
		{name: "empty", op: "Empty", attrs: attrs{"dtype": graphdef.TypeAttr(tensor.Float32)}, inputs: list(vec[int32](2)), want: []string{"float[2] [0 0]"}},
		{name: "negative empty", op: "Empty", attrs: attrs{"dtype": graphdef.TypeAttr(tensor.Float32)}, inputs: list(vec[int32](-2)), fails: "negative"},
	} {
		c.run(t)
	}
}
