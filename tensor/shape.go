package tensor

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Shape is the extent of each dimension of a tensor, outermost first; a scalar has none. All are known and >= 0.
type Shape []int

// Elements returns the product of the dimensions: 1 for a scalar.
func (s Shape) Elements() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// CheckedElements is Elements for shapes that come from a file: it refuses negative dimensions and products that
// overflow.
func (s Shape) CheckedElements() (int, error) {
	n := 1
	for _, d := range s {
		if d < 0 {
			// A copy is printed, so that s does not escape: callers build shapes on the stack.
			return 0, fmt.Errorf("tensor: shape %v has a negative dimension", s.Clone())
		}
		if d != 0 && n > math.MaxInt/16/d {
			// A zero further on makes the tensor empty, whatever came before.
			if slices.Contains(s, 0) {
				return 0, nil
			}
			return 0, fmt.Errorf("tensor: shape %v has too many elements", s.Clone())
		}
		n *= d
	}
	return n, nil
}

// Equal reports whether s and o have the same rank and dimensions.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// Clone returns a copy of s.
func (s Shape) Clone() Shape { return append(Shape{}, s...) }

// String formats s as [2, 3].
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(d))
	}
	b.WriteByte(']')
	return b.String()
}

// Broadcast returns the shape of an elementwise operation on a and b by NumPy's rule: dimensions are aligned at the
// right, and 1 stretches.
func Broadcast(a, b Shape) (Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := a.Clone()
	off := len(a) - len(b)
	for i, d := range b {
		switch e := a[off+i]; {
		case d == e || d == 1:
		case e == 1:
			out[off+i] = d
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// PartialShape is what is known of a shape before a graph runs. The zero value is a shape of unknown rank.
type PartialShape struct {
	dims  []int // -1: unknown
	known bool
}

// UnknownDim stands for an unknown dimension in a PartialShape.
const UnknownDim = -1

// Partial returns the partial shape of known rank with the given dimensions, -1 where unknown.
func Partial(dims ...int) PartialShape {
	return PartialShape{dims: append([]int{}, dims...), known: true}
}

// Partial returns s as a PartialShape of which everything is known.
func (s Shape) Partial() PartialShape { return Partial(s...) }

// Rank returns the number of dimensions and whether it is known.
func (p PartialShape) Rank() (int, bool) { return len(p.dims), p.known }

// Dim returns dimension i, counted from the end where i < 0; -1 if it is not known.
func (p PartialShape) Dim(i int) int {
	if i < 0 {
		i += len(p.dims)
	}
	if !p.known || i < 0 || i >= len(p.dims) {
		return UnknownDim
	}
	return p.dims[i]
}

// Dims returns the dimensions, which the caller does not change; nil where the rank is unknown.
func (p PartialShape) Dims() []int {
	if !p.known {
		return nil
	}
	return p.dims
}

// Shape returns p as a Shape and true where all of it is known.
func (p PartialShape) Shape() (Shape, bool) {
	if !p.known || slices.Contains(p.dims, UnknownDim) {
		return nil, false
	}
	return Shape(slices.Clone(p.dims)), true
}

// Equal reports whether p and o say the same.
func (p PartialShape) Equal(o PartialShape) bool {
	return p.known == o.known && slices.Equal(p.dims, o.dims)
}

// Accepts reports whether a tensor of shape s contradicts nothing that p says.
func (p PartialShape) Accepts(s Shape) bool {
	if !p.known {
		return true
	}
	if len(s) != len(p.dims) {
		return false
	}
	for i, d := range p.dims {
		if d >= 0 && d != s[i] {
			return false
		}
	}
	return true
}

// Merge returns what p and o say together; false where they contradict each other.
func (p PartialShape) Merge(o PartialShape) (PartialShape, bool) {
	if !p.known {
		return o, true
	}
	if !o.known {
		return p, true
	}
	if len(p.dims) != len(o.dims) {
		return PartialShape{}, false
	}
	m := Partial(p.dims...)
	for i, d := range o.dims {
		if d < 0 {
			continue
		}
		if m.dims[i] >= 0 && m.dims[i] != d {
			return PartialShape{}, false
		}
		m.dims[i] = d
	}
	return m, true
}

// Relax returns what p and o have in common: the shape of a value that may be either.
func (p PartialShape) Relax(o PartialShape) PartialShape {
	if !p.known || !o.known || len(p.dims) != len(o.dims) {
		return PartialShape{}
	}
	m := Partial(p.dims...)
	for i, d := range o.dims {
		if m.dims[i] != d {
			m.dims[i] = UnknownDim
		}
	}
	return m
}

// String formats p as [2, ?, 512], and as ? where the rank is unknown.
func (p PartialShape) String() string {
	if !p.known {
		return "?"
	}
	return strings.ReplaceAll(Shape(p.dims).String(), "-1", "?")
}
