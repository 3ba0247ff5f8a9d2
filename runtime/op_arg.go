package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// argOps find where the greatest or least elements are.
var argOps = map[string]evaluator{
	"ArgMax":   argOp,
	"ArgMin":   argOp,
	"InTopK":   inTopKOp,
	"InTopKV2": inTopKOp,
}

// argFunc returns the place of the best of the n elements of x that start at place at and are stride apart.
type argFunc func(x *tensor.Tensor, at, n, stride int) int

// argOp gives the place of the greatest (ArgMax) or least element along a dimension: the first of equals. As in TensorFlow a
// NaN is never the best, and neither is what nothing can be beyond: the lowest finite float and -inf are as good as nothing,
// which gives 0.
func argOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d, out := r.Type("T"), r.Type("output_type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	largest := n.Op() == "ArgMax"
	best := argOf(d, largest)
	if best == nil {
		return nil, noKernel(d)
	}
	switch out {
	case tensor.Int16, tensor.Uint16, tensor.Int32, tensor.Int64:
	default:
		return nil, fmt.Errorf(`attribute "output_type" is %v, want int16, uint16, int32 or int64`, out)
	}
	byKernel := largest && d == tensor.Float32
	return func(c *call) error {
		x := c.in(0)
		axis, err := scalarInt(c.in(1), "dimension")
		if err != nil {
			return err
		}
		if axis, err = resolveAxis(axis, x.Rank(), "dimension"); err != nil {
			return err
		}
		s := x.Shape()
		n, inner := s[axis], s[axis+1:].Elements()
		if n == 0 {
			return fmt.Errorf("dimension %d of the input %v is empty, nothing is the best of it", axis, s.Clone())
		}
		var dims [8]int
		t, err := c.alloc(0, out, append(append(tensor.Shape(dims[:0]), s[:axis]...), s[axis+1:]...))
		if err != nil {
			return err
		}
		for i := range t.Len() {
			if byKernel && inner == 1 {
				row := tensor.Data[float32](x)[i*n:][:n]
				at := c.kernels().ArgMax(row)
				if !(row[at] > -math.MaxFloat32) {
					at = 0
				}
				setInt(t, i, int64(at))
				continue
			}
			setInt(t, i, int64(best(x, i/inner*n*inner+i%inner, n, inner)))
		}
		return nil
	}, nil
}

// argOf returns the search for dtype d, nil if there is none.
func argOf(d tensor.DType, largest bool) argFunc {
	switch d {
	case tensor.Float32:
		return argIn(largest, -math.MaxFloat32, math.MaxFloat32, func(x float32) float32 { return x })
	case tensor.Float64:
		return argIn(largest, -math.MaxFloat64, math.MaxFloat64, func(x float64) float64 { return x })
	case tensor.Float16:
		return argIn(largest, -maxHalf, maxHalf, halfToFloat)
	case tensor.Bfloat16:
		return argIn(largest, -maxBfloat, maxBfloat, bfloatToFloat)
	case tensor.Bool:
		return argIn(largest, 0, 1, func(x bool) int8 {
			if x {
				return 1
			}
			return 0
		})
	case tensor.Int8, tensor.Qint8:
		return argInteger[int8](largest)
	case tensor.Uint8, tensor.Quint8:
		return argInteger[uint8](largest)
	case tensor.Int16:
		return argInteger[int16](largest)
	case tensor.Uint16:
		return argInteger[uint16](largest)
	case tensor.Int32, tensor.Qint32:
		return argInteger[int32](largest)
	case tensor.Uint32:
		return argInteger[uint32](largest)
	case tensor.Int64:
		return argInteger[int64](largest)
	case tensor.Uint64:
		return argInteger[uint64](largest)
	}
	return nil
}

// The greatest finite values of the 16-bit floats.
const (
	maxHalf   = 65504
	maxBfloat = 0x1.fep127
)

func argInteger[T integer](largest bool) argFunc {
	return argIn(largest, lowest[T](), ^lowest[T](), func(x T) T { return x })
}

// argIn searches elements of type T by their value, which lies between low and high.
func argIn[T tensor.Element, V number](largest bool, low, high V, value func(T) V) argFunc {
	return func(x *tensor.Tensor, at, n, stride int) int {
		data, found := tensor.Data[T](x), 0
		if largest {
			best := low
			for i := range n {
				if v := value(data[at+i*stride]); v > best {
					best, found = v, i
				}
			}
			return found
		}
		best := high
		for i := range n {
			if v := value(data[at+i*stride]); v < best {
				best, found = v, i
			}
		}
		return found
	}
}

// inTopKOp says for each row whether fewer than k elements are greater than the one that the target names. It is false where
// an element that has to be looked at is not finite, and where the target is out of range.
func inTopKOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	fixed := 0
	byInput := n.Op() == "InTopKV2"
	if !byInput {
		r := n.AttrReader()
		fixed = int(r.Int("k"))
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	return func(c *call) error {
		x, targets, k := c.in(0), c.in(1), fixed
		if byInput {
			var err error
			if k, err = scalarInt(c.in(2), "k"); err != nil {
				return err
			}
		}
		if x.Rank() != 2 || x.DType() != tensor.Float32 || targets.Rank() != 1 || targets.Len() != x.Shape()[0] {
			return fmt.Errorf("have predictions %v %v and targets %v, want a float matrix and one target for each row",
				x.DType(), x.Shape().Clone(), targets.Shape().Clone())
		}
		if d := targets.DType(); d != tensor.Int32 && d != tensor.Int64 {
			return fmt.Errorf("targets are %v, want int32 or int64", d)
		}
		t, err := c.alloc(0, tensor.Bool, targets.Shape())
		if err != nil {
			return err
		}
		classes, at := x.Shape()[1], intsOf(targets)
		for i := range t.Len() {
			tensor.Data[bool](t)[i] = inTopK(tensor.Data[float32](x)[i*classes:][:classes], at(i), k)
		}
		return nil
	}, nil
}

func inTopK(row []float32, target int64, k int) bool {
	finite := func(v float32) bool { return v-v == 0 }
	if target < 0 || target >= int64(len(row)) || !finite(row[target]) {
		return false
	}
	above := 0
	for _, v := range row {
		if !finite(v) {
			return false
		}
		if v > row[target] {
			if above++; above > k {
				break
			}
		}
	}
	return above < k
}
