package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// floatProduct is x·W in FP32: inputs 0 and 1.
type floatProduct struct {
	transposeB bool
	sparse     bool               // many elements of x are expected to be 0
	w          *kernels.PackedF32 // nil: the weights are input 1
}

// newFloatProduct returns the product of MatMul n; ok is false where it has a form that has no kernel.
func newFloatProduct(n *graphdef.Node) (p floatProduct, ok bool) {
	ta, _ := n.Bool("transpose_a")
	tb, _ := n.Bool("transpose_b")
	return floatProduct{transposeB: tb, sparse: manyZeros(n.Input(0), 8)}, !ta
}

// manyZeros reports whether o is what a ReLU leaves, in any shape, squared or multiplied by a gate, at most steps nodes before.
func manyZeros(o graphdef.Output, steps int) bool {
	n := o.Node
	if steps == 0 {
		return false
	}
	switch op := n.Op(); {
	case op == "Relu" || op == "Relu6":
		return true
	case op == "_FusedMatMul":
		ops, _ := n.Strs("fused_ops")
		return len(ops) > 0 && (ops[len(ops)-1] == "Relu" || ops[len(ops)-1] == "Relu6")
	case op == "Mul" && n.NumInputs() == 2:
		return manyZeros(n.Input(0), steps-1) || manyZeros(n.Input(1), steps-1)
	case (passThrough[op] || op == "Reshape" || op == "Square") && n.NumInputs() > 0:
		return manyZeros(n.Input(0), steps-1)
	}
	return false
}

func (p floatProduct) direct() bool { return p.w != nil }

func (p floatProduct) dims(c *call) (m, n int, err error) {
	x := c.in(0)
	if x.Rank() != 2 {
		return 0, 0, fmt.Errorf("inputs must be matrices, have a %v", x.Shape())
	}
	k := 0
	if p.w != nil {
		k, n = p.w.K, p.w.N
	} else {
		b := c.in(1)
		if b.Rank() != 2 {
			return 0, 0, fmt.Errorf("inputs must be matrices, have b %v", b.Shape())
		}
		if k, n = b.Shape()[0], b.Shape()[1]; p.transposeB {
			k, n = n, k
		}
	}
	if k != x.Shape()[1] {
		return 0, 0, fmt.Errorf("inner dimensions differ, have a %v and weights [%d, %d]; check transpose_b", x.Shape(), k, n)
	}
	return x.Shape()[0], n, nil
}

func (p floatProduct) run(c *call, dst []float32, x leftRows, n int, ep kernels.Epilogue) error {
	k := c.in(0).Shape()[1]
	a := elements[float32](x.mem)
	switch {
	case p.w != nil && p.sparse:
		c.s.work.Float += c.kernels().MatMulF32Sparse(dst, n, a, k, x.count, p.w, ep, &c.s.scratch)
		return nil
	case p.w != nil:
		c.count(x.count, n, k, false)
		c.kernels().MatMulF32(dst, n, a, k, x.count, p.w, ep)
		return nil
	}
	c.count(x.count, n, k, false)
	ldb := n
	if p.transposeB {
		ldb = k
	}
	c.kernels().MatMulF32Strided(dst, n, a, k, tensor.Data[float32](c.in(1)), ldb, p.transposeB, x.count, n, k, &c.s.scratch)
	finishRows(dst, x.count, n, ep)
	return nil
}

func (p floatProduct) prepare(pk *packer, consts []*tensor.Tensor) (denseProduct, uint64) {
	w, ok := pk.packF32(consts[1], p.transposeB)
	if !ok {
		return nil, 0
	}
	p.w = w
	return p, 1 << 1
}

// finishRows applies an epilogue to a product that is stored already.
func finishRows(dst []float32, m, n int, ep kernels.Epilogue) {
	for i := range m {
		row := dst[i*n:][:n]
		for j := range row {
			y := row[j]
			if ep.Bias != nil {
				y += ep.Bias[j]
			}
			if ep.Act == kernels.ActRelu && y < 0 {
				y = 0
			}
			if ep.Add != nil {
				y += ep.Add[i*ep.LdAdd+j]
			}
			row[j] = y
		}
	}
}
