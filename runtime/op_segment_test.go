package runtime

import (
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func withAttrs(d tensor.DType, more map[string]graphdef.Attr) map[string]graphdef.Attr {
	a := typed(d)
	for k, v := range more {
		a[k] = v
	}
	return a
}

func TestSegments(t *testing.T) {
	f32, i32 := typed(tensor.Float32), typed(tensor.Int32)
	x := matrix[float32](3, 2, 1, 2, 3, 4, 5, 6)
	three := tensor.Scalar[int32](3)
	checkNodes(t, []nodeCase{
		{name: "gap", op: "SegmentMax", attrs: f32, inputs: []*tensor.Tensor{x, ints32(1, 1, 3)}, want: "float [4, 2] 0 0 3 4 0 0 5 6"},
		{name: "gap", op: "SegmentProd", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 0, 2)}, want: "float [3, 2] 3 8 1 1 5 6"},
		{name: "ints", op: "SegmentMean", attrs: i32, inputs: []*tensor.Tensor{ints32(1, 2, -3), ints32(0, 0, 1)}, want: "int32 [2] 1 -3"},
		{name: "empty", op: "SegmentSum", attrs: f32, inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{0, 2}), ints32()}, want: "float [0, 2]"},
		{name: "negative", op: "SegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(-1, 0, 0)}, wantErr: "element 0 is -1"},
		{name: "decreasing", op: "SegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 2, 1)}, wantErr: "element 2 is 1 after 2"},
		{name: "count", op: "SegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 2)}, wantErr: "one for each row"},
		{name: "no order", op: "SegmentMax", attrs: typed(tensor.Complex64), inputs: []*tensor.Tensor{vector[complex64](1), ints32(0)}, wantErr: "complex64"},

		{name: "empty segment", op: "UnsortedSegmentMin", attrs: i32, inputs: []*tensor.Tensor{ints32(4, 2), ints32(1, 1), three}, want: "int32 [3] 2147483647 2 2147483647"},
		{name: "dropped", op: "UnsortedSegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(-1, 2, 2), three}, want: "float [3, 2] 0 0 0 0 8 10"},
		{name: "range", op: "UnsortedSegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 3, 1), three}, wantErr: "element 1 of segment_ids is 3"},
		{name: "negative size", op: "UnsortedSegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 1, 1), tensor.Scalar[int32](-1)}, wantErr: "num_segments is -1"},
		{name: "ids of every element", op: "UnsortedSegmentProd", attrs: f32, inputs: []*tensor.Tensor{x, matrix[int32](3, 2, 0, 1, 1, 0, 2, -5), three}, want: "float [3] 4 6 5"},
		{name: "ids do not fit", op: "UnsortedSegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 1), three}, wantErr: "first dimensions"},

		{name: "gap", op: "SparseSegmentMean", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 2, 1), ints32(0, 0, 2)}, want: "float [3, 2] 3 4 0 0 3 4"},
		{name: "root", op: "SparseSegmentSqrtN", attrs: f32, inputs: []*tensor.Tensor{x, ints32(0, 0, 0, 0), ints32(0, 0, 0, 0)}, want: "float [1, 2] 2 4"},
		{name: "padded", op: "SparseSegmentSumWithNumSegments", attrs: f32, inputs: []*tensor.Tensor{x, ints32(1), ints32(0), three}, want: "float [3, 2] 3 4 0 0 0 0"},
		{name: "too few", op: "SparseSegmentSumWithNumSegments", attrs: f32, inputs: []*tensor.Tensor{x, ints32(1), ints32(3), three}, wantErr: "at least 4"},
		{name: "range", op: "SparseSegmentSum", attrs: f32, inputs: []*tensor.Tensor{x, ints32(3), ints32(0)}, wantErr: "indices[0] is 3"},
	})
}

func TestArg(t *testing.T) {
	f32 := typed(tensor.Float32)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	rows := matrix(4, 3, 1, nan, 2, nan, nan, nan, 3, 3, 1, -inf, -math.MaxFloat32, -inf)
	axis := tensor.Scalar[int32](-1)
	checkNodes(t, []nodeCase{
		{name: "NaN and ties", op: "ArgMax", attrs: f32, inputs: []*tensor.Tensor{rows, axis}, want: "int64 [4] 2 0 0 0"},
		{name: "first axis", op: "ArgMin", attrs: f32, inputs: []*tensor.Tensor{rows, tensor.Scalar[int32](0)}, want: "int64 [3] 3 3 3"},
		{name: "bool", op: "ArgMax", attrs: typed(tensor.Bool), inputs: []*tensor.Tensor{vector(false, true, true), axis}, want: "int64 [] 1"},
		{name: "unsigned", op: "ArgMin", attrs: typed(tensor.Uint64), inputs: []*tensor.Tensor{vector[uint64](1<<63, 5), axis}, want: "int64 [] 1"},
		{name: "no rows", op: "ArgMax", attrs: f32, inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{0, 2}), axis}, want: "int64 [0]"},
		{name: "empty", op: "ArgMax", attrs: f32, inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{2, 0}), axis}, wantErr: "empty"},
		{name: "axis", op: "ArgMin", attrs: f32, inputs: []*tensor.Tensor{rows, tensor.Scalar[int32](2)}, wantErr: "want one in [-2, 2)"},

		{name: "odd targets", op: "InTopKV2", attrs: typed(tensor.Int32), inputs: []*tensor.Tensor{rows, ints32(0, 0, 5, -1), tensor.Scalar[int32](2)}, want: "bool [4] false false false false"},
		{name: "ties", op: "InTopK", attrs: withAttrs(tensor.Int32, map[string]graphdef.Attr{"k": graphdef.IntAttr(1)}),
			inputs: []*tensor.Tensor{matrix[float32](2, 3, 1, 2, 2, 0, 0, 1), ints32(2, 0)}, want: "bool [2] true false"},
		{name: "shapes", op: "InTopKV2", attrs: typed(tensor.Int32), inputs: []*tensor.Tensor{rows, ints32(1), tensor.Scalar[int32](2)}, wantErr: "one target for each row"},
	})
}

func TestCumulative(t *testing.T) {
	axis := tensor.Scalar[int32](-1)
	both := map[string]graphdef.Attr{"exclusive": graphdef.BoolAttr(true), "reverse": graphdef.BoolAttr(true)}
	half := tensor.FromTyped(tensor.Float16, tensor.Shape{3}, []uint16{floatToHalf(2048), floatToHalf(1), floatToHalf(1)})
	checkNodes(t, []nodeCase{
		{name: "exclusive reverse", op: "Cumsum", attrs: withAttrs(tensor.Int32, both), inputs: []*tensor.Tensor{ints32(1, 2, 3), axis}, want: "int32 [3] 5 3 0"},
		{name: "wraps", op: "Cumprod", attrs: typed(tensor.Int8), inputs: []*tensor.Tensor{vector[int8](16, 8, -1), axis}, want: "int8 [3] 16 -128 -128"},
		{name: "rounds at each", op: "Cumsum", attrs: typed(tensor.Float16), inputs: []*tensor.Tensor{half, axis}, want: "half [3] 2048 2048 2048"},
		{name: "complex", op: "Cumprod", attrs: typed(tensor.Complex64), inputs: []*tensor.Tensor{vector[complex64](1i, 1i), axis}, want: "complex64 [2] (0+1j) (-1+0j)"},
		{name: "starts", op: "CumulativeLogsumexp", attrs: withAttrs(tensor.Float32, both), inputs: []*tensor.Tensor{vector[float32](1, 2), axis}, want: "float [2] 2 -inf"},
		{name: "scalar", op: "Cumsum", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{tensor.Scalar[float32](1), tensor.Scalar[int32](0)}, wantErr: "axis is 0"},
		{name: "axis", op: "Cumsum", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{vector[float32](1), ints32(0, 0)}, wantErr: "scalar"},
	})
}

func TestCounts(t *testing.T) {
	i32, f32 := typed(tensor.Int32), typed(tensor.Float32)
	none, size := tensor.New(tensor.Int32, tensor.Shape{0}), tensor.Scalar[int32](3)
	limits := vector[float32](0, 4)
	checkNodes(t, []nodeCase{
		{name: "rank 2", op: "Bincount", attrs: i32, inputs: []*tensor.Tensor{matrix[int32](2, 2, 0, 2, 2, 7), size, none}, want: "int32 [3] 1 0 2"},
		{name: "negative", op: "Bincount", attrs: i32, inputs: []*tensor.Tensor{ints32(-1), size, none}, wantErr: "want 0 or more"},
		{name: "size", op: "Bincount", attrs: i32, inputs: []*tensor.Tensor{ints32(1), tensor.Scalar[int32](-1), none}, wantErr: "size is -1"},
		{name: "weights", op: "Bincount", attrs: i32, inputs: []*tensor.Tensor{ints32(1), size, ints32(1, 2)}, wantErr: "weights"},
		{name: "rows", op: "DenseBincount", attrs: i32, inputs: []*tensor.Tensor{matrix[int32](2, 2, 0, 2, 2, 2), size, none}, want: "int32 [2, 3] 1 0 1 0 0 2"},
		{name: "empty rows", op: "DenseBincount", attrs: i32, inputs: []*tensor.Tensor{tensor.New(tensor.Int32, tensor.Shape{2, 0}), size, none}, want: "int32 [2, 3] 0 0 0 0 0 0"},
		{name: "rank", op: "DenseBincount", attrs: i32, inputs: []*tensor.Tensor{tensor.New(tensor.Int32, tensor.Shape{1, 1, 1}), size, none}, wantErr: "rank 2 or less"},
		{name: "edges", op: "HistogramFixedWidth", attrs: f32, inputs: []*tensor.Tensor{vector[float32](-1, 0, 1.9, 2, 4, 9), limits, tensor.Scalar[int32](2)}, want: "int32 [2] 3 3"},
		{name: "descending", op: "HistogramFixedWidth", attrs: f32, inputs: []*tensor.Tensor{limits, vector[float32](4, 4), size}, wantErr: "ascending"},
		{name: "bins", op: "HistogramFixedWidth", attrs: f32, inputs: []*tensor.Tensor{limits, limits, tensor.Scalar[int32](0)}, wantErr: "nbins is 0"},
	})
}
