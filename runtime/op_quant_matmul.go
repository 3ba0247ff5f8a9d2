package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// quantizedMatMul is QuantizedMatMul: quint8 times quint8, each with a zero point from its range, exact in 32 bits.
type quantizedMatMul struct {
	transposeA, transposeB bool
	w                      *kernels.PackedS8 // b - 128
}

func newQuantizedMatMul(n *graphdef.Node) (*quantizedMatMul, error) {
	r := n.AttrReader()
	p := &quantizedMatMul{transposeA: r.Bool("transpose_a"), transposeB: r.Bool("transpose_b")}
	a, b, out := r.Type("T1"), r.Type("T2"), r.Type("Toutput")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if a != tensor.Quint8 || b != tensor.Quint8 || out != tensor.Qint32 {
		return nil, fmt.Errorf("types are %v times %v to %v, want quint8 times quint8 to qint32", a, b, out)
	}
	return p, nil
}

func quantizedMatMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	p, err := newQuantizedMatMul(n)
	if err != nil {
		return nil, err
	}
	return p.eval, nil
}

// specializeQuantizedMatMul packs constant weights.
func specializeQuantizedMatMul(n *graphdef.Node) specializer {
	return func(pk *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
		p, err := newQuantizedMatMul(n)
		if err != nil || consts[1] == nil || consts[1].Len() == 0 {
			return nil, 0
		}
		if p.w, err = p.pack(pk.kernels, consts[1]); err != nil {
			return nil, 0
		}
		return p.eval, 1 << 1
	}
}

// pack packs b with its codes moved to the range of int8.
func (p *quantizedMatMul) pack(k *kernels.Set, b *tensor.Tensor) (*kernels.PackedS8, error) {
	if b.Rank() != 2 || b.DType() != tensor.Quint8 {
		return nil, fmt.Errorf("b is %v %v, want a quint8 matrix", b.DType(), b.Shape())
	}
	rows, cols := b.Shape()[0], b.Shape()[1]
	if p.transposeB {
		rows, cols = cols, rows
	}
	moved := make([]int8, b.Len())
	for i, v := range tensor.Data[uint8](b) {
		moved[i] = int8(v ^ 0x80)
	}
	return k.PackS8(moved, rows, cols, b.Shape()[1], p.transposeB), nil
}

// zeroPoint returns the code of 0 in a quint8 range; it may lie outside 0..255.
func zeroPoint(lo, hi float32) (int32, error) {
	if !(hi > lo) {
		return 0, fmt.Errorf("a range is %v to %v, want the maximum greater than the minimum", lo, hi)
	}
	z := valueCode(0, lo, hi, tensor.Quint8)
	if !(z > math.MinInt32/2 && z < math.MaxInt32/2) {
		return 0, fmt.Errorf("a range is %v to %v, too far from 0 for its width", lo, hi)
	}
	return int32(z), nil
}

func (p *quantizedMatMul) eval(c *call) error {
	w := p.w
	if w == nil {
		var err error
		if w, err = p.pack(c.kernels(), c.in(1)); err != nil {
			return err
		}
	}
	loA, hiA, err := rangeOf(c, 2)
	if err != nil {
		return err
	}
	loB, hiB, err := rangeOf(c, 4)
	if err != nil {
		return err
	}
	za, err := zeroPoint(loA, hiA)
	if err != nil {
		return err
	}
	zb, err := zeroPoint(loB, hiB)
	if err != nil {
		return err
	}
	a := c.in(0)
	if a.Rank() != 2 || a.DType() != tensor.Quint8 {
		return fmt.Errorf("a is %v %v, want a quint8 matrix", a.DType(), a.Shape())
	}
	m, k := a.Shape()[0], a.Shape()[1]
	codes := tensor.Data[uint8](a)
	if p.transposeA {
		m, k = k, m
		turned := make([]uint8, len(codes))
		for i := range m {
			for l := range k {
				turned[i*k+l] = codes[l*m+i]
			}
		}
		codes = turned
	}
	if k != w.K {
		return fmt.Errorf("inner dimensions differ, have a %v and b [%d, %d]; check the transpose attributes", a.Shape(), w.K, w.N)
	}
	var dims [2]int
	t, err := c.alloc(0, tensor.Qint32, append(dims[:0], m, w.N))
	if err != nil {
		return err
	}
	acc := tensor.Data[int32](t)
	c.kernels().LoadU8(&c.s.codes, codes, m, k, k, za)
	c.kernels().MatMulInt32(acc, w.N, &c.s.codes, w)
	// The packed codes are b-128: what is missing is (128 - zero point) times the sum of the row of a.
	if missing := 128 - zb; missing != 0 {
		for i := range m {
			sum := int32(0)
			for _, v := range codes[i*k:][:k] {
				sum += int32(v) - za
			}
			sum *= missing
			row := acc[i*w.N:][:w.N]
			for j := range row {
				row[j] += sum
			}
		}
	}
	lo, hi := productRange((hiA-loA)/255, (hiB-loB)/255)
	return setRange(c, 1, lo, hi)
}

// productRange returns the range of qint32 sums of products of codes that are a and b apart.
func productRange(a, b float32) (lo, hi float32) {
	step := a * b
	return step * -2147483648, step * 2147483647
}

// newWithBias reads QuantizedMatMulWithBias and its kin: forms of _QuantizedMatMul with the activation in the op's name.
func newWithBias(n *graphdef.Node) (*fusedQuantized, error) {
	r := n.AttrReader()
	p := &fusedQuantized{
		transposeB: r.Bool("transpose_b"), unsigned: true, minFirst: r.Str("input_quant_mode") == "MIN_FIRST",
		bias: tensor.Float32, out: r.Type("Toutput"), ranges: 3, perRange: true,
	}
	a, b, transposeA := r.Type("T1"), r.Type("T2"), r.Bool("transpose_a")
	if n.Op() != "QuantizedMatMulWithBiasAndRelu" {
		p.bias = r.Type("Tbias")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if a != tensor.Quint8 || b != tensor.Qint8 || transposeA {
		return nil, fmt.Errorf("types are %v times %v, transpose_a %v, want quint8 times qint8, not transposed", a, b, transposeA)
	}
	form := withBiasForms[n.Op()]
	p.end = form.end
	if form.relu {
		p.stages = []quantizedStage{{activations["Relu"]}}
	}
	ok := p.out == tensor.Qint32
	switch p.end {
	case "Dequantize":
		ok = p.out == tensor.Float32
	case "Requantize":
		ok = p.out == tensor.Quint8 || p.out == tensor.Qint8
	}
	if !ok {
		return nil, fmt.Errorf("attribute Toutput is %v, want float from AndDequantize, an 8-bit type from AndRequantize, qint32 otherwise", p.out)
	}
	return p, nil
}

type withBiasForm struct {
	relu bool
	end  string
}

var withBiasForms = map[string]withBiasForm{
	"QuantizedMatMulWithBias":                     {false, "Accumulate"},
	"QuantizedMatMulWithBiasAndRelu":              {true, "Accumulate"},
	"QuantizedMatMulWithBiasAndDequantize":        {false, "Dequantize"},
	"QuantizedMatMulWithBiasAndRequantize":        {false, "Requantize"},
	"QuantizedMatMulWithBiasAndReluAndRequantize": {true, "Requantize"},
}

func withBiasOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	p, err := newWithBias(n)
	if err != nil {
		return nil, err
	}
	return p.eval, nil
}
