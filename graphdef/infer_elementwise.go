package graphdef

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// same: output 0 has the shape of input 0.
func same(c *ShapeContext) error {
	c.set(0, c.shape(0))
	return nil
}

// sameSecond: output 0 has the shape of input 1.
func sameSecond(c *ShapeContext) error {
	c.set(0, c.shape(1))
	return nil
}

// sameNonScalar is same for ops that need a last dimension.
func sameNonScalar(c *ShapeContext) error {
	if rank, ok := c.shape(0).Rank(); ok && rank == 0 {
		return c.errorf("input is a scalar, want rank 1 or more")
	}
	return same(c)
}

// pass: output 0 is input 0.
func pass(c *ShapeContext) error {
	c.give(0, c.in[0])
	return nil
}

// passEach: output i is input i.
func passEach(c *ShapeContext) error {
	for i := range min(len(c.in), len(c.out)) {
		c.give(i, c.in[i])
	}
	return nil
}

// scalars: every output is a scalar.
func scalars(c *ShapeContext) error {
	for i := range c.out {
		c.set(i, scalarShape)
	}
	return nil
}

// none: the op has no outputs of which something is to be said.
func none(*ShapeContext) error { return nil }

// castShape is same, and integers keep their values, as floats too: a Range may count in floats.
func castShape(c *ShapeContext) error {
	c.set(0, c.shape(0))
	v := c.ints(0)
	if len(c.out) > 0 && c.out[0].dtype == tensor.Float32 {
		for _, x := range v {
			if x != unknownInt && (x > maxFloatInt || x < -maxFloatInt) {
				return nil
			}
		}
		c.out[0].ints = v
		return nil
	}
	c.setInts(0, v)
	return nil
}

// maxFloatInt bounds the integers that float32 holds exactly.
const maxFloatInt = 1 << 24

// isInt reports whether output 0 is of the integers that are computed with.
func (c *ShapeContext) isInt() bool {
	return len(c.out) > 0 && (c.out[0].dtype.Base() == tensor.Int32 || c.out[0].dtype.Base() == tensor.Int64)
}

// broadcast: the inputs stretch to the shape of output 0.
func broadcast(c *ShapeContext) error {
	s := c.shape(0)
	for i := range c.in[1:] {
		var err error
		if s, err = broadcastShapes(s, c.shape(i+1)); err != nil {
			return err
		}
	}
	c.set(0, s)
	return nil
}

// equality is broadcast; where incompatible_shape_error is false, shapes that do not match give a scalar.
func equality(c *ShapeContext) error {
	if c.attrs.Bool("incompatible_shape_error") {
		return broadcast(c)
	}
	if s, err := broadcastShapes(c.shape(0), c.shape(1)); err == nil && elements(c.shape(0)) >= 0 && elements(c.shape(1)) >= 0 {
		c.set(0, s)
	}
	return nil
}

// arithmetic is broadcast for ops that integers of shapes go through.
func arithmetic(c *ShapeContext) error {
	if err := broadcast(c); err != nil {
		return err
	}
	x, y := c.ints(0), c.ints(1)
	f := intArithmetic[c.n.op]
	if f == nil || x == nil || y == nil || (len(x) != len(y) && len(x) != 1 && len(y) != 1) {
		return nil
	}
	out := make([]int64, max(len(x), len(y)))
	if len(x) == 0 || len(y) == 0 {
		out = out[:0]
	}
	for i := range out {
		out[i] = f(x[i%len(x)], y[i%len(y)])
	}
	if rank, ok := c.out[0].shape.Rank(); ok && rank <= 1 {
		c.setInts(0, out)
	}
	return nil
}

// maxInt bounds the integers that are computed with: their products still fit.
const maxInt = 1 << 31

func small(x, y int64) bool { return x >= -maxInt && x <= maxInt && y >= -maxInt && y <= maxInt }

// ifSmall lifts f to elements that may be unknown.
func ifSmall(f func(x, y int64) int64) func(x, y int64) int64 {
	return func(x, y int64) int64 {
		if !small(x, y) {
			return unknownInt
		}
		return f(x, y)
	}
}

var intArithmetic = map[string]func(x, y int64) int64{
	"Add":   ifSmall(func(x, y int64) int64 { return x + y }),
	"AddV2": ifSmall(func(x, y int64) int64 { return x + y }),
	"Sub":   ifSmall(func(x, y int64) int64 { return x - y }),
	"Mul": func(x, y int64) int64 {
		if x == 0 || y == 0 {
			return 0
		}
		if !small(x, y) {
			return unknownInt
		}
		return x * y
	},
	"Maximum":     ifSmall(func(x, y int64) int64 { return max(x, y) }),
	"Minimum":     ifSmall(func(x, y int64) int64 { return min(x, y) }),
	"FloorDiv":    ifSmall(floorDiv),
	"Div":         ifSmall(truncDiv),
	"TruncateDiv": ifSmall(truncDiv),
	"FloorMod": ifSmall(func(x, y int64) int64 {
		if y == 0 {
			return unknownInt
		}
		return x - y*floorDiv(x, y)
	}),
}

func truncDiv(x, y int64) int64 {
	if y == 0 {
		return unknownInt
	}
	return x / y
}

func floorDiv(x, y int64) int64 {
	if y == 0 {
		return unknownInt
	}
	q := x / y
	if x%y != 0 && (x < 0) != (y < 0) {
		q--
	}
	return q
}

// negate is same, with values.
func negate(c *ShapeContext) error {
	v := slices.Clone(c.ints(0))
	for i, x := range v {
		if x != unknownInt {
			v[i] = -x
		}
	}
	if v != nil {
		c.setInts(0, v)
	}
	return same(c)
}

// filledWith is same for ZerosLike and OnesLike.
func filledWith(value int64) ShapeFunc {
	return func(c *ShapeContext) error {
		if n := elements(c.shape(0)); n >= 0 && n <= maxInts && len(c.shape(0).Dims()) <= 1 {
			c.setInts(0, slices.Repeat([]int64{value}, n))
		}
		return same(c)
	}
}

// agree: all inputs have one shape, which is that of output 0.
func agree(c *ShapeContext) error {
	s := unknownShape
	for i := range c.in {
		var err error
		if s, err = c.mergeShapes("shapes of the inputs", s, c.shape(i)); err != nil {
			return err
		}
	}
	c.set(0, s)
	return nil
}

// selectV1: both branches have the shape of the output; the condition is a scalar, a vector of rows, or alike.
func selectV1(c *ShapeContext) error {
	s, err := c.mergeShapes("shapes of the branches", c.shape(1), c.shape(2))
	if err != nil {
		return err
	}
	switch rank, ok := c.shape(0).Rank(); {
	case ok && rank > 1:
		if s, err = c.mergeShapes("shapes of condition and branches", s, c.shape(0)); err != nil {
			return err
		}
	case ok && rank == 1 && s.Dims() != nil:
		if _, err = c.mergeDims("lengths of the condition and the rows of the branches", c.shape(0).Dim(0), s.Dim(0)); err != nil {
			return err
		}
	}
	c.set(0, s)
	return nil
}

// selectV2 is broadcast; integers are followed where both branches or the choice are known.
func selectV2(c *ShapeContext) error {
	if err := broadcast(c); err != nil {
		return err
	}
	x, y := c.ints(1), c.ints(2)
	if x == nil || len(x) != len(y) || len(x) != elements(c.out[0].shape) {
		return nil
	}
	v := slices.Clone(x)
	for i := range v {
		if v[i] != y[i] {
			v[i] = unknownInt
		}
	}
	c.setInts(0, v)
	return nil
}

// bitcast adds or drops a last dimension where the sizes of the dtypes differ.
func bitcast(c *ShapeContext) error {
	from, to := c.attrs.Type("T").Size(), c.attrs.Type("type").Size()
	s := c.shape(0)
	dims := s.Dims()
	switch {
	case dims == nil || from == 0 || to == 0:
	case from == to:
		c.set(0, s)
	case from > to:
		c.set(0, tensor.Partial(append(slices.Clone(dims), from/to)...))
	default:
		if len(dims) == 0 {
			return c.errorf("a scalar of %d bytes has no elements of %d", from, to)
		}
		if _, err := c.mergeDims("last dimension and ratio of the sizes", s.Dim(-1), to/from); err != nil {
			return err
		}
		c.set(0, tensor.Partial(dims[:len(dims)-1]...))
	}
	return nil
}

// constant reads dtype and shape of a Const, and its value where it is small.
func constant(c *ShapeContext) error {
	s, err := constShape(c.n)
	if err != nil {
		return c.errorf("%w", err)
	}
	c.set(0, s)
	d := c.out[0].dtype
	if n := elements(s); n > maxInts || len(s.Dims()) > 1 || (d != tensor.Int32 && d != tensor.Int64) {
		return nil
	}
	t, err := c.n.Tensor("value")
	if err != nil {
		return c.errorf("%w", err)
	}
	if t.DType() == d {
		c.setInts(0, integers(t))
	}
	return nil
}

// constShape reads the shape of a Const without decoding its elements.
func constShape(n *Node) (tensor.PartialShape, error) {
	a, _ := n.Attr("value")
	kind, _, proto := a.field()
	if kind != KindTensor {
		return unknownShape, fmt.Errorf("attribute %q is missing or no tensor", "value")
	}
	s := scalarShape
	var err error
	walk(proto, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
		if num == fieldShape {
			s, err = decodeShape(raw)
		}
		return true
	})
	if err != nil {
		return unknownShape, err
	}
	if _, ok := s.Rank(); !ok {
		s = scalarShape // as TensorFlow reads it
	}
	if elements(s) < 0 {
		return unknownShape, fmt.Errorf("shape of the value has a negative or too many elements, have %v", s)
	}
	return s, nil
}

// integers returns the elements of an int32 or int64 tensor.
func integers(t *tensor.Tensor) []int64 {
	if t.DType() == tensor.Int64 {
		return slices.Clone(tensor.Data[int64](t))
	}
	v := make([]int64, 0, t.Len())
	for _, x := range tensor.Data[int32](t) {
		v = append(v, int64(x))
	}
	return v
}
