package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// quantizedProduct is _QuantizedMatMul with float output and constant weights and ranges, and the QuantizeV2 before it where
// that has no other reader. Input 0 is the float activation or its codes.
//
// The arithmetic is TensorFlow's: s[j] = f32(range(a)/Q * max|b[j]|/127), y = f32(acc)·s[j] + bias[j], acc exact in 32 bits.
type quantizedProduct struct {
	transposeB bool
	relu       bool
	quantize   *kernels.Quantization // nil: input 0 is codes
	unsigned   bool
	w          *kernels.PackedS8
	scale      []float32
	bias       []float32
}

// newQuantizedProduct returns the product of _QuantizedMatMul n; nil where an input that has to be
// constant is not, or its form is another: the node's own evaluator then runs it. The step takes the place of last; biased says
// that it adds another bias, which only a product whose own one is zero can take.
func (f *fusion) newQuantizedProduct(n, last *graphdef.Node, st *fusedStep, biased bool) denseProduct {
	r := n.AttrReader()
	p := quantizedProduct{transposeB: r.Bool("transpose_b")}
	ops := r.Strs("fused_ops")
	p.unsigned = r.Type("T1") == tensor.Quint8
	simple := r.Str("input_quant_mode") == "SCALED" && r.Type("Tbias") == tensor.Float32 && r.Type("Tout") == tensor.Float32 && !r.Bool("transpose_a")
	if r.Err() != nil || !simple || n.NumInputs() != 7 {
		return nil
	}
	switch {
	case slices.Equal(ops, []string{"BiasAdd", "Dequantize"}):
	case slices.Equal(ops, []string{"BiasAdd", "Relu", "Dequantize"}):
		p.relu = true
	default:
		return nil
	}
	w, bias, lo, hi := f.constant(n.Input(1)), f.constant(n.Input(2)), f.constant(n.Input(5)), f.constant(n.Input(6))
	if w == nil || w.Rank() != 2 || w.DType() != tensor.Qint8 || bias == nil || lo == nil || hi == nil {
		return nil
	}
	_, cols, _ := weightShape(w, p.transposeB)
	if cols == 0 || bias.Len() != cols || (lo.Len() != 1 && lo.Len() != cols) || lo.Len() != hi.Len() {
		return nil
	}
	p.bias = tensor.Data[float32](bias)
	if biased {
		if p.relu || slices.ContainsFunc(p.bias, func(b float32) bool { return b != 0 }) {
			return nil
		}
		p.bias = nil
	}
	q := n.Input(0).Node
	if q.Op() != "QuantizeV2" || n.Input(3) != q.Out(1) || n.Input(4) != q.Out(2) {
		return nil
	}
	rng, ok := f.quantization(q, p.unsigned)
	if !ok {
		return nil
	}
	p.scale = productScale(rng.magnitude/rng.levels, tensor.Data[float32](lo), tensor.Data[float32](hi), cols)
	st.op = "_QuantizedMatMul"
	if f.closed(append(slices.Clone(st.interior), q), last) {
		p.quantize = &rng.Quantization
		st.interior = append(st.interior, q)
		st.inputs = append(st.inputs, q.Input(0), n.Input(1))
		return p
	}
	st.inputs = append(st.inputs, n.Input(0), n.Input(1))
	return p
}

// quantizedRange is what a QuantizeV2 of constant range does, and the range that it hands on.
type quantizedRange struct {
	kernels.Quantization
	magnitude, levels float32
}

// quantization reads QuantizeV2 n, in mode SCALED with constant finite ranges; TensorFlow's steps, in float32.
func (f *fusion) quantization(n *graphdef.Node, unsigned bool) (q quantizedRange, ok bool) {
	r := n.AttrReader()
	mode, round, narrow := r.Str("mode"), r.Str("round_mode"), r.Bool("narrow_range")
	d, axis, least := r.Type("T"), r.Int("axis"), r.Float("ensure_minimum_range")
	lo, okLo := f.scalar(n.Input(1))
	hi, okHi := f.scalar(n.Input(2))
	want := tensor.Qint8
	if unsigned {
		want = tensor.Quint8
	}
	if r.Err() != nil || mode != "SCALED" || axis != -1 || d != want || !okLo || !okHi {
		return q, false
	}
	s, err := scaledRange(lo, hi, least, d, narrow)
	if err != nil {
		return q, false
	}
	q.Quantization = kernels.Quantization{Scale: s.scale, Lo: s.lo, Hi: s.hi, Unsigned: unsigned, Rounding: kernels.HalfAwayFromZero}
	if round == "HALF_TO_EVEN" {
		q.Rounding = kernels.HalfToEven
	}
	q.magnitude, q.levels = max(-s.lo, s.hi), 127
	if unsigned {
		q.levels = 255
	}
	return q, true
}

// scaled is QuantizeV2's mode SCALED with its range adjusted: q = round(clamp(x, lo, hi)·scale).
type scaled struct{ scale, lo, hi float32 }

// scaledRange computes what QuantizeV2 makes of the range lo, hi for codes of dtype d.
func scaledRange(lo, hi, least float32, d tensor.DType, narrow bool) (scaled, error) {
	a, b, err := adjustedRange(lo, hi, least)
	if err != nil {
		return scaled{}, err
	}
	bottom, top := codeLimits(d)
	if narrow {
		bottom++
	}
	s := min(codeScale(bottom, a), codeScale(top, b))
	return scaled{scale: s, lo: flushed(bottom / s), hi: flushed(top / s)}, nil
}

// adjustedRange widens the range lo, hi as QuantizeV2 does in every mode: it then holds 0 and is at least as wide as least says.
// A NaN counts as 0.
func adjustedRange(lo, hi, least float32) (a, b float32, err error) {
	if hi < lo {
		return 0, 0, fmt.Errorf("input_max_range %v is less than input_min_range %v", hi, lo)
	}
	if lo < 0 {
		a = lo
	}
	width := float32(1)
	for _, v := range [...]float32{abs32(lo), abs32(hi)} {
		if v > width {
			width = v
		}
	}
	b = a + float32(width*least)
	if hi > b {
		b = hi
	}
	if !(b > 0) {
		b = 0
	}
	return a, b, nil
}

// flushed returns 0 for a denormal number: TensorFlow's threads flush them.
func flushed(v float32) float32 {
	if abs32(v) < 0x1p-126 {
		return 0
	}
	return v
}

// codeScale returns the codes per unit that map the end v of a range to code c; the largest float where no code lies that way.
func codeScale(c, v float32) float32 {
	const largest = 0x1.fffffep127
	if c*v > 0 {
		return c / v
	}
	return largest
}

// codeLimits returns the smallest and largest code of quantized dtype d.
func codeLimits(d tensor.DType) (bottom, top float32) {
	switch d {
	case tensor.Qint8:
		return -128, 127
	case tensor.Quint8:
		return 0, 255
	case tensor.Qint16:
		return -32768, 32767
	case tensor.Quint16:
		return 0, 65535
	}
	return -2147483648, 2147483647
}

func abs32(v float32) float32 { return max(v, -v) }

// productScale returns the real value of one unit of the accumulators of each column. step is the value of one code of the
// activations; lo, hi are the ranges of the weights, one or one a column.
func productScale(step float32, lo, hi []float32, columns int) []float32 {
	scale := make([]float32, columns)
	fillScale(scale, step, lo, hi)
	return scale
}

// fillScale is productScale into memory that is there.
func fillScale(scale []float32, step float32, lo, hi []float32) {
	for j := range scale {
		i := 0
		if len(lo) > 1 {
			i = j
		}
		weight := max(abs32(lo[i]), abs32(hi[i])) / 127
		scale[j] = step * weight
	}
}

func (p quantizedProduct) direct() bool { return true }

func (p quantizedProduct) prepare(pk *packer, consts []*tensor.Tensor) (denseProduct, uint64) {
	w, ok := pk.packS8(consts[1], p.transposeB)
	if !ok {
		return nil, 0
	}
	p.w = w
	return p, 1 << 1
}

func (p quantizedProduct) dims(c *call) (m, n int, err error) {
	x := c.in(0)
	if p.w == nil {
		return 0, 0, fmt.Errorf("weights were not packed")
	}
	if x.Rank() != 2 || x.Shape()[1] != p.w.K {
		return 0, 0, fmt.Errorf("inner dimensions differ, have a %v and weights [%d, %d]", x.Shape(), p.w.K, p.w.N)
	}
	return x.Shape()[0], p.w.N, nil
}

func (p quantizedProduct) run(c *call, dst []float32, x leftRows, n int, ep kernels.Epilogue) error {
	k, codes := p.w.K, &c.s.codes
	c.count(x.count, n, k, true)
	switch {
	case p.quantize != nil:
		c.kernels().Quantize(codes, elements[float32](x.mem), x.count, k, k, *p.quantize)
	case p.unsigned:
		c.kernels().LoadU8(codes, x.mem, x.count, k, k, 0)
	default:
		c.kernels().LoadS8(codes, elements[int8](x.mem), x.count, k, k)
	}
	if p.bias != nil {
		ep.Bias = p.bias
	}
	if p.relu {
		ep.Act = kernels.ActRelu
	}
	c.kernels().MatMulInt8(dst, n, codes, p.w, p.scale, ep)
	return nil
}
