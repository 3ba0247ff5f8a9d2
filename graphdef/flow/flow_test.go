package flow

import (
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
)

// build makes a graph from lines "name = Op(input, ^control, …) key=value …": just enough of a text form to write frames.
// Inputs may be named before they are defined.
func build(t *testing.T, text string) *graphdef.Graph {
	t.Helper()
	g := graphdef.NewGraph()
	type line struct {
		n    *graphdef.Node
		args string
	}
	var lines []line
	for _, s := range strings.Split(text, "\n") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		name, rest, _ := strings.Cut(s, " = ")
		op, rest, _ := strings.Cut(rest, "(")
		args, attrs, _ := strings.Cut(rest, ")")
		n, err := g.Add(name, op)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range strings.Fields(attrs) {
			switch k, v, _ := strings.Cut(kv, "="); k {
			case "frame":
				n.SetAttr("frame_name", graphdef.StringAttr(v))
			case "const":
				n.SetAttr("is_constant", graphdef.BoolAttr(v == "true"))
			}
		}
		lines = append(lines, line{n, args})
	}
	for _, l := range lines {
		for _, a := range strings.FieldsFunc(l.args, func(r rune) bool { return r == ',' || r == ' ' }) {
			name, isControl := strings.CutPrefix(a, "^")
			name, port, _ := strings.Cut(name, ":")
			in := g.Node(name)
			if in == nil {
				t.Fatalf("no node %q", name)
			}
			if isControl {
				l.n.AddControl(in)
			} else {
				l.n.AddInput(in.Out(len(strings.Trim(port, "0"))))
			}
		}
	}
	return g
}

func analyze(t *testing.T, text string) (*graphdef.Graph, *Tree) {
	t.Helper()
	g := build(t, text)
	tree, err := Analyze(g)
	if err != nil {
		t.Fatal(err)
	}
	return g, tree
}

func names(nodes []*graphdef.Node) string {
	var s []string
	for _, n := range nodes {
		s = append(s, n.Name())
	}
	return strings.Join(s, " ")
}

const rawLoop = `
	zero = Const()
	n = Placeholder()
	w = Const()
	lim = Enter(n) frame=f const=true
	we = Enter(w) frame=f const=true
	e = Enter(zero) frame=f
	m = Merge(e, ni)
	less = Less(m, lim)
	lc = LoopCond(less)
	sw = Switch(m, lc)
	id = Identity(sw:1)
	one = Const(^id)
	add = Add(id, one)
	mul = Mul(add, we)
	ni = NextIteration(mul)
	exit = Exit(sw)
	out = Neg(exit)
`

func TestRawLoop(t *testing.T) {
	g, tree := analyze(t, rawLoop)
	if len(tree.Root.Children) != 1 {
		t.Fatalf("%d loops, want 1", len(tree.Root.Children))
	}
	r := tree.Root.Children[0]
	l := r.Loop
	got := map[string]string{
		"root": names(tree.Root.Nodes), "inv": names(l.Invariants), "cond": names(l.CondNodes), "body": names(l.BodyNodes),
		"var": names([]*graphdef.Node{l.Vars[0].Enter, l.Vars[0].Merge, l.Vars[0].Switch, l.Vars[0].Next, l.Vars[0].Exit}),
		"lc":  l.LoopCond.Name() + " " + l.Cond.String(), "name": r.Name, "stray": names(tree.Unanchored()),
	}
	want := map[string]string{
		"root": "zero n w out", "inv": "lim we", "cond": "less", "body": "id one add mul",
		"var": "e m sw ni exit", "lc": "lc less:0", "name": "f", "stray": "",
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: %q, want %q", k, got[k], w)
		}
	}
	if c, ok := tree.ConstOf(g.Node("mul").Input(1)); !ok || c.Name() != "w" {
		t.Errorf("ConstOf(mul input 1) = %v, %v", c, ok)
	}
	if c, ok := tree.ConstOf(g.Node("id").Out(0)); ok {
		t.Errorf("ConstOf(id) = %v, want none", c.Name())
	}
}
