package runtime

import (
	"maps"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// leaving is what a loop of the outer graph needs so that rows can leave it.
type leaving struct {
	stay  []int32 // slots set outside the loop, once or by the condition that its iterations read, and those of after
	after []int32 // slots set before the loop that the steps behind it read
	rest  block   // the steps behind the loop
}

// findLeavers prepares the loops of the outer graph. It runs when the steps are in their final order.
func (c *compiler) findLeavers(p *Plan) {
	for i := range p.root.steps {
		st := &p.root.steps[i]
		if st.loop == nil || st.mayDie || len(st.observe) > 0 {
			continue
		}
		l := st.loop
		// Rows leave between condition and body: what the one sets and the other reads closes up too.
		inside, next := map[int32]bool{}, map[int32]bool{}
		markUses(&l.body, inside)
		for _, v := range l.vars {
			inside[v.next] = true
		}
		c.dropSet(&l.body, inside)
		markUses(&l.cond, next)
		c.dropSet(&l.cond, next)
		maps.Copy(inside, next)
		for _, v := range l.vars {
			delete(inside, v.cur)
		}
		leave := &leaving{rest: block{p.root.steps[i+1:]}}
		pure := true
		eachStep(&leave.rest, func(st *step) { pure = pure && (!st.stateful || st.op == "Assert") })
		if !pure {
			continue // steps with effects run once
		}
		after := map[int32]bool{}
		markUses(&leave.rest, after)
		for _, f := range p.fetches {
			after[f.slot] = true
		}
		c.dropSet(&leave.rest, after)
		for _, o := range st.out {
			delete(after, o)
		}
		for s := range after {
			if c.constOf[s] == nil {
				leave.after = append(leave.after, s)
				inside[s] = true
			}
		}
		for s := range inside {
			if c.constOf[s] == nil {
				leave.stay = append(leave.stay, s)
			}
		}
		slices.Sort(leave.after)
		slices.Sort(leave.stay)
		l.leave, p.hasLeavers = leave, true
	}
}

// dropSet deletes the slots that b sets.
func (c *compiler) dropSet(b *block, from map[int32]bool) {
	set := map[int32]bool{}
	for i := range b.steps {
		markOutputs(&b.steps[i], set)
	}
	for s := range set {
		delete(from, s)
	}
}

// settled is the number of iterations after which the forms of a loop's variables are known: the second finds them in the forms
// that the first gave them, with other lengths in time.
const settled = 2

// enter gives the variables of l the forms of their initial values.
func (r *rowRun) enter(l *loop) {
	for _, v := range l.vars {
		r.forms[v.cur] = r.forms[v.init]
	}
}

// exit gives what leaves l the forms of its variables.
func (r *rowRun) exit(l *loop) {
	for _, v := range l.vars {
		if v.exit >= 0 {
			r.forms[v.exit] = r.forms[v.cur]
		}
	}
	r.watch, r.known = true, false
}

// advance gives the variables of l the forms of their next values after an iteration, and reports whether that is how it goes on.
func (r *rowRun) advance(l *loop, iteration int) bool {
	next := make([]rowForm, len(l.vars))
	for i, v := range l.vars {
		next[i] = r.forms[v.next]
	}
	same := true
	for i, v := range l.vars {
		a, b := r.forms[v.cur], next[i]
		same = same && a.kind == b.kind && a.axis == b.axis && a.each == b.each && a.deps == b.deps && a.flat == b.flat
		r.forms[v.cur] = b
	}
	return same || iteration+1 < settled
}

// leave lets the rows go for which alone the loop of st would end here: their values go on to the steps behind it, and those of
// the others close up. The condition has just been found to hold for all rows together.
func (s *Session) leave(st *step) error {
	r, l := s.rows, st.loop
	verdict := r.forms[l.pred]
	if verdict.kind != formVerdict || !s.canSplit(l) {
		return s.stayTogether()
	}
	var gone, order []int // order: the rows that stay, each at the place that it then has
	for i, stays := range verdict.alone {
		if !stays {
			gone = append(gone, i)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	n := len(r.rows)
	kept := n - len(gone)
	if kept == 0 {
		return errMixed // though together they would go on
	}
	for i, last := 0, n; i < kept; i++ {
		from := i
		if !verdict.alone[i] {
			for last--; !verdict.alone[last]; last-- {
			}
			from = last
		}
		order = append(order, from)
	}
	if err := s.finish(l, gone); err != nil {
		return err
	}
	var moved []*rowCache
	for _, v := range l.vars {
		if err := s.closeUp(v.cur, order, &moved); err != nil {
			return err
		}
	}
	for _, slot := range l.leave.stay {
		if err := s.closeUp(slot, order, &moved); err != nil {
			return err
		}
	}
	rows := make([]int, kept)
	for i, from := range order {
		rows[i] = r.rows[from]
	}
	r.rows = rows
	return nil
}

// stayTogether ends the search for rows that can leave, in this run and all others of the plan.
func (s *Session) stayTogether() error {
	if len(s.rows.groups) > 0 {
		return errMixed
	}
	s.rows = nil
	s.plan.mixes.Store(true)
	return nil
}

// canSplit reports whether all that lives in l while its condition is looked at can be divided by rows.
func (s *Session) canSplit(l *loop) bool {
	for _, v := range l.vars {
		if !s.splits(v.cur) {
			return false
		}
	}
	for _, slot := range l.leave.stay {
		if !s.splits(slot) {
			return false
		}
	}
	return true
}

func (s *Session) splits(slot int32) bool {
	f, v := s.rows.forms[slot], &s.values[slot]
	switch {
	case v.dead:
		return false
	case v.rep.folded && (f.kind != formRows || f.axis > 0 || v.t.Shape().Elements()/len(s.rows.rows)%(v.rep.times*v.rep.chunk) != 0):
		return s.unfold(v) == nil && s.splits(slot)
	case f.kind == formFixed:
		return v.cache == nil
	case v.cache != nil:
		return f.kind == formRows && f.axis == 0 && v.cache.rows%len(s.rows.rows) == 0 && v.cache.rows/len(s.rows.rows)%v.cache.beams == 0
	}
	return (f.kind == formCount || f.kind == formRows || f.kind == formPlace) && v.t.DType().Size() > 0
}

// finish runs the steps behind l for the rows that leave it and keeps their results.
func (s *Session) finish(l *loop, gone []int) error {
	b, r := s.behind, s.rows
	defer b.reset()
	for _, v := range l.vars {
		if v.exit < 0 {
			continue
		}
		r.forms[v.exit] = r.forms[v.cur]
		if err := s.pick(b, v.exit, v.cur, gone); err != nil {
			return err
		}
	}
	for _, slot := range l.leave.after {
		if err := s.pick(b, slot, slot, gone); err != nil {
			return err
		}
	}
	group := make([]int, len(gone))
	for i, row := range gone {
		group[i] = r.rows[row]
	}
	b.rows = &rowRun{rows: group, forms: r.forms, watch: true}
	b.Profile = s.Profile
	err := b.run(&l.leave.rest)
	s.work.Float += b.work.Float
	s.work.Int8 += b.work.Int8
	b.work = Work{}
	if err != nil {
		return err
	}
	if !r.apart(s.plan) {
		return errMixed
	}
	out, err := b.results()
	if err != nil {
		return err
	}
	r.groups = append(r.groups, RowGroup{group, out})
	return nil
}

// pick makes slot to of session b what slot from of s holds of some rows.
func (s *Session) pick(b *Session, to, from int32, rows []int) error {
	v, d, f := &s.values[from], &b.values[to], s.rows.forms[from]
	if f.kind == formFixed {
		// The memory stays that of s, which waits meanwhile.
		d.t.Set(v.t.DType(), append(d.dims[:0], v.t.Shape()...), v.t.Bytes())
		if v.t.DType().Size() == 0 {
			d.t = v.t
		}
		d.rep, d.dead = v.rep, false
		return nil
	}
	if v.cache != nil {
		s.uncache(v)
	}
	return s.gatherRows(b, d, v, f, rows)
}

// gatherRows makes d, a value of session b, what v has of some rows, in memory of its own.
func (s *Session) gatherRows(b *Session, d, v *value, f rowForm, rows []int) error {
	n := len(s.rows.rows)
	var dims [8]int
	shape := append(dims[:0], v.t.Shape()...)
	outer, inner := 1, v.t.DType().Size()
	if f.kind != formCount {
		for i, dim := range shape {
			if i < f.axis {
				outer *= dim
			} else {
				inner *= dim
			}
		}
		inner /= n
		shape[f.axis] = shape[f.axis] / n * len(rows)
	}
	size := v.t.DType().Size() * tensor.Shape(shape).Elements()
	if v.rep.folded {
		inner, size = inner/v.rep.times, size/v.rep.times
	}
	buf, err := b.arena.get(size)
	if err != nil {
		return err
	}
	dst, src := buf.mem[:size], v.t.Bytes()
	switch f.kind {
	case formCount:
		copy(dst, src)
	case formPlace:
		for o := range outer {
			copy(dst[o*len(rows)*inner:][:len(rows)*inner], src[o*n*inner:])
		}
	default:
		for o := range outer {
			for i, row := range rows {
				copy(dst[(o*len(rows)+i)*inner:][:inner], src[(o*n+row)*inner:])
			}
		}
	}
	rep, dtype := v.rep.within(inner/v.t.DType().Size()), v.t.DType()
	if outer > 1 {
		rep = repeat{}
	}
	if d.buf != nil {
		b.arena.release(d.buf)
	}
	d.buf, d.rep, d.dead = buf, rep, false
	d.t.Set(dtype, append(d.dims[:0], shape...), dst)
	if f.kind == formCount {
		scaleCounts(&d.t, f.deps, n, len(rows))
	}
	return nil
}

// within returns r if its runs do not go beyond n elements of the memory, or multiples of them.
func (r repeat) within(n int) repeat {
	run := r.times * r.chunk
	if r.folded {
		run = r.chunk
	}
	if run == 0 || n%run != 0 {
		return repeat{}
	}
	return r
}

// scaleCounts makes the numbers of t that deps names, in proportion to n rows, those of fewer.
func scaleCounts(t *tensor.Tensor, deps uint64, n, to int) {
	for i := range t.Len() {
		if deps>>i&1 == 0 {
			continue
		}
		if t.DType() == tensor.Int64 {
			tensor.Data[int64](t)[i] = tensor.Data[int64](t)[i] / int64(n) * int64(to)
		} else {
			tensor.Data[int32](t)[i] = tensor.Data[int32](t)[i] / int32(n) * int32(to)
		}
	}
}

// closeUp makes slot what it is without the rows that leave: the row at place i is the one that was at order[i]. Rows that keep
// their place are not touched where the memory is the slot's alone. moved are the caches that have closed up.
func (s *Session) closeUp(slot int32, order []int, moved *[]*rowCache) error {
	v, f, n := &s.values[slot], s.rows.forms[slot], len(s.rows.rows)
	shape := v.t.Shape()
	switch {
	case f.kind == formFixed:
		return nil
	case v.cache != nil:
		if !slices.Contains(*moved, v.cache) {
			v.cache.keep(order, n)
			*moved = append(*moved, v.cache)
		}
		dims := append(v.dims[:0], shape...)
		dims[0] = dims[0] / n * len(order)
		v.t.Set(v.cache.dtype, dims, nil)
		return nil
	case f.kind != formRows || f.axis > 0 || v.buf == nil || v.buf.refs > 1 || v.buf.holds != nil:
		return s.gatherRows(s, v, v, f, order)
	}
	mem := v.t.Bytes()
	seg := len(mem) / n
	for to, from := range order {
		if to != from {
			copy(mem[to*seg:][:seg], mem[from*seg:])
		}
	}
	dtype := v.t.DType()
	v.rep = v.rep.within(seg / dtype.Size())
	dims := append(v.dims[:0], shape...)
	dims[0] = dims[0] / n * len(order)
	v.t.Set(dtype, dims, mem[:len(order)*seg])
	return nil
}

// keep leaves those of n rows in the cache that order names, each at its new place.
func (h *rowCache) keep(order []int, n int) {
	groups := h.groups() / n // of a row
	w, listed := h.width(), h.beams
	if len(h.parents) > 0 {
		listed = h.former
	}
	for to, from := range order {
		h.note(uint64(from))
		if to == from {
			continue
		}
		for k := range groups {
			dst, src := to*groups+k, from*groups+k
			for head := range h.heads {
				copy(h.buf.mem[(dst*h.heads+head)*h.room*w:], h.buf.mem[(src*h.heads+head)*h.room*w:][:int(h.used[src])*w])
			}
			h.used[dst] = h.used[src]
			copy(h.lists[dst*listed*h.listRoom:], h.lists[src*listed*h.listRoom:][:listed*h.listRoom])
			if len(h.parents) > 0 {
				for b := range h.beams {
					h.parents[dst*h.beams+b] = h.parents[src*h.beams+b] + int32((dst-src)*listed)
				}
			}
		}
	}
	h.rows = h.rows / n * len(order)
	h.used, h.parents = h.used[:h.groups()], h.parents[:min(len(h.parents), h.rows)]
}
