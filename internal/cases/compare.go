package cases

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/tensor"
)

// Diff is how far a tensor is from what was expected.
type Diff struct {
	// MaxAbs is the largest |got-want| over pairs of finite numbers, MaxRel the largest |got-want|/|want| where want is
	// not 0, and Worst the largest share of the tolerance that an element used: above 1 where one failed.
	MaxAbs, MaxRel, Worst float64
	// At is the element with the largest share.
	At int
	// Failed counts elements out of tolerance, of Len.
	Failed, Len int
}

// Compare measures how far got is from e.Want. The error says what differs: dtype, shape, or the element that is farthest
// out of tolerance. NaN equals NaN, and an infinity only itself.
func Compare(got *tensor.Tensor, e Expectation) (Diff, error) {
	want := e.Want
	if got == nil {
		return Diff{}, fmt.Errorf("%q is missing", e.Of)
	}
	if got.DType() != want.DType() || !got.Shape().Equal(want.Shape()) {
		return Diff{}, fmt.Errorf("%q is %v %v, want %v %v", e.Of, got.DType(), got.Shape(), want.DType(), want.Shape())
	}
	d := Diff{Len: want.Len()}
	for i := range d.Len {
		share := d.element(got, want, i, e)
		if share > 1 {
			d.Failed++
		}
		if share > d.Worst {
			d.Worst, d.At = share, i
		}
	}
	if d.Failed > 0 {
		return d, fmt.Errorf("%q: element %v is %s, want %s (rtol %.3g, atol %.3g); %d of %d elements differ, by %.3g at most",
			e.Of, position(want.Shape(), d.At), got.ElementText(d.At), want.ElementText(d.At), e.Rtol, e.Atol, d.Failed, d.Len, d.MaxAbs)
	}
	return d, nil
}

// element returns the share of its tolerance that element i uses: infinite where no tolerance applies and it differs.
func (d *Diff) element(got, want *tensor.Tensor, i int, e Expectation) float64 {
	if want.DType() == tensor.String {
		return differ(got.Strings()[i] != want.Strings()[i])
	}
	switch want.DType() {
	case tensor.Complex64:
		g, w := tensor.Data[complex64](got)[i], tensor.Data[complex64](want)[i]
		return max(d.number(float64(real(g)), float64(real(w)), e), d.number(float64(imag(g)), float64(imag(w)), e))
	case tensor.Complex128:
		g, w := tensor.Data[complex128](got)[i], tensor.Data[complex128](want)[i]
		return max(d.number(real(g), real(w), e), d.number(imag(g), imag(w), e))
	}
	if !want.DType().IsFloat() {
		g, w := integer(got, i), integer(want, i)
		if g != w {
			d.MaxAbs = max(d.MaxAbs, math.Abs(float64(g)-float64(w)))
		}
		return differ(g != w)
	}
	return d.number(float(got, i), float(want, i), e)
}

// number is element for g where w is wanted, floats or parts of a complex number.
func (d *Diff) number(g, w float64, e Expectation) float64 {
	switch {
	case g != g || w != w:
		return differ((g != g) != (w != w))
	case e.Bits && math.Signbit(g) != math.Signbit(w):
		return math.Inf(1)
	case g == w:
		return 0
	case math.IsInf(g, 0) || math.IsInf(w, 0):
		return math.Inf(1)
	}
	off := math.Abs(g - w)
	d.MaxAbs = max(d.MaxAbs, off)
	if w != 0 {
		d.MaxRel = max(d.MaxRel, off/math.Abs(w))
	}
	if e.Exact {
		return math.Inf(1)
	}
	return off / (e.Atol + e.Rtol*math.Abs(w))
}

func differ(yes bool) float64 {
	if yes {
		return math.Inf(1)
	}
	return 0
}

// integer reads element i of a tensor of integers, booleans or opaque bytes; unsigned 64-bit values keep their bits.
func integer(t *tensor.Tensor, i int) int64 {
	b := t.Bytes()
	n := t.DType().Size()
	var v uint64
	for k := n - 1; k >= 0 && n <= 8; k-- {
		v = v<<8 | uint64(b[i*n+k])
	}
	switch t.DType() {
	case tensor.Int8, tensor.Qint8:
		return int64(int8(v))
	case tensor.Int16, tensor.Qint16:
		return int64(int16(v))
	case tensor.Int32, tensor.Qint32:
		return int64(int32(v))
	}
	return int64(v)
}

// float reads element i of a tensor of floats.
func float(t *tensor.Tensor, i int) float64 {
	switch t.DType() {
	case tensor.Float32:
		return float64(tensor.Data[float32](t)[i])
	case tensor.Float64:
		return tensor.Data[float64](t)[i]
	case tensor.Float16:
		return float64(tensor.FromHalf(tensor.Data[uint16](t)[i]))
	case tensor.Bfloat16:
		return float64(tensor.FromBfloat(tensor.Data[uint16](t)[i]))
	}
	return float64(integer(t, i))
}

// position turns a flat index into coordinates.
func position(s tensor.Shape, i int) tensor.Shape {
	p := make(tensor.Shape, len(s))
	for d := len(s) - 1; d >= 0; d-- {
		p[d] = i % s[d]
		i /= s[d]
	}
	return p
}
