package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantizeFile emits the conversions between float32 and codes.
func quantizeFile(c *build.Context) {
	v := newVec(c, ymm)
	for _, f := range []struct {
		name, code string
		pack       func(...Op)
		away       bool
	}{
		{"quantizeS8", "int8", v.VPACKSSWB, false},
		{"quantizeAwayS8", "int8", v.VPACKSSWB, true},
		{"quantizeU8", "uint8", v.VPACKUSWB, false},
		{"quantizeAwayU8", "uint8", v.VPACKUSWB, true},
	} {
		v.begin(f.name, "func(dst *"+f.code+", x *float32, n int, scale, lo, hi float32)",
			"writes the codes clamp(x*scale, lo, hi) of n > 0 values, rounded half to even or, where its name says"+
				" so, away from zero.")
		v.quantize(f.pack, f.away)
	}
	v.dequantize("dequantizeS8", "int8", func(m Mem, y reg.VecVirtual) { v.VPMOVSXBD(m, y) }, v.MOVBLSX, false)
	v.dequantize("dequantizeU8", "uint8", func(m Mem, y reg.VecVirtual) { v.VPMOVZXBD(m, y) }, v.MOVBLZX, true)

	v.begin("dequantizeS32", "func(dst *float32, q *int32, n int, scale float32)", "writes f32(q)*scale of n > 0 codes.")
	dst, q, n, scale := v.pointer("dst"), v.pointer("q"), v.pointer("n"), v.scalar("scale")
	v.elements(n, 4, func(p part) {
		y := v.loadPart(p, q)
		v.VCVTDQ2PS(y, y)
		v.storePart(p, v.mul(y, scale), dst)
	})
	v.end()
}

// halfBelow is the greatest float32 below 1/2: added to |v| < 2^22 before truncation it rounds halves up and
// nothing else.
const halfBelow = 0x1.fffffep-2

func (v *vec) quantize(pack func(...Op), away bool) {
	dst, x, n := v.pointer("dst"), v.pointer("x"), v.pointer("n")
	scale, lo, hi := v.scalar("scale"), v.scalar("lo"), v.scalar("hi")
	half, signs := v.load(v.k(halfBelow)), v.load(v.bits(1<<31))
	codes := func(y reg.VecVirtual) reg.VecVirtual {
		// NaN passes both bounds and becomes the least int32.
		y = v.min(hi, v.mul(y, scale))
		y = v.max(lo, y)
		if away {
			y = v.add(y, v.or(v.and(y, signs), half))
			v.VCVTTPS2DQ(y, y)
		} else {
			v.VCVTPS2DQ(y, y)
		}
		return y
	}
	// The packing instructions work in halves of 128 bits, so that groups of 4 codes come out in this order.
	order := v.load(v.pattern("order", 0, 4, 1, 5, 2, 6, 3, 7))

	loop, end, eight, eightEnd, done, rest, last := v.label("loop"), v.label("end"), v.label("eight"),
		v.label("eightEnd"), v.label("done"), v.label("rest"), v.label("last")
	v.SUBQ(U32(32), n)
	v.JL(end)
	v.Label(string(loop))
	var y [4]reg.VecVirtual
	for j := range y {
		y[j] = codes(v.load(Mem{Base: x, Disp: 32 * j}))
	}
	v.VPACKSSDW(y[1], y[0], y[0])
	v.VPACKSSDW(y[3], y[2], y[2])
	pack(y[2], y[0], y[0])
	v.VPERMD(y[0], order, y[0])
	v.VMOVDQU(y[0], Mem{Base: dst})
	v.ADDQ(U32(128), x)
	v.ADDQ(U32(32), dst)
	v.SUBQ(U32(32), n)
	v.JGE(loop)
	v.Label(string(end))
	v.ADDQ(U32(32), n)

	bytes := v.GP64()
	narrow := func(y reg.VecVirtual) {
		v.VPACKSSDW(y, y, y)
		pack(y, y, y)
		v.VPERMD(y, order, y)
		v.VMOVQ(y.AsX(), bytes)
	}
	v.SUBQ(U32(8), n)
	v.JL(eightEnd)
	v.Label(string(eight))
	narrow(codes(v.load(Mem{Base: x})))
	v.MOVQ(bytes, Mem{Base: dst})
	v.ADDQ(U32(32), x)
	v.ADDQ(U32(8), dst)
	v.SUBQ(U32(8), n)
	v.JGE(eight)
	v.Label(string(eightEnd))
	v.ADDQ(U32(8), n)
	v.JZ(done)

	v.Label(string(rest))
	t := v.tail(v.copyOf(n))
	index := v.GP64()
	v.XORQ(index, index)
	narrow(codes(v.loadPart(part{index: index, tail: &t}, x)))
	v.Label(string(last))
	v.MOVB(bytes.As8(), Mem{Base: dst})
	v.SHRQ(imm8(8), bytes)
	v.INCQ(dst)
	v.DECQ(n)
	v.JNZ(last)
	v.Label(string(done))
	v.end()
}

func (v *vec) dequantize(name, code string, wide func(Mem, reg.VecVirtual), one func(m, r Op), offset bool) {
	signature, doc := "scale float32)", "writes f32(q)*scale of n > 0 codes."
	if offset {
		signature, doc = "scale, min float32)", "writes f32(q)*scale + min of n > 0 codes, two roundings."
	}
	v.begin(name, "func(dst *float32, q *"+code+", n int, "+signature, doc)
	dst, q, n, scale := v.pointer("dst"), v.pointer("q"), v.pointer("n"), v.scalar("scale")
	var low reg.VecVirtual
	if offset {
		low = v.scalar("min")
	}
	finish := func(y reg.VecVirtual) reg.VecVirtual {
		v.VCVTDQ2PS(y, y)
		y = v.mul(y, scale)
		if offset {
			y = v.add(y, low)
		}
		return y
	}
	for _, group := range []int{4, 1} {
		loop, end := v.label("loop"), v.label("end")
		v.SUBQ(U32(8*group), n)
		v.JL(end)
		v.Label(string(loop))
		for j := range group {
			y := v.reg()
			wide(Mem{Base: q, Disp: 8 * j}, y)
			v.VMOVUPS(finish(y), Mem{Base: dst, Disp: 32 * j})
		}
		v.ADDQ(U32(8*group), q)
		v.ADDQ(U32(32*group), dst)
		v.SUBQ(U32(8*group), n)
		v.JGE(loop)
		v.Label(string(end))
		v.ADDQ(U32(8*group), n)
	}
	last, done := v.label("last"), v.label("done")
	v.JZ(done)
	v.Label(string(last))
	word := v.GP32()
	one(Mem{Base: q}, word)
	y := v.reg()
	v.VMOVD(word, y.AsX())
	v.VMOVSS(finish(y).AsX(), Mem{Base: dst})
	v.INCQ(q)
	v.ADDQ(U32(4), dst)
	v.DECQ(n)
	v.JNZ(last)
	v.Label(string(done))
	v.end()
}
