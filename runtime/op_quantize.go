package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// quantizer is QuantizeV2 with its attributes.
type quantizer struct {
	mode     string
	dtype    tensor.DType
	rounding kernels.Rounding
	narrow   bool
	axis     int
	least    float32 // ensure_minimum_range
}

// quantizeOp maps floats to codes of T; outputs 1 and 2 are the range that the codes span. Inputs 1 and 2 give a range, one
// for all or one for each slice of an axis; it is widened until it holds 0.
func quantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	q := quantizer{
		mode: r.Str("mode"), dtype: r.Type("T"), narrow: r.Bool("narrow_range"), axis: int(r.Int("axis")),
		least: r.Float("ensure_minimum_range"), rounding: kernels.HalfAwayFromZero,
	}
	round := r.Str("round_mode")
	if err := r.Err(); err != nil {
		return nil, err
	}
	switch round {
	case "HALF_AWAY_FROM_ZERO":
	case "HALF_TO_EVEN":
		if q.mode != "SCALED" {
			return nil, fmt.Errorf("round_mode HALF_TO_EVEN goes with mode SCALED only, have mode %s", q.mode)
		}
		q.rounding = kernels.HalfToEven
	default:
		return nil, fmt.Errorf("round_mode is %q, want HALF_AWAY_FROM_ZERO or HALF_TO_EVEN", round)
	}
	if err := checkQuantization(q.mode, q.dtype); err != nil {
		return nil, err
	}
	return q.eval, nil
}

// checkQuantization checks attributes mode and T.
func checkQuantization(mode string, d tensor.DType) error {
	switch mode {
	case "MIN_COMBINED", "MIN_FIRST", "SCALED":
	default:
		return fmt.Errorf("mode is %q, want MIN_COMBINED, MIN_FIRST or SCALED", mode)
	}
	if !d.IsQuantized() {
		return fmt.Errorf("attribute T is %v, want a quantized type", d)
	}
	return nil
}

func (q quantizer) eval(c *call) error {
	x := c.in(0)
	if err := wantInput(c, 0, tensor.Float32); err != nil {
		return err
	}
	outer, length, inner, err := axisSizes(x.Shape(), q.axis)
	if err != nil {
		return err
	}
	if q.axis != -1 && q.mode == "MIN_FIRST" && length != 1 {
		return fmt.Errorf("mode MIN_FIRST takes one range, have axis %d of length %d", q.axis, length)
	}
	los, his, err := channelRanges(c, 1, length)
	if err != nil {
		return err
	}
	t, err := c.alloc(0, q.dtype, x.Shape())
	if err != nil {
		return err
	}
	if q.axis == -1 {
		c.setRepeat(0, c.repeatOf(0))
	}
	var dims [1]int
	shape := dims[:0]
	if q.axis != -1 {
		shape = append(shape, length)
	}
	outLo, err := c.alloc(1, tensor.Float32, shape)
	if err != nil {
		return err
	}
	outHi, err := c.alloc(2, tensor.Float32, shape)
	if err != nil {
		return err
	}
	src := tensor.Data[float32](x)
	for ch := range length {
		m, err := q.mapping(los[ch], his[ch])
		if err != nil {
			return err
		}
		tensor.Data[float32](outLo)[ch], tensor.Data[float32](outHi)[ch] = m.lo, m.hi
		if len(src) == 0 {
			continue
		}
		for o := range outer {
			at := (o*length + ch) * inner
			q.convert(c.kernels(), t, at, src[at:][:inner], m)
		}
	}
	return nil
}

// mapping is the range that codes span and how x becomes a code: clamp to the range, minus shift, times scale, minus zero.
type mapping struct{ lo, hi, shift, scale, zero float32 }

// mapping returns the mapping of a range, with the float32 and float64 steps of TensorFlow's kernel.
func (q quantizer) mapping(lo, hi float32) (mapping, error) {
	if q.mode == "SCALED" {
		s, err := scaledRange(lo, hi, q.least, q.dtype, q.narrow)
		return mapping{lo: s.lo, hi: s.hi, scale: s.scale}, err
	}
	a, b, err := adjustedRange(lo, hi, q.least)
	if err != nil {
		return mapping{}, err
	}
	bottom, top := codeBounds(q.dtype)
	m := mapping{lo: a, hi: b}
	if q.mode == "MIN_COMBINED" {
		m.shift = a
		m.scale = float32((top - bottom) / float64(b-a))
		if bottom < 0 {
			m.zero = float32((top - bottom + 1) / 2)
		}
		return m, nil
	}
	return q.minFirst(a, b), nil
}

// minFirst is the mapping of mode MIN_FIRST for a range that is not adjusted.
func (q quantizer) minFirst(lo, hi float32) mapping {
	bottom, top := codeBounds(q.dtype)
	m := mapping{lo: lo, hi: hi}
	if lo != hi {
		m.scale = float32((top - bottom) / float64(hi-lo))
	}
	m.zero = round32(lo*m.scale) - float32(bottom)
	return m
}

// codeBounds returns the smallest and largest code of d, exactly.
func codeBounds(d tensor.DType) (bottom, top float64) {
	if d == tensor.Qint32 {
		return math.MinInt32, math.MaxInt32
	}
	b, t := codeLimits(d)
	return float64(b), float64(t)
}

// round32 rounds half away from zero.
func round32(v float32) float32 { return float32(math.Round(float64(v))) }

// convert writes the codes of x from element at of t on.
func (q quantizer) convert(k *kernels.Set, t *tensor.Tensor, at int, x []float32, m mapping) {
	switch q.dtype {
	case tensor.Qint8:
		dst := tensor.Data[int8](t)[at:][:len(x)]
		if q.mode == "SCALED" {
			k.QuantizeS8(dst, x, m.scale, m.lo, m.hi, q.rounding)
			return
		}
		convertCodes(q, dst, x, m)
	case tensor.Quint8:
		dst := tensor.Data[uint8](t)[at:][:len(x)]
		if q.mode == "SCALED" {
			k.QuantizeU8(dst, x, m.scale, m.lo, m.hi, q.rounding)
			return
		}
		convertCodes(q, dst, x, m)
	case tensor.Qint16:
		convertCodes(q, tensor.Data[int16](t)[at:], x, m)
	case tensor.Quint16:
		convertCodes(q, tensor.Data[uint16](t)[at:], x, m)
	case tensor.Qint32:
		convertCodes(q, tensor.Data[int32](t)[at:], x, m)
	}
}

// convertCodes writes the codes of x to dst. Each product and sum is rounded to float32 by itself: fused, some codes would
// differ by 1.
func convertCodes[T int8 | uint8 | int16 | uint16 | int32](q quantizer, dst []T, x []float32, m mapping) {
	bottom, top := codeLimits(q.dtype)
	switch {
	case q.mode == "MIN_FIRST":
		// 2147483520 is the largest float32 that fits a qint32.
		top = min(top, 2147483520)
		for i, v := range x {
			y := round32(v*m.scale) - m.zero
			if y != y {
				y = 0
			}
			dst[i] = T(max(min(y, top), bottom))
		}
	case q.mode == "SCALED":
		for i, v := range x {
			y := float64(clampFloat(v, m.lo, m.hi) * m.scale)
			if q.rounding == kernels.HalfToEven {
				y = math.RoundToEven(y)
			} else {
				y = math.Round(y)
			}
			dst[i] = T(wrapCode(y, bottom, top))
		}
	case bottom == 0:
		for i, v := range x {
			y := float32((clampFloat(v, m.lo, m.hi)-m.shift)*m.scale) + 0.5
			dst[i] = T(wrapCode(math.Trunc(float64(y)), bottom, top))
		}
	default:
		for i, v := range x {
			y := float32((clampFloat(v, m.lo, m.hi)-m.shift)*m.scale) - m.zero
			dst[i] = T(wrapCode(math.Round(float64(y)), bottom, top))
		}
	}
}

// clampFloat returns v within lo..hi, NaN where v is.
func clampFloat(v, lo, hi float32) float32 {
	if v > hi {
		v = hi
	}
	if v < lo {
		v = lo
	}
	return v
}

// wrapCode returns the integer that v is. The smallest code stands for NaN and, as x86 converts, for what a qint32 cannot
// hold; narrower codes never leave their range otherwise.
func wrapCode(v float64, bottom, top float32) int64 {
	if v != v || v < float64(bottom) || v >= 2147483648 {
		return int64(bottom)
	}
	return int64(min(v, float64(top)))
}
