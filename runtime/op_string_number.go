package runtime

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// maxTextWidth bounds the width and precision that AsString pads to.
const maxTextWidth = 1 << 16

// asStringOp prints numbers as C's printf does.
func asStringOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("T")
	precision, width := r.Int("precision"), r.Int("width")
	scientific, shortest, fill := r.Bool("scientific"), r.Bool("shortest"), r.Str("fill")
	if err := r.Err(); err != nil {
		return nil, err
	}
	fractional := d.IsFloat() || d == tensor.Complex64 || d == tensor.Complex128
	switch {
	case len(fill) > 1 || !strings.Contains(" +-0#", fill):
		return nil, fmt.Errorf("fill is %q, want one of space + - 0 # or nothing", fill)
	case scientific && shortest:
		return nil, errors.New("has both scientific and shortest, want at most one")
	case (scientific || shortest || precision >= 0) && !fractional && d != tensor.String:
		return nil, fmt.Errorf("has scientific, shortest or a precision for %v, want these for floats only", d)
	case width > maxTextWidth || precision > maxTextWidth:
		return nil, fmt.Errorf("width %d or precision %d is above %d", width, precision, maxTextWidth)
	}
	p := printf{flag: fill, width: -1, precision: 6, verb: 'f'}
	if width > 0 {
		p.width = int(width)
	}
	if precision >= 0 {
		p.precision = int(precision)
	}
	if scientific {
		p.verb = 'e'
	}
	if shortest {
		p.verb = 'g'
	}
	return func(c *call) error {
		x := c.in(0)
		out := make([]string, x.Len())
		if err := c.s.arena.allow(len(out), stringBytes+max(0, p.width, p.precision)); err != nil {
			return err
		}
		for i := range out {
			s, err := p.element(x, i)
			if err != nil {
				return err
			}
			out[i] = s
		}
		setText(c, 0, x.Shape(), out)
		return nil
	}, nil
}

// printf is one conversion of C's printf.
type printf struct {
	flag             string
	width, precision int
	verb             byte
}

// element prints element i of x.
func (p *printf) element(x *tensor.Tensor, i int) (string, error) {
	switch d := x.DType(); {
	case d == tensor.Bool:
		return strconv.FormatBool(x.Bytes()[i] != 0), nil
	case d == tensor.String:
		return p.pad(x.Strings()[i], false), nil
	case d.IsFloat():
		r := floatsOf(x)
		return p.float(r.at(i)), nil
	case d == tensor.Complex64:
		v := tensor.Data[complex64](x)[i]
		return "(" + p.float(float64(real(v))) + "," + p.float(float64(imag(v))) + ")", nil
	case d == tensor.Complex128:
		v := tensor.Data[complex128](x)[i]
		return "(" + p.float(real(v)) + "," + p.float(imag(v)) + ")", nil
	case d.IsInteger():
		s := x.ElementText(i)
		if !strings.HasPrefix(s, "-") && isSigned(d) {
			s = p.sign() + s
		}
		return p.pad(s, true), nil
	}
	return "", fmt.Errorf("input is %v, want numbers, bool or string", x.DType())
}

func isSigned(d tensor.DType) bool {
	return d == tensor.Int8 || d == tensor.Int16 || d == tensor.Int32 || d == tensor.Int64
}

// sign is what stands before a number that is not negative.
func (p *printf) sign() string {
	if p.flag == "+" || p.flag == " " {
		return p.flag
	}
	return ""
}

func (p *printf) float(v float64) string {
	neg := math.Signbit(v) && v == v
	sign := p.sign()
	if neg {
		sign = "-"
		v = -v
	}
	switch {
	case v != v:
		return p.pad(sign+"nan", false)
	case math.IsInf(v, 0):
		return p.pad(sign+"inf", false)
	}
	return p.pad(sign+p.digits(v), true)
}

// digits prints v, which is finite and not negative.
func (p *printf) digits(v float64) string {
	format := "%.*"
	if p.flag == "#" {
		format = "%#.*"
	}
	return fmt.Sprintf(format+string(p.verb), p.precision, v)
}

// pad fills s to the width: at the right with the flag -, after the sign of a number with the flag 0.
func (p *printf) pad(s string, number bool) string {
	n := p.width - len(s)
	switch {
	case n <= 0:
		return s
	case p.flag == "-":
		return s + strings.Repeat(" ", n)
	case p.flag == "0" && number:
		at := 0
		if strings.ContainsAny(s[:1], "+- ") {
			at = 1
		}
		return s[:at] + strings.Repeat("0", n) + s[at:]
	}
	return strings.Repeat(" ", n) + s
}

// stringToNumberOp reads decimal numbers, with white space around them.
func stringToNumberOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := n.Type("out_type")
	if err != nil {
		return nil, err
	}
	if _, ok := parseNumber(tensor.New(d, tensor.Shape{1}), 0, "0"); !ok {
		return nil, fmt.Errorf("out_type is %v, want float, double, int32, int64, uint32 or uint64", d)
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "string_tensor")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, d, c.in(0).Shape())
		if err != nil {
			return err
		}
		for i, s := range in {
			if _, ok := parseNumber(t, i, s); !ok {
				return fmt.Errorf("string_tensor has %q as element %d, want text of a %v", s, i, d)
			}
		}
		return nil
	}, nil
}

// parseNumber stores the number that s spells as element i of t.
func parseNumber(t *tensor.Tensor, i int, s string) (*tensor.Tensor, bool) {
	s = strings.Trim(s, asciiSpace)
	var err error
	switch t.DType() {
	case tensor.Float32:
		var v float64
		v, err = parseFloat(s, 32)
		tensor.Data[float32](t)[i] = float32(v)
	case tensor.Float64:
		tensor.Data[float64](t)[i], err = parseFloat(s, 64)
	case tensor.Int32:
		var v int64
		v, err = strconv.ParseInt(s, 10, 32)
		tensor.Data[int32](t)[i] = int32(v)
	case tensor.Int64:
		tensor.Data[int64](t)[i], err = strconv.ParseInt(s, 10, 64)
	case tensor.Uint32:
		var v uint64
		v, err = strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 32)
		tensor.Data[uint32](t)[i] = uint32(v)
	case tensor.Uint64:
		tensor.Data[uint64](t)[i], err = strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 64)
	default:
		return t, false
	}
	return t, err == nil
}

// parseFloat reads decimal and hexadecimal floats, inf, infinity and nan in any case and with any sign. What is out of range
// becomes an infinity or 0.
func parseFloat(s string, bits int) (float64, error) {
	if strings.Contains(s, "_") {
		return 0, strconv.ErrSyntax
	}
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 {
		return 0, strconv.ErrSyntax
	}
	if strings.EqualFold(body, "nan") {
		return math.NaN(), nil
	}
	if len(body) > 2 && body[0] == '0' && body[1]|0x20 == 'x' && !strings.ContainsAny(body, "pP") {
		s += "p0" // Go wants an exponent there
	}
	v, err := strconv.ParseFloat(s, bits)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return v, err
}

// stringFormatOp puts summaries of its inputs in the places of a template.
func stringFormatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	template, placeholder, most := r.Str("template"), r.Str("placeholder"), r.Int("summarize")
	if err := r.Err(); err != nil {
		return nil, err
	}
	parts := []string{template}
	if placeholder != "" {
		parts = strings.Split(template, placeholder)
	}
	return func(c *call) error {
		if len(parts)-1 != c.numIn() {
			return fmt.Errorf("template %q has %d places, want one for each of %d inputs", template, len(parts)-1, c.numIn())
		}
		var b strings.Builder
		b.WriteString(parts[0])
		for i := range c.numIn() {
			x := c.in(i)
			ends := x.Len()
			if most >= 0 && most < int64(ends) {
				ends = int(most)
			}
			writeSummary(&b, x, 0, 0, ends)
			b.WriteString(parts[i+1])
		}
		setText(c, 0, nil, []string{b.String()})
		return nil
	}, nil
}

// writeSummary writes dimension d of x from element at on, with at most ends elements at each end.
func writeSummary(b *strings.Builder, x *tensor.Tensor, d, at, ends int) {
	s := x.Shape()
	if d == len(s) {
		b.WriteString(summaryText(x, at))
		return
	}
	space := func() {
		if d == len(s)-1 {
			b.WriteByte(' ')
			return
		}
		b.WriteString(strings.Repeat("\n", len(s)-d-1))
		b.WriteString(strings.Repeat(" ", d+1))
	}
	row := s[d+1:].Elements()
	b.WriteByte('[')
	for i := 0; i < min(ends, s[d]); i++ {
		if i > 0 {
			space()
		}
		writeSummary(b, x, d+1, at+i*row, ends)
	}
	if s[d] > 2*ends {
		space()
		b.WriteString("...")
	}
	for i := max(ends, s[d]-ends); i < s[d]; i++ {
		space()
		writeSummary(b, x, d+1, at+i*row, ends)
	}
	b.WriteByte(']')
}

// summaryText prints one element: floats with 6 digits, or 15 for doubles, if these tell the value, else with all.
func summaryText(x *tensor.Tensor, i int) string {
	switch d := x.DType(); {
	case d == tensor.Bool:
		if x.Bytes()[i] != 0 {
			return "1"
		}
		return "0"
	case d == tensor.String:
		return `"` + cEscape(x.Strings()[i]) + `"`
	case d == tensor.Float64:
		return shortFloat(tensor.Data[float64](x)[i], 64, 15, 17)
	case d.IsFloat():
		r := floatsOf(x)
		return shortFloat(r.at(i), 32, 6, 9)
	case d.IsInteger(), d.IsQuantized():
		return x.ElementText(i)
	}
	return "?"
}

func shortFloat(v float64, bits, few, all int) string {
	switch {
	case v != v:
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64)), "+")
	}
	s := fmt.Sprintf("%.*g", few, v)
	if back, err := strconv.ParseFloat(s, bits); err != nil || back != v {
		s = fmt.Sprintf("%.*g", all, v)
	}
	return s
}

// cEscape writes s as C source would spell it.
func cEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch v := s[i]; {
		case v == '\n':
			b.WriteString(`\n`)
		case v == '\r':
			b.WriteString(`\r`)
		case v == '\t':
			b.WriteString(`\t`)
		case v == '"' || v == '\'' || v == '\\':
			b.WriteByte('\\')
			b.WriteByte(v)
		case v < 0x20 || v == 0x7f:
			fmt.Fprintf(&b, `\%03o`, v)
		default:
			b.WriteByte(v)
		}
	}
	return b.String()
}
