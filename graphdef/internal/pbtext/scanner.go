package pbtext

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A scanner reads tokens from text.
type scanner struct {
	src  []byte
	pos  int
	line int
}

// peek skips space and comments and returns the next character; ok is false at the end.
func (s *scanner) peek() (c byte, ok bool) {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case '\n':
			s.line++
			s.pos++
		case ' ', '\t', '\r', '\v', '\f':
			s.pos++
		case '#':
			for s.pos < len(s.src) && s.src[s.pos] != '\n' {
				s.pos++
			}
		default:
			return c, true
		}
	}
	return 0, false
}

// accept takes the next character if it is c.
func (s *scanner) accept(c byte) bool {
	if next, ok := s.peek(); ok && next == c {
		s.pos++
		return true
	}
	return false
}

// here describes the next token, for errors.
func (s *scanner) here() string {
	if _, ok := s.peek(); !ok {
		return "the end of the text"
	}
	rest := s.src[s.pos:min(len(s.src), s.pos+20)]
	line, _, _ := strings.Cut(string(rest), "\n")
	return strconv.Quote(line)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// identifier takes a name; it returns "" if there is none.
func (s *scanner) identifier() string {
	c, ok := s.peek()
	if !ok || !letter(c) {
		return ""
	}
	start := s.pos
	for s.pos < len(s.src) && (letter(s.src[s.pos]) || digit(s.src[s.pos])) {
		s.pos++
	}
	return string(s.src[start:s.pos])
}

// number takes a number without its sign, in any spelling; it returns "" if there is none.
func (s *scanner) number() string {
	c, ok := s.peek()
	if !ok || !digit(c) && c != '.' {
		return ""
	}
	start := s.pos
	hex := false
	for ; s.pos < len(s.src); s.pos++ {
		c := s.src[s.pos]
		if c == 'x' || c == 'X' {
			hex = true
		}
		exponent := !hex && s.pos > start && (s.src[s.pos-1] == 'e' || s.src[s.pos-1] == 'E')
		if !digit(c) && !letter(c) && c != '.' && !(exponent && (c == '+' || c == '-')) {
			break
		}
	}
	return string(s.src[start:s.pos])
}

// scalar reads a number, bool or enum value of the field, as it goes on the wire.
func (s *scanner) scalar(fd protoreflect.FieldDescriptor) (v uint64, typ protowire.Type, err error) {
	switch fd.Kind() {
	case protoreflect.FloatKind:
		f, err := s.float(32)
		return uint64(math.Float32bits(float32(f))), protowire.Fixed32Type, err
	case protoreflect.DoubleKind:
		f, err := s.float(64)
		return math.Float64bits(f), protowire.Fixed64Type, err
	case protoreflect.BoolKind:
		b, err := s.bool()
		return protowire.EncodeBool(b), protowire.VarintType, err
	case protoreflect.EnumKind:
		if name := s.identifier(); name != "" {
			e := fd.Enum().Values().ByName(protoreflect.Name(name))
			if e == nil {
				return 0, 0, fmt.Errorf("%s has no value %q", fd.Enum().FullName(), name)
			}
			return uint64(int64(e.Number())), protowire.VarintType, nil
		}
		v, err = s.integer(32, true)
		return v, protowire.VarintType, err
	case protoreflect.Int32Kind:
		v, err = s.integer(32, true)
		return v, protowire.VarintType, err
	case protoreflect.Uint32Kind:
		v, err = s.integer(32, false)
		return v, protowire.VarintType, err
	case protoreflect.Int64Kind:
		v, err = s.integer(64, true)
		return v, protowire.VarintType, err
	case protoreflect.Uint64Kind:
		v, err = s.integer(64, false)
		return v, protowire.VarintType, err
	case protoreflect.Fixed32Kind:
		v, err = s.integer(32, false)
		return v, protowire.Fixed32Type, err
	case protoreflect.Fixed64Kind:
		v, err = s.integer(64, false)
		return v, protowire.Fixed64Type, err
	}
	return 0, 0, fmt.Errorf("fields of kind %v are not supported", fd.Kind())
}

// integer reads a decimal, hexadecimal or (after a 0) octal number that fits.
func (s *scanner) integer(bits int, signed bool) (uint64, error) {
	negative := s.accept('-')
	text := s.number()
	if text == "" {
		return 0, fmt.Errorf("want an integer, have %s", s.here())
	}
	digits, base := text, 10
	switch {
	case strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X"):
		digits, base = text[2:], 16
	case len(text) > 1 && text[0] == '0':
		digits, base = text[1:], 8
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an integer of %d bits", text, bits)
	}
	limit := uint64(1)<<(bits-1) - 1 // signed
	if !signed {
		limit = limit<<1 + 1
	} else if negative {
		limit++
	}
	if v > limit || negative && !signed && v > 0 {
		return 0, fmt.Errorf("%q is not an integer of %d bits", text, bits)
	}
	if negative {
		v = -v
	}
	return v, nil
}

// float reads a decimal number, which may end in f, or inf or nan in any case.
func (s *scanner) float(bits int) (float64, error) {
	negative := s.accept('-')
	sign := 1.0
	if negative {
		sign = -1
	}
	if word := s.identifier(); word != "" {
		switch strings.ToLower(word) {
		case "inf", "infinity":
			return math.Inf(int(sign)), nil
		case "nan":
			return float64(math.Float32frombits(0x7fc00000)), nil
		}
		return 0, fmt.Errorf("%q is not a number", word)
	}
	text := s.number()
	plain := strings.TrimSuffix(strings.TrimSuffix(text, "f"), "F")
	// Underscores, hexadecimal floats and the like are Go's, not protobuf's.
	if text == "" || strings.Trim(plain, "0123456789.eE+-") != "" {
		return 0, fmt.Errorf("want a number, have %q", text+strings.Trim(s.here(), `"`))
	}
	v, err := strconv.ParseFloat(plain, bits)
	if err != nil && !math.IsInf(v, 0) { // too large is infinite, as in C++
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return math.Copysign(v, sign), nil
}

func (s *scanner) bool() (bool, error) {
	if word := s.identifier(); word != "" {
		switch word {
		case "true", "True", "t":
			return true, nil
		case "false", "False", "f":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither true nor false", word)
	}
	v, err := s.integer(64, false)
	if err != nil || v > 1 {
		return false, fmt.Errorf("want true or false")
	}
	return v == 1, nil
}

// strings reads one or more adjacent literals.
func (s *scanner) strings() ([]byte, error) {
	var out []byte
	for n := 0; ; n++ {
		c, ok := s.peek()
		if !ok || c != '"' && c != '\'' {
			if n == 0 {
				return nil, fmt.Errorf("want a string, have %s", s.here())
			}
			return out, nil
		}
		s.pos++
		var err error
		if out, err = s.literal(out, c); err != nil {
			return nil, err
		}
	}
}

// literal reads the rest of a quoted string.
func (s *scanner) literal(out []byte, quote byte) ([]byte, error) {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		s.pos++
		switch c {
		case quote:
			return out, nil
		case '\n':
			return nil, fmt.Errorf("the line ends within a string")
		case '\\':
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
		default:
			out = append(out, c)
		}
	}
	return nil, fmt.Errorf("the text ends within a string")
}

var escapes = map[byte]byte{
	'n': '\n', 'r': '\r', 't': '\t', 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v', '\\': '\\', '\'': '\'', '"': '"',
}

// escape reads what follows a backslash.
func (s *scanner) escape(out []byte) ([]byte, error) {
	if s.pos == len(s.src) {
		return nil, fmt.Errorf("the text ends within a string")
	}
	c := s.src[s.pos]
	s.pos++
	if v, ok := escapes[c]; ok {
		return append(out, v), nil
	}
	switch {
	case c == '?': // Python, which writes most of these files, keeps the backslash
		return append(out, '\\', '?'), nil
	case c >= '0' && c <= '7':
		s.pos--
		v, err := s.digits(8, 1, 3)
		if err != nil || v > 255 {
			return nil, fmt.Errorf("octal escape is not a byte")
		}
		return append(out, byte(v)), nil
	case c == 'x' || c == 'X':
		v, err := s.digits(16, 1, 2)
		return append(out, byte(v)), err
	case c == 'u' || c == 'U':
		n := 4
		if c == 'U' {
			n = 8
		}
		v, err := s.digits(16, n, n)
		if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
			return nil, fmt.Errorf("escape \\%c is not a character", c)
		}
		return utf8.AppendRune(out, rune(v)), nil
	}
	return nil, fmt.Errorf("escape \\%c is not known", c)
}

// digits reads from least to most digits of a base.
func (s *scanner) digits(base, least, most int) (uint64, error) {
	n := 0
	for n < most && s.pos+n < len(s.src) {
		c := s.src[s.pos+n]
		if base == 8 && (c < '0' || c > '7') || strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			break
		}
		n++
	}
	if n < least {
		return 0, fmt.Errorf("escape has too few digits")
	}
	v, err := strconv.ParseUint(string(s.src[s.pos:s.pos+n]), base, 64)
	s.pos += n
	return v, err
}
