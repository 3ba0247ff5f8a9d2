package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the argument block, type attendArgs in kernels/attend.go.
const (
	attendQ, attendLdq       = 0, 8
	attendK, attendLdk       = 16, 24
	attendV, attendLdv       = 32, 40
	attendDst, attendLdd     = 48, 56
	attendMask, attendWork   = 64, 72
	attendRows, attendKeys   = 80, 88
	attendDepth, attendWidth = 96, 104
	attendSoon               = 112
	attendNext, attendLater  = 120, 128
	attendScale              = 136
	attendOwn                = 144
	attendMaskAt             = 176
	attendBefore             = 304
)

// attendGen emits attention of four rows. Between its three parts the scores, and then the weights, lie in work: 64 of a row, then
// those of the next. All keys have their place throughout; what a row does not own is masked out. The two things that depend on
// the places among what it owns, the mask and the order of the sum, expand and compress.
type attendGen struct {
	fewGen
	v   *vec
	top []reg.VecPhysical // the greatest score of each row, in all lanes of 16
}

func attend(c *build.Context) {
	g := &attendGen{fewGen: fewGen{c}, v: newVec(c, zmm), top: fewZ[24:28]}
	function(c, "attendF32AVX512", "func(args *byte)", "attendF32AVX512 runs one head and up to four rows of an Attention; args is an attendArgs.")
	g.v.hoisted = map[float32]reg.VecVirtual{}
	g.scores()
	g.softmax()
	g.weigh()
	g.v.end()
}

// Registers that more than one part uses. Offsets count from the first key: 16 keys are 16.
var attendGP = struct{ args, left, at, ld, tmp reg.GPPhysical }{args: reg.RSI, left: reg.RDI, at: reg.RBX, ld: reg.RCX, tmp: reg.RAX}

var attendMasks = []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3, reg.K4}

func (g *attendGen) arg(offset int) Mem { return Mem{Base: attendGP.args, Disp: offset} }

// rowsOf sets pointers to the rows of an argument.
func (g *attendGen) rowsOf(p []reg.GPPhysical, base, stride int) {
	g.MOVQ(g.arg(base), p[0])
	g.MOVQ(g.arg(stride), attendGP.tmp)
	g.MOVQ(g.arg(attendRows), attendGP.left)
	g.next(p, attendGP.tmp, attendGP.left)
}

// owned loads the mask of the 16 keys from at on that row i owns. Two bytes of its bits are at/8 bytes in.
func (g *attendGen) owned(i int, at reg.GPPhysical, k Op) {
	g.KMOVW(Mem{Base: attendGP.args, Index: at, Scale: 1, Disp: attendOwn + 8*i}, k)
}

// scores emits q times k transposed, scaled and masked.
func (g *attendGen) scores() {
	args, left, at, ld, tmp, ld3 := attendGP.args, attendGP.left, attendGP.at, attendGP.ld, attendGP.tmp, reg.RDX
	acc, key := fewZ[20:24], fewDst
	g.Load(g.Param("args"), args)
	g.rowsOf(fewLeft, attendQ, attendLdq)
	for _, q := range fewLeft {
		g.ADDQ(g.arg(attendDepth), q)
	}
	g.VBROADCASTSS(g.v.k(math.Inf(-1)).(number).Mem, g.top[0])
	for _, t := range g.top[1:] {
		g.VMOVAPS(g.top[0], t)
	}
	g.MOVQ(g.arg(attendLdk), ld)
	g.LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	g.MOVQ(g.arg(attendKeys), left)

	g.Label("keys")
	g.MOVQ(g.arg(attendKeys), key[0])
	g.SUBQ(left, key[0])
	g.IMULQ(ld, key[0])
	g.ADDQ(g.arg(attendK), key[0])
	for i := 1; i < 4; i++ {
		g.LEAQ(Mem{Base: key[i-1], Index: ld, Scale: 4}, key[i])
	}
	g.zero(acc...)
	g.MOVQ(g.arg(attendDepth), at)
	g.NEGQ(at)
	for quads := 4; quads > 0; quads-- {
		next := LabelRef(fmt.Sprintf("below%d", quads))
		if quads > 1 {
			g.CMPQ(left, U8(4*(quads-1)))
			g.JLE(next)
		}
		g.lastQuad(quads)
		loop := fmt.Sprintf("steps%d", quads)
		g.Label(loop)
		g.steps(quads, acc)
		g.ADDQ(U8(64), at)
		g.JNZ(LabelRef(loop))
		if quads > 1 {
			g.JMP(LabelRef("scored"))
			g.Label(string(next))
		}
	}

	g.Label("scored")
	g.MOVQ(g.arg(attendKeys), at)
	g.SUBQ(left, at)
	mask, work, eighth := key[1], key[2], key[3]
	g.MOVQ(g.arg(attendMask), mask)
	g.MOVQ(g.arg(attendWork), work)
	g.MOVQ(at, eighth)
	g.SHRQ(U8(3), eighth)
	for i, y := range acc {
		k, m := attendMasks[i], fewZ[i]
		g.owned(i, eighth, k)
		g.MOVQ(Mem{Base: args, Index: at, Scale: 2, Disp: attendMaskAt + 8*i}, tmp)
		g.VEXPANDPS_Z(Mem{Base: mask, Index: tmp, Scale: 4}, k, m)
		g.VMULPS_BCST(g.arg(attendScale), y, y)
		g.VADDPS(m, y, y)
		g.VMAXPS(g.top[i], y, k, g.top[i])
		g.VMOVUPS(y, Mem{Base: work, Index: at, Scale: 4, Disp: 256 * i})
	}
	g.SUBQ(U8(16), left)
	g.JG(LabelRef("keys"))
}

// lastQuad sets K1 to K3 for the rows after the first of the last of so many quads of keys: all lanes of those that exist.
func (g *attendGen) lastQuad(quads int) {
	for i, k := range attendMasks[:3] {
		g.XORL(reg.EAX, reg.EAX)
		g.CMPQ(attendGP.left, U8(4*(quads-1)+i+1))
		g.SETGT(reg.AL)
		g.NEGL(reg.EAX)
		g.KMOVW(reg.EAX, k)
	}
}

// steps emits 16 steps over the depth for up to four quads of keys, each key a lane: fewer take half or a quarter of the vectors.
// They ask for the values, too.
func (g *attendGen) steps(quads int, acc []reg.VecPhysical) {
	ld, ld3, tmp := attendGP.ld, reg.RDX, attendGP.tmp
	z, t := fewZ[:16], fewZ[16:20]
	rows := func(p reg.GPPhysical) []Mem {
		return []Mem{{Base: p}, {Base: p, Index: ld, Scale: 1}, {Base: p, Index: ld, Scale: 2}, {Base: p, Index: ld3, Scale: 1}}
	}
	for q, p := range fewDst[:quads] {
		g.MOVQ(g.arg(attendSoon), tmp)
		g.ADDQ(p, tmp)
		for i, m := range rows(p) {
			if q == quads-1 && i > 0 {
				g.VMOVUPS_Z(m, attendMasks[i-1], z[4*q+i])
			} else {
				g.VMOVUPS(m, z[4*q+i])
			}
			g.PREFETCHT0(rows(tmp)[i])
		}
		transposeQuads(g.Context, z[4*q:][:4], t)
		g.ADDQ(U8(64), p)
	}
	// Lane l of vector 4q+j is element 4l+j of quad q. Vector 4l+j becomes element 4l+j of all keys.
	for j := range 4 {
		x := []reg.VecPhysical{z[j], z[4+j], z[8+j], z[12+j]}
		switch quads {
		case 1:
			for l := 1; l < 4; l++ {
				g.VEXTRACTF32X4(U8(l), x[0], x[l].AsX())
			}
		case 2:
			g.VSHUFF32X4(U8(0x44), x[1], x[0], t[0])
			g.VSHUFF32X4(U8(0xee), x[1], x[0], t[1])
			for l := range 4 {
				g.VSHUFF32X4(U8([]int{0x88, 0xdd}[l%2]), t[l/2], t[l/2], x[l])
			}
		default:
			g.transposeLanes(x, t, x)
		}
	}
	for e, x := range z {
		for i, q := range fewLeft {
			m, y := Mem{Base: q, Index: attendGP.at, Scale: 1, Disp: 4 * e}, acc[i]
			switch quads {
			case 1:
				g.VFMADD231PS_BCST(m, x.AsX(), y.AsX())
			case 2:
				g.VFMADD231PS_BCST(m, x.AsY(), y.AsY())
			default:
				g.VFMADD231PS_BCST(m, x, y)
			}
		}
	}
}

// softmax replaces the scores of what a row owns by weights, and the others by 0.
func (g *attendGen) softmax() {
	v, eighth := g.v, attendGP.tmp
	v.hoist(append([]float64{roundToExponent, log2e, 1, expMin}, expPoly...)...)
	lane := v.load(v.pattern("lanes", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
	top := g.spread(g.rowwise(g.top, v.VMAXPS))
	var even, odd [4]reg.VecVirtual // the two halves of the lanes of a sum
	for i := range 4 {
		even[i], odd[i] = v.load(v.k(0)), v.load(v.k(0))
	}
	g.blocks("exponentials", func(i int, m Mem) {
		if i == 0 {
			v.MOVQ(attendGP.at, eighth)
			v.SHRQ(U8(3), eighth)
		}
		own, k, y, turn := v.K(), v.K(), v.reg(), v.reg()
		g.owned(i, eighth, own)
		x := v.sub(v.load(m), top[i])
		scale, r := v.expReduce(x)
		v.VCMPPS(U8(cmpNotLess), v.k(expMin), x, own, k)
		v.VMULPS_Z(scale, v.expCore(r), k, y)
		v.VMOVUPS(y, m)
		// A value counts for the lane that it has in a row of what is owned. Up to 32 values have at most two of a lane, and
		// what else is added is 0.
		v.VCOMPRESSPS_Z(y, own, y)
		v.VPSUBD_BCST(Mem{Base: attendGP.args, Index: attendGP.at, Scale: 1, Disp: attendBefore + 4*i}, lane, turn)
		v.VPERMPS(y, turn, y)
		v.VADDPS(y, even[i], y)
		v.VMOVAPS(odd[i], even[i])
		v.VMOVAPS(y, odd[i])
	})
	for i, sum := range g.top {
		v.VADDPS(odd[i], even[i], sum)
	}
	sum := g.rowwise(g.top, v.VADDPS)
	inverse := g.spread(v.div(v.k(1), sum))
	g.blocks("weights", func(i int, m Mem) { v.VMOVUPS(v.mul(inverse[i], m), m) })
}

// blocks emits a loop over 16 keys at a time, and in it body for each row.
func (g *attendGen) blocks(name string, body func(row int, m Mem)) {
	work := fewDst[0]
	g.MOVQ(g.arg(attendWork), work)
	g.MOVQ(g.arg(attendKeys), attendGP.left)
	g.XORQ(attendGP.at, attendGP.at)
	g.Label(name)
	for i := range 4 {
		body(i, Mem{Base: work, Index: attendGP.at, Scale: 4, Disp: 256 * i})
	}
	g.ADDQ(U8(16), attendGP.at)
	g.SUBQ(U8(16), attendGP.left)
	g.JG(LabelRef(name))
}

// rowwise combines the lanes of each of four vectors: the upper half with the lower one until one is left. Lane i of 128 bits of
// the result has that of in[i].
func (g *attendGen) rowwise(in []reg.VecPhysical, f func(...Op)) reg.VecPhysical {
	x, t := fewZ[28], fewZ[28:32]
	g.combineLanes(in, t, f)
	for _, halves := range []uint8{0b01001110, 0b10110001} {
		g.VPERMILPS(U8(halves), x, t[1])
		f(t[1], x, x)
	}
	return x
}

// spread copies each lane of 128 bits of x to all of a vector.
func (g *attendGen) spread(x Op) []reg.VecVirtual {
	all := make([]reg.VecVirtual, 4)
	for i := range all {
		all[i] = g.v.reg()
		g.VSHUFF32X4(U8(0x55*i), x, x, all[i])
	}
	return all
}

// clear is zero for avo, which takes what VPXORD reads, even from the register that it clears, for in use since the softmax.
func (g *attendGen) clear(acc ...reg.VecPhysical) {
	zero := g.v.load(g.v.k(0))
	for _, z := range acc {
		g.VMOVAPS(zero, z)
	}
}

// weigh emits weights times v: 64 columns at a time, then up to 16. For each line of v it asks for one of the next keys, which lie
// as v does, and for one of what is read later.
func (g *attendGen) weigh() {
	width, at, ld, next := attendGP.left, attendGP.at, attendGP.ld, reg.RDX
	v, weights, keys, later := fewLeft[0], fewLeft[1], fewLeft[2], fewLeft[3]
	acc, x, w := fewZ[:16], fewZ[16:20], fewZ[20:24]
	g.rowsOf(fewDst, attendDst, attendLdd)
	g.MOVQ(g.arg(attendLdv), ld)
	g.MOVQ(g.arg(attendWidth), width)
	g.XORQ(at, at)
	g.MOVQ(g.arg(attendLater), later)

	g.Label("columns")
	g.MOVQ(g.arg(attendV), v)
	g.ADDQ(at, v)
	g.MOVQ(g.arg(attendNext), next)
	g.ADDQ(at, next)
	g.MOVQ(g.arg(attendWork), weights)
	g.MOVQ(g.arg(attendKeys), keys)
	advance := func(lines uint32, loop LabelRef) {
		g.ADDQ(U32(64*lines), later)
		g.ADDQ(ld, v)
		g.ADDQ(ld, next)
		g.ADDQ(U8(4), weights)
		g.DECQ(keys)
		g.JNZ(loop)
	}
	g.CMPQ(width, U32(256))
	g.JL(LabelRef("narrow"))
	g.clear(acc...)
	g.Label("wideKeys")
	for j := range x {
		g.VMOVUPS(Mem{Base: v, Disp: 64 * j}, x[j])
		g.PREFETCHT0(Mem{Base: next, Disp: 64 * j})
	}
	for i := range w {
		g.VBROADCASTSS(Mem{Base: weights, Disp: 256 * i}, w[i])
		g.PREFETCHT1(Mem{Base: later, Disp: 64 * i})
		for j := range x {
			g.VFMADD231PS(x[j], w[i], acc[4*i+j])
		}
	}
	advance(4, "wideKeys")
	for i, d := range fewDst {
		for j := range x {
			g.VMOVUPS(acc[4*i+j], Mem{Base: d, Disp: 64 * j})
		}
		g.ADDQ(U32(256), d)
	}
	g.ADDQ(U32(256), at)
	g.SUBQ(U32(256), width)
	g.JG(LabelRef("columns"))
	g.JMP(LabelRef("done"))

	g.Label("narrow")
	bits, n := keys, attendGP.tmp
	g.MOVQ(width, n)
	g.SHRQ(U8(2), n) // below 64: more than 16 give all bits that count
	g.MOVQ(I32(-1), bits)
	g.BZHIQ(n, bits, bits)
	g.KMOVW(bits.As32(), reg.K1)
	g.MOVQ(g.arg(attendKeys), keys)
	g.clear(acc[:4]...)
	g.Label("narrowKeys")
	g.VMOVUPS_Z(Mem{Base: v}, reg.K1, x[0])
	g.PREFETCHT0(Mem{Base: next})
	g.PREFETCHT1(Mem{Base: later})
	for i := range w {
		g.VFMADD231PS_BCST(Mem{Base: weights, Disp: 256 * i}, x[0], acc[i])
	}
	advance(1, "narrowKeys")
	for i, d := range fewDst {
		g.VMOVUPS(acc[i], reg.K1, Mem{Base: d})
		g.ADDQ(U8(64), d)
	}
	g.ADDQ(U8(64), at)
	g.SUBQ(U8(64), width)
	g.JG(LabelRef("columns"))
	g.Label("done")
}
