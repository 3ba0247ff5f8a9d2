package passes

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/tensor"
)

const nmtPath = "../../shared/fixtures/nmt/nmt_v1.pb"

// loadNMT returns the fixture model; the test is skipped where it is absent.
func loadNMT(t *testing.T) *graphdef.Graph {
	if _, err := os.Stat(nmtPath); err != nil {
		t.Skipf("no %s", nmtPath)
	}
	g, err := graphdef.Load(nmtPath)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func envFor(t *testing.T, g *graphdef.Graph, outputs ...string) *Env {
	t.Helper()
	env := &Env{account: newAccount()}
	for _, name := range outputs {
		n := g.Node(name)
		if n == nil {
			t.Fatalf("no node %q", name)
		}
		env.Outputs = append(env.Outputs, n.Out(0))
	}
	return env
}

func TestNMTCleanup(t *testing.T) {
	g := loadNMT(t)
	env := envFor(t, g, "translations", "scores", "logits")
	results, err := runAll(context.Background(), Cleanup, g, env, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Logf("%-18s rewrites %5d  nodes %5d -> %5d  bytes %9d -> %9d  %7.1f ms", r.Name, r.Rewrites, r.NodesBefore, r.NodesAfter, r.BytesBefore, r.BytesAfter, r.Millis)
	}
}

// nmtFeeds returns the feeds of a recorded case with the given inputs.
func nmtFeeds(t *testing.T, inputs ...string) []Feeds {
	t.Helper()
	c, err := cases.Load("../../shared/fixtures/nmt/case_eight.pb")
	if err != nil {
		t.Skip(err)
	}
	feeds := Feeds{}
	for _, f := range c.Feeds {
		if slices.Contains(inputs, f.Name) {
			feeds[f.Name] = f.Value
		}
	}
	if len(feeds) != len(inputs) {
		t.Fatalf("the case feeds %v", feeds)
	}
	return []Feeds{feeds}
}

// TestNMTConvert converts a translator with beam search, calibrated with one batch, for both targets and two sets of outputs.
func TestNMTConvert(t *testing.T) {
	g := loadNMT(t)
	for _, c := range []struct {
		inputs, outputs   []string
		matMuls, products int
	}{
		{[]string{"source", "target"}, []string{"translations", "scores", "logits"}, 98, 134},
		{[]string{"source"}, []string{"translations", "scores"}, 49, 67},
	} {
		for _, target := range []Target{TensorFlow, TFQ8} {
			opts := Options{
				Inputs: c.inputs, Outputs: c.outputs, Calibrate: nmtFeeds(t, c.inputs...), Target: target, Verify: true,
			}
			res, err := Convert(context.Background(), g, opts)
			if err != nil {
				t.Fatal(err)
			}
			if q, all := res.Report.Quantized("MatMul"); q != c.matMuls || all != c.matMuls {
				t.Errorf("%v, %v: %d of %d MatMul in INT8, want all of %d: %v", target, c.outputs, q, all, c.matMuls, res.Report.LeftFloat())
			}
			q, all := res.Report.Quantized("")
			if all != c.products || target == TFQ8 && q != all {
				t.Errorf("%v, %v: %d of %d products in INT8, want %d", target, c.outputs, q, all, c.products)
			}
			for _, p := range res.Report.LeftFloat() {
				if p.Reason != TwoActivations || p.Detail == "" {
					t.Errorf("%v: %+v is left in FP32", target, p)
				}
			}
			// Of a file that only translates, what the scoring part alone needs is gone already.
			if b := res.Report; 10*b.BytesAfter > 3*b.BytesBefore {
				t.Errorf("%v, %v: %d bytes of %d are left, want 30 %% at most", target, c.outputs, b.BytesAfter, b.BytesBefore)
			}
			checkCaches(t, res.Graph, target)
			checkMarks(t, g, res.Graph)
			opts.Calibrate, opts.Thresholds = nil, res.Thresholds
			again, err := Convert(context.Background(), g, opts)
			if err != nil {
				t.Fatal(err)
			}
			first, _ := graphdef.Marshal(res.Graph)
			second, _ := graphdef.Marshal(again.Graph)
			if !bytes.Equal(first, second) {
				t.Errorf("%v, %v: the thresholds of a conversion give another graph", target, c.outputs)
			}
		}
	}
}

// checkCaches checks that the six caches of the decoder, keys and values of three layers, are reordered as codes.
func checkCaches(t *testing.T, g *graphdef.Graph, target Target) {
	t.Helper()
	codes := 0
	for _, n := range g.Nodes() {
		if n.Op() != "GatherNd" {
			continue
		}
		d, err := n.Type("Tparams")
		if err != nil {
			t.Fatal(err)
		}
		if d == tensor.Int8 {
			codes++
		}
	}
	if want := map[Target]int{TFQ8: 6}[target]; codes != want {
		t.Errorf("%v: %d GatherNd move codes, want %d", target, codes, want)
	}
}

// checkMarks checks that every node which is not as it was says which pass made or changed it.
func checkMarks(t *testing.T, before, after *graphdef.Graph) {
	t.Helper()
	bare := func(n *graphdef.Node) string { return markText.ReplaceAllString(graphdef.FormatNode(n), "") }
	for _, n := range after.Nodes() {
		if _, err := n.Str("_tfq8_pass"); err == nil {
			continue
		}
		if old := before.Node(n.Name()); old == nil || bare(old) != bare(n) {
			t.Errorf("%s: is new or changed, but not marked", graphdef.FormatNode(n))
		}
	}
}
