package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// codeValue returns the real value of code q of dtype d in the range lo..hi, by the float64 steps of TensorFlow's scalar code.
func codeValue(q int64, lo, hi float32, d tensor.DType) float32 {
	if lo == hi {
		return lo
	}
	bottom, top := codeBounds(d)
	steps := top - bottom + 1
	scale := float64(hi-lo) * (steps / (steps - 1)) / steps
	least := math.Round(float64(lo/float32(scale))) * float64(float32(scale))
	return float32(least + float64((float64(q)-bottom)*scale))
}

// valueCode returns the code of v of dtype d in the range lo..hi, not limited to the codes that there are.
func valueCode(v, lo, hi float32, d tensor.DType) float64 {
	bottom, top := codeBounds(d)
	if lo == hi {
		return bottom
	}
	steps := top - bottom + 1
	scale := steps / (float64(hi-lo) * (steps / (steps - 1)))
	return math.Round(float64(v)*scale) - math.Round(float64(lo)*scale) + bottom
}

// clampedCode is valueCode within the codes of d.
func clampedCode(v, lo, hi float32, d tensor.DType) int64 {
	bottom, top := codeBounds(d)
	q := valueCode(v, lo, hi, d)
	if q != q {
		return int64(bottom)
	}
	return int64(max(min(q, top), bottom))
}

// codeExtremes returns the least and greatest of codes, 0 where there are none.
func codeExtremes(codes []int32) (lo, hi int32) {
	if len(codes) == 0 {
		return 0, 0
	}
	lo, hi = codes[0], codes[0]
	for _, q := range codes {
		lo, hi = min(lo, q), max(hi, q)
	}
	return lo, hi
}

// actualRange returns the range of the values of x, qint32 codes of inputs 1 and 2's range, with 0 in it.
func actualRange(c *call) (lo, hi float32, err error) {
	if err := wantInput(c, 0, tensor.Qint32); err != nil {
		return 0, 0, err
	}
	inLo, inHi, err := rangeOf(c, 1)
	if err != nil {
		return 0, 0, err
	}
	least, most := codeExtremes(tensor.Data[int32](c.in(0)))
	lo, hi = codeValue(int64(least), inLo, inHi, tensor.Qint32), codeValue(int64(most), inLo, inHi, tensor.Qint32)
	return min(0, lo), max(0, hi), nil
}

func requantizationRangeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		lo, hi, err := actualRange(c)
		if err != nil {
			return err
		}
		return setRange(c, 0, lo, hi)
	}, nil
}

// requantizeOp maps 32-bit codes to 8-bit codes of a requested range, or with QuantizeDownAndShrinkRange of the range that
// the values really have.
func requantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	out := r.Type("out_type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if out != tensor.Quint8 && out != tensor.Qint8 {
		return nil, fmt.Errorf("out_type is %v, want qint8 or quint8", out)
	}
	shrink := n.Op() == "QuantizeDownAndShrinkRange"
	return func(c *call) error {
		var lo, hi float32
		var err error
		if shrink {
			lo, hi, err = actualRange(c)
		} else {
			lo, hi, err = rangeOf(c, 3)
		}
		if err != nil {
			return err
		}
		if !(lo <= 0 && hi >= 0) {
			return fmt.Errorf("the requested range is %v to %v, want 0 in it", lo, hi)
		}
		if err := wantInput(c, 0, tensor.Qint32); err != nil {
			return err
		}
		inLo, inHi, err := rangeOf(c, 1)
		if err != nil {
			return err
		}
		x := c.in(0)
		t, err := c.alloc(0, out, x.Shape())
		if err != nil {
			return err
		}
		if out == tensor.Quint8 {
			requantizeU8(tensor.Data[uint8](t), tensor.Data[int32](x), inLo, inHi, lo, hi)
		} else {
			requantizeS8(tensor.Data[int8](t), tensor.Data[int32](x), inLo, inHi, lo, hi)
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

// requantizeU8 works in fixed point with 16 fractional bits, as TensorFlow's kernel does.
func requantizeU8(dst []uint8, x []int32, inLo, inHi, lo, hi float32) {
	in, out := inHi-inLo, hi-lo
	var factor, offset, least int64
	if out != 0 {
		perCode := float32(255 / float64(out))
		middle := float32(float64(inLo+inHi) / 2)
		factor = int64(255 * 65536 * float64(in) / float64(out))
		offset = int64(float32(float32(middle*perCode) * 65536))
		least = int64(math.Round(65536 * (float64(lo) * 255) / float64(out)))
	}
	for i, q := range x {
		v := (int64(q)*factor)>>32 + offset - least + 1<<15
		dst[i] = uint8(max(min(v>>16, 255), 0))
	}
}

// requantizeS8 goes through float32: mode MIN_FIRST in both directions, the range as it is.
func requantizeS8(dst []int8, x []int32, inLo, inHi, lo, hi float32) {
	from := dequantizer{mode: "MIN_FIRST", in: tensor.Qint32}.mapping(inLo, inHi)
	to := quantizer{mode: "MIN_FIRST", dtype: tensor.Qint8}
	m := to.minFirst(lo, hi)
	var v [1]float32
	for i := range x {
		convertNumbers(v[:], x[i:i+1], from)
		convertCodes(to, dst[i:i+1], v[:], m)
	}
}

// requantizePerChannelOp maps 32-bit codes to 8-bit codes of a requested symmetric range; each channel, the last dimension,
// has a range of its own, inputs 1 and 2.
func requantizePerChannelOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	out := r.Type("out_type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	levels, bottom, top := float32(127), float32(-128), float32(127)
	switch out {
	case tensor.Qint8:
	case tensor.Quint8:
		levels, bottom, top = 255, 0, 255
	default:
		return nil, fmt.Errorf("out_type is %v, want qint8 or quint8", out)
	}
	return func(c *call) error {
		lo, hi, err := rangeOf(c, 3)
		if err != nil {
			return err
		}
		magnitudes, err := channelMagnitudes(c)
		if err != nil {
			return err
		}
		x := c.in(0)
		t, err := c.alloc(0, out, x.Shape())
		if err != nil {
			return err
		}
		requested, codes := max(abs32(lo), abs32(hi)), tensor.Data[int32](x)
		for ch, m := range magnitudes {
			scale := levels * (m / requested / 2147483648)
			for i := ch; i < len(codes); i += len(magnitudes) {
				storeCode(t, i, float32(codes[i]), scale, 0, bottom, top)
			}
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

// channelMagnitudes returns max(|lo|, |hi|) of each channel's range, inputs 1 and 2 beside the qint32 tensor input 0.
func channelMagnitudes(c *call) ([]float32, error) {
	x := c.in(0)
	if x.DType() != tensor.Qint32 || x.Rank() == 0 {
		return nil, fmt.Errorf("input is %v %v, want qint32 of rank 1 or more", x.DType(), x.Shape())
	}
	lo, hi, err := channelRanges(c, 1, x.Shape()[x.Rank()-1])
	if err != nil {
		return nil, err
	}
	m := make([]float32, len(lo))
	for i := range m {
		m[i] = max(abs32(lo[i]), abs32(hi[i]))
	}
	return m, nil
}

// requantizationRangePerChannelOp returns one range for all channels: ± the greatest magnitude, at most clip_value_max, from 0
// where no value is negative.
func requantizationRangePerChannelOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	clip := r.Float("clip_value_max")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		magnitudes, err := channelMagnitudes(c)
		if err != nil {
			return err
		}
		codes := tensor.Data[int32](c.in(0))
		hi, negative := float32(0), false
		for ch, m := range magnitudes {
			most := float32(0)
			for i := ch; i < len(codes); i += len(magnitudes) {
				negative = negative || codes[i] < 0
				most = max(most, abs32(float32(codes[i])))
			}
			hi = max(hi, m*most/2147483648)
		}
		hi = min(hi, clip)
		if !negative {
			return setRange(c, 0, 0, hi)
		}
		return setRange(c, 0, -hi, hi)
	}, nil
}
