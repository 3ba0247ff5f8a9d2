package runtime_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/internal/mutate"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// FuzzCompileRun changes a recorded case in a few places, by a seed, and runs it: there is an answer or an error, soon, in bounded
// memory, the same with fused steps and without, and never a panic. Without -fuzz it tries a few seeds on each case.
func FuzzCompileRun(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(recorded, "*", "*.pb"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases in %s: %v", recorded, err)
	}
	for i := range files {
		for seed := range uint64(6) {
			f.Add(uint16(i), seed)
		}
	}
	loaded := make([]*cases.Case, len(files))
	f.Fuzz(func(t *testing.T, file uint16, seed uint64) {
		i := int(file) % len(files)
		if loaded[i] == nil {
			if loaded[i], err = cases.Load(files[i]); err != nil {
				t.Fatal(err)
			}
		}
		runMutated(t, loaded[i], rand.New(rand.NewPCG(seed, uint64(file))))
	})
}

// runMutated runs one variant of c after some changes.
func runMutated(t *testing.T, c *cases.Case, r *rand.Rand) {
	of := c.Expect[r.IntN(len(c.Expect))].Of
	variant, _, _ := strings.Cut(of, "/")
	opts := runtime.CompileOptions{MaxBytes: 1 << 26}
	for _, e := range c.Expect {
		if strings.HasPrefix(e.Of, variant+"/") {
			opts.Fetches = append(opts.Fetches, e.Of)
		}
	}
	g, err := mutate.Graph(c.Graph, opts.Fetches, r)
	if err != nil {
		return
	}
	nodes := mutate.Reached(g, opts.Fetches...)
	feeds := map[string]*tensor.Tensor{}
	for _, f := range c.Feeds {
		if strings.HasPrefix(f.Name, variant+"/") {
			feeds[f.Name] = f.Value
			if r.IntN(4) == 0 {
				feeds[f.Name] = mutate.Tensor(f.Value, r)
			}
		}
	}
	if r.IntN(2) == 0 {
		for _, n := range nodes {
			if v, err := n.Tensor("value"); err == nil && strings.HasPrefix(n.Name(), "in/") {
				feeds[n.Name()+":0"] = v
			}
		}
	}
	opts.Feeds = slices.Sorted(maps.Keys(feeds))
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s %s, panic in\n%s", c.Name, opts.Fetches, graphdef.Format(only(g, nodes)))
			panic(p)
		}
	}()
	const patience = 10 * time.Second // on a busy machine; what runs on for ever is a fault
	run := func(fused bool) error {
		opts.NoFusion = !fused
		p, err := runtime.Compile(g, opts)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience/10)
		defer cancel()
		_, err = p.NewSession().Run(ctx, feeds)
		return err
	}
	start := time.Now()
	plain, fused := run(false), run(true)
	if d := time.Since(start); d > 2*patience {
		t.Errorf("%s %s ran for %v\n%s", c.Name, opts.Fetches, d, graphdef.Format(only(g, nodes)))
	}
	if (plain == nil) != (fused == nil) && !bounds(plain) && !bounds(fused) {
		t.Errorf("%s %s: as it is: %v; with fused steps: %v\n%s", c.Name, opts.Fetches, plain, fused, graphdef.Format(only(g, nodes)))
	}
}

// bounds reports whether err is that of a bound of memory or time.
func bounds(err error) bool {
	var limit *runtime.LimitError
	return errors.As(err, &limit) || errors.Is(err, context.DeadlineExceeded)
}

// FuzzCompileBytes reads arbitrary bytes as a graph and runs all of it that nothing else reads.
func FuzzCompileBytes(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(recorded, "*", "*.pb"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		// Small files: the fuzzer cuts and joins them, and finds more in them than in large ones.
		if b, err := os.ReadFile(file); err == nil && len(b) < 800 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := graphdef.Read(b)
		if err != nil {
			return
		}
		opts := runtime.CompileOptions{MaxBytes: 1 << 26, Feeds: []string{}}
		for _, n := range g.Nodes() {
			if outs, err := n.NumOutputs(); err == nil && outs > 0 && len(n.Users()) == 0 && len(opts.Fetches) < 100 {
				opts.Fetches = append(opts.Fetches, n.Name())
			}
		}
		p, err := runtime.Compile(g, opts)
		if err != nil {
			return
		}
		const patience = 10 * time.Second
		ctx, cancel := context.WithTimeout(context.Background(), patience/10)
		defer cancel()
		start := time.Now()
		p.NewSession().Run(ctx, nil)
		if d := time.Since(start); d > patience {
			t.Errorf("ran for %v", d)
		}
	})
}

// only removes all other nodes of g, for a message.
func only(g *graphdef.Graph, keep []*graphdef.Node) *graphdef.Graph {
	g.RemoveAll(func(n *graphdef.Node) bool { return !slices.Contains(keep, n) })
	return g
}
