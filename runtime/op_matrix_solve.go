package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// matrixInverseOp inverts square matrices, or (adjoint) their transposes, in float64.
func matrixInverseOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	adjoint := r.Bool("adjoint")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return squares(n, func(a []float64, n int) error {
		if adjoint {
			for i := range n {
				for j := range i {
					a[i*n+j], a[j*n+i] = a[j*n+i], a[i*n+j]
				}
			}
		}
		return invert(a, n)
	})
}

// squares makes a step that changes square matrices in place.
func squares(n *graphdef.Node, change func(a []float64, n int) error) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		if len(s) < 2 || s[len(s)-1] != s[len(s)-2] || x.DType() != d {
			return fmt.Errorf("input is %v %v, want square matrices of %v", x.DType(), s.Clone(), d)
		}
		t, err := c.alloc(0, d, s)
		if err != nil || t.Len() == 0 {
			return err
		}
		n, in := s[len(s)-1], floatsOf(x)
		a := make([]float64, n*n)
		for at := 0; at < x.Len(); at += n * n {
			for i := range a {
				a[i] = in.at(at + i)
			}
			if err := change(a, n); err != nil {
				return err
			}
			for i, v := range a {
				setFloat(t, at+i, v)
			}
		}
		return nil
	}, nil
}

// invert replaces a by its inverse: Gauss-Jordan elimination with the greatest pivot of each column.
func invert(a []float64, n int) error {
	inverse := make([]float64, n*n)
	for i := range n {
		inverse[i*n+i] = 1
	}
	for col := range n {
		pivot := col
		for i := col + 1; i < n; i++ {
			if math.Abs(a[i*n+col]) > math.Abs(a[pivot*n+col]) {
				pivot = i
			}
		}
		p := a[pivot*n+col]
		if p == 0 {
			return fmt.Errorf("input is not invertible")
		}
		for j := range n {
			a[col*n+j], a[pivot*n+j] = a[pivot*n+j], a[col*n+j]
			inverse[col*n+j], inverse[pivot*n+j] = inverse[pivot*n+j], inverse[col*n+j]
		}
		for j := range n {
			a[col*n+j] /= p
			inverse[col*n+j] /= p
		}
		for i := range n {
			f := a[i*n+col]
			if i == col || f == 0 {
				continue
			}
			for j := range n {
				a[i*n+j] -= f * a[col*n+j]
				inverse[i*n+j] -= f * inverse[col*n+j]
			}
		}
	}
	copy(a, inverse)
	return nil
}

// choleskyOp finds the lower triangular factor of symmetric matrices, of which it reads the lower half; all NaN where a matrix is
// not positive definite.
func choleskyOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	return squares(n, func(a []float64, n int) error {
		for i := range n {
			for j := range i + 1 {
				sum := a[i*n+j]
				for k := range j {
					sum -= a[i*n+k] * a[j*n+k]
				}
				switch {
				case j < i:
					a[i*n+j] = sum / a[j*n+j]
				case sum > 0:
					a[i*n+i] = math.Sqrt(sum)
				default:
					for k := range a {
						a[k] = math.NaN()
					}
					return nil
				}
			}
			clear(a[i*n+i+1 : (i+1)*n])
		}
		return nil
	})
}

// sparseMatMulOp is a product of float32 or bfloat16 matrices in float32; that many elements are zero is a hint only.
func sparseMatMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	p := product{ta: r.Bool("transpose_a"), tb: r.Bool("transpose_b")}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		a, b := c.in(0), c.in(1)
		if a.Rank() != 2 || b.Rank() != 2 || !a.DType().IsFloat() || !b.DType().IsFloat() {
			return fmt.Errorf("have a %v %v and b %v %v, want matrices of floats", a.DType(), a.Shape().Clone(), b.DType(), b.Shape().Clone())
		}
		return batchMatMul(c, asFloat32(a), asFloat32(b), p, tensor.Float32)
	}, nil
}

func asFloat32(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() == tensor.Float32 {
		return t
	}
	in, out := floatsOf(t), tensor.New(tensor.Float32, t.Shape().Clone())
	for i := range t.Len() {
		setFloat(out, i, in.at(i))
	}
	return out
}
