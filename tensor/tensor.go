// Package tensor holds dense tensors of TensorFlow's element types: [DType], [Shape] and [Tensor], which is row-major
// with typed storage. It knows nothing of graphs and does no arithmetic.
//
//	x := tensor.FromSlice(tensor.Shape{2, 2}, []float32{1, 2, 3, 4})
//	tensor.Data[float32](x)[3] = 5
//	fmt.Println(x)
//
// Elements of fixed size live in one block of little-endian memory, so that data movement (reshape, gather, concat)
// needs to know their size only; Data gives it its type back without a copy.
package tensor

import (
	"fmt"
	"unsafe"
)

// Tensor is a dense row-major array. The zero value is not usable. A Tensor is a header: copies share the elements.
type Tensor struct {
	dtype DType
	shape Shape
	raw   []byte   // elements of fixed size
	strs  []string // String
	refs  []any    // Resource and Variant: opaque values of the interpreter
}

// New returns a tensor of zeros (or empty strings, or nil references).
func New(d DType, shape Shape) *Tensor {
	t := &Tensor{dtype: d, shape: shape}
	n := shape.Elements()
	switch d {
	case String:
		t.strs = make([]string, n)
	case Resource, Variant:
		t.refs = make([]any, n)
	default:
		t.raw = alignedBytes(n * d.Size())
	}
	return t
}

// alignedBytes returns zeroed memory that is aligned for every element type.
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// FromSlice returns a tensor over data, which it shares. It panics unless data has the elements of shape.
func FromSlice[T Element](shape Shape, data []T) *Tensor {
	return FromTyped(Of[T](), shape, data)
}

// FromTyped is FromSlice for a dtype that T does not imply, such as Qint8 for int8 or Float16 for uint16.
func FromTyped[T Element](d DType, shape Shape, data []T) *Tensor {
	if len(data) != shape.Elements() || int(unsafe.Sizeof(*new(T))) != d.Size() {
		panic(fmt.Sprintf("tensor: %d elements of %T for %v %v", len(data), *new(T), d, shape))
	}
	t := &Tensor{dtype: d, shape: shape}
	if len(data) > 0 {
		t.raw = unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*d.Size())
	}
	return t
}

// FromStrings returns a String tensor over data, which it shares.
func FromStrings(shape Shape, data []string) *Tensor {
	if len(data) != shape.Elements() {
		panic(fmt.Sprintf("tensor: %d strings for shape %v", len(data), shape))
	}
	return &Tensor{dtype: String, shape: shape, strs: data}
}

// FromRefs returns a Resource or Variant tensor over data, which it shares.
func FromRefs(d DType, shape Shape, data []any) *Tensor {
	return &Tensor{dtype: d, shape: shape, refs: data}
}

// Scalar returns a tensor of rank 0.
func Scalar[T Element](v T) *Tensor { return FromSlice(Shape{}, []T{v}) }

// FromBytes returns a tensor over little-endian elements, shared where raw is aligned for d and copied otherwise.
func FromBytes(d DType, shape Shape, raw []byte) (*Tensor, error) {
	n, err := shape.CheckedElements()
	if err != nil {
		return nil, err
	}
	if d.Size() == 0 {
		return nil, fmt.Errorf("tensor: %v elements have no fixed size", d)
	}
	if len(raw) != n*d.Size() {
		return nil, fmt.Errorf("tensor: %d bytes for %v %v, want %d", len(raw), d, shape, n*d.Size())
	}
	if n > 0 && uintptr(unsafe.Pointer(&raw[0]))%uintptr(min(d.Size(), 8)) != 0 {
		raw = append(alignedBytes(len(raw))[:0], raw...)
	}
	return &Tensor{dtype: d, shape: shape, raw: raw}, nil
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions, which the caller does not change.
func (t *Tensor) Shape() Shape { return t.shape }

// Rank returns the number of dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Len returns the number of elements.
func (t *Tensor) Len() int {
	switch {
	case t.strs != nil:
		return len(t.strs)
	case t.refs != nil:
		return len(t.refs)
	case t.raw != nil:
		return len(t.raw) / t.dtype.Size()
	}
	return 0
}

// Bytes returns the elements as little-endian memory; nil for String, Resource and Variant.
func (t *Tensor) Bytes() []byte { return t.raw }

// Strings returns the elements of a String tensor.
func (t *Tensor) Strings() []string { return t.strs }

// Refs returns the elements of a Resource or Variant tensor.
func (t *Tensor) Refs() []any { return t.refs }

// Data returns the elements as a slice of T, shared. T has the size of the dtype: uint16 for Float16, int8 for Qint8.
// It panics where the sizes differ, which is a fault of the caller.
func Data[T Element](t *Tensor) []T {
	size := int(unsafe.Sizeof(*new(T)))
	if size != t.dtype.Size() {
		panic(fmt.Sprintf("tensor: %v read as %T", t.dtype, *new(T)))
	}
	if len(t.raw) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&t.raw[0])), len(t.raw)/size)
}

// Set makes t the header of raw, a block of d.Size()·shape.Elements() bytes; the interpreter's way to reuse headers.
func (t *Tensor) Set(d DType, shape Shape, raw []byte) {
	t.dtype, t.shape, t.raw, t.strs, t.refs = d, shape, raw, nil, nil
}

// Reshaped returns a tensor of another shape over the same elements, whose number must be equal.
func (t *Tensor) Reshaped(shape Shape) (*Tensor, error) {
	if shape.Elements() != t.Len() {
		return nil, fmt.Errorf("tensor: %v does not reshape to %v", t.shape, shape)
	}
	v := *t
	v.shape = shape
	return &v, nil
}

// As returns a tensor of another dtype of the same element size over the same bytes.
func (t *Tensor) As(d DType) *Tensor {
	if d.Size() != t.dtype.Size() {
		panic(fmt.Sprintf("tensor: %v taken as %v", t.dtype, d))
	}
	v := *t
	v.dtype = d
	return &v
}

// Clone returns a tensor that shares nothing with t; references are copied as they are.
func (t *Tensor) Clone() *Tensor {
	c := New(t.dtype, t.shape.Clone())
	copy(c.raw, t.raw)
	copy(c.strs, t.strs)
	copy(c.refs, t.refs)
	return c
}
