package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// logSumExp is a matched x - reduce_logsumexp(x) over the last dimension.
type logSumExp struct {
	x        graphdef.Output
	guarded  bool // a maximum that is not finite counts as 0
	interior []*graphdef.Node
}

// fuseLogSumExp matches the logarithm of a softmax, ending in n, as beam searches write it:
//
//	x - (Log(Sum(Exp(x - m))) + m),  m = Max(x) or Select(IsFinite(Max(x)), Max(x), 0)
//
// with StopGradient anywhere around m.
func fuseLogSumExp(f *fusion, n *graphdef.Node) *fusedStep {
	l, ok := f.matchLogSumExp(n)
	if !ok || !f.closed(l.interior, n) {
		return nil
	}
	return &fusedStep{op: "LogSoftmax", inputs: []graphdef.Output{l.x}, interior: l.interior, eval: l.eval, rows: same(lastDimensionRows)}
}

func (f *fusion) matchLogSumExp(n *graphdef.Node) (*logSumExp, bool) {
	if n.Op() != "Sub" || !isFloat(n) {
		return nil, false
	}
	l := &logSumExp{x: n.Input(0)}
	// layerNorm notes nodes and knows what the last axis is.
	t := &layerNorm{f: f}
	add := t.take(t.through(n.Input(1)), "AddV2", "Add")
	if add == nil {
		return nil, false
	}
	for i := range 2 {
		log := t.take(add.Input(i), "Log")
		if log == nil {
			continue
		}
		m := add.Input(1 - i)
		sum := t.take(log.Input(0), "Sum")
		if sum == nil {
			return nil, false
		}
		exp := t.take(sum.Input(0), "Exp")
		if exp == nil || !t.lastKept(sum, exp.Out(0)) {
			return nil, false
		}
		sub := t.take(exp.Input(0), "Sub")
		if sub == nil || sub.Input(0) != l.x || t.through(sub.Input(1)) != t.through(m) {
			return nil, false
		}
		ok := l.maximum(t, t.through(m))
		l.interior = t.interior
		return l, ok
	}
	return nil, false
}

// maximum matches m.
func (l *logSumExp) maximum(t *layerNorm, m graphdef.Output) bool {
	if sel := t.take(m, "Select", "SelectV2"); sel != nil {
		finite := t.take(sel.Input(0), "IsFinite")
		if finite == nil || t.through(finite.Input(0)) != t.through(sel.Input(1)) {
			return false
		}
		if zeros := t.take(sel.Input(2), "ZerosLike"); zeros == nil {
			if v, ok := t.f.scalar(sel.Input(2)); !ok || v != 0 {
				return false
			}
		} else if t.through(zeros.Input(0)) != t.through(sel.Input(1)) {
			return false
		}
		l.guarded, m = true, t.through(sel.Input(1))
	}
	top := t.take(m, "Max")
	return top != nil && top.Input(0) == l.x && t.lastKept(top, l.x)
}

// through goes back over nodes that hand on their input, and notes them.
func (l *layerNorm) through(o graphdef.Output) graphdef.Output {
	for o.Index == 0 && passThrough[o.Node.Op()] && o.Node.NumInputs() == 1 {
		l.take(o, o.Node.Op())
		o = o.Node.Input(0)
	}
	return o
}

// eval computes the logarithm of the softmax of the rows of input 0.
func (l *logSumExp) eval(c *call) error {
	x := c.in(0)
	if x.Rank() == 0 {
		return fmt.Errorf("input is a scalar, want rank 1 or more")
	}
	t, err := c.allocOver(0, tensor.Float32, x.Shape(), 1)
	if err != nil || x.Len() == 0 {
		return err
	}
	cols := x.Shape()[x.Rank()-1]
	src, dst := tensor.Data[float32](x), tensor.Data[float32](t)
	for at := 0; at < len(src); at += cols {
		row := src[at:][:cols]
		if !l.guarded || isFinite(c.kernels().MaxValue(row)) {
			c.kernels().LogSoftmax(dst[at:][:cols], row, 1, cols)
			continue
		}
		c.s.product = growFloats(c.s.product, cols)
		c.kernels().Exp(c.s.product, row)
		sum := c.kernels().Sum(c.s.product)
		c.kernels().SubScalar(dst[at:][:cols], row, float32(math.Log(float64(sum))))
	}
	return nil
}

func isFinite(v float32) bool { return v-v == 0 }
