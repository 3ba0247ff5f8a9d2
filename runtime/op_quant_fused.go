package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// fusedQuantized is _QuantizedMatMul in every form: codes times codes, exact in 32 bits, then BiasAdd, what else fused_ops
// name, and Dequantize, Requantize or the accumulators themselves.
//
// Inputs: a, b, bias, the addend where fused_ops have Add, the ranges of a and b, and where they end in Requantize the range
// of the output.
type fusedQuantized struct {
	transposeB  bool
	unsigned    bool // a is quint8, else qint8
	minFirst    bool // codes of a start at min_a, else at 0
	bias        tensor.DType
	out         tensor.DType
	outMinFirst bool
	stages      []quantizedStage
	end         string // Dequantize, Requantize, Accumulate: back to accumulators, or "": accumulators as they are
	ranges      int    // number of the input min_a
	perRange    bool   // QuantizedMatMulWithBias and its kin: scales are divided the other way, the output's range is as given
	w           *kernels.PackedS8
}

// quantizedStage is one of fused_ops between bias and end: an activation, or the addend where act is nil.
type quantizedStage struct{ act activation }

func newFusedQuantized(n *graphdef.Node) (*fusedQuantized, error) {
	r := n.AttrReader()
	p := &fusedQuantized{transposeB: r.Bool("transpose_b"), bias: r.Type("Tbias"), out: r.Type("Tout"), ranges: 3}
	a, b := r.Type("T1"), r.Type("T2")
	ops, alpha := r.Strs("fused_ops"), r.Float("leakyrelu_alpha")
	inMode, outMode, transposeA := r.Str("input_quant_mode"), r.Str("output_quant_mode"), r.Bool("transpose_a")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if (a != tensor.Qint8 && a != tensor.Quint8) || b != tensor.Qint8 || transposeA {
		return nil, fmt.Errorf("a is %v, b %v and transpose_a %v, want qint8 or quint8, qint8 and false", a, b, transposeA)
	}
	for _, m := range []string{inMode, outMode} {
		if m != "SCALED" && m != "MIN_FIRST" {
			return nil, fmt.Errorf("quantization mode is %q, want SCALED or MIN_FIRST", m)
		}
	}
	p.unsigned, p.minFirst, p.outMinFirst = a == tensor.Quint8, inMode == "MIN_FIRST", outMode == "MIN_FIRST"
	if len(ops) == 0 || ops[0] != "BiasAdd" {
		return nil, fmt.Errorf("fused_ops are %q, want BiasAdd first", ops)
	}
	ops = ops[1:]
	if l := len(ops); l > 0 && (ops[l-1] == "Dequantize" || ops[l-1] == "Requantize") {
		p.end, ops = ops[l-1], ops[:l-1]
	}
	for _, op := range ops {
		if op == "Add" {
			if p.ranges != 3 {
				return nil, fmt.Errorf("fused_ops have Add twice, want it once")
			}
			p.ranges = 4
			p.stages = append(p.stages, quantizedStage{})
			continue
		}
		act, err := newActivation(op, alpha)
		if err != nil {
			return nil, err
		}
		p.stages = append(p.stages, quantizedStage{act})
	}
	return p, p.checkOutputs(n)
}

// checkOutputs checks that the output types and the number of inputs and outputs fit fused_ops.
func (p *fusedQuantized) checkOutputs(n *graphdef.Node) error {
	ok := false
	wantIn, wantOut := p.ranges+4, 3
	switch p.end {
	case "Dequantize":
		ok = p.out == tensor.Float32 || p.out == tensor.Bfloat16
		wantOut = 1
	case "Requantize":
		ok = p.out == tensor.Qint8 || p.out == tensor.Quint8
		wantIn += 2
	case "":
		ok = p.out == tensor.Qint32 && len(p.stages) == 0
		if len(p.stages) == 1 && p.ranges == 3 {
			ok = p.out == tensor.Qint32
		}
	}
	if !ok {
		return fmt.Errorf("attribute Tout is %v, want float or bfloat16 after Dequantize, qint8 or quint8 after Requantize, qint32 after BiasAdd and at most one activation", p.out)
	}
	outs, err := n.NumOutputs()
	if err != nil {
		return err
	}
	if n.NumInputs() != wantIn || outs != wantOut {
		return fmt.Errorf("has %d inputs and %d outputs, want %d and %d for these fused_ops; check Tdevice_inputs, Thost_inputs and those of the outputs",
			n.NumInputs(), outs, wantIn, wantOut)
	}
	return nil
}

func fusedQuantizedMatMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	p, err := newFusedQuantized(n)
	if err != nil {
		return nil, err
	}
	return p.eval, nil
}

// specializeFusedQuantized packs constant weights.
func specializeFusedQuantized(n *graphdef.Node) specializer {
	read := newFusedQuantized
	if n.Op() != "_QuantizedMatMul" {
		read = newWithBias
	}
	return func(pk *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
		p, err := read(n)
		if err != nil {
			return nil, 0
		}
		w, ok := pk.packS8(consts[1], p.transposeB)
		if !ok {
			return nil, 0
		}
		p.w = w
		return p.eval, 1 << 1
	}
}

// weights returns b, packed.
func (p *fusedQuantized) weights(c *call) (*kernels.PackedS8, error) {
	if p.w != nil {
		return p.w, nil
	}
	b := c.in(1)
	if b.Rank() != 2 || b.DType() != tensor.Qint8 {
		return nil, fmt.Errorf("b is %v %v, want a qint8 matrix", b.DType(), b.Shape())
	}
	k, n := b.Shape()[0], b.Shape()[1]
	if p.transposeB {
		k, n = n, k
	}
	return c.kernels().PackS8(tensor.Data[int8](b), k, n, b.Shape()[1], p.transposeB), nil
}

func (p *fusedQuantized) eval(c *call) error {
	w, err := p.weights(c)
	if err != nil {
		return err
	}
	a := c.in(0)
	d := tensor.Qint8
	if p.unsigned {
		d = tensor.Quint8
	}
	if a.DType() != d || a.Rank() != 2 || a.Shape()[1] != w.K {
		return fmt.Errorf("a is %v %v, want %v [?, %d] for weights [%d, %d]", a.DType(), a.Shape(), d, w.K, w.K, w.N)
	}
	m, n := a.Shape()[0], w.N
	var dims [2]int
	shape := append(dims[:0], m, n)
	c.s.columns = growFloats(c.s.columns, 2*n)
	scale, bias := c.s.columns[:n], c.s.columns[n:]
	if err := p.columns(c, w, scale, bias); err != nil {
		return err
	}
	if p.unsigned {
		c.kernels().LoadU8(&c.s.codes, tensor.Data[uint8](a), m, w.K, w.K, 0)
	} else {
		c.kernels().LoadS8(&c.s.codes, tensor.Data[int8](a), m, w.K, w.K)
	}
	t, err := c.alloc(0, p.out, shape)
	if err != nil {
		return err
	}
	if p.end == "" {
		return p.raw(c, w, t, bias)
	}
	var y []float32
	if p.out == tensor.Float32 {
		y = tensor.Data[float32](t)
	} else {
		c.s.product = growFloats(c.s.product, m*n)
		y = c.s.product
	}
	c.count(m, n, w.K, true)
	c.kernels().MatMulInt8(y, n, &c.s.codes, w, scale, kernels.Epilogue{Bias: bias})
	for _, s := range p.stages {
		if s.act != nil {
			s.act(c.kernels(), y)
			continue
		}
		add := c.in(3)
		if !add.DType().IsFloat() || add.Len() != len(y) {
			return fmt.Errorf("addend is %v %v, want %d float values for the product [%d, %d]", add.DType(), add.Shape(), len(y), m, n)
		}
		if add.DType() == tensor.Float32 {
			c.kernels().Add(y, y, tensor.Data[float32](add))
			continue
		}
		v := floatsOf(add)
		for i := range y {
			y[i] += float32(v.at(i))
		}
	}
	switch {
	case p.end == "Requantize":
		return p.requantize(c, t, y)
	case p.end == "Accumulate":
		acc := tensor.Data[int32](t)
		for i, v := range y {
			q := math.RoundToEven(float64(v * (1 / scale[i%n])))
			acc[i] = int32(max(min(q, math.MaxInt32), math.MinInt32))
		}
		return p.setSumRange(c)
	case p.out == tensor.Bfloat16:
		for i, v := range y {
			setFloat(t, i, float64(v))
		}
	}
	return nil
}

// columns computes the real value of one unit of each column's accumulators, and the bias that is added to the scaled
// product. Codes that start at min_a add min_a times the sum of the column's weights; TensorFlow's steps, in float32. A qint32
// bias is in units of the accumulators.
func (p *fusedQuantized) columns(c *call, w *kernels.PackedS8, scale, bias []float32) error {
	loA, hiA, err := rangeOf(c, p.ranges)
	if err != nil {
		return err
	}
	n := len(scale)
	ranges := n
	if c.in(p.ranges+2).Len() == 1 {
		ranges = 1
	}
	lo, hi, err := channelRanges(c, p.ranges+2, ranges)
	if err != nil {
		return err
	}
	width, top := max(abs32(loA), abs32(hiA)), float32(127)
	if p.minFirst {
		width = hiA - loA
	}
	if p.unsigned {
		top = 255
	}
	fillScale(scale, width/top, lo, hi)
	b := c.in(2)
	if b.Len() != n || b.DType() != p.bias {
		return fmt.Errorf("bias is %v %v, want %v [%d]", b.DType(), b.Shape(), p.bias, n)
	}
	switch {
	case b.DType() == tensor.Float32:
		copy(bias, tensor.Data[float32](b))
	case b.DType().IsFloat():
		v := floatsOf(b)
		for j := range bias {
			bias[j] = float32(v.at(j))
		}
	case b.DType() == tensor.Qint32:
		for j, v := range tensor.Data[int32](b) {
			bias[j] = float32(v)
			if p.end != "" {
				bias[j] *= scale[j]
			}
		}
		return nil
	default:
		return fmt.Errorf("bias is %v, want float, bfloat16 or qint32", b.DType())
	}
	if !p.minFirst || p.end == "" {
		return nil
	}
	shift := float32(top*loA) / width
	for j := range bias {
		magnitude := max(abs32(lo[j%ranges]), abs32(hi[j%ranges]))
		unit := float32(top*127) / float32(width*magnitude)
		bias[j] += float32(float32(w.ColSum[j])*shift) / unit
	}
	return nil
}

// raw stores the accumulators with the bias added in their units, as TensorFlow does without Dequantize or Requantize.
func (p *fusedQuantized) raw(c *call, w *kernels.PackedS8, t *tensor.Tensor, bias []float32) error {
	acc := tensor.Data[int32](t)
	c.kernels().MatMulInt32(acc, w.N, &c.s.codes, w)
	for i, v := range acc {
		y := float64(v) + float64(bias[i%w.N])
		if len(p.stages) > 0 && y < 0 {
			y = 0
		}
		acc[i] = int32(max(min(math.RoundToEven(y), math.MaxInt32), math.MinInt32))
	}
	return p.setSumRange(c)
}

// setSumRange sets outputs 1 and 2 to the range of qint32 accumulators, one or one a column.
func (p *fusedQuantized) setSumRange(c *call) error {
	loA, hiA, err := rangeOf(c, p.ranges)
	if err != nil {
		return err
	}
	levels := float32(254)
	if p.unsigned {
		levels = 255
	}
	lo, hi := c.in(p.ranges+2), c.in(p.ranges+3)
	outLo, err := c.alloc(1, tensor.Float32, lo.Shape())
	if err != nil {
		return err
	}
	outHi, err := c.alloc(2, tensor.Float32, lo.Shape())
	if err != nil {
		return err
	}
	for j, v := range tensor.Data[float32](lo) {
		weight := max(abs32(v), abs32(tensor.Data[float32](hi)[j])) / 127
		tensor.Data[float32](outLo)[j], tensor.Data[float32](outHi)[j] = productRange((hiA-loA)/levels, weight)
	}
	return nil
}

// requantize stores y as codes of the output range, inputs ranges+4 and ranges+5.
func (p *fusedQuantized) requantize(c *call, t *tensor.Tensor, y []float32) error {
	lo, hi, err := rangeOf(c, p.ranges+4)
	if err != nil {
		return err
	}
	width, bottom, top, levels := max(abs32(lo), abs32(hi)), float32(-128), float32(127), float32(127)
	if p.out == tensor.Quint8 {
		bottom, top, levels = 0, 255, 255
	}
	shift := float32(0)
	if p.outMinFirst {
		width = hi - lo
		shift = float32(-lo*levels) / width
	}
	scale := levels / width
	if p.perRange {
		scale = 1 / (width / levels)
	}
	for i, v := range y {
		storeCode(t, i, v, scale, shift, bottom, top)
	}
	switch {
	case p.outMinFirst || p.perRange:
		return setRange(c, 1, lo, hi)
	case p.out == tensor.Quint8:
		return setRange(c, 1, 0, width)
	}
	return setRange(c, 1, -width, width)
}

// storeCode stores v·scale + shift, one rounding, as the 8-bit code i: the nearest integer within bottom..top, of two the
// even one.
func storeCode(t *tensor.Tensor, i int, v, scale, shift, bottom, top float32) {
	q := float32(math.RoundToEven(float64(float32(float64(v)*float64(scale) + float64(shift)))))
	if q != q {
		q = 0
	}
	tensor.Data[uint8](t)[i] = uint8(int32(max(min(q, top), bottom)))
}
