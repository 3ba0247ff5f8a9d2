package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Graphs compute shapes from shapes: before a Reshape come Shape, a StridedSlice a dimension, and Pack, on vectors of three
// numbers. Where such a vector holds nothing but numbers and dimensions of tensors, the step that wants it reads them from
// the tensors' headers, and those that made it are dropped.

// dims is a part of a vector of dimensions: a number, or some of the dimensions that the value of a slot has. The value itself
// may be gone: a slot's header stays until its step runs again.
type dims struct {
	slot     int32 // -1: number
	number   int
	from, to int  // as in a slice of Python's
	one      bool // the dimension from, which there must be
}

// operandDims is what an operand of a step consists of. Its slot is not read.
type operandDims struct {
	operand int
	parts   []dims
}

// ints appends the elements of operand j, a vector of integers that what names, to dst. It is one of the step's op in
// dimsOperands, or of a fused step's dims.
func (c *call) ints(dst []int, j int, what string) ([]int, error) {
	for i := range c.st.dims {
		if d := &c.st.dims[i]; d.operand == j {
			return c.s.appendDims(dst, d.parts, what)
		}
	}
	return vectorInts(dst, c.in(j), what)
}

func (s *Session) appendDims(dst []int, parts []dims, what string) ([]int, error) {
	for i := range parts {
		p := &parts[i]
		if p.slot < 0 {
			dst = append(dst, p.number)
			continue
		}
		shape := s.values[p.slot].t.Shape()
		if !p.one {
			from, num := sliceRange(p.from, p.to, 1, len(shape), false, false)
			dst = append(dst, shape[from:][:num]...)
			continue
		}
		at := p.from
		if at < 0 {
			at += len(shape)
		}
		if at < 0 || at >= len(shape) {
			return dst, fmt.Errorf("%s takes dimension %d of %v, want one in [%d, %d)", what, p.from, shape.Clone(), -len(shape), len(shape))
		}
		dst = append(dst, shape[at])
	}
	return dst, nil
}

// dimsOperands are the operands that the evaluators of some ops read by call.ints.
var dimsOperands = map[string][]int{"Reshape": {1}, "Tile": {1}, "BroadcastTo": {1}, "Fill": {0}}

// shapeVector is an int32 or int64 vector, or scalar, of numbers and dimensions.
type shapeVector struct {
	dtype  tensor.DType
	scalar bool
	parts  []dims
}

// shapeRule returns what a step computes, given what is known of its inputs; false where that is not a shapeVector.
type shapeRule func(st *step, in []*shapeVector) (shapeVector, bool)

// newShapeRule returns the rule of a step of n, nil where n's op has none.
func newShapeRule(n *graphdef.Node) shapeRule {
	switch n.Op() {
	case "Shape":
		d, err := indexType(n, "out_type")
		if err != nil || n.NumInputs() != 1 {
			return nil
		}
		return func(st *step, _ []*shapeVector) (shapeVector, bool) {
			return shapeVector{dtype: d, parts: []dims{{slot: st.in[0], to: math.MaxInt}}}, true
		}
	case "StridedSlice":
		spec, err := readStridedSpec(n)
		if err != nil || n.NumInputs() != 4 || spec.ellipsis != 0 || spec.newAxis != 0 {
			return nil
		}
		return spec.shapeRule
	case "Pack":
		axis, err := n.Int("axis")
		if err != nil || axis != 0 && axis != -1 {
			return nil
		}
		return func(_ *step, in []*shapeVector) (shapeVector, bool) { return joinShapes(in, true) }
	case "ConcatV2":
		return func(_ *step, in []*shapeVector) (shapeVector, bool) {
			axis, ok := in[len(in)-1].number()
			if !ok || axis != 0 && axis != -1 {
				return shapeVector{}, false
			}
			return joinShapes(in[:len(in)-1], false)
		}
	}
	return nil
}

// joinShapes joins scalars or vectors to a vector.
func joinShapes(in []*shapeVector, scalars bool) (out shapeVector, ok bool) {
	for i, v := range in {
		if v == nil || v.scalar != scalars || i > 0 && v.dtype != out.dtype {
			return out, false
		}
		out.dtype = v.dtype
		out.parts = append(out.parts, v.parts...)
	}
	return out, len(in) > 0
}

// number returns the value of a scalar, or of a vector of one element, that is known.
func (v *shapeVector) number() (int, bool) {
	if v == nil || len(v.parts) != 1 || v.parts[0].slot >= 0 {
		return 0, false
	}
	return v.parts[0].number, true
}

// shapeRule takes one or several dimensions of a whole shape.
func (spec stridedSpec) shapeRule(_ *step, in []*shapeVector) (out shapeVector, ok bool) {
	begin, ok1 := in[1].number()
	end, ok2 := in[2].number()
	stride, ok3 := in[3].number()
	if !ok1 || !ok2 || !ok3 || stride != 1 || in[1].scalar || in[2].scalar || in[3].scalar {
		return out, false
	}
	v := in[0]
	if v == nil || v.scalar || len(v.parts) != 1 || v.parts[0].slot < 0 || v.parts[0].from != 0 || v.parts[0].to != math.MaxInt {
		return out, false
	}
	p := dims{slot: v.parts[0].slot, from: begin, to: end, one: spec.shrink&1 != 0}
	if !p.one && spec.begin&1 != 0 {
		p.from = 0
	}
	if !p.one && spec.end&1 != 0 {
		p.to = math.MaxInt
	}
	return shapeVector{v.dtype, p.one, []dims{p}}, true
}

// constantShape returns t as a shapeVector, nil where it is too long for one or none at all.
func constantShape(t *tensor.Tensor) *shapeVector {
	if t == nil || t.Rank() > 1 || t.Len() > maxRank || t.DType() != tensor.Int32 && t.DType() != tensor.Int64 {
		return nil
	}
	v := &shapeVector{dtype: t.DType(), scalar: t.Rank() == 0}
	for i := range t.Len() {
		v.parts = append(v.parts, dims{slot: -1, number: int(intsOf(t)(i))})
	}
	return v
}

// readShapes lets the steps of p read dimensions where they can, and drops those that computed vectors of them. It is the last
// change to the steps: what comes after must look at step.dims too.
func (c *compiler) readShapes(p *Plan) {
	if c.opts.NoFusion {
		return
	}
	known := map[int32]*shapeVector{}
	get := func(slot int32) *shapeVector {
		if t := c.constOf[slot]; t != nil {
			return constantShape(t)
		}
		return known[slot]
	}
	eachStep(p.root, func(st *step) {
		if st.shape != nil && !st.mayDie {
			in := make([]*shapeVector, len(st.in))
			for j, slot := range st.in {
				in[j] = get(slot)
			}
			if v, ok := st.shape(st, in); ok {
				known[st.out[0]] = &v
			}
		}
		for _, j := range st.dimsIn {
			if v := get(st.in[j]); v != nil && !v.scalar {
				st.dims = append(st.dims, operandDims{j, v.parts})
				st.in[j] = c.nothing()
			}
		}
	})
	for dropped := true; dropped; {
		used := p.used()
		dropped = false
		eachBlock(p.root, func(b *block) {
			kept := b.steps[:0]
			for _, st := range b.steps {
				if st.shape != nil && known[st.out[0]] != nil && !used[st.out[0]] && len(st.observe) == 0 {
					dropped = true
				} else {
					kept = append(kept, st)
				}
			}
			b.steps = kept
		})
	}
	c.keepShaped(p, get)
}
