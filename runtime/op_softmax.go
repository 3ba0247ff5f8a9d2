package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// softmaxOps work on the rows of the last dimension.
var softmaxOps = map[string]evaluator{
	"Softmax":    rowsOp((*kernels.Set).Softmax, softmaxRow),
	"LogSoftmax": rowsOp((*kernels.Set).LogSoftmax, logSoftmaxRow),
}

// rowsOp makes an evaluator that maps each row to a row: float32 by the kernels, other floats through float64.
func rowsOp(float func(s *kernels.Set, dst, x []float32, rows, cols int), row func(x []float64)) evaluator {
	return func(*graphdef.Node, *kernels.Set) (evalFunc, error) {
		return func(c *call) error {
			x := c.in(0)
			if x.Rank() == 0 {
				return fmt.Errorf("input is a scalar, want rank 1 or more")
			}
			if !x.DType().IsFloat() {
				return fmt.Errorf("input is %v, want a floating-point type", x.DType())
			}
			t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
			if err != nil || x.Len() == 0 {
				return err
			}
			cols := x.Shape()[x.Rank()-1]
			if x.DType() == tensor.Float32 {
				float(c.kernels(), tensor.Data[float32](t), tensor.Data[float32](x), x.Len()/cols, cols)
				return nil
			}
			in, out := floatsOf(x), make([]float64, cols)
			for r := range x.Len() / cols {
				for j := range out {
					out[j] = in.at(r*cols + j)
				}
				row(out)
				for j, v := range out {
					setFloat(t, r*cols+j, v)
				}
			}
			return nil
		}, nil
	}
}

// softmaxRow replaces x by its softmax; a row without a finite maximum becomes NaN, as in TensorFlow.
func softmaxRow(x []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = math.Max(top, v)
	}
	for j, v := range x {
		x[j] = math.Exp(v - top)
		sum += x[j]
	}
	for j := range x {
		x[j] /= sum
	}
}

// logSoftmaxRow replaces x by the logarithm of its softmax.
func logSoftmaxRow(x []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = math.Max(top, v)
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	log := math.Log(sum)
	for j, v := range x {
		x[j] = v - top - log
	}
}
