package runtime

import (
	"math"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

type number interface {
	integer | float32 | float64
}

// castKernel returns the conversion from src to dst, nil if there is none.
func castKernel(src, dst tensor.DType, truncate bool) mapKernel {
	switch src {
	case tensor.Float32:
		if truncate && dst == tensor.Float16 {
			return mapOf(truncatedHalf)
		}
		if truncate && dst == tensor.Bfloat16 {
			return mapOf(truncatedBfloat)
		}
		return fromFloat[float32](dst)
	case tensor.Float64:
		return fromFloat[float64](dst)
	case tensor.Float16:
		return fromHalf(dst, halfToFloat)
	case tensor.Bfloat16:
		return fromHalf(dst, bfloatToFloat)
	case tensor.Int8, tensor.Qint8:
		return fromInteger[int8](dst)
	case tensor.Uint8, tensor.Quint8:
		return fromInteger[uint8](dst)
	case tensor.Int16, tensor.Qint16:
		return fromInteger[int16](dst)
	case tensor.Uint16, tensor.Quint16:
		return fromInteger[uint16](dst)
	case tensor.Int32, tensor.Qint32:
		return fromInteger[int32](dst)
	case tensor.Uint32:
		return fromInteger[uint32](dst)
	case tensor.Int64:
		return fromInteger[int64](dst)
	case tensor.Uint64:
		return fromInteger[uint64](dst)
	case tensor.Bool:
		return fromBool(dst)
	case tensor.Complex64:
		// The imaginary part is dropped, as in TensorFlow.
		if dst == tensor.Complex128 {
			return mapOf(func(x complex64) complex128 { return complex128(x) })
		}
		return through(fromFloat[float32](dst), func(x complex64) float32 { return real(x) })
	case tensor.Complex128:
		if dst == tensor.Complex64 {
			return mapOf(func(x complex128) complex64 { return complex64(x) })
		}
		return through(fromFloat[float64](dst), func(x complex128) float64 { return real(x) })
	}
	return nil
}

// through makes a conversion of one in two steps, by way of an array of the second type: for the rare ones.
func through[T, U tensor.Element](second mapKernel, first func(T) U) mapKernel {
	if second == nil {
		return nil
	}
	return func(k *kernels.Set, t, x *tensor.Tensor) {
		src := tensor.Data[T](x)
		mid := make([]U, len(src))
		for i, v := range src {
			mid[i] = first(v)
		}
		second(k, t, tensor.FromSlice(tensor.Shape{len(mid)}, mid))
	}
}

// converted makes the plain conversion of Go: between integers, and from integers to floats.
func converted[T, U number]() mapKernel {
	return func(_ *kernels.Set, t, x *tensor.Tensor) {
		dst, src := tensor.Data[U](t), tensor.Data[T](x)
		for i, v := range src {
			dst[i] = U(v)
		}
	}
}

// nonzero is the conversion to bool.
func nonzero[T number]() mapKernel {
	return func(_ *kernels.Set, t, x *tensor.Tensor) {
		dst, src := tensor.Data[bool](t), tensor.Data[T](x)
		for i, v := range src {
			dst[i] = v != 0
		}
	}
}

func fromInteger[T integer](dst tensor.DType) mapKernel {
	switch dst {
	case tensor.Float32:
		return converted[T, float32]()
	case tensor.Float64:
		return converted[T, float64]()
	case tensor.Float16:
		return mapOf(func(x T) uint16 { return floatToHalf(float32(x)) })
	case tensor.Bfloat16:
		return mapOf(func(x T) uint16 { return floatToBfloat(float32(x)) })
	case tensor.Int8, tensor.Qint8:
		return converted[T, int8]()
	case tensor.Uint8, tensor.Quint8:
		return converted[T, uint8]()
	case tensor.Int16, tensor.Qint16:
		return converted[T, int16]()
	case tensor.Uint16, tensor.Quint16:
		return converted[T, uint16]()
	case tensor.Int32, tensor.Qint32:
		return converted[T, int32]()
	case tensor.Uint32:
		return converted[T, uint32]()
	case tensor.Int64:
		return converted[T, int64]()
	case tensor.Uint64:
		return converted[T, uint64]()
	case tensor.Bool:
		return nonzero[T]()
	case tensor.Complex64:
		return mapOf(func(x T) complex64 { return complex(float32(x), 0) })
	case tensor.Complex128:
		return mapOf(func(x T) complex128 { return complex(float64(x), 0) })
	}
	return nil
}

func fromFloat[T float32 | float64](dst tensor.DType) mapKernel {
	switch dst {
	case tensor.Float32:
		return converted[T, float32]()
	case tensor.Float64:
		return converted[T, float64]()
	case tensor.Float16:
		return mapOf(func(x T) uint16 { return floatToHalf(float32(x)) })
	case tensor.Bfloat16:
		return mapOf(func(x T) uint16 { return floatToBfloat(float32(x)) })
	case tensor.Int8:
		return mapOf(func(x T) int8 { return int8(toInt32(x)) })
	case tensor.Uint8:
		return mapOf(func(x T) uint8 { return uint8(toInt32(x)) })
	case tensor.Int16:
		return mapOf(func(x T) int16 { return int16(toInt32(x)) })
	case tensor.Uint16:
		return mapOf(func(x T) uint16 { return uint16(toInt32(x)) })
	case tensor.Int32:
		return func(_ *kernels.Set, t, x *tensor.Tensor) {
			dst, src := tensor.Data[int32](t), tensor.Data[T](x)
			for i, v := range src {
				dst[i] = toInt32(v)
			}
		}
	case tensor.Uint32:
		return mapOf(func(x T) uint32 { return uint32(toInt64(x)) })
	case tensor.Int64:
		return mapOf(toInt64[T])
	case tensor.Uint64:
		return mapOf(func(x T) uint64 {
			if x >= 1<<63 {
				return uint64(toInt64(x-1<<63)) + 1<<63
			}
			return uint64(toInt64(x))
		})
	case tensor.Bool:
		return nonzero[T]()
	case tensor.Complex64:
		return mapOf(func(x T) complex64 { return complex(float32(x), 0) })
	case tensor.Complex128:
		return mapOf(func(x T) complex128 { return complex(float64(x), 0) })
	}
	return nil
}

// toInt32 rounds toward zero; the least int32 stands for all that has none.
func toInt32[T float32 | float64](x T) int32 {
	if x > -2147483649 && x < 2147483648 {
		return int32(x)
	}
	return math.MinInt32
}

// toInt64 is toInt32 for 64 bits.
func toInt64[T float32 | float64](x T) int64 {
	if x >= -1<<63 && x < 1<<63 {
		return int64(x)
	}
	return math.MinInt64
}

// fromHalf converts 16-bit floats as the float32 numbers that they are.
func fromHalf(dst tensor.DType, widen func(uint16) float32) mapKernel {
	if dst == tensor.Float32 {
		return mapOf(widen)
	}
	return through(fromFloat[float32](dst), widen)
}

func fromBool(dst tensor.DType) mapKernel {
	switch dst {
	case tensor.Float32:
		return boolTo[float32](1)
	case tensor.Float64:
		return boolTo[float64](1)
	case tensor.Float16:
		return boolTo(floatToHalf(1))
	case tensor.Bfloat16:
		return boolTo(floatToBfloat(1))
	case tensor.Int8, tensor.Uint8, tensor.Qint8, tensor.Quint8:
		return boolTo[uint8](1)
	case tensor.Int16, tensor.Uint16, tensor.Qint16, tensor.Quint16:
		return boolTo[uint16](1)
	case tensor.Int32, tensor.Uint32, tensor.Qint32:
		return boolTo[uint32](1)
	case tensor.Int64, tensor.Uint64:
		return boolTo[uint64](1)
	case tensor.Complex64:
		return boolTo[complex64](1)
	case tensor.Complex128:
		return boolTo[complex128](1)
	}
	return nil
}

// boolTo converts true to one.
func boolTo[T tensor.Element](one T) mapKernel {
	return func(_ *kernels.Set, t, x *tensor.Tensor) {
		dst, src := tensor.Data[T](t), tensor.Data[bool](x)
		for i, v := range src {
			var y T
			if v {
				y = one
			}
			dst[i] = y
		}
	}
}
