package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// listOps are TensorLists: variants that hold tensors and are values, so that an op gives a new list. Where nothing else
// refers to the list that comes in, the new one is made of it in place; else its elements are shared. Elements are never
// copied.
var listOps = map[string]evaluator{
	"EmptyTensorList":                   listNewOp,
	"TensorListReserve":                 listNewOp,
	"TensorListFromTensor":              listFromTensorOp,
	"TensorListPushBack":                listPushOp,
	"TensorListPushBackBatch":           listPushBatchOp,
	"TensorListPopBack":                 listPopOp,
	"TensorListGetItem":                 listGetOp,
	"TensorListSetItem":                 listSetOp,
	"TensorListLength":                  listLengthOp,
	"TensorListElementShape":            listShapeOp,
	"TensorListResize":                  listResizeOp,
	"TensorListStack":                   listStackOp,
	"TensorListGather":                  listGatherOp,
	"TensorListScatter":                 listScatterOp,
	"TensorListScatterV2":               listScatterOp,
	"TensorListScatterIntoExistingList": listScatterIntoOp,
	"TensorListConcat":                  listConcatOp,
	"TensorListConcatV2":                listConcatOp,
	"TensorListConcatLists":             listConcatListsOp,
	"TensorListSplit":                   listSplitOp,
}

// tensorList is one list value.
type tensorList struct {
	buf     buffer // counts who refers to the list
	self    [1]any
	dtype   tensor.DType
	shape   tensor.PartialShape // of each element, as far as it is known
	max     int                 // number of elements that pushing may reach, -1: no bound
	size    int
	items   []item // up to the highest that was set; the others are not set
	charged int64
}

func newList(d tensor.DType, shape tensor.PartialShape) *tensorList {
	l := &tensorList{dtype: d, shape: shape, max: -1}
	l.buf.refs, l.buf.holds = 1, l
	l.self[0] = l
	return l
}

func (l *tensorList) free(a *arena) {
	for i := range l.items {
		a.drop(&l.items[i])
	}
	l.items = nil
	a.inUse -= l.charged
	l.charged = 0
}

// setList makes output i the list, of which the caller holds one reference.
func (c *call) setList(i int, l *tensorList) {
	slot := c.st.out[i]
	c.s.release(slot)
	v := &c.s.values[slot]
	v.t, v.buf, v.rep = *tensor.FromRefs(tensor.Variant, tensor.Shape{}, l.self[:]), &l.buf, repeat{}
}

// listIn returns the list in input j; d, where it is not Invalid, is what its elements must be.
func (c *call) listIn(j int, d tensor.DType) (*tensorList, error) {
	l, err := handleIn[*tensorList](c, j, "TensorList")
	if err != nil {
		return nil, err
	}
	if d != tensor.Invalid && l.dtype != d {
		return nil, fmt.Errorf("the list holds %v, want %v", l.dtype, d)
	}
	return l, nil
}

// changed returns a list to change that equals the one in input j: that one itself where nobody else can see it.
func (c *call) changed(j int, l *tensorList) (*tensorList, error) {
	if c.st.dies>>j&1 != 0 && l.buf.refs == 1 && c.bufOf(j) == &l.buf {
		l.buf.refs++
		return l, nil
	}
	n := newList(l.dtype, l.shape)
	n.max, n.size = l.max, l.size
	if err := n.grow(&c.s.arena, len(l.items)); err != nil {
		return nil, err
	}
	copy(n.items, l.items)
	for i := range n.items {
		if b := n.items[i].buf; b != nil {
			b.refs++
		}
	}
	return n, nil
}

// grow makes room for n set items.
func (l *tensorList) grow(a *arena, n int) error {
	if n <= len(l.items) {
		return nil
	}
	if n > maxItems {
		return fmt.Errorf("a list of %d elements is above the limit of %d", n, maxItems)
	}
	items := slices.Grow(l.items, n-len(l.items))
	charge := int64(cap(items)) * itemBytes
	if err := a.charge(charge - l.charged); err != nil {
		return err
	}
	l.items, l.charged = items[:n], charge
	return nil
}

// put makes it element i, which the list has.
func (l *tensorList) put(a *arena, i int, it item) error {
	if err := l.grow(a, i+1); err != nil {
		a.drop(&it)
		return err
	}
	a.drop(&l.items[i])
	l.items[i] = it
	return nil
}

// resize makes the list n elements long; new ones are not set.
func (l *tensorList) resize(a *arena, n int) {
	for i := n; i < len(l.items); i++ {
		a.drop(&l.items[i])
	}
	l.items = l.items[:min(n, len(l.items))]
	l.size = n
}

// at returns element i, nil if it is not set.
func (l *tensorList) at(i int) *item {
	if i < len(l.items) && l.items[i].isSet() {
		return &l.items[i]
	}
	return nil
}

// like returns an element beside i, whose shape is likely the same.
func (l *tensorList) like(i int) *item {
	if i > 0 {
		if it := l.at(i - 1); it != nil {
			return it
		}
	}
	return l.at(i)
}

// accepts checks that the tensor in input j can be an element.
func (l *tensorList) accepts(t *tensor.Tensor) error {
	if t.DType() != l.dtype {
		return fmt.Errorf("have an element of %v for a list of %v", t.DType(), l.dtype)
	}
	if !l.shape.Accepts(t.Shape()) {
		return fmt.Errorf("have an element of shape %v for a list of %v", t.Shape().Clone(), l.shape)
	}
	return nil
}

// shapeIn returns the partial shape that input j gives: -1, or a vector in which -1 is an unknown dimension.
func (c *call) shapeIn(j int) (p tensor.PartialShape, err error) {
	t := c.in(j)
	var buf [8]int
	dims, err := appendInts(buf[:0], t, "element_shape")
	if err != nil {
		return p, err
	}
	if t.Rank() == 0 {
		if dims[0] != -1 {
			return p, fmt.Errorf("element_shape is the scalar %d, want a vector or -1", dims[0])
		}
		return p, nil
	}
	for _, d := range dims {
		if d < -1 {
			return p, fmt.Errorf("element_shape is %v, want dimensions of -1 or more", tensor.Shape(dims).Clone())
		}
	}
	return tensor.Partial(dims...), nil
}

// elementShape merges what the list and input j say of the elements' shape and, where that leaves something open and all is
// set, what the elements have.
func (l *tensorList) elementShape(c *call, j int, all bool) (tensor.PartialShape, error) {
	asked, err := c.shapeIn(j)
	if err != nil {
		return asked, err
	}
	p, ok := l.shape.Merge(asked)
	if !ok {
		return p, fmt.Errorf("element_shape is %v, but the list's elements have shape %v", asked, l.shape)
	}
	if _, known := p.Shape(); known || !all {
		return p, nil
	}
	return l.mergeElements(p)
}

// mergeElements adds to p what the elements have.
func (l *tensorList) mergeElements(p tensor.PartialShape) (tensor.PartialShape, error) {
	for i := range l.items {
		if it := l.at(i); it != nil {
			m, ok := p.Merge(it.t.Shape().Partial())
			if !ok {
				return p, fmt.Errorf("element %d has shape %v, want %v as the others", i, it.t.Shape(), p)
			}
			p = m
		}
	}
	return p, nil
}

// listNewOp makes a list: without elements and with at most input 1 of them (-1: any number), or with input 1 of them not set.
func listNewOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("element_dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	reserve := n.Op() == "TensorListReserve"
	return func(c *call) error {
		shape, err := c.shapeIn(0)
		if err != nil {
			return err
		}
		num, err := scalarInt(c.in(1), "number of elements")
		if err != nil {
			return err
		}
		l := newList(d, shape)
		if reserve {
			if num < 0 || num > maxItems {
				return fmt.Errorf("num_elements is %d, want one in [0, %d]", num, maxItems)
			}
			l.size = num
		} else {
			l.max = num
		}
		c.setList(0, l)
		return nil
	}, nil
}

// listFromTensorOp makes a list of the rows of input 0, which share its memory.
func listFromTensorOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		shape, err := c.shapeIn(1)
		if err != nil {
			return err
		}
		if x.Rank() == 0 {
			return fmt.Errorf("tensor is a scalar, want a vector or more")
		}
		elem := x.Shape()[1:].Clone()
		if !shape.Accepts(elem) {
			return fmt.Errorf("element_shape is %v, but the rows of the tensor have shape %v", shape, elem)
		}
		l := newList(x.DType(), shape)
		l.size = x.Shape()[0]
		for i := range l.size {
			if err := l.put(&c.s.arena, i, c.row(0, i, elem)); err != nil {
				c.s.arena.release(&l.buf)
				return err
			}
		}
		c.setList(0, l)
		return nil
	}, nil
}

// row returns row i of input j as an item of the given shape.
func (c *call) row(j, i int, shape tensor.Shape) item {
	n := shape.Elements()
	return part(c.in(j), c.bufOf(j), i*n, n, shape)
}

func listPushOp(*graphdef.Node, *kernels.Set) (evalFunc, error) { return pushElement, nil }

// pushElement makes output 0 the list in input 0 with input 1 behind its elements.
func pushElement(c *call) error {
	l, err := c.listIn(0, tensor.Invalid)
	if err != nil {
		return err
	}
	if err := l.accepts(c.in(1)); err != nil {
		return err
	}
	if l.max >= 0 && l.size >= l.max {
		return fmt.Errorf("the list has %d elements already, of at most %d", l.size, l.max)
	}
	if l, err = c.changed(0, l); err != nil {
		return err
	}
	l.size++
	if err := l.put(&c.s.arena, l.size-1, c.keep(1, l.like(l.size-1))); err != nil {
		c.s.arena.release(&l.buf)
		return err
	}
	c.setList(0, l)
	return nil
}

// listPopOp takes the last element off.
func listPopOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("element_dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, d)
		if err != nil {
			return err
		}
		if l.size == 0 {
			return fmt.Errorf("the list has no elements, cannot take one off")
		}
		if err := c.giveElement(1, l, l.size-1, 1); err != nil {
			return err
		}
		l, err = c.changed(0, l)
		if err != nil {
			return err
		}
		l.resize(&c.s.arena, l.size-1)
		c.setList(0, l)
		return nil
	}, nil
}

// giveElement makes output i element k of l; one that is not set is zeros of the shape that l and input j say.
func (c *call) giveElement(i int, l *tensorList, k, j int) error {
	if it := l.at(k); it != nil {
		c.give(i, it)
		return nil
	}
	p, err := l.elementShape(c, j, true)
	if err != nil {
		return err
	}
	shape, ok := p.Shape()
	if !ok {
		return fmt.Errorf("element %d is not set, and the shape of the elements is not known: %v", k, p)
	}
	return c.zeros(i, l.dtype, shape)
}

func listGetOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("element_dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, d)
		if err != nil {
			return err
		}
		i, err := scalarInt(c.in(1), "index")
		if err != nil {
			return err
		}
		if i < 0 || i >= l.size {
			return fmt.Errorf("index is %d, want one in [0, %d)", i, l.size)
		}
		return c.giveElement(0, l, i, 2)
	}, nil
}

func listSetOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	resize := r.Has("resize_if_index_out_of_bounds") && r.Bool("resize_if_index_out_of_bounds")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, tensor.Invalid)
		if err != nil {
			return err
		}
		i, err := scalarInt(c.in(1), "index")
		if err != nil {
			return err
		}
		if i < 0 || i >= l.size && !resize {
			return fmt.Errorf("index is %d, want one in [0, %d)", i, l.size)
		}
		if err := l.accepts(c.in(2)); err != nil {
			return err
		}
		l, err = c.changed(0, l)
		if err != nil {
			return err
		}
		l.size = max(l.size, i+1)
		if err := l.put(&c.s.arena, i, c.keep(2, l.like(i))); err != nil {
			c.s.arena.release(&l.buf)
			return err
		}
		c.setList(0, l)
		return nil
	}, nil
}

func listLengthOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		l, err := c.listIn(0, tensor.Invalid)
		if err != nil {
			return err
		}
		return c.setInt(0, l.size)
	}, nil
}

// listShapeOp gives what is known of the elements' shape, -1 where nothing is.
func listShapeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("shape_type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, tensor.Invalid)
		if err != nil {
			return err
		}
		rank, known := l.shape.Rank()
		if !known {
			return setInts(c, 0, d, tensor.Shape{}, []int{-1})
		}
		return setInts(c, 0, d, tensor.Shape{rank}, l.shape.Dims())
	}, nil
}

func listResizeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		l, err := c.listIn(0, tensor.Invalid)
		if err != nil {
			return err
		}
		size, err := scalarInt(c.in(1), "size")
		if err != nil {
			return err
		}
		if size < 0 || size > maxItems {
			return fmt.Errorf("size is %d, want one in [0, %d]", size, maxItems)
		}
		l, err = c.changed(0, l)
		if err != nil {
			return err
		}
		l.resize(&c.s.arena, size)
		c.setList(0, l)
		return nil
	}, nil
}
