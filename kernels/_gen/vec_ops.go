package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// width is the size of a vector in bytes.
type width int

const (
	ymm width = 32
	zmm width = 64
)

func (w width) lanes() int { return int(w) / 4 }

func (w width) suffix() string {
	if w == zmm {
		return "AVX512"
	}
	return "AVX2"
}

// Predicates of VCMPPS that raise no exception. Those named not... are true for NaN.
const (
	cmpUnordered = 0x03
	cmpLess      = 0x11
	cmpLessEqual = 0x12
	cmpNotLess   = 0x15
	cmpNotLE     = 0x16
	cmpGreater   = 0x1e
)

// vec emits float32 code that is the same for both widths. A number is an operand too: a hoisted register
// (hoist), or a constant in memory, broadcast by the instruction itself where vectors are 512 bits wide.
type vec struct {
	*build.Context
	width
	globals map[string]Mem
	hoisted map[float32]reg.VecVirtual
	labels  int
}

// number is a constant in memory: 32 bytes with the value in each lane.
type number struct{ Mem }

func newVec(c *build.Context, w width) *vec {
	return &vec{Context: c, width: w, globals: map[string]Mem{}}
}

// begin starts the function name + suffix.
func (v *vec) begin(name, signature, doc string) {
	function(v.Context, name+v.suffix(), signature, name+v.suffix()+" "+doc)
	v.hoisted = map[float32]reg.VecVirtual{}
	v.labels = 0
}

// end returns to Go, whose own code uses the old encodings of vector instructions.
func (v *vec) end() {
	v.VZEROUPPER()
	v.RET()
}

// label returns a name for a new label of this function; avo wants them unique within a function only.
func (v *vec) label(name string) LabelRef {
	v.labels++
	return LabelRef(fmt.Sprintf("%s%d", name, v.labels))
}

func (v *vec) reg() reg.VecVirtual {
	if v.width == zmm {
		return v.ZMM()
	}
	return v.YMM()
}

// pattern returns 32 bytes of read-only data with the words given, repeated.
func (v *vec) pattern(name string, words ...uint32) Mem {
	if m, ok := v.globals[name]; ok {
		return m
	}
	m := v.StaticGlobal(name)
	v.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range max(8, len(words)) {
		v.AddDatum(4*i, U32(words[i%len(words)]))
	}
	v.globals[name] = m
	return m
}

// bits returns the constant whose representation is b.
func (v *vec) bits(b uint32) Op {
	if r, ok := v.hoisted[math.Float32frombits(b)]; ok {
		return r
	}
	return number{v.pattern(fmt.Sprintf("number%08x", b), b)}
}

// k returns the constant x.
func (v *vec) k(x float64) Op { return v.bits(math.Float32bits(float32(x))) }

// hoist keeps constants in registers from here to the end of the function.
func (v *vec) hoist(xs ...float64) {
	for _, x := range xs {
		v.hoisted[float32(x)] = v.load(v.k(x))
	}
}

// do emits an instruction whose first operand may be a number.
func (v *vec) do(plain, broadcast func(...Op), src Op, rest ...Op) {
	if n, ok := src.(number); !ok {
		plain(append([]Op{src}, rest...)...)
	} else if v.width == zmm {
		broadcast(append([]Op{n.Mem}, rest...)...)
	} else {
		plain(append([]Op{n.Mem}, rest...)...)
	}
}

// load returns a new register with the value of a register, number or memory operand.
func (v *vec) load(src Op) reg.VecVirtual {
	r := v.reg()
	if n, ok := src.(number); ok && v.width == zmm {
		v.VBROADCASTSS(n.Mem, r)
	} else if ok {
		v.VMOVAPS(n.Mem, r)
	} else {
		v.VMOVUPS(src, r)
	}
	return r
}

func (v *vec) zero() reg.VecVirtual {
	r := v.reg()
	if v.width == zmm {
		v.VPXORD(r, r, r)
	} else {
		v.VXORPS(r, r, r)
	}
	return r
}

// The arithmetic functions write a new register.

func (v *vec) add(a, b Op) reg.VecVirtual { return v.op(v.VADDPS, v.VADDPS_BCST, a, b) }
func (v *vec) sub(a, b Op) reg.VecVirtual { return v.op(v.VSUBPS, v.VSUBPS_BCST, a, b) }
func (v *vec) mul(a, b Op) reg.VecVirtual { return v.op(v.VMULPS, v.VMULPS_BCST, a, b) }
func (v *vec) div(a, b Op) reg.VecVirtual { return v.op(v.VDIVPS, v.VDIVPS_BCST, a, b) }

// max and min return b where either is NaN or both are zeros.
func (v *vec) max(a, b Op) reg.VecVirtual { return v.op(v.VMAXPS, v.VMAXPS_BCST, a, b) }
func (v *vec) min(a, b Op) reg.VecVirtual { return v.op(v.VMINPS, v.VMINPS_BCST, a, b) }

func (v *vec) op(plain, broadcast func(...Op), a, b Op) reg.VecVirtual {
	if _, ok := a.(number); ok {
		a = v.load(a)
	}
	r := v.reg()
	v.do(plain, broadcast, b, a, r)
	return r
}

// The fused functions overwrite their first argument.

// mulAdd makes r = r*b + c.
func (v *vec) mulAdd(r reg.VecVirtual, b reg.VecVirtual, c Op) reg.VecVirtual {
	v.do(v.VFMADD213PS, v.VFMADD213PS_BCST, c, b, r)
	return r
}

// addMul makes r += a*b.
func (v *vec) addMul(r reg.VecVirtual, a reg.VecVirtual, b Op) reg.VecVirtual {
	v.do(v.VFMADD231PS, v.VFMADD231PS_BCST, b, a, r)
	return r
}

// atLeast and atMost bound x and keep NaN.
func (v *vec) atLeast(x reg.VecVirtual, bound float64) reg.VecVirtual { return v.max(v.k(bound), x) }
func (v *vec) atMost(x reg.VecVirtual, bound float64) reg.VecVirtual  { return v.min(v.k(bound), x) }

func (v *vec) and(a reg.VecVirtual, b Op) reg.VecVirtual { return v.op(v.VANDPS, v.VANDPS_BCST, a, b) }
func (v *vec) or(a reg.VecVirtual, b Op) reg.VecVirtual  { return v.op(v.VORPS, v.VORPS_BCST, a, b) }
func (v *vec) xor(a reg.VecVirtual, b Op) reg.VecVirtual { return v.op(v.VXORPS, v.VXORPS_BCST, a, b) }

func (v *vec) abs(a reg.VecVirtual) reg.VecVirtual  { return v.and(a, v.bits(1<<31-1)) }
func (v *vec) sign(a reg.VecVirtual) reg.VecVirtual { return v.and(a, v.bits(1<<31)) }

// where returns yes where "a predicate b" holds and no elsewhere.
func (v *vec) where(a reg.VecVirtual, predicate uint8, b Op, yes, no Op) reg.VecVirtual {
	if _, ok := no.(number); ok {
		no = v.load(no)
	}
	r := v.reg()
	if v.width == zmm {
		k := v.K()
		v.compare(predicate, b, a, k)
		v.do(v.VBLENDMPS, v.VBLENDMPS_BCST, yes, no, k, r)
		return r
	}
	m := v.reg()
	v.compare(predicate, b, a, m)
	if n, ok := yes.(number); ok {
		yes = n.Mem
	}
	v.VBLENDVPS(m, yes, no, r)
	return r
}

func (v *vec) compare(predicate uint8, b Op, a, mask Op) {
	plain := func(ops ...Op) { v.VCMPPS(append([]Op{U8(predicate)}, ops...)...) }
	broadcast := func(ops ...Op) { v.VCMPPS_BCST(append([]Op{U8(predicate)}, ops...)...) }
	v.do(plain, broadcast, b, a, mask)
}

// mulZeroBelow returns a*b, 0 where x < bound.
func (v *vec) mulZeroBelow(a, b, x reg.VecVirtual, bound float64) reg.VecVirtual {
	r := v.reg()
	if v.width == zmm {
		k := v.K()
		v.compare(cmpNotLess, v.k(bound), x, k)
		v.VMULPS_Z(b, a, k, r)
		return r
	}
	m := v.reg()
	v.compare(cmpLess, v.k(bound), x, m)
	v.VMULPS(b, a, r)
	v.VANDNPS(r, m, r)
	return r
}

// tail is the first elements of a vector: their mask, and their number.
type tail struct {
	mask  Op
	count reg.GPVirtual
}

// tail returns the mask of the first n elements, 0 < n < lanes.
func (v *vec) tail(n reg.GPVirtual) tail {
	if v.width == zmm {
		bits, k := v.GP64(), v.K()
		v.MOVQ(I32(-1), bits)
		v.BZHIQ(n, bits, bits)
		v.KMOVW(bits.As32(), k)
		return tail{k, n}
	}
	table := v.pattern("tails", 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
		0xffffffff, 0xffffffff, 0, 0, 0, 0, 0, 0, 0, 0)
	at, back, m := v.GP64(), v.copyOf(n), v.YMM()
	v.LEAQ(table.Offset(32), at)
	v.NEGQ(back)
	v.VMOVUPS(Mem{Base: at, Index: back, Scale: 4}, m)
	return tail{m, n}
}

// fold combines the lanes of p, which it overwrites, into its first one: in each step the upper half with the
// lower one.
func (v *vec) fold(p reg.VecVirtual, f func(...Op)) reg.VecVirtual {
	t := v.YMM()
	if v.width == zmm {
		v.VEXTRACTF32X8(imm8(1), p, t)
		f(t, p.AsY(), p.AsY())
	}
	low, other := p.AsX(), t.AsX()
	if v.width == zmm {
		v.VEXTRACTF32X4(imm8(1), p.AsY(), other) // reaches registers 16 to 31
	} else {
		v.VEXTRACTF128(imm8(1), p, other)
	}
	f(other, low, low)
	v.VPERMILPS(imm8(0b1110), low, other)
	f(other, low, low)
	v.VPERMILPS(imm8(1), low, other)
	f(other, low, low)
	return p
}

// spread copies the first lane of p to all.
func (v *vec) spread(p reg.VecVirtual) reg.VecVirtual {
	r := v.reg()
	v.VBROADCASTSS(p.AsX(), r)
	return r
}

// pointer loads a parameter into a register.
func (v *vec) pointer(name string) reg.GPVirtual {
	r := v.GP64()
	v.Load(v.Param(name), r)
	return r
}

// scalar loads a float32 parameter into all lanes of a register.
func (v *vec) scalar(name string) reg.VecVirtual {
	b, err := v.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.reg()
	v.VBROADCASTSS(b.Addr, r)
	return r
}

// part is one vector of a row, or the rest of the row under a mask.
type part struct {
	j     int           // number of the vector in its group
	index reg.GPVirtual // bytes before the group
	tail  *tail         // nil for a whole vector
	alone bool          // the group has one vector
}

// elements emits the loop over n values: groups of vectors, then one by one, then the rest under a mask. n is
// overwritten.
func (v *vec) elements(n reg.GPVirtual, group int, body func(p part)) {
	index := v.GP64()
	v.XORQ(index, index)
	done := v.label("done")
	sizes := []int{group, 1}
	if group == 1 {
		sizes = sizes[:1]
	}
	for _, size := range sizes {
		loop, end := v.label("loop"), v.label("end")
		step := size * v.lanes()
		v.SUBQ(U32(step), n)
		v.JL(end)
		v.Label(string(loop))
		for j := range size {
			body(part{j: j, index: index, alone: size == 1})
		}
		v.ADDQ(U32(4*step), index)
		v.SUBQ(U32(step), n)
		v.JGE(loop)
		v.Label(string(end))
		v.ADDQ(U32(step), n)
	}
	v.JZ(done)
	t := v.tail(n)
	body(part{index: index, tail: &t, alone: true})
	v.Label(string(done))
}

// at returns the operand of p in the row at base.
func (v *vec) at(p part, base reg.Register) Mem {
	return Mem{Base: base, Index: p.index, Scale: 1, Disp: p.j * int(v.width)}
}

// loadPart loads p of the row at base; beyond the row it gives 0 and touches no memory.
func (v *vec) loadPart(p part, base reg.Register) reg.VecVirtual {
	if p.tail == nil {
		return v.load(v.at(p, base))
	}
	r := v.reg()
	if v.width == zmm {
		v.VMOVUPS_Z(v.at(p, base), p.tail.mask, r)
	} else {
		v.VMASKMOVPS(v.at(p, base), p.tail.mask, r)
	}
	return r
}

func (v *vec) storePart(p part, r reg.VecVirtual, base reg.Register) {
	switch {
	case p.tail == nil:
		v.VMOVUPS(r, v.at(p, base))
	case v.width == zmm:
		v.VMOVUPS(r, p.tail.mask, v.at(p, base))
	default:
		v.storeFirst(p.tail.count, r, v.at(p, base))
	}
}

// storeFirst stores the first n < 8 elements of r in pieces of 4, 2 and 1: VMASKMOVPS to memory takes dozens
// of cycles on AMD's CPUs.
func (v *vec) storeFirst(n reg.GPVirtual, r reg.VecVirtual, m Mem) {
	rest, at := v.load(r), v.GP64()
	v.LEAQ(m, at)
	for _, size := range []uint32{4, 2, 1} {
		skip := v.label("skip")
		v.TESTQ(U32(size), n)
		v.JZ(skip)
		switch size {
		case 4:
			v.VMOVUPS(rest.AsX(), Mem{Base: at})
			v.VEXTRACTF128(imm8(1), rest, rest.AsX())
		case 2:
			v.VMOVLPS(rest.AsX(), Mem{Base: at})
			v.VPERMILPS(imm8(0b1110), rest.AsX(), rest.AsX())
		case 1:
			v.VMOVSS(rest.AsX(), Mem{Base: at})
		}
		if size > 1 {
			v.ADDQ(U32(4*size), at)
		}
		v.Label(string(skip))
	}
}

// only returns r with other in the elements beyond the row.
func (v *vec) only(p part, r reg.VecVirtual, other Op) reg.VecVirtual {
	if p.tail == nil {
		return r
	}
	y := v.load(other)
	if v.width == zmm {
		v.VMOVAPS(r, p.tail.mask, y)
	} else {
		v.VBLENDVPS(p.tail.mask, r, y, y)
	}
	return y
}

// group is the number of vectors that make up the 32 lanes of a sum.
func (v *vec) group() int { return 32 / v.lanes() }

// lanes32 returns the 32 lanes of a sum, all 0.
func (v *vec) lanes32() []reg.VecVirtual {
	acc := make([]reg.VecVirtual, v.group())
	for i := range acc {
		acc[i] = v.zero()
	}
	return acc
}

// clear makes lanes 0 again.
func (v *vec) clear(acc []reg.VecVirtual) {
	for _, a := range acc {
		v.VMOVAPS(v.zero(), a)
	}
}

// accumulate emits a loop whose body adds p to the lanes it gets. After a vector alone the lanes are rotated,
// so that the first register is always the next one's: the order of total does not depend on where it starts.
func (v *vec) accumulate(n reg.GPVirtual, acc []reg.VecVirtual, body func(p part, acc reg.VecVirtual)) {
	v.elements(n, len(acc), func(p part) {
		body(p, acc[p.j])
		if p.alone && p.tail == nil {
			first := v.load(acc[0])
			for i := range acc[1:] {
				v.VMOVAPS(acc[i+1], acc[i])
			}
			v.VMOVAPS(first, acc[len(acc)-1])
		}
	})
}

// combine folds the lanes: the upper half with the lower one until one is left.
func (v *vec) combine(acc []reg.VecVirtual, f func(...Op)) reg.VecVirtual {
	for half := len(acc) / 2; half > 0; half /= 2 {
		for i := range half {
			f(acc[i+half], acc[i], acc[i])
		}
	}
	return v.fold(acc[0], f)
}
