package runtime

import (
	"github.com/tfq8/tfq8/tensor"
)

// appendCache extends the cache of input 0 by input 1. An input 0 that is a plain tensor, as in the first iteration, is loaded.
type appendCache struct {
	plain  evalFunc // the ConcatV2
	axis   int
	values bool // attention weighs the entries: they are watched for values that are not finite
}

func (e appendCache) eval(c *call) error {
	cur, x := &c.s.values[c.st.in[0]], c.in(1)
	h := cur.cache
	d, ok := cacheDimsOf(cur.t.Shape(), e.axis)
	more, fits := cacheDimsOf(x.Shape(), e.axis)
	ok = ok && fits && cur.t.Rank() == x.Rank() && x.DType() == cur.t.DType() && x.DType().Size() > 0 &&
		d.rows == more.rows && d.heads == more.heads && d.depth == more.depth
	switch {
	case !ok || h != nil && (!h.matches(d) || h.time != d.time):
		c.s.uncache(cur)
		return e.plain(c)
	case h == nil:
		h = c.s.newCache()
		h.refs++
		defer c.s.unrefCache(h)
		beams := 1
		if b := c.s.beams; b > 0 && d.rows%b == 0 {
			beams = b
		}
		if err := h.load(&c.s.arena, cur.t.DType(), cur.t.Bytes(), d, beams); err != nil {
			return err
		}
		e.watch(c, h, &cur.t)
	}
	if err := h.extend(&c.s.arena, x.Bytes(), more.time); err != nil {
		return err
	}
	e.watch(c, h, x)
	var dims [8]int
	shape := append(dims[:0], cur.t.Shape()...)
	axis, err := resolveAxis(e.axis, len(shape), "axis")
	if err != nil {
		return err
	}
	shape[axis] += more.time
	c.s.holdCache(c.st.out[0], h, shape)
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

// newCache returns a cache without contents, which no slot holds.
func (s *Session) newCache() *rowCache {
	if n := len(s.caches); n > 0 {
		h := s.caches[n-1]
		s.caches = s.caches[:n-1]
		return h
	}
	return new(rowCache)
}

// holdCache makes slot a holder of h, seen with the given shape.
func (s *Session) holdCache(slot int32, h *rowCache, shape tensor.Shape) {
	h.refs++
	s.release(slot)
	v := &s.values[slot]
	v.cache, v.rep, v.dead = h, repeat{}, false
	v.t.Set(h.dtype, append(v.dims[:0], shape...), nil)
}

// unrefCache ends one hold on h; without any its memory goes back.
func (s *Session) unrefCache(h *rowCache) {
	if h.refs--; h.refs == 0 {
		h.free(&s.arena)
		s.caches = append(s.caches, h)
	}
}

// dropCache ends v's hold on its cache.
func (s *Session) dropCache(v *value) {
	if v.cache != nil {
		s.unrefCache(v.cache)
		v.cache = nil
	}
}

// uncache makes v a plain tensor.
func (s *Session) uncache(v *value) {
	if h := v.cache; h != nil {
		v.t = *h.tensor(v.t.Shape())
		s.dropCache(v)
	}
}

// viewCache gives the cache of input 0 another shape.
type viewCache struct{ plain evalFunc }

func (e viewCache) eval(c *call) error {
	v := &c.s.values[c.st.in[0]]
	if v.cache == nil {
		return e.plain(c)
	}
	var dims [8]int
	shape, err := c.reshapeTo(dims[:0], v.t.Shape().Elements(), 1)
	if err != nil {
		return err
	}
	if len(shape) > maxRank {
		c.s.uncache(v)
		return e.plain(c)
	}
	c.s.holdCache(c.st.out[0], v.cache, shape)
	return nil
}

// evalCached is eval where keys and values lie in caches.
func (a *attention) evalCached(c *call) error {
	defer c.s.ahead.Reset() // as in eval
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
	fits := k != nil && v != nil && k.seen(&c.s.arena, kv.t.Shape(), a.layout.k) && v.seen(&c.s.arena, vv.t.Shape(), a.layout.v) && k.history == v.history && k.beams == v.beams && k.rows == v.rows && k.heads == v.heads && !v.wild &&
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
		if a.attendGroup(c, dst, q.t, k, v, &mask, g) {
			continue
		}
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
			x.t = *h.tensor(saved.Shape())
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
	keys, values, next := k.head(g, head), v.head(g, head), []byte(nil)
	switch {
	case head+1 < k.heads:
		next = k.head(g, head+1)
	case g+1 < len(k.used):
		next = k.head(g+1, 0)
	}
	c.s.scratch.Soon(values, next)
	a.score(c, scores, q, first*k.depth, k.heads*k.depth, keys, k.depth, beams, k.depth, n)
	c.s.lists = growFloats(c.s.lists, beams*t)
	own := c.s.lists
	for b := range beams {
		row := scores[b*n:][:n]
		for i, e := range k.list(g*beams + b) {
			own[b*t+i] = row[e]
		}
	}
	if !a.masked || mask.whole && mask.rows == 1 {
		m, _ := a.maskAt(mask, first)
		a.softmax(c, own, beams, t, m, 0)
	} else {
		for b := range beams {
			m, _ := mask.at(first + b*k.heads)
			a.softmax(c, own[b*t:][:t], 1, t, m, 0)
		}
	}
	clear(scores)
	for b := range beams {
		row := scores[b*n:][:n]
		for i, e := range k.list(g*beams + b) {
			row[e] = own[b*t+i]
		}
	}
	a.weigh(c, dst[first*v.depth:], v.heads*v.depth, scores, values, v.depth, beams, n, v.depth)
}

// seen reports whether a cache that is seen with the given shape is what attention reads: [batch, heads, rows, depth], or with
// split [batch, rows, heads, depth]. Heads that the loop appends as one are parted here once.
func (h *rowCache) seen(a *arena, shape tensor.Shape, split bool) bool {
	axis := 2
	if split {
		axis = 1
	}
	d, ok := cacheDimsOf(shape, axis)
	if !ok || len(shape) != 4 || d.rows != h.rows || d.time != h.time || d.timeFirst != h.timeFirst || d.heads*d.depth != h.heads*h.depth {
		return false
	}
	h.settle()
	return d.heads == h.heads || h.heads == 1 && h.part(a, d.heads) == nil
}

// pickCache picks rows of the cache of input 0, as the places in input 1 say: pairs [sentence, beam] (GatherNd) or rows.
type pickCache struct {
	plain evalFunc
	pairs bool
}

func (e pickCache) eval(c *call) error {
	v := &c.s.values[c.st.in[0]]
	if h := v.cache; h != nil {
		var dims [8]int
		shape := append(dims[:0], v.t.Shape()...)
		before, after := e.parents(c, h, shape)
		if before > 0 && before != h.beams {
			if err := h.regroup(&c.s.arena, before); err != nil {
				return err
			}
			c.s.beams = before
		}
		if before > 0 {
			h.reorder(c.s.parents, after)
			c.s.holdCache(c.st.out[0], h, shape)
			return nil
		}
		c.s.uncache(v)
	}
	return e.plain(c)
}

// parents reads which row each row is to become, and returns how many rows of a group there are before and after, 0 where the
// places do not keep to groups. It makes shape that of the result.
func (e pickCache) parents(c *call, h *rowCache, shape tensor.Shape) (before, after int) {
	places := c.in(1)
	s := places.Shape()
	if h.time == 0 || len(shape) == 0 {
		return 0, 0
	}
	n := s.Elements()
	if e.pairs {
		if len(shape) < 2 || len(s) != 3 || s[2] != 2 || s[0] != shape[0] || s[1] < 1 || s[0]*shape[1] != h.rows {
			return 0, 0
		}
		n /= 2
	} else if len(s) != 1 || s[0] != shape[0] || s[0] != h.rows {
		return 0, 0
	}
	c.s.parents = growInts(c.s.parents, n)
	switch places.DType() {
	case tensor.Int32:
		before = readParents(c.s.parents, tensor.Data[int32](places), e.pairs, shape, h)
	case tensor.Int64:
		before = readParents(c.s.parents, tensor.Data[int64](places), e.pairs, shape, h)
	}
	if !e.pairs {
		return before, before
	}
	shape[1] = s[1]
	return before, s[1]
}

// readParents reads the rows that places name and returns how many rows a group has that none of them leaves, 0 if they do.
func readParents[T int32 | int64](parents []int32, places []T, pairs bool, shape tensor.Shape, h *rowCache) int {
	if pairs {
		beams, after := shape[1], len(parents)/shape[0]
		for i := range parents {
			sentence, beam := places[2*i], places[2*i+1]
			if int64(sentence) != int64(i/after) || beam < 0 || int64(beam) >= int64(beams) {
				return 0
			}
			parents[i] = int32(int(sentence)*beams + int(beam))
		}
		return beams
	}
	for i, p := range places {
		if p < 0 || int64(p) >= int64(h.rows) {
			return 0
		}
		parents[i] = int32(p)
	}
	// What the rows are is known by how they mix: the smallest groups that do not.
	for beams := h.beams; beams <= min(h.rows, mostBeams); beams++ {
		if h.rows%beams == 0 && within(parents, beams) {
			return beams
		}
	}
	return 0
}

// mostBeams is the most rows of a group that is found by how rows mix: each of them meets the entries of all.
const mostBeams = 64

// within reports whether the parents keep to groups of beams rows.
func within(parents []int32, beams int) bool {
	for i, p := range parents {
		if int(p)/beams != i/beams {
			return false
		}
	}
	return true
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
