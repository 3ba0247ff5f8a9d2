package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// beamTopK is what a beam search keeps of its scores: TopKV2 over LogSoftmax(x) + add, where add has one number for each row of
// x and reshapes may stand between. Inputs: x, add, k and the shapes of the reshapes and the divisor.
type beamTopK struct {
	split, join int         // input numbers of the shapes after LogSoftmax and after the addition; -1: there is no reshape
	divisor     int         // input number of what the sums are divided by before they are joined, -1 if they are not
	guarded     bool        // rows whose maximum is not finite are no matter of LogSoftmax
	stages      []beamStage // the nodes in order, for inputs that are not of that kind
}

// beamStage is one node: its step, and the number of the input that it reads beside what the stage before gives, -1 for none.
type beamStage struct {
	step    step
	extra   int
	swapped bool // the other input comes first
}

// fuseBeamTopK matches, ending in n,
//
//	LogSoftmax [Reshape] AddV2 [RealDiv] [Reshape] TopKV2
//
// where x - reduce_logsumexp(x) may stand in place of LogSoftmax, so that the matrix of all scores is never written.
func fuseBeamTopK(f *fusion, n *graphdef.Node) *fusedStep {
	if n.Op() != "TopKV2" || !isFloat(n) || n.NumInputs() != 2 {
		return nil
	}
	if r := n.AttrReader(); r.Has("index_type") && r.Type("index_type") != tensor.Int32 {
		return nil
	}
	b := &beamTopK{split: -1, join: -1, divisor: -1}
	st := &fusedStep{op: "BeamTopK", outputs: 2}
	below := func(o graphdef.Output, ops ...string) *graphdef.Node {
		if o.Index != 0 || !leads(o, ops...) || !f.private(o, n) {
			return nil
		}
		st.interior = append(st.interior, o.Node)
		return o.Node
	}
	at := n.Input(0)
	var split, join, divisor graphdef.Output
	if r := below(at, "Reshape"); r != nil {
		at, join, b.join = r.Input(0), r.Input(1), 0
	}
	if d := below(at, "RealDiv"); d != nil {
		at, divisor, b.divisor = d.Input(0), d.Input(1), 0
	}
	add := below(at, "AddV2", "Add")
	if add == nil || !isFloat(add) {
		return nil
	}
	side := -1
	for i := range 2 {
		o := add.Input(i)
		if f.isLogSoftmax(o) || leads(o, "Reshape") && f.isLogSoftmax(o.Node.Input(0)) {
			side = i
			break
		}
	}
	if side < 0 {
		return nil
	}
	at = add.Input(side)
	if r := below(at, "Reshape"); r != nil {
		at, split, b.split = r.Input(0), r.Input(1), 0
	}
	log := below(at, "LogSoftmax", "Sub")
	if log == nil || !isFloat(log) {
		return nil
	}
	single := append([]*graphdef.Node{n}, st.interior...)
	spelled, ok := f.matchLogSumExp(log)
	if ok {
		b.guarded = spelled.guarded
		if st.interior = append(st.interior, spelled.interior...); !f.closed(st.interior, n) {
			return nil
		}
	} else if log.Op() == "Sub" {
		return nil
	}
	st.inputs = []graphdef.Output{log.Input(0), add.Input(1 - side), n.Input(1)}
	for _, extra := range []struct {
		at *int
		o  graphdef.Output
	}{{&b.split, split}, {&b.join, join}, {&b.divisor, divisor}} {
		if *extra.at == 0 {
			*extra.at = len(st.inputs)
			st.inputs = append(st.inputs, extra.o)
		}
	}
	for _, m := range single {
		p := beamStage{step: step{name: m.Name(), op: m.Op(), out: make([]int32, 1)}, extra: -1}
		switch m.Op() {
		case "TopKV2":
			p.extra, p.step.out = 2, make([]int32, 2)
		case "AddV2", "Add":
			p.extra, p.swapped = 1, side == 1
		case "RealDiv":
			p.extra = b.divisor
		case "Sub":
			p.step.eval = spelled.eval
			b.stages = append(b.stages, p)
			continue
		case "Reshape":
			if p.extra = b.join; m.Input(0).Node == log {
				p.extra = b.split
			}
		}
		newEval, ok := lookupEvaluator(m.Op())
		if !ok {
			return nil
		}
		var err error
		if p.step.eval, err = newEval(m, f.sc.c.kernels); err != nil {
			return nil
		}
		b.stages = append(b.stages, p)
	}
	slices.Reverse(b.stages)
	st.eval, st.rows = b.eval, b.rowRule()
	return st
}

func (b *beamTopK) eval(c *call) error {
	x, add := c.in(0), c.in(1)
	k, err := scalarInt(c.in(2), "k")
	if err != nil {
		return err
	}
	var splitBuf, joinBuf [8]int
	split := tensor.Shape(append(splitBuf[:0], x.Shape()...))
	if b.split >= 0 {
		if split, err = c.reshapeTo(split[:0], x.Len(), b.split); err != nil {
			return err
		}
	}
	join := tensor.Shape(append(joinBuf[:0], split...))
	if b.join >= 0 {
		if join, err = c.reshapeTo(join[:0], x.Len(), b.join); err != nil {
			return err
		}
	}
	cols := 0
	if x.Rank() > 0 {
		cols = x.Shape()[x.Rank()-1]
	}
	if !b.fits(split, join, add.Shape(), cols, k) || b.guarded && !finiteRows(c, x, cols) {
		return b.evalPlain(c)
	}
	divisor := float32(1)
	if b.divisor >= 0 {
		d := c.in(b.divisor)
		if d.Len() != 1 || d.Rank() > len(split) {
			return b.evalPlain(c)
		}
		if divisor = tensor.Data[float32](d)[0]; !(divisor > 0 && isFinite(divisor)) {
			return b.evalPlain(c)
		}
	}
	var dims [8]int
	shape := append(append(dims[:0], join[:len(join)-1]...), k)
	values, err := c.alloc(0, tensor.Float32, shape)
	if err != nil {
		return err
	}
	indices, err := c.alloc(1, tensor.Int32, shape)
	if err != nil || k == 0 || values.Len() == 0 {
		return err
	}
	width := join[len(join)-1]
	beams := width / cols
	in, sums, vals, idx := tensor.Data[float32](x), tensor.Data[float32](add), tensor.Data[float32](values), tensor.Data[int32](indices)
	if divisor != 1 {
		if !b.divided(c, in, sums, width, cols, k, divisor, vals, idx) {
			return b.evalPlain(c)
		}
		return nil
	}
	for i := range len(vals) / k {
		c.kernels().TopKLogSoftmax(in[i*width:][:width], beams, cols, sums[i*beams:][:beams], k, vals[i*k:][:k], idx[i*k:][:k], &c.s.topk)
	}
	return nil
}

// moreThanK is how many more sums than wanted are looked at before a division, which can make different sums equal.
const moreThanK = 8

// divided is what eval does where the sums are divided before the best are chosen. It reports false where more sums than it
// looks at have become equal: of these, the first in the row count.
func (b *beamTopK) divided(c *call, in, sums []float32, width, cols, k int, divisor float32, vals []float32, idx []int32) bool {
	beams, many := width/cols, min(k+moreThanK, width)
	c.s.product, c.s.parents = growFloats(c.s.product, many), growInts(c.s.parents, many)
	v, at := c.s.product, c.s.parents
	for i := range len(vals) / k {
		c.kernels().TopKLogSoftmax(in[i*width:][:width], beams, cols, sums[i*beams:][:beams], many, v, at, &c.s.topk)
		for j := range v {
			v[j] /= divisor
			for p := j; p > 0 && v[p] == v[p-1] && at[p] < at[p-1]; p-- {
				at[p], at[p-1] = at[p-1], at[p]
			}
		}
		if v[many-1] != v[many-1] || many < width && v[many-1] == v[k-1] {
			return false
		}
		copy(vals[i*k:][:k], v)
		copy(idx[i*k:][:k], at)
	}
	return true
}

// finiteRows reports whether each row of x has a finite maximum.
func finiteRows(c *call, x *tensor.Tensor, cols int) bool {
	for d := tensor.Data[float32](x); len(d) > 0; d = d[cols:] {
		if !isFinite(c.kernels().MaxValue(d[:cols])) {
			return false
		}
	}
	return true
}

// isLogSoftmax reports whether o is LogSoftmax, however written.
func (f *fusion) isLogSoftmax(o graphdef.Output) bool {
	_, spelled := f.matchLogSumExp(o.Node)
	return leads(o, "LogSoftmax") || spelled
}

// fits reports whether add has one number for each row of split, whose rows are x's, and each row of join is whole rows of x.
func (b *beamTopK) fits(split, join, add tensor.Shape, cols, k int) bool {
	if len(split) == 0 || len(join) == 0 || cols == 0 || split[len(split)-1] != cols || join[len(join)-1]%cols != 0 || k < 0 || k > join[len(join)-1] {
		return false
	}
	return len(add) == len(split) && add[len(add)-1] == 1 && slices.Equal(add[:len(add)-1], split[:len(split)-1])
}

// evalPlain runs the nodes one after the other.
func (b *beamTopK) evalPlain(c *call) error {
	t := c.in(0)
	for _, p := range b.stages {
		inputs := []*tensor.Tensor{t}
		if p.extra >= 0 {
			inputs = append(inputs, c.in(p.extra))
		}
		if p.swapped {
			slices.Reverse(inputs)
		}
		out, err := c.s.detached(&p.step, inputs...)
		if err != nil {
			return err
		}
		if len(out) == 2 {
			c.set(0, out[0])
			c.set(1, out[1])
		}
		t = out[0]
	}
	return nil
}
