package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fewF32 emits the product of four rows and an operand that is transposed in registers, on the way.
func fewF32(c *build.Context) {
	g := &fewGen{Context: c}
	function(c, "fewTransposedF32", "func(dst *float32, ldd int, a *float32, lda int, b *float32, ldb, rows, cols, k, soon, later int)",
		"fewTransposedF32 writes the product of 1 <= rows <= 4 rows of a and of cols > 0 rows of b, all of k elements, a multiple of",
		"16 and not 0. Sums go over ascending k. Strides are in bytes. It prefetches what lies soon bytes behind b, and later bytes",
		"behind that.")
	p, off, b, ldb, cols, k := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	g.Load(g.Param("rows"), cols)
	g.rows(fewLeft, "a", "lda", cols, k)
	g.rows(fewDst, "dst", "ldd", cols, k)
	g.Load(g.Param("b"), b)
	g.Load(g.Param("ldb"), ldb)
	g.Load(g.Param("cols"), cols)
	g.Load(g.Param("k"), k)
	g.SHLQ(U8(2), k)
	table := g.AllocLocal(16 * 8)
	var distances []Mem // from one operand to the next
	for _, name := range []string{"soon", "later"} {
		d, err := g.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		distances = append(distances, d.Addr)
	}
	z, t, acc := fewZ[:16], fewZ[16:20], fewZ[20:24]

	g.Label("columns")
	// Pointers to 16 rows of b; those beyond the last row repeat it. b ends at the row after them.
	for i := range 16 {
		g.MOVQ(b, table.Offset(8*i))
		g.LEAQ(Mem{Base: b, Index: ldb, Scale: 1}, p)
		g.CMPQ(cols, U8(i+1))
		g.CMOVQGT(p, b)
	}
	g.zero(acc...)
	g.XORQ(off, off)

	g.Label("steps")
	for i := range 16 {
		g.MOVQ(table.Offset(8*i), p)
		g.VMOVUPS(Mem{Base: p, Index: off, Scale: 1}, z[i])
		for _, d := range distances {
			g.ADDQ(d, p)
			g.PREFETCHT0(Mem{Base: p, Index: off, Scale: 1})
		}
	}
	// Lane l of vector 4i+j becomes element 4l+j of rows 4i and on.
	for i := 0; i < 16; i += 4 {
		transposeQuads(c, z[i:][:4], t)
	}
	// Then vector 4l+j becomes element 4l+j of all rows.
	for j := range 4 {
		x := []reg.VecPhysical{z[j], z[4+j], z[8+j], z[12+j]}
		g.transposeLanes(x, t, x)
	}
	for e := range 16 {
		for i, a := range fewLeft {
			g.VFMADD231PS_BCST(Mem{Base: a, Index: off, Scale: 1, Disp: 4 * e}, z[e], acc[i])
		}
	}
	g.ADDQ(U8(64), off)
	g.CMPQ(off, k)
	g.JLT(LabelRef("steps"))

	g.CMPQ(cols, U8(16))
	g.JLT(LabelRef("tail"))
	for i, d := range fewDst {
		g.VMOVUPS(acc[i], Mem{Base: d})
		g.ADDQ(U8(64), d)
	}
	g.SUBQ(U8(16), cols)
	g.JNZ(LabelRef("columns"))
	g.VZEROUPPER()
	g.RET()

	g.Label("tail")
	g.lowMask(cols, reg.K1)
	for i, d := range fewDst {
		g.VMOVUPS(acc[i], reg.K1, Mem{Base: d})
	}
	g.VZEROUPPER()
	g.RET()
}
