package runtime

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// stringOps work on text: tensors of byte strings, which need not be UTF-8.
var stringOps = map[string]evaluator{
	"StringJoin":   stringJoinOp,
	"StringLength": stringLengthOp,
	"StringLower":  stringCaseOp,
	"StringUpper":  stringCaseOp,
	"StringStrip":  stringStripOp,
	"Substr":       substrOp,

	"StringSplit":         stringSplitOp,
	"StringSplitV2":       stringSplitV2Op,
	"StringNGrams":        stringNGramsOp,
	"ReduceJoin":          reduceJoinOp,
	"UnsortedSegmentJoin": unsortedSegmentJoinOp,

	"RegexReplace":         regexReplaceOp,
	"StaticRegexReplace":   regexReplaceOp,
	"RegexFullMatch":       regexFullMatchOp,
	"StaticRegexFullMatch": regexFullMatchOp,

	"AsString":       asStringOp,
	"StringToNumber": stringToNumberOp,
	"StringFormat":   stringFormatOp,

	"DecodeRaw":                decodeRawOp,
	"EncodeBase64":             encodeBase64Op,
	"DecodeBase64":             decodeBase64Op,
	"SerializeTensor":          serializeTensorOp,
	"ParseTensor":              parseTensorOp,
	"StringToHashBucket":       stringHashOp,
	"StringToHashBucketFast":   stringHashOp,
	"StringToHashBucketStrong": stringHashOp,

	"UnicodeDecode":            unicodeDecodeOp,
	"UnicodeDecodeWithOffsets": unicodeDecodeOp,
	"UnicodeEncode":            unicodeEncodeOp,
	"UnicodeTranscode":         unicodeTranscodeOp,
	"UnicodeScript":            unicodeScriptOp,
}

// textOf returns the elements of t, a string tensor that what names.
func textOf(t *tensor.Tensor, what string) ([]string, error) {
	if t.DType() != tensor.String {
		return nil, fmt.Errorf("%s is %v, want string", what, t.DType())
	}
	return t.Strings(), nil
}

// scalarText returns the value of t, a string scalar that what names.
func scalarText(t *tensor.Tensor, what string) (string, error) {
	if t.DType() != tensor.String || t.Rank() != 0 {
		return "", fmt.Errorf("%s is %v %v, want a string scalar", what, t.DType(), t.Shape().Clone())
	}
	return t.Strings()[0], nil
}

// setText makes output i a string tensor.
func setText(c *call, i int, shape tensor.Shape, text []string) {
	c.set(i, tensor.FromStrings(shape.Clone(), text))
}

// mapText makes output 0 the strings of input 0, each as f gives it.
func mapText(c *call, f func(string) string) error {
	in, err := textOf(c.in(0), "input")
	if err != nil {
		return err
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	setText(c, 0, c.in(0).Shape(), out)
	return nil
}

// stringJoinOp joins its inputs element by element; scalars go with every element.
func stringJoinOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	sep, err := n.Str("separator")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		var shape tensor.Shape
		inputs := make([][]string, c.numIn())
		for i := range inputs {
			t := c.in(i)
			if inputs[i], err = textOf(t, fmt.Sprintf("input %d", i)); err != nil {
				return err
			}
			switch {
			case t.Rank() == 0:
			case shape == nil:
				shape = t.Shape().Clone()
			case !shape.Equal(t.Shape()):
				return fmt.Errorf("input %d has shape %v, want %v as those before it, or a scalar", i, t.Shape().Clone(), shape)
			}
		}
		out := make([]string, shape.Elements())
		parts, budget := make([]string, len(inputs)), textBudget{a: &c.s.arena}
		for k := range out {
			for i, in := range inputs {
				if c.in(i).Rank() == 0 {
					parts[i] = in[0]
				} else {
					parts[i] = in[k]
				}
			}
			if out[k], err = budget.join(parts, sep); err != nil {
				return err
			}
		}
		setText(c, 0, shape, out)
		return nil
	}, nil
}

// textUnit reads the attribute unit: whether positions count characters of UTF-8 and not bytes.
func textUnit(n *graphdef.Node) (chars bool, err error) {
	unit, err := n.Str("unit")
	if err != nil {
		return false, err
	}
	if unit != "BYTE" && unit != "UTF8_CHAR" {
		return false, fmt.Errorf("unit is %q, want BYTE or UTF8_CHAR", unit)
	}
	return unit == "UTF8_CHAR", nil
}

// stringLengthOp counts bytes, or the bytes that begin a character: what is not UTF-8 has a length as well.
func stringLengthOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	chars, err := textUnit(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "input")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Int32, c.in(0).Shape())
		if err != nil {
			return err
		}
		out := tensor.Data[int32](t)
		for i, s := range in {
			n := len(s)
			if chars {
				n = 0
				for k := range len(s) {
					if utf8.RuneStart(s[k]) {
						n++
					}
				}
			}
			out[i] = int32(n)
		}
		return nil
	}, nil
}

// stringCaseOp changes the case of ASCII letters, or with encoding utf-8 of all, by the full mappings of Unicode (ß becomes
// SS). TensorFlow hands such a string on as a C string, so it ends at its first NUL.
func stringCaseOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	encoding, err := n.Str("encoding")
	if err != nil {
		return nil, err
	}
	upper := n.Op() == "StringUpper"
	switch encoding {
	case "":
		from, to, shift := byte('A'), byte('Z'), byte('a'-'A')
		if upper {
			from, to, shift = 'a', 'z', 256-('a'-'A')
		}
		return func(c *call) error {
			return mapText(c, func(s string) string {
				b := []byte(s)
				for i, v := range b {
					if v >= from && v <= to {
						b[i] = v + shift
					}
				}
				return string(b)
			})
		}, nil
	case "utf-8":
		return func(c *call) error {
			caser := cases.Lower(language.Und)
			if upper {
				caser = cases.Upper(language.Und)
			}
			return mapText(c, func(s string) string {
				s, _, _ = strings.Cut(s, "\x00")
				return caser.String(validText(s))
			})
		}, nil
	}
	return nil, fmt.Errorf("encoding is %q, want utf-8 or nothing", encoding)
}

const asciiSpace = " \t\n\v\f\r"

func stringStripOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		return mapText(c, func(s string) string { return strings.Trim(s, asciiSpace) })
	}, nil
}

// substrOp cuts len bytes or characters from pos, which counts from the end where it is negative. pos and len have one shape,
// which is broadcast with the input's.
func substrOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	chars, err := textUnit(n)
	if err != nil {
		return nil, err
	}
	cut := substrBytes
	if chars {
		cut = substrChars
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "input")
		if err != nil {
			return err
		}
		ps, ls := c.in(1).Shape(), c.in(2).Shape()
		if !ps.Equal(ls) {
			return fmt.Errorf("pos has shape %v and len %v, want equal shapes", ps.Clone(), ls.Clone())
		}
		pos, err := anyInts(c.in(1), "pos")
		if err != nil {
			return err
		}
		length, err := anyInts(c.in(2), "len")
		if err != nil {
			return err
		}
		shape, err := tensor.Broadcast(c.in(0).Shape(), ps)
		if err != nil {
			return fmt.Errorf("input %v does not broadcast with pos %v", c.in(0).Shape().Clone(), ps.Clone())
		}
		if _, err := shape.CheckedElements(); err != nil {
			return err
		}
		from, at := broadcastIndex(shape, c.in(0).Shape()), broadcastIndex(shape, ps)
		out := make([]string, shape.Elements())
		for k := range out {
			s, p := in[from(k)], at(k)
			v, ok := cut(s, pos[p], length[p])
			if !ok {
				return fmt.Errorf("pos is %d, want one in the string %q of element %d", pos[p], s, k)
			}
			out[k] = v
		}
		setText(c, 0, shape, out)
		return nil
	}, nil
}

// anyInts is appendInts for tensors of any rank.
func anyInts(t *tensor.Tensor, what string) ([]int, error) {
	flat, err := t.Reshaped(tensor.Shape{t.Len()})
	if err != nil {
		return nil, err
	}
	return appendInts(nil, flat, what)
}

// broadcastIndex returns which element of a tensor of shape s stands at place k of the shape that it is broadcast to.
func broadcastIndex(shape, s tensor.Shape) func(k int) int {
	if s.Equal(shape) {
		return func(k int) int { return k }
	}
	strides := make([]int, len(shape))
	run := 1
	for d := len(s) - 1; d >= 0; d-- {
		if s[d] != 1 {
			strides[d+len(shape)-len(s)] = run
		}
		run *= s[d]
	}
	return func(k int) int {
		at := 0
		for d := len(shape) - 1; d >= 0; d-- {
			at += k % shape[d] * strides[d]
			k /= shape[d]
		}
		return at
	}
}

// substrBytes takes all that follows pos where length is negative: TensorFlow reads it as unsigned.
func substrBytes(s string, pos, length int) (string, bool) {
	if pos < 0 {
		pos += len(s)
	}
	if pos < 0 || pos > len(s) {
		return "", false
	}
	if length < 0 || length > len(s)-pos {
		length = len(s) - pos
	}
	return s[pos : pos+length], true
}

// substrChars counts a character from one byte that can begin one to the next. A negative length takes nothing from the front,
// and is refused with a negative pos.
func substrChars(s string, pos, length int) (string, bool) {
	if pos >= 0 {
		from, ok := forwardChars(s, 0, pos)
		if !ok {
			return "", false
		}
		to, _ := forwardChars(s, from, length)
		return s[from:to], true
	}
	if length < 0 || pos < -len(s) {
		return "", false
	}
	skip := max(0, -pos-min(length, len(s)))
	to, ok := backChars(s, len(s), skip)
	if !ok {
		return "", false
	}
	from, ok := backChars(s, to, -pos-skip)
	return s[from:to], ok
}

func forwardChars(s string, at, n int) (int, bool) {
	for ; n > 0 && at < len(s); n-- {
		for at++; at < len(s) && !utf8.RuneStart(s[at]); at++ {
		}
	}
	return at, n <= 0
}

func backChars(s string, at, n int) (int, bool) {
	for ; n > 0 && at > 0; n-- {
		for at--; at > 0 && !utf8.RuneStart(s[at]); at-- {
		}
	}
	return at, n <= 0
}

// reduceJoinOp joins the strings along the given dimensions, of which the first is joined first: it varies fastest.
func reduceJoinOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	keep, sep := r.Bool("keep_dims"), r.Str("separator")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "inputs")
		if err != nil {
			return err
		}
		s := c.in(0).Shape()
		axes, err := anyInts(c.in(1), "reduction_indices")
		if err != nil {
			return err
		}
		gone := make([]bool, len(s))
		for i, a := range axes {
			if axes[i], err = resolveAxis(a, len(s), "reduction_indices"); err != nil {
				return err
			}
			if gone[axes[i]] {
				return fmt.Errorf("reduction_indices has dimension %d twice", axes[i])
			}
			gone[axes[i]] = true
		}
		strides := make([]int, len(s))
		denseStrides(strides, s)
		var shape, kept tensor.Shape
		var keptStrides []int
		for d, size := range s {
			switch {
			case !gone[d]:
				shape, kept, keptStrides = append(shape, size), append(kept, size), append(keptStrides, strides[d])
			case keep:
				shape = append(shape, 1)
			}
		}
		// What is joined, slowest dimension first, as offsets from the first string.
		var dims tensor.Shape
		var steps []int
		for _, a := range slices.Backward(axes) {
			dims, steps = append(dims, s[a]), append(steps, strides[a])
		}
		offsets := places(dims, steps)
		out := make([]string, 0, kept.Elements())
		parts, budget := make([]string, len(offsets)), textBudget{a: &c.s.arena}
		for _, base := range places(kept, keptStrides) {
			for i, o := range offsets {
				parts[i] = in[base+o]
			}
			joined, err := budget.join(parts, sep)
			if err != nil {
				return err
			}
			out = append(out, joined)
		}
		setText(c, 0, shape, out)
		return nil
	}, nil
}

// places returns where the elements of a tensor of shape s with these strides are, in row-major order.
func places(s tensor.Shape, strides []int) []int {
	out := make([]int, s.Elements())
	for k := range out {
		rest := k
		for d := len(s) - 1; d >= 0; d-- {
			out[k] += rest % s[d] * strides[d]
			rest /= s[d]
		}
	}
	return out
}

// unsortedSegmentJoinOp joins the rows of input 0 that have the same segment id.
func unsortedSegmentJoinOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	sep, err := n.Str("separator")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "inputs")
		if err != nil {
			return err
		}
		s, is := c.in(0).Shape(), c.in(1).Shape()
		if len(is) == 0 || len(is) > len(s) || !is.Equal(s[:len(is)]) {
			return fmt.Errorf("segment_ids has shape %v, want the first dimensions of inputs %v", is.Clone(), s.Clone())
		}
		ids, err := anyInts(c.in(1), "segment_ids")
		if err != nil {
			return err
		}
		num, err := scalarInt(c.in(2), "num_segments")
		if err != nil {
			return err
		}
		if num < 0 {
			return fmt.Errorf("num_segments is %d, want at least 0", num)
		}
		row := s[len(is):].Elements()
		shape := append(tensor.Shape{num}, s[len(is):]...)
		size, err := shape.CheckedElements()
		if err != nil {
			return err
		}
		if err := c.s.arena.allow(size, stringBytes); err != nil {
			return err
		}
		parts := make([][]string, size)
		for i, id := range ids {
			if id < 0 || id >= num {
				return fmt.Errorf("segment_ids has %d at %d, want ids in [0, %d)", id, i, num)
			}
			for k := range row {
				parts[id*row+k] = append(parts[id*row+k], in[i*row+k])
			}
		}
		out, budget := make([]string, size), textBudget{a: &c.s.arena}
		for i, p := range parts {
			// TensorFlow writes no separator as long as there is nothing before it.
			for len(p) > 0 && p[0] == "" {
				p = p[1:]
			}
			if out[i], err = budget.join(p, sep); err != nil {
				return err
			}
		}
		setText(c, 0, shape, out)
		return nil
	}, nil
}
