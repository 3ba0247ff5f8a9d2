package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// maxFoldedBytes bounds what one step may grow to when it is computed at compile time: a Fill of a constant shape can be huge.
const maxFoldedBytes = 64 << 20

// foldConstants computes, with the interpreter itself, every step whose inputs are all constants, inside loops too, and removes
// it. A step that fails is kept: the error then comes when it runs, if it runs.
func (c *compiler) foldConstants(b *block) {
	p := &Plan{kernels: c.kernels, maxBytes: maxFoldedBytes}
	s := &Session{plan: p}
	s.arena.max = maxFoldedBytes
	s.call.s = s
	c.foldBlock(b, s)
}

// makes counts n bytes of constants that the graph does not spell out; false where all of them would be more than a session may
// have.
func (c *compiler) makes(n int64) bool {
	if c.opts.MaxBytes > 0 && n > c.opts.MaxBytes-c.made {
		return false
	}
	c.made += n
	return true
}

// allowConst checks the value of Const n: a few bytes of a file may stand for many equal elements.
func (c *compiler) allowConst(n *graphdef.Node, t *tensor.Tensor) error {
	if t.Len() == 0 {
		return (&arena{max: c.opts.MaxBytes}).allowEmpty(t.Shape())
	}
	a, _ := n.Attr("value")
	if a.Stored() == nil && len(a.Wire()) < len(t.Bytes()) && !c.makes(int64(len(t.Bytes()))) {
		return &LimitError{c.made + int64(len(t.Bytes())), c.opts.MaxBytes}
	}
	return nil
}

func (c *compiler) foldBlock(b *block, s *Session) {
	kept := b.steps[:0]
	for i := range b.steps {
		st := b.steps[i]
		if st.loop != nil {
			c.foldBlock(&st.loop.cond, s)
			c.foldBlock(&st.loop.body, s)
		}
		if st.branch != nil {
			for j := range st.branch.blocks {
				c.foldBlock(&st.branch.blocks[j], s)
			}
		}
		if !c.fold(&st, s) {
			kept = append(kept, st)
		}
	}
	b.steps = kept
}

// fold computes st if it can, and makes its outputs constants.
func (c *compiler) fold(st *step, s *Session) bool {
	if st.eval == nil || st.mayDie || len(st.observe) > 0 || len(st.in) == 0 || len(st.out) == 0 || st.stateful {
		return false
	}
	for _, in := range st.in {
		if c.constOf[in] == nil {
			return false
		}
	}
	// A session of just this step: its inputs first, then its outputs.
	local := *st
	local.in, local.out, local.dies = make([]int32, len(st.in)), make([]int32, len(st.out)), 0
	s.values = make([]value, len(st.in)+len(st.out))
	for i, in := range st.in {
		local.in[i] = int32(i)
		s.values[i].t = *c.constOf[in]
	}
	for i := range st.out {
		local.out[i] = int32(len(st.in) + i)
	}
	s.call.st = &local
	if err := st.eval(&s.call); err != nil {
		return false
	}
	var made int64
	for _, slot := range local.out {
		t := &s.values[slot].t
		made += int64(len(t.Bytes())) + textBytes(t)
	}
	if !c.makes(made) {
		return false
	}
	for i, slot := range local.out {
		v := &s.values[slot]
		if v.dead || v.t.DType() == tensor.Resource || v.t.DType() == tensor.Variant {
			return false
		}
		c.constOf[st.out[i]] = s.takeOut(v)
	}
	return true
}

func isStateful(op string) bool {
	sig, ok := graphdef.Lookup(op)
	return !ok || sig.Has(graphdef.Stateful)
}

// usedConstants returns the constants that p's steps or fetches read: those that were folded away, or packed for the kernels,
// need not be kept.
func (c *compiler) usedConstants(p *Plan) []constant {
	used := p.used()
	var out []constant
	for slot := range int32(c.numSlots) {
		if t := c.constOf[slot]; t != nil && used[slot] {
			out = append(out, constant{slot, t})
		}
	}
	return out
}

// used returns the slots that p's steps read, and its fetches.
func (p *Plan) used() map[int32]bool {
	used := map[int32]bool{}
	for _, f := range p.fetches {
		used[f.slot] = true
	}
	markUses(p.root, used)
	return used
}

// markUses notes every slot that a step of b reads, and those that observers see.
func markUses(b *block, used map[int32]bool) {
	for i := range b.steps {
		st := &b.steps[i]
		for _, s := range st.in {
			used[s] = true
		}
		for _, s := range st.controls {
			used[s] = true
		}
		for _, d := range st.dims {
			for _, p := range d.parts {
				if p.slot >= 0 {
					used[p.slot] = true
				}
			}
		}
		if l := st.loop; l != nil {
			used[l.pred] = true
			for _, v := range l.vars {
				used[v.init], used[v.next] = true, true
			}
			markUses(&l.cond, used)
			markUses(&l.once, used)
			markUses(&l.body, used)
		}
		if br := st.branch; br != nil {
			for j := range br.blocks {
				markUses(&br.blocks[j], used)
				for _, s := range br.results[j] {
					used[s] = true
				}
			}
		}
	}
}
