package passes

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/internal/mutate"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// convertible is a graph to change and convert.
type convertible struct {
	path    string
	g       *graphdef.Graph
	outputs []string
	feeds   Feeds
}

// FuzzConvert changes a graph in a few places, by a seed, and converts it with calibration: there is an error, or a sound graph
// that compiles if the changed one does, soon, and never a panic. The graphs are those of the tests of single passes and of recorded control flow.
func FuzzConvert(f *testing.F) {
	var paths []string
	for _, pattern := range []string{"testdata/*/*.txtar", "../testdata/conformance/cases/flow/*.pb", "../testdata/conformance/cases/matrix/*MatMul*.pb"} {
		list, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(list) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		paths = append(paths, list...)
	}
	for i := range paths {
		for seed := range uint64(3) {
			f.Add(uint16(i), seed)
		}
	}
	loaded := make([]*convertible, len(paths))
	f.Fuzz(func(t *testing.T, file uint16, seed uint64) {
		i := int(file) % len(paths)
		if loaded[i] == nil {
			loaded[i] = loadConvertible(t, paths[i])
		}
		convertMutated(t, loaded[i], rand.New(rand.NewPCG(seed, uint64(file))))
	})
}

// loadConvertible reads a case of passes or of recorded answers.
func loadConvertible(t *testing.T, path string) *convertible {
	c := &convertible{path: path, feeds: Feeds{}}
	if filepath.Ext(path) == ".txtar" {
		of := readCase(t, path)
		c.g, c.outputs = parseGraph(t, of.in), of.outputs
		for _, n := range c.g.Nodes() {
			if n.Op() == "Placeholder" {
				c.feeds[n.Name()] = feedFor(n)
			}
		}
		return c
	}
	file, err := cases.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c.g = file.Graph
	for _, e := range file.Expect {
		c.outputs = append(c.outputs, e.Of)
	}
	for _, feed := range file.Feeds {
		c.feeds[feed.Name] = feed.Value
	}
	return c
}

// feedFor returns ones or zeros for a placeholder, two wherever a dimension is not known.
func feedFor(n *graphdef.Node) *tensor.Tensor {
	d, _ := n.Type("dtype")
	var shape tensor.Shape
	if s, err := n.Shape("shape"); err == nil {
		dims := s.Dims()
		for _, dim := range dims {
			if dim < 0 {
				dim = 2
			}
			shape = append(shape, dim)
		}
	}
	v := tensor.New(d, shape)
	if d == tensor.Float32 {
		for i := range tensor.Data[float32](v) {
			tensor.Data[float32](v)[i] = float32(i%7) - 3
		}
	}
	return v
}

func convertMutated(t *testing.T, c *convertible, r *rand.Rand) {
	g, err := mutate.Graph(c.g, c.outputs, r)
	if err != nil {
		return
	}
	feeds := maps.Clone(c.feeds)
	opts := Options{
		Inputs: slices.Sorted(maps.Keys(feeds)), Outputs: c.outputs, Calibrate: []Feeds{feeds}, Verify: true, MaxBytes: 1 << 26,
		Target: Target(r.IntN(2)), ReduceRange: r.IntN(4) == 0, FloatEmbeddings: r.IntN(4) == 0,
	}
	text := func() string { return c.path + "\n" + graphdef.Format(g) }
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic in %s", text())
			panic(p)
		}
	}()
	const patience = 10 * time.Second // on a busy machine
	ctx, cancel := context.WithTimeout(context.Background(), patience/10)
	defer cancel()
	start := time.Now()
	result, err := Convert(ctx, g, opts)
	if d := time.Since(start); d > patience {
		t.Errorf("ran for %v: %s", d, text())
	}
	if err != nil {
		return
	}
	if err := graphdef.Validate(result.Graph); err != nil {
		t.Errorf("converted: %v\n%s", err, text())
	}
	compile := func(g *graphdef.Graph) error {
		_, err := runtime.Compile(g, runtime.CompileOptions{Feeds: opts.Inputs, Fetches: opts.Outputs, MaxBytes: 1 << 26})
		return err
	}
	var limit *runtime.LimitError // as of a constant in a branch that does not run, which has lost its branch
	if err := compile(result.Graph); err != nil && !errors.As(err, &limit) && compile(g) == nil {
		t.Errorf("converted: %v\n%s", err, text())
	}
}
