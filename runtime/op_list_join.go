package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// listStackOp stacks all elements.
func listStackOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d, want := r.Type("element_dtype"), int(r.Int("num_elements"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, d)
		if err != nil {
			return err
		}
		if want >= 0 && want != l.size {
			return fmt.Errorf("the list has %d elements, want %d", l.size, want)
		}
		shape, err := l.wholeShape(c, 1, l.size)
		if err != nil {
			return err
		}
		for i := range l.items {
			if it := l.at(i); it != nil && !it.t.Shape().Equal(shape) {
				return fmt.Errorf("element %d has shape %v, want %v as the others", i, it.t.Shape(), shape)
			}
		}
		return c.stack(0, d, shape, l.size, l.at)
	}, nil
}

// wholeShape returns the shape that the n elements to be joined have, which must be known.
func (l *tensorList) wholeShape(c *call, j, n int) (tensor.Shape, error) {
	p, err := l.elementShape(c, j, n > 0)
	if err != nil {
		return nil, err
	}
	shape, ok := p.Shape()
	if !ok {
		return nil, fmt.Errorf("no element that is set is joined, and the shape of the elements is not known: %v", p)
	}
	return shape, nil
}

// listGatherOp stacks the elements that input 1 names.
func listGatherOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
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
		if c.in(1).DType() != tensor.Int32 {
			return fmt.Errorf("indices is %v, want int32", c.in(1).DType())
		}
		indices := tensor.Data[int32](c.in(1))
		shape, err := l.wholeShape(c, 2, len(indices))
		if err != nil {
			return err
		}
		for k, i := range indices {
			if i < 0 || int(i) >= l.size {
				return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", k, i, l.size)
			}
			if it := l.at(int(i)); it != nil && !it.t.Shape().Equal(shape) {
				return fmt.Errorf("element %d has shape %v, want %v", i, it.t.Shape(), shape)
			}
		}
		return c.stack(0, d, shape, len(indices), func(k int) *item { return l.at(int(indices[k])) })
	}, nil
}

// listScatterOp makes a list in which element indices[i] is row i of input 0.
func listScatterOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	counted := n.Op() == "TensorListScatterV2"
	return func(c *call) error {
		shape, err := c.shapeIn(2)
		if err != nil {
			return err
		}
		size := -1
		if counted {
			if size, err = scalarInt(c.in(3), "num_elements"); err != nil {
				return err
			}
			if size < -1 || size > maxItems {
				return fmt.Errorf("num_elements is %d, want one in [-1, %d]", size, maxItems)
			}
		}
		l := newList(c.in(0).DType(), shape)
		l.size = max(size, 0)
		if err := l.scatter(c, 0, 1, size < 0); err != nil {
			c.s.arena.release(&l.buf)
			return err
		}
		c.setList(0, l)
		return nil
	}, nil
}

// scatter puts the rows of input j into the elements that input k names; grow says whether the list grows as needed.
func (l *tensorList) scatter(c *call, j, k int, grow bool) error {
	x, indices := c.in(j), c.in(k)
	if indices.DType() != tensor.Int32 {
		return fmt.Errorf("indices is %v, want int32", indices.DType())
	}
	if x.Rank() == 0 || x.Shape()[0] != indices.Len() {
		return fmt.Errorf("have %d indices for a tensor of shape %v, want as many rows", indices.Len(), x.Shape().Clone())
	}
	shape := x.Shape()[1:].Clone()
	if x.DType() != l.dtype || !l.shape.Accepts(shape) {
		return fmt.Errorf("rows are %v %v, want elements of %v %v", x.DType(), shape, l.dtype, l.shape)
	}
	for i, at := range tensor.Data[int32](indices) {
		switch {
		case at < 0, int(at) >= l.size && !grow, at >= maxItems:
			return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", i, at, l.size)
		case int(at) >= l.size:
			l.size = int(at) + 1
		}
		if err := l.put(&c.s.arena, int(at), c.row(j, i, shape)); err != nil {
			return err
		}
	}
	return nil
}

// listScatterIntoOp puts the rows of input 1 into elements of a list, which grows as needed.
func listScatterIntoOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		l, err := c.listIn(0, c.in(1).DType())
		if err != nil {
			return err
		}
		if l, err = c.changed(0, l); err != nil {
			return err
		}
		if err := l.scatter(c, 1, 2, true); err != nil {
			c.s.arena.release(&l.buf)
			return err
		}
		c.setList(0, l)
		return nil
	}, nil
}

// listConcatOp joins the elements along their first axis and gives the lengths that they had there. Elements that are not
// set are zeros, of the leading dimensions that input 2 gives.
func listConcatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("element_dtype")
	var attr tensor.PartialShape
	second := n.Op() == "TensorListConcatV2"
	if !second {
		attr = r.Shape("element_shape")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		l, err := c.listIn(0, d)
		if err != nil {
			return err
		}
		var leading []int64
		asked := attr
		if second {
			if asked, err = c.shapeIn(1); err != nil {
				return err
			}
			if c.in(2).DType() != tensor.Int64 {
				return fmt.Errorf("leading_dims is %v, want int64", c.in(2).DType())
			}
			leading = tensor.Data[int64](c.in(2))
		}
		rest, first, err := l.restShape(asked)
		if err != nil {
			return err
		}
		var lengths []int
		total := 0
		for i := range l.size {
			n := first
			switch it := l.at(i); {
			case it != nil:
				n = it.t.Shape()[0]
			case i < len(leading):
				n = int(leading[i])
			}
			if n < 0 {
				return fmt.Errorf("element %d is not set, and its first dimension is not known", i)
			}
			lengths = append(lengths, n)
			if total += n; total < 0 {
				return fmt.Errorf("the first dimensions of the elements sum up to too much")
			}
		}
		if err := setInts(c, 1, tensor.Int64, tensor.Shape{len(lengths)}, lengths); err != nil {
			return err
		}
		row := rest.Elements()
		return c.gather(0, d, append(tensor.Shape{total}, rest...), l.size, func(k int) (*item, int) {
			return l.at(k), lengths[k] * row
		})
	}, nil
}

// restShape returns the shape that all elements have behind their first dimension, and that dimension where it is the same
// for all, else -1.
func (l *tensorList) restShape(asked tensor.PartialShape) (rest tensor.Shape, first int, err error) {
	p, ok := l.shape.Merge(asked)
	if !ok {
		return nil, 0, fmt.Errorf("element_shape is %v, but the list's elements have shape %v", asked, l.shape)
	}
	first = -1
	behind := tensor.PartialShape{}
	if rank, known := p.Rank(); known {
		if rank == 0 {
			return nil, 0, fmt.Errorf("elements are scalars, want vectors or more")
		}
		first, behind = p.Dim(0), tensor.Partial(p.Dims()[1:]...)
	}
	_, whole := l.shape.Shape() // what went into the list was held to its shape, but for the pieces of a TensorListSplit
	same, open := first, first < 0
	for i := range l.items {
		it := l.at(i)
		if it == nil {
			continue
		}
		s := it.t.Shape()
		if len(s) == 0 {
			return nil, 0, fmt.Errorf("element %d is a scalar, want a vector or more", i)
		}
		m, ok := behind.Merge(s[1:].Partial())
		if !ok || first >= 0 && s[0] != first && !whole {
			return nil, 0, fmt.Errorf("element %d has shape %v, want %v and %v behind", i, s, first, behind)
		}
		behind = m
		switch {
		case open && same < 0:
			same = s[0]
		case open && same != s[0]:
			same, open = -1, false
		}
	}
	rest, ok = behind.Shape()
	if !ok {
		return nil, 0, fmt.Errorf("the shape of the elements behind their first dimension is not known: %v", behind)
	}
	return rest, same, nil
}

// listConcatListsOp appends the elements of each list of input 1 to those of the list at its place in input 0.
func listConcatListsOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("element_dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, y := c.in(0), c.in(1)
		if !x.Shape().Equal(y.Shape()) {
			return fmt.Errorf("inputs have shapes %v and %v, want them alike", x.Shape().Clone(), y.Shape().Clone())
		}
		lists := make([]*tensorList, x.Len())
		for i := range lists {
			a, aok := x.Refs()[i].(*tensorList)
			b, bok := y.Refs()[i].(*tensorList)
			if !aok || !bok {
				return fmt.Errorf("element %d of an input is no TensorList", i)
			}
			if a.dtype != d || b.dtype != d || !a.shape.Equal(b.shape) {
				return fmt.Errorf("lists hold %v %v and %v %v, want both to hold %v of one shape", a.dtype, a.shape, b.dtype, b.shape, d)
			}
			l := newList(d, a.shape)
			lists[i] = l
			for k := range a.size + b.size {
				from, at := a, k
				if k >= a.size {
					from, at = b, k-a.size
				}
				if it := from.at(at); it != nil {
					if err := l.put(&c.s.arena, k, part(&it.t, it.buf, 0, it.t.Len(), it.t.Shape())); err != nil {
						return err
					}
				}
			}
			l.size = a.size + b.size
		}
		c.setLists(0, x.Shape().Clone(), lists)
		return nil
	}, nil
}

// setLists makes output i a tensor of lists, of each of which the caller holds one reference.
func (c *call) setLists(i int, shape tensor.Shape, lists []*tensorList) {
	if len(shape) == 0 {
		c.setList(i, lists[0])
		return
	}
	p := newParts()
	refs := make([]any, len(lists))
	for k, l := range lists {
		refs[k] = l
		p.list = append(p.list, &l.buf)
	}
	slot := c.st.out[i]
	c.s.release(slot)
	v := &c.s.values[slot]
	v.t, v.buf, v.rep = *tensor.FromRefs(tensor.Variant, shape, refs), &p.buf, repeat{}
}

// listPushBatchOp appends row i of input 1 to list i of input 0.
func listPushBatchOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x, t := c.in(0), c.in(1)
		if t.Rank() < x.Rank() || !t.Shape()[:x.Rank()].Equal(x.Shape()) {
			return fmt.Errorf("have lists of shape %v and a tensor of shape %v, want it to begin with theirs", x.Shape().Clone(), t.Shape().Clone())
		}
		shape := t.Shape()[x.Rank():].Clone()
		lists := make([]*tensorList, x.Len())
		for i := range lists {
			a, ok := x.Refs()[i].(*tensorList)
			if !ok {
				return fmt.Errorf("element %d of input 0 is no TensorList", i)
			}
			switch {
			case a.dtype != t.DType() || !a.shape.Accepts(shape):
				return fmt.Errorf("have an element of %v %v for a list of %v %v", t.DType(), shape, a.dtype, a.shape)
			case a.max >= 0 && a.size >= a.max:
				return fmt.Errorf("list %d has %d elements already, of at most %d", i, a.size, a.max)
			}
			l := newList(a.dtype, a.shape)
			l.max, l.size, lists[i] = a.max, a.size+1, l
			for k := range a.items {
				if it := a.at(k); it != nil {
					if err := l.put(&c.s.arena, k, part(&it.t, it.buf, 0, it.t.Len(), it.t.Shape())); err != nil {
						return err
					}
				}
			}
			if err := l.put(&c.s.arena, a.size, c.row(1, i, shape)); err != nil {
				return err
			}
		}
		c.setLists(0, x.Shape().Clone(), lists)
		return nil
	}, nil
}

// listSplitOp makes a list of pieces of input 0, of the lengths of input 2 along the first axis.
func listSplitOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		shape, err := c.shapeIn(1)
		if err != nil {
			return err
		}
		sizes, err := splitLengths(x, c.in(2))
		if err != nil {
			return err
		}
		// TensorFlow does not hold the pieces to the first dimension that element_shape gives.
		if dims := shape.Dims(); dims != nil && (len(dims) == 0 || !tensor.Partial(dims[1:]...).Accepts(x.Shape()[1:])) {
			return fmt.Errorf("element_shape is %v, but the pieces have shape %v behind their first dimension", shape, x.Shape()[1:].Clone())
		}
		l := newList(x.DType(), shape)
		l.size = len(sizes)
		row, at := x.Shape()[1:].Elements(), 0
		for i, size := range sizes {
			piece := append(tensor.Shape{int(size)}, x.Shape()[1:]...)
			if err := l.put(&c.s.arena, i, part(x, c.bufOf(0), at*row, int(size)*row, piece)); err != nil {
				c.s.arena.release(&l.buf)
				return err
			}
			at += int(size)
		}
		c.setList(0, l)
		return nil
	}, nil
}
