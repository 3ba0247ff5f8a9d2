package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// maxWalk bounds the groups of dimensions of a walk. TensorFlow refuses six or more; shapes with one pattern of stretching
// are one group whatever their rank.
const maxWalk = 8

// walk is an elementwise visit of up to three operands that stretch to one shape. Neighbouring dimensions that every operand
// treats alike are one: equal shapes, and a scalar with anything, make a walk of a single run; a bias row or column one
// of two dimensions. A Session has one, so that steps need no memory for it.
type walk struct {
	shape  tensor.Shape // of the result
	scalar [maxWalk]int // memory of shape
	rank   int
	dims   [maxWalk]int // innermost first; from rank on undefined
	stride [3][maxWalk]int
}

// set makes w the walk of the operands' shapes, refusing shapes that do not stretch to one.
func (w *walk) set(shapes ...tensor.Shape) error {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	w.shape = w.scalar[:0]
	for i := rank; i > 0; i-- {
		dim := 1
		for _, s := range shapes {
			if i > len(s) || s[len(s)-i] == 1 {
				continue
			}
			d := s[len(s)-i]
			if dim != 1 && d != dim {
				return incompatible(shapes)
			}
			dim = d
		}
		w.shape = append(w.shape, dim)
	}
	w.rank = 0
	size := [3]int{1, 1, 1} // elements of each operand in the dimensions so far
	for i := 1; i <= rank; i++ {
		dim := w.shape[rank-i]
		if dim == 1 {
			continue
		}
		var at [3]int
		for k, s := range shapes {
			if i <= len(s) && s[len(s)-i] != 1 {
				at[k] = size[k]
				size[k] *= dim
			}
		}
		if w.rank > 0 && w.extends(&at) {
			w.dims[w.rank-1] *= dim
			continue
		}
		if w.rank == maxWalk {
			return fmt.Errorf("shapes %v stretch in more than %d alternating groups of dimensions", clones(shapes), maxWalk)
		}
		w.dims[w.rank] = dim
		for k := range w.stride {
			w.stride[k][w.rank] = at[k]
		}
		w.rank++
	}
	if w.rank == 0 {
		w.rank, w.dims[0] = 1, 1
		w.stride[0][0], w.stride[1][0], w.stride[2][0] = 1, 1, 1
	}
	return nil
}

// extends reports whether a dimension with these strides goes on where the outermost one so far ends.
func (w *walk) extends(at *[3]int) bool {
	o := w.rank - 1
	for k := range at {
		if at[k] != w.stride[k][o]*w.dims[o] {
			return false
		}
	}
	return true
}

func incompatible(shapes []tensor.Shape) error {
	return fmt.Errorf("shapes %v do not stretch to one, want dimensions that are equal or 1", clones(shapes))
}

// clones copies shapes for a message, so that the callers' stay on the stack.
func clones(shapes []tensor.Shape) []tensor.Shape {
	out := make([]tensor.Shape, len(shapes))
	for i, s := range shapes {
		out[i] = s.Clone()
	}
	return out
}

// each calls f for every run of n elements: o is where it starts in the result, and at[k] in operand k, which goes on by
// w.stride[k][0] (1, or 0 where one element is used throughout). The result must not be empty.
func (w *walk) each(f func(o int, at [3]int, n int)) {
	n := w.dims[0]
	var at [3]int
	if w.rank == 1 {
		f(0, at, n)
		return
	}
	var index [maxWalk]int
	for o := 0; ; o += n {
		f(o, at, n)
		d := 1
		for ; d < w.rank; d++ {
			index[d]++
			for k := range at {
				at[k] += w.stride[k][d]
			}
			if index[d] < w.dims[d] {
				break
			}
			for k := range at {
				at[k] -= w.stride[k][d] * w.dims[d]
			}
			index[d] = 0
		}
		if d == w.rank {
			return
		}
	}
}

// binaryKernel writes an elementwise function of a and b to t, which w visits.
type binaryKernel func(k *kernels.Set, w *walk, t, a, b *tensor.Tensor)

// run computes one run of an elementwise function: dst[i] from a[i*sa] and b[i*sb]; sa and sb are 0 or 1.
type run[T, U any] func(dst []U, a, b []T, sa, sb int)

// runs makes a kernel of a run.
func runs[T, U tensor.Element](f run[T, U]) binaryKernel {
	return func(_ *kernels.Set, w *walk, t, a, b *tensor.Tensor) {
		dst, x, y := tensor.Data[U](t), tensor.Data[T](a), tensor.Data[T](b)
		w.each(func(o int, at [3]int, n int) {
			f(dst[o:o+n], x[at[0]:], y[at[1]:], w.stride[0][0], w.stride[1][0])
		})
	}
}

// mapped makes a run of a function of two elements, for what is too rare for a loop of its own.
func mapped[T, U any](f func(x, y T) U) run[T, U] {
	return func(dst []U, a, b []T, sa, sb int) {
		for i := range dst {
			dst[i] = f(a[i*sa], b[i*sb])
		}
	}
}

// floatVectors are the kernels of a float32 function: of two vectors, of a vector and a scalar on the right, and on the left
// (nil: the function is commutative).
type floatVectors struct {
	both  func(s *kernels.Set, dst, a, b []float32)
	right func(s *kernels.Set, dst, a []float32, v float32)
	left  func(s *kernels.Set, dst []float32, v float32, b []float32)
}

// vectors makes a kernel of f.
func vectors(f floatVectors) binaryKernel {
	return func(s *kernels.Set, w *walk, t, a, b *tensor.Tensor) {
		f.apply(s, w, tensor.Data[float32](t), tensor.Data[float32](a), tensor.Data[float32](b))
	}
}

func (f *floatVectors) apply(s *kernels.Set, w *walk, dst, x, y []float32) {
	w.each(func(o int, at [3]int, n int) {
		d, a, b := dst[o:o+n], x[at[0]:], y[at[1]:]
		switch {
		case w.stride[0][0] == w.stride[1][0]:
			f.both(s, d, a[:n], b[:n])
		case w.stride[1][0] == 0:
			f.right(s, d, a[:n], b[0])
		case f.left == nil:
			f.right(s, d, b[:n], a[0])
		default:
			f.left(s, d, a[0], b[:n])
		}
	})
}

// The float32 functions that have kernels.
var (
	addVectors = floatVectors{both: (*kernels.Set).Add, right: (*kernels.Set).AddScalar}
	subVectors = floatVectors{both: (*kernels.Set).Sub, right: (*kernels.Set).SubScalar, left: (*kernels.Set).ScalarSub}
	mulVectors = floatVectors{both: (*kernels.Set).Mul, right: (*kernels.Set).MulScalar}
	divVectors = floatVectors{both: (*kernels.Set).Div, right: (*kernels.Set).DivScalar, left: (*kernels.Set).ScalarDiv}
	maxVectors = floatVectors{both: (*kernels.Set).Max, right: (*kernels.Set).MaxScalar}
	minVectors = floatVectors{both: (*kernels.Set).Min, right: (*kernels.Set).MinScalar}
)

// broadcastAdd sets output 0 to a + b, both float32, with broadcasting.
func broadcastAdd(c *call, a, b *tensor.Tensor) error { return broadcastFloats(c, &addVectors, a, b) }

// broadcastFloats sets output 0 to f of a and b, both float32, with broadcasting; for fused steps.
func broadcastFloats(c *call, f *floatVectors, a, b *tensor.Tensor) error {
	if a.DType() != tensor.Float32 || b.DType() != tensor.Float32 {
		return fmt.Errorf("operands are %v and %v, want float", a.DType(), b.DType())
	}
	w := &c.walk
	if err := w.set(a.Shape(), b.Shape()); err != nil {
		return err
	}
	t, err := c.alloc(0, tensor.Float32, w.shape)
	if err != nil || t.Len() == 0 {
		return err
	}
	f.apply(c.kernels(), w, tensor.Data[float32](t), tensor.Data[float32](a), tensor.Data[float32](b))
	return nil
}
