package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in type quantizeArgs of package kernels.
const (
	quantLo, quantHi, quantScale = 0, 4, 8
	quantOffset, quantAway       = 12, 16
	quantLanes                   = 24
)

// codes emits the loops that make codes out of float32 values.
func codes(c *build.Context) {
	quantizeRow(c, true)
	quantizeRow(c, false)
	flipTop(c)
	widenBytes(c)
	widenQuads(c)
	interleave(c)
}

// quantizeRow emits the loop of Set.Quantize over one row.
func quantizeRow(c *build.Context, zmm bool) {
	name, tail := "quantizeRowAVX2", "the last n%8 values take the mask in q; it writes whole groups of 8"
	if zmm {
		name, tail = "quantizeRowAVX512", "the last n%16 values are masked"
	}
	function(c, name, "func(dst *uint8, x *float32, n int, q *byte)", name+" writes the codes of n values: "+tail+".")
	q := quantizer{Context: c, zmm: zmm}
	dst, x, n, args := reg.RDI, reg.RSI, reg.RDX, reg.R8
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("x"), x)
	c.Load(c.Param("n"), n)
	c.Load(c.Param("q"), args)
	q.constants(args)
	c.MOVL(Mem{Base: args, Disp: quantAway}, reg.EAX)
	c.TESTL(reg.EAX, reg.EAX)
	c.JNZ(LabelRef("away"))
	for _, away := range []bool{false, true} {
		q.away, q.suffix = away, ""
		if away {
			q.suffix = "away"
			c.Label("away")
		}
		if zmm {
			q.loop512(dst, x, n)
		} else {
			q.loop256(dst, x, n, args)
		}
		c.VZEROUPPER()
		c.RET()
	}
}

type quantizer struct {
	*build.Context
	zmm, away bool
	suffix    string

	lo, hi, scale, order, offset, zero, half, sign reg.VecPhysical
}

// constants broadcasts the operands to the last registers.
func (q *quantizer) constants(args reg.GPPhysical) {
	q.lo, q.hi, q.scale, q.order, q.offset, q.zero, q.half, q.sign =
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15
	if q.zmm {
		q.lo, q.hi, q.scale, q.order, q.offset, q.zero, q.half, q.sign =
			reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31
	}
	for _, b := range []struct {
		disp int
		r    reg.VecPhysical
	}{{quantLo, q.lo}, {quantHi, q.hi}, {quantScale, q.scale}, {quantOffset, q.offset}} {
		q.VBROADCASTSS(Mem{Base: args, Disp: b.disp}, b.r)
	}
	x := reg.X15
	q.MOVL(U32(0x80000000), reg.EAX)
	q.VMOVD(reg.EAX, x)
	q.VPBROADCASTD(x, q.sign)
	x = reg.X14
	q.MOVL(U32(0x3f000000), reg.EAX) // 0.5
	q.VMOVD(reg.EAX, x)
	q.VPBROADCASTD(x, q.half)
	name, lanes := "packorder256", 2
	if q.zmm {
		name, lanes = "packorder512", 4
		q.VPXORD(q.zero, q.zero, q.zero)
	}
	// Dword lane*4 + i of the packs is dword i*lanes + lane of the result.
	order := q.StaticGlobal(name)
	q.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 4 {
		for lane := range lanes {
			q.AddDatum(i*lanes+lane, U8(4*lane+i))
		}
	}
	q.VPMOVZXBD(order, q.order)
}

// code turns the floats of x into int32 codes, not yet saturated. t and u are free.
//
// In VMINPS and VMAXPS the value is the second operand, so that NaN stays NaN up to the conversion, which
// makes it the least int32.
func (q *quantizer) code(x, t, u reg.VecPhysical) {
	q.VMINPS(x, q.hi, x)
	q.VMAXPS(x, q.lo, x)
	q.VMULPS(q.scale, x, x)
	if q.away {
		// Round to even, then add one step where the value was exactly half a step further out.
		if q.zmm {
			q.VPANDD(q.sign, x, u)
			q.VPORD(q.half, u, u)
			q.VRNDSCALEPS(U8(0), x, t)
			q.VSUBPS(t, x, x)
			q.VCMPPS(U8(0), u, x, reg.K2)
			q.VADDPS(u, u, u)
			q.VADDPS(u, t, reg.K2, t)
			q.VMOVAPS(t, x)
		} else {
			q.VPAND(q.sign, x, u)
			q.VPOR(q.half, u, u)
			q.VROUNDPS(U8(0), x, t)
			q.VSUBPS(t, x, x)
			q.VCMPPS(U8(0), u, x, x)
			q.VADDPS(u, u, u)
			q.VPAND(x, u, u)
			q.VADDPS(u, t, x)
		}
	}
	q.VCVTPS2DQ(x, x)
}

// pack makes bytes of four vectors of int32 codes, in r[0]. The packs work in 128-bit lanes, of which order
// puts the pieces right. Adding the offset saturates, as the packs do.
func (q *quantizer) pack(r []reg.VecPhysical) {
	q.VPACKSSDW(r[1], r[0], r[0])
	q.VPACKSSDW(r[3], r[2], r[2])
	q.VPADDSW(q.offset, r[0], r[0])
	q.VPADDSW(q.offset, r[2], r[2])
	q.VPACKUSWB(r[2], r[0], r[0])
	q.VPERMD(r[0], q.order, r[0])
}

func (q *quantizer) loop512(dst, x, n reg.GPPhysical) {
	regs := []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3}
	temps := []reg.VecPhysical{reg.Z4, reg.Z5, reg.Z6, reg.Z7}
	more := []reg.VecPhysical{reg.Z8, reg.Z9, reg.Z10, reg.Z11}
	l := func(s string) string { return s + q.suffix }
	q.SUBQ(U8(64), n)
	q.JLT(LabelRef(l("rest")))
	q.Label(l("loop"))
	for i, r := range regs {
		q.VMOVUPS(Mem{Base: x, Disp: 64 * i}, r)
		q.code(r, temps[i], more[i])
	}
	q.pack(regs)
	q.VMOVDQU32(regs[0], Mem{Base: dst})
	q.ADDQ(U32(256), x)
	q.ADDQ(U8(64), dst)
	q.SUBQ(U8(64), n)
	q.JGE(LabelRef(l("loop")))
	q.Label(l("rest"))
	q.ADDQ(U8(64), n)
	q.JZ(LabelRef(l("done")))
	q.VPSRLD(U8(16), q.offset, q.offset) // from two int16 to one int32
	q.Label(l("group"))
	// The lanes of this group: all 16, or the n that are left.
	q.MOVL(U32(0xffff), reg.EAX)
	q.XORL(reg.EBX, reg.EBX)
	q.MOVL(U32(16), reg.ECX)
	q.SUBL(n.As32(), reg.ECX)
	q.CMOVLLT(reg.EBX, reg.ECX)
	q.SHRL(reg.CL, reg.EAX)
	q.KMOVW(reg.EAX, reg.K1)
	q.VMOVUPS_Z(Mem{Base: x}, reg.K1, regs[0])
	q.code(regs[0], temps[0], more[0])
	q.VPADDD(q.offset, regs[0], regs[0])
	q.VPMAXSD(q.zero, regs[0], regs[0])
	q.VPMOVUSDB(regs[0], reg.K1, Mem{Base: dst})
	q.ADDQ(U8(64), x)
	q.ADDQ(U8(16), dst)
	q.SUBQ(U8(16), n)
	q.JGT(LabelRef(l("group")))
	q.Label(l("done"))
}

func (q *quantizer) loop256(dst, x, n, args reg.GPPhysical) {
	regs := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3}
	t, u, mask := reg.Y4, reg.Y5, reg.Y6
	l := func(s string) string { return s + q.suffix }
	q.SUBQ(U8(32), n)
	q.JLT(LabelRef(l("rest")))
	q.Label(l("loop"))
	for i, r := range regs {
		q.VMOVUPS(Mem{Base: x, Disp: 32 * i}, r)
		q.code(r, t, u)
	}
	q.pack(regs)
	q.VMOVDQU(regs[0], Mem{Base: dst})
	q.SUBQ(I8(-128), x)
	q.ADDQ(U8(32), dst)
	q.SUBQ(U8(32), n)
	q.JGE(LabelRef(l("loop")))
	q.Label(l("rest"))
	q.ADDQ(U8(32), n)
	q.JZ(LabelRef(l("done")))
	q.Label(l("group"))
	q.VPCMPEQD(mask, mask, mask)
	q.CMPQ(n, U8(8))
	q.JGE(LabelRef(l("whole")))
	q.MOVQ(Mem{Base: args, Disp: quantLanes}, reg.RAX)
	q.VMOVDQU(Mem{Base: reg.RAX}, mask)
	q.Label(l("whole"))
	q.VMASKMOVPS(Mem{Base: x}, mask, regs[0])
	q.code(regs[0], t, u)
	q.VEXTRACTI128(U8(1), regs[0], reg.X1)
	q.VPACKSSDW(reg.X1, reg.X0, reg.X0)
	q.VPADDSW(reg.X12, reg.X0, reg.X0) // X12 is part of q.offset
	q.VPACKUSWB(reg.X0, reg.X0, reg.X0)
	q.VMOVQ(reg.X0, Mem{Base: dst})
	q.ADDQ(U8(32), x)
	q.ADDQ(U8(8), dst)
	q.SUBQ(U8(8), n)
	q.JGT(LabelRef(l("group")))
	q.Label(l("done"))
}

// flipTop emits the loop that turns signed bytes into unsigned ones.
func flipTop(c *build.Context) {
	function(c, "flipTopAVX2", "func(dst, src *uint8, n int)",
		"flipTopAVX2 writes n bytes, a multiple of 32, with the top bits flipped.")
	dst, src, n := reg.RDI, reg.RSI, reg.RDX
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("n"), n)
	c.VPCMPEQB(reg.Y1, reg.Y1, reg.Y1)
	c.VPABSB(reg.Y1, reg.Y1)
	c.VPSLLW(U8(7), reg.Y1, reg.Y1)
	c.Label("loop")
	c.VPXOR(Mem{Base: src}, reg.Y1, reg.Y0)
	c.VMOVDQU(reg.Y0, Mem{Base: dst})
	c.ADDQ(U8(32), src)
	c.ADDQ(U8(32), dst)
	c.SUBQ(U8(32), n)
	c.JG(LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
}

// widenBytes emits the loop that turns bytes into int16, for the AVX2 products.
func widenBytes(c *build.Context) {
	function(c, "widenBytesAVX2", "func(dst *int16, src *uint8, n, shift int)",
		"widenBytesAVX2 zero-extends n bytes, a multiple of 64, and subtracts shift from each.")
	dst, src, n := reg.RDI, reg.RSI, reg.RDX
	c.Load(c.Param("shift"), n)
	c.VMOVQ(n, reg.X7)
	c.VPBROADCASTW(reg.X7, reg.Y7)
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("n"), n)
	c.Label("loop")
	c.SUBQ(U8(64), n)
	c.JLT(LabelRef("done"))
	for i, r := range []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3} {
		c.VPMOVZXBW(Mem{Base: src, Disp: 16 * i}, r)
		c.VPSUBW(reg.Y7, r, r)
		c.VMOVDQU(r, Mem{Base: dst, Disp: 32 * i})
	}
	c.ADDQ(U8(64), src)
	c.SUBQ(I8(-128), dst)
	c.JMP(LabelRef("loop"))
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}

// widenQuads emits the loop that makes panels of int16 pairs out of panels of byte quads.
func widenQuads(c *build.Context) {
	function(c, "widenQuadsAVX2", "func(dst *int16, src *int8, n int)",
		"widenQuadsAVX2 sign-extends n bytes, a multiple of 64: 16 columns of 4 become 16 columns of the first 2,",
		"then 16 columns of the last 2.")
	// In each lane the first halves of the quads, then the last ones.
	order := c.StaticGlobal("quadhalves")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, b := range []byte{0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15} {
		c.AddDatum(i, U8(b))
	}
	dst, src, n := reg.RDI, reg.RSI, reg.RDX
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("n"), n)
	c.VBROADCASTI128(order, reg.Y7)
	c.Label("loop")
	c.SUBQ(U8(64), n)
	c.JLT(LabelRef("done"))
	for i := range 2 {
		c.VMOVDQU(Mem{Base: src, Disp: 32 * i}, reg.Y0)
		c.VPSHUFB(reg.Y7, reg.Y0, reg.Y0)
		c.VPERMQ(U8(0xd8), reg.Y0, reg.Y0)
		c.VEXTRACTI128(U8(1), reg.Y0, reg.X1)
		c.VPMOVSXBW(reg.X0, reg.Y0)
		c.VPMOVSXBW(reg.X1, reg.Y1)
		c.VMOVDQU(reg.Y0, Mem{Base: dst, Disp: 32 * i})
		c.VMOVDQU(reg.Y1, Mem{Base: dst, Disp: 64 + 32*i})
	}
	c.ADDQ(U8(64), src)
	c.SUBQ(I8(-128), dst)
	c.JMP(LabelRef("loop"))
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}

// interleave emits the loop that makes byte quads out of four rows, again and again.
func interleave(c *build.Context) {
	function(c, "interleaveAVX2", "func(dst *byte, ldd int, src *byte, lds, cols, quads int)",
		"interleaveAVX2 writes the quads of cols columns, a multiple of 16, of each four rows at src, lds bytes apart; what",
		"becomes of four rows starts ldd bytes after what became of the four before. It wants cols and quads above 0.")
	to, from, ld, n, third := reg.RDI, reg.RSI, reg.RCX, reg.RDX, reg.RAX
	dst, src, ldd, cols, quads := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12
	c.Load(c.Param("dst"), dst)
	c.Load(c.Param("ldd"), ldd)
	c.Load(c.Param("src"), src)
	c.Load(c.Param("lds"), ld)
	c.Load(c.Param("cols"), cols)
	c.Load(c.Param("quads"), quads)
	c.LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, third)
	c.Label("quad")
	c.MOVQ(dst, to)
	c.MOVQ(src, from)
	c.MOVQ(cols, n)
	c.Label("loop")
	c.VMOVDQU(Mem{Base: from}, reg.X0)
	c.VMOVDQU(Mem{Base: from, Index: ld, Scale: 1}, reg.X1)
	c.VMOVDQU(Mem{Base: from, Index: ld, Scale: 2}, reg.X2)
	c.VMOVDQU(Mem{Base: from, Index: third, Scale: 1}, reg.X3)
	c.VPUNPCKLBW(reg.X1, reg.X0, reg.X4)
	c.VPUNPCKHBW(reg.X1, reg.X0, reg.X5)
	c.VPUNPCKLBW(reg.X3, reg.X2, reg.X6)
	c.VPUNPCKHBW(reg.X3, reg.X2, reg.X7)
	c.VPUNPCKLWD(reg.X6, reg.X4, reg.X0)
	c.VPUNPCKHWD(reg.X6, reg.X4, reg.X1)
	c.VPUNPCKLWD(reg.X7, reg.X5, reg.X2)
	c.VPUNPCKHWD(reg.X7, reg.X5, reg.X3)
	for i, r := range []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3} {
		c.VMOVDQU(r, Mem{Base: to, Disp: 16 * i})
	}
	c.ADDQ(U8(16), from)
	c.ADDQ(U8(64), to)
	c.SUBQ(U8(16), n)
	c.JG(LabelRef("loop"))
	c.ADDQ(ldd, dst)
	c.LEAQ(Mem{Base: src, Index: ld, Scale: 4}, src)
	c.DECQ(quads)
	c.JNZ(LabelRef("quad"))
	c.VZEROUPPER()
	c.RET()
}
