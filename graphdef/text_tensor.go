package graphdef

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// moreOfTensor reports whether a dtype is followed by a shape or elements: then it begins a tensor.
func (s *textScanner) moreOfTensor() bool {
	c, ok := s.peek()
	return ok && c != ',' && c != ']' && c != ')' && c != '\n' && c != '='
}

// tensor reads what follows the dtype of a tensor and returns a TensorProto.
func (s *textScanner) tensor(d tensor.DType) ([]byte, error) {
	if !d.Known() || d == tensor.Resource || d == tensor.Variant {
		return nil, fmt.Errorf("tensors of dtype %v have no text", d)
	}
	shape, given, err := s.tensorShape(d)
	if err != nil {
		return nil, err
	}
	if given {
		if _, err := shape.CheckedElements(); err != nil {
			return nil, err
		}
	}
	c, _ := s.peek()
	switch rest := s.src[s.pos:]; {
	case strings.HasPrefix(rest, "..."):
		return nil, fmt.Errorf("the elements were left out when the text was written")
	case strings.HasPrefix(rest, "fill") && !strings.HasPrefix(rest, "fill("):
		s.pos += len("fill")
		return s.fill(d, shape)
	case strings.HasPrefix(rest, "base64:"):
		raw, _, err := s.base64()
		if err != nil {
			return nil, err
		}
		t, err := tensor.FromBytes(d, shape, raw)
		if err != nil {
			return nil, err
		}
		return EncodeTensor(t), nil
	case c == '[':
		return s.elements(d, shape, given)
	case given && len(shape) > 0:
		return nil, fmt.Errorf("want fill, [ or base64: after the shape, have %s", s.here())
	}
	return s.fill(d, tensor.Shape{})
}

// tensorShape reads the shape of a tensor of dtype d, if there is one: a word after which elements follow.
func (s *textScanner) tensorShape(d tensor.DType) (shape tensor.Shape, given bool, err error) {
	s.peek()
	start := s.pos
	word := s.run(isWordByte)
	c, ok := s.peek()
	rest := s.src[s.pos:]
	if word == "" || word == "fill" || word == "..." || word == "base64" ||
		!ok || c != '[' && !strings.HasPrefix(rest, "fill") && !strings.HasPrefix(rest, "base64:") && !strings.HasPrefix(rest, "...") {
		s.pos = start
		// A shape without elements is a mistake that deserves its own words. But 0x01 is an element of the 8-bit floats.
		if p, ok := parseShapeWord(word, false); ok && word != "?" {
			if _, err := appendElement(nil, d, word); err != nil {
				return nil, false, fmt.Errorf("want fill, [ or base64: after the shape %v", p)
			}
		}
		return nil, false, nil
	}
	p, ok := parseShapeWord(word, true)
	shape, whole := p.Shape()
	if !ok || !whole {
		return nil, false, fmt.Errorf("%q is no shape of a tensor", word)
	}
	return shape, true, nil
}

// element reads one element as its bytes in memory; a string as its text.
func (s *textScanner) element(b []byte, d tensor.DType) ([]byte, error) {
	if d == tensor.String {
		v, err := s.quoted()
		return append(b, v...), err
	}
	c, _ := s.peek()
	start := s.pos
	if c == '(' { // complex
		end := strings.IndexByte(s.src[s.pos:], ')')
		if end < 0 {
			return nil, fmt.Errorf("want a number, have %s", s.here())
		}
		s.pos += end + 1
	} else {
		s.run(isWordByte)
	}
	if s.pos == start {
		return nil, fmt.Errorf("want a value of dtype %v, have %s", d, s.here())
	}
	return appendElement(b, d, s.src[start:s.pos])
}

// fill reads one element and gives a tensor of equal ones, which takes no more space than one.
func (s *textScanner) fill(d tensor.DType, shape tensor.Shape) ([]byte, error) {
	one, err := s.element(nil, d)
	if err != nil {
		return nil, err
	}
	b := appendVarintField(nil, fieldDType, uint64(d))
	b = appendBytesField(b, fieldShape, encodeShape(shape.Partial()))
	if d == tensor.String {
		return appendBytesField(b, fieldStrings, one), nil
	}
	return appendTyped(b, d, one), nil
}

// elements reads [a, b, …], flat or nested as the shape is.
func (s *textScanner) elements(d tensor.DType, shape tensor.Shape, given bool) ([]byte, error) {
	var raw []byte
	var strs []string
	n := 0
	found := []int{} // the lengths of nested lists, -1 until the first ends
	var read func(depth int) error
	read = func(depth int) error {
		if depth >= maxTextDepth {
			return fmt.Errorf("lists are nested more than %d deep", maxTextDepth)
		}
		if depth == len(found) {
			found = append(found, -1)
		}
		count := 0
		leaves := false
		err := s.list(func() error {
			c, _ := s.peek()
			if count > 0 && leaves == (c == '[') || c != '[' && depth+1 < len(found) {
				return fmt.Errorf("lists are nested to different depths")
			}
			count++
			if c == '[' {
				return read(depth + 1)
			}
			leaves = true
			n++
			if d == tensor.String {
				v, err := s.quoted()
				strs = append(strs, v)
				return err
			}
			var err error
			raw, err = s.element(raw, d)
			return err
		})
		switch {
		case err != nil:
			return err
		case found[depth] < 0:
			found[depth] = count
		case found[depth] != count:
			return fmt.Errorf("lists have different lengths, have %d and %d", found[depth], count)
		}
		return nil
	}
	if err := read(0); err != nil {
		return nil, err
	}
	switch {
	case !given:
		shape = tensor.Shape(found)
	case len(found) > 1 && !slices.Equal(found, shape):
		return nil, fmt.Errorf("the lists have shape %v, want %v", tensor.Shape(found), shape)
	}
	if want, err := shape.CheckedElements(); err != nil || want != n {
		return nil, fmt.Errorf("%d elements for shape %v", n, shape)
	}
	if d == tensor.String {
		return EncodeTensor(tensor.FromStrings(shape, strs)), nil
	}
	t, err := tensor.FromBytes(d, shape, raw)
	if err != nil {
		return nil, err
	}
	return EncodeTensor(t), nil
}

// appendElement appends the bytes of an element that [tensor.Tensor.ElementText] printed, or that somebody wrote.
func appendElement(b []byte, d tensor.DType, text string) ([]byte, error) {
	fail := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%q is no value of dtype %v", text, d)
	}
	switch d {
	case tensor.Float32:
		v, err := parseFloatWord(text, 32)
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v))), fail(err)
	case tensor.Float64:
		v, err := parseFloatWord(text, 64)
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v)), fail(err)
	case tensor.Float16:
		v, err := parseFloatWord(text, 32)
		return binary.LittleEndian.AppendUint16(b, tensor.ToHalf(float32(v))), fail(err)
	case tensor.Bfloat16:
		v, err := parseFloatWord(text, 32)
		return binary.LittleEndian.AppendUint16(b, tensor.ToBfloat(float32(v))), fail(err)
	case tensor.Complex64, tensor.Complex128:
		return appendComplex(b, d, text)
	case tensor.Bool:
		if text != "true" && text != "false" {
			return b, fail(strconv.ErrSyntax)
		}
		return append(b, byte(protowire.EncodeBool(text == "true"))), nil
	case tensor.Float8E4M3, tensor.Float8E5M2:
		v, err := strconv.ParseUint(text, 0, 8)
		return append(b, byte(v)), fail(err)
	}
	f := typedFields[d]
	bits := 8 * f.perValue
	if d == tensor.Int4 || d == tensor.Uint4 {
		bits = 4
	}
	var v uint64
	var err error
	if f.signed {
		var i int64
		i, err = strconv.ParseInt(text, 10, bits)
		v = uint64(i)
	} else {
		v, err = strconv.ParseUint(text, 10, bits)
	}
	switch f.perValue {
	case 1:
		b = append(b, byte(v))
	case 2:
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	case 4:
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	case 8:
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b, fail(err)
}

// appendComplex reads (1+2j).
func appendComplex(b []byte, d tensor.DType, text string) ([]byte, error) {
	bad := fmt.Errorf("%q is no value of dtype %v, want (1+2j)", text, d)
	inner, ok := strings.CutPrefix(text, "(")
	inner, ok2 := strings.CutSuffix(inner, "j)")
	if !ok || !ok2 {
		return b, bad
	}
	// The sign of the imaginary part is the last one that belongs to no exponent.
	at := -1
	for i := 1; i < len(inner); i++ {
		if (inner[i] == '+' || inner[i] == '-') && inner[i-1] != 'e' {
			at = i
		}
	}
	if at < 0 {
		return b, bad
	}
	for _, part := range []string{inner[:at], strings.TrimPrefix(inner[at:], "+")} {
		v, err := parseFloatWord(part, d.Size()*4)
		if err != nil {
			return b, bad
		}
		if d == tensor.Complex64 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		} else {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b, nil
}
