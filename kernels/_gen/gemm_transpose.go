package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose emits the transposition of a matrix of 32-bit elements by blocks of 8 x 8.
func transpose(c *build.Context) {
	function(c, "transposeAVX2", "func(dst *byte, ldd int, src *byte, lds, rows, cols int)",
		"transposeAVX2 writes the transpose of src, [rows, cols] of 4-byte elements, to dst; strides are in bytes.",
		"It wants rows > 0 and cols >= 8, and fills the rows of dst up to a multiple of 8 elements.")
	p := []reg.GPPhysical{reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8, reg.R9}
	col, dst, ldd, ldd3, row, tmp := reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15
	c.Load(c.Param("ldd"), ldd)
	c.LEAQ(Mem{Base: ldd, Index: ldd, Scale: 2}, ldd3)
	c.XORQ(row, row)

	c.Label("rows")
	// Rows beyond the last one repeat it.
	c.Load(c.Param("lds"), tmp)
	c.MOVQ(row, p[0])
	c.IMULQ(tmp, p[0])
	c.Load(c.Param("src"), dst)
	c.ADDQ(dst, p[0])
	c.Load(c.Param("rows"), dst)
	c.SUBQ(row, dst) // rows left
	for i := 1; i < 8; i++ {
		c.LEAQ(Mem{Base: p[i-1], Index: tmp, Scale: 1}, p[i])
		c.CMPQ(dst, U8(i))
		c.CMOVQLE(p[i-1], p[i])
	}
	c.XORQ(col, col)

	c.Label("cols")
	c.MOVQ(col, dst)
	c.IMULQ(ldd, dst)
	c.Load(c.Param("dst"), tmp)
	c.ADDQ(tmp, dst)
	c.LEAQ(Mem{Base: dst, Index: row, Scale: 4}, dst)
	y := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	z := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	for i := range 8 {
		c.VMOVUPS(Mem{Base: p[i], Index: col, Scale: 4}, y[i])
	}
	for i := 0; i < 8; i += 4 {
		transposeQuads(c, y[i:][:4], z[i:][:4])
	}
	for i := range 4 {
		c.VPERM2F128(U8(0x20), y[i+4], y[i], z[i])
		c.VPERM2F128(U8(0x31), y[i+4], y[i], z[i+4])
	}
	c.LEAQ(Mem{Base: dst, Index: ldd, Scale: 4}, tmp)
	for i := range 8 {
		m := Mem{Base: dst}
		if i >= 4 {
			m.Base = tmp
		}
		switch i % 4 {
		case 1, 2:
			m.Index, m.Scale = ldd, uint8(i%4)
		case 3:
			m.Index, m.Scale = ldd3, 1
		}
		c.VMOVUPS(z[i], m)
	}
	// The last columns are a whole block too, which may overlap the one before.
	c.ADDQ(U8(8), col)
	c.Load(c.Param("cols"), tmp)
	c.CMPQ(col, tmp)
	c.JGE(LabelRef("next"))
	c.SUBQ(U8(8), tmp)
	c.CMPQ(col, tmp)
	c.CMOVQGT(tmp, col)
	c.JMP(LabelRef("cols"))

	c.Label("next")
	c.ADDQ(U8(8), row)
	c.Load(c.Param("rows"), tmp)
	c.CMPQ(row, tmp)
	c.JLT(LabelRef("rows"))
	c.VZEROUPPER()
	c.RET()
}

// transposeQuads transposes, in each lane of 128 bits, the 4 x 4 matrix of 32-bit elements whose rows the vectors of x hold.
func transposeQuads(c *build.Context, x, t []reg.VecPhysical) {
	for i := 0; i < 4; i += 2 {
		c.VUNPCKLPS(x[i+1], x[i], t[i])
		c.VUNPCKHPS(x[i+1], x[i], t[i+1])
	}
	c.VUNPCKLPD(t[2], t[0], x[0])
	c.VUNPCKHPD(t[2], t[0], x[1])
	c.VUNPCKLPD(t[3], t[1], x[2])
	c.VUNPCKHPD(t[3], t[1], x[3])
}
