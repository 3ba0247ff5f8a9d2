package runtime

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// TestQuantGraphs runs small graphs of quantized ops and compares with what TensorFlow answered: as they are, without fusion,
// and with every constant fed, so that nothing is known when the graph is compiled.
func TestQuantGraphs(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "facts", "quant_graphs")
	files, _ := filepath.Glob(filepath.Join(dir, "*.pb"))
	if len(files) == 0 {
		t.Skipf("missing %s", dir)
	}
	if len(files) != 84 {
		t.Errorf("%d graphs in %s, want 84", len(files), dir)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pb")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runQuantGraph(t, b, false, CompileOptions{})
			runQuantGraph(t, b, false, CompileOptions{NoFusion: true})
			if !strings.HasPrefix(name, "while_") { // a Const of a loop body is no constant of the outer graph
				runQuantGraph(t, b, true, CompileOptions{})
			}
		})
	}
}

// expectation is a recorded tensor and how close one has to come.
type expectation struct {
	want       *tensor.Tensor
	rtol, atol float64
}

func runQuantGraph(t *testing.T, file []byte, feed bool, opts CompileOptions) {
	t.Helper()
	g, err := graphdef.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	expect, feeds := map[string]expectation{}, map[string]*tensor.Tensor{}
	for _, n := range g.Nodes() {
		if n.Op() != "Const" || strings.HasPrefix(n.Name(), "expect_sat/") {
			continue
		}
		v, err := n.Tensor("value")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(n.Name(), "expect/") {
			if feed {
				feeds[n.Name()] = v
				opts.Feeds = append(opts.Feeds, n.Name())
			}
			continue
		}
		of, _ := n.Attr("_of")
		name, _ := of.AsString()
		e := expectation{want: v}
		for attr, p := range map[string]*float64{"_rtol": &e.rtol, "_atol": &e.atol} {
			a, _ := n.Attr(attr)
			f, _ := a.AsFloat()
			*p = float64(f)
		}
		expect[name] = e
		opts.Fetches = append(opts.Fetches, name)
	}
	p, err := Compile(g, opts)
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	for range 2 {
		got, err := s.Run(context.Background(), feeds)
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range expect {
			compareQuantized(t, name, got[name], e)
		}
	}
}

// compareQuantized reports the first element of got that differs.
func compareQuantized(t *testing.T, name string, got *tensor.Tensor, e expectation) {
	t.Helper()
	if got.DType() != e.want.DType() || !got.Shape().Equal(e.want.Shape()) {
		t.Errorf("%s: have %v %v, want %v %v", name, got.DType(), got.Shape(), e.want.DType(), e.want.Shape())
		return
	}
	have, want := numbersOf(got), numbersOf(e.want)
	bad := 0
	for i := range e.want.Len() {
		g, w := have(i), want(i)
		same := g == w || (g != g && w != w) || math.Abs(g-w) <= e.atol+e.rtol*math.Abs(w)
		if !same {
			if bad++; bad == 1 {
				t.Errorf("%s: element %d is %v, want %v", name, i, g, w)
			}
		}
	}
	if bad > 1 {
		t.Errorf("%s: %d of %d elements differ", name, bad, e.want.Len())
	}
}

// numbersOf reads any number type.
func numbersOf(t *tensor.Tensor) func(i int) float64 {
	if t.DType().IsFloat() {
		f := floatsOf(t)
		return f.at
	}
	f := intsOf(t)
	return func(i int) float64 { return float64(f(i)) }
}
