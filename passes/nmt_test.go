package passes

import (
	"context"
	"os"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
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
