package runtime

import (
	"math"
	"math/cmplx"
	"unsafe"

	"github.com/tfq8/tfq8/tensor"
)

// reduceFunc folds x into t as r says.
type reduceFunc func(r *reduction, t, x *tensor.Tensor)

// fold computes an element of the output from those of the input in row-major order, whatever other elements there are.
type fold[T tensor.Element, A any] struct {
	start A
	step  func(acc A, x T) A
	end   func(acc A, n int) T // n: how many elements there were
}

func (f fold[T, A]) reduce(r *reduction, t, x *tensor.Tensor) {
	f.outputs(r.kept, r.dropped, r.count, tensor.Data[T](t), tensor.Data[T](x), 0)
}

// outputs computes the outputs whose first element lies at or behind place at, and returns the rest of dst.
func (f *fold[T, A]) outputs(kept, dropped []span, n int, dst, src []T, at int) []T {
	if len(kept) == 0 {
		dst[0] = f.end(f.elements(dropped, src, at, f.start), n)
		return dst[1:]
	}
	for i := range kept[0].size {
		dst = f.outputs(kept[1:], dropped, n, dst, src, at+i*kept[0].stride)
	}
	return dst
}

func (f *fold[T, A]) elements(dropped []span, src []T, at int, acc A) A {
	if len(dropped) == 0 {
		return f.step(acc, src[at])
	}
	d := dropped[0]
	for i := range d.size {
		if len(dropped) == 1 {
			acc = f.step(acc, src[at+i*d.stride])
		} else {
			acc = f.elements(dropped[1:], src, at+i*d.stride, acc)
		}
	}
	return acc
}

// reductionOf returns the fold of op for dtype d, nil if there is none.
func reductionOf(op string, d tensor.DType) reduceFunc {
	switch d {
	case tensor.Bool:
		return boolReduction(op)
	case tensor.Float32:
		return floatReduction(op, func(x float32) float64 { return float64(x) }, func(x float64) float32 { return float32(x) })
	case tensor.Float64:
		return floatReduction(op, func(x float64) float64 { return x }, func(x float64) float64 { return x })
	case tensor.Float16:
		return floatReduction(op, func(x uint16) float64 { return float64(halfToFloat(x)) },
			func(x float64) uint16 { return floatToHalf(float32(x)) })
	case tensor.Bfloat16:
		return floatReduction(op, func(x uint16) float64 { return float64(bfloatToFloat(x)) },
			func(x float64) uint16 { return floatToBfloat(float32(x)) })
	case tensor.Complex64:
		return complexReduction[complex64](op)
	case tensor.Complex128:
		return complexReduction[complex128](op)
	case tensor.Int8, tensor.Qint8:
		return integerReduction[int8, int64](op)
	case tensor.Uint8, tensor.Quint8:
		return integerReduction[uint8, uint64](op)
	case tensor.Int16, tensor.Qint16:
		return integerReduction[int16, int64](op)
	case tensor.Uint16, tensor.Quint16:
		return integerReduction[uint16, uint64](op)
	case tensor.Int32, tensor.Qint32:
		return integerReduction[int32, int64](op)
	case tensor.Uint32:
		return integerReduction[uint32, uint64](op)
	case tensor.Int64:
		return integerReduction[int64, int64](op)
	case tensor.Uint64:
		return integerReduction[uint64, uint64](op)
	}
	return nil
}

func boolReduction(op string) reduceFunc {
	same := func(acc bool, _ int) bool { return acc }
	switch op {
	case "All":
		return fold[bool, bool]{true, func(acc, x bool) bool { return acc && x }, same}.reduce
	case "Any":
		return fold[bool, bool]{false, func(acc, x bool) bool { return acc || x }, same}.reduce
	}
	return nil
}

// floatReduction folds in float64 and rounds once. The mean of nothing is NaN.
func floatReduction[T tensor.Element](op string, widen func(T) float64, narrow func(float64) T) reduceFunc {
	f := fold[T, float64]{end: func(acc float64, _ int) T { return narrow(acc) }}
	switch op {
	case "Sum":
		f.step = func(acc float64, x T) float64 { return acc + widen(x) }
	case "Mean":
		f.step = func(acc float64, x T) float64 { return acc + widen(x) }
		f.end = func(acc float64, n int) T { return narrow(acc / float64(n)) }
	case "EuclideanNorm":
		f.step = func(acc float64, x T) float64 { return acc + widen(x)*widen(x) }
		f.end = func(acc float64, _ int) T { return narrow(math.Sqrt(acc)) }
	case "Prod":
		f.start = 1
		f.step = func(acc float64, x T) float64 { return acc * widen(x) }
	case "Max":
		f.start = math.Inf(-1)
		f.step = func(acc float64, x T) float64 { return max(acc, widen(x)) }
	case "Min":
		f.start = math.Inf(1)
		f.step = func(acc float64, x T) float64 { return min(acc, widen(x)) }
	case "MaxNumber": // NaN do not count
		f.start = math.Inf(-1)
		f.step = func(acc float64, x T) float64 {
			if v := widen(x); acc < v {
				return v
			}
			return acc
		}
	case "MinNumber":
		f.start = math.Inf(1)
		f.step = func(acc float64, x T) float64 {
			if v := widen(x); v < acc {
				return v
			}
			return acc
		}
	default:
		return nil
	}
	return f.reduce
}

// integerReduction folds with wrapping, but sums for a mean in A and divides by truncation. The mean of nothing is 0.
func integerReduction[T integer, A int64 | uint64](op string) reduceFunc {
	f := fold[T, T]{end: func(acc T, _ int) T { return acc }}
	switch op {
	case "Sum":
		f.step = func(acc, x T) T { return acc + x }
	case "Prod":
		f.start = 1
		f.step = func(acc, x T) T { return acc * x }
	case "Max":
		f.start = lowest[T]()
		f.step = func(acc, x T) T { return max(acc, x) }
	case "Min":
		f.start = ^lowest[T]()
		f.step = func(acc, x T) T { return min(acc, x) }
	case "Mean":
		return fold[T, A]{0, func(acc A, x T) A { return acc + A(x) }, func(acc A, n int) T {
			if n == 0 {
				return 0
			}
			return T(acc / A(n))
		}}.reduce
	case "EuclideanNorm":
		return fold[T, float64]{0, func(acc float64, x T) float64 { return acc + float64(x)*float64(x) },
			func(acc float64, _ int) T { return T(math.Sqrt(acc)) }}.reduce
	default:
		return nil
	}
	return f.reduce
}

// lowest returns the least value of T; its complement is the greatest.
func lowest[T integer]() T {
	var zero T
	if ^zero > 0 {
		return 0
	}
	return T(1) << (8*unsafe.Sizeof(zero) - 1)
}

func complexReduction[T complex64 | complex128](op string) reduceFunc {
	f := fold[T, complex128]{end: func(acc complex128, _ int) T { return T(acc) }}
	switch op {
	case "Sum":
		f.step = func(acc complex128, x T) complex128 { return acc + complex128(x) }
	case "Mean":
		f.step = func(acc complex128, x T) complex128 { return acc + complex128(x) }
		f.end = func(acc complex128, n int) T { return T(acc / complex(float64(n), 0)) }
	case "EuclideanNorm":
		f.step = func(acc complex128, x T) complex128 {
			a := cmplx.Abs(complex128(x))
			return acc + complex(a*a, 0)
		}
		f.end = func(acc complex128, _ int) T { return T(complex(math.Sqrt(real(acc)), 0)) }
	case "Prod":
		f.start = 1
		f.step = func(acc complex128, x T) complex128 { return acc * complex128(x) }
	default:
		return nil
	}
	return f.reduce
}
