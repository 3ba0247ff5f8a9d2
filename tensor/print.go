package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// printAll is the number of elements up to which String prints all; of larger tensors it prints edgeItems at both ends
// of each dimension, as NumPy does.
const (
	printAll  = 1000
	edgeItems = 3
)

// String formats t as its dtype, its shape and its elements in the manner of NumPy, on several lines where the rank is 2
// or more:
//
//	float [2, 2]
//	[[1.5 2]
//	 [3   4]]
//
// The middle of tensors with more than 1000 elements is left out.
func (t *Tensor) String() string {
	head := fmt.Sprintf("%v %v", t.dtype, t.shape)
	if t.dtype.Size() == 0 && t.dtype != String && t.refs == nil {
		return head
	}
	p := printer{t: t, cut: t.Len() > printAll}
	p.measure(0, 0)
	separator := " "
	if t.Rank() > 1 {
		separator = "\n"
	}
	p.b.WriteString(head + separator)
	p.print(0, 0)
	return p.b.String()
}

type printer struct {
	t     *Tensor
	cut   bool // leave out the middle of dimensions
	width int
	b     strings.Builder
}

// visit calls f with the places of dimension dim that are printed, and gap where some are left out.
func (p *printer) visit(dim int, f func(i int), gap func()) {
	n := p.t.shape[dim]
	if !p.cut || n <= 2*edgeItems {
		for i := range n {
			f(i)
		}
		return
	}
	for i := range edgeItems {
		f(i)
	}
	gap()
	for i := n - edgeItems; i < n; i++ {
		f(i)
	}
}

// stride returns the number of elements that a step in dimension dim passes.
func (p *printer) stride(dim int) int { return Shape(p.t.shape[dim+1:]).Elements() }

// measure finds the widest element that is printed.
func (p *printer) measure(dim, at int) {
	if dim == p.t.Rank() {
		p.width = max(p.width, len(p.t.ElementText(at)))
		return
	}
	p.visit(dim, func(i int) { p.measure(dim+1, at+i*p.stride(dim)) }, func() {})
}

func (p *printer) print(dim, at int) {
	if dim == p.t.Rank() {
		p.b.WriteString(p.t.ElementText(at))
		return
	}
	last := dim == p.t.Rank()-1
	first := true
	separate := func() {
		switch {
		case first:
		case last:
			p.b.WriteByte(' ')
		default:
			p.b.WriteString("\n" + strings.Repeat(" ", dim+1))
		}
		first = false
	}
	p.b.WriteByte('[')
	p.visit(dim, func(i int) {
		separate()
		start := p.b.Len()
		p.print(dim+1, at+i*p.stride(dim))
		// Columns of matrices line up; a row's last element needs no padding.
		if last && dim > 0 && i < p.t.shape[dim]-1 {
			p.b.WriteString(strings.Repeat(" ", p.width-(p.b.Len()-start)))
		}
	}, func() {
		separate()
		p.b.WriteString("...")
	})
	p.b.WriteByte(']')
}

// ElementText returns element i in row-major order as text: numbers with as many digits as tell them from their
// neighbours of the same dtype, strings quoted, the 8-bit floats as their bits, opaque values as "?".
func (t *Tensor) ElementText(i int) string {
	switch t.dtype {
	case Float32:
		return floatText(float64(Data[float32](t)[i]), 32)
	case Float64:
		return floatText(Data[float64](t)[i], 64)
	case Float16:
		return shortText(Data[uint16](t)[i], FromHalf, ToHalf)
	case Bfloat16:
		return shortText(Data[uint16](t)[i], FromBfloat, ToBfloat)
	case Complex64:
		return complexText(complex128(Data[complex64](t)[i]), 64)
	case Complex128:
		return complexText(Data[complex128](t)[i], 128)
	case Bool:
		return strconv.FormatBool(t.raw[i] != 0)
	case String:
		return strconv.Quote(t.strs[i])
	case Int8, Qint8, Int4:
		return strconv.Itoa(int(Data[int8](t)[i]))
	case Uint8, Quint8, Uint4:
		return strconv.Itoa(int(t.raw[i]))
	case Int16, Qint16:
		return strconv.Itoa(int(Data[int16](t)[i]))
	case Uint16, Quint16:
		return strconv.Itoa(int(Data[uint16](t)[i]))
	case Int32, Qint32:
		return strconv.Itoa(int(Data[int32](t)[i]))
	case Uint32:
		return strconv.FormatUint(uint64(Data[uint32](t)[i]), 10)
	case Int64:
		return strconv.FormatInt(Data[int64](t)[i], 10)
	case Uint64:
		return strconv.FormatUint(Data[uint64](t)[i], 10)
	case Float8E5M2, Float8E4M3:
		return fmt.Sprintf("%#02x", t.raw[i])
	}
	return "?"
}

// floatText formats inf, -inf and nan as NumPy does.
func floatText(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// shortText formats a 16-bit float with the fewest digits that give the same bits.
func shortText(h uint16, from func(uint16) float32, to func(float32) uint16) string {
	f := float64(from(h))
	for digits := 1; digits < 6; digits++ {
		s := strconv.FormatFloat(f, 'g', digits, 32)
		if v, err := strconv.ParseFloat(s, 32); err == nil && to(float32(v)) == h {
			return floatText(v, 32)
		}
	}
	return floatText(f, 32)
}

func complexText(c complex128, bits int) string {
	im := floatText(imag(c), bits/2)
	if !strings.HasPrefix(im, "-") {
		im = "+" + im
	}
	return "(" + floatText(real(c), bits/2) + im + "j)"
}
