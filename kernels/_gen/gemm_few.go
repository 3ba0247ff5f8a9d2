package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// few emits the integer products of four rows and an operand that is read once, in place: to pack it would
// cost more than to multiply.
func few(c *build.Context) {
	g := &fewGen{Context: c}
	g.scores()
	g.weigh()
}

// fewGen emits products of four rows; a row pointer beyond the last row repeats it, so that what it computes is
// stored twice.
type fewGen struct{ *build.Context }

var (
	fewRow  = []reg.GPPhysical{reg.RAX, reg.RBX, reg.RCX, reg.RDX} // rows of b
	fewDst  = []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}
	fewLeft = []reg.GPPhysical{reg.R12, reg.R13, reg.R14, reg.R15} // rows of a
	fewZ    = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9,
		reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21,
		reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}
)

// rows sets pointers to four rows of the parameter base, stride bytes apart, of which limit exist.
func (g *fewGen) rows(p []reg.GPPhysical, base, stride string, limit, tmp reg.GPPhysical) {
	g.Load(g.Param(base), p[0])
	g.Load(g.Param(stride), tmp)
	g.next(p, tmp, limit)
}

// next sets p[1:] behind p[0], tmp bytes apart, where limit rows are left.
func (g *fewGen) next(p []reg.GPPhysical, tmp, limit reg.GPPhysical) {
	for i := 1; i < 4; i++ {
		g.LEAQ(Mem{Base: p[i-1], Index: tmp, Scale: 1}, p[i])
		g.CMPQ(limit, U8(i))
		g.CMOVQLE(p[i-1], p[i])
	}
}

func (g *fewGen) zero(z ...reg.VecPhysical) {
	for _, z := range z {
		g.VPXORD(z, z, z)
	}
}

// combineLanes makes out[0] the vector whose lane i of 128 bits combines the lanes of in[i]: the upper half with the lower one
// until one is left.
func (g *fewGen) combineLanes(in, out []reg.VecPhysical, f func(...Op)) {
	for i := range 2 {
		g.VSHUFI32X4(U8(0x44), in[2*i+1], in[2*i], out[0])
		g.VSHUFI32X4(U8(0xee), in[2*i+1], in[2*i], out[1])
		f(out[0], out[1], out[2+i])
	}
	g.VSHUFI32X4(U8(0x88), out[3], out[2], out[0])
	g.VSHUFI32X4(U8(0xdd), out[3], out[2], out[1])
	f(out[0], out[1], out[0])
}

// transposeLanes makes out the transpose of a 4 x 4 matrix of lanes of 128 bits, a vector a row. out may be in.
func (g *fewGen) transposeLanes(in, t, out []reg.VecPhysical) {
	g.VSHUFF32X4(U8(0x44), in[1], in[0], t[0])
	g.VSHUFF32X4(U8(0xee), in[1], in[0], t[1])
	g.VSHUFF32X4(U8(0x44), in[3], in[2], t[2])
	g.VSHUFF32X4(U8(0xee), in[3], in[2], t[3])
	g.VSHUFF32X4(U8(0x88), t[2], t[0], out[0])
	g.VSHUFF32X4(U8(0xdd), t[2], t[0], out[1])
	g.VSHUFF32X4(U8(0x88), t[3], t[1], out[2])
	g.VSHUFF32X4(U8(0xdd), t[3], t[1], out[3])
}

// lowMask sets the n lowest bits of mask, n < 16. It needs RAX and RCX.
func (g *fewGen) lowMask(n reg.GPPhysical, mask reg.OpmaskPhysical) {
	g.MOVQ(n, reg.RCX)
	g.MOVL(U32(1), reg.EAX)
	g.SHLL(reg.CL, reg.EAX)
	g.DECL(reg.EAX)
	g.KMOVW(reg.EAX, mask)
}

// param returns the memory of a parameter.
func (g *fewGen) param(name string) Mem {
	b, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// scores emits a times b transposed. Both are signed; the instruction wants one operand unsigned, so b's rows take 128 more,
// and what that adds is subtracted: 128 times the sum of a row of a.
func (g *fewGen) scores() {
	function(g.Context, "fewTransposedVNNI", "func(dst *float32, ldd int, a *byte, lda int, b *byte, ldb, rows, cols int, bytes uint64, scale float32)",
		"fewTransposedVNNI writes scale times the product of 1 <= rows <= 4 rows of a, signed codes with the top bits flipped, and of",
		"cols > 0 rows of b. Rows are as long as bytes has bits, 64 at most; strides are in bytes.")
	limit, tmp := reg.RSI, reg.RDI
	z := fewZ
	g.Load(g.Param("rows"), limit)
	g.rows(fewLeft, "a", "lda", limit, tmp)
	g.rows(fewDst, "dst", "ldd", limit, tmp)
	g.KMOVQ(g.param("bytes"), reg.K1)
	g.MOVL(U32(0x80808080), tmp.As32())
	g.VPBROADCASTD(tmp.As32(), z[7])
	x, t, acc, start, a := z[0:4], z[4:8], z[8:12], z[12:16], z[16:32]
	// Lane l of vector j of a row is quad 4l+j of it, four times.
	for i, p := range fewLeft {
		g.VMOVDQU8_Z(Mem{Base: p}, reg.K1, x[0])
		g.VPXORD(z[7], x[0], x[0])
		g.VMOVDQU8_Z(x[0], reg.K1, x[0])
		g.zero(acc[i], start[i])
		for j := range 4 {
			g.VPSHUFD(U8(0x55*j), x[0], a[4*i+j])
			g.VPDPBUSD(a[4*i+j], z[7], acc[i])
		}
		g.VPSUBD(acc[i], start[i], start[i])
	}
	g.MOVQ(tmp, fewLeft[0])
	flip, cols := fewLeft[0], limit
	g.Load(g.Param("b"), fewRow[0])
	g.Load(g.Param("ldb"), tmp)
	g.Load(g.Param("cols"), cols)

	g.Label("columns")
	g.next(fewRow, tmp, cols)
	g.VPBROADCASTD(flip.As32(), t[0])
	for i, p := range fewRow {
		g.VMOVDQU8_Z(Mem{Base: p}, reg.K1, x[i])
		g.VPXORD(t[0], x[i], x[i])
	}
	// The same for b: lane l of vector j is quad 4l+j of four rows.
	transposeQuads(g.Context, x, t)
	for i := range 4 {
		g.VMOVDQA32(start[i], acc[i])
	}
	for j := range 4 {
		for i := range 4 {
			g.VPDPBUSD(a[4*i+j], x[j], acc[i])
		}
	}
	g.combineLanes(acc, t, g.VPADDD)
	g.VCVTDQ2PS(t[0], x[0])
	g.VMULPS_BCST(g.param("scale"), x[0], x[0])
	g.CMPQ(cols, U8(4))
	g.JL(LabelRef("tail"))
	g.VMOVUPS(reg.X0, Mem{Base: fewDst[0]})
	for i := 1; i < 4; i++ {
		g.VEXTRACTF32X4(U8(i), x[0], Mem{Base: fewDst[i]})
	}
	for _, p := range fewDst {
		g.ADDQ(U8(16), p)
	}
	g.LEAQ(Mem{Base: fewRow[0], Index: tmp, Scale: 4}, fewRow[0])
	g.SUBQ(U8(4), cols)
	g.JNZ(LabelRef("columns"))
	g.VZEROUPPER()
	g.RET()

	g.Label("tail")
	g.lowMask(cols, reg.K2)
	g.VMOVUPS(reg.X0, reg.K2, Mem{Base: fewDst[0]})
	for i := 1; i < 4; i++ {
		g.VEXTRACTF32X4(U8(i), x[0], reg.K2, Mem{Base: fewDst[i]})
	}
	g.VZEROUPPER()
	g.RET()
}

// weigh emits a times b. Bytes of four rows of b are interleaved, which leaves the columns of each vector in four places.
func (g *fewGen) weigh() {
	function(g.Context, "fewRowsVNNI", "func(dst *float32, ldd int, a *byte, lda int, b *byte, ldb, rows, k int, columns uint64, scale float32)",
		"fewRowsVNNI writes scale times the product of 1 <= rows <= 4 rows of a, unsigned codes, and of k > 0 rows of b, of as many",
		"columns as columns has bits, 64 at most. Rows of a have room for a multiple of 4; strides are in bytes.")
	limit, tmp := reg.RSI, reg.RDI
	g.Load(g.Param("rows"), limit)
	g.rows(fewLeft, "a", "lda", limit, tmp)
	g.rows(fewDst, "dst", "ldd", limit, tmp)
	g.KMOVQ(g.param("columns"), reg.K1)
	g.Load(g.Param("b"), fewRow[0])
	g.Load(g.Param("ldb"), tmp)
	k := limit
	g.Load(g.Param("k"), k)
	z := fewZ
	x, t, code, acc := z[0:4], z[4:8], z[8:12], z[16:32]
	g.zero(acc...)

	g.Label("quads")
	g.CMPQ(k, U8(4))
	g.JL(LabelRef("tail"))
	g.next(fewRow, tmp, k)
	for i, p := range fewRow {
		g.VMOVDQU8_Z(Mem{Base: p}, reg.K1, x[i])
	}
	g.Label("multiply")
	g.VPUNPCKLBW(x[1], x[0], t[0])
	g.VPUNPCKHBW(x[1], x[0], t[1])
	g.VPUNPCKLBW(x[3], x[2], t[2])
	g.VPUNPCKHBW(x[3], x[2], t[3])
	g.VPUNPCKLWD(t[2], t[0], x[0])
	g.VPUNPCKHWD(t[2], t[0], x[1])
	g.VPUNPCKLWD(t[3], t[1], x[2])
	g.VPUNPCKHWD(t[3], t[1], x[3])
	for i, p := range fewLeft {
		g.VPBROADCASTD(Mem{Base: p}, code[i])
		for j := range 4 {
			g.VPDPBUSD(x[j], code[i], acc[4*i+j])
		}
		g.ADDQ(U8(4), p)
	}
	g.LEAQ(Mem{Base: fewRow[0], Index: tmp, Scale: 4}, fewRow[0])
	g.SUBQ(U8(4), k)
	g.JG(LabelRef("quads"))

	// Lane l of vector j has columns 16l+4j and on.
	mask := reg.RAX
	g.Load(g.Param("columns"), mask)
	for _, m := range []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5} {
		g.KMOVW(mask.As32(), m)
		g.SHRQ(U8(16), mask)
	}
	g.VBROADCASTSS(g.param("scale"), z[12])
	for i, p := range fewDst {
		v := acc[4*i:][:4]
		g.transposeLanes(v, t, x)
		for j, m := range []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5} {
			g.VCVTDQ2PS(x[j], x[j])
			g.VMULPS(z[12], x[j], x[j])
			g.VMOVUPS(x[j], m, Mem{Base: p, Disp: 64 * j})
		}
	}
	g.VZEROUPPER()
	g.RET()

	g.Label("tail")
	g.next(fewRow, tmp, k)
	g.zero(x[1:]...)
	for i, p := range fewRow[:3] {
		if i > 0 {
			g.CMPQ(k, U8(i))
			g.JLE(LabelRef("multiply"))
		}
		g.VMOVDQU8_Z(Mem{Base: p}, reg.K1, x[i])
	}
	g.JMP(LabelRef("multiply"))
}
