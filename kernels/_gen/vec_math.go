package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// The numbers of kernels/vec_math.go; TestTiersAgreeUnary fails where they differ.
var (
	expPoly   = []float64{0x1.fffffcp-2, 0x1.55549p-3, 0x1.5558bcp-5, 0x1.123b5cp-7, 0x1.6a445ap-10}
	erfcxPoly = []float64{0.21161282062530518, 0.21066096425056458, 0.20523136854171753, 0.1218326985836029,
		0.2729366421699524, -0.22824221849441528, 0.4313458502292633, -0.28680557012557983, 0.06142744794487953}
	erfPoly = []float64{0.12837916612625122, -0.3761262595653534, 0.11283578723669052, -0.026853347197175026,
		0.005187162198126316, -0.0007997853099368513, 7.806903158780187e-05}
	logPoly = []float64{0.3333333134651184, -0.2500081956386566, 0.2000124156475067, -0.166234090924263,
		0.14201579988002777, -0.13159610331058502, 0.12762217223644257, -0.07636439055204391}
)

const (
	log2e           = 0x1.715476p+0
	ln2Hi           = 0.693359375
	ln2Lo           = -2.12194440e-4
	expMin          = -87.33654
	expMax          = 88.72283
	roundToInt      = 0x1.8p23
	roundToExponent = roundToInt + 127
	erfcxShift      = 0.375
	geluCubic       = 0.044715
	geluSlope       = -1.5957691216057308
	geluLeast       = -100
	geluShift       = 0.26516504294495535
	tailEnd         = 16
)

const unarySignature = "func(dst, x *float32, n int)"

// mathFile emits the functions of kernels/vec_math.go, step by step as written there.
func mathFile(c *build.Context, w width) {
	v := newVec(c, w)
	for _, f := range []struct {
		name  string
		hoist []float64
		body  func(*vec, reg.VecVirtual) reg.VecVirtual
	}{
		{"exp", append([]float64{roundToInt, log2e, 1}, expPoly...), (*vec).exp},
		{"tanh", append([]float64{roundToExponent, log2e, 1}, expPoly...), (*vec).tanh},
		{"sigmoid", append([]float64{roundToExponent, log2e, 1}, expPoly...), (*vec).sigmoid},
		{"erf", []float64{1, roundToExponent, log2e}, (*vec).erf},
		{"erfc", append([]float64{1, roundToExponent, log2e}, expPoly...), (*vec).erfc},
		{"log", logPoly, (*vec).log},
		{"geluTanh", append([]float64{roundToExponent, log2e, 1}, expPoly...), (*vec).geluTanh},
		{"geluErf", append([]float64{1, roundToExponent, log2e}, expPoly[:3]...), (*vec).geluErf},
	} {
		v.begin(f.name, unarySignature, "writes "+f.name+" of n values, n > 0; dst may be x.")
		dst, x, n := v.pointer("dst"), v.pointer("x"), v.pointer("n")
		v.hoist(f.hoist...)
		v.elements(n, 1, func(p part) { v.storePart(p, f.body(v, v.loadPart(p, x)), dst) })
		v.end()
	}
}

func (v *vec) horner(c []float64, x reg.VecVirtual) reg.VecVirtual {
	y := v.load(v.k(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		v.mulAdd(y, x, v.k(c[i]))
	}
	return y
}

// expReduce returns 2^n and r, x = n ln 2 + r.
func (v *vec) expReduce(x reg.VecVirtual) (scale, r reg.VecVirtual) {
	t, r := v.expSplit(x, roundToExponent)
	v.VPSLLD(imm8(23), t, t)
	return t, r
}

// expSplit returns n in the low bits of a number rounded by magic, and r.
func (v *vec) expSplit(x reg.VecVirtual, magic float64) (t, r reg.VecVirtual) {
	t = v.addMul(v.load(v.k(magic)), x, v.k(log2e))
	n := v.sub(t, v.k(magic))
	r = v.addMul(v.load(x), n, v.k(-ln2Hi))
	return t, v.addMul(r, n, v.k(-ln2Lo))
}

func (v *vec) expCore(r reg.VecVirtual) reg.VecVirtual {
	return v.mulAdd(v.mulAdd(v.horner(expPoly, r), r, v.k(1)), r, v.k(1))
}

// expBelow is exp for x <= 0 or NaN.
func (v *vec) expBelow(x reg.VecVirtual) reg.VecVirtual {
	scale, r := v.expReduce(x)
	return v.mulZeroBelow(v.expCore(r), scale, x, expMin)
}

func (v *vec) expClamped(x reg.VecVirtual) reg.VecVirtual {
	scale, r := v.expReduce(v.atMost(v.atLeast(x, expMin), expMax))
	return v.mul(v.expCore(r), scale)
}

func (v *vec) exp(x reg.VecVirtual) reg.VecVirtual {
	t, r := v.expSplit(x, roundToInt)
	v.VPSLLD(imm8(23), t, t)
	y := v.expCore(r)
	v.VPADDD(t, y, y)
	y = v.where(x, cmpLess, v.k(expMin), v.zero(), y)
	y = v.where(x, cmpGreater, v.k(expMax), v.k(math.Inf(1)), y)
	return v.where(x, cmpUnordered, x, x, y)
}

func (v *vec) tanh(x reg.VecVirtual) reg.VecVirtual {
	y := v.atMost(v.abs(x), 10)
	scale, r := v.expReduce(v.add(y, y))
	p := v.mulAdd(v.horner(expPoly, r), v.mul(r, r), r)
	e := v.mulAdd(p, scale, v.sub(scale, v.k(1)))
	return v.or(v.abs(v.div(e, v.add(e, v.k(2)))), v.sign(x))
}

func (v *vec) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	return v.div(v.k(1), v.add(v.expClamped(v.xor(x, v.bits(1<<31))), v.k(1)))
}

func (v *vec) geluTanh(x reg.VecVirtual) reg.VecVirtual {
	x = v.atLeast(x, geluLeast)
	u := v.mul(v.mul(x, x), v.k(geluCubic))
	v.mulAdd(u, x, x)
	return v.div(x, v.add(v.expClamped(v.mul(u, v.k(geluSlope))), v.k(1)))
}

func (v *vec) expSquare(a reg.VecVirtual, half float64) reg.VecVirtual {
	square := v.mul(a, a)
	rest := v.load(a)
	v.VFMSUB213PS(square, a, rest)
	y := v.mul(square, v.k(-half))
	scale, r := v.expReduce(y)
	v.addMul(r, rest, v.k(-half))
	return v.mulZeroBelow(v.expCore(r), scale, y, expMin)
}

// erfcx returns erfcx(a*shift/erfcxShift).
func (v *vec) erfcx(a reg.VecVirtual, shift float64) reg.VecVirtual {
	t := v.div(v.k(1), v.addMul(v.load(v.k(1)), a, v.k(shift)))
	return v.mul(v.horner(erfcxPoly, t), t)
}

func (v *vec) erfcAbs(z reg.VecVirtual) reg.VecVirtual {
	z = v.atMost(z, tailEnd)
	return v.mul(v.erfcx(z, erfcxShift), v.expSquare(z, 1))
}

func (v *vec) erfc(x reg.VecVirtual) reg.VecVirtual {
	y := v.erfcAbs(v.abs(x))
	return v.where(x, cmpLess, v.zero(), v.sub(v.k(2), y), y)
}

func (v *vec) erf(x reg.VecVirtual) reg.VecVirtual {
	z := v.abs(x)
	large := v.or(v.abs(v.sub(v.k(1), v.erfcAbs(z))), v.sign(x))
	small := v.mulAdd(v.horner(erfPoly, v.mul(x, x)), x, x)
	return v.where(z, cmpLessEqual, v.k(1), small, large)
}

func (v *vec) geluErf(x reg.VecVirtual) reg.VecVirtual {
	a := v.atMost(v.abs(x), tailEnd)
	g := v.mul(v.erfcx(a, geluShift), v.expSquare(a, 0.5))
	g = v.mul(g, v.mul(a, v.k(0.5)))
	return v.sub(v.max(v.zero(), x), g)
}

func (v *vec) log(x reg.VecVirtual) reg.VecVirtual {
	k, f := v.reg(), v.reg()
	v.VPSUBD(v.load(v.bits(0x3f3504f3)), x, k)
	v.VPSRAD(imm8(23), k, k)
	v.VPSLLD(imm8(23), k, f)
	v.VPSUBD(f, x, f)
	f = v.sub(f, v.k(1))
	n := v.reg()
	v.VCVTDQ2PS(k, n)
	square := v.mul(f, f)
	y := v.mul(v.mul(square, f), v.horner(logPoly, f))
	v.addMul(y, n, v.k(ln2Lo))
	v.addMul(y, square, v.k(-0.5))
	y = v.addMul(v.add(f, y), n, v.k(ln2Hi))
	y = v.where(x, cmpLess, v.k(0x1p-126), v.k(math.Inf(-1)), y)
	y = v.where(x, cmpLess, v.zero(), v.bits(0x7fc00000), y)
	return v.where(x, cmpNotLE, v.k(math.MaxFloat32), x, y)
}
