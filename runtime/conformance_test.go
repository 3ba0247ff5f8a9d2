package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// recorded is the project's own cases, which testdata/conformance/README.md describes.
var recorded = filepath.Join("..", "testdata", "conformance", "cases")

// TestConformance runs small graphs and compares with what TensorFlow answered: as they are, where constants may be folded,
// and with their inputs fed, where nothing is known when the graph is compiled. TFQ8_CASES names more directories of
// groups, separated like PATH.
func TestConformance(t *testing.T) {
	dirs := []string{recorded, filepath.Join("..", "..", "shared", "conformance", "cases")}
	dirs = append(dirs, filepath.SplitList(os.Getenv("TFQ8_CASES"))...)
	for i, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*", "*.pb"))
		if len(files) == 0 {
			t.Run(filepath.Base(dir), func(t *testing.T) {
				if i == 0 {
					t.Fatalf("missing %s", dir)
				}
				t.Skipf("missing %s", dir)
			})
			continue
		}
		groups := map[string][]string{}
		var order []string
		for _, f := range files {
			g := filepath.Base(filepath.Dir(f))
			if groups[g] == nil {
				order = append(order, g)
			}
			groups[g] = append(groups[g], f)
		}
		for _, g := range order {
			t.Run(g, func(t *testing.T) {
				for _, file := range groups[g] {
					t.Run(strings.TrimSuffix(filepath.Base(file), ".pb"), func(t *testing.T) { conform(t, file) })
				}
			})
		}
	}
}

// unrecorded are the ops that no recorded case has, each with the reason.
var unrecorded = map[string]string{
	"_FusedBatchNormEx":             "TensorFlow's CPU kernel is a stub",
	"InitializeTableFromTextFile":   "needs a file beside the case; TestTableFromFile",
	"InitializeTableFromTextFileV2": "needs a file beside the case; TestTableFromFile",
	"QuantizedReluX":                "TensorFlow has no CPU kernel",
	"TopK":                          "TensorFlow 2.21 looks for a kernel with an attribute that the op does not have",
}

// compiled are the ops that Compile takes apart, so that runtime.Ops does not name them.
var compiled = []string{
	"Enter", "Exit", "NextIteration", "LoopCond", "While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase",
	"PartitionedCall", "StatefulPartitionedCall", "Placeholder", "NoOp", "ControlTrigger",
}

// TestEveryOpIsRecorded asserts that each op which the interpreter runs is in a case with TensorFlow's answers.
func TestEveryOpIsRecorded(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recorded, "*", "*.pb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", recorded, err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		c, err := cases.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range append([]*graphdef.Graph{c.Graph}, bodies(c.Graph)...) {
			for _, n := range g.Nodes() {
				seen[n.Op()] = true
			}
		}
	}
	var missing []string
	for _, op := range append(runtime.Ops(), compiled...) {
		switch _, known := unrecorded[op]; {
		case !seen[op] && !known:
			missing = append(missing, op)
		case seen[op] && known:
			t.Errorf("%s has a recorded case, but is listed as unrecorded", op)
		}
	}
	slices.Sort(missing)
	for _, op := range missing {
		t.Errorf("%s has no recorded case; add it to a suite in testdata/conformance and record again", op)
	}
}

func bodies(g *graphdef.Graph) []*graphdef.Graph {
	var list []*graphdef.Graph
	for _, f := range g.Functions() {
		list = append(list, f.Body)
	}
	return list
}

// conform runs one case file in all modes.
func conform(t *testing.T, file string) {
	// One panic must not hide the other cases.
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	c, err := cases.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Refused != nil {
		return
	}
	for _, mode := range []struct {
		name string
		feed bool
		opts runtime.CompileOptions
	}{
		{"const", false, runtime.CompileOptions{}},
		{"fed", true, runtime.CompileOptions{}},
		{"naive", true, runtime.CompileOptions{NoFusion: true}},
	} {
		feeds := map[string]*tensor.Tensor{}
		for _, f := range c.Feeds {
			feeds[f.Name] = f.Value
		}
		if mode.feed {
			for _, f := range c.Constants {
				feeds[f.Name] = f.Value
			}
		}
		for name := range feeds {
			mode.opts.Feeds = append(mode.opts.Feeds, name)
		}
		if c.Fails != "" {
			mode.opts.Fetches = []string{c.Fails}
			_, err := runCase(c.Graph, mode.opts, feeds)
			var missing *runtime.UnsupportedError
			if err == nil {
				err = graphdef.Validate(c.Graph)
			}
			switch {
			case err == nil:
				t.Errorf("%s: no error, want one: %s", mode.name, c.Message)
			case errors.As(err, &missing):
				t.Errorf("%s: %v, want another error: %s", mode.name, err, c.Message)
			}
			continue
		}
		for _, e := range c.Expect {
			mode.opts.Fetches = append(mode.opts.Fetches, e.Of)
		}
		got, err := runCase(c.Graph, mode.opts, feeds)
		if err != nil {
			t.Errorf("%s: %v", mode.name, err)
			continue
		}
		for _, e := range c.Expect {
			if _, err := cases.Compare(got[e.Of], e); err != nil {
				t.Errorf("%s: %v", mode.name, err)
			}
		}
	}
}

// runCase compiles g and runs it twice in one session, which must give the same answers with the buffers of the first run.
func runCase(g *graphdef.Graph, opts runtime.CompileOptions, feeds map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	p, err := runtime.Compile(g, opts)
	if err != nil {
		return nil, err
	}
	s := p.NewSession()
	if _, err := s.Run(context.Background(), feeds); err != nil {
		return nil, err
	}
	return s.Run(context.Background(), feeds)
}
