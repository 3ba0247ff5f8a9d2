package graphdef

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// ShapeFunc tells what is known of the outputs of a node from what is known of its inputs. An error says that the inputs
// contradict each other or the op. Outputs that it does not set stay unknown.
type ShapeFunc func(*ShapeContext) error

// ShapeContext is one node as shape functions see it.
type ShapeContext struct {
	n        *Node
	sig      *Signature
	attrs    *AttrReader
	in, out  []known
	producer int32 // GraphDef.versions.producer
	calls    interface {
		call(n *Node, function string, args []known) ([]known, bool)
	}
}

// known is what is known of one output.
type known struct {
	set   bool // false before the node's first visit: the back edges of loops
	dtype tensor.DType
	shape tensor.PartialShape
	ints  []int64              // the elements of a small integer scalar or vector, unknownInt where not known; nil: none is
	elem  *tensor.PartialShape // handles of variables, tensor arrays and lists: the shape of what they hold
}

// unknownInt stands for an element that is not known.
const unknownInt = math.MinInt64

// maxInts bounds the length of vectors whose elements are followed.
const maxInts = 256

func (k known) equal(o known) bool {
	if k.set != o.set || !k.shape.Equal(o.shape) || (k.ints == nil) != (o.ints == nil) || !slices.Equal(k.ints, o.ints) {
		return false
	}
	return (k.elem == nil) == (o.elem == nil) && (k.elem == nil || k.elem.Equal(*o.elem))
}

// relax returns what k and o have in common.
func (k known) relax(o known) known {
	if !k.set {
		return o
	}
	if !o.set {
		return k
	}
	r := known{set: true, dtype: k.dtype, shape: k.shape.Relax(o.shape)}
	if k.dtype == tensor.Invalid {
		r.dtype = o.dtype
	}
	if k.ints != nil && len(k.ints) == len(o.ints) {
		r.ints = slices.Clone(k.ints)
		for i, v := range o.ints {
			if v != r.ints[i] {
				r.ints[i] = unknownInt
			}
		}
		r.ints = worthwhile(r.ints)
	}
	if k.elem != nil && o.elem != nil {
		e := k.elem.Relax(*o.elem)
		r.elem = &e
	}
	return r
}

// worthwhile drops vectors of which no element is known.
func worthwhile(v []int64) []int64 {
	for _, x := range v {
		if x != unknownInt {
			return v
		}
	}
	return nil
}

// maxOutputs bounds the outputs that a node is followed for, besides those that others read: a few bytes of a file can
// claim any number.
const maxOutputs = 256

// allocate makes room for the outputs and finds their dtypes.
func (c *ShapeContext) allocate() error {
	for i := range c.sig.Outputs {
		a := &c.sig.Outputs[i]
		count, ok := c.attrs.count(a, "")
		if !ok {
			return c.n.Errorf("number of outputs %q is not known", a.Name)
		}
		if len(c.out)+count > maxOutputs {
			count = max(0, min(count, max(usedOutputs(c.n), maxOutputs)-len(c.out)))
		}
		quiet := *c.attrs
		for _, t := range quiet.argTypes(a, count) {
			c.out = append(c.out, known{dtype: t})
		}
	}
	return nil
}

// checkInputs makes sure that the node has the inputs that the signature says, so that shape functions may read them.
func (c *ShapeContext) checkInputs() error {
	last := len(c.sig.Inputs) - 1
	to, ok := 0, true
	if last >= 0 {
		_, to, ok = c.attrs.inputRange(last, "")
	}
	if !ok || to != len(c.in) {
		return c.n.Errorf("has the wrong number of inputs, have %d", len(c.in))
	}
	return nil
}

// shape returns what is known of the shape of input i.
func (c *ShapeContext) shape(i int) tensor.PartialShape { return c.in[i].shape }

// ints returns the elements of input i (unknownInt where not known), nil where none is known.
func (c *ShapeContext) ints(i int) []int64 { return c.in[i].ints }

// scalarInt returns the only element of input i, unknownInt if it is not known.
func (c *ShapeContext) scalarInt(i int) int64 {
	if v := c.in[i].ints; len(v) == 1 {
		return v[0]
	}
	return unknownInt
}

// maxRank is TensorFlow's bound on ranks.
const maxRank = 254

// set says the shape of output i; what no tensor can have (sizes that overflow) counts as not known.
func (c *ShapeContext) set(i int, s tensor.PartialShape) {
	if i >= len(c.out) || len(s.Dims()) > maxRank {
		return
	}
	for _, d := range s.Dims() {
		if d < tensor.UnknownDim || d > maxDim {
			return
		}
	}
	c.out[i].shape = s
}

// maxDim bounds dimensions so that their products with one another fit an int64.
const maxDim = min(1<<40, math.MaxInt)

// product multiplies dimensions; it is unknown where one of them is, or the product is beyond all memory.
func product(dims ...int) int {
	p := 1
	for _, d := range dims {
		if d < 0 || (d > 0 && p > maxDim/d) {
			return tensor.UnknownDim
		}
		p *= d
	}
	return p
}

// give makes output i be what k is.
func (c *ShapeContext) give(i int, k known) {
	if i >= len(c.out) {
		return
	}
	d := c.out[i].dtype
	if d == tensor.Invalid {
		d = k.dtype
	}
	k.dtype = d
	c.out[i] = k
}

// setInts says the elements of output i, an integer scalar or vector; values that its dtype does not hold are dropped.
func (c *ShapeContext) setInts(i int, v []int64) {
	if i >= len(c.out) || len(v) > maxInts {
		return
	}
	switch c.out[i].dtype.Base() {
	case tensor.Int64:
	case tensor.Int32:
		v = slices.Clone(v)
		for k, x := range v {
			if x != int64(int32(x)) {
				v[k] = unknownInt
			}
		}
	default:
		return
	}
	c.out[i].ints = worthwhile(v)
}

// list returns the range of data inputs of the list argument of that name.
func (c *ShapeContext) list(name string) (from, to int) {
	for i := range c.sig.Inputs {
		if c.sig.Inputs[i].Name == name {
			if from, to, ok := c.attrs.inputRange(i, ""); ok {
				return from, to
			}
		}
	}
	return 0, 0
}

// errorf returns an error about the node.
func (c *ShapeContext) errorf(format string, args ...any) error {
	return c.n.Errorf(format, args...)
}

var (
	unknownShape = tensor.PartialShape{}
	scalarShape  = tensor.Partial()
)

// ofRank returns a shape of known rank and unknown dimensions.
func ofRank(rank int) tensor.PartialShape {
	if rank < 0 || rank > maxInts {
		return unknownShape
	}
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = tensor.UnknownDim
	}
	return tensor.Partial(dims...)
}

// wantRank refuses a shape that is known to have another rank.
func (c *ShapeContext) wantRank(what string, s tensor.PartialShape, rank int) error {
	if r, ok := s.Rank(); ok && r != rank {
		return c.errorf("%s has the wrong rank, have %v, want rank %d", what, s, rank)
	}
	return nil
}

// axisOf makes axis an index into rank dimensions; negative ones count from the end.
func (c *ShapeContext) axisOf(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, c.errorf("axis is out of range, have %d, want [%d, %d)", axis, -rank, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// sizesOf is dimsOf where -1 has no meaning.
func (c *ShapeContext) sizesOf(i int) (tensor.PartialShape, error) {
	if slices.Contains(c.ints(i), -1) {
		return unknownShape, c.errorf("shape has dimension -1, want 0 or more")
	}
	return c.dimsOf(i)
}

// sizeIn reads a size that scalar input i holds.
func (c *ShapeContext) sizeIn(what string, i int) (int, error) {
	if err := c.wantRank(what, c.shape(i), 0); err != nil {
		return 0, err
	}
	switch v := c.scalarInt(i); {
	case v == unknownInt || v > maxDim:
		return tensor.UnknownDim, nil
	case v < 0:
		return 0, c.errorf("%s is negative, have %d", what, v)
	default:
		return int(v), nil
	}
}

// dimsOf reads a shape that input i holds as a vector of integers: -1 and what is not known become unknown dimensions. It
// is the unknown shape where not even the length is known.
func (c *ShapeContext) dimsOf(i int) (tensor.PartialShape, error) {
	v := c.ints(i)
	if v == nil {
		if rank, ok := c.shape(i).Rank(); !ok || rank != 1 || c.shape(i).Dim(0) < 0 {
			return unknownShape, nil
		}
		return ofRank(c.shape(i).Dim(0)), nil
	}
	if rank, ok := c.shape(i).Rank(); ok && rank == 0 {
		return unknownShape, nil // scalar -1: TensorList's way to say that the rank is not known
	}
	dims := make([]int, len(v))
	for k, d := range v {
		switch {
		case d == unknownInt || d == -1:
			dims[k] = tensor.UnknownDim
		case d < 0 || d > maxDim:
			return unknownShape, c.errorf("shape has dimension %d", d)
		default:
			dims[k] = int(d)
		}
	}
	return tensor.Partial(dims...), nil
}

// mergeDims returns the dimension that a and b, which must be equal, agree on.
func (c *ShapeContext) mergeDims(what string, a, b int) (int, error) {
	switch {
	case a < 0:
		return b, nil
	case b < 0 || a == b:
		return a, nil
	}
	return 0, c.errorf("%s differ, have %d and %d", what, a, b)
}

// mergeShapes is mergeDims for whole shapes.
func (c *ShapeContext) mergeShapes(what string, a, b tensor.PartialShape) (tensor.PartialShape, error) {
	m, ok := a.Merge(b)
	if !ok {
		return m, c.errorf("%s differ, have %v and %v", what, a, b)
	}
	return m, nil
}

// elements returns the number of elements of s, -1 if it is not known.
func elements(s tensor.PartialShape) int {
	full, ok := s.Shape()
	if !ok {
		return -1
	}
	n, err := full.CheckedElements()
	if err != nil {
		return -1
	}
	return n
}

// broadcastShapes is NumPy's rule for partial shapes: an unknown dimension against 1 stays unknown, against k > 1 is k.
func broadcastShapes(a, b tensor.PartialShape) (tensor.PartialShape, error) {
	ra, ok := a.Rank()
	rb, ok2 := b.Rank()
	if !ok || !ok2 {
		return unknownShape, nil
	}
	if ra < rb {
		a, b, ra, rb = b, a, rb, ra
	}
	dims := slices.Clone(a.Dims())
	for i := range rb {
		x, y := a.Dim(ra-rb+i), b.Dim(i)
		d := x
		switch {
		case x == y || y == 1:
		case x == 1:
			d = y
		case x < 0:
			d = y
		case y < 0:
		default:
			return unknownShape, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
		dims[ra-rb+i] = d
	}
	return tensor.Partial(dims...), nil
}
