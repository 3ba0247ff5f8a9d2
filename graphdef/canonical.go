package graphdef

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// AppendCanonical appends bytes to b that are equal for two attributes exactly if these hold equal values, however they are
// encoded: packed or not, a tensor as tensor_content or in its typed field, the attributes of a function in any order. Floats
// are equal if their bits are. What cannot be decoded counts as its bytes.
func (a Attr) AppendCanonical(b []byte) []byte {
	kind := a.Kind()
	b = append(b, byte(kind))
	switch kind {
	case KindString:
		s, _ := a.AsString()
		return appendSized(b, s)
	case KindInt:
		v, _ := a.AsInt()
		return binary.AppendVarint(b, v)
	case KindFloat:
		v, _ := a.AsFloat()
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	case KindBool:
		v, _ := a.AsBool()
		return appendFlag(b, v)
	case KindType:
		v, _ := a.AsType()
		return binary.AppendVarint(b, int64(v))
	case KindShape:
		if v, ok := a.AsShape(); ok {
			return appendCanonicalShape(b, v)
		}
	case KindTensor:
		if t, err := a.AsTensor(); err == nil {
			return AppendCanonicalTensor(b, t)
		}
	case KindFunc:
		if name, attrs, ok := a.AsFunc(); ok {
			return appendCanonicalAttrs(appendSized(b, name), attrs)
		}
	case KindList:
		return a.appendCanonicalList(b)
	}
	return appendSized(b, string(a.Wire()))
}

// appendCanonicalList appends the elements of a list; an empty one has no kind.
func (a Attr) appendCanonicalList(b []byte) []byte {
	if v, ok := a.AsStrings(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindString)), uint64(len(v)))
		for _, s := range v {
			b = appendSized(b, s)
		}
		return b
	}
	if v, ok := a.AsInts(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindInt)), uint64(len(v)))
		for _, i := range v {
			b = binary.AppendVarint(b, i)
		}
		return b
	}
	if v, ok := a.AsFloats(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindFloat)), uint64(len(v)))
		for _, f := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
		}
		return b
	}
	if v, ok := a.AsBools(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindBool)), uint64(len(v)))
		for _, f := range v {
			b = appendFlag(b, f)
		}
		return b
	}
	if v, ok := a.AsTypes(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindType)), uint64(len(v)))
		for _, d := range v {
			b = binary.AppendVarint(b, int64(d))
		}
		return b
	}
	if v, ok := a.AsShapes(); ok && len(v) > 0 {
		b = binary.AppendUvarint(append(b, byte(KindShape)), uint64(len(v)))
		for _, s := range v {
			b = appendCanonicalShape(b, s)
		}
		return b
	}
	// Lists of functions and tensors are rare and are written one way; an empty list is no bytes or an empty ListValue.
	_, _, raw := a.field()
	return appendSized(b, string(raw))
}

// AppendCanonicalTensor appends bytes that are equal for tensors of equal dtype, shape and elements only.
func AppendCanonicalTensor(b []byte, t *tensor.Tensor) []byte {
	b = binary.AppendVarint(b, int64(t.DType()))
	b = appendCanonicalShape(b, t.Shape().Partial())
	if t.DType() == tensor.String {
		for _, s := range t.Strings() {
			b = appendSized(b, s)
		}
		return b
	}
	return append(b, t.Bytes()...)
}

func appendCanonicalShape(b []byte, s tensor.PartialShape) []byte {
	rank, ok := s.Rank()
	if !ok {
		return append(b, 0xff)
	}
	b = binary.AppendUvarint(b, uint64(rank))
	for _, d := range s.Dims() {
		b = binary.AppendVarint(b, int64(d))
	}
	return b
}

func appendCanonicalAttrs(b []byte, attrs []NamedAttr) []byte {
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, func(x, y NamedAttr) int { return cmp.Compare(x.Name, y.Name) })
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for _, a := range attrs {
		b = a.Attr.AppendCanonical(appendSized(b, a.Name))
	}
	return b
}

func appendSized(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
