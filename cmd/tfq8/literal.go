package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/tfq8/tfq8/tensor"
)

// maxRank bounds the nesting of literals.
const maxRank = 32

// parseLiteral returns the tensor that text spells in dtype d: a number, true or false, a string in quotes, or nested lists
// of them of equal lengths, as JSON has them; nan, inf and -inf are numbers, and a lone string needs no quotes. Integers must
// fit the dtype.
func parseLiteral(text string, d tensor.DType) (*tensor.Tensor, error) {
	p := &literalParser{rest: text, append: appendTo[d]}
	if p.append == nil {
		return nil, fmt.Errorf("a %v tensor has no literal; give a .npy file", d)
	}
	var t *tensor.Tensor
	first := strings.TrimLeftFunc(text, unicode.IsSpace)
	if d == tensor.String && !strings.HasPrefix(first, "[") && !strings.HasPrefix(first, `"`) {
		return tensor.FromStrings(tensor.Shape{}, []string{text}), nil
	}
	p.value(0)
	if p.space(); p.err == nil && p.rest != "" {
		p.fail("%q after its end", clip(p.rest))
	}
	for i, n := range p.shape {
		if n < 0 {
			p.shape[i] = 0 // of an empty list nobody says what it would hold
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	if d == tensor.String {
		return tensor.FromStrings(p.shape, p.strings), nil
	}
	t, err := tensor.FromBytes(d, p.shape, p.bytes)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// literalParser reads one literal; after the first error all of it does nothing.
type literalParser struct {
	rest    string
	err     error
	shape   tensor.Shape // -1 where a list is not finished
	leaf    int          // the depth of elements, plus one; 0: none seen
	bytes   []byte
	strings []string
	append  func(p *literalParser, word string, quoted bool) error
}

func (p *literalParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *literalParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// value reads an element or a list at the given depth.
func (p *literalParser) value(depth int) {
	p.space()
	if rest, ok := strings.CutPrefix(p.rest, "["); ok {
		p.rest = rest
		p.list(depth)
		return
	}
	if p.leaf == 0 {
		p.leaf = depth + 1
	}
	if p.leaf != depth+1 || len(p.shape) > depth {
		p.fail("lists and elements side by side before %q", clip(p.rest))
		return
	}
	word, quoted, ok := p.word()
	if !ok {
		p.fail("want an element before %q", clip(p.rest))
		return
	}
	if err := p.append(p, word, quoted); err != nil {
		p.fail("%w", err)
	}
}

// list reads the rest of a list.
func (p *literalParser) list(depth int) {
	if depth >= maxRank {
		p.fail("lists nest deeper than %d", maxRank)
		return
	}
	if p.leaf > 0 && depth >= p.leaf-1 {
		p.fail("lists and elements side by side before %q", clip("["+p.rest))
		return
	}
	if depth == len(p.shape) {
		p.shape = append(p.shape, -1)
	}
	n := 0
	for p.err == nil {
		p.space()
		if rest, ok := strings.CutPrefix(p.rest, "]"); ok {
			p.rest = rest
			break
		}
		if n > 0 {
			rest, ok := strings.CutPrefix(p.rest, ",")
			if !ok {
				p.fail("want , or ] before %q", clip(p.rest))
				return
			}
			p.rest = rest
		}
		p.value(depth + 1)
		n++
	}
	if p.err == nil && p.shape[depth] >= 0 && p.shape[depth] != n {
		p.fail("lists of different lengths, have %d and %d; pad them", p.shape[depth], n)
	}
	p.shape[depth] = n
}

// word reads one element: a quoted string, or all up to the next delimiter.
func (p *literalParser) word() (word string, quoted, ok bool) {
	if strings.HasPrefix(p.rest, `"`) {
		d := json.NewDecoder(strings.NewReader(p.rest))
		if err := d.Decode(&word); err != nil {
			return "", true, false
		}
		p.rest = p.rest[d.InputOffset():]
		return word, true, true
	}
	end := strings.IndexAny(p.rest, " \t\r\n,[]\"")
	if end < 0 {
		end = len(p.rest)
	}
	word, p.rest = p.rest[:end], p.rest[end:]
	return word, false, word != ""
}

// clip returns the start of text, for messages.
func clip(text string) string {
	if len(text) > 20 {
		return text[:20] + "…"
	}
	return text
}

// appendTo says how an element of each dtype is read.
var appendTo = map[tensor.DType]func(*literalParser, string, bool) error{
	tensor.String: func(p *literalParser, word string, quoted bool) error {
		if !quoted {
			return fmt.Errorf("have %s, want a string in double quotes", word)
		}
		p.strings = append(p.strings, word)
		return nil
	},
	tensor.Bool: func(p *literalParser, word string, quoted bool) error {
		if word != "true" && word != "false" || quoted {
			return fmt.Errorf("have %s, want true or false", word)
		}
		b := byte(0)
		if word == "true" {
			b = 1
		}
		p.bytes = append(p.bytes, b)
		return nil
	},
	tensor.Int8: signed(8), tensor.Qint8: signed(8), tensor.Int16: signed(16), tensor.Qint16: signed(16),
	tensor.Int32: signed(32), tensor.Qint32: signed(32), tensor.Int64: signed(64),
	tensor.Uint8: unsigned(8), tensor.Quint8: unsigned(8), tensor.Uint16: unsigned(16), tensor.Quint16: unsigned(16),
	tensor.Uint32: unsigned(32), tensor.Uint64: unsigned(64),
	tensor.Float32:  real32(func(b []byte, v float32) []byte { return appendBits(b, uint64(math.Float32bits(v)), 32) }),
	tensor.Float16:  real32(func(b []byte, v float32) []byte { return appendBits(b, uint64(tensor.ToHalf(v)), 16) }),
	tensor.Bfloat16: real32(func(b []byte, v float32) []byte { return appendBits(b, uint64(tensor.ToBfloat(v)), 16) }),
	tensor.Float64: func(p *literalParser, word string, _ bool) error {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return fmt.Errorf("have %s, want a number", word)
		}
		p.bytes = appendBits(p.bytes, math.Float64bits(v), 64)
		return nil
	},
}

// signed reads integers of so many bits.
func signed(bits int) func(*literalParser, string, bool) error {
	return func(p *literalParser, word string, quoted bool) error {
		v, err := strconv.ParseInt(word, 10, bits)
		if err != nil || quoted {
			return fmt.Errorf("have %s, want an integer of %d bits", word, bits)
		}
		p.bytes = appendBits(p.bytes, uint64(v), bits)
		return nil
	}
}

// unsigned reads integers of so many bits without sign.
func unsigned(bits int) func(*literalParser, string, bool) error {
	return func(p *literalParser, word string, quoted bool) error {
		v, err := strconv.ParseUint(word, 10, bits)
		if err != nil || quoted {
			return fmt.Errorf("have %s, want an unsigned integer of %d bits", word, bits)
		}
		p.bytes = appendBits(p.bytes, v, bits)
		return nil
	}
}

// real32 reads numbers that fit a float32; quotes are fine around NaN and the infinities, which JSON cannot say otherwise.
func real32(put func([]byte, float32) []byte) func(*literalParser, string, bool) error {
	return func(p *literalParser, word string, _ bool) error {
		v, err := strconv.ParseFloat(word, 32)
		if err != nil {
			return fmt.Errorf("have %s, want a number", word)
		}
		p.bytes = put(p.bytes, float32(v))
		return nil
	}
}

// appendBits appends the lowest bits of v in little-endian order.
func appendBits(b []byte, v uint64, bits int) []byte {
	for ; bits > 0; bits -= 8 {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

// nonFinite is how JSON spells nan, inf and -inf, for which it has no numbers: "NaN", "Inf" and "-Inf".
func nonFinite(text string) string {
	v, _ := strconv.ParseFloat(text, 64)
	return strconv.Quote(strings.TrimPrefix(strconv.FormatFloat(v, 'g', -1, 64), "+"))
}

// jsonValues returns the elements of t as nested JSON lists in one line; NaN and infinities are strings.
func jsonValues(t *tensor.Tensor) json.RawMessage {
	var b []byte
	plain := t.DType() == tensor.Bool || t.DType().IsInteger() || t.DType().IsQuantized() || t.DType().IsFloat()
	shape, next := t.Shape(), 0
	var walk func(depth int)
	walk = func(depth int) {
		if depth == len(shape) {
			switch text := t.ElementText(next); {
			case t.DType() == tensor.String:
				q, _ := json.Marshal(t.Strings()[next]) // a string always has a JSON form
				b = append(b, q...)
			case plain && json.Valid([]byte(text)):
				b = append(b, text...)
			case plain:
				b = append(b, nonFinite(text)...)
			default:
				b = strconv.AppendQuote(b, text)
			}
			next++
			return
		}
		b = append(b, '[')
		for i := range shape[depth] {
			if i > 0 {
				b = append(b, ", "...)
			}
			walk(depth + 1)
		}
		b = append(b, ']')
	}
	walk(0)
	return b
}
