package tensor

import "fmt"

// DType is the type of a tensor's elements, numbered as TensorFlow's DataType (types.proto).
type DType int32

// The element types of stock TensorFlow. Quantized types hold plain integers; Float16 and Bfloat16 are kept as
// their 16 bits in a uint16; the 4- and 2-bit integers take one byte an element, as in TensorFlow.
const (
	Invalid    DType = 0
	Float32    DType = 1
	Float64    DType = 2
	Int32      DType = 3
	Uint8      DType = 4
	Int16      DType = 5
	Int8       DType = 6
	String     DType = 7
	Complex64  DType = 8
	Int64      DType = 9
	Bool       DType = 10
	Qint8      DType = 11
	Quint8     DType = 12
	Qint32     DType = 13
	Bfloat16   DType = 14
	Qint16     DType = 15
	Quint16    DType = 16
	Uint16     DType = 17
	Complex128 DType = 18
	Float16    DType = 19
	Resource   DType = 20
	Variant    DType = 21
	Uint32     DType = 22
	Uint64     DType = 23
	Float8E5M2 DType = 24
	Float8E4M3 DType = 25
	Int4       DType = 29
	Uint4      DType = 30
)

// refOffset is what TensorFlow adds to a dtype to name a reference to a variable of it (TF1 ref variables).
const refOffset = 100

var names = map[DType]string{
	Float32: "float", Float64: "double", Int32: "int32", Uint8: "uint8", Int16: "int16",
	Int8: "int8", String: "string", Complex64: "complex64", Int64: "int64", Bool: "bool",
	Qint8: "qint8", Quint8: "quint8", Qint32: "qint32", Bfloat16: "bfloat16", Qint16: "qint16",
	Quint16: "quint16", Uint16: "uint16", Complex128: "complex128", Float16: "half",
	Resource: "resource", Variant: "variant", Uint32: "uint32", Uint64: "uint64",
	Float8E5M2: "float8_e5m2", Float8E4M3: "float8_e4m3fn", Int4: "int4", Uint4: "uint4",
}

// String returns TensorFlow's name of d: float, int32, qint8, …
func (d DType) String() string {
	if name, ok := names[d]; ok {
		return name
	}
	if d.IsRef() {
		return d.Base().String() + "_ref"
	}
	return fmt.Sprintf("dtype(%d)", int32(d))
}

// ParseDType is the inverse of String.
func ParseDType(name string) (DType, error) {
	for d, n := range names {
		if n == name {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("tensor: unknown dtype %q", name)
}

// Size returns the bytes that an element takes; 0 for String, Resource, Variant and dtypes that are not known.
func (d DType) Size() int {
	if d < 0 || int(d) >= len(sizes) {
		return 0
	}
	return int(sizes[d])
}

// sizes is Size as an array: it is asked for at every access to a tensor.
var sizes = [...]uint8{
	Float32: 4, Float64: 8, Int32: 4, Uint8: 1, Int16: 2, Int8: 1, Complex64: 8, Int64: 8, Bool: 1, Qint8: 1, Quint8: 1,
	Qint32: 4, Bfloat16: 2, Qint16: 2, Quint16: 2, Uint16: 2, Complex128: 16, Float16: 2, Uint32: 4, Uint64: 8,
	Float8E5M2: 1, Float8E4M3: 1, Int4: 1, Uint4: 1,
}

// Known reports whether d is one of the constants of this package.
func (d DType) Known() bool { _, ok := names[d]; return ok }

// IsRef reports whether d names a reference to a TF1 variable of a dtype that is known.
func (d DType) IsRef() bool { return d > refOffset && (d - refOffset).Known() }

// Base strips the reference from d.
func (d DType) Base() DType {
	if d.IsRef() {
		return d - refOffset
	}
	return d
}

// IsFloat reports whether d is a real floating-point type.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == Bfloat16
}

// IsQuantized reports whether d is one of the q types.
func (d DType) IsQuantized() bool {
	return d == Qint8 || d == Quint8 || d == Qint32 || d == Qint16 || d == Quint16
}

// IsInteger reports whether d is a plain (not quantized) integer type.
func (d DType) IsInteger() bool {
	switch d {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64:
		return true
	}
	return false
}

// Element is the Go types that hold elements of fixed size.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool | ~complex64 | ~complex128
}

// Of returns the DType that a slice of T holds by default: int8 is Int8 (not Qint8), uint16 is Uint16 (not Float16).
func Of[T Element]() DType {
	switch any(*new(T)).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	case complex64:
		return Complex64
	case complex128:
		return Complex128
	}
	return Invalid
}
