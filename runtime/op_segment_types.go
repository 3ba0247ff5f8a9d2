package runtime

import (
	"math"

	"github.com/tfq8/tfq8/tensor"
)

// segmentFold folds rows into rows of the same dtype, rounding at each.
type segmentFold struct {
	fill func(t *tensor.Tensor) // with the value of a segment without rows
	add  func(t *tensor.Tensor, at int, x *tensor.Tensor, from, n int)
}

// segmentInto returns the fold of op (Sum, Prod, Max, Min) for dtype d, nil if there is none.
func segmentInto(op string, d tensor.DType) *segmentFold {
	switch d {
	case tensor.Float32:
		return numberSegments[float32](op, -math.MaxFloat32, math.MaxFloat32)
	case tensor.Float64:
		return numberSegments[float64](op, -math.MaxFloat64, math.MaxFloat64)
	case tensor.Float16:
		return halfSegments(op, maxHalf, halfToFloat, floatToHalf)
	case tensor.Bfloat16:
		return halfSegments(op, maxBfloat, bfloatToFloat, floatToBfloat)
	case tensor.Complex64:
		return complexSegments[complex64](op)
	case tensor.Complex128:
		return complexSegments[complex128](op)
	case tensor.Int8:
		return numberSegments(op, lowest[int8](), ^lowest[int8]())
	case tensor.Uint8:
		return numberSegments(op, lowest[uint8](), ^lowest[uint8]())
	case tensor.Int16:
		return numberSegments(op, lowest[int16](), ^lowest[int16]())
	case tensor.Uint16:
		return numberSegments(op, lowest[uint16](), ^lowest[uint16]())
	case tensor.Int32:
		return numberSegments(op, lowest[int32](), ^lowest[int32]())
	case tensor.Uint32:
		return numberSegments(op, lowest[uint32](), ^lowest[uint32]())
	case tensor.Int64:
		return numberSegments(op, lowest[int64](), ^lowest[int64]())
	case tensor.Uint64:
		return numberSegments(op, lowest[uint64](), ^lowest[uint64]())
	}
	return nil
}

func numberSegments[T number](op string, low, high T) *segmentFold {
	switch op {
	case "Sum":
		return segments(0, func(a, b T) T { return a + b })
	case "Prod":
		return segments(1, func(a, b T) T { return a * b })
	case "Max":
		return segments(low, greater[T])
	case "Min":
		return segments(high, lesser[T])
	}
	return nil
}

// greater is the maximum of a running value and an element. Where either is NaN it is the element.
func greater[T number](acc, x T) T {
	if x < acc {
		return acc
	}
	return x
}

// lesser is the minimum, as greater.
func lesser[T number](acc, x T) T {
	if acc < x {
		return acc
	}
	return x
}

func complexSegments[T complex64 | complex128](op string) *segmentFold {
	switch op {
	case "Sum":
		return segments(0, func(a, b T) T { return a + b })
	case "Prod":
		return segments(1, func(a, b T) T { return a * b })
	}
	return nil
}

func halfSegments(op string, top float32, widen func(uint16) float32, narrow func(float32) uint16) *segmentFold {
	var f func(a, b float32) float32
	start := float32(0)
	switch op {
	case "Sum":
		f = func(a, b float32) float32 { return a + b }
	case "Prod":
		f, start = func(a, b float32) float32 { return a * b }, 1
	case "Max":
		f, start = greater[float32], -top
	case "Min":
		f, start = lesser[float32], top
	}
	return segments(narrow(start), func(a, b uint16) uint16 { return narrow(f(widen(a), widen(b))) })
}

func segments[T tensor.Element](start T, f func(a, b T) T) *segmentFold {
	return &segmentFold{
		fill: func(t *tensor.Tensor) {
			for i := range tensor.Data[T](t) {
				tensor.Data[T](t)[i] = start
			}
		},
		add: func(t *tensor.Tensor, at int, x *tensor.Tensor, from, n int) {
			dst, src := tensor.Data[T](t)[at:][:n], tensor.Data[T](x)[from:][:n]
			for i, v := range src {
				dst[i] = f(dst[i], v)
			}
		},
	}
}
