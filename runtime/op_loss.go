package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// lossOps are cross entropies with their gradients.
var lossOps = map[string]evaluator{
	"SoftmaxCrossEntropyWithLogits":       crossEntropyOp,
	"SparseSoftmaxCrossEntropyWithLogits": sparseCrossEntropyOp,
}

// crossEntropyOp gives for each row of logits the cross entropy of its softmax with a row of probabilities, and the loss's
// gradient. Logits and labels broadcast.
func crossEntropyOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, y := c.in(0), c.in(1)
		s, err := tensor.Broadcast(x.Shape(), y.Shape())
		if err != nil {
			return fmt.Errorf("logits and labels: %w", err)
		}
		if len(s) != 2 {
			return fmt.Errorf("have logits %v and labels %v, want matrices", x.Shape().Clone(), y.Shape().Clone())
		}
		loss, grad, err := allocLoss(c, d, s)
		if err != nil || grad.Len() == 0 {
			return err
		}
		in, labels := floatsOf(x), floatsOf(y)
		atX, atY := matrixReader(x.Shape()), matrixReader(y.Shape())
		row := make([]float64, s[1])
		for i := range s[0] {
			for j := range row {
				row[j] = in.at(atX(i, j))
			}
			logSoftmaxRow(row)
			sum := 0.0
			for j, v := range row {
				label := labels.at(atY(i, j))
				sum -= label * v
				setFloat(grad, i*s[1]+j, math.Exp(v)-label)
			}
			setFloat(loss, i, sum)
		}
		return nil
	}, nil
}

// allocLoss makes outputs 0 and 1 the losses of a matrix of logits and their gradient.
func allocLoss(c *call, d tensor.DType, s tensor.Shape) (loss, grad *tensor.Tensor, err error) {
	if loss, err = c.alloc(0, d, s[:1]); err != nil {
		return nil, nil, err
	}
	clear(loss.Bytes())
	grad, err = c.alloc(1, d, s)
	return loss, grad, err
}

// matrixReader returns the place of element [i, j] of what a tensor of shape s broadcasts to.
func matrixReader(s tensor.Shape) func(i, j int) int {
	var stride [2]int
	size := 1
	for d := 1; d >= 0; d-- {
		if at := len(s) - 2 + d; at >= 0 && s[at] != 1 {
			stride[d] = size
			size *= s[at]
		}
	}
	return func(i, j int) int { return i*stride[0] + j*stride[1] }
}

// sparseCrossEntropyOp is crossEntropyOp with a label for each row.
func sparseCrossEntropyOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, labels := c.in(0), c.in(1)
		s := x.Shape()
		if len(s) != 2 || labels.Rank() != 1 || labels.Len() != s[0] {
			return fmt.Errorf("have logits %v and labels %v, want a matrix and a label for each row", s.Clone(), labels.Shape().Clone())
		}
		if t := labels.DType(); t != tensor.Int32 && t != tensor.Int64 {
			return fmt.Errorf("labels are %v, want int32 or int64", t)
		}
		if s[1] == 0 {
			return fmt.Errorf("logits have shape %v, want one class or more", s.Clone())
		}
		loss, grad, err := allocLoss(c, d, s)
		if err != nil {
			return err
		}
		in, label := floatsOf(x), intsOf(labels)
		row := make([]float64, s[1])
		for i := range s[0] {
			at := label(i)
			if at < 0 || at >= int64(s[1]) {
				return fmt.Errorf("label %d is %d, want one in [0, %d)", i, at, s[1])
			}
			for j := range row {
				row[j] = in.at(i*s[1] + j)
			}
			logSoftmaxRow(row)
			setFloat(loss, i, -row[at])
			for j, v := range row {
				g := math.Exp(v)
				if j == int(at) {
					g--
				}
				setFloat(grad, i*s[1]+j, g)
			}
		}
		return nil
	}, nil
}
