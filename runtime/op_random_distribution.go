package runtime

import (
	"math"

	"github.com/tfq8/tfq8/tensor"
)

// distribution draws elements of one dtype in groups, as TensorFlow's kernels do: group g begins g times skip calls of the
// generator after the first one.
type distribution struct {
	group int    // elements that one draw gives
	skip  uint64 // calls of the generator that are set aside for a group
	draw  func(gen *philox, put func(v any4))
}

// any4 is the elements of a group in the form that setDrawn takes: floats as float64, integers as their bits.
type any4 struct {
	floats [4]float64
	bits   [4]uint64
}

// fill draws the elements of t.
func (d *distribution) fill(t *tensor.Tensor, gen philox) {
	float := t.DType().IsFloat()
	for at := 0; at < t.Len(); at += d.group {
		g := gen
		d.draw(&g, func(v any4) {
			for i := range min(d.group, t.Len()-at) {
				if float {
					setFloat(t, at+i, v.floats[i])
				} else {
					setInt(t, at+i, int64(v.bits[i]))
				}
			}
		})
		gen.skip(d.skip)
	}
}

// unit returns a number in [0, 1) made of the low bits of a result: the mantissa of a float of dtype d.
func unit(d tensor.DType, x uint32) float64 {
	switch d {
	case tensor.Float16:
		return float64(x&0x3ff) * 0x1p-10
	case tensor.Bfloat16:
		return float64(x&0x7f) * 0x1p-7
	}
	return float64(x&0x7fffff) * 0x1p-23
}

// unit64 is unit for float64, of two results.
func unit64(hi, lo uint32) float64 { return float64(uint64(hi&0xfffff)<<32|uint64(lo)) * 0x1p-52 }

// uniformFloats is the uniform distribution on [0, 1).
func uniformFloats(d tensor.DType) *distribution {
	if d == tensor.Float64 {
		return &distribution{2, 1, func(gen *philox, put func(any4)) {
			x := gen.next()
			put(any4{floats: [4]float64{unit64(x[0], x[1]), unit64(x[2], x[3])}})
		}}
	}
	return &distribution{4, 1, func(gen *philox, put func(any4)) {
		var v any4
		for i, x := range gen.next() {
			v.floats[i] = unit(d, x)
		}
		put(v)
	}}
}

// uniformInts maps the full range of an integer dtype by f.
func uniformInts(d tensor.DType, f func(x uint64) uint64) *distribution {
	if d.Size() == 8 {
		return &distribution{2, 1, func(gen *philox, put func(any4)) {
			x := gen.next()
			put(any4{bits: [4]uint64{f(uint64(x[0]) | uint64(x[1])<<32), f(uint64(x[2]) | uint64(x[3])<<32)}})
		}}
	}
	return &distribution{4, 1, func(gen *philox, put func(any4)) {
		var v any4
		for i, x := range gen.next() {
			v.bits[i] = f(uint64(x))
		}
		put(v)
	}}
}

// normals is the normal distribution.
func normals(d tensor.DType) *distribution {
	if d == tensor.Float64 {
		return &distribution{2, 1, func(gen *philox, put func(any4)) {
			x := gen.next()
			a, b := boxMuller64(x)
			put(any4{floats: [4]float64{a, b}})
		}}
	}
	return &distribution{4, 1, func(gen *philox, put func(any4)) {
		x := gen.next()
		a, b := boxMuller(x[0], x[1])
		c, d := boxMuller(x[2], x[3])
		put(any4{floats: [4]float64{a, b, c, d}})
	}}
}

// truncatedNormals is the normal distribution without what lies 2 or more from the mean. Of the numbers set aside for an
// element it takes as many as it needs.
func truncatedNormals(d tensor.DType) *distribution {
	const limit = 2
	group, per := 4, func(s *singles) (float64, float64) { return boxMuller(s.next(), s.next()) }
	if d == tensor.Float64 {
		group, per = 2, func(s *singles) (float64, float64) {
			return boxMuller64([4]uint32{s.next(), s.next(), s.next(), s.next()})
		}
	}
	return &distribution{group, uint64(group * reservedResults / 4), func(gen *philox, put func(any4)) {
		var v any4
		s := newSingles(gen)
		for n := 0; n < group; {
			a, b := per(s)
			for _, x := range [2]float64{a, b} {
				if math.Abs(x) < limit && n < group {
					v.floats[n] = x
					n++
				}
			}
		}
		put(v)
	}}
}

// tiniest keeps the logarithm of a uniform number finite.
const tiniest = 1e-7

// boxMuller makes two normal float32 numbers of two results.
func boxMuller(x0, x1 uint32) (float64, float64) {
	u := max(float32(unit(tensor.Float32, x0)), tiniest)
	angle := float32(2 * math.Pi * unit(tensor.Float32, x1))
	radius := float32(math.Sqrt(float64(-2 * float32(math.Log(float64(u))))))
	sin, cos := math.Sincos(float64(angle))
	return float64(float32(sin) * radius), float64(float32(cos) * radius)
}

// boxMuller64 makes two normal float64 numbers of four results.
func boxMuller64(x [4]uint32) (float64, float64) {
	u := max(unit64(x[0], x[1]), tiniest)
	radius := math.Sqrt(-2 * math.Log(u))
	sin, cos := math.Sincos(2 * math.Pi * unit64(x[2], x[3]))
	return sin * radius, cos * radius
}
