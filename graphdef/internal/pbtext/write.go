package pbtext

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Marshal writes a message on the wire as text: fields in the order of their numbers, map entries in the order of the
// wire, so that the same bytes give the same text. Fields that the descriptor does not know have no text form and are
// left out.
func Marshal(w io.Writer, wire []byte, md protoreflect.MessageDescriptor) error {
	p := &printer{w: bufio.NewWriter(w)}
	if err := p.message(wire, md, 0); err != nil {
		return err
	}
	return p.w.Flush()
}

type printer struct {
	w *bufio.Writer // keeps the first error until Flush
}

// value is one field's value from the wire.
type value struct {
	fd  protoreflect.FieldDescriptor
	num uint64
	raw []byte
}

func (p *printer) message(b []byte, md protoreflect.MessageDescriptor, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: messages are nested more than %d deep", md.FullName(), maxDepth)
	}
	values, err := decode(b, md)
	if err != nil {
		return fmt.Errorf("%s: %w", md.FullName(), err)
	}
	indent := strings.Repeat("  ", depth)
	for _, v := range values {
		p.w.WriteString(indent)
		p.w.WriteString(string(v.fd.Name()))
		if m := v.fd.Message(); m != nil {
			p.w.WriteString(" {\n")
			if err := p.message(v.raw, m, depth+1); err != nil {
				return err
			}
			p.w.WriteString(indent)
			p.w.WriteString("}\n")
			continue
		}
		p.w.WriteString(": ")
		p.w.WriteString(scalarText(v))
		p.w.WriteByte('\n')
	}
	return nil
}

// decode returns the fields of a message in the order of their numbers. Of a field that may be there once the last value
// counts, messages are merged, and a member of a oneof drops the others.
func decode(b []byte, md protoreflect.MessageDescriptor) ([]value, error) {
	var values []value
	singular := map[protowire.Number]int{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return nil, protowire.ParseError(m)
		}
		content := b[n : n+m]
		b = b[n+m:]
		fd := md.Fields().ByNumber(num)
		if fd == nil {
			continue
		}
		found := fieldValues(fd, typ, content)
		if fd.IsList() || fd.IsMap() || len(found) == 0 {
			values = append(values, found...)
			continue
		}
		if o := fd.ContainingOneof(); o != nil {
			values = slices.DeleteFunc(values, func(v value) bool { return v.fd != fd && v.fd.ContainingOneof() == o })
			singular = map[protowire.Number]int{}
			for i, v := range values {
				singular[v.fd.Number()] = i
			}
		}
		i, ok := singular[num]
		switch {
		case !ok:
			singular[num] = len(values)
			values = append(values, found...)
		case fd.Message() != nil:
			values[i].raw = append(slices.Clip(values[i].raw), found[0].raw...)
		default:
			values[i] = found[0]
		}
	}
	slices.SortStableFunc(values, func(x, y value) int { return cmp.Compare(x.fd.Number(), y.fd.Number()) })
	return values, nil
}

// fieldValues splits one field on the wire into values: one, or several of a packed list; none where the wire type is
// not the field's, which makes it an unknown field.
func fieldValues(fd protoreflect.FieldDescriptor, typ protowire.Type, b []byte) []value {
	want := protowire.VarintType
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		want = protowire.BytesType
	case protoreflect.FloatKind, protoreflect.Fixed32Kind:
		want = protowire.Fixed32Type
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind:
		want = protowire.Fixed64Type
	}
	if typ == protowire.BytesType {
		raw, _ := protowire.ConsumeBytes(b)
		switch {
		case want == protowire.BytesType:
			return []value{{fd: fd, raw: raw}}
		case !fd.IsList():
			return nil
		}
		var values []value
		for len(raw) > 0 {
			v, n := consume(raw, want)
			if n < 0 {
				return nil
			}
			values = append(values, value{fd: fd, num: v})
			raw = raw[n:]
		}
		return values
	}
	if typ != want {
		return nil
	}
	v, _ := consume(b, typ)
	return []value{{fd: fd, num: v}}
}

func consume(b []byte, typ protowire.Type) (uint64, int) {
	switch typ {
	case protowire.Fixed32Type:
		v, n := protowire.ConsumeFixed32(b)
		return uint64(v), n
	case protowire.Fixed64Type:
		return protowire.ConsumeFixed64(b)
	}
	return protowire.ConsumeVarint(b)
}

func scalarText(v value) string {
	switch v.fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return quote(v.raw)
	case protoreflect.FloatKind:
		return floatText(float64(math.Float32frombits(uint32(v.num))), 32)
	case protoreflect.DoubleKind:
		return floatText(math.Float64frombits(v.num), 64)
	case protoreflect.BoolKind:
		return strconv.FormatBool(v.num != 0)
	case protoreflect.EnumKind:
		if e := v.fd.Enum().Values().ByNumber(protoreflect.EnumNumber(int32(v.num))); e != nil {
			return string(e.Name())
		}
		return strconv.Itoa(int(int32(v.num)))
	case protoreflect.Int32Kind:
		return strconv.Itoa(int(int32(v.num)))
	case protoreflect.Int64Kind:
		return strconv.FormatInt(int64(v.num), 10)
	case protoreflect.Uint32Kind:
		return strconv.FormatUint(uint64(uint32(v.num)), 10)
	}
	return strconv.FormatUint(v.num, 10)
}

// floatText prints a number so that it reads back to the same bits, as Python prints it; payloads of NaNs are lost.
func floatText(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, bits), "+"))
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// quote writes all but printable ASCII as three octal digits, so that no digit that follows can join them.
func quote(b []byte) string {
	var out strings.Builder
	out.Grow(len(b) + 2)
	out.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '\n':
			out.WriteString(`\n`)
		case c == '\r':
			out.WriteString(`\r`)
		case c == '\t':
			out.WriteString(`\t`)
		case c == '"' || c == '\'' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&out, `\%03o`, c)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
	return out.String()
}
