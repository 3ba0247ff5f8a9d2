package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// dequantizer is Dequantize with its attributes.
type dequantizer struct {
	mode   string
	in     tensor.DType
	out    tensor.DType
	narrow bool
	axis   int
}

// dequantizeOp maps codes of the range that inputs 1 and 2 give back to real numbers.
func dequantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := dequantizer{
		mode: r.Str("mode"), in: r.Type("T"), out: r.Type("dtype"), narrow: r.Bool("narrow_range"), axis: int(r.Int("axis")),
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := checkQuantization(d.mode, d.in); err != nil {
		return nil, err
	}
	if d.out != tensor.Float32 && (d.out != tensor.Bfloat16 || d.mode != "MIN_COMBINED") {
		return nil, fmt.Errorf("dtype is %v with mode %s, want float, or bfloat16 with MIN_COMBINED", d.out, d.mode)
	}
	return d.eval, nil
}

func (d dequantizer) eval(c *call) error {
	x := c.in(0)
	if err := wantInput(c, 0, d.in); err != nil {
		return err
	}
	outer, length, inner, err := axisSizes(x.Shape(), d.axis)
	if err != nil {
		return err
	}
	if d.axis != -1 && d.mode == "MIN_FIRST" && length != 1 {
		return fmt.Errorf("mode MIN_FIRST takes one range, have axis %d of length %d", d.axis, length)
	}
	los, his, err := channelRanges(c, 1, length)
	if err != nil {
		return err
	}
	t, err := c.alloc(0, d.out, x.Shape())
	if err != nil || x.Len() == 0 {
		return err
	}
	var dst []float32
	if d.out == tensor.Float32 {
		dst = tensor.Data[float32](t)
	} else {
		dst = make([]float32, x.Len())
	}
	for ch := range length {
		m := d.mapping(los[ch], his[ch])
		for o := range outer {
			at := (o*length + ch) * inner
			d.convert(c.kernels(), dst[at:][:inner], x, at, m)
		}
	}
	if d.out == tensor.Bfloat16 {
		for i, v := range dst {
			setFloat(t, i, float64(v))
		}
	}
	return nil
}

// linear is how a code becomes a number: (code + half)*scale + add.
type linear struct{ half, scale, add float32 }

// mapping returns the mapping of a range, with the float32 and float64 steps of TensorFlow's kernel.
func (d dequantizer) mapping(lo, hi float32) linear {
	bottom, top := codeLimits(d.in)
	switch d.mode {
	case "MIN_COMBINED":
		m := linear{scale: (hi - lo) / (top - bottom), add: lo}
		if bottom < 0 {
			m.half = (top - bottom + 1) / 2
		}
		return m
	case "MIN_FIRST":
		exactBottom, exactTop := codeBounds(d.in)
		m := linear{scale: float32(float64(hi-lo) / (exactTop - exactBottom))}
		least := lo
		if lo != hi {
			least = round32(lo/m.scale) * m.scale
		}
		m.add = least - float32(bottom*m.scale)
		return m
	}
	if bottom == 0 {
		return linear{scale: hi / top}
	}
	if d.narrow {
		bottom++
	}
	return linear{scale: max(lo/bottom, hi/top)}
}

// convert writes the numbers of the codes from element at of x on to dst.
func (d dequantizer) convert(k *kernels.Set, dst []float32, x *tensor.Tensor, at int, m linear) {
	switch d.in {
	case tensor.Qint8:
		q := tensor.Data[int8](x)[at:][:len(dst)]
		if d.mode == "SCALED" {
			k.DequantizeS8(dst, q, m.scale)
			return
		}
		convertNumbers(dst, q, m)
	case tensor.Quint8:
		k.DequantizeU8(dst, tensor.Data[uint8](x)[at:][:len(dst)], m.scale, m.add)
	case tensor.Qint16:
		convertNumbers(dst, tensor.Data[int16](x)[at:][:len(dst)], m)
	case tensor.Quint16:
		convertNumbers(dst, tensor.Data[uint16](x)[at:][:len(dst)], m)
	case tensor.Qint32:
		q := tensor.Data[int32](x)[at:][:len(dst)]
		convertNumbers(dst, q, m)
		if d.mode == "SCALED" {
			// TensorFlow goes through float32 back to int32, where codes that round to 2^31 become negative.
			for i, v := range q {
				if v >= 1<<31-64 {
					dst[i] = -dst[i]
				}
			}
		}
	}
}

func convertNumbers[T int8 | int16 | uint16 | int32](dst []float32, q []T, m linear) {
	for i, v := range q {
		dst[i] = float32((float32(v)+m.half)*m.scale) + m.add
	}
}
