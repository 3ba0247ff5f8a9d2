package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// fuseSoftmax matches Softmax(scores + mask), the mask being broadcast over the scores: attention with padding or causal
// masks.
func fuseSoftmax(f *fusion, n *graphdef.Node) *fusedStep {
	if n.Op() != "Softmax" || !isFloat(n) {
		return nil
	}
	st := &fusedStep{op: "Softmax", eval: maskedSoftmax, rows: same(lastDimensionRows)}
	add := f.unshifted(n.Input(0), n, st)
	if add.Index != 0 || !isAdd(add.Node) || !f.private(add, n) {
		if add, st.interior = n.Input(0), nil; add.Index != 0 || !isAdd(add.Node) || !f.private(add, n) {
			return nil
		}
	}
	st.inputs = []graphdef.Output{add.Node.Input(0), add.Node.Input(1)}
	st.interior = append(st.interior, add.Node)
	return st
}

// unshifted goes back over the addition of a number so small that a softmax does not notice it. Hugging Face's models add 1e-9
// before each softmax, to work around a fault of XLA.
func (f *fusion) unshifted(o graphdef.Output, last *graphdef.Node, st *fusedStep) graphdef.Output {
	o = f.skip(o, last, st)
	if n := o.Node; o.Index == 0 && isAdd(n) && isFloat(n) && f.private(o, last) {
		for i := range 2 {
			c, ok := f.scalar(n.Input(i))
			if ok && c <= 1e-6 && c >= -1e-6 && f.constant(n.Input(i)).Rank() == 0 {
				st.interior = append(st.interior, n)
				return f.skip(n.Input(1-i), last, st)
			}
		}
	}
	return o
}

// maskedSoftmax is the softmax of input 0 + input 1 over the last dimension. Where one of them is not just stretched over
// leading dimensions or rows, the sum is formed first.
func maskedSoftmax(c *call) error {
	x, mask := c.in(0), c.in(1)
	if mask.Len() > x.Len() {
		x, mask = mask, x
	}
	shape, err := tensor.Broadcast(x.Shape(), mask.Shape())
	if err != nil {
		return err
	}
	if len(shape) == 0 {
		return fmt.Errorf("softmax of a scalar")
	}
	cols := shape[len(shape)-1]
	if !shape.Equal(x.Shape()) || mask.Rank() == 0 || mask.Shape()[mask.Rank()-1] != cols {
		if err := broadcastAdd(c, x, mask); err != nil {
			return err
		}
		sum := tensor.Data[float32](&c.s.values[c.st.out[0]].t)
		if cols > 0 {
			c.kernels().Softmax(sum, sum, len(sum)/cols, cols)
		}
		return nil
	}
	over := uint64(1)
	if x != c.in(0) {
		over = 2
	}
	t, err := c.allocOver(0, tensor.Float32, shape, over)
	if err != nil || x.Len() == 0 {
		return err
	}
	dst, src, m := tensor.Data[float32](t), tensor.Data[float32](x), tensor.Data[float32](mask)
	rows := t.Len() / cols
	// group rows are handled in one call: those that read one row of the mask, or consecutive ones.
	group, stride := maskRows(shape[:len(shape)-1], mask.Shape()[:mask.Rank()-1])
	for r := 0; r < rows; r += group {
		at := batchIndex(r, shape[:len(shape)-1], mask.Shape()[:mask.Rank()-1]) * cols
		c.kernels().SoftmaxMasked(dst[r*cols:][:group*cols], src[r*cols:][:group*cols], group, cols, 1, m[at:], stride*cols)
	}
	return nil
}

// maskRows returns how many consecutive rows of the scores, whose leading dimensions are lead, read rows of the mask that
// follow each other with one stride (in rows): 0 where they all read the same, 1 where they read consecutive ones.
func maskRows(lead, mask tensor.Shape) (group, stride int) {
	group = 1
	at := func(d int) int { // the mask's extent in dimension d of lead
		if e := d - (len(lead) - len(mask)); e >= 0 {
			return mask[e]
		}
		return 1
	}
	d := len(lead) - 1
	for ; d >= 0 && at(d) == 1; d-- {
		group *= lead[d]
	}
	if group > 1 || d < 0 {
		return group, 0
	}
	for ; d >= 0 && at(d) == lead[d]; d-- {
		group *= lead[d]
	}
	return group, 1
}
