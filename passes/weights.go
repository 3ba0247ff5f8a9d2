package passes

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/tensor"
)

// quantizedWeights is a matrix in INT8, symmetric, with one scale per output channel.
type quantizedWeights struct {
	codes *tensor.Tensor // qint8, the shape of the float matrix
	// limit is, per channel, the magnitude that code 127 stands for: TensorFlow's min and max of the weights are ∓limit, and
	// the scale is limit/127.
	limit []float32
}

// maxDepth is the largest number of terms whose sum of u8 × s8 products is sure to fit 32 bits.
const maxDepth = math.MaxInt32 / (255 * 128)

// quantizeWeights rounds w, [k, n] (or [n, k] where transposed), to codes of at most maxCode: 127, or 64 for engines that add
// pairs in 16 bits. A channel of zeros gets codes 0 and limit 1.
func quantizeWeights(w *tensor.Tensor, transposed bool, maxCode int) (*quantizedWeights, error) {
	rows, cols := w.Shape()[0], w.Shape()[1]
	data := tensor.Data[float32](w)
	channels := cols
	if transposed {
		channels = rows
	}
	peak := make([]float32, channels)
	channel := func(i, j int) int {
		if transposed {
			return i
		}
		return j
	}
	for i := range rows {
		for j := range cols {
			v := float32(math.Abs(float64(data[i*cols+j])))
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return nil, fmt.Errorf("weight [%d, %d] is %v", i, j, data[i*cols+j])
			}
			c := channel(i, j)
			peak[c] = max(peak[c], v)
		}
	}
	q := &quantizedWeights{codes: tensor.New(tensor.Qint8, w.Shape().Clone()), limit: make([]float32, channels)}
	scale := make([]float64, channels)
	for c, m := range peak {
		q.limit[c] = 1
		// A peak so small that its scale is no normal number cannot be told from zero.
		if m >= 0x1p-100 {
			q.limit[c] = float32(float64(m) * 127 / float64(maxCode))
			scale[c] = 127 / float64(q.limit[c])
		}
	}
	codes := tensor.Data[int8](q.codes)
	for i := range rows {
		for j := range cols {
			v := math.RoundToEven(float64(data[i*cols+j]) * scale[channel(i, j)])
			codes[i*cols+j] = int8(max(-float64(maxCode), min(float64(maxCode), v)))
		}
	}
	return q, nil
}

// negated returns -v.
func negated(v []float32) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = -x
	}
	return out
}

// vector returns v as a rank 1 tensor.
func vector(v []float32) *tensor.Tensor { return tensor.FromSlice(tensor.Shape{len(v)}, v) }
