package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peaks emits loops on registers alone, which benchmarks time to know what the CPU can reach.
func peaks(c *build.Context) {
	for _, p := range []struct {
		name, doc string
		arith     arithmetic
		zmm       bool
	}{
		{"peakF32AVX2", "VFMADD231PS on ymm", fma, false},
		{"peakF32AVX512", "VFMADD231PS on zmm", fma, true},
		{"peakS8AVX2", "VPMADDWD and VPADDD on ymm", madd, false},
		{"peakS8NarrowAVX2", "VPMADDUBSW, VPMADDWD and VPADDD on ymm", maddubs, false},
		{"peakS8VNNI", "VPDPBUSD on zmm", dot, true},
	} {
		f := &family{arith: p.arith, zmm: p.zmm}
		s := size{6, 2}
		switch {
		case p.zmm:
			s = size{6, 4}
		case p.arith != fma:
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
		if p.arith == maddubs {
			g.zero(g.ones)
		}
		// Several temporaries: one would be a chain of false dependences on some CPUs.
		temps := []reg.VecPhysical{reg.Y13, reg.Y14}
		c.Label("round")
		for i := range 4 * s.rows * s.vecs {
			if !p.zmm {
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
