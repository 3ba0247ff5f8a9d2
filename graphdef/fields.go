package graphdef

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A wireField is one field of a serialized message.
type wireField struct {
	num   protowire.Number
	typ   protowire.Type
	val   uint64 // of varints and fixed widths
	raw   []byte // of length-delimited fields
	whole []byte // tag and value as they were
}

// is reports whether f is a field of that number with a length-delimited value, which strings and messages have. A
// known number with another wire type is an unknown field, as in every protobuf parser.
func (f wireField) is(num protowire.Number) bool { return f.num == num && f.typ == protowire.BytesType }

// nextField takes the first field off b.
func nextField(b []byte) (f wireField, rest []byte, err error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, nil, fmt.Errorf("malformed field tag: %w", protowire.ParseError(n))
	}
	if num > protowire.MaxValidNumber {
		return f, nil, fmt.Errorf("malformed field tag: field number %d", num)
	}
	f.num, f.typ = num, typ
	v := b[n:]
	var m int
	switch typ {
	case protowire.VarintType:
		f.val, m = protowire.ConsumeVarint(v)
	case protowire.Fixed32Type:
		var w uint32
		w, m = protowire.ConsumeFixed32(v)
		f.val = uint64(w)
	case protowire.Fixed64Type:
		f.val, m = protowire.ConsumeFixed64(v)
	case protowire.BytesType:
		f.raw, m = protowire.ConsumeBytes(v)
	default:
		m = protowire.ConsumeFieldValue(num, typ, v)
	}
	if m < 0 {
		return f, nil, fmt.Errorf("field %d is malformed or breaks off: %w", num, protowire.ParseError(m))
	}
	f.whole = b[:n+m]
	return f, b[n+m:], nil
}

// wellFormed reports whether b is a sequence of fields.
func wellFormed(b []byte) bool {
	return walk(b, func(protowire.Number, protowire.Type, uint64, []byte) bool { return true })
}

// text returns the value of a string field, which must be UTF-8.
func (f wireField) text() (string, error) {
	if !utf8.Valid(f.raw) {
		return "", fmt.Errorf("field %d is a string that is not UTF-8: %q", f.num, f.raw)
	}
	return string(f.raw), nil
}

// appendBetween appends the fields of the well-formed message extra whose numbers lie in [lo, hi): where fields that
// we keep as they were have their place between those that we write.
func appendBetween(b, extra []byte, lo, hi protowire.Number) []byte {
	for len(extra) > 0 {
		f, rest, err := nextField(extra)
		if err != nil {
			return b
		}
		if f.num >= lo && f.num < hi {
			b = append(b, f.whole...)
		}
		extra = rest
	}
	return b
}

// lastField is above every field number.
const lastField = protowire.MaxValidNumber + 1

func appendStringField(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendBytesField(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendVarintField(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}
