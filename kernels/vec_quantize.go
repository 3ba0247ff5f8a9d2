package kernels

import "math"

// QuantizeS8 writes ROUND(clamp(x, lo, hi)*scale) to dst, saturated to -128..127: TensorFlow's QuantizeV2 in
// mode SCALED, two float32 roundings, never fused. scale is in codes per unit of x and positive; lo and hi
// may be infinite. NaN gives -128, as TensorFlow's kernel does on x86.
func (s *Set) QuantizeS8(dst []int8, x []float32, scale, lo, hi float32, round Rounding) {
	checkLen("QuantizeS8", "dst", len(dst), len(x))
	q := quantizer{scale: scale, lo: max(lo*scale, -128), hi: min(hi*scale, 127), round: round}
	if len(x) == 0 || quantizeS8Asm(s.tier, dst, x, &q) {
		return
	}
	for i, v := range x {
		dst[i] = int8(q.code(v, -128))
	}
}

// QuantizeU8 writes ROUND(clamp(x, lo, hi)*scale) to dst, saturated to 0..255, with the rules of QuantizeS8.
// NaN gives 0.
func (s *Set) QuantizeU8(dst []uint8, x []float32, scale, lo, hi float32, round Rounding) {
	checkLen("QuantizeU8", "dst", len(dst), len(x))
	q := quantizer{scale: scale, lo: max(lo*scale, 0), hi: min(hi*scale, 255), round: round}
	if len(x) == 0 || quantizeU8Asm(s.tier, dst, x, &q) {
		return
	}
	for i, v := range x {
		dst[i] = uint8(q.code(v, 0))
	}
}

// quantizer is a quantization with its bounds moved behind the product: clamp(x, l, h)*s equals
// clamp(x*s, l*s, h*s), since rounding a product with a positive s keeps order, and so does rounding to
// integers, which is why the limits of the codes belong there too.
type quantizer struct {
	scale  float32
	lo, hi float32 // in codes
	round  Rounding
}

// code returns the code of x, bottom for NaN.
func (q *quantizer) code(x float32, bottom int32) int32 {
	v := x * q.scale
	if v != v {
		return bottom
	}
	if v < q.lo {
		v = q.lo
	}
	if v > q.hi {
		v = q.hi
	}
	if q.round == HalfToEven {
		return int32(math.RoundToEven(float64(v)))
	}
	return int32(math.Round(float64(v)))
}

// DequantizeS8 writes f32(q)*scale to dst: TensorFlow's Dequantize in mode SCALED.
func (s *Set) DequantizeS8(dst []float32, q []int8, scale float32) {
	checkLen("DequantizeS8", "dst", len(dst), len(q))
	if len(q) == 0 || dequantizeS8Asm(s.tier, dst, q, scale) {
		return
	}
	for i, v := range q {
		dst[i] = float32(v) * scale
	}
}

// DequantizeU8 writes f32(q)*scale + min to dst, two roundings: TensorFlow's Dequantize in modes
// MIN_COMBINED and, with min rounded to the grid, MIN_FIRST. A min of 0 gives mode SCALED.
func (s *Set) DequantizeU8(dst []float32, q []uint8, scale, min float32) {
	checkLen("DequantizeU8", "dst", len(dst), len(q))
	if len(q) == 0 || dequantizeU8Asm(s.tier, dst, q, scale, min) {
		return
	}
	for i, v := range q {
		dst[i] = float32(float32(v)*scale) + min
	}
}

// DequantizeS32 writes f32(q)*scale to dst, two roundings; for sums of integer products.
func (s *Set) DequantizeS32(dst []float32, q []int32, scale float32) {
	checkLen("DequantizeS32", "dst", len(dst), len(q))
	if len(q) == 0 || dequantizeS32Asm(s.tier, dst, q, scale) {
		return
	}
	for i, v := range q {
		dst[i] = float32(v) * scale
	}
}
