package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// arrayOps are TF1's TensorArrays: a handle to elements that are written once, and a flow, a number without meaning that puts
// reads after writes. An element is the written tensor itself, so that writing and reading copy nothing.
var arrayOps = map[string]evaluator{
	"TensorArrayV3":        arrayOp,
	"TensorArrayWriteV3":   arrayWriteOp,
	"TensorArrayReadV3":    arrayReadOp,
	"TensorArrayGatherV3":  arrayGatherOp,
	"TensorArrayScatterV3": arrayScatterOp,
	"TensorArrayConcatV3":  arrayConcatOp,
	"TensorArraySplitV3":   arraySplitOp,
	"TensorArraySizeV3":    arraySizeOp,
	"TensorArrayCloseV3":   arrayCloseOp,
}

// tensorArray is the state of one TensorArray during a run.
type tensorArray struct {
	dtype     tensor.DType
	shape     tensor.PartialShape // of each element, as far as it is known
	identical bool                // the first element's shape is that of all
	dynamic   bool                // grows when written behind its end
	clears    bool                // an element can be read once
	closed    bool
	size      int
	elems     []arrayElem // up to the highest that was touched
	charged   int64
	self      [1]any
}

type arrayElem struct {
	item
	written, read, cleared bool
}

func (a *tensorArray) free(m *arena) {
	for i := range a.elems {
		m.drop(&a.elems[i].item)
	}
	a.elems = nil
	m.inUse -= a.charged
	a.charged = 0
}

// arrayOp makes an array of the size that input 0 gives.
func arrayOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	proto := tensorArray{
		dtype: r.Type("dtype"), shape: r.Shape("element_shape"), identical: r.Bool("identical_element_shapes"),
		dynamic: r.Bool("dynamic_size"), clears: r.Bool("clear_after_read"),
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		if c.in(0).Rank() != 0 {
			return fmt.Errorf("size has shape %v, want a scalar", c.in(0).Shape().Clone())
		}
		size, err := scalarInt(c.in(0), "size")
		if err != nil {
			return err
		}
		if size < 0 || size > maxItems {
			return fmt.Errorf("size is %d, want one in [0, %d]", size, maxItems)
		}
		a := new(tensorArray)
		*a = proto
		a.size, a.self[0] = size, a
		c.s.arrays = append(c.s.arrays, a)
		c.set(0, tensor.FromRefs(tensor.Resource, tensor.Shape{}, a.self[:]))
		return c.flow(1)
	}, nil
}

// flow gives output i the number that says that an array was used.
func (c *call) flow(i int) error {
	t, err := c.alloc(i, tensor.Float32, nil)
	if err == nil {
		tensor.Data[float32](t)[0] = 0
	}
	return err
}

// arrayIn returns the array that input 0 refers to, which must still be open.
func (c *call) arrayIn() (*tensorArray, error) {
	a, err := handleIn[*tensorArray](c, 0, "TensorArray")
	if err != nil {
		return nil, err
	}
	if a.closed {
		return nil, fmt.Errorf("the TensorArray has been closed")
	}
	return a, nil
}

// at returns element i, which the array has or, where it is to be written and the array can grow, gets.
func (a *tensorArray) at(c *call, i int, write bool) (*arrayElem, error) {
	switch {
	case i >= 0 && i < a.size:
	case i >= 0 && write && a.dynamic && i < maxItems:
		a.size = i + 1
	case write:
		return nil, fmt.Errorf("index %d is out of range, want one in [0, %d); only an array with dynamic_size grows", i, a.size)
	default:
		return nil, fmt.Errorf("index %d is out of range, want one in [0, %d)", i, a.size)
	}
	if i >= len(a.elems) {
		grow := append(a.elems, make([]arrayElem, i+1-len(a.elems))...)
		grow = grow[:cap(grow)]
		charge := int64(len(grow)) * itemBytes
		if err := c.s.arena.charge(charge - a.charged); err != nil {
			return nil, err
		}
		a.elems, a.charged = grow, charge
	}
	return &a.elems[i], nil
}

// write puts it into element i.
func (a *tensorArray) write(c *call, i int, it item) error {
	e, err := a.at(c, i, true)
	if err == nil {
		err = a.check(e, i, &it)
	}
	if err != nil {
		c.s.arena.drop(&it)
		return err
	}
	if a.identical {
		a.shape = merged(a.shape, it.t.Shape())
	}
	e.item, e.written = it, true
	return nil
}

// merged returns p with what s says beside; p accepts s.
func merged(p tensor.PartialShape, s tensor.Shape) tensor.PartialShape {
	if _, known := p.Shape(); known {
		return p
	}
	return s.Partial()
}

func (a *tensorArray) check(e *arrayElem, i int, it *item) error {
	switch {
	case it.t.DType() != a.dtype:
		return fmt.Errorf("have an element of %v, want %v", it.t.DType(), a.dtype)
	case !a.shape.Accepts(it.t.Shape()):
		return fmt.Errorf("element %d has shape %v, want %v as the others; infer_shape=False allows different shapes", i, it.t.Shape(), a.shape)
	case e.read:
		return fmt.Errorf("element %d cannot be written, it has been read before", i)
	case e.written:
		return fmt.Errorf("element %d has been written before, want each to be written once", i)
	}
	return nil
}

// read returns element i; one that was never written is zero, which takes the shape of the elements to be known.
func (a *tensorArray) read(c *call, i int) (*arrayElem, error) {
	e, err := a.at(c, i, false)
	if err != nil {
		return nil, err
	}
	if e.cleared {
		return nil, fmt.Errorf("element %d has been read before, and clear_after_read is set", i)
	}
	if !e.isSet() {
		shape, ok := a.shape.Shape()
		if !ok {
			return nil, fmt.Errorf("element %d was never written, and the shape of the elements is not known: %v", i, a.shape)
		}
		if err := c.zeros(0, a.dtype, shape); err != nil {
			return nil, err
		}
		e.item = keepValue(&c.s.values[c.st.out[0]], nil)
	}
	return e, nil
}

// finishRead marks e as read once its value is where it is wanted.
func (a *tensorArray) finishRead(c *call, e *arrayElem) {
	e.read = true
	if a.clears {
		c.s.arena.drop(&e.item)
		e.cleared = true
	}
}

// narrow adds what shape says to the shape of the elements.
func (a *tensorArray) narrow(shape tensor.PartialShape) error {
	m, ok := a.shape.Merge(shape)
	if !ok {
		return fmt.Errorf("elements have shape %v, want %v", a.shape, shape)
	}
	a.shape = m
	return nil
}

func arrayWriteOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := c.arrayIn()
		if err != nil {
			return err
		}
		i, err := scalarInt(c.in(1), "index")
		if err != nil {
			return err
		}
		var like *item
		if i > 0 && i <= len(a.elems) {
			like = &a.elems[i-1].item
		}
		if err := a.write(c, i, c.keep(2, like)); err != nil {
			return err
		}
		c.forward(0, 3)
		return nil
	}, nil
}

func arrayReadOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		a, err := c.arrayOf(d)
		if err != nil {
			return err
		}
		i, err := scalarInt(c.in(1), "index")
		if err != nil {
			return err
		}
		e, err := a.read(c, i)
		if err != nil {
			return err
		}
		c.give(0, &e.item)
		a.finishRead(c, e)
		return nil
	}, nil
}

// arrayOf is arrayIn for an op that reads elements of dtype d.
func (c *call) arrayOf(d tensor.DType) (*tensorArray, error) {
	a, err := c.arrayIn()
	if err == nil && a.dtype != d {
		return nil, fmt.Errorf("the TensorArray holds %v, but is read as %v", a.dtype, d)
	}
	return a, err
}

// arrayGatherOp stacks the elements that input 1 names.
func arrayGatherOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d, shape := r.Type("dtype"), r.Shape("element_shape")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		a, err := c.arrayOf(d)
		if err != nil {
			return err
		}
		if err := a.narrow(shape); err != nil {
			return err
		}
		indices := c.in(1)
		if indices.Rank() != 1 || indices.DType() != tensor.Int32 {
			return fmt.Errorf("indices is %v %v, want an int32 vector", indices.DType(), indices.Shape().Clone())
		}
		list := tensor.Data[int32](indices)
		if len(list) == 0 {
			elem, ok := a.shape.Shape()
			if !ok {
				return fmt.Errorf("no elements are gathered, and their shape is not known: %v", a.shape)
			}
			return c.stack(0, d, elem, 0, nil)
		}
		if err := a.readAll(c, list); err != nil {
			return err
		}
		first := a.elems[list[0]].t.Shape()
		for _, i := range list {
			if s := a.elems[i].t.Shape(); !s.Equal(first) {
				return fmt.Errorf("elements %d and %d have shapes %v and %v, want them alike", list[0], i, first, s)
			}
		}
		if err := c.stack(0, d, first, len(list), func(k int) *item { return &a.elems[list[k]].item }); err != nil {
			return err
		}
		for _, i := range list {
			a.finishRead(c, &a.elems[i])
		}
		return nil
	}, nil
}

// readAll makes sure that all the elements can be read.
func (a *tensorArray) readAll(c *call, list []int32) error {
	for _, i := range list {
		e, err := a.read(c, int(i))
		if err != nil {
			return err
		}
		if a.clears && e.read {
			return fmt.Errorf("element %d is read twice, and clear_after_read is set", i)
		}
		e.read = a.clears
	}
	return nil
}

// arrayScatterOp writes the rows of input 2 into the elements that input 1 names.
func arrayScatterOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := c.arrayIn()
		if err != nil {
			return err
		}
		indices, x := c.in(1), c.in(2)
		if indices.Rank() != 1 || indices.DType() != tensor.Int32 {
			return fmt.Errorf("indices is %v %v, want an int32 vector", indices.DType(), indices.Shape().Clone())
		}
		if x.Rank() == 0 || x.Shape()[0] != indices.Len() {
			return fmt.Errorf("have %d indices for a value of shape %v, want as many rows", indices.Len(), x.Shape().Clone())
		}
		shape := x.Shape()[1:].Clone()
		if err := a.narrow(shape.Partial()); err != nil {
			return err
		}
		row := shape.Elements()
		for k, i := range tensor.Data[int32](indices) {
			if err := a.write(c, int(i), part(x, c.bufOf(2), k*row, row, shape)); err != nil {
				return err
			}
		}
		c.forward(0, 3)
		return nil
	}, nil
}

// bufOf returns the memory that input j lies in, nil where it is not the session's.
func (c *call) bufOf(j int) *buffer { return c.s.values[c.st.in[j]].buf }

// arrayConcatOp joins all elements along their first axis, and gives the lengths that they had.
func arrayConcatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d, rest := r.Type("dtype"), r.Shape("element_shape_except0")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		a, err := c.arrayOf(d)
		if err != nil {
			return err
		}
		var lengths []int
		shape, known := rest.Shape()
		if a.size == 0 && !known {
			return fmt.Errorf("no elements are joined, and their shape is not known but for the first dimension: %v", rest)
		}
		total := 0
		for i := range a.size {
			e, err := a.read(c, i)
			if err != nil {
				return err
			}
			s := e.t.Shape()
			if len(s) == 0 {
				return fmt.Errorf("element %d is a scalar, want a vector or more", i)
			}
			if i == 0 && !known {
				shape = s[1:]
			}
			if !s[1:].Equal(shape) || !rest.Accepts(s[1:]) {
				return fmt.Errorf("element %d has shape %v, want %v behind the first dimension", i, s, shape)
			}
			lengths = append(lengths, s[0])
			total += s[0]
		}
		if err := setInts(c, 1, tensor.Int64, tensor.Shape{len(lengths)}, lengths); err != nil {
			return err
		}
		out := append(tensor.Shape{total}, shape...)
		err = c.gather(0, d, out, a.size, func(k int) (*item, int) { return &a.elems[k].item, a.elems[k].t.Len() })
		if err != nil {
			return err
		}
		for i := range a.size {
			a.finishRead(c, &a.elems[i])
		}
		return nil
	}, nil
}

// arraySplitOp writes pieces of input 1, of the lengths of input 2 along the first axis, into elements 0, 1, …
func arraySplitOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := c.arrayIn()
		if err != nil {
			return err
		}
		x, lengths := c.in(1), c.in(2)
		sizes, err := splitLengths(x, lengths)
		if err != nil {
			return err
		}
		if len(sizes) != a.size && !(a.dynamic && len(sizes) > a.size) {
			return fmt.Errorf("have %d lengths for an array of %d elements, want as many", len(sizes), a.size)
		}
		row, at := x.Shape()[1:].Elements(), 0
		for i, size := range sizes {
			shape := append(tensor.Shape{int(size)}, x.Shape()[1:]...)
			if err := a.write(c, i, part(x, c.bufOf(1), at*row, int(size)*row, shape)); err != nil {
				return err
			}
			at += int(size)
		}
		c.forward(0, 3)
		return nil
	}, nil
}

// splitLengths checks that the lengths sum up to the rows of x and returns them.
func splitLengths(x, lengths *tensor.Tensor) ([]int64, error) {
	if x.Rank() == 0 {
		return nil, fmt.Errorf("value is a scalar, want a vector or more")
	}
	if lengths.DType() != tensor.Int64 || lengths.Rank() != 1 {
		return nil, fmt.Errorf("lengths is %v %v, want an int64 vector", lengths.DType(), lengths.Shape().Clone())
	}
	sizes, rows := tensor.Data[int64](lengths), int64(x.Shape()[0])
	left := rows
	for i, size := range sizes {
		if size < 0 || size > left {
			return nil, fmt.Errorf("lengths[%d] is %d, want lengths that sum up to the %d rows of the value", i, size, rows)
		}
		left -= size
	}
	if left != 0 {
		return nil, fmt.Errorf("lengths sum up to %d, want the %d rows of the value", rows-left, rows)
	}
	return sizes, nil
}

func arraySizeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := c.arrayIn()
		if err != nil {
			return err
		}
		return c.setInt(0, a.size)
	}, nil
}

// setInt makes output i an int32 scalar.
func (c *call) setInt(i, v int) error {
	t, err := c.alloc(i, tensor.Int32, nil)
	if err == nil {
		tensor.Data[int32](t)[0] = int32(v)
	}
	return err
}

func arrayCloseOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		a, err := c.arrayIn()
		if err != nil {
			return err
		}
		a.free(&c.s.arena)
		a.closed = true
		return nil
	}, nil
}
