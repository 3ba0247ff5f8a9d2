package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// beamTopK is what a beam search keeps of its scores: TopKV2 over LogSoftmax(x) + add, where add has one number for each row of
// x and reshapes may stand between. Inputs: x, add, k and the shapes of the reshapes.
type beamTopK struct {
	split, join int         // input numbers of the shapes after LogSoftmax and after the addition; -1: there is no reshape
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
//	LogSoftmax [Reshape] AddV2 [Reshape] TopKV2
//
// so that the matrix of all scores is never written.
func fuseBeamTopK(f *fusion, n *graphdef.Node) *fusedStep {
	if n.Op() != "TopKV2" || !isFloat(n) || n.NumInputs() != 2 {
		return nil
	}
	if r := n.AttrReader(); r.Has("index_type") && r.Type("index_type") != tensor.Int32 {
		return nil
	}
	b := &beamTopK{split: -1, join: -1}
	st := &fusedStep{op: "BeamTopK", outputs: 2}
	below := func(o graphdef.Output, ops ...string) *graphdef.Node {
		if o.Index != 0 || !leads(o, ops...) || !f.private(o, n) {
			return nil
		}
		st.interior = append(st.interior, o.Node)
		return o.Node
	}
	at := n.Input(0)
	var split, join graphdef.Output
	if r := below(at, "Reshape"); r != nil {
		at, join, b.join = r.Input(0), r.Input(1), 0
	}
	add := below(at, "AddV2", "Add")
	if add == nil || !isFloat(add) {
		return nil
	}
	side := -1
	for i := range 2 {
		o := add.Input(i)
		if leads(o, "Reshape") && leads(o.Node.Input(0), "LogSoftmax") || leads(o, "LogSoftmax") {
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
	log := below(at, "LogSoftmax")
	if log == nil || !isFloat(log) {
		return nil
	}
	st.inputs = []graphdef.Output{log.Input(0), add.Input(1 - side), n.Input(1)}
	for _, extra := range []struct {
		at *int
		o  graphdef.Output
	}{{&b.split, split}, {&b.join, join}} {
		if *extra.at == 0 {
			*extra.at = len(st.inputs)
			st.inputs = append(st.inputs, extra.o)
		}
	}
	for _, m := range append([]*graphdef.Node{n}, st.interior...) {
		p := beamStage{step: step{name: m.Name(), op: m.Op(), out: make([]int32, 1)}, extra: -1}
		switch m.Op() {
		case "TopKV2":
			p.extra, p.step.out = 2, make([]int32, 2)
		case "AddV2", "Add":
			p.extra, p.swapped = 1, side == 1
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
	st.eval = b.eval
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
		if split, err = reshapeTo(split[:0], x.Len(), c.in(b.split)); err != nil {
			return err
		}
	}
	join := tensor.Shape(append(joinBuf[:0], split...))
	if b.join >= 0 {
		if join, err = reshapeTo(join[:0], x.Len(), c.in(b.join)); err != nil {
			return err
		}
	}
	cols := 0
	if x.Rank() > 0 {
		cols = x.Shape()[x.Rank()-1]
	}
	if !b.fits(split, join, add.Shape(), cols, k) {
		return b.evalPlain(c)
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
	for i := range len(vals) / k {
		c.kernels().TopKLogSoftmax(in[i*width:][:width], beams, cols, sums[i*beams:][:beams], k, vals[i*k:][:k], idx[i*k:][:k], &c.s.topk)
	}
	return nil
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
