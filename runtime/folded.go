package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// A search gives its beams copies of what belongs to a sentence: the encoder's output, and the keys and values that are computed
// from it. Where all steps that read such a value know that it repeats, the copies are not made: it is folded, its memory holds
// the first of each run alone.

// takesFolded reports whether the step can read its input i folded.
func (st *step) takesFolded(i int) bool {
	switch {
	case st.attention != nil:
		return i == 1 || i == 2
	case st.dense:
		return i == 0
	}
	return st.passesFolded() && i == 0 || st.op == "Shape" && len(st.in) == 1
}

// passesFolded reports whether the step's output is a view of its first input.
func (st *step) passesFolded() bool {
	return (st.op == "Reshape" || st.op == "EnsureShape") && len(st.out) == 1
}

// foldRepeats finds the steps that may fold what they give.
func foldRepeats(p *Plan) {
	whole := map[int32]bool{} // slots whose readers need every element
	mark := func(slots ...int32) {
		for _, s := range slots {
			whole[s] = true
		}
	}
	for _, f := range p.fetches {
		mark(f.slot)
	}
	var steps []*step
	eachStep(p.root, func(st *step) {
		steps = append(steps, st)
		for i, s := range st.in {
			if !st.takesFolded(i) {
				mark(s)
			}
		}
		for _, o := range st.observe {
			mark(o.slot)
		}
		if l := st.loop; l != nil {
			mark(l.pred)
			for _, v := range l.vars {
				mark(v.init, v.cur, v.next, v.exit)
			}
			for _, o := range l.observe {
				mark(o.slot)
			}
		}
		if st.branch != nil {
			for _, results := range st.branch.results {
				mark(results...)
			}
		}
	})
	for n := -1; n != len(whole); {
		n = len(whole)
		for _, st := range slices.Backward(steps) {
			if st.passesFolded() && whole[st.out[0]] {
				mark(st.in[0])
			}
		}
	}
	for _, st := range steps {
		st.folds = (st.dense || st.op == "Tile") && !st.mayDie && !whole[st.out[0]]
	}
}

// allocRepeated is alloc for a value of numbers that repeats as r says; folded, its memory holds the first of each run alone.
func (c *call) allocRepeated(i int, d tensor.DType, shape tensor.Shape, r repeat) (*tensor.Tensor, error) {
	if !r.folded {
		t, err := c.alloc(i, d, shape)
		if err == nil {
			c.setRepeat(i, r)
		}
		return t, err
	}
	v := &c.s.values[c.st.out[i]]
	c.s.release(c.st.out[i])
	n, err := shape.CheckedElements()
	if err != nil {
		return nil, err
	}
	size := n / r.times * d.Size()
	if v.buf, err = c.s.arena.get(size); err != nil {
		return nil, err
	}
	v.rep = r
	v.t.Set(d, append(v.dims[:0], shape...), v.buf.mem[:size])
	return &v.t, nil
}

// unfold gives input i all of its elements.
func (c *call) unfold(i int) error { return c.s.unfold(&c.s.values[c.st.in[i]]) }

// unfold gives v all of its elements.
func (s *Session) unfold(v *value) error {
	r := v.rep
	if !r.folded {
		return nil
	}
	size := v.t.DType().Size()
	buf, err := s.arena.get(v.t.Shape().Elements() * size)
	if err != nil {
		return err
	}
	dst := buf.mem[:0]
	for src := v.t.Bytes(); len(src) > 0; src = src[r.chunk*size:] {
		for range r.times {
			dst = append(dst, src[:r.chunk*size]...)
		}
	}
	if v.buf != nil {
		s.arena.release(v.buf)
	}
	r.folded = false
	v.buf, v.rep = buf, r
	v.t.Set(v.t.DType(), v.t.Shape(), dst)
	return nil
}
