package flow

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
)

const shared = "../../../shared"

// sharedFiles returns the files below folders of the reference material for which keep is true.
func sharedFiles(t *testing.T, keep func(path string) bool, folders ...string) []string {
	t.Helper()
	var files []string
	for _, f := range folders {
		root := filepath.Join(shared, f)
		if _, err := os.Stat(root); err != nil {
			t.Skipf("%s is not there", root)
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && keep(path) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestConformance analyzes every graph that TensorFlow ran, and the bodies of its functions.
func TestConformance(t *testing.T) {
	files := sharedFiles(t, func(p string) bool { return strings.HasSuffix(p, ".pb") && !strings.HasSuffix(p, ".error.pb") },
		"conformance/cases/loop", "conformance/cases/cond", "conformance/cases/tensorarray", "conformance/cases/func",
		"conformance/cases/block", "conformance/cases/var", "conformance/cases/tensorlist")
	loops, loopConds, conds := 0, 0, 0
	for _, path := range files {
		g, err := graphdef.Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		graphs := []*graphdef.Graph{g}
		for _, f := range g.Functions() {
			graphs = append(graphs, f.Body)
		}
		for _, g := range graphs {
			tree, err := Analyze(g)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			checkTree(t, g, tree)
			loops += len(tree.Regions) - 1
			for _, r := range tree.Regions {
				conds += len(tree.Conditionals(r))
			}
			if s := tree.Unanchored(); len(s) > 0 {
				t.Errorf("%s: unanchored %s, but TensorFlow ran it", path, names(s))
			}
			for _, n := range g.Nodes() {
				if n.Op() == "LoopCond" {
					loopConds++
				}
				for _, gd := range tree.Guards(n) {
					if gd.Merge != nil {
						t.Errorf("%s: node %q hangs on Merge %q, want predicates alone", path, n.Name(), gd.Merge.Name())
					}
				}
			}
		}
	}
	if loops != loopConds || loops == 0 || conds == 0 {
		t.Errorf("%d loops and %d conditionals in %d files, want %d loops and some conditionals", loops, conds, len(files), loopConds)
	}
}

// TestModels looks at the loops of whole models: how many variables they have, and that each product whose weight is a
// Const of the file is seen to have one.
func TestModels(t *testing.T) {
	for _, c := range []struct {
		path                          string
		loop                          string // of the largest loop
		vars, invariants              int
		conds, stray, dead, constProd int
	}{
		{"fixtures/nmt/nmt_v1.pb", "translate/beam_search/while/while_context", 12, 86, 0, 0, 0, 98},
		{"fixtures/zoo/hf_t5_generate_beam/frozen_repaired.pb", "StatefulPartitionedCall/while", 50, 0, 0, 0, 0, 56},
		{"fixtures/zoo/kh_gpt2_generate/frozen.pb", "StatefulPartitionedCall/while", 6, 36, 0, 0, 0, 6},
		{"fixtures/zoo/om_seq2seq_beam/frozen_repaired.pb", "StatefulPartitionedCall/seq2_seq_transformer/while", 36, 0, 0, 0, 0, 1},
		{"fixtures/zoo/t2t_transformer_beam/frozen.pb", "transformer/while/while_context", 11, 54, 1, 0, 1, 0},
		{"fixtures/zoo/tf1_greedy_while/frozen.pb", "while/while_context", 5, 31, 0, 0, 0, 17},
		{"fixtures/zoo/tf1_cond/frozen.pb", "", 0, 0, 2, 0, 217, 15},
		{"fixtures/zoo/tfk_tutorial_translator/frozen_repaired.pb", "StatefulPartitionedCall/while", 41, 0, 2, 0, 21, 28},
		{"facts/golden/while_v1.pb", "loop/while_context", 3, 3, 0, 0, 0, 0},
		{"facts/golden/frozen_bad_lowered.pb", "while", 6, 2, 1, 1, 24, 2},
	} {
		t.Run(strings.ReplaceAll(c.path, "/", "_"), func(t *testing.T) {
			path := filepath.Join(shared, c.path)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("%s is not there", path)
			}
			g, err := graphdef.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := Analyze(g)
			if err != nil {
				t.Fatal(err)
			}
			checkTree(t, g, tree)
			got := c
			got.loop, got.vars, got.invariants, got.conds, got.dead, got.constProd = "", 0, 0, 0, 0, 0
			got.stray = len(tree.Unanchored())
			for _, r := range tree.Regions {
				if r.Kind == KindLoop && len(r.Loop.Vars) > got.vars {
					got.loop, got.vars, got.invariants = r.Name, len(r.Loop.Vars), len(r.Loop.Invariants)
				}
				got.conds += len(tree.Conditionals(r))
			}
			for _, n := range g.Nodes() {
				if tree.Dead(n) {
					got.dead++
				}
				if strings.Contains(n.Op(), "MatMul") {
					if w, ok := tree.ConstOf(n.Input(1)); ok {
						got.constProd++
						if !tree.Invariant(n.Input(1), tree.Of(n)) {
							t.Errorf("weight %q of %q is not invariant", w.Name(), n.Name())
						}
					}
				}
			}
			if got != c {
				t.Errorf("have %+v\nwant %+v", got, c)
			}
		})
	}
}

// TestRefused checks graphs that TensorFlow refuses for their frames.
func TestRefused(t *testing.T) {
	for name, want := range map[string]string{
		"mixed_frames":        `node "e" (Enter): enters frame "f", which has no LoopCond; only while loops are supported`,
		"cycle_without_frame": `node "op" (AddV2): lies on a cycle that goes through no NextIteration`,
	} {
		path := filepath.Join(shared, "conformance/cases/error", name+".error.pb")
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not there", path)
		}
		g, err := graphdef.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Analyze(g)
		if fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
