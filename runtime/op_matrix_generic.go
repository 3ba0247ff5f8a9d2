package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// generic computes the products of a batch in dtypes that have no kernels: floats accumulate in float64 and round once,
// integers wrap.
func (p *product) generic(t, a, b *tensor.Tensor, batch tensor.Shape) error {
	ab, bb := a.Shape()[:a.Rank()-2], b.Shape()[:b.Rank()-2]
	at := func(i, l int) int { // element [i, l] of a matrix of a
		if p.ta {
			return l*p.m + i
		}
		return i*p.k + l
	}
	bt := func(l, j int) int {
		if p.tb {
			return j*p.k + l
		}
		return l*p.n + j
	}
	var cell func(dst, i, j, a0, b0 int)
	switch {
	case a.DType().IsFloat() && b.DType().IsFloat() && t.DType().IsFloat():
		x, y := floatsOf(a), floatsOf(b)
		cell = func(dst, i, j, a0, b0 int) {
			sum := 0.0
			for l := range p.k {
				sum += x.at(a0+at(i, l)) * y.at(b0+bt(l, j))
			}
			setFloat(t, dst, sum)
		}
	case a.DType() == tensor.Complex64 && b.DType() == tensor.Complex64 && t.DType() == tensor.Complex64:
		cell = complexCell[complex64](p, t, a, b, at, bt)
	case a.DType() == tensor.Complex128 && b.DType() == tensor.Complex128 && t.DType() == tensor.Complex128:
		cell = complexCell[complex128](p, t, a, b, at, bt)
	case integral(a.DType()) && integral(b.DType()) && integral(t.DType()):
		x, y := intsOf(a), intsOf(b)
		cell = func(dst, i, j, a0, b0 int) {
			var sum int64
			for l := range p.k {
				sum += x(a0+at(i, l)) * y(b0+bt(l, j))
			}
			setInt(t, dst, sum)
		}
	default:
		return fmt.Errorf("no product of %v and %v to %v", a.DType(), b.DType(), t.DType())
	}
	walkBatch(batch, ab, bb, func(i, ia, ib int) {
		for r := range p.m {
			for j := range p.n {
				cell((i*p.m+r)*p.n+j, r, j, ia*p.m*p.k, ib*p.k*p.n)
			}
		}
	})
	return nil
}

// complexCell conjugates the operands that are read transposed where the product is of adjoints.
func complexCell[T complex64 | complex128](p *product, t, a, b *tensor.Tensor, at, bt func(i, j int) int) func(dst, i, j, a0, b0 int) {
	x, y, z := tensor.Data[T](a), tensor.Data[T](b), tensor.Data[T](t)
	conj := func(v T, yes bool) complex128 {
		c := complex128(v)
		if yes {
			return complex(real(c), -imag(c))
		}
		return c
	}
	return func(dst, i, j, a0, b0 int) {
		var sum complex128
		for l := range p.k {
			sum += conj(x[a0+at(i, l)], p.ta && p.adjoint) * conj(y[b0+bt(l, j)], p.tb && p.adjoint)
		}
		z[dst] = T(sum)
	}
}

func integral(d tensor.DType) bool { return d.IsInteger() || d.IsQuantized() }

// intsOf returns a reader of the elements of an integer tensor as int64.
func intsOf(t *tensor.Tensor) func(i int) int64 {
	switch t.DType() {
	case tensor.Int8, tensor.Qint8:
		v := tensor.Data[int8](t)
		return func(i int) int64 { return int64(v[i]) }
	case tensor.Uint8, tensor.Quint8:
		v := tensor.Data[uint8](t)
		return func(i int) int64 { return int64(v[i]) }
	case tensor.Int16, tensor.Qint16:
		v := tensor.Data[int16](t)
		return func(i int) int64 { return int64(v[i]) }
	case tensor.Uint16, tensor.Quint16:
		v := tensor.Data[uint16](t)
		return func(i int) int64 { return int64(v[i]) }
	case tensor.Int32, tensor.Qint32:
		v := tensor.Data[int32](t)
		return func(i int) int64 { return int64(v[i]) }
	case tensor.Uint32:
		v := tensor.Data[uint32](t)
		return func(i int) int64 { return int64(v[i]) }
	}
	v := tensor.Data[int64](t)
	return func(i int) int64 { return v[i] }
}

// setInt stores v, wrapped to t's integer type, as element i.
func setInt(t *tensor.Tensor, i int, v int64) {
	switch t.DType().Size() {
	case 1:
		tensor.Data[uint8](t)[i] = uint8(v)
	case 2:
		tensor.Data[uint16](t)[i] = uint16(v)
	case 4:
		tensor.Data[uint32](t)[i] = uint32(v)
	case 8:
		tensor.Data[uint64](t)[i] = uint64(v)
	}
}
