// Package flow gives one view of the loops and conditionals of a graph: [Analyze] turns the frames that v1 graphs spell with
// Enter, Merge, Switch, NextIteration, Exit and LoopCond into a [Tree] of [Region]s, and answers what the rest of the program
// asks about values that cross them: which Const reaches a MatMul in a loop, what stays the same in every iteration, which
// nodes may not run at all.
//
//	t, err := flow.Analyze(g)
//	for _, r := range t.Root.Children {
//		fmt.Println(r.Name, len(r.Loop.Vars))
//	}
//
// A Tree sees one graph. [AnalyzeProgram] takes the bodies of the functions that the graph calls along: a [Program] has a
// Tree for each and follows values through arguments and results, so that a weight is found however many calls lie between
// it and its product, and loops that a While or For node spells with functions are known as [FunctionLoop]s:
//
//	p, err := flow.AnalyzeProgram(g)
//	for _, t := range p.Trees {
//		for _, n := range t.Graph().Nodes() {
//			if n.Op() == "MatMul" {
//				w, ok := p.ConstOf(n.Input(1)) // w may be in another graph than n
//				fmt.Println(p.Name(n.Out(0)), p.InLoop(n), w.Name(), ok)
//			}
//		}
//	}
//
// Both read the graph and change nothing; what they say is right until the graph is edited.
package flow

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// Kind says what a Region is.
type Kind int

// The kinds of regions.
const (
	KindRoot Kind = iota // the graph itself
	KindLoop             // a while loop
)

// String returns the kind in lower case.
func (k Kind) String() string {
	if k == KindLoop {
		return "loop"
	}
	return "root"
}

// Tree is the loops of one graph, nested. It may be read by any number of goroutines.
type Tree struct {
	Root    *Region
	Regions []*Region // all of them, parents before children, else in file order of their first Enter

	graph *graphdef.Graph
	index map[*graphdef.Node]int // position in the file
	order []*graphdef.Node       // inputs before users, but for the edges that close loops
	of    []*Region              // by index
	vars  []*LoopVar             // by index: the variable that a Merge, Switch, NextIteration or Exit is part of
	stray []*graphdef.Node
	idle  map[*graphdef.Node]bool // Enters that nothing reads, of frames without a loop: they are in the region around
	// By index, of output 0: through nodes that hand on their input; what Source returns; the same through the Switches of
	// conditionals.
	passed, sources, origins []graphdef.Output
	live                     *liveness
	conds                    [][]*Conditional // by Region.id
	// Which Merges a predicate's node steers, and which predicates steer a Merge.
	decides map[*graphdef.Node][]*graphdef.Node
	decided map[*graphdef.Node][]graphdef.Output
}

// Region is the graph outside of all loops, or one loop.
type Region struct {
	Kind     Kind
	Name     string // the frame's name, "" for the root
	Parent   *Region
	Children []*Region // in file order of their first Enter
	// Nodes are the nodes that run in this region itself, not in its children, in file order. The Enter nodes of a loop
	// belong to it and so do its Exit nodes, which the parent reads as the loop's outputs.
	Nodes []*graphdef.Node
	Loop  *Loop // of a Region of KindLoop
	// InCond says that this loop runs as part of its parent's condition rather than of its body.
	InCond bool

	id      int
	depth   int
	varying varying
}

// Loop is what a loop does: the variables take the value of their Enter; while the condition, computed from the Merges,
// holds, the body computes each variable's next value from output 1 of the Switches; the Exits hand out the last values.
type Loop struct {
	Vars []LoopVar // in file order of their Merge
	// Invariants are the Enter nodes whose value every iteration sees: those with is_constant, and those that something
	// other than the Merge of a variable reads.
	Invariants []*graphdef.Node
	LoopCond   *graphdef.Node
	Cond       graphdef.Output // what LoopCond reads
	// CondNodes are needed to compute Cond, BodyNodes are the others; both without the nodes that the fields above and the
	// Vars name, both in file order. The body may read CondNodes too.
	CondNodes, BodyNodes []*graphdef.Node
}

// LoopVar is one variable of a loop. Switch and Exit may be nil: the body, or what comes after the loop, does not read it.
type LoopVar struct {
	Enter, Merge, Switch, Next, Exit *graphdef.Node
	Exits                            []*graphdef.Node // all Exits of the variable; nearly always one, Exit

	carried bool // no iteration changes the value
}

// Analyze finds the loops of g in time linear in its size. An error is a *[graphdef.NodeError] that says what does not come
// from a while loop and why: frames that mix, a frame without or with several LoopConds, a loop variable without an end.
// Nodes that no fetch needs are looked at too: prune the graph first where it holds unfinished parts.
func Analyze(g *graphdef.Graph) (*Tree, error) {
	order, err := g.Order()
	if err != nil {
		return nil, err
	}
	nodes := g.Nodes()
	t := &Tree{
		graph: g,
		index: make(map[*graphdef.Node]int, len(nodes)),
		order: order,
		of:    make([]*Region, len(nodes)),
		vars:  make([]*LoopVar, len(nodes)),
	}
	for i, n := range nodes {
		t.index[n] = i
		if err := checkArity(n); err != nil {
			return nil, err
		}
	}
	if err := t.findFrames(); err != nil {
		return nil, err
	}
	for i, n := range nodes {
		t.of[i].Nodes = append(t.of[i].Nodes, n)
	}
	t.findPassed()
	for _, r := range t.Regions {
		if r.Kind == KindLoop {
			if err := t.findLoop(r); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range t.Regions {
		if r.Kind == KindLoop {
			t.splitLoop(r)
		}
	}
	for _, r := range slices.Backward(t.Regions) {
		if r.Kind == KindLoop {
			t.findCarried(r)
		}
	}
	t.findSources()
	if err := t.findConditionals(); err != nil {
		return nil, err
	}
	t.findDecisions()
	return t, nil
}

// Graph returns the graph that t is of: the outer one or a function's body.
func (t *Tree) Graph() *graphdef.Graph { return t.graph }

// Of returns the region that n runs in, nil if n is not in the graph.
func (t *Tree) Of(n *graphdef.Node) *Region {
	i, ok := t.index[n]
	if !ok {
		return nil
	}
	return t.of[i]
}

// Carried reports whether no iteration changes the variable: its body hands the value on.
func (v *LoopVar) Carried() bool { return v.carried }

// Var returns the loop variable that n is the Merge, Switch, NextIteration or an Exit of, nil if there is none. A
// NextIteration or Enter that serves two variables answers with the first; an Enter is asked for through its Merge.
func (t *Tree) Var(n *graphdef.Node) *LoopVar {
	i, ok := t.index[n]
	if !ok {
		return nil
	}
	return t.vars[i]
}

// Contains reports whether s is r or lies in it at any depth.
func (r *Region) Contains(s *Region) bool {
	for s != nil && s.depth > r.depth {
		s = s.Parent
	}
	return s == r
}

// Unanchored returns the nodes without any input that a loop reads although no control input ties them to its frame, in
// file order. We run such graphs, TensorFlow refuses them ("has inputs from different frames"): give each node a control
// input from the loop that reads it, or an Enter with is_constant, before writing the file.
func (t *Tree) Unanchored() []*graphdef.Node { return t.stray }

func isEnter(op string) bool         { return op == "Enter" || op == "RefEnter" }
func isExit(op string) bool          { return op == "Exit" || op == "RefExit" }
func isSwitch(op string) bool        { return op == "Switch" || op == "RefSwitch" }
func isMerge(op string) bool         { return op == "Merge" || op == "RefMerge" }
func isNextIteration(op string) bool { return op == "NextIteration" || op == "RefNextIteration" }

// checkArity refuses control-flow nodes with missing or extra inputs, so that the rest need not look.
func checkArity(n *graphdef.Node) error {
	want := -1
	switch op := n.Op(); {
	case isEnter(op), isExit(op), isNextIteration(op), op == "LoopCond":
		want = 1
	case isSwitch(op):
		want = 2
	case isMerge(op):
		if n.NumInputs() == 0 {
			return n.Errorf("have no inputs, want one or more")
		}
	}
	if want >= 0 && n.NumInputs() != want {
		return n.Errorf("have %d inputs, want %d", n.NumInputs(), want)
	}
	return nil
}
