package flow

import (
	"fmt"
	"slices"
	"sync"

	"github.com/tfq8/tfq8/graphdef"
)

// Program is a graph with the bodies of all functions that it calls, at any depth. A [Tree] sees one graph; a Program answers
// the same questions across calls: what a body's argument is where the function is called, which Const reaches a MatMul
// inside the body of a While, what of a body is the same in every iteration. It may be read by any number of goroutines as
// long as no graph in it is edited.
type Program struct {
	Root *Tree
	// Trees are Root and then the trees of the functions' bodies, in the order of the library.
	Trees []*Tree
	// Loops are the loops that are spelled with functions: the While and For nodes of all graphs, in the order of Trees, then
	// of the file. Those spelled with frames are in the Trees.
	Loops []*FunctionLoop

	functions map[string]*graphdef.Function
	bodies    map[*graphdef.Graph]*body
	loops     map[*graphdef.Node]*FunctionLoop
}

// body is a function that is called, with what is known of it.
type body struct {
	tree  *Tree
	rank  int                // of tree in Program.Trees
	fn    *graphdef.Function // nil for the outer graph
	sites []Site
	args  map[*graphdef.Node]int
	known [2][]answer // by argument: what all callers pass; in 1 seen through the Switches of conditionals
	exits []exit      // by result
}

// answer is the memory of one question; the zero value says that it has not been asked.
type answer struct {
	state answerState
	value graphdef.Output
}

type answerState uint8

const (
	unasked answerState = iota
	asking              // being answered: asked again, the answer is no, which ends recursion
	none
	found
)

// Role says what a function is to the node that names it.
type Role int

// The roles of functions.
const (
	Call     Role = iota // runs once, with all inputs of the node
	LoopCond             // of a While: runs before each iteration
	LoopBody             // of a While: runs in each iteration
	ForBody              // of a For: its first argument counts
	Branch               // of an If or Case: runs where it is chosen; its arguments are the inputs after the first
	Map                  // of a MapDefun: runs for each row of the first arguments
	Other                // of an op whose use of the function is not known
)

// Site is one place that names a function.
type Site struct {
	Node   *graphdef.Node
	Role   Role
	Branch int // number of the branch, of role Branch
}

// FunctionLoop is a loop that a While, StatelessWhile or For node spells with functions.
type FunctionLoop struct {
	Node *graphdef.Node
	// Cond computes whether there is another iteration; nil for a For.
	Cond, Body *graphdef.Function
	Vars       []FunctionVar

	once    sync.Once
	varying [2]map[*graphdef.Node]bool // of the condition, of the body
}

// FunctionVar is one variable of a FunctionLoop: it takes the value of Init; the condition sees it as CondArg (nil for a
// For) and the body as BodyArg; Next, a _Retval of the body, reads its next value; Result is its value after the loop.
type FunctionVar struct {
	Init                   graphdef.Output
	CondArg, BodyArg, Next *graphdef.Node
	Result                 graphdef.Output

	carried bool
}

// Carried reports whether no iteration changes the variable: the body returns its argument in its own place.
func (v *FunctionVar) Carried() bool { return v.carried }

// AnalyzeProgram analyses g and, by [Analyze] too, the body of every function that it calls at any depth. An error names the
// function. Functions that nothing calls are left out, and those that the library lacks are taken as unknown operations.
func AnalyzeProgram(g *graphdef.Graph) (*Program, error) {
	root, err := Analyze(g)
	if err != nil {
		return nil, err
	}
	p := &Program{
		Root: root, functions: map[string]*graphdef.Function{}, bodies: map[*graphdef.Graph]*body{},
		loops: map[*graphdef.Node]*FunctionLoop{},
	}
	for _, f := range g.Functions() {
		p.functions[f.Name] = f
	}
	p.bodies[g] = &body{tree: root}
	var calls []calledAt
	for stack := []*graphdef.Graph{g}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, n := range at.Nodes() {
			for _, c := range p.callsOf(n) {
				calls = append(calls, c)
				if p.bodies[c.fn.Body] != nil {
					continue
				}
				t, err := Analyze(c.fn.Body)
				if err != nil {
					return nil, fmt.Errorf("in function %q: %w", c.fn.Name, err)
				}
				p.bodies[c.fn.Body] = newBody(c.fn, t)
				stack = append(stack, c.fn.Body)
			}
		}
	}
	for _, c := range calls {
		b := p.bodies[c.fn.Body]
		b.sites = append(b.sites, c.site)
	}
	p.Trees = append(p.Trees, root)
	for _, f := range g.Functions() {
		if b := p.bodies[f.Body]; b != nil {
			b.rank = len(p.Trees)
			p.Trees = append(p.Trees, b.tree)
		}
	}
	if err := p.findLoops(); err != nil {
		return nil, err
	}
	p.answerAll()
	return p, nil
}

func newBody(f *graphdef.Function, t *Tree) *body {
	b := &body{tree: t, fn: f, args: make(map[*graphdef.Node]int, len(f.Args)), exits: make([]exit, len(f.Rets))}
	for i, a := range f.Args {
		b.args[a] = i
	}
	for mode := range b.known {
		b.known[mode] = make([]answer, len(f.Args))
	}
	return b
}

type calledAt struct {
	fn   *graphdef.Function
	site Site
}

// callsOf returns the functions of the library that n names, with their roles.
func (p *Program) callsOf(n *graphdef.Node) []calledAt {
	var calls []calledAt
	add := func(name string, role Role, branch int) {
		if f := p.functions[name]; f != nil {
			calls = append(calls, calledAt{f, Site{n, role, branch}})
		}
	}
	sig, stock := graphdef.Lookup(n.Op())
	if !stock {
		add(n.Op(), Call, 0)
	} else if !sig.Has(graphdef.CallsFunctions) {
		return nil
	}
	for _, a := range n.Attrs() {
		if name, _, ok := a.Attr.AsFunc(); ok {
			role, branch := roleOf(n.Op(), a.Name)
			add(name, role, branch)
		} else if list, ok := a.Attr.AsFuncs(); ok {
			for i, name := range list {
				role, _ := roleOf(n.Op(), a.Name)
				add(name, role, i)
			}
		}
	}
	return calls
}

// roleOf returns what the function in an attribute is to op.
func roleOf(op, attr string) (role Role, branch int) {
	switch op + "." + attr {
	case "PartitionedCall.f", "StatefulPartitionedCall.f":
		return Call, 0
	case "While.cond", "StatelessWhile.cond":
		return LoopCond, 0
	case "While.body", "StatelessWhile.body":
		return LoopBody, 0
	case "For.body":
		return ForBody, 0
	case "If.then_branch", "StatelessIf.then_branch", "Case.branches", "StatelessCase.branches":
		return Branch, 0
	case "If.else_branch", "StatelessIf.else_branch":
		return Branch, 1
	case "MapDefun.f":
		return Map, 0
	}
	return Other, 0
}

// findLoops fills Loops.
func (p *Program) findLoops() error {
	for _, t := range p.Trees {
		for _, n := range t.graph.Nodes() {
			l := &FunctionLoop{Node: n}
			first := 0
			for _, c := range p.callsOf(n) {
				switch c.site.Role {
				case LoopCond:
					l.Cond = c.fn
				case LoopBody:
					l.Body = c.fn
				case ForBody:
					l.Body, first = c.fn, 1
				}
			}
			if l.Body == nil || first == 0 && l.Cond == nil {
				continue
			}
			inits := n.Inputs()
			if first == 1 {
				inits = inits[min(3, len(inits)):]
			}
			if len(l.Body.Args) != len(inits)+first || len(l.Body.Rets) != len(inits) || l.Cond != nil && len(l.Cond.Args) != len(inits) {
				return n.Errorf("has %d loop variables, but body %q takes %d and returns %d values", len(inits), l.Body.Name, len(l.Body.Args), len(l.Body.Rets))
			}
			for i, init := range inits {
				v := FunctionVar{Init: init, BodyArg: l.Body.Args[i+first], Next: l.Body.Rets[i], Result: n.Out(i)}
				if l.Cond != nil {
					v.CondArg = l.Cond.Args[i]
				}
				l.Vars = append(l.Vars, v)
			}
			p.loops[n] = l
			p.Loops = append(p.Loops, l)
		}
	}
	for _, l := range p.Loops {
		for i := range l.Vars {
			l.Vars[i].carried = p.carried(l, i)
		}
	}
	return nil
}

// answerAll asks all that is remembered, so that a finished Program is only read.
func (p *Program) answerAll() {
	for _, t := range p.Trees[1:] {
		b := p.bodies[t.graph]
		for _, a := range b.fn.Args {
			for mode := range b.known {
				p.passed(b, a, mode)
			}
		}
		for i := range b.exits {
			p.exit(b.fn, i)
		}
	}
}

// Tree returns the tree of the graph that n is in, nil if the program does not hold it.
func (p *Program) Tree(n *graphdef.Node) *Tree {
	if b := p.bodies[n.Graph()]; b != nil {
		return b.tree
	}
	return nil
}

// Function returns the function in whose body n is, nil for a node of the outer graph.
func (p *Program) Function(n *graphdef.Node) *graphdef.Function {
	if b := p.bodies[n.Graph()]; b != nil {
		return b.fn
	}
	return nil
}

// Sites returns the places that call f, in no order that means anything.
func (p *Program) Sites(f *graphdef.Function) []Site {
	if b := p.bodies[f.Body]; b != nil {
		return b.sites
	}
	return nil
}

// Loop returns the loop that n, a While or For node, spells; nil for another node.
func (p *Program) Loop(n *graphdef.Node) *FunctionLoop { return p.loops[n] }

// Name returns the name of o as runtime.CompileOptions.Observe takes it: node:index in the outer graph,
// function@node:index in a body.
func (p *Program) Name(o graphdef.Output) string {
	if f := p.Function(o.Node); f != nil {
		return f.TensorName(o)
	}
	return o.String()
}

// InLoop reports whether n may run several times in one run of the program: it is in a loop of its graph, or in a function
// that a loop or map calls, at any depth.
func (p *Program) InLoop(n *graphdef.Node) bool {
	seen := map[*graphdef.Graph]bool{}
	stack := []*graphdef.Node{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b := p.bodies[n.Graph()]
		if b == nil {
			continue
		}
		if b.tree.Of(n).Kind == KindLoop {
			return true
		}
		if seen[n.Graph()] {
			continue
		}
		seen[n.Graph()] = true
		for _, s := range b.sites {
			if s.Role != Call && s.Role != Branch {
				return true
			}
			stack = append(stack, s.Node)
		}
	}
	return false
}

// Placeholders returns the placeholders of the outer graph, and the arguments that no caller of the program passes, that the
// value of n depends on: as [Tree.Placeholders], and through arguments at every call site. A call depends on all its inputs.
func (p *Program) Placeholders(n *graphdef.Node) []*graphdef.Node {
	var found []*graphdef.Node
	seen := map[*graphdef.Node]bool{}
	stack := []*graphdef.Node{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b := p.bodies[n.Graph()]
		if b == nil {
			continue
		}
		for _, h := range b.tree.Placeholders(n) {
			if seen[h] {
				continue
			}
			seen[h] = true
			i, isArg := b.args[h]
			if !isArg || len(b.sites) == 0 {
				found = append(found, h)
				continue
			}
			for _, s := range b.sites {
				if in, ok := s.input(i); ok {
					stack = append(stack, in.Node)
					continue
				}
				for _, in := range s.Node.Inputs() {
					stack = append(stack, in.Node)
				}
			}
		}
	}
	slices.SortFunc(found, func(x, y *graphdef.Node) int {
		a, b := p.bodies[x.Graph()], p.bodies[y.Graph()]
		if a != b {
			return a.rank - b.rank
		}
		return a.tree.index[x] - a.tree.index[y]
	})
	return found
}
