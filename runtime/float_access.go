package runtime

import (
	"math"

	"github.com/tfq8/tfq8/tensor"
)

// floatReader reads elements of any floating-point tensor as float64: for dtypes that are too rare for kernels of their own.
type floatReader struct {
	d   tensor.DType
	f32 []float32
	f64 []float64
	u16 []uint16
}

func floatsOf(t *tensor.Tensor) floatReader {
	r := floatReader{d: t.DType()}
	switch t.DType() {
	case tensor.Float32:
		r.f32 = tensor.Data[float32](t)
	case tensor.Float64:
		r.f64 = tensor.Data[float64](t)
	case tensor.Float16, tensor.Bfloat16:
		r.u16 = tensor.Data[uint16](t)
	}
	return r
}

// at returns element i.
func (r *floatReader) at(i int) float64 {
	switch r.d {
	case tensor.Float32:
		return float64(r.f32[i])
	case tensor.Float64:
		return r.f64[i]
	case tensor.Float16:
		return float64(halfToFloat(r.u16[i]))
	}
	return float64(bfloatToFloat(r.u16[i]))
}

// setFloat stores v, rounded to t's floating-point type, as element i.
func setFloat(t *tensor.Tensor, i int, v float64) {
	switch t.DType() {
	case tensor.Float32:
		tensor.Data[float32](t)[i] = float32(v)
	case tensor.Float64:
		tensor.Data[float64](t)[i] = v
	case tensor.Float16:
		tensor.Data[uint16](t)[i] = floatToHalf(float32(v))
	case tensor.Bfloat16:
		tensor.Data[uint16](t)[i] = floatToBfloat(float32(v))
	}
}

// halfToFloat widens IEEE binary16.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, man := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exp == 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | man<<13)
	case exp == 0:
		// A denormal is man * 2^-24; the product is exact.
		return math.Float32frombits(sign | math.Float32bits(float32(man)*0x1p-24))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// floatToHalf rounds to IEEE binary16, half to even.
func floatToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case b < 0x38800000: // denormal: adding 0.5 aligns the result's last place with the float's
		m := math.Float32frombits(b) + 0.5
		return sign | uint16(math.Float32bits(m)-math.Float32bits(0.5))
	}
	b += 0xfff + b>>13&1
	return sign | uint16(b>>13-112<<10)
}

// bfloatToFloat widens bfloat16.
func bfloatToFloat(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// floatToBfloat rounds to bfloat16, half to even.
func floatToBfloat(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
