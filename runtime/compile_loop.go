package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
)

// emitLoop appends the step of a loop that is built of v1 frames.
func (sc *scope) emitLoop(r *flow.Region, b *block) error {
	l := &loop{}
	st := step{name: r.Loop.LoopCond.Name(), op: "while", loop: l}
	outerSlot := func(n *graphdef.Node) (int32, error) { return sc.slot(n.Input(0), n) }
	for _, n := range r.Loop.Invariants {
		if !sc.needed[n] {
			continue
		}
		s, err := outerSlot(n)
		if err != nil {
			return err
		}
		sc.slots[n.Out(0)] = s
		if err := sc.observeAtStart(n.Out(0), &l.body); err != nil {
			return err
		}
		if sc.c.mayDie[s] {
			st.in = append(st.in, s)
		}
	}
	var vars []flow.LoopVar
	for _, v := range r.Loop.Vars {
		if !sc.needed[v.Merge] {
			continue
		}
		init, err := outerSlot(v.Enter)
		if err != nil {
			return err
		}
		cur := sc.c.newSlot()
		sc.slots[v.Enter.Out(0)] = init
		sc.slots[v.Merge.Out(0)] = cur
		if v.Switch != nil {
			sc.slots[v.Switch.Out(0)] = cur
			sc.slots[v.Switch.Out(1)] = cur
		}
		st.in = append(st.in, init)
		l.vars = append(l.vars, loopVar{init: init, cur: cur, exit: -1})
		vars = append(vars, v)
		sc.observeVar(v, cur, l)
	}
	list, err := sc.arrange(r)
	if err != nil {
		return err
	}
	cond, body := sc.splitLoop(r, list)
	if err := sc.emit(cond, &l.cond); err != nil {
		return err
	}
	if l.pred, err = sc.slot(r.Loop.Cond, r.Loop.LoopCond); err != nil {
		return err
	}
	sc.slots[r.Loop.LoopCond.Out(0)] = l.pred
	if err := sc.emit(body, &l.body); err != nil {
		return err
	}
	for i, v := range vars {
		if l.vars[i].next, err = sc.slot(v.Next.Input(0), v.Next); err != nil {
			return err
		}
		for _, exit := range v.Exits {
			if !sc.needed[exit] {
				continue
			}
			if l.vars[i].exit < 0 {
				l.vars[i].exit = sc.c.newSlot()
				st.out = append(st.out, l.vars[i].exit)
			}
			sc.put(exit.Out(0), l.vars[i].exit)
		}
	}
	sc.finishLoop(&st)
	for _, v := range vars {
		for _, exit := range v.Exits {
			if sc.needed[exit] {
				sc.observeResult(exit.Out(0), &st)
			}
		}
	}
	b.steps = append(b.steps, st)
	return nil
}

// observeVar notes the names under which a loop variable's value is observed in each iteration.
func (sc *scope) observeVar(v flow.LoopVar, cur int32, l *loop) {
	values := []graphdef.Output{v.Merge.Out(0)}
	if v.Switch != nil {
		values = append(values, v.Switch.Out(1))
	}
	for _, o := range values {
		if name := sc.observed(o); name != "" {
			l.observe = append(l.observe, observation{cur, name})
		}
	}
}

// observeResult notes that an output of st is observed under o's name.
func (sc *scope) observeResult(o graphdef.Output, st *step) {
	if name := sc.observed(o); name != "" {
		st.observe = append(st.observe, observation{sc.slots[o], name})
	}
}

// finishLoop marks how a loop step can be dead: TensorFlow runs none of a loop whose variables are dead.
func (sc *scope) finishLoop(st *step) {
	for _, in := range st.in {
		st.mayDie = st.mayDie || sc.c.mayDie[in]
	}
	if st.mayDie {
		for _, o := range st.out {
			sc.c.mayDie[o] = true
		}
	}
}

// splitLoop divides the members of loop r into those that the condition needs and the others, each in order.
func (sc *scope) splitLoop(r *flow.Region, list []member) (cond, body []member) {
	want := map[member]bool{}
	frame := sc.frameNodes(r)
	stack := []*graphdef.Node{r.Loop.Cond.Node}
	seen := map[*graphdef.Node]bool{}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		m := sc.memberOf(n, r)
		if seen[n] || frame[n] || m == (member{}) {
			continue
		}
		seen[n] = true
		want[m] = true
		nodes := []*graphdef.Node{n}
		if m.loop != nil {
			nodes = sc.neededInside(m.loop, nil)
		}
		for _, n := range nodes {
			for _, in := range n.Inputs() {
				stack = append(stack, in.Node)
			}
			stack = append(stack, n.Controls()...)
		}
	}
	for _, m := range list {
		if want[m] {
			cond = append(cond, m)
		} else {
			body = append(body, m)
		}
	}
	return cond, body
}

// setLifetimes decides, for the blocks of seq, which run one after the other in one region, after which step each slot that
// they set is released. Slots of keep live on. start are slots that are set before the first step. It returns the slots of
// enclosing regions that the blocks read, and all slots that live in them.
func (c *compiler) setLifetimes(seq []*block, keep map[int32]bool, start []int32) (outer, locals []int32) {
	home := map[int32]bool{}
	for _, s := range start {
		home[s] = true
	}
	locals = slices.Clone(start)
	last := map[int32]*step{}
	outerSet := map[int32]bool{}
	use := func(slot int32, st *step) {
		if home[slot] {
			last[slot] = st
		} else if c.constOf[slot] == nil && !outerSet[slot] {
			outerSet[slot] = true
			outer = append(outer, slot)
		}
	}
	for _, b := range seq {
		for i := range b.steps {
			st := &b.steps[i]
			for _, s := range c.nestedUses(st) {
				use(s, st)
			}
			for _, s := range st.in {
				use(s, st)
			}
			for _, d := range st.dims {
				for _, p := range d.parts {
					// The header of what an iteration sets stays until the next.
					if p.slot >= 0 && !(home[p.slot] && len(seq) > 1) {
						use(p.slot, st)
					}
				}
			}
			for _, s := range st.controls {
				use(s, st)
			}
			for _, s := range st.out {
				if !home[s] {
					home[s] = true
					locals = append(locals, s)
				}
				last[s] = st
			}
		}
	}
	exits, through := map[*step]bool{}, map[int32]bool{}
	if len(seq) > 1 { // a loop: its condition, what runs once, its body
		// A loop variable that only the condition reads must outlive it: after the last condition its Exit takes it.
		for i := range seq[0].steps {
			exits[&seq[0].steps[i]] = true
		}
		// What runs once must live through all iterations where these read it.
		once := map[*step]bool{}
		for i := range seq[1].steps {
			once[&seq[1].steps[i]] = true
		}
		for st := range once {
			for _, o := range st.out {
				through[o] = !once[last[o]]
			}
		}
	}
	for i, s := range locals {
		if st := last[s]; st != nil && !keep[s] && !through[s] && !(i < len(start) && exits[st]) {
			st.free = append(st.free, s)
		}
	}
	for _, b := range seq {
		for i := range b.steps {
			st := &b.steps[i]
			if st.loop != nil || st.branch != nil {
				continue
			}
			for j, s := range st.in {
				if j < 64 && slices.Contains(st.free, s) && count(st.in, s) == 1 {
					st.dies |= 1 << j
				}
			}
		}
	}
	return outer, locals
}

// nestedUses sets the lifetimes inside a loop or branch step and returns the slots outside that it reads.
func (c *compiler) nestedUses(st *step) []int32 {
	switch {
	case st.loop != nil:
		l := st.loop
		keep := map[int32]bool{l.pred: true}
		var start []int32
		for _, v := range l.vars {
			keep[v.next] = true
			start = append(start, v.cur)
		}
		outer, locals := c.setLifetimes([]*block{&l.cond, &l.once, &l.body}, keep, start)
		l.locals = locals
		own := map[int32]bool{}
		for _, s := range locals {
			own[s] = true
		}
		for _, v := range l.vars {
			own[v.cur] = false
		}
		for i := range l.once.steps {
			for _, o := range l.once.steps[i].out {
				own[o] = false
			}
		}
		for i := range l.vars {
			l.vars[i].ownsNext = own[l.vars[i].next]
			if !own[l.vars[i].next] && !slices.Contains(start, l.vars[i].next) {
				outer = append(outer, l.vars[i].next)
			}
			outer = append(outer, l.vars[i].init)
		}
		if !slices.Contains(locals, l.pred) {
			outer = append(outer, l.pred)
		}
		return c.notConstant(outer)
	case st.branch != nil:
		var all []int32
		for i := range st.branch.blocks {
			keep := map[int32]bool{}
			for _, s := range st.branch.results[i] {
				keep[s] = true
			}
			outer, locals := c.setLifetimes([]*block{&st.branch.blocks[i]}, keep, nil)
			st.branch.locals = append(st.branch.locals, locals...)
			for _, s := range st.branch.results[i] {
				if !slices.Contains(locals, s) {
					outer = append(outer, s)
				}
			}
			all = append(all, outer...)
		}
		return c.notConstant(all)
	}
	return nil
}

func (c *compiler) notConstant(slots []int32) []int32 {
	return slices.DeleteFunc(slots, func(s int32) bool { return c.constOf[s] != nil })
}

func count(list []int32, v int32) (n int) {
	for _, x := range list {
		if x == v {
			n++
		}
	}
	return n
}
