package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// listedLoop runs over the steps of a list: their number and then, for each, its offset in a row of a, all int32.
func (g *tileGen) listedLoop() {
	g.MOVQ(g.arg(argList), gp.list)
	g.MOVL(Mem{Base: gp.list}, gp.k.As32())
	g.LEAQ(Mem{Base: gp.list, Index: gp.k, Scale: 4, Disp: 4}, gp.list)
	if g.rows > 3 {
		g.LEAQ(Mem{Base: gp.lda, Index: gp.lda, Scale: 2}, gp.a33)
	}
	g.NEGQ(gp.k)
	g.JZ(LabelRef("done"))
	g.Label("steps")
	g.MOVL(Mem{Base: gp.list, Index: gp.k, Scale: 4}, gp.at.As32())
	g.LEAQ(Mem{Base: gp.row, Index: gp.at, Scale: 1}, gp.a0)
	if g.rows > 3 {
		g.LEAQ(Mem{Base: gp.a0, Index: gp.a33, Scale: 1}, gp.a3)
	}
	shift := 4 // from 4 bytes of a to a row of a panel
	if g.zmm {
		shift = 6
	}
	g.SHLQ(U8(shift), gp.at)
	g.LEAQ(Mem{Base: gp.b0, Index: gp.at, Scale: 1}, gp.b)
	g.prefetch(0)
	for v0 := 0; v0 < g.vecs; v0 += g.group {
		g.step(0, v0)
	}
	g.INCQ(gp.k)
	g.JNZ(LabelRef("steps"))
	g.Label("done")
	g.MOVQ(g.arg(argLdd), gp.ldd)
}

// lists emits the routines that write the list of a listed tile.
func lists(c *build.Context) {
	g := &listGen{Context: c}
	g.avx2()
	g.avx512()
}

type listGen struct{ *build.Context }

// Registers of both routines: the rows, where their next elements lie, how many are left, where the list goes on.
var listGP = struct {
	rows                      []reg.GPPhysical
	k, left, dst, bits, table reg.GPPhysical
}{
	rows: []reg.GPPhysical{reg.R12, reg.R13, reg.R14, reg.R15}, k: reg.RDX, left: reg.RCX, dst: reg.RBX, bits: reg.RAX, table: reg.R8,
}

func (g *listGen) begin(name, more string, doc ...string) {
	function(g.Context, name, "func(list *int32, a *float32, lda, rows, k int, "+more+") uint32", append([]string{
		name + " writes behind the first element of list the offsets in bytes of those of k columns of a in which one of",
		"1 <= rows <= 4 is not 0, and their number into it. It returns the least bits but the sign of what is not 0, less 1."}, doc...)...)
	g.Load(g.Param("list"), listGP.dst)
	g.Load(g.Param("rows"), listGP.left)
	(&fewGen{Context: g.Context}).rows(listGP.rows, "a", "lda", listGP.left, listGP.bits)
	g.Load(g.Param("k"), listGP.left)
	g.ADDQ(U8(4), listGP.dst)
	g.XORQ(listGP.k, listGP.k)
}

// at is the memory of the next elements of a row.
func (g *listGen) at(row reg.GPPhysical) Mem { return Mem{Base: row, Index: listGP.k, Scale: 4} }

// columns goes over all columns, lanes at a time, and then once over those that are left, if any.
func (g *listGen) columns(lanes uint8, vector, tail func()) {
	g.SUBQ(U8(lanes), listGP.left)
	g.JLT(LabelRef("tail"))
	g.Label("vector")
	vector()
	g.ADDQ(U8(lanes), listGP.k)
	g.SUBQ(U8(lanes), listGP.left)
	g.JGE(LabelRef("vector"))
	g.Label("tail")
	g.ADDQ(U8(lanes), listGP.left)
	g.JZ(LabelRef("done"))
	tail()
	g.Label("done")
}

// wrote moves on behind the bits that are set.
func (g *listGen) wrote() {
	g.POPCNTL(listGP.bits.As32(), listGP.bits.As32())
	g.LEAQ(Mem{Base: listGP.dst, Index: listGP.bits, Scale: 4}, listGP.dst)
}

// end stores the number of elements and the least of 8 lanes.
func (g *listGen) end(least, t reg.VecPhysical) {
	g.VEXTRACTI128(U8(1), least.AsY(), t.AsX())
	g.VPMINUD(t.AsX(), least.AsX(), least.AsX())
	for _, order := range []uint8{0x4e, 0xb1} {
		g.VPSHUFD(U8(order), least.AsX(), t.AsX())
		g.VPMINUD(t.AsX(), least.AsX(), least.AsX())
	}
	b, err := g.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	g.VMOVD(least.AsX(), listGP.bits.As32())
	g.MOVL(listGP.bits.As32(), b.Addr)
	g.Load(g.Param("list"), listGP.k)
	g.SUBQ(listGP.k, listGP.dst)
	g.SHRQ(U8(2), listGP.dst)
	g.DECQ(listGP.dst)
	g.MOVL(listGP.dst.As32(), Mem{Base: listGP.k})
	g.VZEROUPPER()
	g.RET()
}

func (g *listGen) avx512() {
	g.begin("listNonzeroAVX512", "steps *int32", "list has room for 16 more elements; steps are 0, 4, ..., 60.")
	least, t, at, step, ones, abs := reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5
	x := []reg.VecPhysical{reg.Z16, reg.Z17, reg.Z18, reg.Z19}
	g.Load(g.Param("steps"), listGP.table)
	g.VMOVDQU32(Mem{Base: listGP.table}, at)
	g.VPTERNLOGD(U8(0xff), ones, ones, ones)
	g.VPSRLD(U8(1), ones, abs)
	g.VMOVDQA32(ones, least)
	g.MOVL(U32(64), listGP.bits.As32())
	g.VPBROADCASTD(listGP.bits.As32(), step)
	rest := func() {
		g.VMOVDQA32(x[0], t)
		for _, v := range x[1:] {
			g.VPORD(v, t, t)
		}
		g.VPTESTMD(t, t, reg.K2)
		for _, v := range x {
			g.VPADDD(ones, v, v)
			g.VPMINUD(v, least, least)
		}
		g.VPCOMPRESSD_Z(at, reg.K2, t)
		g.VMOVDQU32(t, Mem{Base: listGP.dst})
		g.KMOVW(reg.K2, listGP.bits.As32())
		g.wrote()
	}
	g.columns(16, func() {
		for i, row := range listGP.rows {
			g.VPANDD(g.at(row), abs, x[i])
		}
		rest()
		g.VPADDD(step, at, at)
	}, func() {
		(&fewGen{Context: g.Context}).lowMask(listGP.left, reg.K1)
		for i, row := range listGP.rows {
			g.VPANDD_Z(g.at(row), abs, reg.K1, x[i])
		}
		rest()
	})
	g.VEXTRACTI64X4(U8(1), least, t.AsY())
	g.VPMINUD(t.AsY(), least.AsY(), least.AsY())
	g.end(least, t)
}

func (g *listGen) avx2() {
	g.begin("listNonzeroAVX2", "lanes *int32, table *[8]uint8", "list has room for 8 more elements; lanes selects the last n%8 of 8; table",
		"has for each set of 8 bits the places of those in it, times 4.")
	least, t, at, step, ones, abs, zero := reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6
	x := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11}
	g.Load(g.Param("table"), listGP.table)
	g.VPXOR(zero, zero, zero)
	g.VPXOR(at, at, at)
	g.VPCMPEQD(ones, ones, ones)
	g.VPSRLD(U8(1), ones, abs)
	g.VMOVDQA(ones, least)
	g.VPSRLD(U8(31), ones, step)
	g.VPSLLD(U8(5), step, step)
	rest := func() {
		g.VMOVDQA(x[0], t)
		for _, v := range x[1:] {
			g.VPOR(v, t, t)
		}
		g.VPCMPEQD(zero, t, t)
		for _, v := range x {
			g.VPADDD(ones, v, v)
			g.VPMINUD(v, least, least)
		}
		g.VMOVMSKPS(t, listGP.bits.As32())
		g.XORL(U32(0xff), listGP.bits.As32())
		g.VPMOVZXBD(Mem{Base: listGP.table, Index: listGP.bits, Scale: 8}, t)
		g.VPADDD(at, t, t)
		g.VMOVDQU(t, Mem{Base: listGP.dst})
		g.wrote()
	}
	g.columns(8, func() {
		for i, row := range listGP.rows {
			g.VPAND(g.at(row), abs, x[i])
		}
		rest()
		g.VPADDD(step, at, at)
	}, func() {
		g.Load(g.Param("lanes"), listGP.bits)
		g.VMOVDQU(Mem{Base: listGP.bits}, t)
		for i, row := range listGP.rows {
			g.VMASKMOVPS(g.at(row), t, x[i])
			g.VPAND(abs, x[i], x[i])
		}
		rest()
	})
	g.end(least, t)
}
