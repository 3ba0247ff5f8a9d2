package flow

import (
	"slices"
	"sync"

	"github.com/tfq8/tfq8/graphdef"
)

// varying is the nodes of a region, those of the loops inside it included, whose value differs between iterations. It is
// computed when first asked for.
type varying struct {
	once  sync.Once
	nodes map[*graphdef.Node]bool
}

// Invariant reports whether o has the same value in every iteration of loop r: it comes from outside, or is computed only
// from values that do and by operations without state. For a value of a loop inside r it must hold of the loops in between
// too. Every value is invariant in the root.
func (t *Tree) Invariant(o graphdef.Output, r *Region) bool {
	home := t.Of(o.Node)
	if home != nil && isExit(o.Node.Op()) {
		// What leaves a loop is one value of the region around it.
		if home == r {
			return true
		}
		home = home.Parent
	}
	if home == nil || !r.Contains(home) {
		return home != nil
	}
	for q := home; ; q = q.Parent {
		if q.Kind == KindLoop && t.varies(q)[o.Node] {
			return false
		}
		if q == r {
			return true
		}
	}
}

// varies spreads from what changes by itself, the loop variables and operations with state, to all that reads it.
func (t *Tree) varies(r *Region) map[*graphdef.Node]bool {
	r.varying.once.Do(func() { r.varying.nodes = t.spread(r, t.changes) })
	return r.varying.nodes
}

// spread returns the nodes of r, those of the loops inside it included, whose value depends on one for which changes holds.
func (t *Tree) spread(r *Region, changes func(n *graphdef.Node, own bool) bool) map[*graphdef.Node]bool {
	seen := map[*graphdef.Node]bool{}
	var stack []*graphdef.Node
	mark := func(n *graphdef.Node) {
		if !seen[n] {
			seen[n] = true
			stack = append(stack, n)
		}
	}
	t.walk(r, func(q *Region) {
		for _, n := range q.Nodes {
			if changes(n, q == r) {
				mark(n)
			}
		}
	})
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, u := range n.Users() {
			if u.Input != graphdef.ControlInput && r.Contains(t.Of(u.Node)) && t.hands(n, u) {
				mark(u.Node)
			}
		}
		if q := t.Of(n); n.Op() == "LoopCond" && q != r {
			// The number of iterations of a loop inside decides what leaves it.
			for i := range q.Loop.Vars {
				if v := &q.Loop.Vars[i]; !v.carried {
					for _, e := range v.Exits {
						mark(e)
					}
				}
			}
		}
		for _, m := range t.decides[n] {
			if r.Contains(t.Of(m)) {
				mark(m)
			}
		}
	}
	return seen
}

func (t *Tree) walk(r *Region, f func(*Region)) {
	stack := []*Region{r}
	for len(stack) > 0 {
		q := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], q.Children...)
		f(q)
	}
}

// changes reports whether n gives another value in another iteration whatever its inputs are. own says that it is in the
// loop in question itself and not in one inside it.
func (t *Tree) changes(n *graphdef.Node, own bool) bool {
	if v := t.Var(n); v != nil {
		if n != v.Merge {
			return false
		}
		return own && !v.carried || len(n.UsesOf(1)) > 0
	}
	sig, ok := graphdef.Lookup(n.Op())
	switch {
	case !ok:
		return true
	case sig.Has(graphdef.PassesThrough), sig.Has(graphdef.ControlFlow), floats(n):
		return false
	}
	return sig.Has(graphdef.Stateful) || sig.Has(graphdef.CallsFunctions)
}

// hands reports whether a change of n changes what u.Node gives.
func (t *Tree) hands(n *graphdef.Node, u graphdef.Use) bool {
	v := t.Var(u.Node)
	switch {
	case v == nil:
		return true
	case u.Node == v.Switch:
		return u.Input == 0 // LoopCond tells whether there is a next iteration, not what happens in it
	case u.Node == v.Merge:
		return !v.carried || n == v.Enter
	}
	return true
}

// findDecisions notes for each predicate the Merges that it steers, which depend on it though no edge may say so: a
// branch's Const hangs on its Switch by a control edge only.
func (t *Tree) findDecisions() {
	t.decides = map[*graphdef.Node][]*graphdef.Node{}
	t.decided = map[*graphdef.Node][]graphdef.Output{}
	for _, n := range t.order {
		if !isMerge(n.Op()) || t.Var(n) != nil {
			continue
		}
		seen := map[graphdef.Output]bool{}
		for _, in := range n.Inputs() {
			for _, g := range t.live.guards(t.live.of(in), t.Of(n)) {
				if g.Merge == nil && !seen[g.Pred] {
					seen[g.Pred] = true
					t.decides[g.Pred.Node] = append(t.decides[g.Pred.Node], n)
					t.decided[n] = append(t.decided[n], g.Pred)
				}
			}
		}
	}
}

// Placeholders returns the Placeholders, PlaceholderWithDefaults and function arguments that the value of n depends on, in
// file order: through loops, whose number of iterations counts, and through the predicates of conditionals; not through
// control edges.
func (t *Tree) Placeholders(n *graphdef.Node) []*graphdef.Node {
	var found []*graphdef.Node
	seen := map[*graphdef.Node]bool{n: true}
	stack := []*graphdef.Node{n}
	push := func(o graphdef.Output) {
		o = t.Source(o)
		if !seen[o.Node] {
			seen[o.Node] = true
			stack = append(stack, o.Node)
		}
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if isPlaceholder(n.Op()) {
			found = append(found, n)
		}
		for _, in := range n.Inputs() {
			push(in)
		}
		for _, p := range t.decided[n] {
			push(p)
		}
	}
	slices.SortFunc(found, func(a, b *graphdef.Node) int { return t.index[a] - t.index[b] })
	return found
}

func isPlaceholder(op string) bool {
	switch op {
	case "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "_Arg":
		return true
	}
	return false
}
