package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peaks emits loops on registers alone and loops that only read, which benchmarks time to know what the CPU
// can reach.
func peaks(c *build.Context) {
	read(c, false)
	read(c, true)
	for _, p := range []struct {
		name, doc string
		arith     arithmetic
		zmm       bool
	}{
		{"peakF32AVX2", "VFMADD231PS on ymm", fma, false},
		{"peakF32AVX512", "VFMADD231PS on zmm", fma, true},
		{"peakS8AVX2", "VPMADDWD and VPADDD on ymm", madd, false},
		{"peakS8RowAVX2", "VPSIGNB, VPMADDUBSW, VPMADDWD and VPADDD on ymm", signs, false},
		{"peakS8NarrowAVX2", "VPMADDUBSW, VPMADDWD and VPADDD on ymm", maddubs, false},
		{"peakS8AVXVNNI", "VPDPBUSD on ymm, VEX", dotVEX, false},
		{"peakS8VNNI", "VPDPBUSD on zmm", dot, true},
	} {
		f := &family{arith: p.arith, zmm: p.zmm}
		s := size{6, 2}
		switch {
		case p.zmm:
			s = size{6, 4}
		case p.arith == signs:
			s = size{4, 2}
		case p.arith == madd || p.arith == maddubs:
			s = size{5, 2}
		}
		g := newTile(c, f, s)
		function(c, p.name, "func(n int)",
			fmt.Sprintf("%s runs n rounds of %d accumulator updates: %s.", p.name, 4*s.rows*s.vecs, p.doc))
		c.Load(c.Param("n"), gp.k)
		for _, row := range g.acc {
			for _, acc := range row {
				g.zero(acc)
			}
		}
		g.zero(g.av)
		g.zero(g.bv[0])
		if g.ones != nil {
			g.zero(g.ones)
		}
		if g.abs != nil {
			g.zero(g.abs)
		}
		// Several temporaries: one would be a chain of false dependences on some CPUs.
		temps := []reg.VecPhysical{reg.Y13, reg.Y14}
		c.Label("round")
		for i := range 4 * s.rows * s.vecs {
			if g.tmp != nil {
				g.tmp = temps[i%len(temps)]
			}
			g.update(g.bv[0], g.acc[i/s.vecs%s.rows][i%s.vecs])
		}
		c.DECQ(gp.k)
		c.JNZ(LabelRef("round"))
		c.VZEROUPPER()
		c.RET()
	}
}

// read emits the loop that reads memory and does nothing else, whose speed bounds products of few rows.
func read(c *build.Context, zmm bool) {
	name, regs, size := "readAVX2", []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7}, 32
	if zmm {
		name, regs, size = "readAVX512", []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3}, 64
	}
	function(c, name, "func(src *byte, n int)", name+" reads n bytes, a multiple of 256.")
	src, n := reg.RSI, reg.RDX
	c.Load(c.Param("src"), src)
	c.Load(c.Param("n"), n)
	c.Label("loop")
	c.SUBQ(U32(256), n)
	c.JLT(LabelRef("done"))
	for i, r := range regs {
		c.VMOVUPS(Mem{Base: src, Disp: i * size}, r)
	}
	c.ADDQ(U32(256), src)
	c.JMP(LabelRef("loop"))
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}
