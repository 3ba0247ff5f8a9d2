package runtime

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// malformed is what happens to text that is not well-formed.
type malformed struct {
	strict, ignore bool
	replacement    rune
	control        bool // treat control characters below U+0020 in the same way
}

var errMalformed = errors.New("input is not well-formed text of its encoding; set errors to replace or ignore")

func malformedPolicy(n *graphdef.Node, control bool) (m malformed, err error) {
	r := n.AttrReader()
	mode := r.Str("errors")
	c := r.Int("replacement_char")
	if control {
		m.control = r.Bool("replace_control_characters")
	}
	if err := r.Err(); err != nil {
		return m, err
	}
	m.strict, m.ignore = mode == "strict", mode == "ignore"
	if !m.strict && !m.ignore && mode != "replace" {
		return m, fmt.Errorf("errors is %q, want strict, replace or ignore", mode)
	}
	if c < 0 || c > unicode.MaxRune {
		return m, fmt.Errorf("replacement_char is %#x, want a code point", c)
	}
	m.replacement = rune(c)
	return m, nil
}

// take returns what stands for r, of which bad says that it was not well-formed; false for nothing.
func (m *malformed) take(r rune, bad bool) (rune, bool) {
	if !bad && (!m.control || r > 0x1f) {
		return r, true
	}
	return m.replacement, !m.ignore
}

// unicodeDecodeOp gives the code points of each string, and where in it they begin.
func unicodeDecodeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	m, err := malformedPolicy(n, true)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	encoding, splitType := r.Str("input_encoding"), r.Type("Tsplits")
	if err := r.Err(); err != nil {
		return nil, err
	}
	decode, err := textDecoder(encoding)
	if err != nil {
		return nil, err
	}
	offsets := n.Op() == "UnicodeDecodeWithOffsets"
	return func(c *call) error {
		in, err := textOf(c.in(0), "input")
		if err != nil {
			return err
		}
		splits := make([]int, 1, len(in)+1)
		var chars []int32
		var starts []int64
		for _, s := range in {
			var failed error
			decode(s, func(r rune, at int, bad bool) {
				if bad && m.strict {
					failed = errMalformed
				}
				if r, ok := m.take(r, bad); ok {
					chars, starts = append(chars, r), append(starts, int64(at))
				}
			})
			if failed != nil {
				return failed
			}
			splits = append(splits, len(chars))
		}
		if err := setInts(c, 0, splitType, tensor.Shape{len(splits)}, splits); err != nil {
			return err
		}
		c.set(1, tensor.FromSlice(tensor.Shape{len(chars)}, chars))
		if offsets {
			c.set(2, tensor.FromSlice(tensor.Shape{len(starts)}, starts))
		}
		return nil
	}, nil
}

// unicodeTranscodeOp changes the encoding of text.
func unicodeTranscodeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	m, err := malformedPolicy(n, true)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	from, to := r.Str("input_encoding"), r.Str("output_encoding")
	if err := r.Err(); err != nil {
		return nil, err
	}
	decode, err := textDecoder(from)
	if err != nil {
		return nil, err
	}
	encode, err := textEncoder(to)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		failed := false
		err := mapText(c, func(s string) string {
			var out []byte
			decode(s, func(r rune, _ int, bad bool) {
				failed = failed || bad || m.control && r <= 0x1f
				if r, ok := m.take(r, bad); ok {
					out = encode(out, r)
				}
			})
			return string(out)
		})
		if err == nil && failed && m.strict {
			err = errMalformed
		}
		return err
	}, nil
}

// unicodeEncodeOp makes a string of each row of code points.
func unicodeEncodeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	m, err := malformedPolicy(n, false)
	if err != nil {
		return nil, err
	}
	encoding, err := n.Str("output_encoding")
	if err != nil {
		return nil, err
	}
	encode, err := textEncoder(encoding)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		if c.in(0).DType() != tensor.Int32 || c.in(0).Rank() != 1 {
			return fmt.Errorf("input_values is %v %v, want an int32 vector", c.in(0).DType(), c.in(0).Shape().Clone())
		}
		chars := tensor.Data[int32](c.in(0))
		splits, err := appendInts(nil, c.in(1), "input_splits")
		if err != nil {
			return err
		}
		if err := checkSplits(splits, len(chars), "input_splits"); err != nil {
			return err
		}
		out := make([]string, len(splits)-1)
		for i := range out {
			var b []byte
			for _, v := range chars[splits[i]:splits[i+1]] {
				bad := !utf8.ValidRune(v)
				if bad && m.strict {
					return fmt.Errorf("input_values has %#x, which is no code point; set errors to replace or ignore", v)
				}
				if r, ok := m.take(v, bad); ok {
					b = encode(b, r)
				}
			}
			out[i] = string(b)
		}
		setText(c, 0, tensor.Shape{len(out)}, out)
		return nil
	}, nil
}

// unicodeScriptOp gives ICU's number of the script of each code point, -1 for what is none.
func unicodeScriptOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		if c.in(0).DType() != tensor.Int32 {
			return fmt.Errorf("input is %v, want int32", c.in(0).DType())
		}
		t, err := c.alloc(0, tensor.Int32, c.in(0).Shape())
		if err != nil {
			return err
		}
		out := tensor.Data[int32](t)
		for i, v := range tensor.Data[int32](c.in(0)) {
			out[i] = scriptOf(v)
		}
		return nil
	}, nil
}

// scriptOf returns ICU's UScriptCode of r.
func scriptOf(r rune) int32 {
	const invalid, unknown = -1, 103
	if r < 0 || r > unicode.MaxRune {
		return invalid
	}
	for name, code := range scriptCodes {
		if unicode.Is(unicode.Scripts[name], r) {
			return code
		}
	}
	return unknown
}

// validText returns s with U+FFFD for each maximal part of it that is not UTF-8.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out []byte
	decodeUTF8(s, func(r rune, _ int, _ bool) { out = utf8.AppendRune(out, r) })
	return string(out)
}
