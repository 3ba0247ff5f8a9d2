package main

import (
	"math"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsFile emits the functions of whole rows: softmax and the normalizations.
func rowsFile(c *build.Context, w width) {
	v := newVec(c, w)
	v.softmax("softmax", false, false)
	v.softmax("softmaxScaled", true, false)
	v.softmax("softmaxMasked", true, true)
	v.sumExp()
	v.norm("layerNorm", false, true)
	v.norm("layerNormAdd", true, true)
	v.norm("rmsNorm", false, false)
}

// hoistExp keeps in registers what a loop over expBelow needs most, as far as there are registers.
func (v *vec) hoistExp() {
	v.hoist(roundToExponent, log2e, 1)
	if v.width == zmm {
		v.hoist(expPoly...)
		v.hoist(-ln2Hi, -ln2Lo, expMin, math.Inf(-1))
	}
}

// copyOf returns a new register with the value of n.
func (v *vec) copyOf(n reg.GPVirtual) reg.GPVirtual {
	r := v.GP64()
	v.MOVQ(n, r)
	return r
}

// advance moves row pointers by stride bytes and loops while there are rows.
func (v *vec) advance(rows reg.GPVirtual, loop LabelRef, stride reg.GPVirtual, pointers ...reg.GPVirtual) {
	for _, p := range pointers {
		v.ADDQ(stride, p)
	}
	v.DECQ(rows)
	v.JNZ(loop)
}

// maxima emits one pass of a row: the greatest value of load(p), ignoring NaN, in all lanes of the result.
func (v *vec) maxima(n reg.GPVirtual, load func(p part) reg.VecVirtual) reg.VecVirtual {
	acc := make([]reg.VecVirtual, v.group())
	for i := range acc {
		acc[i] = v.load(v.k(math.Inf(-1)))
	}
	v.elements(n, len(acc), func(p part) {
		x := v.only(p, load(p), v.k(math.Inf(-1)))
		v.VMAXPS(acc[p.j], x, acc[p.j])
	})
	return v.spread(v.combine(acc, v.VMAXPS))
}

func (v *vec) softmax(name string, scaled, masked bool) {
	v.begin(name, "func(dst, x, mask *float32, rows, cols, ldmask int, scale float32)",
		"is Softmax of rows > 0 rows of cols > 0 values; dst may be x. Without a mask in its name it ignores mask,"+
			" without either it ignores scale.")
	dst, x, rows, cols := v.pointer("dst"), v.pointer("x"), v.pointer("rows"), v.pointer("cols")
	var mask, ldmask reg.GPVirtual
	var scale reg.VecVirtual
	if masked {
		mask, ldmask = v.pointer("mask"), v.pointer("ldmask")
		v.SHLQ(imm8(2), ldmask)
	}
	if scaled {
		scale = v.scalar("scale")
	}
	v.hoistExp()
	stride := v.copyOf(cols)
	v.SHLQ(imm8(2), stride)
	loop := v.label("row")
	v.Label(string(loop))

	// Values are scaled and masked in both passes: to store them in the first and load them in the second
	// costs more, above all where stores cross cache lines.
	value := func(p part) reg.VecVirtual {
		y := v.loadPart(p, x)
		if scaled {
			y = v.mul(y, scale)
		}
		if masked {
			y = v.add(y, v.loadPart(p, mask))
		}
		return y
	}
	top := v.maxima(v.copyOf(cols), value)
	acc := v.lanes32()
	// What follows the whole vectors of a row stays in a register: a load of what was stored in pieces would
	// wait for the stores.
	last := v.zero()
	v.accumulate(v.copyOf(cols), acc, func(p part, acc reg.VecVirtual) {
		y := v.only(p, v.expBelow(v.sub(value(p), top)), v.zero())
		v.VADDPS(y, acc, acc)
		if p.tail == nil {
			v.VMOVUPS(y, v.at(p, dst))
		} else {
			v.VMOVAPS(y, last)
		}
	})
	sum := v.combine(acc, v.VADDPS)
	inverse := v.reg()
	v.VMOVAPS(v.load(v.k(1)), inverse)
	v.VDIVSS(sum.AsX(), inverse.AsX(), inverse.AsX())
	inverse = v.spread(inverse)
	v.elements(v.copyOf(cols), v.group(), func(p part) {
		if p.tail == nil {
			v.VMOVUPS(v.mul(inverse, v.at(p, dst)), v.at(p, dst))
		} else {
			v.storePart(p, v.mul(inverse, last), dst)
		}
	})

	if masked {
		v.ADDQ(ldmask, mask)
	}
	v.advance(rows, loop, stride, dst, x)
	v.end()
}

func (v *vec) sumExp() {
	v.begin("sumExp", "func(x *float32, n int, top float32) float32", "sums exp(x-top) of n > 0 values and prefetches n more, which are the next row of a matrix.")
	x, n, top := v.pointer("x"), v.pointer("n"), v.scalar("top")
	next := v.GP64()
	v.LEAQ(Mem{Base: x, Index: n, Scale: 4}, next)
	v.hoistExp()
	acc := v.lanes32()
	const line = 64
	v.accumulate(n, acc, func(p part, acc reg.VecVirtual) {
		if !p.alone && p.j*int(v.width)%line == 0 {
			v.PREFETCHT1(v.at(p, next))
		}
		y := v.expBelow(v.sub(v.loadPart(p, x), top))
		v.VADDPS(v.only(p, y, v.zero()), acc, acc)
	})
	v.result(v.combine(acc, v.VADDPS), "")
	v.end()
}

// result stores the first lane of r as a float32 result, the only one where name is empty.
func (v *vec) result(r reg.VecVirtual, name string) {
	component := v.ReturnIndex(0)
	if name != "" {
		component = v.Return(name)
	}
	b, err := component.Resolve()
	if err != nil {
		panic(err)
	}
	v.VMOVSS(r.AsX(), b.Addr)
}

func (v *vec) norm(name string, add, centered bool) {
	v.begin(name, "func(dst, sum, x, add, gamma, beta *float32, rows, cols int, eps float32)",
		"normalizes rows > 0 rows of cols > 0 values as the portable version does; without Add in its name, sum is"+
			" what it reads and x and add are ignored.")
	dst, sum, rows, cols := v.pointer("dst"), v.pointer("sum"), v.pointer("rows"), v.pointer("cols")
	gamma := v.pointer("gamma")
	var x, residual, beta reg.GPVirtual
	if add {
		x, residual = v.pointer("x"), v.pointer("add")
	}
	if centered {
		beta = v.pointer("beta")
	}
	eps := v.scalar("eps")
	count := v.reg()
	v.VXORPS(count.AsX(), count.AsX(), count.AsX())
	v.VCVTSI2SSQ(cols, count.AsX(), count.AsX())
	stride := v.copyOf(cols)
	v.SHLQ(imm8(2), stride)
	loop := v.label("row")
	v.Label(string(loop))

	last := v.zero() // as in softmax, where sums are stored
	load := func(p part) reg.VecVirtual {
		if add && p.tail != nil {
			return v.load(last)
		}
		return v.loadPart(p, sum)
	}
	var mean reg.VecVirtual
	if centered {
		acc := v.lanes32()
		v.accumulate(v.copyOf(cols), acc, func(p part, acc reg.VecVirtual) {
			var y reg.VecVirtual
			if add {
				y = v.add(v.loadPart(p, x), v.loadPart(p, residual))
				v.storePart(p, y, sum)
				if p.tail != nil {
					v.VMOVAPS(y, last)
				}
			} else {
				y = v.loadPart(p, sum)
			}
			v.VADDPS(y, acc, acc)
		})
		mean = v.combine(acc, v.VADDPS)
		v.VDIVSS(count.AsX(), mean.AsX(), mean.AsX())
		mean = v.spread(mean)
	}
	acc := v.lanes32()
	v.accumulate(v.copyOf(cols), acc, func(p part, acc reg.VecVirtual) {
		d := load(p)
		if centered {
			d = v.only(p, v.sub(d, mean), v.zero())
		}
		v.VFMADD231PS(d, d, acc)
	})
	scale := v.combine(acc, v.VADDPS)
	first := scale.AsX()
	v.VDIVSS(count.AsX(), first, first)
	v.VADDSS(eps.AsX(), first, first)
	v.VSQRTSS(first, first, first)
	one := v.load(v.k(1))
	v.VDIVSS(first, one.AsX(), first)
	scale = v.spread(scale)
	v.elements(v.copyOf(cols), v.group(), func(p part) {
		y := load(p)
		if centered {
			y = v.mul(v.sub(y, mean), scale)
			if p.tail != nil {
				v.mulAdd(y, v.loadPart(p, gamma), v.loadPart(p, beta))
			} else {
				v.mulAdd(y, v.loadPart(p, gamma), v.at(p, beta))
			}
		} else {
			y = v.mul(v.mul(y, scale), v.loadPart(p, gamma))
		}
		v.storePart(p, y, dst)
	})

	pointers := []reg.GPVirtual{dst, sum}
	if add {
		pointers = append(pointers, x, residual)
	}
	v.advance(rows, loop, stride, pointers...)
	v.end()
}
