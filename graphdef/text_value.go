package graphdef

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// maxTextDepth bounds the nesting of functions with attributes and of lists in the text form.
const maxTextDepth = 16

// appendName writes a name bare where the text form can tell its end, quoted otherwise.
func appendName(b []byte, s string) []byte {
	if isBare(s) {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func isBare(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[0] != '>' && s[0] != '/'
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-/>", c) >= 0
}

// appendBase64 writes key and the bytes, nothing where there are none.
func appendBase64(b []byte, key string, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = append(b, key...)
	b = append(b, "base64:"...)
	return base64.StdEncoding.AppendEncode(b, v)
}

// attr writes a value of an attribute. It is spelt out if that reads back as the same bytes, or for a tensor as the same
// elements; as base64 of the bytes otherwise.
func (p *textWriter) attr(b []byte, a Attr) []byte {
	start := len(b)
	a = Attr{wire: a.Wire()}
	if spelt, ok := p.spell(b, a, 0); ok {
		if a.Kind() == KindTensor {
			return spelt // tensorText has checked it
		}
		s := &textScanner{src: string(spelt[start:])}
		if back, err := s.attr(nil, 0); err == nil && string(back.wire) == string(a.wire) {
			return spelt
		}
	}
	return append(append(b[:start], "base64:"...), base64.StdEncoding.EncodeToString(a.wire)...)
}

func (p *textWriter) spell(b []byte, a Attr, depth int) ([]byte, bool) {
	kind, v, raw := a.field()
	if kind == KindList {
		return p.spellList(b, raw, depth)
	}
	if len(a.wire) == 0 {
		return append(b, "none"...), true
	}
	return p.spellOne(b, kind, v, raw, depth)
}

func (p *textWriter) spellOne(b []byte, kind Kind, v uint64, raw []byte, depth int) ([]byte, bool) {
	switch kind {
	case KindString:
		return strconv.AppendQuote(b, string(raw)), true
	case KindInt:
		return strconv.AppendInt(b, int64(v), 10), true
	case KindFloat:
		return append(b, floatAttrText(math.Float32frombits(uint32(v)))...), true
	case KindBool:
		return strconv.AppendBool(b, v != 0), true
	case KindType:
		return append(b, tensor.DType(int32(v)).String()...), true
	case KindShape:
		s, err := decodeShape(raw)
		return append(b, shapeText(s)...), err == nil
	case KindTensor:
		return p.tensorText(b, raw)
	case KindPlaceholder:
		return appendName(append(b, '$'), string(raw)), true
	case KindFunc:
		name, attrs := decodeFunc(raw)
		if depth >= maxTextDepth {
			return b, false
		}
		b = appendName(append(b, '@'), name)
		for i, a := range attrs {
			if i == 0 {
				b = append(b, '[')
			} else {
				b = append(b, ", "...)
			}
			b = append(appendName(b, a.Name), '=')
			var ok bool
			if b, ok = p.spell(b, a.Attr, depth+1); !ok {
				return b, false
			}
			if i == len(attrs)-1 {
				b = append(b, ']')
			}
		}
		return b, true
	}
	return b, false
}

// spellList writes the elements of a list of one kind.
func (p *textWriter) spellList(b, list []byte, depth int) ([]byte, bool) {
	kind := KindNone
	mixed := false
	walk(list, func(num protowire.Number, _ protowire.Type, _ uint64, _ []byte) bool {
		k := Kind(num)
		if k == listFunc {
			k = KindFunc
		}
		mixed = mixed || kind != KindNone && kind != k
		kind = k
		return true
	})
	if mixed {
		return b, false
	}
	b = append(b, '[')
	first, ok := true, true
	each := func(v uint64, raw []byte) {
		if !first {
			b = append(b, ", "...)
		}
		first = false
		var one bool
		b, one = p.spellOne(b, kind, v, raw, depth)
		ok = ok && one
	}
	bytesAttr(KindList, list).list(kind, each)
	return append(b, ']'), ok
}

// floatAttrText marks floats, so that none looks like an int.
func floatAttrText(f float32) string {
	switch {
	case f != f:
		return "nan"
	case math.IsInf(float64(f), 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(float64(f), 'g', -1, 32)), "+")
	}
	s := strconv.FormatFloat(float64(f), 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// shapeText spells a shape: 2x?x4, 4x, scalar, ?.
func shapeText(s tensor.PartialShape) string {
	rank, known := s.Rank()
	if !known {
		return "?"
	}
	if rank == 0 {
		return "scalar"
	}
	var b strings.Builder
	for i, d := range s.Dims() {
		if i > 0 {
			b.WriteByte('x')
		}
		if d == tensor.UnknownDim {
			b.WriteByte('?')
		} else {
			b.WriteString(strconv.Itoa(d))
		}
	}
	if rank == 1 {
		b.WriteByte('x')
	}
	return b.String()
}

// tensorType returns the dtype of a TensorProto.
func tensorType(b []byte) (d tensor.DType) {
	walk(b, func(num protowire.Number, typ protowire.Type, val uint64, _ []byte) bool {
		if num == fieldDType && typ == protowire.VarintType {
			d = tensor.DType(int32(val))
		}
		return true
	})
	return d
}

// plainTensor reports whether b has nothing but what a Tensor holds.
func plainTensor(b []byte) bool {
	plain := true
	walk(b, func(num protowire.Number, _ protowire.Type, val uint64, _ []byte) bool {
		plain = plain && num >= 1 && num <= 18 && num != 14 && num != 15 && (num != 3 || val == 0)
		return plain
	})
	return plain
}

// tensorText writes a tensor as its dtype, its shape and its elements.
func (p *textWriter) tensorText(b, proto []byte) ([]byte, bool) {
	if !plainTensor(proto) {
		return b, false
	}
	t, err := DecodeTensor(proto)
	if err != nil || t.DType() == tensor.Resource || t.DType() == tensor.Variant {
		return b, false
	}
	b = append(append(b, t.DType().String()...), ' ')
	n := t.Len()
	shape := shapeText(t.Shape().Partial()) + " "
	switch {
	case t.Rank() == 0:
		return p.elements(b, t, 1)
	case n > 1 && allEqual(t):
		return p.elements(append(append(b, shape...), "fill "...), t, 1)
	case n > listed && p.o.Elide:
		return append(append(b, shape...), "..."...), true
	case n > listed && t.DType() != tensor.String:
		return appendBase64(append(b, shape...), "", t.Bytes()), true
	case t.Rank() > 1:
		b = append(b, shape...)
	}
	b, ok := p.elements(append(b, '['), t, n)
	return append(b, ']'), ok
}

// elements writes the first n elements, as base64 where their text would read back as others: NaNs with payloads.
func (p *textWriter) elements(b []byte, t *tensor.Tensor, n int) ([]byte, bool) {
	start := len(b)
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		at := len(b)
		b = append(b, t.ElementText(i)...)
		if t.DType() == tensor.String {
			continue
		}
		back, err := appendElement(nil, t.DType(), string(b[at:]))
		size := t.DType().Size()
		if err != nil || !bytes.Equal(back, t.Bytes()[i*size:(i+1)*size]) {
			return b[:start], false
		}
	}
	return b, true
}

func allEqual(t *tensor.Tensor) bool {
	if s := t.Strings(); s != nil {
		return !slices.ContainsFunc(s, func(v string) bool { return v != s[0] })
	}
	raw, size := t.Bytes(), t.DType().Size()
	// Every element equals the one before.
	return bytes.Equal(raw[size:], raw[:len(raw)-size])
}
