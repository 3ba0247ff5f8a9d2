package tensor

import "math"

// FromHalf returns the value of a Float16's bits; the payload of a NaN is kept.
func FromHalf(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp > 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	// Denormal: frac · 2⁻²⁴ is exact in float32.
	f := float32(frac) / (1 << 24)
	return math.Float32frombits(sign | math.Float32bits(f))
}

// ToHalf returns the bits of the Float16 nearest to f, ties to even, infinite where f is out of range.
func ToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign, abs := uint16(b>>31)<<15, b&0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 | uint16(abs>>13&0x3ff)
	case abs >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case abs < 0x38800000: // below the smallest normal number
		// Adding 2⁻¹·2⁰ leaves the count of 2⁻²⁴ in the low bits, rounded to even by the addition.
		sum := math.Float32frombits(abs) + 0.5
		return sign | uint16(math.Float32bits(sum)-0x3f000000)
	}
	rounded := abs + 0xfff + abs>>13&1
	return sign | uint16((rounded-112<<23)>>13)
}

// FromBfloat returns the value of a Bfloat16's bits.
func FromBfloat(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBfloat returns the bits of the Bfloat16 nearest to f, ties to even.
func ToBfloat(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40 // quiet, so that cutting the payload leaves a NaN
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
