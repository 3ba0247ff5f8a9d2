package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
)

// TestGuardsAgainstSimulation makes random graphs of Switches and Merges and runs them under every choice of the
// predicates, following what is dead as TensorFlow does. A node must run exactly when its guards hold.
func TestGuardsAgainstSimulation(t *testing.T) {
	const predicates = 3
	alive, opaque := 0, 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		g := graphdef.NewGraph()
		var outs []graphdef.Output
		var preds []graphdef.Output
		for i := range predicates {
			p := g.MustAdd(fmt.Sprintf("p%d", i), "Placeholder").Out(0)
			preds = append(preds, p)
			outs = append(outs, p)
		}
		pick := func() graphdef.Output { return outs[max(rng.IntN(len(outs)), rng.IntN(len(outs)))] }
		for range 4 + rng.IntN(16) {
			var n *graphdef.Node
			ports := 1
			switch rng.IntN(8) {
			case 0, 1, 2:
				p := preds[rng.IntN(len(preds))]
				n = g.MustAdd("switch", "Switch", pick(), p)
				ports = 2
				if n.Input(0) == p {
					// A predicate that went through a Switch is the same predicate.
					preds = append(preds, n.Out(rng.IntN(2)))
				}
			case 3, 4:
				n = g.MustAdd("merge", "Merge", pick(), pick())
				if rng.IntN(3) == 0 {
					n.AddInput(pick())
				}
			case 5:
				n = g.MustAdd("const", "Const")
			case 6:
				n = g.MustAdd("identity", "Identity", pick())
			default:
				n = g.MustAdd("add", "AddN", pick(), pick())
			}
			if rng.IntN(4) == 0 || n.Op() == "Const" {
				n.AddControl(pick().Node)
			}
			for i := range ports {
				outs = append(outs, n.Out(i))
			}
		}
		tree, err := Analyze(g)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkTree(t, g, tree)
		ever := map[*graphdef.Node]bool{}
		for choice := range 1 << predicates {
			runs := simulate(g, choice)
			for _, n := range g.Nodes() {
				want := runs[n.Out(0)] || runs[n.Out(1)] || runs[n.Out(-1)]
				ever[n] = ever[n] || !want
				for port := -1; port < 2; port++ {
					o := n.Out(port)
					gs := tree.Guards(n)
					if port >= 0 {
						gs = tree.OutputGuards(o)
					}
					if port == 1 && n.Op() != "Switch" {
						continue
					}
					holds := true
					for _, gd := range gs {
						if gd.Merge != nil {
							opaque++
							holds = holds && runs[gd.Merge.Out(-1)]
						} else {
							holds = holds && choice>>(gd.Pred.Node.Name()[1]-'0')&1 == gd.Branch
						}
					}
					alive++
					if holds != runs[o] {
						t.Fatalf("seed %d, predicates %03b: %v runs: %v, its guards %q say %v\n%s", seed, choice, o, runs[o], guards(gs), holds, describe(tree))
					}
				}
			}
		}
		for _, n := range g.Nodes() {
			if ever[n] && !tree.Dead(n) {
				t.Fatalf("seed %d: %q can be dead, Dead says no", seed, n.Name())
			}
		}
	}
	t.Logf("%d outputs, %d hang on a Merge", alive, opaque)
}

// simulate returns which outputs get a value; output -1 says whether the node runs.
func simulate(g *graphdef.Graph, choice int) map[graphdef.Output]bool {
	runs := map[graphdef.Output]bool{}
	for _, n := range g.Nodes() { // made in order
		ok := true
		for _, in := range n.Inputs() {
			ok = ok && runs[in]
		}
		for _, c := range n.Controls() {
			ok = ok && runs[c.Out(-1)]
		}
		switch n.Op() {
		case "Merge":
			ok = false
			for _, in := range n.Inputs() {
				ok = ok || runs[in]
			}
		case "Switch":
			p := n.Input(1)
			for p.Node.NumInputs() > 0 {
				p = p.Node.Input(0)
			}
			branch := choice >> (p.Node.Name()[1] - '0') & 1
			runs[n.Out(branch)] = ok
			runs[n.Out(-1)] = ok
			continue
		}
		runs[n.Out(0)] = ok
		runs[n.Out(-1)] = ok
	}
	return runs
}

// FuzzAnalyze makes a graph of any bytes: Analyze must give an error or a sound Tree, and answer every question.
func FuzzAnalyze(f *testing.F) {
	f.Add([]byte{0, 1, 5, 0, 0, 2, 1, 3})
	f.Add([]byte("Enter Merge LoopCond Switch NextIteration Exit"))
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		b := make([]byte, 10+rng.IntN(120))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	ops := []string{"Const", "Placeholder", "Enter", "Enter", "Merge", "Merge", "Switch", "Switch", "LoopCond", "NextIteration",
		"NextIteration", "Exit", "Identity", "AddV2", "NoOp", "_SwitchN"}
	arity := map[string]int{"Enter": 1, "Merge": 2, "Switch": 2, "LoopCond": 1, "NextIteration": 1, "Exit": 1, "Identity": 1, "AddV2": 2, "_SwitchN": 2}
	f.Fuzz(func(t *testing.T, b []byte) {
		g := graphdef.NewGraph()
		count := min(len(b)/3, 60)
		var nodes []*graphdef.Node
		for i := range count {
			n := g.MustAdd("n", ops[b[3*i]%byte(len(ops))])
			switch n.Op() {
			case "Enter":
				n.SetAttr("frame_name", graphdef.StringAttr(string(rune('a'+b[3*i+1]%2))))
				n.SetAttr("is_constant", graphdef.BoolAttr(b[3*i+1]&4 != 0))
			case "_SwitchN":
				n.SetAttr("num_outs", graphdef.IntAttr(int64(b[3*i+1]%5)-1))
			}
			nodes = append(nodes, n)
		}
		for i, n := range nodes {
			for k := range arity[n.Op()] {
				in := nodes[int(b[3*i+1+k])%count]
				n.AddInput(in.Out(int(b[3*i+1] >> 7)))
			}
			if b[3*i+2]&0x70 == 0x70 || n.Op() == "NoOp" {
				n.AddControl(nodes[int(b[3*i+2])%count])
			}
		}
		tree, err := Analyze(g)
		if err != nil {
			return
		}
		checkTree(t, g, tree)
		_ = describe(tree)
	})
}

// TestLinearTime analyzes graphs made to be slow: many loops in a row, loops nested deep, long chains, wide Merges.
func TestLinearTime(t *testing.T) {
	const size = 20000
	serial := 0
	add := func(g *graphdef.Graph, op string, inputs ...graphdef.Output) *graphdef.Node {
		serial++
		return g.MustAdd(fmt.Sprint(op, serial), op, inputs...)
	}
	loop := func(g *graphdef.Graph, from graphdef.Output, frame string, body func(graphdef.Output) graphdef.Output) graphdef.Output {
		e := add(g, "Enter", from)
		e.SetAttr("frame_name", graphdef.StringAttr(frame))
		m := add(g, "Merge", e.Out(0))
		lc := add(g, "LoopCond", m.Out(0))
		sw := add(g, "Switch", m.Out(0), lc.Out(0))
		m.AddInput(add(g, "NextIteration", body(sw.Out(1))).Out(0))
		return add(g, "Exit", sw.Out(0)).Out(0)
	}
	for name, fill := range map[string]func(g *graphdef.Graph, x graphdef.Output){
		"loops in a row": func(g *graphdef.Graph, x graphdef.Output) {
			for i := range size / 6 {
				x = loop(g, x, fmt.Sprint("f", i%3), func(v graphdef.Output) graphdef.Output { return v })
			}
		},
		"loops in loops": func(g *graphdef.Graph, x graphdef.Output) {
			var nest func(depth int) func(graphdef.Output) graphdef.Output
			nest = func(depth int) func(graphdef.Output) graphdef.Output {
				return func(v graphdef.Output) graphdef.Output {
					if depth == 0 {
						return v
					}
					return loop(g, v, fmt.Sprint("f", depth), nest(depth-1))
				}
			}
			nest(2000)(x)
		},
		"conditionals in a row": func(g *graphdef.Graph, x graphdef.Output) {
			for range size / 3 {
				s := add(g, "Switch", x, x)
				x = add(g, "Merge", s.Out(0), s.Out(1)).Out(0)
			}
		},
		"a chain in a loop": func(g *graphdef.Graph, x graphdef.Output) {
			loop(g, x, "f", func(v graphdef.Output) graphdef.Output {
				for range size {
					v = add(g, "Identity", v).Out(0)
				}
				return v
			})
		},
		"a wide Merge": func(g *graphdef.Graph, x graphdef.Output) {
			m := add(g, "Merge", x)
			for range size / 2 {
				p := add(g, "Placeholder")
				m.AddInput(add(g, "Switch", x, p.Out(0)).Out(1))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := graphdef.NewGraph()
			fill(g, add(g, "Placeholder").Out(0))
			start := time.Now()
			if _, err := Analyze(g); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d nodes in %v", len(g.Nodes()), time.Since(start))
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%d nodes took %v", len(g.Nodes()), d)
			}
		})
	}
	t.Run("too many conditionals around a node", func(t *testing.T) {
		g := graphdef.NewGraph()
		x := g.MustAdd("x", "Placeholder").Out(0)
		for i := range 2 * maxGuards {
			p := g.MustAdd(fmt.Sprint("p", i), "Placeholder")
			x = g.MustAdd(fmt.Sprint("s", i), "Switch", x, p.Out(0)).Out(1)
		}
		if _, err := Analyze(g); err == nil {
			t.Error("want an error")
		}
	})
}
