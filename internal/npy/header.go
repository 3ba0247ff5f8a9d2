package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// header is what precedes the elements of an array.
type header struct {
	kind      byte // NumPy's: b, i, u, f, c, S, U
	dtype     tensor.DType
	size      int // of an element in bytes
	word      int // of what the byte order is about: half of a complex number
	bigEndian bool
	fortran   bool
	shape     tensor.Shape
}

// dtypes maps NumPy's types of fixed size, without the byte order, to ours.
var dtypes = map[string]tensor.DType{
	"b1": tensor.Bool, "i1": tensor.Int8, "i2": tensor.Int16, "i4": tensor.Int32, "i8": tensor.Int64,
	"u1": tensor.Uint8, "u2": tensor.Uint16, "u4": tensor.Uint32, "u8": tensor.Uint64,
	"f2": tensor.Float16, "f4": tensor.Float32, "f8": tensor.Float64, "c8": tensor.Complex64, "c16": tensor.Complex128,
}

// descrOf is how Write spells our types.
var descrOf = map[tensor.DType]string{
	tensor.Bool: "|b1", tensor.Int8: "|i1", tensor.Int16: "<i2", tensor.Int32: "<i4", tensor.Int64: "<i8",
	tensor.Uint8: "|u1", tensor.Uint16: "<u2", tensor.Uint32: "<u4", tensor.Uint64: "<u8",
	tensor.Float16: "<f2", tensor.Float32: "<f4", tensor.Float64: "<f8", tensor.Complex64: "<c8", tensor.Complex128: "<c16",
	tensor.Qint8: "|i1", tensor.Quint8: "|u1", tensor.Qint16: "<i2", tensor.Quint16: "<u2", tensor.Qint32: "<i4",
	tensor.Int4: "|i1", tensor.Uint4: "|u1",
}

// readHeader reads all that precedes the elements.
func readHeader(r io.Reader) (*header, error) {
	var start [len(magic) + 2]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, err
	}
	if string(start[:len(magic)]) != magic {
		return nil, fmt.Errorf("not a .npy file: it starts with %q", start[:len(magic)])
	}
	var length int
	switch version := start[len(magic)]; version {
	case 1:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		length = int(binary.LittleEndian.Uint16(b[:]))
	case 2, 3:
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		length = int(min(binary.LittleEndian.Uint32(b[:]), maxHeader+1))
	default:
		return nil, fmt.Errorf("version %d of the format, want 1 to 3", version)
	}
	if length > maxHeader {
		return nil, fmt.Errorf("the header has more than %d bytes", maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	h, err := parseHeader(string(text))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, nil
}

// parseHeader reads the header's text: a Python dictionary with the keys descr, fortran_order and shape.
func parseHeader(text string) (*header, error) {
	p := &literal{rest: text}
	h := &header{}
	seen := map[string]bool{}
	p.want("{")
	for p.err == nil && !p.take("}") {
		key := p.quoted()
		p.want(":")
		switch key {
		case "descr":
			if p.peek('[') {
				return nil, errors.New("records are not supported; save one array for each field")
			}
			descr := p.quoted()
			if p.err == nil {
				if err := h.setType(descr); err != nil {
					return nil, err
				}
			}
		case "fortran_order":
			h.fortran = p.truth()
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail("unknown key %q", key)
		}
		seen[key] = true
		if !p.take(",") {
			p.want("}")
			break
		}
	}
	if p.err == nil && strings.TrimSpace(p.rest) != "" {
		p.fail("%q after its end", strings.TrimSpace(p.rest))
	}
	if p.err == nil && len(seen) != 3 {
		p.fail("want the keys descr, fortran_order and shape")
	}
	return h, p.err
}

// setType reads a type such as <f4, |S12 or >U3.
func (h *header) setType(descr string) error {
	if len(descr) < 2 || !strings.ContainsRune("<>|=", rune(descr[0])) {
		return fmt.Errorf("type %q is not supported", descr)
	}
	h.bigEndian, h.kind = descr[0] == '>', descr[1]
	switch h.kind {
	case 'S', 'U', 'a':
		n, err := strconv.Atoi(descr[2:])
		if err != nil || n < 0 || n > 1<<28 {
			return fmt.Errorf("type %q is not supported", descr)
		}
		h.dtype, h.size = tensor.String, n
		if h.kind == 'U' {
			h.size = 4 * n
		} else {
			h.kind = 'S'
		}
		return nil
	case 'O':
		return errors.New("objects of Python are not supported; give the array a type of numbers or strings before saving it")
	}
	d, ok := dtypes[descr[1:]]
	if !ok {
		return fmt.Errorf("type %q is not supported", descr)
	}
	h.dtype, h.size = d, d.Size()
	h.word = h.size
	if h.kind == 'c' {
		h.word /= 2
	}
	return nil
}

// literal reads Python literals; after the first error all of it does nothing.
type literal struct {
	rest string
	err  error
}

func (p *literal) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
		p.rest = ""
	}
}

func (p *literal) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *literal) peek(c byte) bool {
	p.space()
	return p.rest != "" && p.rest[0] == c
}

// take skips token if it is next.
func (p *literal) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}

func (p *literal) want(token string) {
	if !p.take(token) {
		p.fail("want %q before %q", token, p.rest[:min(len(p.rest), 20)])
	}
}

// quoted reads a string without escapes.
func (p *literal) quoted() string {
	p.space()
	for _, q := range []string{"'", `"`} {
		if !p.take(q) {
			continue
		}
		v, rest, ok := strings.Cut(p.rest, q)
		if !ok || strings.Contains(v, `\`) {
			p.fail("a string without end, or with escapes")
		}
		p.rest = rest
		return v
	}
	p.fail("want a string before %q", p.rest[:min(len(p.rest), 20)])
	return ""
}

func (p *literal) truth() bool {
	if p.take("True") {
		return true
	}
	p.want("False")
	return false
}

// tuple reads (2, 3), (2,) or ().
func (p *literal) tuple() tensor.Shape {
	shape := tensor.Shape{}
	p.want("(")
	for p.err == nil && !p.take(")") {
		p.space()
		end := 0
		for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(p.rest[:end])
		if err != nil {
			p.fail("want a dimension before %q", p.rest[:min(len(p.rest), 20)])
			break
		}
		p.rest = strings.TrimPrefix(p.rest[end:], "L") // as Python 2 wrote long integers
		if shape = append(shape, n); len(shape) > 32 {
			p.fail("more than 32 dimensions")
		}
		if !p.take(",") {
			p.want(")")
			break
		}
	}
	return shape
}
