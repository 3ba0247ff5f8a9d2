package kernels

import "math"

// This file holds the scalar definitions of the transcendental functions. Every step is one float32
// operation and every fused step is written fma32, in the order of the assembly, so that all tiers return
// the same bits. Polynomials are minimax fits made for this package, with coefficients rounded one after
// the other and the rest fitted again.

const (
	log2e = 0x1.715476p+0
	// ln2Hi has 9 significant bits, so that n*ln2Hi is exact for every exponent n; ln2Hi + ln2Lo = ln 2.
	ln2Hi = 0.693359375
	ln2Lo = -2.12194440e-4
	// expMin is the least x with exp(x) >= 2^-126: below it exp is 0, never subnormal.
	expMin = -87.33654
	// expMax is the greatest x with a finite exp.
	expMax = 88.72283
	// roundToInt added to |v| < 2^22 leaves v, rounded to an integer, in the low bits of the sum;
	// roundToExponent leaves it with the exponent bias of float32 added.
	roundToInt      = 0x1.8p23
	roundToExponent = roundToInt + 127
)

// exp(r) = 1 + r + r^2 q(r) for |r| <= ln(2)/2, relative error 3.3e-9.
var expPoly = [...]float32{0x1.fffffcp-2, 0x1.55549p-3, 0x1.5558bcp-5, 0x1.123b5cp-7, 0x1.6a445ap-10}

// erfcx(z) = exp(z^2) erfc(z) = t P(t) with t = 1/(1 + erfcxShift z), for z in [0, 10.1], relative error 1.4e-8.
const erfcxShift = 0.375

var erfcxPoly = [...]float32{0.21161282062530518, 0.21066096425056458, 0.20523136854171753, 0.1218326985836029,
	0.2729366421699524, -0.22824221849441528, 0.4313458502292633, -0.28680557012557983, 0.06142744794487953}

// erf(x) = x + x P(x^2) for |x| <= 1, relative error 1.5e-9.
var erfPoly = [...]float32{0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026,
	0.005187162198126316, -0.0007997853099368513, 7.806903158780187e-05}

// log(1+f) = f - f^2/2 + f^3 P(f) for 1+f in [sqrt(1/2), sqrt(2)), relative error 5.9e-9.
var logPoly = [...]float32{0.3333333134651184, -0.2500081956386566, 0.2000124156475067, -0.166234090924263,
	0.14201579988002777, -0.13159610331058502, 0.12762217223644257, -0.07636439055204391}

// horner evaluates the polynomial with coefficients c, the constant one first.
func horner(c []float32, x float32) float32 {
	y := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		y = fma32(y, x, c[i])
	}
	return y
}

// expReduce returns 2^n and r with x = n ln 2 + r; n is in -126..128, of which 128 gives +Inf.
func expReduce(x float32) (scale, r float32) {
	t := fma32(x, log2e, roundToExponent)
	n := t - roundToExponent
	r = fma32(n, -ln2Hi, x)
	r = fma32(n, -ln2Lo, r)
	return math.Float32frombits(math.Float32bits(t) << 23), r
}

// expCore returns exp(r) for |r| <= ln(2)/2.
func expCore(r float32) float32 {
	return fma32(fma32(horner(expPoly[:], r), r, 1), r, 1)
}

// exp32 is Exp of one value.
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < expMin:
		return 0
	case x > expMax:
		return float32(math.Inf(1))
	}
	t := fma32(x, log2e, roundToInt)
	n := t - roundToInt
	r := fma32(n, -ln2Hi, x)
	r = fma32(n, -ln2Lo, r)
	return math.Float32frombits(math.Float32bits(expCore(r)) + math.Float32bits(t)<<23)
}

// expClamped is exp for x that is only added to 1: below expMin it stays at the least normal number, and it
// is +Inf from 88.4 on, where the exponent no longer fits.
func expClamped(x float32) float32 {
	if x < expMin {
		x = expMin
	}
	if x > expMax {
		x = expMax
	}
	scale, r := expReduce(x)
	return expCore(r) * scale
}

// tanh32 is Tanh of one value: e/(e+2) with e = exp(2|x|) - 1, which keeps small x accurate.
func tanh32(x float32) float32 {
	y := float32(math.Abs(float64(x)))
	if y > 10 {
		y = 10
	}
	y += y
	scale, r := expReduce(y)
	p := fma32(horner(expPoly[:], r), float32(r*r), r)
	e := fma32(scale, p, scale-1)
	return copySign(e/(e+2), x)
}

func sigmoid32(x float32) float32 { return 1 / (1 + expClamped(-x)) }

const (
	// geluCubic and geluSlope are the constants of TensorFlow's approximate GELU, 0.044715 and -2 sqrt(2/pi).
	geluCubic = 0.044715
	geluSlope = -1.5957691216057308
	// geluLeast stands for everything below it, where gelu is -0.
	geluLeast = -100
)

// geluTanh32 uses 0.5 (1 + tanh(u)) = 1/(1 + exp(-2u)), which stays accurate where the left side cancels.
func geluTanh32(x float32) float32 {
	if x < geluLeast {
		x = geluLeast
	}
	u := fma32(float32(float32(x*x)*geluCubic), x, x)
	return x / (1 + expClamped(float32(u*geluSlope)))
}

// tailEnd is where exp(-x^2) and exp(-x^2/2) are 0 in float32; larger x are cut to it, so that Inf is finite.
const tailEnd = 16

// expSquare returns exp(-half a^2) for half = 1 or 1/2, with the rounding error of a^2 made good.
func expSquare(a, half float32) float32 {
	square := float32(a * a)
	rest := fma32(a, a, -square)
	y := float32(square * -half)
	scale, r := expReduce(y)
	r = fma32(rest, -half, r)
	if y < expMin {
		return 0
	}
	return expCore(r) * scale
}

// erfcAbs returns erfc(z) for z >= 0.
func erfcAbs(z float32) float32 {
	if z > tailEnd {
		z = tailEnd
	}
	t := 1 / fma32(z, erfcxShift, 1)
	return float32(horner(erfcxPoly[:], t)*t) * expSquare(z, 1)
}

func erfc32(x float32) float32 {
	y := erfcAbs(float32(math.Abs(float64(x))))
	if x < 0 {
		return 2 - y
	}
	return y
}

func erf32(x float32) float32 {
	z := float32(math.Abs(float64(x)))
	if z <= 1 {
		return fma32(horner(erfPoly[:], float32(x*x)), x, x)
	}
	return copySign(1-erfcAbs(z), x)
}

const (
	// geluShift is erfcxShift/sqrt(2).
	geluShift = 0.26516504294495535
)

// geluErf32 is x Phi(x) = max(x, 0) - |x| Phi(-|x|), where Phi(-a) = exp(-a^2/2) erfcx(a/sqrt(2)) / 2.
func geluErf32(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	if a > tailEnd {
		a = tailEnd
	}
	t := 1 / fma32(a, geluShift, 1)
	g := float32(float32(horner(erfcxPoly[:], t)*t)*expSquare(a, 0.5)) * float32(a*0.5)
	return relu32(x) - g
}

// relu32 keeps NaN and -0.
func relu32(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

// log32 is Log of one value.
func log32(x float32) float32 {
	const sqrtHalf = 0x3f3504f3
	switch {
	case x != x:
		return x
	case x < 0:
		return float32(math.NaN())
	case x < 0x1p-126:
		return float32(math.Inf(-1))
	case x > math.MaxFloat32:
		return x
	}
	bits := math.Float32bits(x)
	k := int32(bits-sqrtHalf) >> 23
	n := float32(k)
	f := math.Float32frombits(bits-uint32(k)<<23) - 1
	square := float32(f * f)
	y := float32(float32(square*f) * horner(logPoly[:], f))
	y = fma32(n, ln2Lo, y)
	y = fma32(square, -0.5, y)
	return fma32(n, ln2Hi, f+y)
}

// copySign returns |x| with the sign of sign.
func copySign(x, sign float32) float32 {
	const signBit = 1 << 31
	return math.Float32frombits(math.Float32bits(x)&^signBit | math.Float32bits(sign)&signBit)
}
