package runtime

import (
	"fmt"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// evalFunc computes one step: it reads the call's inputs and sets each of its outputs once.
type evalFunc func(c *call) error

// evaluator makes the evalFunc of a node: it reads the attributes and checks what can be checked before any value is known.
type evaluator func(n *graphdef.Node, k *kernels.Set) (evalFunc, error)

// call is one execution of a step, as its evaluator sees it.
type call struct {
	s    *Session
	st   *step
	text bool // the step has made strings
	walk walk // scratch of elementwise steps

	reduce reduction      // scratch of reductions
	layout layout         // scratch of steps that move elements
	slice  stridedBuffers // scratch of StridedSlice
}

// in returns input i, not to be changed.
func (c *call) in(i int) *tensor.Tensor { return &c.s.values[c.st.in[i]].t }

// out returns output i, which has been set.
func (c *call) out(i int) *tensor.Tensor { return &c.s.values[c.st.out[i]].t }

// numIn returns the number of inputs.
func (c *call) numIn() int { return len(c.st.in) }

// numOut returns the number of outputs.
func (c *call) numOut() int { return len(c.st.out) }

// kernels returns the kernels of the plan.
func (c *call) kernels() *kernels.Set { return c.s.plan.kernels }

// newLayout returns an empty layout. It is the session's, so that a step allocates none, and valid until the next call.
func (c *call) newLayout() *layout {
	l := &c.layout
	*l = layout{dims: l.dims[:0], dst: l.dst[:0], src: l.src[:0]}
	return l
}

// maxRank is TensorFlow's bound on ranks.
const maxRank = 254

// alloc gives output i memory of its own for shape; the contents are arbitrary. shape is copied.
func (c *call) alloc(i int, d tensor.DType, shape tensor.Shape) (*tensor.Tensor, error) {
	return c.allocOver(i, d, shape, 0)
}

// allocOver is alloc for evaluators that read element k of their inputs before they write element k of the output: the memory
// of an input whose last use this is may become the output's. over has bit j set where input j may be taken so.
func (c *call) allocOver(i int, d tensor.DType, shape tensor.Shape, over uint64) (*tensor.Tensor, error) {
	slot := c.st.out[i]
	v := &c.s.values[slot]
	c.s.release(slot)
	v.rep = repeat{}
	n, err := shape.CheckedElements()
	if err != nil {
		return nil, err
	}
	if len(shape) > maxRank {
		return nil, fmt.Errorf("result has %d dimensions, want at most %d", len(shape), maxRank)
	}
	if n == 0 {
		if err := c.s.arena.allowEmpty(shape); err != nil {
			return nil, err
		}
	}
	if d.Size() == 0 {
		if err := c.s.arena.allow(n, stringBytes); err != nil {
			return nil, err
		}
		c.text = c.text || d == tensor.String
		if d == tensor.Variant {
			c.pin()
		}
		v.t = *tensor.New(d, shape.Clone())
		return &v.t, nil
	}
	size := n * d.Size()
	if over &= c.st.dies; over != 0 && size > 0 {
		for j := range c.st.in {
			if over&(1<<j) == 0 {
				continue
			}
			in := &c.s.values[c.st.in[j]]
			if in.buf != nil && in.buf.refs == 1 && len(in.t.Bytes()) == size {
				in.buf.refs++
				v.buf = in.buf
				v.t.Set(d, append(v.dims[:0], shape...), in.t.Bytes())
				return &v.t, nil
			}
		}
	}
	b, err := c.s.arena.get(size)
	if err != nil {
		return nil, err
	}
	v.buf = b
	v.t.Set(d, append(v.dims[:0], shape...), b.mem[:size])
	return &v.t, nil
}

// view makes output i a tensor of the given dtype and shape over the elements of input j, without a copy. The number of
// bytes must be equal.
func (c *call) view(i, j int, d tensor.DType, shape tensor.Shape) {
	src := &c.s.values[c.st.in[j]]
	slot := c.st.out[i]
	c.s.release(slot)
	v := &c.s.values[slot]
	v.rep = src.rep
	if d.Size() != src.t.DType().Size() {
		v.rep = repeat{}
	}
	if d.Size() == 0 {
		t, err := src.t.Reshaped(shape.Clone())
		if err != nil {
			panic(err) // the evaluator has checked the number of elements
		}
		v.t, v.buf = *t, src.buf
		if v.buf != nil {
			v.buf.refs++
		}
		return
	}
	if src.buf != nil {
		src.buf.refs++
	}
	v.buf = src.buf
	v.t.Set(d, append(v.dims[:0], shape...), src.t.Bytes())
}

// viewAt makes output i a tensor of the given shape over the elements of input j from one on. The dtype has a fixed size.
func (c *call) viewAt(i, j int, shape tensor.Shape, from int) {
	src := &c.s.values[c.st.in[j]]
	slot := c.st.out[i]
	c.s.release(slot)
	v := &c.s.values[slot]
	v.rep = repeat{}
	if src.buf != nil {
		src.buf.refs++
	}
	v.buf = src.buf
	d := src.t.DType()
	size := d.Size()
	v.t.Set(d, append(v.dims[:0], shape...), src.t.Bytes()[from*size:][:shape.Elements()*size])
}

// forward makes output i the value of input j.
func (c *call) forward(i, j int) { c.s.share(c.st.out[i], c.st.in[j]) }

// set makes output i a tensor that the evaluator made itself: strings, resources, or values that are seldom large.
func (c *call) set(i int, t *tensor.Tensor) {
	slot := c.st.out[i]
	c.s.release(slot)
	c.text = c.text || t.DType() == tensor.String
	if t.DType() == tensor.Variant {
		c.pin()
	}
	c.s.values[slot].t, c.s.values[slot].rep = *t, repeat{}
}

// repeatOf returns how the elements of input j repeat.
func (c *call) repeatOf(j int) repeat { return c.s.values[c.st.in[j]].rep }

// setRepeat says how the elements of output i repeat.
func (c *call) setRepeat(i int, r repeat) { c.s.values[c.st.out[i]].rep = r }

// kill marks output i as dead: what depends on it does not run.
func (c *call) kill(i int) {
	c.s.release(c.st.out[i])
	c.s.values[c.st.out[i]].dead = true
}
