package runtime

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/tfq8/tfq8/tensor"
)

// item is a tensor that outlives the slot it came from: an element of a list or array, the value of a variable. It shares the
// slot's memory, which nothing writes into while it has two owners. The zero value is no tensor.
type item struct {
	t   tensor.Tensor // with a shape of its own
	buf *buffer
}

func (it *item) isSet() bool { return it.t.DType() != tensor.Invalid }

// itemBytes is what an item takes beside its elements.
const itemBytes = int64(unsafe.Sizeof(item{}))

// maxItems bounds the elements of a list or array where nothing else does: an index out of a broken graph must not ask for all
// memory.
const maxItems = 1 << 26

// keep returns the value of input j as an item. Where its shape is that of like, the two share it.
func (c *call) keep(j int, like *item) item {
	v := &c.s.values[c.st.in[j]]
	return keepValue(v, like)
}

func keepValue(v *value, like *item) item {
	it := item{buf: v.buf}
	if it.buf != nil {
		it.buf.refs++
	}
	shape := v.t.Shape()
	if like != nil && like.isSet() && shape.Equal(like.t.Shape()) {
		shape = like.t.Shape()
	} else {
		shape = shape.Clone()
	}
	it.t = withShape(&v.t, shape)
	return it
}

// withShape returns t under shape, which has as many elements.
func withShape(t *tensor.Tensor, shape tensor.Shape) (out tensor.Tensor) {
	switch {
	case t.DType() == tensor.String:
		return *tensor.FromStrings(shape, t.Strings())
	case t.DType().Size() == 0:
		return *tensor.FromRefs(t.DType(), shape, t.Refs())
	}
	out.Set(t.DType(), shape, t.Bytes())
	return out
}

// part returns the n elements of t from at on as an item of the given shape; buf is the memory that t lies in.
func part(t *tensor.Tensor, buf *buffer, at, n int, shape tensor.Shape) (it item) {
	switch size := t.DType().Size(); {
	case t.DType() == tensor.String:
		it.t = *tensor.FromStrings(shape, t.Strings()[at:at+n:at+n])
	case size == 0:
		it.t = *tensor.FromRefs(t.DType(), shape, t.Refs()[at:at+n:at+n])
	default:
		it.t.Set(t.DType(), shape, t.Bytes()[at*size:(at+n)*size:(at+n)*size])
	}
	if buf != nil {
		buf.refs++
		it.buf = buf
	}
	return it
}

// give makes output i the item's value, which stays the item's as well.
func (c *call) give(i int, it *item) {
	slot := c.st.out[i]
	c.s.release(slot)
	v := &c.s.values[slot]
	v.rep = repeat{}
	v.buf = it.buf
	if v.buf != nil {
		v.buf.refs++
	}
	if it.t.DType().Size() == 0 {
		v.t = it.t
		return
	}
	v.t.Set(it.t.DType(), append(v.dims[:0], it.t.Shape()...), it.t.Bytes())
}

// drop ends the life of an item.
func (a *arena) drop(it *item) {
	if it.buf != nil {
		a.release(it.buf)
	}
	*it = item{}
}

// zeros gives output i elements that are all zero, or empty strings.
func (c *call) zeros(i int, d tensor.DType, shape tensor.Shape) error {
	t, err := c.alloc(i, d, shape)
	if err == nil {
		clear(t.Bytes())
	}
	return err
}

// stack makes output i the n items that at returns, of one shape, one after the other; items that are not set are zeros.
func (c *call) stack(i int, d tensor.DType, shape tensor.Shape, n int, at func(k int) *item) error {
	var dims [8]int
	return c.gather(i, d, append(append(tensor.Shape(dims[:0]), n), shape...), n, func(k int) (*item, int) {
		return at(k), shape.Elements()
	})
}

// gather fills output i, of the given shape, with the elements of n items; at returns an item (nil or not set: zeros) and the
// number of its elements.
func (c *call) gather(i int, d tensor.DType, shape tensor.Shape, n int, at func(k int) (*item, int)) error {
	t, err := c.alloc(i, d, shape)
	if err != nil {
		return err
	}
	var parts *parts
	pos, size := 0, d.Size()
	for k := range n {
		it, num := at(k)
		if it == nil || !it.isSet() {
			if size > 0 {
				clear(t.Bytes()[pos*size : (pos+num)*size])
			}
			pos += num
			continue
		}
		moveRun(t, pos, &it.t, 0, num)
		pos += num
		if it.buf != nil && d.Size() == 0 {
			if parts == nil {
				parts = newParts()
			}
			parts.add(it.buf)
		}
	}
	if parts != nil {
		c.s.values[c.st.out[i]].buf = &parts.buf
	}
	return nil
}

// parts keeps alive what a tensor of several variants refers to.
type parts struct {
	buf  buffer
	list []*buffer
}

func newParts() *parts {
	p := &parts{}
	p.buf.refs, p.buf.holds = 1, p
	return p
}

func (p *parts) add(b *buffer) {
	b.refs++
	p.list = append(p.list, b)
}

func (p *parts) free(a *arena) {
	for _, b := range p.list {
		a.release(b)
	}
	p.list = nil
}

// pin keeps the variants in the step's inputs alive until the run ends, and from being changed in place: an op that moves
// elements without knowing what they are has copied references to them.
func (c *call) pin() {
	for _, slot := range c.st.in {
		if v := &c.s.values[slot]; v.buf != nil && v.t.DType() == tensor.Variant {
			v.buf.refs++
			c.s.pinned = append(c.s.pinned, v.buf)
		}
	}
}

// dropResources ends the life of what a run made beside the values of slots.
func (s *Session) dropResources() {
	for _, r := range s.resources {
		if h, ok := r.(holder); ok {
			h.free(&s.arena)
		}
	}
	for _, h := range s.arrays {
		h.free(&s.arena)
	}
	for _, b := range s.pinned {
		s.arena.release(b)
	}
	s.resources = nil
	s.arrays, s.pinned = slices.Delete(s.arrays, 0, len(s.arrays)), slices.Delete(s.pinned, 0, len(s.pinned))
}

// handleIn returns the thing of type T that the scalar handle in input j refers to.
func handleIn[T any](c *call, j int, what string) (h T, err error) {
	t := c.in(j)
	if refs := t.Refs(); len(refs) == 1 {
		if h, ok := refs[0].(T); ok {
			return h, nil
		}
	}
	return h, fmt.Errorf("input %d is %v %v, want the handle of a %s", j, t.DType(), t.Shape().Clone(), what)
}
