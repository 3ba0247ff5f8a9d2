package runtime

import (
	"slices"
)

// growingCache is one loop variable that a rowCache can hold, and the steps of the loop's body that touch it:
//
//	full = ConcatV2(cur, new, time axis)
//	     read by Attention as keys or values
//	next = full, or its rows picked by GatherNd or GatherV2, once or several times
//
// with Reshapes anywhere between, and Shapes that read it.
type growingCache struct {
	append       int     // numbers of steps of the body
	views        []int   // Reshape steps
	picks        []int   // steps that pick rows
	readers      []int   // Attention steps
	full         []int32 // slots that hold what attention reads
	keys, values bool    // how it is read
}

// dropExits forgets what leaves loops of p and is read by nothing: a loop's last values of its caches.
func (c *compiler) dropExits(p *Plan) {
	used := p.used()
	eachStep(p.root, func(st *step) {
		for _, o := range st.observe {
			used[o.slot] = true
		}
	})
	eachStep(p.root, func(st *step) {
		if st.loop == nil {
			return
		}
		for i := range st.loop.vars {
			if v := &st.loop.vars[i]; v.exit >= 0 && !used[v.exit] {
				v.exit = -1
			}
		}
	})
}

// eachBlock calls f for b and the blocks inside it.
func eachBlock(b *block, f func(b *block)) {
	f(b)
	for i := range b.steps {
		st := &b.steps[i]
		if st.loop != nil {
			eachBlock(&st.loop.cond, f)
			eachBlock(&st.loop.once, f)
			eachBlock(&st.loop.body, f)
		}
		if st.branch != nil {
			for j := range st.branch.blocks {
				eachBlock(&st.branch.blocks[j], f)
			}
		}
	}
}

// eachStep calls f for each step of b and of the blocks inside it.
func eachStep(b *block, f func(st *step)) {
	for i := range b.steps {
		st := &b.steps[i]
		f(st)
		if st.loop != nil {
			eachStep(&st.loop.cond, f)
			eachStep(&st.loop.once, f)
			eachStep(&st.loop.body, f)
		}
		if st.branch != nil {
			for j := range st.branch.blocks {
				eachStep(&st.branch.blocks[j], f)
			}
		}
	}
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
			for _, s := range g.full {
				held[s] = true
			}
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
	steps := l.body.steps
	for _, g := range list {
		concat := &steps[g.append]
		axis, _ := u.number(concat.in[2])
		concat.eval = appendCache{plain: concat.eval, axis: axis, values: g.values}.eval
		concat.op = "CacheAppend"
		for _, r := range g.readers {
			steps[r].eval = steps[r].attention.evalCached
			steps[r].op = "CachedAttention"
		}
		for _, i := range g.views {
			steps[i].eval = viewCache{plain: steps[i].eval}.eval
		}
		for _, i := range g.picks {
			steps[i].eval = pickCache{plain: steps[i].eval, pairs: steps[i].op == "GatherNd"}.eval
			steps[i].op = "CacheReorder"
		}
	}
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
	if v.exit >= 0 {
		return nil
	}
	g := &growingCache{append: -1}
	slots := []int32{v.cur} // that hold the cache until the next step changes it
	for {
		change, last := -1, -1
		for i := 0; i < len(slots); i++ {
			s := slots[i]
			if u.foreign[s] || u.nexts[s] > 0 && s != v.next {
				return nil
			}
			for _, r := range u.readers[s] {
				st := &u.l.body.steps[r]
				switch {
				case u.plain(r, "Shape"):
					continue // the dimensions are in the slot
				case u.plain(r, "Reshape") && st.in[0] == s && st.in[1] != s:
					g.views = append(g.views, r)
					slots = append(slots, st.out[0])
				case g.append >= 0 && len(g.picks) == 0 && u.attends(r, s, g):
					g.readers = append(g.readers, r)
				case change < 0 && u.changes(r, s, g):
					change = r
					continue
				default:
					return nil
				}
				last = max(last, r)
			}
		}
		if g.append >= 0 && len(g.picks) == 0 {
			g.full = slots
		}
		switch {
		case change < 0 && (g.append < 0 || len(g.readers) == 0 || g.keys && g.values || u.nexts[v.next] != 1 || !slices.Contains(slots, v.next)):
			return nil
		case change < 0:
			return g
		case change < last || slices.Contains(slots, v.next):
			return nil // something reads the cache as it was
		case g.append < 0:
			g.append = change
		default:
			g.picks = append(g.picks, change)
		}
		slots = []int32{u.l.body.steps[change].out[0]}
	}
}

// changes reports whether step r makes the cache in slot s longer, where g has not grown yet, or else picks rows of it.
func (u *bodyUses) changes(r int, s int32, g *growingCache) bool {
	st := &u.l.body.steps[r]
	if len(st.in) < 2 || st.in[0] != s || count(st.in, s) != 1 {
		return false
	}
	if g.append < 0 {
		if !u.plain(r, "ConcatV2") || len(st.in) != 3 {
			return false
		}
		axis, ok := u.number(st.in[2])
		return ok && (axis == 1 || axis == 2 || axis == -2 || axis == -3)
	}
	if u.plain(r, "GatherV2") {
		axis, ok := u.number(st.in[2])
		return ok && axis == 0
	}
	return u.plain(r, "GatherNd") || u.plain(r, "Gather")
}

// attends reports whether step r reads slot as keys or as values of an attention.
func (u *bodyUses) attends(r int, slot int32, g *growingCache) bool {
	st := &u.l.body.steps[r]
	if st.attention == nil || st.mayDie || len(st.observe) > 0 || count(st.in, slot) != 1 {
		return false
	}
	split := st.attention.layout.k
	switch slot {
	case st.in[1]:
		g.keys = true
	case st.in[2]:
		g.values, split = true, st.attention.layout.v
	default:
		return false
	}
	// Heads and time must lie as attention reads them: which is which, a negative axis says with the rank alone.
	axis, _ := u.number(u.l.body.steps[g.append].in[2])
	return axis == -2 || split == (axis == 1 || axis == -3)
}

// number returns the number that slot holds, where it is constant.
func (u *bodyUses) number(slot int32) (int, bool) {
	t := u.c.constOf[slot]
	if t == nil {
		return 0, false
	}
	v, err := scalarInt(t, "axis")
	return v, err == nil
}
