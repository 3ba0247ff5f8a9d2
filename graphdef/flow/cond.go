package flow

import (
	"encoding/binary"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// Guard is one condition under which a node runs: Pred has the value Branch (0 false, 1 true; a branch number where a
// _SwitchN decides). Where Merge is set instead, the node runs if that Merge gets a value: its inputs come from branches
// that do not complete each other, so that no predicate alone tells.
type Guard struct {
	Pred   graphdef.Output
	Branch int
	Merge  *graphdef.Node
}

// Conditional is what v1 graphs make of an if: Switches that steer values into one of two branches, and Merges that take
// whichever came through. Switches of one predicate in one place form one Conditional.
type Conditional struct {
	Region *Region
	Pred   graphdef.Output // seen through Identity, Enter and the Switches of outer conditionals
	// Parent is the conditional in whose branch number ParentBranch this one lies, nil if there is none.
	Parent       *Conditional
	ParentBranch int
	Switches     []*graphdef.Node
	Merges       []*graphdef.Node
	// True and False are the nodes that run only if Pred has that value, without those of conditionals inside (whose
	// Switches and Merges are here), in file order. Nodes that wait for branches of several conditionals of which none
	// contains the other are in no list: see Tree.Guards.
	True, False []*graphdef.Node
	// Branches are all branches by number; of an if, False and True.
	Branches [][]*graphdef.Node
}

// atom is one decision: a predicate, with the region whose Switches ask for it, or a Merge of unknown liveness.
type atom struct {
	region *Region
	pred   graphdef.Output
	merge  *graphdef.Node
}

// literal is an atom and the branch taken, packed so that literals of an atom sort together.
type literal int64

func makeLiteral(atom, branch int) literal { return literal(atom)<<32 | literal(branch) }
func (l literal) atom() int                { return int(l >> 32) }
func (l literal) branch() int              { return int(l & (1<<32 - 1)) }

// maxGuards bounds how deep conditionals nest, so that a hostile file does not cost quadratic space.
const maxGuards = 256

// maxMergeSets bounds the work for one Merge of many different branches.
const maxMergeSets = 64

// liveness says for each node the conjunction of literals under which it runs. Conjunctions are interned: set 0 is the
// empty one, always.
type liveness struct {
	t      *Tree
	atoms  []atom
	ways   []int // by atom: the number of branches
	byAtom map[atom]int
	sets   [][]literal
	bySet  map[string]int
	joined map[[2]int]int
	node   []int // by index of the node: its set
	conds  map[condKey]*Conditional
	owner  map[int]branchOf // by set, of the literals of one region
}

type condKey struct{ base, atom int }

type branchOf struct {
	c      *Conditional
	branch int
}

// findConditionals fills t.live, and refuses loops whose next iteration depends on a branch that may not be taken.
func (t *Tree) findConditionals() error {
	l := &liveness{
		t: t, byAtom: map[atom]int{}, sets: [][]literal{nil}, bySet: map[string]int{"": 0}, joined: map[[2]int]int{},
		node: make([]int, len(t.of)), conds: map[condKey]*Conditional{}, owner: map[int]branchOf{},
	}
	t.live = l
	t.conds = make([][]*Conditional, len(t.Regions))
	for _, n := range t.order {
		if err := l.visit(n); err != nil {
			return err
		}
	}
	for i, n := range t.graph.Nodes() {
		if l.node[i] == 0 {
			continue
		}
		if o, ok := l.owner[l.within(l.node[i], t.of[i])]; ok {
			o.c.Branches[o.branch] = append(o.c.Branches[o.branch], n)
		}
	}
	for _, c := range l.conds {
		c.False, c.True = c.Branches[0], c.Branches[1]
	}
	return nil
}

func (l *liveness) visit(n *graphdef.Node) error {
	t := l.t
	i := t.index[n]
	v := t.vars[i]
	switch {
	case n.Op() == "ControlTrigger":
		return nil // runs whatever happens to what it waits for
	case v != nil && n == v.Merge:
		l.node[i] = l.of(v.Enter.Out(0))
		return nil
	case isMerge(n.Op()):
		return l.visitMerge(n)
	}
	set := 0
	for _, in := range n.Inputs() {
		set = l.join(set, l.of(in))
	}
	for _, c := range n.Controls() {
		set = l.join(set, l.node[t.index[c]])
	}
	if len(l.sets[set]) > maxGuards {
		return n.Errorf("lies in more than %d conditionals", maxGuards)
	}
	l.node[i] = set
	if branches := l.branches(n); branches > 0 {
		return l.visitSwitch(n, branches)
	}
	if n.Op() == "LoopCond" || isNextIteration(n.Op()) {
		for _, lit := range l.sets[l.within(set, t.of[i])] {
			if a := l.atoms[lit.atom()]; a.merge == nil {
				return n.Errorf("has a value only if %q is %s; a loop needs it in every iteration, through a Merge", a.pred, branchName(lit.branch()))
			}
		}
	}
	return nil
}

func branchName(b int) string {
	switch b {
	case 0:
		return "false"
	case 1:
		return "true"
	}
	return "another"
}

// branches returns the number of outputs of the Switch of a conditional, 0 for any other node.
func (l *liveness) branches(n *graphdef.Node) int {
	switch {
	case isSwitch(n.Op()) && l.t.Var(n) == nil:
		return 2
	case n.Op() == "_SwitchN" && n.NumInputs() == 2:
		a, _ := n.Attr("num_outs")
		if k, ok := a.AsInt(); ok && k > 0 && k < 1<<16 {
			return max(int(k), 2)
		}
	}
	return 0
}

// of returns the set of literals under which o has a value.
func (l *liveness) of(o graphdef.Output) int {
	set := l.node[l.t.index[o.Node]]
	if l.branches(o.Node) == 0 {
		return set
	}
	return l.with(set, makeLiteral(l.atomOf(o.Node), o.Index))
}

// atomOf returns the atom that a Switch asks for.
func (l *liveness) atomOf(n *graphdef.Node) int {
	pred := l.t.origin(n.Input(1))
	return l.intern(atom{region: l.t.Of(n), pred: pred}, l.branches(n))
}

func (l *liveness) intern(a atom, ways int) int {
	id, ok := l.byAtom[a]
	if !ok {
		id = len(l.atoms)
		l.byAtom[a] = id
		l.atoms = append(l.atoms, a)
		l.ways = append(l.ways, ways)
	}
	return id
}

func (l *liveness) visitSwitch(n *graphdef.Node, branches int) error {
	a := l.atomOf(n)
	if l.ways[a] != branches {
		return n.Errorf("has %d branches, another Switch on %q has %d", branches, l.atoms[a].pred, l.ways[a])
	}
	r := l.t.Of(n)
	base := l.within(l.node[l.t.index[n]], r)
	key := condKey{base, a}
	c := l.conds[key]
	if c == nil {
		around := l.owner[base]
		c = &Conditional{Region: r, Pred: l.atoms[a].pred, Parent: around.c, ParentBranch: around.branch, Branches: make([][]*graphdef.Node, branches)}
		l.conds[key] = c
		l.t.conds[r.id] = append(l.t.conds[r.id], c)
		for b := range branches {
			set := l.with(base, makeLiteral(a, b))
			if _, taken := l.owner[set]; !taken && set != base {
				l.owner[set] = branchOf{c, b}
			}
		}
	}
	c.Switches = append(c.Switches, n)
	return nil
}

// visitMerge finds when a Merge gets a value: when any of its inputs has one. Branches that complete each other cancel.
func (l *liveness) visitMerge(n *graphdef.Node) error {
	i := l.t.index[n]
	var sets []int
	for _, in := range n.Inputs() {
		if s := l.of(in); !slices.Contains(sets, s) && (len(sets) == 0 || !l.never(s)) {
			sets = append(sets, s)
		}
		if len(sets) > maxMergeSets {
			break
		}
	}
	if len(sets) > 1 && l.never(sets[0]) {
		sets = sets[1:]
	}
	r := l.t.of[i]
	var last condKey
	found := false
	for len(sets) > 1 && len(sets) <= maxMergeSets {
		sets = l.absorb(sets)
		rest, base, a, ok := l.cancel(sets)
		if !ok {
			break
		}
		sets, found, last = rest, true, condKey{l.within(base, r), a}
	}
	if found {
		if c := l.conds[last]; c != nil {
			c.Merges = append(c.Merges, n)
		}
	}
	set := sets[0]
	if len(sets) > 1 {
		for _, s := range sets[1:] {
			set = l.meet(set, s)
		}
		set = l.with(set, makeLiteral(l.intern(atom{region: r, merge: n}, 1), 0))
	}
	if len(l.sets[set]) > maxGuards {
		return n.Errorf("lies in more than %d conditionals", maxGuards)
	}
	l.node[i] = set
	return nil
}

// never reports whether a set wants two branches of one atom.
func (l *liveness) never(set int) bool {
	lits := l.sets[set]
	for i := 1; i < len(lits); i++ {
		if lits[i].atom() == lits[i-1].atom() {
			return true
		}
	}
	return false
}

// absorb drops sets that contain another one: they add nothing to the disjunction.
func (l *liveness) absorb(sets []int) []int {
	var kept []int
	for i, s := range sets {
		implied := slices.ContainsFunc(sets, func(o int) bool { return o != s && l.meet(o, s) == o })
		if !implied && !slices.Contains(sets[:i], s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// cancel finds sets that differ only in which branch of one atom they take and that between them take all, and puts in
// their place what they have in common.
func (l *liveness) cancel(sets []int) (rest []int, base, atom int, ok bool) {
	type way struct{ base, atom int }
	taken := map[way][]int{} // the sets, one for each branch
	for _, s := range sets {
		for k, lit := range l.sets[s] {
			w := way{l.add(slices.Delete(slices.Clone(l.sets[s]), k, k+1)), lit.atom()}
			taken[w] = append(taken[w], s)
			if l.atoms[w.atom].merge != nil || len(taken[w]) < l.ways[w.atom] {
				continue
			}
			for _, s := range sets {
				if !slices.Contains(taken[w], s) && s != w.base {
					rest = append(rest, s)
				}
			}
			return append(rest, w.base), w.base, w.atom, true
		}
	}
	return nil, 0, 0, false
}

// add interns a sorted set.
func (l *liveness) add(lits []literal) int {
	key := make([]byte, 0, 8*len(lits))
	for _, x := range lits {
		key = binary.LittleEndian.AppendUint64(key, uint64(x))
	}
	id, ok := l.bySet[string(key)]
	if !ok {
		id = len(l.sets)
		l.bySet[string(key)] = id
		l.sets = append(l.sets, lits)
	}
	return id
}

func (l *liveness) with(set int, lit literal) int {
	at, found := slices.BinarySearch(l.sets[set], lit)
	if found {
		return set
	}
	return l.add(slices.Insert(slices.Clone(l.sets[set]), at, lit))
}

func (l *liveness) join(a, b int) int {
	if a == b || b == 0 {
		return a
	}
	if a == 0 {
		return b
	}
	key := [2]int{min(a, b), max(a, b)}
	if id, ok := l.joined[key]; ok {
		return id
	}
	lits := slices.Concat(l.sets[a], l.sets[b])
	slices.Sort(lits)
	id := l.add(slices.Compact(lits))
	l.joined[key] = id
	return id
}

// meet returns what a and b have in common.
func (l *liveness) meet(a, b int) int {
	var lits []literal
	for _, x := range l.sets[a] {
		if _, ok := slices.BinarySearch(l.sets[b], x); ok {
			lits = append(lits, x)
		}
	}
	return l.add(lits)
}

// within keeps the literals that Switches of region r decide.
func (l *liveness) within(set int, r *Region) int {
	var lits []literal
	for _, x := range l.sets[set] {
		if l.atoms[x.atom()].region == r {
			lits = append(lits, x)
		}
	}
	if len(lits) == len(l.sets[set]) {
		return set
	}
	return l.add(lits)
}

// guards spells out the literals of a set that belong to region r.
func (l *liveness) guards(set int, r *Region) []Guard {
	var out []Guard
	for _, x := range l.sets[set] {
		if a := l.atoms[x.atom()]; a.region == r {
			out = append(out, Guard{Pred: a.pred, Branch: x.branch(), Merge: a.merge})
		}
	}
	return out
}

// Conditionals returns the conditionals whose Switches run in r, each after the one around it.
func (t *Tree) Conditionals(r *Region) []*Conditional { return t.conds[r.id] }

// Dead reports whether n can be dead, that is: not run although the graph does, because a conditional takes another branch.
// All nodes of a loop that lies in a branch can be.
func (t *Tree) Dead(n *graphdef.Node) bool {
	i, ok := t.index[n]
	return ok && t.live.node[i] != 0
}

// Guards returns the conditions, all of which must hold, for n to run in an iteration of its region; none: it always runs.
// Those of the loop as a whole are LoopGuards.
func (t *Tree) Guards(n *graphdef.Node) []Guard {
	i, ok := t.index[n]
	if !ok {
		return nil
	}
	return t.live.guards(t.live.node[i], t.of[i])
}

// OutputGuards returns the conditions for o to have a value where it is read: those of its node, and for a Switch that it
// steers to o; for an Exit those of the loop. A Merge takes the input whose conditions hold.
func (t *Tree) OutputGuards(o graphdef.Output) []Guard {
	i, ok := t.index[o.Node]
	if !ok {
		return nil
	}
	r := t.of[i]
	if isExit(o.Node.Op()) {
		r = r.Parent
	}
	return t.live.guards(t.live.of(o), r)
}

// LoopGuards returns the conditions, in the region around it, for loop r to run.
func (t *Tree) LoopGuards(r *Region) []Guard {
	if r.Kind != KindLoop {
		return nil
	}
	return t.live.guards(t.live.node[t.index[r.Loop.LoopCond]], r.Parent)
}
