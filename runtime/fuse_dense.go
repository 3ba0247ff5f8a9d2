package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// dense is y = act(x·W + b) + r, reshaped: one product with all that follows it row by row. The parts that are not there
// have input number -1.
type dense struct {
	transposeB      bool
	bias            int // input numbers
	shape           int // the second input of the Reshape between product and activation
	residual        int
	act             kernels.Activation
	hasBias, hasAdd bool
	reshaped        bool
}

// fuseDense matches
//
//	MatMul [BiasAdd | Add vector] [Reshape] [Relu] [Add residual]
//
// that ends in n. All but the product may be missing; a product alone is left to its own step.
func fuseDense(f *fusion, n *graphdef.Node) *fusedStep {
	st := &fusedStep{op: "MatMul"}
	d := dense{}
	cur := n
	var residual, bias, shape graphdef.Output
	step := func(o graphdef.Output) bool { // go down to the node before, which must be ours alone
		if o.Index != 0 || !f.private(o, n) {
			return false
		}
		st.interior = append(st.interior, o.Node)
		cur = o.Node
		return true
	}
	if isAdd(cur) && isFloat(cur) {
		for i := range 2 {
			if leads(cur.Input(i), "Reshape", "Relu") && f.denseBelow(cur.Input(i).Node) {
				residual = cur.Input(1 - i)
				if !step(cur.Input(i)) {
					return nil
				}
				d.hasAdd = true
				break
			}
		}
	}
	if cur.Op() == "Relu" && isFloat(cur) && (cur == n || d.hasAdd) {
		if !step(cur.Input(0)) {
			return nil
		}
		d.act = kernels.ActRelu
	}
	if cur.Op() == "Reshape" && cur != n {
		shape = cur.Input(1)
		d.reshaped = true
		if !step(cur.Input(0)) {
			return nil
		}
	}
	if isBias(f, cur) {
		bias = cur.Input(1)
		d.hasBias = true
		if !step(cur.Input(0)) {
			return nil
		}
	}
	if cur.Op() != "MatMul" || cur == n || !isFloat(cur) {
		return nil
	}
	ta, _ := cur.Bool("transpose_a")
	d.transposeB, _ = cur.Bool("transpose_b")
	if ta {
		return nil
	}
	st.inputs = []graphdef.Output{cur.Input(0), cur.Input(1)}
	add := func(o graphdef.Output) int {
		st.inputs = append(st.inputs, o)
		return len(st.inputs) - 1
	}
	if d.hasBias {
		d.bias = add(bias)
	}
	if d.reshaped {
		d.shape = add(shape)
	}
	if d.hasAdd {
		d.residual = add(residual)
	}
	st.eval = d.eval(nil)
	st.specialize = d.specialize
	return st
}

func isAdd(n *graphdef.Node) bool { return n.Op() == "AddV2" || n.Op() == "Add" }

func leads(o graphdef.Output, ops ...string) bool {
	for _, op := range ops {
		if o.Node.Op() == op {
			return true
		}
	}
	return false
}

// isBias reports whether n adds a vector along the last dimension to a product.
func isBias(f *fusion, n *graphdef.Node) bool {
	if !isFloat(n) || n.NumInputs() != 2 || n.Input(0).Node.Op() != "MatMul" {
		return false
	}
	if n.Op() == "BiasAdd" {
		format, _ := n.Str("data_format")
		return format != "NCHW"
	}
	v := f.constant(n.Input(1))
	return isAdd(n) && v != nil && v.Rank() == 1
}

// denseBelow reports whether, going down from n through Relu, Reshape and bias, a product comes.
func (f *fusion) denseBelow(n *graphdef.Node) bool {
	for range 4 {
		switch {
		case n.Op() == "MatMul":
			return true
		case n.Op() == "Relu" || n.Op() == "Reshape" || isBias(f, n):
			n = n.Input(0).Node
		default:
			return false
		}
	}
	return false
}

// specialize packs the weights where they are constant.
func (d dense) specialize(p *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
	w, ok := p.packF32(consts[1], d.transposeB)
	if !ok {
		return nil, 0
	}
	return d.eval(w), 1 << 1
}

// eval returns the evalFunc for packed weights, or for input 1 where w is nil.
func (d dense) eval(w *kernels.PackedF32) evalFunc {
	return func(c *call) error {
		x := c.in(0)
		if x.Rank() != 2 {
			return fmt.Errorf("inputs must be matrices, have a %v", x.Shape())
		}
		m, k := x.Shape()[0], x.Shape()[1]
		wk, n := 0, 0
		if w != nil {
			wk, n = w.K, w.N
		} else {
			b := c.in(1)
			if b.Rank() != 2 {
				return fmt.Errorf("inputs must be matrices, have b %v", b.Shape())
			}
			wk, n = b.Shape()[0], b.Shape()[1]
			if d.transposeB {
				wk, n = n, wk
			}
		}
		if k != wk {
			return fmt.Errorf("inner dimensions differ, have a %v and weights [%d, %d]; check transpose_b", x.Shape(), wk, n)
		}
		dst, ep, late, err := d.output(c, m, n, w != nil)
		if err != nil {
			return err
		}
		if w != nil {
			c.kernels().MatMulF32(dst, n, tensor.Data[float32](x), k, m, w, ep)
		} else {
			ldb := n
			if d.transposeB {
				ldb = k
			}
			c.kernels().MatMulF32Strided(dst, n, tensor.Data[float32](x), k, tensor.Data[float32](c.in(1)), ldb, d.transposeB, m, n, k, &c.s.scratch)
			finishRows(dst, m, n, ep)
		}
		if late != nil {
			return late()
		}
		return nil
	}
}

// output allocates the step's output for an [m, n] product, reshaped as the graph says, and builds the epilogue. late, where
// not nil, adds a residual that has another shape than the product, which is broadcast.
//
// The residual's memory may become the output's where inPlace says that the product reads an element of the residual just
// before it writes it.
func (d dense) output(c *call, m, n int, inPlace bool) (dst []float32, ep kernels.Epilogue, late func() error, err error) {
	var dims [8]int
	shape := append(dims[:0], m, n)
	if d.reshaped {
		shape, err = reshapeTo(shape[:0], m*n, c.in(d.shape))
		if err != nil {
			return nil, ep, nil, err
		}
	}
	ep.Act = d.act
	if d.hasBias {
		b := c.in(d.bias)
		if b.Rank() != 1 || b.Len() != n {
			return nil, ep, nil, fmt.Errorf("bias has shape %v, want [%d]", b.Shape(), n)
		}
		ep.Bias = tensor.Data[float32](b)
	}
	var over uint64
	var residual *tensor.Tensor
	if d.hasAdd {
		residual = c.in(d.residual)
		if residual.Shape().Equal(shape) {
			if inPlace {
				over = 1 << d.residual
			}
			ep.Add, ep.LdAdd = tensor.Data[float32](residual), n
		}
	}
	if d.hasAdd && ep.Add == nil {
		return d.lateAdd(c, residual, shape, m*n, ep)
	}
	t, err := c.allocOver(0, tensor.Float32, shape, over)
	if err != nil {
		return nil, ep, nil, err
	}
	return tensor.Data[float32](t), ep, nil, nil
}

// lateAdd is for residuals that broadcast: the product goes to memory of the session's, then the sum to the output.
func (d dense) lateAdd(c *call, residual *tensor.Tensor, shape tensor.Shape, size int, ep kernels.Epilogue) ([]float32, kernels.Epilogue, func() error, error) {
	c.s.transposed = growFloats(c.s.transposed, size)
	dst := c.s.transposed
	product := tensor.FromSlice(shape.Clone(), dst)
	return dst, ep, func() error { return broadcastAdd(c, product, residual) }, nil
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
