package runtime

import (
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func TestSquareMatrices(t *testing.T) {
	f32, yes := typed(tensor.Float32), graphdef.BoolAttr(true)
	a := matrix[float32](2, 2, 0, 2, 4, 0)
	checkNodes(t, []nodeCase{
		{name: "pivot", op: "MatrixInverse", attrs: f32, inputs: []*tensor.Tensor{a}, want: "float [2, 2] 0 0.25 0.5 0"},
		{name: "adjoint", op: "MatrixInverse", attrs: withAttrs(tensor.Float32, map[string]graphdef.Attr{"adjoint": yes}), inputs: []*tensor.Tensor{a}, want: "float [2, 2] 0 0.5 0.25 0"},
		{name: "singular", op: "MatrixInverse", attrs: f32, inputs: []*tensor.Tensor{matrix[float32](2, 2, 1, 2, 2, 4)}, wantErr: "not invertible"},
		{name: "shape", op: "MatrixInverse", attrs: f32, inputs: []*tensor.Tensor{matrix[float32](1, 2, 1, 2)}, wantErr: "square"},
		{name: "lower half", op: "Cholesky", attrs: f32, inputs: []*tensor.Tensor{matrix[float32](2, 2, 4, 9, 2, 5)}, want: "float [2, 2] 2 0 1 2"},
		{name: "indefinite", op: "Cholesky", attrs: f32, inputs: []*tensor.Tensor{matrix[float32](2, 2, 1, 2, 2, 1)}, want: "float [2, 2] nan nan nan nan"},
		{name: "transposed", op: "SparseMatMul", attrs: map[string]graphdef.Attr{"transpose_b": yes}, inputs: []*tensor.Tensor{a, matrix[float32](1, 2, 3, 5)}, want: "float [2, 1] 10 12"},
		{name: "transposed is not conjugated", op: "MatMul", attrs: withAttrs(tensor.Complex64, map[string]graphdef.Attr{"transpose_a": yes}),
			inputs: []*tensor.Tensor{matrix[complex64](1, 1, 1i), matrix[complex64](1, 1, 1)}, want: "complex64 [1, 1] (0+1j)"},
		{name: "adjoint is conjugated", op: "BatchMatMulV2", attrs: withAttrs(tensor.Complex64, map[string]graphdef.Attr{"adj_x": yes}),
			inputs: []*tensor.Tensor{matrix[complex64](1, 1, 1i), matrix[complex64](1, 1, 1)}, want: "complex64 [1, 1] (0-1j)"},
		{name: "channels first", op: "BiasAddGrad", attrs: withAttrs(tensor.Float32, map[string]graphdef.Attr{"data_format": graphdef.StringAttr("NCHW")}),
			inputs: []*tensor.Tensor{tensor.FromSlice(tensor.Shape{1, 2, 2}, []float32{1, 2, 3, 4})}, want: "float [2] 3 7"},
	})
}

func TestBatchNormStatistics(t *testing.T) {
	attrs := withAttrs(tensor.Float32, map[string]graphdef.Attr{"is_training": graphdef.BoolAttr(true), "epsilon": graphdef.FloatAttr(0),
		"exponential_avg_factor": graphdef.FloatAttr(0.5), "U": graphdef.TypeAttr(tensor.Float32), "data_format": graphdef.StringAttr("NCHW")})
	v := vector[float32]
	out, err := runNode(t, "FusedBatchNormV3", attrs, tensor.FromSlice(tensor.Shape{1, 2, 1, 2}, []float32{1, 3, 5, 9}), v(1, 2), v(0, 1), v(4, 1), v(2, 0))
	if err != nil {
		t.Fatal(err)
	}
	// Means 2 and 7, variances 1 and 4, by n-1: 2 and 8.
	for i, want := range []string{"float [1, 2, 1, 2] -1 1 -1 3", "float [2] 3 4", "float [2] 2 4", "float [2] 2 7", "float [2] 1 4"} {
		if got := flatText(out[i]); got != want {
			t.Errorf("output %d is %s, want %s", i, got, want)
		}
	}
	empty, err := runNode(t, "FusedBatchNorm", typed(tensor.Float32), tensor.New(tensor.Float32, tensor.Shape{0, 1, 1, 1}), v(1), v(0), v(), v())
	if err != nil {
		t.Fatal(err)
	}
	if mean := tensor.Data[float32](empty[1])[0]; !math.IsNaN(float64(mean)) {
		t.Errorf("mean of an empty batch is %v, want NaN", mean)
	}
}
