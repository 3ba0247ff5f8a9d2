package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// fuseRMSNorm matches, ending in n, gamma·(x·Rsqrt(Mean(x²) + eps)) over the last dimension: T5 and its kin.
func fuseRMSNorm(f *fusion, n *graphdef.Node) *fusedStep {
	if n.Op() != "Mul" || !isFloat(n) {
		return nil
	}
	for i := range 2 {
		for j := range 2 {
			l := &layerNorm{f: f, gamma: n.Input(1 - i)}
			inner := l.take(n.Input(i), "Mul")
			if inner == nil {
				break
			}
			l.x, l.rsqrt = inner.Input(j), inner.Input(1-j)
			mean, ok := l.root()
			if !ok || !l.squaresOf(mean) || !f.closed(l.interior, n) {
				continue
			}
			if st, ok := f.newNormStep(l.eps, n, nil); ok {
				return &fusedStep{op: "RMSNorm", inputs: []graphdef.Output{l.x, l.gamma}, interior: l.interior, eval: st.eval, rows: same(normRows)}
			}
		}
	}
	return nil
}

// squaresOf reports whether m is the mean of x².
func (l *layerNorm) squaresOf(m graphdef.Output) bool {
	if m.Index != 0 || m.Node.Op() != "Mean" || m.Node.NumInputs() != 2 {
		return false
	}
	sq := l.take(m.Node.Input(0), "Square", "Mul", "Pow")
	switch {
	case sq == nil || sq.Input(0) != l.x:
		return false
	case sq.Op() == "Mul" && sq.Input(1) != l.x:
		return false
	case sq.Op() == "Pow" && !l.f.isNumber(sq.Input(1), 2):
		return false
	}
	return l.meanOf(m, sq.Out(0))
}

// fuseBatchLayerNorm matches, ending in n, layer normalization by way of a batch normalization, as Keras 2 writes it:
//
//	y = FusedBatchNormV3[is_training, NCHW](Reshape(x, [1, rows, columns, 1]), ones, zeros)
//	Reshape(y)·gamma + beta
func fuseBatchLayerNorm(f *fusion, n *graphdef.Node) *fusedStep {
	if !isAdd(n) || !isFloat(n) {
		return nil
	}
	for i := range 2 {
		l := &layerNorm{f: f, beta: n.Input(1 - i)}
		mul := l.take(n.Input(i), "Mul")
		if mul == nil {
			continue
		}
		for j := range 2 {
			m := &layerNorm{f: f, beta: l.beta, gamma: mul.Input(1 - j), interior: []*graphdef.Node{mul}}
			after := m.take(mul.Input(j), "Reshape")
			if after == nil {
				continue
			}
			before, ok := m.batchNorm(after.Input(0))
			if !ok || !f.closed(m.interior, n) {
				continue
			}
			st, ok := f.newNormStep(m.eps, mul, n)
			if !ok {
				continue
			}
			st.around = true
			return &fusedStep{
				op:       "LayerNorm",
				inputs:   []graphdef.Output{before.Input(0), m.gamma, m.beta, before.Input(1), after.Input(1)},
				interior: m.interior,
				eval:     st.eval,
			}
		}
	}
	return nil
}

// batchNorm matches the batch normalization of one image whose channels are rows, and returns the Reshape before it.
func (l *layerNorm) batchNorm(o graphdef.Output) (before *graphdef.Node, ok bool) {
	n := l.take(o, "FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
	if n == nil || !isFloat(n) {
		return nil, false
	}
	r := n.AttrReader()
	if r.Has("is_training") && !r.Bool("is_training") || !r.Has("data_format") || r.Str("data_format") != "NCHW" {
		return nil, false
	}
	l.eps = 1e-4 // what the op's definition says
	if r.Has("epsilon") {
		l.eps = r.Float("epsilon")
	}
	for i := 1; i < 6; i++ {
		if l.f.uses[n.Out(i)] > 0 || l.f.kept[n.Out(i)] {
			return nil, false
		}
	}
	before = l.take(n.Input(0), "Reshape")
	if before == nil || r.Err() != nil {
		return nil, false
	}
	shape := before.Input(1).Node
	if shape.Op() != "Pack" || shape.NumInputs() != 4 || !l.f.isOne(shape.Input(0)) || !l.f.isOne(shape.Input(3)) {
		return nil, false
	}
	return before, l.filled(n.Input(1), shape.Input(1), 1) && l.filled(n.Input(2), shape.Input(1), 0)
}

// filled reports whether o is a vector of n numbers v.
func (l *layerNorm) filled(o, n graphdef.Output, v float32) bool {
	if o.Index != 0 || o.Node.Op() != "Fill" {
		return false
	}
	dims := o.Node.Input(0).Node
	c, ok := l.f.scalar(o.Node.Input(1))
	return ok && c == v && dims.Op() == "Pack" && dims.NumInputs() == 1 && dims.Input(0) == n
}

// isOne reports whether o is the integer 1.
func (f *fusion) isOne(o graphdef.Output) bool {
	t := f.constant(o)
	if t == nil || t.DType() == tensor.String || t.Len() != 1 {
		return false
	}
	v, err := scalarInt(t, "dimension")
	return err == nil && v == 1
}
