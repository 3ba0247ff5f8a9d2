package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// growingCache is one loop variable that a rowCache can hold, and the steps of the loop's body that touch it:
//
//	full = ConcatV2(cur, new, axis 2)
//	     read by Attention as keys or values
//	next = full, or Reshape(GatherNd(Reshape(full), parents))
type growingCache struct {
	v                       *loopVar
	append                  int // numbers of steps of the body; reorder -1: the rows keep their order
	split, reorder, flatten int
	readers                 []int // Attention steps
	keys, values            bool  // how they read it
}

// growCaches lets the loops of b hold in rowCaches what they can. It works on steps, when constants are folded: whatever way the
// graph writes its loops.
func (c *compiler) growCaches(b *block) {
	for i := range b.steps {
		st := &b.steps[i]
		if st.loop != nil {
			c.growCaches(&st.loop.body)
			c.growCachesOf(st.loop)
		}
		if st.branch != nil {
			for j := range st.branch.blocks {
				c.growCaches(&st.branch.blocks[j])
			}
		}
	}
}

func (c *compiler) growCachesOf(l *loop) {
	u := newBodyUses(c, l)
	var list []*growingCache
	for i := range l.vars {
		if g := u.match(&l.vars[i]); g != nil {
			list = append(list, g)
		}
	}
	// Attention reads two caches or none.
	for {
		held := map[int32]bool{}
		for _, g := range list {
			held[l.body.steps[g.append].out[0]] = true
		}
		n := len(list)
		list = slices.DeleteFunc(list, func(g *growingCache) bool {
			return slices.ContainsFunc(g.readers, func(r int) bool {
				st := &l.body.steps[r]
				return !held[st.in[1]] || !held[st.in[2]]
			})
		})
		if len(list) == n {
			break
		}
	}
	drop := map[int]bool{}
	for _, g := range list {
		steps := l.body.steps
		concat := &steps[g.append]
		concat.eval = appendCache{wide: concat.eval, values: g.values}.eval
		concat.op = "CacheAppend"
		for _, r := range g.readers {
			steps[r].eval = steps[r].attention.evalCached
			steps[r].op = "CachedAttention"
		}
		if g.reorder >= 0 {
			split, reorder, flatten := &steps[g.split], &steps[g.reorder], &steps[g.flatten]
			e := reorderCache{split: *split, reorder: *reorder, flatten: *flatten}
			flatten.in = []int32{concat.out[0], split.in[1], reorder.in[1], flatten.in[1]}
			flatten.eval, flatten.op, flatten.name = e.eval, "CacheReorder", reorder.name
			drop[g.split], drop[g.reorder] = true, true
		}
	}
	if len(drop) == 0 {
		return
	}
	kept := l.body.steps[:0]
	for i, st := range l.body.steps {
		if !drop[i] {
			kept = append(kept, st)
		}
	}
	l.body.steps = kept
}

// bodyUses knows who reads and who sets each slot in a loop.
type bodyUses struct {
	c       *compiler
	l       *loop
	readers map[int32][]int // steps of the body, by slot
	foreign map[int32]bool  // read by the condition, inside another loop or branch, or as a result
	nexts   map[int32]int   // variables that take a slot
}

func newBodyUses(c *compiler, l *loop) *bodyUses {
	u := &bodyUses{c: c, l: l, readers: map[int32][]int{}, foreign: map[int32]bool{}, nexts: map[int32]int{}}
	markUses(&l.cond, u.foreign)
	u.foreign[l.pred] = true
	for _, o := range l.observe {
		u.foreign[o.slot] = true
	}
	for _, v := range l.vars {
		u.nexts[v.next]++
	}
	for i := range l.body.steps {
		st := &l.body.steps[i]
		for _, s := range append(slices.Clone(st.in), st.controls...) {
			u.readers[s] = append(u.readers[s], i)
		}
		if st.loop != nil || st.branch != nil {
			inner := map[int32]bool{}
			markUses(&block{steps: []step{*st}}, inner)
			for s := range inner {
				u.foreign[s] = true
			}
		}
		for _, o := range st.observe {
			u.foreign[o.slot] = true
		}
	}
	return u
}

// only returns the one step that reads slot, or -1; nothing else may see the slot.
func (u *bodyUses) only(slot int32) int {
	if r := u.readers[slot]; len(r) == 1 && !u.foreign[slot] && u.nexts[slot] == 0 {
		return r[0]
	}
	return -1
}

// plain reports whether step i is an op of one output that always runs.
func (u *bodyUses) plain(i int, op string) bool {
	if i < 0 {
		return false
	}
	st := &u.l.body.steps[i]
	return st.op == op && len(st.out) == 1 && !st.mayDie && len(st.observe) == 0
}

// match returns how v can be held in a rowCache, nil if it cannot.
func (u *bodyUses) match(v *loopVar) *growingCache {
	g := &growingCache{v: v, append: u.only(v.cur), split: -1, reorder: -1, flatten: -1}
	if v.exit >= 0 || !u.plain(g.append, "ConcatV2") {
		return nil
	}
	concat := &u.l.body.steps[g.append]
	if len(concat.in) != 3 || concat.in[0] != v.cur || concat.in[1] == v.cur || !u.isAxis(concat.in[2], 2, -2) {
		return nil
	}
	full := concat.out[0]
	if u.foreign[full] {
		return nil
	}
	last := len(u.l.body.steps)
	for _, r := range u.readers[full] {
		switch {
		case u.attends(r, full, g):
			g.readers = append(g.readers, r)
		case g.split < 0 && u.plain(r, "Reshape"):
			g.split, last = r, r
		default:
			return nil
		}
	}
	if len(g.readers) == 0 || g.keys && g.values || slices.Max(g.readers) > last {
		return nil
	}
	if g.split < 0 {
		if v.next == full && u.nexts[full] == 1 {
			return g
		}
		return nil
	}
	split := &u.l.body.steps[g.split]
	if split.in[0] != full || u.nexts[full] > 0 {
		return nil
	}
	if g.reorder = u.only(split.out[0]); !u.plain(g.reorder, "GatherNd") || u.l.body.steps[g.reorder].in[0] != split.out[0] {
		return nil
	}
	gathered := u.l.body.steps[g.reorder].out[0]
	if g.flatten = u.only(gathered); !u.plain(g.flatten, "Reshape") || u.l.body.steps[g.flatten].in[0] != gathered {
		return nil
	}
	if next := u.l.body.steps[g.flatten].out[0]; next != v.next || u.nexts[next] != 1 || len(u.readers[next]) > 0 || u.foreign[next] {
		return nil
	}
	return g
}

// attends reports whether step r reads slot as keys or as values of an attention.
func (u *bodyUses) attends(r int, slot int32, g *growingCache) bool {
	st := &u.l.body.steps[r]
	if st.attention == nil || st.mayDie || len(st.observe) > 0 || count(st.in, slot) != 1 {
		return false
	}
	switch slot {
	case st.in[1]:
		g.keys = !st.attention.layout.k
		return g.keys
	case st.in[2]:
		g.values = !st.attention.layout.v
		return g.values
	}
	return false
}

// isAxis reports whether slot is constant and one of the numbers.
func (u *bodyUses) isAxis(slot int32, numbers ...int) bool {
	t := u.c.constOf[slot]
	if t == nil {
		return false
	}
	v, err := scalarInt(t, "axis")
	return err == nil && slices.Contains(numbers, v)
}

// appendCache extends the cache of input 0 by input 1. An input 0 that is a plain tensor, as in the first iteration, is loaded.
type appendCache struct {
	wide   evalFunc // the ConcatV2
	values bool     // attention weighs the entries: they are watched for values that are not finite
}

func (e appendCache) eval(c *call) error {
	cur, x := &c.s.values[c.st.in[0]], c.in(1)
	h := cur.cache
	if h == nil {
		if s := cur.t.Shape(); len(s) != 4 || s[0] == 0 || s[1] == 0 || s[3] == 0 || cur.t.DType().Size() == 0 {
			return e.wide(c)
		}
		h = c.s.newCache()
		cur.cache = h // from here on the slot's to free
		if err := h.load(&c.s.arena, &cur.t, 1); err != nil {
			return err
		}
		e.watch(c, h, &cur.t)
	}
	if !h.accepts(x) {
		c.s.uncache(cur)
		return e.wide(c)
	}
	if err := h.extend(&c.s.arena, x); err != nil {
		return err
	}
	e.watch(c, h, x)
	c.s.moveCache(c.st.out[0], c.st.in[0])
	return nil
}

// watch notes in h whether x holds values that are not finite.
func (e appendCache) watch(c *call, h *rowCache, x *tensor.Tensor) {
	if !e.values || x.DType() != tensor.Float32 || x.Len() == 0 {
		return
	}
	if m := c.kernels().MaxAbs(tensor.Data[float32](x)); !(m <= maxFloat32) {
		h.wild = true
	}
}

const maxFloat32 = 0x1.fffffep127

// newCache returns a cache without contents.
func (s *Session) newCache() *rowCache {
	if n := len(s.caches); n > 0 {
		h := s.caches[n-1]
		s.caches = s.caches[:n-1]
		return h
	}
	return new(rowCache)
}

// moveCache makes dst the holder of src's cache, and gives it the header of what the cache holds.
func (s *Session) moveCache(dst, src int32) {
	d, v := &s.values[dst], &s.values[src]
	s.release(dst)
	d.cache, v.cache = v.cache, nil
	d.rep, d.dead = repeat{}, false
	h := d.cache
	d.t.Set(h.dtype, append(d.dims[:0], h.rows, h.heads, h.time, h.depth), nil)
}

// uncache makes v a plain tensor.
func (s *Session) uncache(v *value) {
	if h := v.cache; h != nil {
		v.t = *h.tensor()
		h.free(&s.arena)
		s.caches = append(s.caches, h)
		v.cache = nil
	}
}

// evalCached is eval where keys and values lie in caches.
func (a *attention) evalCached(c *call) error {
	kv, vv := &c.s.values[c.st.in[1]], &c.s.values[c.st.in[2]]
	k, v := kv.cache, vv.cache
	if k == nil && v == nil {
		return a.eval(c)
	}
	var q heads
	if err := q.read(c.in(0), a.layout.q, "queries"); err != nil {
		return err
	}
	var mask maskRow
	fits := k != nil && v != nil && k.history == v.history && k.beams == v.beams && k.rows == v.rows && k.heads == v.heads && !v.wild &&
		len(q.batch) == 2 && q.batch[0] == k.rows && q.batch[1] == k.heads && q.rows == 1 && q.depth == k.depth
	if fits && a.masked {
		mask, fits = c.s.newMaskRow(c.in(3), q.batch, 1, k.time)
	}
	if !fits {
		return a.evalPlain(c, kv, vv)
	}
	var out heads
	if err := a.alloc(c, &out, q.batch, 1, v.depth); err != nil {
		return err
	}
	dst := tensor.Data[float32](out.t)
	for g := range k.groups() {
		for head := range k.heads {
			a.evalGroup(c, dst, q.t, k, v, &mask, g, head)
		}
	}
	return nil
}

// evalPlain is eval with caches written out.
func (a *attention) evalPlain(c *call, k, v *value) error {
	for _, x := range []*value{k, v} {
		if h := x.cache; h != nil {
			saved := x.t
			x.t = *h.tensor()
			defer func() { x.t = saved }()
		}
	}
	return a.eval(c)
}

// evalGroup attends from the rows of one group to their entries, with one head: all rows meet all entries of the group, and the
// softmax of a row picks its own. Entries that a row does not read have the weight 0, which adds nothing.
func (a *attention) evalGroup(c *call, dst []float32, q *tensor.Tensor, k, v *rowCache, mask *maskRow, g, head int) {
	beams, t, n := k.beams, k.time, int(k.used[g])
	c.s.product = growFloats(c.s.product, beams*n)
	scores := c.s.product
	first := g*beams*k.heads + head
	a.score(c, scores, q, first*k.depth, k.heads*k.depth, k.head(g, head), k.depth, beams, k.depth, n)
	c.s.lists = growFloats(c.s.lists, t)
	own := c.s.lists
	for b := range beams {
		row := scores[b*n:][:n]
		list := k.list(g*beams + b)
		for i, e := range list {
			own[i] = row[e]
		}
		m, _ := a.maskAt(mask, first+b*k.heads)
		a.softmax(c, own, 1, t, m, 0)
		if n > t {
			clear(row)
		}
		for i, e := range list {
			row[e] = own[i]
		}
	}
	a.weigh(c, dst[first*v.depth:], v.heads*v.depth, scores, v.head(g, head), v.depth, beams, n, v.depth)
}

// reorderCache makes output 0 of the cache of input 0, reordered: GatherNd of places [sentence, beam]. Inputs 1 and 3 are the shapes
// around it, input 2 the places.
type reorderCache struct{ split, reorder, flatten step }

func (e reorderCache) eval(c *call) error {
	full := &c.s.values[c.st.in[0]]
	if h := full.cache; h != nil {
		beams, ok := e.parents(c, h)
		if ok && beams != h.beams {
			if err := h.regroup(&c.s.arena, beams); err != nil {
				return err
			}
		}
		if ok {
			h.reorder(c.s.parents)
			c.s.moveCache(c.st.out[0], c.st.in[0])
			return nil
		}
	}
	// The three steps, one after the other, on a plain tensor.
	c.s.uncache(full)
	x := &full.t
	for i, st := range []*step{&e.split, &e.reorder, &e.flatten} {
		out, err := c.s.detached(st, x, c.in(1+i))
		if err != nil {
			return err
		}
		x = out[0]
	}
	c.set(0, x)
	return nil
}

// parents reads which row each row is to become, and reports whether the places keep to the rows' groups.
func (e reorderCache) parents(c *call, h *rowCache) (beams int, ok bool) {
	places := c.in(2)
	s := places.Shape()
	if len(s) != 3 || s[2] != 2 || s[0] < 1 || s[1] < 1 || s[0]*s[1] != h.rows || places.DType() != tensor.Int32 || h.time == 0 {
		return 0, false
	}
	beams = s[1]
	var dims [8]int
	total := h.rows * h.heads * h.time * h.depth
	split, err := reshapeTo(dims[:0], total, c.in(1))
	if err != nil || !slices.Equal(split, tensor.Shape{s[0], beams, h.heads, h.time, h.depth}) {
		return 0, false
	}
	flat, err := reshapeTo(dims[:0], total, c.in(3))
	if err != nil || !slices.Equal(flat, tensor.Shape{h.rows, h.heads, h.time, h.depth}) {
		return 0, false
	}
	c.s.parents = growInts(c.s.parents, h.rows)
	d := tensor.Data[int32](places)
	for i := range c.s.parents {
		sentence, beam := d[2*i], d[2*i+1]
		if int(sentence) != i/beams || beam < 0 || int(beam) >= beams {
			return 0, false
		}
		c.s.parents[i] = sentence*int32(beams) + beam
	}
	return beams, true
}

// detached runs one step on given inputs, outside of the session's slots, and returns copies of what it makes.
func (s *Session) detached(st *step, inputs ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	local := step{name: st.name, op: st.op, eval: st.eval}
	d := &Session{plan: s.plan, values: make([]value, len(inputs)+len(st.out))}
	for i, t := range inputs {
		local.in = append(local.in, int32(i))
		d.values[i].t = *t
	}
	for i := range st.out {
		local.out = append(local.out, int32(len(inputs)+i))
	}
	d.call.s, d.call.st = d, &local
	if err := st.eval(&d.call); err != nil {
		return nil, err
	}
	results := make([]*tensor.Tensor, len(st.out))
	for i := range results {
		results[i] = d.values[len(inputs)+i].t.Clone()
	}
	return results, nil
}
