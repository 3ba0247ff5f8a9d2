package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// update is a way in which new elements change old ones.
type update int

const (
	replace update = iota
	addTo
	subtractFrom
	multiplyBy
	divideBy
	takeLess
	takeMore
)

// apply changes the n elements of dst from i on by those of src from j on, or, where step is 0, by the one at j.
func (u update) apply(dst *tensor.Tensor, i int, src *tensor.Tensor, j, n, step int) error {
	if src.DType() != dst.DType() {
		return fmt.Errorf("have updates of %v, want %v", src.DType(), dst.DType())
	}
	if u == replace {
		if step == 1 {
			moveRun(dst, i, src, j, n)
			return nil
		}
		for k := range n {
			moveRun(dst, i+k, src, j, 1)
		}
		return nil
	}
	switch dst.DType() {
	case tensor.Float32:
		updateFloats(u, tensor.Data[float32](dst)[i:i+n], tensor.Data[float32](src)[j:], step)
	case tensor.Float64:
		updateFloats(u, tensor.Data[float64](dst)[i:i+n], tensor.Data[float64](src)[j:], step)
	case tensor.Float16:
		updateShort(u, tensor.Data[uint16](dst)[i:i+n], tensor.Data[uint16](src)[j:], step, tensor.FromHalf, tensor.ToHalf)
	case tensor.Bfloat16:
		updateShort(u, tensor.Data[uint16](dst)[i:i+n], tensor.Data[uint16](src)[j:], step, tensor.FromBfloat, tensor.ToBfloat)
	case tensor.Int8:
		return updateInts(u, tensor.Data[int8](dst)[i:i+n], tensor.Data[int8](src)[j:], step)
	case tensor.Int16:
		return updateInts(u, tensor.Data[int16](dst)[i:i+n], tensor.Data[int16](src)[j:], step)
	case tensor.Int32:
		return updateInts(u, tensor.Data[int32](dst)[i:i+n], tensor.Data[int32](src)[j:], step)
	case tensor.Int64:
		return updateInts(u, tensor.Data[int64](dst)[i:i+n], tensor.Data[int64](src)[j:], step)
	case tensor.Uint8:
		return updateInts(u, tensor.Data[uint8](dst)[i:i+n], tensor.Data[uint8](src)[j:], step)
	case tensor.Uint16:
		return updateInts(u, tensor.Data[uint16](dst)[i:i+n], tensor.Data[uint16](src)[j:], step)
	case tensor.Uint32:
		return updateInts(u, tensor.Data[uint32](dst)[i:i+n], tensor.Data[uint32](src)[j:], step)
	case tensor.Uint64:
		return updateInts(u, tensor.Data[uint64](dst)[i:i+n], tensor.Data[uint64](src)[j:], step)
	default:
		return fmt.Errorf("%v elements can only be replaced, not computed with", dst.DType())
	}
	return nil
}

func updateFloats[T float32 | float64](u update, dst, src []T, step int) {
	for k := range dst {
		dst[k] = combine(u, dst[k], src[k*step])
	}
}

// combine is what an update makes of an old and a new element.
func combine[T float32 | float64](u update, old, new T) T {
	switch u {
	case addTo:
		return old + new
	case subtractFrom:
		return old - new
	case multiplyBy:
		return old * new
	case divideBy:
		return old / new
	case takeLess:
		if new < old {
			return new
		}
	case takeMore:
		if new > old {
			return new
		}
	}
	return old
}

func updateShort(u update, dst, src []uint16, step int, from func(uint16) float32, to func(float32) uint16) {
	for k := range dst {
		dst[k] = to(combine(u, from(dst[k]), from(src[k*step])))
	}
}

func updateInts[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](u update, dst, src []T, step int) error {
	for k := range dst {
		v := src[k*step]
		switch u {
		case addTo:
			dst[k] += v
		case subtractFrom:
			dst[k] -= v
		case multiplyBy:
			dst[k] *= v
		case divideBy:
			if v == 0 {
				return fmt.Errorf("an integer is divided by zero")
			}
			dst[k] /= v
		case takeLess:
			dst[k] = min(dst[k], v)
		case takeMore:
			dst[k] = max(dst[k], v)
		}
	}
	return nil
}
