package kernels

import "math"

// fma32 returns a*b + c rounded once to float32, as VFMADD231PS does, so that the portable float products
// equal the assembly ones bit for bit.
//
// The product is exact in float64. The sum may be inexact there, and rounding it a second time goes wrong
// only when it fell on the middle between two float32 values; those cases (and results that may be
// subnormal, whose middles lie elsewhere) take the slow path.
func fma32(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	bits := math.Float64bits(s)
	const low, middle = 1<<29 - 1, 1 << 28
	if bits&low == middle || bits>>52&0x7ff <= 1023-126 {
		return fma32Odd(float64(a)*float64(b), float64(c))
	}
	return float32(s)
}

// fma32Odd returns p + c rounded once to float32, through a float64 sum rounded to odd (Boldo and
// Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
func fma32Odd(p, c float64) float32 {
	s := p + c
	t := s - p
	rest := (p - (s - t)) + (c - t) // s + rest is the exact sum (Knuth's TwoSum)
	if rest == 0 || s != s {
		return float32(s)
	}
	bits := math.Float64bits(s)
	if bits&1 == 0 {
		if (rest > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}
