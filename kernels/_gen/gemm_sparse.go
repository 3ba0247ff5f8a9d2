package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// blockSteps is the steps of k that a sparse tile covers: those of a block of a panel that lies in the first cache.
const blockSteps = 64

// startSparse sets the accumulators of a sparse tile to 0, or to the sums of the steps before.
func (g *tileGen) startSparse() {
	g.MOVQ(g.arg(argSums), gp.tmp)
	g.TESTQ(gp.tmp, gp.tmp)
	g.JNZ(LabelRef("resume"))
	g.start()
	g.JMP(LabelRef("started"))
	g.Label("resume")
	for v, acc := range g.acc[0] {
		g.VMOVUPS(Mem{Base: gp.tmp, Disp: v * g.bytes}, acc)
	}
	g.ADDQ(U32(g.vecs*g.bytes), gp.tmp)
	g.MOVQ(gp.tmp, g.arg(argSums))
	g.Label("started")
}

// sparseLoop runs over the steps whose bits are set for this row.
func (g *tileGen) sparseLoop() {
	g.MOVQ(g.arg(argBits), gp.tmp)
	g.MOVQ(Mem{Base: gp.tmp}, gp.bits)
	g.ADDQ(U8(8), gp.tmp)
	g.MOVQ(gp.tmp, g.arg(argBits))
	g.prefetchBlock()
	g.TESTQ(gp.bits, gp.bits)
	g.JZ(LabelRef("done"))
	shift := 6 // from a step to a row of a panel
	if g.zmm {
		shift = 8
	}
	g.Label("steps")
	g.TZCNTQ(gp.bits, gp.at)
	g.VBROADCASTSS(Mem{Base: gp.row, Index: gp.at, Scale: 4}, g.av)
	g.SHLQ(U8(shift), gp.at)
	g.LEAQ(Mem{Base: gp.b0, Index: gp.at, Scale: 1}, gp.b)
	g.BLSRQ(gp.bits, gp.bits)
	for v, acc := range g.acc[0] {
		g.VFMADD231PS(g.vecAt(v, 0), g.av, acc)
	}
	g.JNZ(LabelRef("steps")) // of BLSR: no instruction since sets flags
	g.Label("done")
}

// prefetchBlock asks for a row's share of the block behind this one.
func (g *tileGen) prefetchBlock() {
	g.MOVQ(g.arg(argNext), gp.tmp)
	g.MOVQ(g.arg(argAhead), gp.at)
	g.ADDQ(gp.tmp, gp.at)
	g.MOVQ(gp.at, g.arg(argNext))
	g.Label("prefetch")
	for i := range 4 {
		g.PREFETCHT1(Mem{Base: gp.tmp, Disp: 64 * i})
	}
	g.ADDQ(U32(4*64), gp.tmp)
	g.CMPQ(gp.tmp, gp.at)
	g.JLT(LabelRef("prefetch"))
}

// nonzero emits the routines that find out which elements are not 0.
func nonzero(c *build.Context) {
	for _, zmm := range []bool{false, true} {
		emitNonzero(c, zmm)
	}
}

func emitNonzero(c *build.Context, zmm bool) {
	name := "nonzeroAVX2"
	if zmm {
		name = "nonzeroAVX512"
	}
	function(c, name, "func(bits *uint64, stride int, a *float32, lda, rows, blocks int) uint32",
		name+" sets, for each 64 of 64*blocks > 0 columns of rows > 0 rows of a, the bits of those that are not 0: of a block all rows",
		"follow each other, stride bytes behind those of the block before. It returns the least bits but the sign of what is not 0, less 1.")
	bits, stride, a, lda, rows, blocks := reg.RDI, reg.R8, reg.RSI, reg.R9, reg.RDX, reg.R10
	p, x, left, set := reg.RBX, reg.R11, reg.RCX, reg.RAX
	for i, r := range []reg.GPPhysical{bits, stride, a, lda, rows, blocks} {
		c.Load(c.ParamIndex(i), r)
	}
	g := &tileGen{Context: c, family: &family{zmm: zmm}}
	least, ones, abs, zero, v, t := reg.VecPhysical(reg.Y0), reg.VecPhysical(reg.Y1), reg.VecPhysical(reg.Y2), reg.VecPhysical(reg.Y3), reg.VecPhysical(reg.Y4), reg.VecPhysical(reg.Y5)
	lanes := 8
	if zmm {
		lanes = 16
		least, ones, abs, zero, v = reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4
		c.VPTERNLOGD(U8(0xff), ones, ones, ones)
		c.VMOVDQA32(ones, least)
	} else {
		c.VPCMPEQD(ones, ones, ones)
		c.VMOVDQA(ones, least)
	}
	c.VPSRLD(U8(1), ones, abs)
	g.zero(zero)

	c.Label("row")
	c.MOVQ(bits, p)
	c.MOVQ(a, x)
	c.MOVQ(blocks, left)
	c.Label("block")
	for i := 0; i < blockSteps; i += lanes {
		if zmm {
			c.VPANDD(Mem{Base: x, Disp: 4 * i}, abs, v)
			c.VPTESTMD(v, v, reg.K1)
			c.KMOVW(reg.K1, Mem{Base: p, Disp: i / 8})
		} else {
			c.VPAND(Mem{Base: x, Disp: 4 * i}, abs, v)
			c.VPCMPEQD(zero, v, t)
			c.VMOVMSKPS(t, set.As32())
			c.XORL(U32(0xff), set.As32())
			c.MOVB(set.As8(), Mem{Base: p, Disp: i / 8})
		}
		c.VPADDD(ones, v, v)
		c.VPMINUD(v, least, least)
	}
	c.ADDQ(stride, p)
	c.ADDQ(U32(4*blockSteps), x)
	c.DECQ(left)
	c.JNZ(LabelRef("block"))
	c.ADDQ(U8(8), bits)
	c.ADDQ(lda, a)
	c.DECQ(rows)
	c.JNZ(LabelRef("row"))

	if zmm {
		c.VEXTRACTI64X4(U8(1), least, t)
		c.VPMINUD(t, least.AsY(), least.AsY())
	}
	c.VEXTRACTI128(U8(1), least.AsY(), t.AsX())
	c.VPMINUD(t.AsX(), least.AsX(), least.AsX())
	for _, order := range []uint8{0x4e, 0xb1} {
		c.VPSHUFD(U8(order), least.AsX(), t.AsX())
		c.VPMINUD(t.AsX(), least.AsX(), least.AsX())
	}
	result, err := c.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	c.VMOVD(least.AsX(), set.As32())
	c.MOVL(set.As32(), result.Addr)
	c.VZEROUPPER()
	c.RET()
}
