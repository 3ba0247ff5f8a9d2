package graphdef

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// Attr is one attribute value: an AttrValue message as it was on the wire, decoded when asked. Unknown kinds and fields so
// survive a round trip byte for byte. The zero value is an AttrValue that says nothing.
type Attr struct {
	wire   []byte
	stored *StoredTensor // not nil: a tensor whose elements are elsewhere; wire is nil then
}

// AttrFromWire returns the attribute of a serialized AttrValue, which it shares and does not check.
func AttrFromWire(b []byte) Attr { return Attr{wire: b} }

// Wire returns the serialized AttrValue; nil for a stored tensor that cannot be read.
func (a Attr) Wire() []byte {
	b, _ := a.encoded()
	return b
}

// Kind says which member of AttrValue's oneof is set.
type Kind int

// The kinds, numbered as the fields of AttrValue.
const (
	KindNone        Kind = 0
	KindList        Kind = 1
	KindString      Kind = 2
	KindInt         Kind = 3
	KindFloat       Kind = 4
	KindBool        Kind = 5
	KindType        Kind = 6
	KindShape       Kind = 7
	KindTensor      Kind = 8
	KindPlaceholder Kind = 9
	KindFunc        Kind = 10
)

// field returns the last occurrence of a member of the oneof, its wire type, its varint or fixed value and its bytes. Of a
// stored tensor the bytes say dtype and shape only.
func (a Attr) field() (kind Kind, v uint64, b []byte) {
	if a.stored != nil {
		return KindTensor, 0, a.stored.header()
	}
	walk(a.wire, func(num protowire.Number, typ protowire.Type, val uint64, raw []byte) bool {
		if num >= 1 && num <= 10 {
			kind, v, b = Kind(num), val, raw
		}
		return true
	})
	return kind, v, b
}

// walk calls f for each field of message b: val for varints and fixed values, raw for length-delimited ones. It reports
// whether b was well formed.
func walk(b []byte, f func(num protowire.Number, typ protowire.Type, val uint64, raw []byte) bool) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var val uint64
		var raw []byte
		switch typ {
		case protowire.VarintType:
			val, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			val = uint64(v)
		case protowire.Fixed64Type:
			val, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			raw, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return false
		}
		b = b[n:]
		if !f(num, typ, val, raw) {
			return true
		}
	}
	return true
}

// Kind returns which kind of value a holds.
func (a Attr) Kind() Kind { k, _, _ := a.field(); return k }

// AsInt returns the int value; ok is false where a holds another kind. The same holds for the other As methods.
func (a Attr) AsInt() (v int64, ok bool) { k, u, _ := a.field(); return int64(u), k == KindInt }

// AsBool returns the bool value.
func (a Attr) AsBool() (v, ok bool) { k, u, _ := a.field(); return u != 0, k == KindBool }

// AsFloat returns the float value.
func (a Attr) AsFloat() (v float32, ok bool) {
	k, u, _ := a.field()
	return math.Float32frombits(uint32(u)), k == KindFloat
}

// AsString returns the string (bytes) value.
func (a Attr) AsString() (v string, ok bool) { k, _, b := a.field(); return string(b), k == KindString }

// AsType returns the dtype value.
func (a Attr) AsType() (v tensor.DType, ok bool) {
	k, u, _ := a.field()
	return tensor.DType(int32(u)), k == KindType
}

// AsShape returns the shape value; an unset rank is an unknown shape.
func (a Attr) AsShape() (v tensor.PartialShape, ok bool) {
	k, _, b := a.field()
	if k != KindShape {
		return v, false
	}
	v, err := decodeShape(b)
	return v, err == nil
}

// AsFunc returns the name of the function and its attributes.
func (a Attr) AsFunc() (name string, attrs []NamedAttr, ok bool) {
	k, _, b := a.field()
	if k != KindFunc {
		return "", nil, false
	}
	name, attrs = decodeFunc(b)
	return name, attrs, true
}

// AsTensor decodes the tensor value.
func (a Attr) AsTensor() (*tensor.Tensor, error) {
	if a.stored != nil {
		return a.stored.Tensor()
	}
	k, _, b := a.field()
	if k != KindTensor {
		return nil, fmt.Errorf("attribute holds no tensor")
	}
	return DecodeTensor(b)
}

// listFunc is the field number of functions in ListValue, the only kind whose number is not AttrValue's.
const listFunc = 9

// list walks the members of that kind of a list value.
func (a Attr) list(num Kind, f func(val uint64, raw []byte)) bool {
	k, _, b := a.field()
	if k != KindList {
		return false
	}
	if num == KindFunc {
		num = listFunc
	}
	walk(b, func(n protowire.Number, typ protowire.Type, val uint64, raw []byte) bool {
		if Kind(n) != num {
			return true
		}
		if typ != protowire.BytesType || num == KindString || num >= KindShape {
			f(val, raw)
			return true
		}
		for len(raw) > 0 { // packed
			var n int
			if num == KindFloat {
				var v uint32
				v, n = protowire.ConsumeFixed32(raw)
				val = uint64(v)
			} else {
				val, n = protowire.ConsumeVarint(raw)
			}
			if n < 0 {
				return true
			}
			f(val, nil)
			raw = raw[n:]
		}
		return true
	})
	return true
}

// AsInts returns a list of ints; an empty list of any kind is one.
func (a Attr) AsInts() (v []int64, ok bool) {
	ok = a.list(KindInt, func(u uint64, _ []byte) { v = append(v, int64(u)) })
	return v, ok
}

// AsFloats returns a list of floats.
func (a Attr) AsFloats() (v []float32, ok bool) {
	ok = a.list(KindFloat, func(u uint64, _ []byte) { v = append(v, math.Float32frombits(uint32(u))) })
	return v, ok
}

// AsBools returns a list of bools.
func (a Attr) AsBools() (v []bool, ok bool) {
	ok = a.list(KindBool, func(u uint64, _ []byte) { v = append(v, u != 0) })
	return v, ok
}

// AsStrings returns a list of strings.
func (a Attr) AsStrings() (v []string, ok bool) {
	ok = a.list(KindString, func(_ uint64, b []byte) { v = append(v, string(b)) })
	return v, ok
}

// AsTypes returns a list of dtypes.
func (a Attr) AsTypes() (v []tensor.DType, ok bool) {
	ok = a.list(KindType, func(u uint64, _ []byte) { v = append(v, tensor.DType(int32(u))) })
	return v, ok
}

// AsShapes returns a list of shapes.
func (a Attr) AsShapes() (v []tensor.PartialShape, ok bool) {
	ok = a.list(KindShape, func(_ uint64, b []byte) {
		s, _ := decodeShape(b)
		v = append(v, s)
	})
	return v, ok
}

// AsFuncs returns the names of a list of functions.
func (a Attr) AsFuncs() (v []string, ok bool) {
	ok = a.list(KindFunc, func(_ uint64, b []byte) {
		name, _ := decodeFunc(b)
		v = append(v, name)
	})
	return v, ok
}

func varintAttr(k Kind, v uint64) Attr {
	return Attr{wire: protowire.AppendVarint(protowire.AppendTag(nil, protowire.Number(k), protowire.VarintType), v)}
}

func bytesAttr(k Kind, b []byte) Attr {
	return Attr{wire: protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(k), protowire.BytesType), b)}
}

// IntAttr returns an attribute that holds v; so do the other constructors.
func IntAttr(v int64) Attr { return varintAttr(KindInt, uint64(v)) }

// BoolAttr returns a bool attribute.
func BoolAttr(v bool) Attr { return varintAttr(KindBool, protowire.EncodeBool(v)) }

// TypeAttr returns a dtype attribute.
func TypeAttr(v tensor.DType) Attr { return varintAttr(KindType, uint64(v)) }

// StringAttr returns a string attribute.
func StringAttr(v string) Attr { return bytesAttr(KindString, []byte(v)) }

// ShapeAttr returns a shape attribute.
func ShapeAttr(v tensor.PartialShape) Attr { return bytesAttr(KindShape, encodeShape(v)) }

// TensorAttr returns a tensor attribute; the contents are copied into it.
func TensorAttr(t *tensor.Tensor) Attr {
	head, contents := tensorParts(t)
	return Attr{wire: slices.Concat(head, contents)}
}

// FloatAttr returns a float attribute.
func FloatAttr(v float32) Attr {
	return Attr{wire: protowire.AppendFixed32(protowire.AppendTag(nil, protowire.Number(KindFloat), protowire.Fixed32Type), math.Float32bits(v))}
}

// FuncAttr returns a function attribute without attributes of its own.
func FuncAttr(name string) Attr {
	return bytesAttr(KindFunc, protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name))
}

// TypesAttr returns a list of dtypes.
func TypesAttr(v ...tensor.DType) Attr {
	var packed []byte
	for _, d := range v {
		packed = protowire.AppendVarint(packed, uint64(d))
	}
	return listAttr(KindType, packed)
}

// IntsAttr returns a list of ints.
func IntsAttr(v ...int64) Attr {
	var packed []byte
	for _, i := range v {
		packed = protowire.AppendVarint(packed, uint64(i))
	}
	return listAttr(KindInt, packed)
}

// StringsAttr returns a list of strings.
func StringsAttr(v ...string) Attr {
	var list []byte
	for _, s := range v {
		list = protowire.AppendString(protowire.AppendTag(list, protowire.Number(KindString), protowire.BytesType), s)
	}
	return bytesAttr(KindList, list)
}

// listAttr wraps packed numbers; an empty list stays an empty ListValue.
func listAttr(k Kind, packed []byte) Attr {
	if len(packed) == 0 {
		return bytesAttr(KindList, nil)
	}
	return bytesAttr(KindList, protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(k), protowire.BytesType), packed))
}

func decodeFunc(b []byte) (name string, attrs []NamedAttr) {
	walk(b, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
		switch num {
		case 1:
			name = string(raw)
		case 2:
			attrs = append(attrs, decodeNamedAttr(raw))
		}
		return true
	})
	return name, attrs
}

// decodeNamedAttr reads one entry of an attr map.
func decodeNamedAttr(b []byte) (a NamedAttr) {
	walk(b, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
		switch num {
		case 1:
			a.Name = string(raw)
		case 2:
			a.Attr = Attr{wire: raw}
		}
		return true
	})
	return a
}
