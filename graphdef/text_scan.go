package graphdef

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// A textScanner reads the tokens and values of the text form.
type textScanner struct {
	src    string
	pos    int
	line   int
	nested int // inside brackets, where lines may end anywhere
}

// statement skips to the next line with something on it; false at the end of the text.
func (s *textScanner) statement() bool {
	for {
		c, ok := s.peek()
		if !ok {
			return false
		}
		if c != '\n' {
			return true
		}
		s.pos++
		s.line++
	}
}

// peek skips blanks and comments and returns the next character, which is a newline at the end of a statement.
func (s *textScanner) peek() (byte, bool) {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
			s.pos++
		case c == '#':
			end := strings.IndexByte(s.src[s.pos:], '\n')
			if end < 0 {
				end = len(s.src) - s.pos
			}
			s.pos += end
		case c == '\n' && s.nested > 0:
			s.pos++
			s.line++
		default:
			return c, true
		}
	}
	return 0, false
}

// accept takes the next character if it is c.
func (s *textScanner) accept(c byte) bool {
	if next, ok := s.peek(); ok && next == c {
		s.pos++
		return true
	}
	return false
}

// next takes c if it follows without a blank.
func (s *textScanner) next(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// here describes what comes next, for errors.
func (s *textScanner) here() string {
	if c, ok := s.peek(); !ok || c == '\n' {
		return "the end of the line"
	}
	rest, _, _ := strings.Cut(s.src[s.pos:min(len(s.src), s.pos+20)], "\n")
	return strconv.Quote(rest)
}

func (s *textScanner) run(in func(byte) bool) string {
	start := s.pos
	for s.pos < len(s.src) && in(s.src[s.pos]) {
		s.pos++
	}
	return s.src[start:s.pos]
}

// name reads a bare or quoted name.
func (s *textScanner) name() (string, error) {
	c, ok := s.peek()
	if ok && c == '"' {
		return s.quoted()
	}
	name := s.run(isNameByte)
	if name == "" {
		return "", fmt.Errorf("want a name, have %s", s.here())
	}
	return name, nil
}

func (s *textScanner) digits() string {
	return s.run(func(c byte) bool { return c >= '0' && c <= '9' })
}

// quoted reads a string as Go quotes it.
func (s *textScanner) quoted() (string, error) {
	if _, ok := s.peek(); !ok {
		return "", fmt.Errorf("want a string, have %s", s.here())
	}
	q, err := strconv.QuotedPrefix(s.src[s.pos:])
	if err != nil || q[0] != '"' {
		return "", fmt.Errorf("want a string in double quotes, have %s", s.here())
	}
	s.pos += len(q)
	v, err := strconv.Unquote(q)
	if err != nil {
		return "", fmt.Errorf("string %s: %w", q, err)
	}
	return v, nil
}

func (s *textScanner) quotedList() (list []string, err error) {
	err = s.list(func() error {
		v, err := s.quoted()
		list = append(list, v)
		return err
	})
	return list, err
}

// list reads [ and ] and calls item at each element.
func (s *textScanner) list(item func() error) error {
	if !s.accept('[') {
		return fmt.Errorf("want [, have %s", s.here())
	}
	s.nested++
	defer func() { s.nested-- }()
	for first := true; !s.accept(']'); first = false {
		if !first && !s.accept(',') {
			return fmt.Errorf("want a comma or ], have %s", s.here())
		}
		if err := item(); err != nil {
			return err
		}
	}
	return nil
}

func (s *textScanner) int32() (int32, error) {
	s.peek()
	word := s.run(isWordByte)
	v, err := strconv.ParseInt(word, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("want an integer, have %q", word)
	}
	return int32(v), nil
}

func isWordByte(c byte) bool {
	return isNameByte(c) && c != '/' && c != '>' || c == '+' || c == '?'
}

// base64 reads base64:… if it is there.
func (s *textScanner) base64() (v []byte, ok bool, err error) {
	const prefix = "base64:"
	if s.peek(); !strings.HasPrefix(s.src[s.pos:], prefix) {
		return nil, false, nil
	}
	s.pos += len(prefix)
	digits := s.run(func(c byte) bool {
		return isNameByte(c) && c != '_' && c != '-' && c != '.' && c != '>' || c == '+' || c == '='
	})
	v, err = base64.StdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil, true, fmt.Errorf("base64: %w", err)
	}
	return v, true, nil
}

// wire reads base64:… of serialized fields.
func (s *textScanner) wire() ([]byte, error) {
	v, ok, err := s.base64()
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("want base64:…, have %s", s.here())
	case !wellFormed(v):
		return nil, fmt.Errorf("the bytes are no fields of a message")
	}
	return v, nil
}

// attr reads a value of an attribute; d, which may be nil, tells the kinds of those that look alike.
func (s *textScanner) attr(d *AttrDef, depth int) (Attr, error) {
	if v, ok, err := s.base64(); ok {
		a := Attr{wire: v}
		if err == nil && (!wellFormed(v) || a.check("") != nil) {
			err = fmt.Errorf("the bytes are no AttrValue")
		}
		return a, err
	}
	hint := KindNone
	if d != nil {
		hint = d.Kind
	}
	c, _ := s.peek()
	if c == '[' && hint == KindShape && !d.List {
		return s.bracketedShape()
	}
	if c == '[' {
		return s.listAttr(hint, depth)
	}
	if strings.HasPrefix(s.src[s.pos:], "none") {
		start := s.pos
		if s.run(isWordByte) == "none" {
			return Attr{}, nil
		}
		s.pos = start
	}
	return s.one(hint, depth)
}

// listAttr reads a list of values of one kind.
func (s *textScanner) listAttr(hint Kind, depth int) (Attr, error) {
	if depth >= maxTextDepth {
		return Attr{}, fmt.Errorf("values are nested more than %d deep", maxTextDepth)
	}
	var items []Attr
	kind := KindNone
	err := s.list(func() error {
		if c, _ := s.peek(); c == '[' && hint == KindShape {
			a, err := s.bracketedShape()
			items, kind = append(items, a), KindShape
			return err
		}
		a, err := s.one(hint, depth+1)
		if err != nil {
			return err
		}
		if k := a.Kind(); kind == KindNone {
			kind = k
		} else if k != kind {
			return fmt.Errorf("a list has one kind of values, have %v and %v", kind, k)
		}
		items = append(items, a)
		return nil
	})
	if err != nil {
		return Attr{}, err
	}
	return listOf(kind, items), nil
}

// listOf returns the list of values that are all of a kind, packed as protobuf packs it.
func listOf(kind Kind, items []Attr) Attr {
	var packed, list []byte
	for _, a := range items {
		_, v, raw := a.field()
		switch kind {
		case KindInt, KindBool, KindType:
			packed = protowire.AppendVarint(packed, v)
		case KindFloat:
			packed = protowire.AppendFixed32(packed, uint32(v))
		case KindFunc:
			list = appendBytesField(list, listFunc, raw)
		default:
			list = appendBytesField(list, protowire.Number(kind), raw)
		}
	}
	if len(list) > 0 {
		return bytesAttr(KindList, list)
	}
	return listAttr(kind, packed)
}

// one reads a single value.
func (s *textScanner) one(hint Kind, depth int) (Attr, error) {
	c, ok := s.peek()
	switch {
	case !ok:
		return Attr{}, fmt.Errorf("want a value, have %s", s.here())
	case c == '"':
		v, err := s.quoted()
		return StringAttr(v), err
	case c == '@':
		s.pos++
		return s.function(depth)
	case c == '$':
		s.pos++
		v, err := s.name()
		return bytesAttr(KindPlaceholder, []byte(v)), err
	}
	word := s.run(isWordByte)
	if word == "dtype" && s.next('(') {
		n := s.digits()
		v, err := strconv.ParseInt(n, 10, 32)
		if err != nil || !s.next(')') {
			return Attr{}, fmt.Errorf("want dtype(number), have dtype(%s", n)
		}
		return TypeAttr(tensor.DType(v)), nil
	}
	if word == "" {
		return Attr{}, fmt.Errorf("want a value, have %s", s.here())
	}
	if d, ok := parseTypeWord(word); ok {
		if s.moreOfTensor() {
			proto, err := s.tensor(d)
			return bytesAttr(KindTensor, proto), err
		}
		return TypeAttr(d), nil
	}
	return wordAttr(word, hint)
}

// wordAttr reads a number, a bool or a shape.
func wordAttr(word string, hint Kind) (Attr, error) {
	if word == "true" || word == "false" {
		return BoolAttr(word == "true"), nil
	}
	if i, err := strconv.ParseInt(word, 10, 64); err == nil && hint != KindShape && hint != KindFloat {
		return IntAttr(i), nil
	}
	if shape, ok := parseShapeWord(word, hint == KindShape); ok {
		return ShapeAttr(shape), nil
	}
	f, err := parseFloatWord(word, 32)
	if err != nil {
		return Attr{}, fmt.Errorf("%q is no number, shape, dtype, true or false; strings stand in quotes, functions after @", word)
	}
	return FloatAttr(float32(f)), nil
}

// parseFloatWord reads a decimal number, inf or nan; hexadecimal digits, underscores and infinity are not of the form.
func parseFloatWord(word string, bits int) (float64, error) {
	switch word {
	case "nan":
		return float64(math.Float32frombits(0x7fc00000)), nil
	case "inf", "-inf":
	default:
		if strings.Trim(word, "0123456789+-.e") != "" {
			return 0, fmt.Errorf("%q is no number", word)
		}
	}
	v, err := strconv.ParseFloat(word, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of %d bits", word, bits)
	}
	return v, nil
}

func parseTypeWord(word string) (tensor.DType, bool) {
	base, ref := strings.CutSuffix(word, "_ref")
	d, err := tensor.ParseDType(base)
	if err != nil {
		return tensor.Invalid, false
	}
	if ref {
		d += refOffset
	}
	return d, true
}

// parseShapeWord reads 2x?x4, 4x, scalar and ?; plain numbers are shapes of rank 1 where only a shape can stand.
func parseShapeWord(word string, only bool) (tensor.PartialShape, bool) {
	switch word {
	case "scalar":
		return tensor.Partial(), true
	case "?":
		return tensor.PartialShape{}, true
	}
	list := strings.Split(word, "x")
	if len(list) == 1 && !only {
		return tensor.PartialShape{}, false
	}
	if len(list) == 2 && list[1] == "" {
		list = list[:1]
	}
	dims := make([]int, len(list))
	for i, d := range list {
		if d == "?" {
			dims[i] = tensor.UnknownDim
			continue
		}
		v, err := strconv.Atoi(d)
		if err != nil || v < 0 || d[0] == '+' {
			return tensor.PartialShape{}, false
		}
		dims[i] = v
	}
	return tensor.Partial(dims...), true
}

// bracketedShape reads [2, ?, 4], as errors print shapes.
func (s *textScanner) bracketedShape() (Attr, error) {
	dims := []int{}
	err := s.list(func() error {
		s.peek()
		word := s.run(isWordByte)
		d, ok := parseShapeWord(word, true)
		if word == "?" {
			d = tensor.Partial(tensor.UnknownDim)
		}
		if rank, _ := d.Rank(); !ok || rank != 1 {
			return fmt.Errorf("%q is no dimension", word)
		}
		dims = append(dims, d.Dim(0))
		return nil
	})
	return ShapeAttr(tensor.Partial(dims...)), err
}

// function reads name[attributes] after the @.
func (s *textScanner) function(depth int) (Attr, error) {
	if depth >= maxTextDepth {
		return Attr{}, fmt.Errorf("values are nested more than %d deep", maxTextDepth)
	}
	name, err := s.name()
	if err != nil {
		return Attr{}, err
	}
	b := appendStringField(nil, 1, name)
	if c, ok := s.peek(); ok && c == '[' {
		err = s.list(func() error {
			name, err := s.name()
			if err != nil {
				return err
			}
			if !s.accept('=') {
				return fmt.Errorf("attribute %q has no value", name)
			}
			a, err := s.attr(nil, depth+1)
			b = appendAttr(b, 2, NamedAttr{name, a})
			return err
		})
	}
	return bytesAttr(KindFunc, b), err
}
