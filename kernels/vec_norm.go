package kernels

import "math"

// LayerNorm normalizes each row of x, [rows, cols] row-major, to mean 0 and variance 1 and writes
// (x-mean) * 1/sqrt(var+eps) * gamma + beta to dst, which may be x. gamma and beta have cols values. The
// variance is the mean of squared deviations, in a second pass; the last product and sum are fused.
func (s *Set) LayerNorm(dst, x []float32, rows, cols int, gamma, beta []float32, eps float32) {
	checkMatrix("LayerNorm", "x", len(x), rows, cols, cols)
	checkMatrix("LayerNorm", "dst", len(dst), rows, cols, cols)
	checkLen("LayerNorm", "gamma", len(gamma), cols)
	checkLen("LayerNorm", "beta", len(beta), cols)
	s.normalize(norm{rows: rows, cols: cols, dst: dst, sum: x, x: x, gamma: gamma, beta: beta, eps: eps})
}

// LayerNormAdd is LayerNorm of x+add, a residual connection. The sums go to sum, which may be x, add or,
// where they are not needed, dst.
func (s *Set) LayerNormAdd(dst, sum, x, add []float32, rows, cols int, gamma, beta []float32, eps float32) {
	checkMatrix("LayerNormAdd", "x", len(x), rows, cols, cols)
	checkMatrix("LayerNormAdd", "add", len(add), rows, cols, cols)
	checkMatrix("LayerNormAdd", "sum", len(sum), rows, cols, cols)
	checkMatrix("LayerNormAdd", "dst", len(dst), rows, cols, cols)
	checkLen("LayerNormAdd", "gamma", len(gamma), cols)
	checkLen("LayerNormAdd", "beta", len(beta), cols)
	s.normalize(norm{rows: rows, cols: cols, dst: dst, sum: sum, x: x, add: add, gamma: gamma, beta: beta, eps: eps})
}

// RMSNorm writes x * 1/sqrt(mean(x^2)+eps) * gamma for each row of x, [rows, cols] row-major, to dst, which
// may be x. gamma has cols values.
func (s *Set) RMSNorm(dst, x []float32, rows, cols int, gamma []float32, eps float32) {
	checkMatrix("RMSNorm", "x", len(x), rows, cols, cols)
	checkMatrix("RMSNorm", "dst", len(dst), rows, cols, cols)
	checkLen("RMSNorm", "gamma", len(gamma), cols)
	s.normalize(norm{rows: rows, cols: cols, dst: dst, sum: x, x: x, gamma: gamma, eps: eps})
}

// norm is the operands of one normalization. Without beta it is RMSNorm; without add, sum is x.
type norm struct {
	rows, cols       int
	dst, sum, x, add []float32
	gamma, beta      []float32
	eps              float32
}

func (s *Set) normalize(n norm) {
	if n.rows == 0 || n.cols == 0 {
		return
	}
	step := max(1, piece/n.cols)
	for all := n.rows; all > 0; all -= n.rows {
		n.rows = min(all, step)
		if !normAsm(s.tier, &n) {
			n.portable()
		}
		if used := n.rows * n.cols; all > n.rows {
			n.dst, n.sum, n.x = n.dst[used:], n.sum[used:], n.x[used:]
			if n.add != nil {
				n.add = n.add[used:]
			}
		}
	}
}

func (n *norm) portable() {
	for i := range n.rows {
		first, end := i*n.cols, (i+1)*n.cols
		sum, dst := n.sum[first:end], n.dst[first:end]
		if n.add != nil {
			binaryPortable(opAdd, sum, n.x[first:end], n.add[first:end])
		}
		var mean float32
		if n.beta != nil {
			mean = sumPortable(sum) / float32(n.cols)
		}
		variance := sumSquaresPortable(sum, mean) / float32(n.cols)
		scale := 1 / float32(math.Sqrt(float64(variance+n.eps)))
		if n.beta == nil {
			for j, v := range sum {
				dst[j] = float32(v*scale) * n.gamma[j]
			}
			continue
		}
		for j, v := range sum {
			dst[j] = fma32(float32((v-mean)*scale), n.gamma[j], n.beta[j])
		}
	}
}
