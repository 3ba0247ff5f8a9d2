package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// What a run computes from shapes alone, such as the table of positions of a Transformer, is what the run before computed if
// that had the same shapes. A session keeps it.

// keptMost bounds what a session keeps, in bytes.
const keptMost = 8 << 20

// keptStep is a step of the outer graph whose outputs depend on nothing but some dimensions.
type keptStep struct {
	eval evalFunc
	of   []dims // on which
	at   int    // its place in Session.kept
}

// kept is what a session keeps of a keptStep. The memory is not the arena's: slots that hold it see a constant.
type kept struct {
	of, now []int // the dimensions that it was computed for; those of this run
	out     []keptOutput
	valid   bool
}

type keptOutput struct {
	mem   []byte
	t     tensor.Tensor
	shape tensor.Shape
	rep   repeat
}

func (k *keptStep) run(c *call) error {
	e := &c.s.kept[k.at]
	var err error
	if e.now, err = c.s.appendDims(e.now[:0], k.of, ""); err != nil {
		return k.eval(c) // which says what is wrong
	}
	if e.valid && slices.Equal(e.of, e.now) {
		for i, slot := range c.st.out {
			c.s.release(slot)
			o, v := &e.out[i], &c.s.values[slot]
			v.t.Set(o.t.DType(), append(v.dims[:0], o.shape...), o.t.Bytes())
			v.rep = o.rep
		}
		return nil
	}
	if err := k.eval(c); err != nil {
		return err
	}
	e.of, e.now = e.now, e.of
	if e.out == nil {
		e.out = make([]keptOutput, len(c.st.out))
	}
	e.valid = true
	for i := range c.st.out {
		e.valid = e.valid && c.s.keep(&e.out[i], &c.s.values[c.st.out[i]])
	}
	return nil
}

// keep makes o a copy of v, and reports whether v can be kept.
func (s *Session) keep(o *keptOutput, v *value) bool {
	n := len(v.t.Bytes())
	if v.t.DType().Size() == 0 || s.keptBytes+n-cap(o.mem) > keptMost {
		return false
	}
	if cap(o.mem) < n {
		s.keptBytes += n - cap(o.mem)
		o.mem = alignedMemory(n)
	}
	copy(o.mem[:n], v.t.Bytes())
	o.shape = append(o.shape[:0], v.t.Shape()...)
	o.t.Set(v.t.DType(), o.shape, o.mem[:n])
	o.rep = v.rep
	return true
}

// keepShaped makes the steps of p's outer graph that depend on shapes alone keptSteps, up to the first loop: from there on, rows
// may leave. known are the vectors of dimensions.
func (c *compiler) keepShaped(p *Plan, known func(slot int32) *shapeVector) {
	of := map[int32][]dims{}
	for i := range p.root.steps {
		st := &p.root.steps[i]
		if st.loop != nil {
			return
		}
		if st.eval == nil || st.mayDie || st.stateful || st.shape != nil {
			continue
		}
		var list []dims
		shaped := true
		for _, slot := range st.in {
			switch v := known(slot); {
			case c.constOf[slot] != nil:
			case v != nil:
				list = append(list, v.parts...)
			case of[slot] != nil:
				list = append(list, of[slot]...)
			default:
				shaped = false
			}
		}
		for _, d := range st.dims {
			list = append(list, d.parts...)
		}
		if !shaped {
			continue
		}
		var own []dims
		for _, d := range list {
			if d.slot >= 0 && !slices.Contains(own, d) {
				own = append(own, d)
			}
		}
		if len(own) == 0 {
			continue
		}
		for _, slot := range st.out {
			of[slot] = own
		}
		k := &keptStep{st.eval, own, len(p.kept)}
		st.eval = k.run
		p.kept = append(p.kept, k)
	}
}
