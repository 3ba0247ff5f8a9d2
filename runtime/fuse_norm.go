package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// layerNorm collects what a layer normalization is made of while its nodes are matched.
type layerNorm struct {
	f              *fusion
	x, gamma, beta graphdef.Output
	mean, rsqrt    graphdef.Output
	eps            float32
	interior       []*graphdef.Node
}

// fuseLayerNorm matches, ending in n, the three ways in which layer normalization over the last dimension is written
// (m mean, v variance, r = Rsqrt(v + eps)):
//
//	((x - m)·r)·gamma + beta              TF1 official models, Tensor2Tensor, OpenNMT-tf
//	x·(r·gamma) + (beta - m·(r·gamma))    moments and batch_normalization: Google's BERT
//	x·(r·gamma) + (-m·(r·gamma) + beta)   Keras 3
//
// v is Mean(SquaredDifference(x, m)) or Mean(Square(x - m)). The fused step subtracts the mean first, whatever the form.
func fuseLayerNorm(f *fusion, n *graphdef.Node) *fusedStep {
	if !isAdd(n) || !isFloat(n) {
		return nil
	}
	for i := range 2 {
		for _, form := range []func(l *layerNorm, a, b graphdef.Output) bool{(*layerNorm).plain, (*layerNorm).scaled} {
			l := &layerNorm{f: f}
			if form(l, n.Input(i), n.Input(1-i)) && l.statistics() && f.closed(l.interior, n) {
				st, ok := f.newNormStep(l.eps, n.Input(i).Node, n)
				if !ok {
					return nil
				}
				return &fusedStep{
					op:       "LayerNorm",
					inputs:   []graphdef.Output{l.x, l.gamma, l.beta},
					interior: l.interior,
					eval:     st.eval,
					rows:     same(normRows),
				}
			}
		}
	}
	return nil
}

// take notes o's node as part of the pattern and returns it, if it is one of ops.
func (l *layerNorm) take(o graphdef.Output, ops ...string) *graphdef.Node {
	if o.Index != 0 || !leads(o, ops...) {
		return nil
	}
	for _, n := range l.interior {
		if n == o.Node {
			return n
		}
	}
	l.interior = append(l.interior, o.Node)
	return o.Node
}

// plain matches product = ((x - m)·r)·gamma and beta.
func (l *layerNorm) plain(product, beta graphdef.Output) bool {
	mul := l.take(product, "Mul")
	if mul == nil {
		return false
	}
	l.beta = beta
	for i := range 2 {
		inner := mul.Input(i)
		if inner.Node.Op() != "Mul" {
			continue
		}
		for j := range 2 {
			sub, r := inner.Node.Input(j), inner.Node.Input(1-j)
			if sub.Node.Op() == "Sub" && r.Node.Op() == "Rsqrt" {
				l.take(inner, "Mul")
				l.take(sub, "Sub")
				l.x, l.mean, l.rsqrt, l.gamma = sub.Node.Input(0), sub.Node.Input(1), r, mul.Input(1-i)
				return true
			}
		}
	}
	return false
}

// scaled matches product = x·inv and rest = beta - m·inv or beta + (-m)·inv, with inv = r·gamma.
func (l *layerNorm) scaled(product, rest graphdef.Output) bool {
	mul := l.take(product, "Mul")
	if mul == nil {
		return false
	}
	for i := range 2 {
		inv := mul.Input(i)
		if inv.Node.Op() != "Mul" {
			continue
		}
		for j := range 2 {
			if inv.Node.Input(j).Node.Op() != "Rsqrt" {
				continue
			}
			l.x, l.rsqrt, l.gamma = mul.Input(1-i), inv.Node.Input(j), inv.Node.Input(1-j)
			l.take(inv, "Mul")
			return l.shift(rest, inv)
		}
	}
	return false
}

// shift matches beta - m·inv or beta + (-m)·inv.
func (l *layerNorm) shift(rest, inv graphdef.Output) bool {
	n := l.take(rest, "Sub", "Add", "AddV2")
	if n == nil {
		return false
	}
	for i := range 2 {
		prod := n.Input(i)
		if prod.Node.Op() != "Mul" || (n.Op() == "Sub" && i == 0) {
			continue
		}
		for j := range 2 {
			if prod.Node.Input(j) != inv {
				continue
			}
			m := prod.Node.Input(1 - j)
			if n.Op() != "Sub" {
				neg := l.take(m, "Neg")
				if neg == nil {
					continue
				}
				m = neg.Input(0)
			}
			l.take(prod, "Mul")
			l.mean, l.beta = m, n.Input(1-i)
			return true
		}
	}
	return false
}

// statistics matches r = Rsqrt(v + eps), v and m over the last dimension of x.
func (l *layerNorm) statistics() bool {
	variance, ok := l.root()
	return ok && l.meanOf(l.mean, l.x) && l.varianceOf(variance)
}

// root matches r = Rsqrt(v + eps) and returns v.
func (l *layerNorm) root() (v graphdef.Output, ok bool) {
	r := l.take(l.rsqrt, "Rsqrt")
	if r == nil {
		return v, false
	}
	add := l.take(r.Input(0), "AddV2", "Add")
	if add == nil {
		return v, false
	}
	for i := range 2 {
		if l.eps, ok = l.f.scalar(add.Input(1 - i)); ok {
			return add.Input(i), true
		}
	}
	return v, false
}

// meanOf reports whether m is the mean of x over its last dimension, kept.
func (l *layerNorm) meanOf(m, x graphdef.Output) bool {
	n := l.take(m, "Mean")
	return n != nil && n.Input(0) == x && l.lastKept(n, x)
}

// lastKept reports whether n reduces x over its last dimension and keeps that.
func (l *layerNorm) lastKept(n *graphdef.Node, x graphdef.Output) bool {
	keep, _ := n.Bool("keep_dims")
	axis := l.f.constant(n.Input(1))
	if !keep || axis == nil || axis.Len() != 1 {
		return false
	}
	switch axis.DType() {
	case tensor.Int32:
		return l.lastAxis(int(tensor.Data[int32](axis)[0]), x)
	case tensor.Int64:
		return l.lastAxis(int(tensor.Data[int64](axis)[0]), x)
	}
	return false
}

// lastAxis reports whether axis is the last one of o: -1, or its rank less one where that is known.
func (l *layerNorm) lastAxis(axis int, o graphdef.Output) bool {
	if axis == -1 {
		return true
	}
	rank, ok := l.f.rank(o)
	return ok && axis == rank-1
}

// varianceOf reports whether v is the mean of the squared deviations of x from its mean.
func (l *layerNorm) varianceOf(v graphdef.Output) bool {
	if v.Node.Op() != "Mean" || v.Node.NumInputs() < 1 {
		return false
	}
	squares := v.Node.Input(0)
	switch n := l.take(squares, "SquaredDifference", "Square"); {
	case n == nil:
		return false
	case n.Op() == "Square":
		d := l.take(n.Input(0), "Sub")
		if d == nil || d.Input(0) != l.x || l.throughStop(d.Input(1)) != l.mean {
			return false
		}
	case n.Input(0) != l.x || l.throughStop(n.Input(1)) != l.mean:
		return false
	}
	return l.meanOf(v, squares)
}

// throughStop looks through the StopGradient that moments puts before the mean.
func (l *layerNorm) throughStop(o graphdef.Output) graphdef.Output {
	if n := l.take(o, "StopGradient"); n != nil {
		return n.Input(0)
	}
	return o
}

// normStep normalizes the rows of input 0, with gain 1 and, unless it is an RMS norm, shift 2.
type normStep struct {
	eps    float32
	rms    bool
	scale  step // the product with the gain and the sum with the shift, for shapes that are broadcast
	shift  step
	around bool // inputs 3 and 4 are the shapes of the reshapes before and after
}

// newNormStep returns the step of a normalization, of which mul and add (nil for an RMS norm) apply gain and shift.
func (f *fusion) newNormStep(eps float32, mul, add *graphdef.Node) (*normStep, bool) {
	s := &normStep{eps: eps, rms: add == nil}
	for _, part := range []struct {
		st *step
		n  *graphdef.Node
	}{{&s.scale, mul}, {&s.shift, add}} {
		if part.n == nil {
			continue
		}
		newEval, ok := lookupEvaluator(part.n.Op())
		if !ok {
			return nil, false
		}
		eval, err := newEval(part.n, f.sc.c.kernels)
		if err != nil {
			return nil, false
		}
		*part.st = step{name: part.n.Name(), op: part.n.Op(), eval: eval, out: make([]int32, 1)}
	}
	return s, true
}

func (s *normStep) eval(c *call) error {
	x, gamma := c.in(0), c.in(1)
	if x.Rank() == 0 {
		return fmt.Errorf("normalization of a scalar")
	}
	cols := x.Shape()[x.Rank()-1]
	var outer, inner [8]int
	shape := append(outer[:0], x.Shape()...)
	if s.around {
		first, err := c.reshapeTo(inner[:0], x.Len(), 3)
		if err != nil {
			return err
		}
		if shape, err = c.reshapeTo(outer[:0], x.Len(), 4); err != nil {
			return err
		}
		cols = first[2]
	}
	fits := func(v *tensor.Tensor) bool {
		return len(shape) > 0 && shape[len(shape)-1] == cols && v.Len() == cols && isRow(v) && v.Rank() <= len(shape)
	}
	if !fits(gamma) || !s.rms && !fits(c.in(2)) {
		return s.broadcast(c, shape, cols)
	}
	t, err := c.allocOver(0, tensor.Float32, shape, 1)
	if err != nil || x.Len() == 0 {
		return err
	}
	var beta []float32
	if !s.rms {
		beta = tensor.Data[float32](c.in(2))
	}
	s.rows(c, tensor.Data[float32](t), x, cols, tensor.Data[float32](gamma), beta)
	return nil
}

// rows normalizes rows of cols elements.
func (s *normStep) rows(c *call, dst []float32, x *tensor.Tensor, cols int, gamma, beta []float32) {
	if s.rms {
		c.kernels().RMSNorm(dst, tensor.Data[float32](x), x.Len()/cols, cols, gamma, s.eps)
		return
	}
	c.kernels().LayerNorm(dst, tensor.Data[float32](x), x.Len()/cols, cols, gamma, beta, s.eps)
}

// broadcast is eval for a gain or shift that is not one number for each column.
func (s *normStep) broadcast(c *call, shape tensor.Shape, cols int) error {
	x := c.in(0)
	y := tensor.New(tensor.Float32, shape.Clone())
	if x.Len() > 0 {
		ones := make([]float32, cols)
		for i := range ones {
			ones[i] = 1
		}
		s.rows(c, tensor.Data[float32](y), x, cols, ones, make([]float32, cols))
	}
	out, err := c.s.detached(&s.scale, y, c.in(1))
	if err == nil && !s.rms {
		out, err = c.s.detached(&s.shift, out[0], c.in(2))
	}
	if err != nil {
		return err
	}
	c.set(0, out[0])
	return nil
}

// isRow reports whether t is a vector, or one with leading dimensions of 1.
func isRow(t *tensor.Tensor) bool {
	return t.Rank() > 0 && t.Shape()[t.Rank()-1] == t.Len()
}
