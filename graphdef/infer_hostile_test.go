package graphdef

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// TestSpoiledGraphsDoNotPanic changes graphs of every op at random and runs all that reads a graph. Nothing is asked of
// the answers but that they come, and that a graph is not changed by being looked at.
func TestSpoiledGraphsDoNotPanic(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	names := Ops()
	slices.Sort(names)
	for _, path := range shared(t, "conformance/cases/*/*.pb") {
		g, err := Load(path)
		if err != nil {
			continue
		}
		name := filepath.Base(path)
		r := rand.New(rand.NewPCG(uint64(len(name)), uint64(len(g.nodes))))
		for range rounds {
			spoiled := g.Clone()
			for range 1 + r.IntN(3) {
				spoil(r, spoiled, names)
			}
			lookAt(t, name, spoiled)
		}
	}
}

// spoil makes one random change that keeps both directions of the edges right.
func spoil(r *rand.Rand, g *Graph, ops []string) {
	graphs := []*Graph{g}
	for _, f := range g.functions {
		graphs = append(graphs, f.Body)
	}
	g = graphs[r.IntN(len(graphs))]
	any := func() *Node { return g.nodes[r.IntN(len(g.nodes))] }
	n := any()
	switch r.IntN(8) {
	case 0:
		n.op = ops[r.IntN(len(ops))]
	case 1:
		n.op = any().op
	case 2:
		n.AddInput(any().Out(r.IntN(3)))
	case 3:
		if len(n.inputs) > 0 {
			n.SetInput(r.IntN(len(n.inputs)), any().Out(r.IntN(4)-1))
		}
	case 4:
		if len(n.inputs) > 0 {
			n.SetInputs(slices.Clone(n.inputs)[1:]...)
		}
	case 5:
		if len(n.attrs) > 0 {
			n.RemoveAttr(n.attrs[r.IntN(len(n.attrs))].Name)
		}
	case 6:
		if from := any(); len(from.attrs) > 0 && len(n.attrs) > 0 {
			n.SetAttr(n.attrs[r.IntN(len(n.attrs))].Name, from.attrs[r.IntN(len(from.attrs))].Attr)
		}
	case 7:
		odd := []int64{-1, 0, 1, 3, 1 << 20, 1 << 40, 1<<63 - 1, -1 << 63}
		v := odd[r.IntN(len(odd))]
		switch {
		case n.op == "Const":
			n.SetAttr("dtype", TypeAttr(tensor.Int64))
			n.SetAttr("value", TensorAttr(tensor.FromSlice(tensor.Shape{2}, []int64{v, 1})))
		case len(n.attrs) > 0:
			n.SetAttr(n.attrs[r.IntN(len(n.attrs))].Name, IntAttr(v))
		}
	}
}

// lookAt runs everything that reads g.
func lookAt(t *testing.T, name string, g *Graph) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			var b bytes.Buffer
			for _, n := range g.nodes {
				b.WriteString(n.name + " = " + n.op + "\n")
			}
			t.Fatalf("%s: %v\n%s\n%s", name, p, &b, debug.Stack())
		}
	}()
	first, second := Validate(g), Validate(g)
	if (first == nil) != (second == nil) || (first != nil && first.Error() != second.Error()) {
		t.Errorf("%s: Validate says\n%v\nand then\n%v", name, first, second)
	}
	s := Infer(g)
	for _, n := range g.nodes {
		n.InputTypes()
		types, _ := n.OutputTypes()
		for i := range types {
			s.Shape(n.Out(i))
			if arg, idx, err := n.OutArg(i); err == nil {
				if j, err := n.OutIndex(arg, idx); j != i || err != nil {
					t.Errorf("%s: output %d of %s is %s:%d, which is %d, %v", name, i, n.op, arg, idx, j, err)
				}
			}
		}
	}
}

// FuzzInfer reads any bytes as a graph.
func FuzzInfer(f *testing.F) {
	for _, path := range shared(f, "conformance/cases/loop/*.pb", "conformance/cases/func/*.pb") {
		b, err := ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := Read(b); err == nil {
			lookAt(t, "fuzz", g)
		}
	})
}
