package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// epilogue scales, adds the bias, activates, adds the residual and stores, each an instruction of its own:
// type Epilogue of package kernels fixes the roundings. It leaves dst and add at the next block of rows.
func (g *tileGen) epilogue() {
	g.MOVQ(g.arg(argFlags), gp.flags)
	if !g.zmm && !g.strided && !g.sparse {
		g.loadMask()
	}
	if g.arith != fma || g.sparse {
		g.TESTQ(U32(flagRaw), gp.flags)
		g.JNZ(LabelRef("store"))
	}
	if g.arith != fma {
		g.scale()
	}

	g.MOVQ(g.arg(argBias), gp.tmp)
	g.TESTQ(gp.tmp, gp.tmp)
	g.JZ(LabelRef("activate"))
	for v := range g.vecs {
		b := g.loadColumns(v, gp.tmp)
		for _, row := range g.acc {
			g.VADDPS(b, row[v], row[v])
		}
	}

	g.Label("activate")
	g.TESTQ(U32(flagRelu), gp.flags)
	g.JZ(LabelRef("residual"))
	g.zero(g.av)
	for _, row := range g.acc {
		for _, acc := range row {
			// The accumulator is the second operand, which VMAXPS returns for NaN and for equal zeros.
			g.VMAXPS(acc, g.av, acc)
		}
	}

	g.Label("residual")
	g.TESTQ(gp.add, gp.add)
	g.JZ(LabelRef("store"))
	g.MOVQ(g.arg(argLdAdd), gp.tmp)
	for _, row := range g.acc {
		for v, acc := range row {
			if v < g.vecs-1 {
				g.VADDPS(Mem{Base: gp.add, Disp: v * g.bytes}, acc, acc)
				continue
			}
			g.VADDPS(g.loadColumns(v, gp.add), acc, acc)
		}
		g.ADDQ(gp.tmp, gp.add)
	}

	g.Label("store")
	if !g.zmm {
		g.TESTQ(U32(flagTail), gp.flags)
		g.JNZ(LabelRef("partial"))
		g.store(false)
		g.JMP(LabelRef("next"))
		g.Label("partial")
	}
	g.store(true)
	g.Label("next")
}

// scale converts the sums to float32 and multiplies them.
func (g *tileGen) scale() {
	for _, row := range g.acc {
		for _, acc := range row {
			g.VCVTDQ2PS(acc, acc)
		}
	}
	g.MOVQ(g.arg(argScale), gp.tmp)
	g.TESTQ(U32(flagOneScale), gp.flags)
	g.JNZ(LabelRef("onescale"))
	for v := range g.vecs {
		b := g.loadColumns(v, gp.tmp)
		for _, row := range g.acc {
			g.VMULPS(b, row[v], row[v])
		}
	}
	g.JMP(LabelRef("scaled"))
	g.Label("onescale")
	g.VBROADCASTSS(Mem{Base: gp.tmp}, g.av)
	for _, row := range g.acc {
		for _, acc := range row {
			g.VMULPS(g.av, acc, acc)
		}
	}
	g.Label("scaled")
}

// loadColumns loads vector v from base; of the last one only the columns that exist.
func (g *tileGen) loadColumns(v int, base reg.GPPhysical) reg.VecPhysical {
	b, m := g.bv[v%len(g.bv)], Mem{Base: base, Disp: v * g.bytes}
	switch {
	case v < g.vecs-1:
		g.VMOVUPS(m, b)
	case g.zmm:
		g.VMOVUPS_Z(m, reg.K1, b)
	default:
		g.VMASKMOVPS(m, g.mask, b)
	}
	return b
}

func (g *tileGen) store(partial bool) {
	for _, row := range g.acc {
		for v, acc := range row {
			m := Mem{Base: gp.dst, Disp: v * g.bytes}
			switch {
			case v < g.vecs-1 || !partial:
				g.VMOVUPS(acc, m)
			case g.zmm:
				g.VMOVUPS(acc, reg.K1, m)
			default:
				g.VMASKMOVPS(acc, g.mask, m)
			}
		}
		g.ADDQ(gp.ldd, gp.dst)
	}
}
