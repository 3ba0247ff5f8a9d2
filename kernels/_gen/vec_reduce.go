package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reduceFile emits the reductions of one vector.
func reduceFile(c *build.Context) {
	v := newVec(c, ymm)

	v.begin("sum", "func(x *float32, n int) float32", "sums n > 0 values.")
	x, n := v.pointer("x"), v.pointer("n")
	acc := v.lanes32()
	v.accumulate(n, acc, func(p part, acc reg.VecVirtual) { v.VADDPS(v.loadPart(p, x), acc, acc) })
	v.result(v.combine(acc, v.VADDPS), "")
	v.end()

	v.begin("sumSquares", "func(x *float32, n int, mean float32) float32", "sums (x-mean)^2 of n > 0 values.")
	x, n = v.pointer("x"), v.pointer("n")
	mean := v.scalar("mean")
	acc = v.lanes32()
	v.accumulate(n, acc, func(p part, acc reg.VecVirtual) {
		d := v.only(p, v.sub(v.loadPart(p, x), mean), v.zero())
		v.VFMADD231PS(d, d, acc)
	})
	v.result(v.combine(acc, v.VADDPS), "")
	v.end()

	v.extremes()
	v.blockMaxima()
	v.blockAtLeast()
}

func (v *vec) extremes() {
	v.begin("extremes", "func(x *float32, n int) (min, max float32, nans int32)",
		"finds the bounds of n > 0 values without NaN, and counts NaN.")
	x, n := v.pointer("x"), v.pointer("n")
	const group = 2
	var least, most, nans [group]reg.VecVirtual
	for j := range group {
		least[j], most[j], nans[j] = v.load(v.k(math.Inf(1))), v.load(v.k(math.Inf(-1))), v.zero()
	}
	v.elements(n, group, func(p part) {
		y, m := v.loadPart(p, x), v.reg()
		v.compare(cmpUnordered, y, y, m)
		v.VPSUBD(m, nans[p.j], nans[p.j])
		v.VMINPS(least[p.j], v.only(p, y, v.k(math.Inf(1))), least[p.j])
		v.VMAXPS(most[p.j], v.only(p, y, v.k(math.Inf(-1))), most[p.j])
	})
	v.result(v.combine(least[:], v.VMINPS), "min")
	v.result(v.combine(most[:], v.VMAXPS), "max")
	v.result(v.combine(nans[:], v.VPADDD), "nans")
	v.end()
}

func (v *vec) blockMaxima() {
	v.begin("blockMaxima", "func(dst, x *float32, blocks int)",
		"writes the maximum of each 64 values, ignoring NaN, of blocks > 0 blocks.")
	dst, x, blocks := v.pointer("dst"), v.pointer("x"), v.pointer("blocks")
	loop := v.label("loop")
	v.Label(string(loop))
	acc := make([]reg.VecVirtual, 4)
	for j := range acc {
		acc[j] = v.load(v.k(math.Inf(-1)))
	}
	for j := range 8 {
		y := v.load(Mem{Base: x, Disp: 32 * j})
		v.VMAXPS(acc[j%4], y, acc[j%4])
	}
	v.VMOVSS(v.combine(acc, v.VMAXPS).AsX(), Mem{Base: dst})
	v.ADDQ(U32(256), x)
	v.ADDQ(U32(4), dst)
	v.DECQ(blocks)
	v.JNZ(loop)
	v.end()
}

func (v *vec) blockAtLeast() {
	v.begin("blockAtLeast", "func(x *float32, least float32) uint64", "returns which of 64 values are not less than least, nor NaN: a bit for each.")
	x, least := v.pointer("x"), v.scalar("least")
	all := v.GP64()
	v.XORQ(all, all)
	for j := 7; j >= 0; j-- {
		m, bits := v.reg(), v.GP64()
		v.VCMPPS(U8(0x12), Mem{Base: x, Disp: 32 * j}, least, m) // least <= x, false for NaN
		v.VMOVMSKPS(m, bits.As32())
		v.SHLQ(U8(8), all)
		v.ORQ(bits, all)
	}
	v.Store(all, v.ReturnIndex(0))
	v.end()
}
