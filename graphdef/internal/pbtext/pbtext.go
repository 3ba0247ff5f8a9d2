// Package pbtext turns protobuf's text format into the wire format and back, by the rules of the official C++ and Python
// parsers. Those take more than Go's: octal integers, floats with an f, unknown enum numbers, doubled map keys, lists
// of messages; and Go's writer spaces its text at random, so that the same graph gives different files.
//
//	wire, err := pbtext.Unmarshal(text, (&graph_go_proto.GraphDef{}).ProtoReflect().Descriptor())
package pbtext

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxDepth bounds the nesting of messages, as protobuf's own parsers do.
const maxDepth = 100

const anyName = "google.protobuf.Any"

// Unmarshal returns the wire form of a text message: fields in the order of their numbers, repeated numbers packed where
// the descriptor says so, and no zeros that the wire leaves out. Errors give the line.
func Unmarshal(text []byte, md protoreflect.MessageDescriptor) ([]byte, error) {
	s := &scanner{src: text, line: 1}
	s.src = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	b, err := s.message(md, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", s.line, err)
	}
	return b, nil
}

// fields collects the fields of one message.
type fields struct {
	parts  []part
	packed map[protowire.Number]int         // index in parts of a packed field
	seen   map[protoreflect.FullName]bool   // singular fields
	oneofs map[protoreflect.FullName]string // the member that is set
}

type part struct {
	num protowire.Number
	b   []byte // with tag, or for packed fields the contents
	pkd bool
}

func (f *fields) wire() []byte {
	slices.SortStableFunc(f.parts, func(a, b part) int { return cmp.Compare(a.num, b.num) })
	size := 0
	for _, p := range f.parts {
		size += len(p.b) + 8
	}
	out := make([]byte, 0, size)
	for _, p := range f.parts {
		if p.pkd {
			out = protowire.AppendBytes(protowire.AppendTag(out, p.num, protowire.BytesType), p.b)
		} else {
			out = append(out, p.b...)
		}
	}
	return out
}

// message reads fields up to the closing character, 0 for the end of the text.
func (s *scanner) message(md protoreflect.MessageDescriptor, closing byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("messages are nested more than %d deep", maxDepth)
	}
	f := &fields{packed: map[protowire.Number]int{}, seen: map[protoreflect.FullName]bool{}, oneofs: map[protoreflect.FullName]string{}}
	for {
		c, ok := s.peek()
		switch {
		case !ok && closing == 0, ok && closing != 0 && c == closing:
			if ok {
				s.pos++
			}
			return f.wire(), nil
		case !ok:
			return nil, fmt.Errorf("the text ends within %s, want %q", md.FullName(), closing)
		case c == '[' && md.FullName() == anyName:
			if err := s.any(f, depth); err != nil {
				return nil, err
			}
		default:
			if err := s.field(md, f, depth); err != nil {
				return nil, err
			}
		}
		if c, ok := s.peek(); ok && (c == ',' || c == ';') {
			s.pos++
		}
	}
}

func (s *scanner) field(md protoreflect.MessageDescriptor, f *fields, depth int) error {
	name := s.identifier()
	if name == "" {
		return fmt.Errorf("want a field of %s, have %s", md.FullName(), s.here())
	}
	fd := md.Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		return fmt.Errorf("%s has no field %q", md.FullName(), name)
	}
	if !fd.IsList() && !fd.IsMap() {
		if f.seen[fd.FullName()] {
			return fmt.Errorf("field %q is there twice", name)
		}
		f.seen[fd.FullName()] = true
		if o := fd.ContainingOneof(); o != nil {
			if other, ok := f.oneofs[o.FullName()]; ok {
				return fmt.Errorf("fields %q and %q exclude each other", other, name)
			}
			f.oneofs[o.FullName()] = name
		}
	}
	colon := s.accept(':')
	if !colon && fd.Message() == nil {
		return fmt.Errorf("field %q: want a colon, have %s", name, s.here())
	}
	if (fd.IsList() || fd.IsMap()) && s.accept('[') {
		for first := true; ; first = false {
			if s.accept(']') {
				return nil
			}
			if !first && !s.accept(',') {
				return fmt.Errorf("field %q: want a comma or ], have %s", name, s.here())
			}
			if err := s.value(fd, f, depth); err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
		}
	}
	if err := s.value(fd, f, depth); err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	return nil
}

func (s *scanner) value(fd protoreflect.FieldDescriptor, f *fields, depth int) error {
	num := fd.Number()
	if m := fd.Message(); m != nil {
		b, err := s.submessage(m, depth)
		if err != nil {
			return err
		}
		f.parts = append(f.parts, part{num: num, b: protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)})
		return nil
	}
	if k := fd.Kind(); k == protoreflect.StringKind || k == protoreflect.BytesKind {
		v, err := s.strings()
		if err != nil {
			return err
		}
		if k == protoreflect.StringKind && !utf8.Valid(v) {
			return fmt.Errorf("the string is not UTF-8: %q", v)
		}
		if len(v) > 0 || fd.IsList() || fd.HasPresence() {
			f.parts = append(f.parts, part{num: num, b: protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), v)})
		}
		return nil
	}
	v, typ, err := s.scalar(fd)
	if err != nil {
		return err
	}
	if fd.IsPacked() {
		i, ok := f.packed[num]
		if !ok {
			i = len(f.parts)
			f.packed[num] = i
			f.parts = append(f.parts, part{num: num, pkd: true})
		}
		f.parts[i].b = appendScalar(f.parts[i].b, v, typ)
		return nil
	}
	if v != 0 || fd.IsList() || fd.HasPresence() {
		f.parts = append(f.parts, part{num: num, b: appendScalar(protowire.AppendTag(nil, num, typ), v, typ)})
	}
	return nil
}

func appendScalar(b []byte, v uint64, typ protowire.Type) []byte {
	switch typ {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, uint32(v))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, v)
	}
	return protowire.AppendVarint(b, v)
}

func (s *scanner) submessage(md protoreflect.MessageDescriptor, depth int) ([]byte, error) {
	switch {
	case s.accept('{'):
		return s.message(md, '}', depth+1)
	case s.accept('<'):
		return s.message(md, '>', depth+1)
	}
	return nil, fmt.Errorf("want { or <, have %s", s.here())
}

// any reads the expanded form of a google.protobuf.Any: [type.googleapis.com/name] { … }.
func (s *scanner) any(f *fields, depth int) error {
	s.pos++
	end := slices.Index(s.src[s.pos:], ']')
	if end < 0 {
		return fmt.Errorf("the text ends within a type name")
	}
	url := strings.TrimSpace(string(s.src[s.pos : s.pos+end]))
	s.pos += end + 1
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return fmt.Errorf("type %q of a google.protobuf.Any is not known", url)
	}
	s.accept(':')
	b, err := s.submessage(mt.Descriptor(), depth)
	if err != nil {
		return err
	}
	value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), url)
	value = protowire.AppendBytes(protowire.AppendTag(value, 2, protowire.BytesType), b)
	f.parts = append(f.parts, part{num: 1, b: value})
	return nil
}
