package savedmodel

import (
	"fmt"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// A tracer follows operations that a loader would run (restoring, initializing) through calls of functions, without running
// them: it finds which value goes into which variable or table.
type tracer struct {
	lib     *graphdef.Graph
	top     *scope
	visited int
}

// maxVisited bounds the nodes that a tracer looks at: functions that call each other can stand for any number.
const maxVisited = 1 << 21

// scope is the outer graph, or one call of a function.
type scope struct {
	g      *graphdef.Graph
	f      *graphdef.Function // nil: the outer graph
	call   *graphdef.Node     // of f, in parent
	parent *scope
	calls  map[*graphdef.Node]*scope
	seen   map[*graphdef.Node]bool
	depth  int
}

// place is an output of a node in one scope.
type place struct {
	sc  *scope
	out graphdef.Output
}

func newTracer(g *graphdef.Graph) *tracer {
	return &tracer{lib: g, top: &scope{g: g, calls: map[*graphdef.Node]*scope{}, seen: map[*graphdef.Node]bool{}}}
}

// callee returns the function that n calls, nil if it is no call.
func callee(n *graphdef.Node, lib *graphdef.Graph) *graphdef.Function {
	if n.Op() == "PartitionedCall" || n.Op() == "StatefulPartitionedCall" {
		a, _ := n.Attr("f")
		name, _, _ := a.AsFunc()
		return lib.Function(name)
	}
	return lib.Function(n.Op())
}

// enter returns the scope of the call n, nil if n is no call that can be followed.
func (t *tracer) enter(sc *scope, n *graphdef.Node) *scope {
	if in, ok := sc.calls[n]; ok {
		return in
	}
	f := callee(n, t.lib)
	if f == nil || len(f.Args) != n.NumInputs() || sc.depth >= maxDepth {
		return nil
	}
	in := &scope{g: f.Body, f: f, call: n, parent: sc, calls: map[*graphdef.Node]*scope{}, seen: map[*graphdef.Node]bool{}, depth: sc.depth + 1}
	sc.calls[n] = in
	return in
}

// maxDepth bounds how deep functions call each other.
const maxDepth = 100

// walk calls visit for every node that running n would run, each once a scope.
func (t *tracer) walk(sc *scope, n *graphdef.Node, visit func(sc *scope, n *graphdef.Node) error) error {
	type todo struct {
		sc *scope
		n  *graphdef.Node
	}
	stack := []todo{{sc, n}}
	for len(stack) > 0 {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if it.sc.seen[it.n] {
			continue
		}
		it.sc.seen[it.n] = true
		if t.visited++; t.visited > maxVisited {
			return fmt.Errorf("more than %d operations are run by %q", maxVisited, n.Name())
		}
		if err := visit(it.sc, it.n); err != nil {
			return err
		}
		for _, in := range it.n.Inputs() {
			stack = append(stack, todo{it.sc, in.Node})
		}
		for _, c := range it.n.Controls() {
			stack = append(stack, todo{it.sc, c})
		}
		if in := t.enter(it.sc, it.n); in != nil {
			for _, r := range in.f.Rets {
				stack = append(stack, todo{in, r})
			}
			for _, c := range in.f.ControlRet {
				stack = append(stack, todo{in, c})
			}
		}
	}
	return nil
}

// forget makes walk visit all nodes again.
func (t *tracer) forget() {
	t.top.seen, t.top.calls = map[*graphdef.Node]bool{}, map[*graphdef.Node]*scope{}
}

// origin follows a value to where it comes from: through identities, arguments and results of functions.
func (t *tracer) origin(p place) place {
	for range maxVisited {
		n := p.out.Node
		switch op := n.Op(); {
		case op == "_Arg" && p.sc.parent != nil:
			i := -1
			for k, a := range p.sc.f.Args {
				if a == n {
					i = k
				}
			}
			if i < 0 || i >= p.sc.call.NumInputs() {
				return p
			}
			p = place{p.sc.parent, p.sc.call.Input(i)}
		case (op == "Identity" || op == "RefIdentity" || op == "IdentityN" || op == "Enter" || op == "RefEnter") && p.out.Index < n.NumInputs():
			p.out = n.Input(p.out.Index)
		default:
			in := t.enter(p.sc, n)
			if in == nil || p.out.Index >= len(in.f.Rets) || in.f.Rets[p.out.Index].NumInputs() != 1 {
				return p
			}
			p = place{in, in.f.Rets[p.out.Index].Input(0)}
		}
	}
	return p
}

// input returns the origin of data input i of n.
func (t *tracer) input(sc *scope, n *graphdef.Node, i int) (place, bool) {
	if i >= n.NumInputs() {
		return place{}, false
	}
	return t.origin(place{sc, n.Input(i)}), true
}

// isVariable reports whether n is a variable of TensorFlow 1 or 2.
func isVariable(n *graphdef.Node) bool {
	switch n.Op() {
	case "VarHandleOp", "VariableV2", "Variable":
		return true
	}
	return false
}

// isTable reports whether n is a lookup table.
func isTable(n *graphdef.Node) bool {
	return strings.Contains(n.Op(), "HashTable")
}

// sharedName returns what two nodes have in common that are one resource: container and shared_name, or else the node's name.
func sharedName(n *graphdef.Node) string {
	container, _ := n.Str("container")
	name, _ := n.Str("shared_name")
	if name == "" {
		name = n.Name()
	}
	return container + "\x00" + name
}

// tensorNode returns the node and output that a tensor name "node:1" or node name stands for.
func tensorNode(g *graphdef.Graph, name string) (graphdef.Output, error) {
	base, port, ok := strings.Cut(strings.TrimPrefix(name, "^"), ":")
	index := 0
	if ok {
		if _, err := fmt.Sscanf(port, "%d", &index); err != nil || index < 0 {
			return graphdef.Output{}, fmt.Errorf("%q is no tensor name", name)
		}
	}
	n := g.Node(base)
	if n == nil {
		return graphdef.Output{}, fmt.Errorf("the graph has no node %q", base)
	}
	return n.Out(index), nil
}
