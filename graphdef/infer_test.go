package graphdef

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parseTensorName reads node:index.
func parseTensorName(g *Graph, name string) Output {
	node, index, ok := strings.Cut(name, ":")
	i := 0
	for _, c := range index {
		i = 10*i + int(c-'0')
	}
	if !ok {
		i = 0
	}
	return Output{g.Node(node), i}
}

// TestInferAgreesWithTensorFlow: what Infer says of a tensor holds for the tensor that TensorFlow computed. Cases that run
// in TensorFlow have no contradictions.
func TestInferAgreesWithTensorFlow(t *testing.T) {
	cases, ranks, full := 0, 0, 0
	for _, path := range shared(t, "conformance/cases/*/*.pb") {
		name := filepath.Base(path)
		g, err := Load(path)
		if err != nil {
			if !strings.HasSuffix(path, ".error.pb") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		s := Infer(g)
		if strings.HasSuffix(path, ".error.pb") {
			continue // the errors of run time may show here already, or not
		}
		if err := s.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, n := range g.Nodes() {
			if !strings.HasPrefix(n.Name(), "expect/") {
				continue
			}
			of, err := n.Str("_of")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, err := mustAttr(n, "value").AsTensor()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			o := parseTensorName(g, of)
			if o.Node == nil {
				t.Errorf("%s: no node %s", name, of)
				continue
			}
			cases++
			if !s.Shape(o).Accepts(want.Shape()) {
				t.Errorf("%s: %s has shape %v, inferred %v", name, of, want.Shape(), s.Shape(o))
			}
			if got := s.Type(o); got != want.DType() {
				t.Errorf("%s: %s is %v, inferred %v", name, of, want.DType(), got)
			}
			if v := s.Ints(o); v != nil && !slices.Equal(v, integers(want)) {
				t.Errorf("%s: %s is %v, inferred %v", name, of, integers(want), v)
			}
			if _, ok := s.Shape(o).Rank(); ok {
				ranks++
			}
			if _, ok := s.Shape(o).Shape(); ok {
				full++
			}
		}
	}
	t.Logf("%d tensors, rank found of %d, whole shape of %d", cases, ranks, full)
	if cases < 2000 || ranks < cases*8/10 || full < cases*7/10 {
		t.Errorf("%d tensors, rank found of %d, whole shape of %d: too few", cases, ranks, full)
	}
}

func mustAttr(n *Node, name string) Attr {
	a, _ := n.Attr(name)
	return a
}
