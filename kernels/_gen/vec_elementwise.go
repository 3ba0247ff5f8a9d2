package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func imm8(n uint8) U8 { return U8(n) }

// elementwiseFile emits the functions of one or a few instructions per vector.
func elementwiseFile(c *build.Context) {
	v := newVec(c, ymm)
	type vector = reg.VecVirtual
	one := v.k
	for _, f := range []struct {
		name string
		body func(x vector) vector
	}{
		{"relu", func(x vector) vector { return v.max(v.zero(), x) }},
		{"sqrt", v.sqrt},
		{"rsqrt", func(x vector) vector { return v.div(one(1), v.sqrt(x)) }},
		{"square", func(x vector) vector { return v.mul(x, x) }},
		{"neg", func(x vector) vector { return v.xor(x, v.bits(1<<31)) }},
		{"abs", v.abs},
	} {
		v.begin(f.name, unarySignature, "writes "+f.name+" of n values, n > 0; dst may be x.")
		dst, x, n := v.pointer("dst"), v.pointer("x"), v.pointer("n")
		v.elements(n, 4, func(p part) { v.storePart(p, f.body(v.loadPart(p, x)), dst) })
		v.end()
	}
	for _, f := range []struct {
		name   string
		body   func(a, b vector) vector
		scalar string // name of the form with a number for b
		left   string // name of the form with a number for a
	}{
		{"add", func(a, b vector) vector { return v.add(a, b) }, "addScalar", ""},
		{"sub", func(a, b vector) vector { return v.sub(a, b) }, "", "scalarSub"},
		{"mul", func(a, b vector) vector { return v.mul(a, b) }, "mulScalar", ""},
		{"div", func(a, b vector) vector { return v.div(a, b) }, "divScalar", "scalarDiv"},
		{"max", func(a, b vector) vector { return v.where(a, cmpUnordered, a, a, v.max(a, b)) }, "maxScalar", ""},
		{"min", func(a, b vector) vector { return v.where(a, cmpUnordered, a, a, v.min(a, b)) }, "minScalar", ""},
	} {
		v.begin(f.name, "func(dst, a, b *float32, n int)", "is the function of n pairs, n > 0; dst may be a or b.")
		dst, a, b, n := v.pointer("dst"), v.pointer("a"), v.pointer("b"), v.pointer("n")
		v.elements(n, 4, func(p part) {
			v.storePart(p, f.body(v.loadPart(p, a), v.loadPart(p, b)), dst)
		})
		v.end()
		for side, name := range []string{f.scalar, f.left} {
			if name == "" {
				continue
			}
			v.begin(name, "func(dst, a *float32, w float32, n int)", "is the function of n values and w, n > 0; dst may be a.")
			dst, a, n, w := v.pointer("dst"), v.pointer("a"), v.pointer("n"), v.scalar("w")
			v.elements(n, 4, func(p part) {
				x := v.loadPart(p, a)
				if side == 0 {
					x = f.body(x, w)
				} else {
					x = f.body(w, x)
				}
				v.storePart(p, x, dst)
			})
			v.end()
		}
	}
}

func (v *vec) sqrt(x reg.VecVirtual) reg.VecVirtual {
	r := v.reg()
	v.VSQRTPS(x, r)
	return r
}
