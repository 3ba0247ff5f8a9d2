package flow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
)

var update = flag.Bool("update", false, "write what the tests get into testdata; read the difference before committing")

// build makes a graph from lines "name = Op[attr=value](input, ^control, …)": the text form without values. Inputs may be
// named before they are defined, as loops need.
func build(tb testing.TB, text string) *graphdef.Graph {
	tb.Helper()
	g := graphdef.NewGraph()
	type line struct {
		n    *graphdef.Node
		args string
	}
	var lines []line
	for s := range strings.Lines(text) {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		name, rest, _ := strings.Cut(s, " = ")
		head, args, ok := strings.Cut(rest, "(")
		if !ok {
			tb.Fatalf("bad line %q", s)
		}
		op, attrs, _ := strings.Cut(head, "[")
		n, err := g.Add(name, op)
		if err != nil {
			tb.Fatal(err)
		}
		for kv := range strings.SplitSeq(strings.TrimSuffix(attrs, "]"), ", ") {
			switch k, v, _ := strings.Cut(kv, "="); k {
			case "frame_name":
				n.SetAttr(k, graphdef.StringAttr(strings.Trim(v, `"`)))
			case "is_constant":
				n.SetAttr(k, graphdef.BoolAttr(v == "true"))
			case "num_outs":
				i, _ := strconv.Atoi(v)
				n.SetAttr(k, graphdef.IntAttr(int64(i)))
			}
		}
		lines = append(lines, line{n, strings.TrimSuffix(args, ")")})
	}
	for _, l := range lines {
		for a := range strings.SplitSeq(l.args, ", ") {
			if a == "" {
				continue
			}
			name, isControl := strings.CutPrefix(a, "^")
			name, port, _ := strings.Cut(name, ":")
			in := g.Node(name)
			if in == nil {
				tb.Fatalf("no node %q", name)
			}
			if isControl {
				l.n.AddControl(in)
				continue
			}
			i, _ := strconv.Atoi(port)
			l.n.AddInput(in.Out(i))
		}
	}
	return g
}

func names(nodes []*graphdef.Node) string {
	var s []string
	for _, n := range nodes {
		if n == nil {
			s = append(s, "-")
		} else {
			s = append(s, n.Name())
		}
	}
	return strings.Join(s, " ")
}

// describe prints all that a Tree says of its graph.
func describe(t *Tree) string {
	var b strings.Builder
	line := func(depth int, label string, nodes ...*graphdef.Node) {
		if len(nodes) > 0 {
			fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", depth), label, names(nodes))
		}
	}
	var region func(r *Region)
	region = func(r *Region) {
		d := r.depth
		if r.Kind == KindRoot {
			line(d, "root", r.Nodes...)
		} else {
			where := ""
			if r.InCond {
				where = " in condition"
			}
			if g := guards(t.LoopGuards(r)); g != "" {
				where += " if " + g
			}
			fmt.Fprintf(&b, "%sloop %q%s while %v (%s)\n", strings.Repeat("  ", d), r.Name, where, r.Loop.Cond, r.Loop.LoopCond.Name())
			for _, v := range r.Loop.Vars {
				label := "  var"
				if v.Carried() {
					label = "  carried"
				}
				nodes := []*graphdef.Node{v.Enter, v.Merge, v.Switch, v.Next}
				if len(v.Exits) == 0 {
					nodes = append(nodes, nil)
				}
				line(d, label, append(nodes, v.Exits...)...)
			}
			line(d, "  invariants", r.Loop.Invariants...)
			line(d, "  condition", r.Loop.CondNodes...)
			line(d, "  body", r.Loop.BodyNodes...)
			var same []*graphdef.Node
			for _, n := range slices.Concat(r.Loop.CondNodes, r.Loop.BodyNodes) {
				if t.Invariant(n.Out(0), r) {
					same = append(same, n)
				}
			}
			line(d, "  same in every iteration", same...)
		}
		for _, c := range t.Conditionals(r) {
			where := ""
			if c.Parent != nil {
				where = fmt.Sprintf(" in branch %d of %v", c.ParentBranch, c.Parent.Pred)
			}
			fmt.Fprintf(&b, "%s  if %v%s\n", strings.Repeat("  ", d), c.Pred, where)
			line(d+2, "switches", c.Switches...)
			line(d+2, "merges", c.Merges...)
			for i, nodes := range c.Branches {
				line(d+2, strconv.Itoa(i), nodes...)
			}
		}
		for _, n := range r.Nodes {
			gs := t.Guards(n)
			if len(gs) > 1 || len(gs) == 1 && gs[0].Merge != nil {
				fmt.Fprintf(&b, "%s  %s if %s\n", strings.Repeat("  ", d), n.Name(), guards(gs))
			}
		}
		for _, c := range r.Children {
			region(c)
		}
	}
	region(t.Root)
	line(0, "unanchored", t.Unanchored()...)
	for _, n := range t.graph.Nodes() {
		for i, in := range n.Inputs() {
			if c, ok := t.ConstOf(in); ok && c != in.Node {
				fmt.Fprintf(&b, "%s input %d is %s\n", n.Name(), i, c.Name())
			}
		}
		if len(n.Users()) == 0 {
			if p := t.Placeholders(n); len(p) > 0 {
				line(0, n.Name()+" depends on", p...)
			}
		}
	}
	return b.String()
}

func guards(gs []Guard) string {
	var s []string
	for _, g := range gs {
		if g.Merge != nil {
			s = append(s, g.Merge.Name()+" has a value")
		} else {
			s = append(s, fmt.Sprintf("%v=%d", g.Pred, g.Branch))
		}
	}
	return strings.Join(s, " and ")
}

// checkTree verifies what must hold of every Tree.
func checkTree(tb testing.TB, g *graphdef.Graph, t *Tree) {
	tb.Helper()
	seen := map[*graphdef.Node]bool{}
	for i, r := range t.Regions {
		if r.id != i || (r.Parent == nil) != (r == t.Root) || r.Parent != nil && !slices.Contains(r.Parent.Children, r) {
			tb.Errorf("region %q is not linked to its parent", r.Name)
		}
		for _, n := range r.Nodes {
			if seen[n] || t.Of(n) != r {
				tb.Errorf("node %q is in two regions", n.Name())
			}
			seen[n] = true
		}
		if l := r.Loop; l != nil {
			parts := map[*graphdef.Node]bool{l.LoopCond: true}
			for _, v := range l.Vars {
				for _, n := range append([]*graphdef.Node{v.Enter, v.Merge, v.Switch, v.Next}, v.Exits...) {
					if n != nil && t.Of(n) != r {
						tb.Errorf("node %q of a variable of %q is not in its region", n.Name(), r.Name)
					}
					parts[n] = true
				}
			}
			for _, n := range slices.Concat(l.CondNodes, l.BodyNodes) {
				if parts[n] || t.Of(n) != r {
					tb.Errorf("node %q is in condition or body of %q twice or wrongly", n.Name(), r.Name)
				}
				parts[n] = true
			}
		}
	}
	for _, n := range g.Nodes() {
		if !seen[n] {
			tb.Errorf("node %q is in no region", n.Name())
		}
		reads := t.readsIn(n)
		_ = inputs(n, func(in *graphdef.Node) error {
			from := t.Of(in)
			if isExit(in.Op()) {
				from = from.Parent
			}
			if from != reads && !(floats(in) && from.Contains(reads)) {
				tb.Errorf("node %q reads %q of another region", n.Name(), in.Name())
			}
			return nil
		})
	}
}

// TestData runs the cases of testdata: "# title" lines, a graph, "----" and what Analyze makes of it.
func TestData(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, c := range strings.Split("\n"+string(b), "\n# ")[1:] {
			title, rest, _ := strings.Cut(c, "\n")
			text, want, _ := strings.Cut(rest, "----\n")
			got := ""
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt")+"/"+strings.ReplaceAll(title, " ", "_"), func(t *testing.T) {
				g := build(t, text)
				tree, err := Analyze(g)
				if err != nil {
					got = "error: " + err.Error() + "\n"
				} else {
					checkTree(t, g, tree)
					got = describe(tree)
				}
				if strings.TrimSpace(got) != strings.TrimSpace(want) && !*update {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
			fmt.Fprintf(&out, "# %s\n%s----\n%s\n", title, text, got)
		}
		if *update {
			if err := os.WriteFile(path, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
