package flow

import (
	"slices"
	"strconv"

	"github.com/tfq8/tfq8/graphdef"
)

// frames finds which nodes share a frame. Each node starts with an unknown frame of its own; every edge says that two are
// the same (or, at Enter and Exit, that one is the other's parent), and a union-find structure collects what follows. So
// loops are told apart by what they are connected to and not by their names, which files use twice.
type frames struct {
	t     *Tree
	to    []int32 // union-find; element i < len(nodes) is node i, then the root, then parents that only an Exit told us of
	size  []int32
	name  []string // of a representative: the frame_name, "" while not known and for the root
	up    []int32  // of a representative: its parent frame, -1 while not known
	root  int32
	enter []*graphdef.Node // of a representative: its first Enter in file order

	depth map[int32]int // of a representative that has a name: how many frames lie around it, itself included
}

func newFrames(t *Tree) *frames {
	f := &frames{t: t}
	for range t.graph.Nodes() {
		f.add()
	}
	f.root = f.add()
	return f
}

func (f *frames) add() int32 {
	i := int32(len(f.to))
	f.to = append(f.to, i)
	f.size = append(f.size, 1)
	f.name = append(f.name, "")
	f.up = append(f.up, -1)
	f.enter = append(f.enter, nil)
	return i
}

func (f *frames) find(i int32) int32 {
	for f.to[i] != i {
		f.to[i] = f.to[f.to[i]]
		i = f.to[i]
	}
	return i
}

// known reports whether i is the root or a frame with a name.
func (f *frames) known(i int32) bool { i = f.find(i); return f.name[i] != "" || i == f.find(f.root) }

// conflict says which two frames cannot be one. inside is the name of a frame that would lie in both, "" if they are
// themselves those that an edge joins.
type conflict struct{ a, b, inside string }

// unify makes a and b one frame, and so their parents; nil if that is possible.
func (f *frames) unify(a, b int32) *conflict {
	inside := ""
	for {
		a, b = f.find(a), f.find(b)
		if a == b {
			return nil
		}
		root := f.find(f.root)
		switch {
		case f.known(a) && f.known(b) && (a == root || b == root || f.name[a] != f.name[b]),
			a == root && f.up[b] >= 0, b == root && f.up[a] >= 0, f.around(a, b), f.around(b, a):
			return &conflict{f.describe(a), f.describe(b), inside}
		}
		if f.size[a] < f.size[b] {
			a, b = b, a
		}
		f.to[b] = a
		f.size[a] += f.size[b]
		if f.name[a] == "" {
			f.name[a] = f.name[b]
		}
		if e := f.enter[b]; e != nil && (f.enter[a] == nil || f.t.index[e] < f.t.index[f.enter[a]]) {
			f.enter[a] = e
		}
		ua, ub := f.up[a], f.up[b]
		if ua < 0 {
			f.up[a] = ub
		}
		if ua < 0 || ub < 0 {
			return nil
		}
		inside = f.name[a]
		a, b = ua, ub
	}
}

// around reports whether a is known to be the frame right around b.
func (f *frames) around(a, b int32) bool { return f.up[b] >= 0 && f.find(f.up[b]) == a }

// parent returns the frame around i, which may be unknown yet; -1 where i is the root.
func (f *frames) parent(i int32) int32 {
	i = f.find(i)
	if i == f.find(f.root) {
		return -1
	}
	if f.up[i] < 0 {
		p := f.add()
		f.up[i] = p
	}
	return f.up[i]
}

// seen returns the frame in which the outputs of n are: that of n, but for an Exit the one around it.
func (f *frames) seen(n *graphdef.Node) int32 {
	i := int32(f.t.index[n])
	if isExit(n.Op()) {
		return f.parent(i)
	}
	return i
}

// describe names a frame in an error.
func (f *frames) describe(i int32) string {
	i = f.find(i)
	if f.name[i] == "" {
		return `frame "" (outside of loops)`
	}
	s := "frame " + strconv.Quote(f.name[i])
	if p := f.up[i]; p >= 0 && f.name[f.find(p)] != "" {
		s += " inside " + strconv.Quote(f.name[f.find(p)])
	}
	return s
}

// floats reports whether n has no inputs at all. Such a node gives the same value in every frame, so it belongs wherever it
// is read: TensorFlow's freezing leaves Consts of loop bodies without the control input that would tie them there.
func floats(n *graphdef.Node) bool { return n.NumInputs() == 0 && len(n.Controls()) == 0 }

// inputs calls f for each data and control input of n.
func inputs(n *graphdef.Node, f func(in *graphdef.Node) error) error {
	for _, in := range n.Inputs() {
		if err := f(in.Node); err != nil {
			return err
		}
	}
	for _, c := range n.Controls() {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// connect looks at every edge, inputs before users, so that the first contradiction is found where a reader of the graph
// would see it.
func (f *frames) connect() error {
	for _, n := range f.t.graph.Nodes() {
		if !isEnter(n.Op()) {
			continue
		}
		i := f.t.index[n]
		a, _ := n.Attr("frame_name")
		f.name[i], _ = a.AsString()
		if f.name[i] == "" {
			return n.Errorf("has no frame_name, which says what loop it enters")
		}
		f.enter[i] = n
	}
	for _, n := range f.t.order {
		if floats(n) {
			continue
		}
		var err error
		if isEnter(n.Op()) {
			err = f.connectEnter(n)
		} else {
			err = f.connectInside(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// connectEnter puts the frame that n enters into the one that its inputs are in.
func (f *frames) connectEnter(n *graphdef.Node) error {
	me := int32(f.t.index[n])
	var first *graphdef.Node
	return inputs(n, func(in *graphdef.Node) error {
		if floats(in) {
			return nil
		}
		from := f.seen(in)
		if from < 0 {
			return in.Errorf("leaves a loop, but is in none")
		}
		if c := f.find(me); f.up[c] < 0 {
			f.up[c] = from
		} else if why := f.unify(f.up[c], from); why != nil {
			if first == nil {
				return n.Errorf("enters frame %q, which is in %s, from %s", f.name[c], why.a, why.b)
			}
			return f.mixed(n, first, in, why)
		}
		if first == nil {
			first = in
		}
		return nil
	})
}

// connectInside puts n into the frame that its inputs are in; the root if they are constants of no frame.
func (f *frames) connectInside(n *graphdef.Node) error {
	me := int32(f.t.index[n])
	var first *graphdef.Node
	err := inputs(n, func(in *graphdef.Node) error {
		if floats(in) {
			return nil
		}
		from := f.seen(in)
		if from < 0 {
			return in.Errorf("leaves a loop, but is in none")
		}
		if why := f.unify(me, from); why != nil {
			if first == nil {
				// A NextIteration: its Merge, which comes first, has told its frame.
				return n.Errorf("has inputs from different frames: it goes to a Merge in %s, %q is in %s; %s", why.a, in.Name(), why.b, crossing)
			}
			return f.mixed(n, first, in, why)
		}
		if first == nil {
			first = in
		}
		return nil
	})
	if err != nil || first != nil || isNextIteration(n.Op()) || n.Op() == "LoopCond" {
		// The last two are part of a loop through the Merge or the Switch that reads them.
		return err
	}
	if why := f.unify(me, f.root); why != nil {
		return n.Errorf("is in %s, but all its inputs are constants outside of loops; give it a control input from the loop", why.a)
	}
	return nil
}

const crossing = "values enter a loop through Enter and leave it through Exit"

func (f *frames) mixed(n, a, b *graphdef.Node, why *conflict) error {
	if why.inside != "" {
		return n.Errorf("has inputs from different frames: %q and %q are in frames called %q, one inside %s, one inside %s",
			a.Name(), b.Name(), why.inside, why.a, why.b)
	}
	return n.Errorf("has inputs from different frames: %q is in %s, %q is in %s; %s", a.Name(), why.a, b.Name(), why.b, crossing)
}

// findFrames makes the regions and says which node runs in which.
func (t *Tree) findFrames() error {
	f := newFrames(t)
	if err := f.connect(); err != nil {
		return err
	}
	t.Root = &Region{Kind: KindRoot}
	t.idle = map[*graphdef.Node]bool{}
	t.Regions = []*Region{t.Root}
	conds := map[int32]bool{}
	var first []*graphdef.Node // the first Enter of each frame, in file order
	for i, n := range t.graph.Nodes() {
		if n.Op() == "LoopCond" {
			conds[f.find(int32(i))] = true
		}
		if isEnter(n.Op()) && f.enter[f.find(int32(i))] == n {
			first = append(first, n)
		}
	}
	first, err := f.outermostFirst(first)
	if err != nil {
		return err
	}
	regions := map[int32]*Region{}
	type key struct {
		name   string
		parent *Region
	}
	named := map[key][]*Region{}
	var loose []int32 // frames without LoopCond
	region := func(i int32) *Region {
		if i < 0 {
			return t.Root
		}
		if r := regions[f.find(i)]; r != nil {
			return r
		}
		return t.Root
	}
	flushLoose := func() error {
		// Enters that nothing connects to the loop (an unused invariant) share only its name and parent.
		for _, c := range loose {
			p := region(f.up[c])
			switch same := named[key{f.name[c], p}]; {
			case len(same) > 0:
				regions[c] = same[0]
			case int(f.size[c]) == 1 && len(f.enter[c].Users()) == 0:
				regions[c] = p
				t.idle[f.enter[c]] = true
			default:
				return f.enter[c].Errorf("enters frame %q, which has no LoopCond; only while loops are supported", f.name[c])
			}
		}
		loose = loose[:0]
		return nil
	}
	depth := -1
	for _, e := range first {
		c := f.find(int32(t.index[e]))
		if d := f.depth[c]; d != depth {
			if err := flushLoose(); err != nil {
				return err
			}
			depth = d
		}
		if !conds[c] {
			loose = append(loose, c)
			continue
		}
		p := region(f.up[c])
		r := &Region{Kind: KindLoop, Name: f.name[c], Parent: p, id: len(t.Regions), depth: p.depth + 1}
		p.Children = append(p.Children, r)
		regions[c] = r
		named[key{r.Name, p}] = append(named[key{r.Name, p}], r)
		t.Regions = append(t.Regions, r)
	}
	if err := flushLoose(); err != nil {
		return err
	}
	for i, n := range t.graph.Nodes() {
		if !floats(n) {
			t.of[i] = region(int32(i))
			if t.of[i] == t.Root && (isExit(n.Op()) || isNextIteration(n.Op())) {
				return n.Errorf("is in no loop: no Enter leads to it")
			}
		}
	}
	t.placeFloating()
	return nil
}

// outermostFirst sorts frames, given by their first Enter, by depth. The error is for a frame inside itself.
func (f *frames) outermostFirst(first []*graphdef.Node) ([]*graphdef.Node, error) {
	const onChain = -1
	f.depth = make(map[int32]int, len(first))
	of := func(e *graphdef.Node) int32 { return f.find(int32(f.t.index[e])) }
	for _, e := range first {
		var chain []int32
		base := 0
		for c := of(e); f.name[c] != ""; c = f.find(f.up[c]) {
			if base = f.depth[c]; base == onChain {
				return nil, e.Errorf("enters frame %q from inside that frame", f.name[c])
			}
			if base > 0 {
				break
			}
			f.depth[c] = onChain
			chain = append(chain, c)
			if f.up[c] < 0 {
				break
			}
		}
		for _, c := range slices.Backward(chain) {
			base++
			f.depth[c] = base
		}
	}
	slices.SortStableFunc(first, func(a, b *graphdef.Node) int { return f.depth[of(a)] - f.depth[of(b)] })
	return first, nil
}

// placeFloating puts each node without inputs into the region of its readers, the innermost one around all of them. What
// is fed from outside stays there.
func (t *Tree) placeFloating() {
	for i, n := range t.graph.Nodes() {
		if !floats(n) {
			continue
		}
		var r *Region
		inLoop := false
		for _, u := range n.Users() {
			s := t.readsIn(u.Node)
			inLoop = inLoop || s != t.Root
			if r == nil {
				r = s
			} else {
				r = common(r, s)
			}
		}
		if r == nil || isPlaceholder(n.Op()) {
			r = t.Root
		}
		t.of[i] = r
		if inLoop {
			t.stray = append(t.stray, n)
		}
	}
}

// readsIn returns the region whose values n reads: for an Enter, the one around its loop.
func (t *Tree) readsIn(n *graphdef.Node) *Region {
	r := t.of[t.index[n]]
	if isEnter(n.Op()) && !t.idle[n] {
		return r.Parent
	}
	return r
}

// common returns the innermost region that contains a and b.
func common(a, b *Region) *Region {
	for a != b {
		if a.depth < b.depth {
			a, b = b, a
		}
		a = a.Parent
	}
	return a
}
