package graphdef

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// v1Loop returns a TF1 while loop over one variable that starts as start, of which step makes the next value.
func v1Loop(t *testing.T, g *Graph, start Output, step func(now Output) Output) (merge, exit *Node) {
	t.Helper()
	merge = addNode(t, g, "merge", "Merge", nil)
	enter := addNode(t, g, "enter", "Enter", []Output{start}, "frame_name", StringAttr("loop"))
	merge.AddInput(enter.Out(0))
	p := addNode(t, g, "p", "Placeholder", nil, "dtype", TypeAttr(tensor.Bool), "shape", ShapeAttr(scalarShape))
	cond := addNode(t, g, "cond", "LoopCond", outs(addNode(t, g, "enter_p", "Enter", outs(p), "frame_name", StringAttr("loop"))))
	sw := addNode(t, g, "switch", "Switch", outs(merge, cond))
	next := addNode(t, g, "next", "NextIteration", []Output{step(sw.Out(1))})
	merge.AddInput(next.Out(0))
	return merge, addNode(t, g, "exit", "Exit", outs(sw))
}

func TestInferFollowsFrames(t *testing.T) {
	g := NewGraph()
	start := placeholder32(t, g, "x", -1, 1, 8)
	_, exit := v1Loop(t, g, start.Out(0), func(now Output) Output { // grows by itself along axis 1
		axis := constNode(t, g, "axis", tensor.Scalar[int32](1))
		return addNode(t, g, "grow", "ConcatV2", []Output{now, now, axis.Out(0)}, "N", IntAttr(2)).Out(0)
	})
	s := Infer(g)
	if got := s.Shape(exit.Out(0)).String(); got != "[?, ?, 8]" || s.Err() != nil {
		t.Errorf("a variable that grows is %s, %v", got, s.Err())
	}

	g = NewGraph()
	merge, exit := v1Loop(t, g, constNode(t, g, "zero", tensor.Scalar[int32](0)).Out(0), func(now Output) Output {
		one := constNode(t, g, "one", tensor.Scalar[int32](1))
		return addNode(t, g, "count", "AddV2", []Output{now, one.Out(0)}).Out(0)
	})
	if s := Infer(g); s.Ints(merge.Out(0)) != nil || s.Ints(exit.Out(0)) != nil || s.Shape(exit.Out(0)).String() != "[]" {
		t.Errorf("a counter is %v, %v", s.Ints(merge.Out(0)), s.Shape(exit.Out(0)))
	}

	g = NewGraph()
	merge, _ = v1Loop(t, g, constNode(t, g, "seven", tensor.Scalar[int32](7)).Out(0), func(now Output) Output { return now })
	if v := Infer(g).Ints(merge.Out(0)); len(v) != 1 || v[0] != 7 {
		t.Errorf("an invariant is %v", v)
	}
}

func TestInferJoinsBranches(t *testing.T) {
	g := NewGraph()
	m := addNode(t, g, "m", "Merge", outs(placeholder32(t, g, "a", 2, 3, 4), placeholder32(t, g, "b", 2, 5, 4)))
	s := Infer(g)
	if got := s.Shape(m.Out(0)).String() + s.Shape(m.Out(1)).String() + s.Type(m.Out(1)).String(); got != "[2, ?, 4][]int32" {
		t.Errorf("Merge gives %s", got)
	}
}

// function adds a function of float arguments whose body and result build makes.
func function(t *testing.T, g *Graph, name string, args int, build func(body *Graph, args []Output) []Output) {
	t.Helper()
	f := &Function{Name: name, Body: NewGraph()}
	var in []Output
	for i := range args {
		n := addNode(t, f.Body, "a"+string(rune('0'+i)), "_Arg", nil, "T", TypeAttr(tensor.Float32), "index", IntAttr(int64(i)))
		f.Args = append(f.Args, n)
		in = append(in, n.Out(0))
	}
	for i, o := range build(f.Body, in) {
		n := addNode(t, f.Body, "r"+string(rune('0'+i)), "_Retval", []Output{o}, "T", TypeAttr(tensor.Float32), "index", IntAttr(int64(i)))
		f.Rets = append(f.Rets, n)
	}
	if err := g.AddFunction(f); err != nil {
		t.Fatal(err)
	}
}

func TestInferFollowsFunctions(t *testing.T) {
	f32s := func(n int) Attr {
		types := make([]tensor.DType, n)
		for i := range types {
			types[i] = tensor.Float32
		}
		return TypesAttr(types...)
	}
	g := NewGraph()
	function(t, g, "square", 1, func(b *Graph, a []Output) []Output {
		return []Output{addNode(t, b, "sq", "Mul", []Output{a[0], a[0]}).Out(0)}
	})
	function(t, g, "grow", 2, func(b *Graph, a []Output) []Output {
		axis := constNode(t, b, "axis", tensor.Scalar[int32](0))
		return []Output{addNode(t, b, "cat", "ConcatV2", []Output{a[0], a[1], axis.Out(0)}, "N", IntAttr(2)).Out(0), a[1]}
	})
	function(t, g, "again", 1, func(b *Graph, a []Output) []Output {
		return outs(addNode(t, b, "self", "PartitionedCall", a, "Tin", f32s(1), "Tout", f32s(1), "f", FuncAttr("again")))
	})
	function(t, g, "true", 2, func(b *Graph, a []Output) []Output { return nil })
	x, y := placeholder32(t, g, "x", 2, 3), placeholder32(t, g, "y", 4, 3)
	call := addNode(t, g, "call", "PartitionedCall", outs(x), "Tin", f32s(1), "Tout", f32s(1), "f", FuncAttr("square"))
	legacy := addNode(t, g, "legacy", "square", outs(y))
	while := addNode(t, g, "while", "While", outs(x, y), "T", f32s(2), "cond", FuncAttr("true"), "body", FuncAttr("grow"))
	choose := addNode(t, g, "if", "If", outs(x, x, y), "Tcond", TypeAttr(tensor.Float32), "Tin", f32s(2), "Tout", f32s(2),
		"then_branch", FuncAttr("grow"), "else_branch", FuncAttr("grow"))
	endless := addNode(t, g, "endless", "PartitionedCall", outs(x), "Tin", f32s(1), "Tout", f32s(1), "f", FuncAttr("again"))
	s := Infer(g)
	if s.Err() != nil {
		t.Error(s.Err())
	}
	for _, c := range []struct {
		o    Output
		want string
	}{
		{call.Out(0), "[?, 3]"}, // both calls of square share what is known
		{legacy.Out(0), "[?, 3]"},
		{g.Function("square").Args[0].Out(0), "[?, 3]"},
		{while.Out(0), "[?, 3]"},
		{while.Out(1), "[4, 3]"},
		{choose.Out(0), "[?, 3]"},
		{endless.Out(0), "?"},
	} {
		if got := s.Shape(c.o).String(); got != c.want {
			t.Errorf("%v has shape %s, want %s", c.o, got, c.want)
		}
	}
	if d := s.Type(legacy.Out(0)); d != tensor.Float32 {
		t.Errorf("a call by name gives %v", d)
	}
}

// TestInferGivesUpLongChains: variables that hand on a change one a round are given up, rather than followed for as many
// rounds as the file has variables; ten of them are followed to the end.
func TestInferGivesUpLongChains(t *testing.T) {
	for vars, want := range map[int]string{10: "[?, 3]", 2 * maxRounds: "?"} {
		g := NewGraph()
		var start []Output
		types := make([]tensor.DType, vars)
		for i := range vars {
			start = append(start, placeholder32(t, g, g.UniqueName("x"), 2, 3).Out(0))
			types[i] = tensor.Float32
		}
		f := &Function{Name: "shift", Body: NewGraph()}
		yes := &Function{Name: "yes", Body: NewGraph()}
		for i := range vars {
			attrs := []any{"T", TypeAttr(tensor.Float32), "index", IntAttr(int64(i))}
			f.Args = append(f.Args, addNode(t, f.Body, f.Body.UniqueName("a"), "_Arg", nil, attrs...))
			yes.Args = append(yes.Args, addNode(t, yes.Body, yes.Body.UniqueName("a"), "_Arg", nil, attrs...))
		}
		axis := constNode(t, f.Body, "axis", tensor.Scalar[int32](0))
		last := addNode(t, f.Body, "grow", "ConcatV2", outs(f.Args[0], f.Args[0], axis), "N", IntAttr(2))
		for i, a := range f.Args {
			f.Rets = append(f.Rets, addNode(t, f.Body, f.Body.UniqueName("r"), "_Retval", outs(last), "T", TypeAttr(tensor.Float32), "index", IntAttr(int64(i))))
			last = a
		}
		for _, f := range []*Function{f, yes} {
			if err := g.AddFunction(f); err != nil {
				t.Fatal(err)
			}
		}
		while := addNode(t, g, "while", "While", start, "T", TypesAttr(types...), "cond", FuncAttr("yes"), "body", FuncAttr("shift"))
		if got := Infer(g).Shape(while.Out(vars - 1)).String(); got != want {
			t.Errorf("the last of %d variables has shape %s, want %s", vars, got, want)
		}
	}
}

func TestInferKnowsWhatHandlesHold(t *testing.T) {
	g := NewGraph()
	i := constNode(t, g, "i", tensor.Scalar[int32](0))
	ids := addNode(t, g, "ids", "Placeholder", nil, "dtype", TypeAttr(tensor.Int32), "shape", ShapeAttr(tensor.Partial(-1)))
	v := addNode(t, g, "v", "VarHandleOp", nil, "dtype", TypeAttr(tensor.Float32), "shape", ShapeAttr(tensor.Partial(9, 4)))
	read := addNode(t, g, "read", "ReadVariableOp", outs(v), "dtype", TypeAttr(tensor.Float32))
	gather := addNode(t, g, "gather", "ResourceGather", outs(v, ids), "dtype", TypeAttr(tensor.Float32))
	array := addNode(t, g, "array", "TensorArrayV3", outs(i), "dtype", TypeAttr(tensor.Float32), "element_shape", ShapeAttr(tensor.Partial(-1, 4)))
	elem, err := g.Add("elem", "TensorArrayReadV3", array.Out(0), i.Out(0), array.Out(1))
	if err != nil {
		t.Fatal(err)
	}
	elem.SetAttr("dtype", TypeAttr(tensor.Float32))
	shape := constNode(t, g, "shape", tensor.FromSlice(tensor.Shape{2}, []int32{-1, 4}))
	unsaid := constNode(t, g, "unsaid", tensor.Scalar[int32](-1))
	list := addNode(t, g, "list", "TensorListReserve", outs(shape, i), "element_dtype", TypeAttr(tensor.Float32))
	pushed := addNode(t, g, "pushed", "TensorListSetItem", outs(list, i, read))
	stack := addNode(t, g, "stack", "TensorListStack", outs(pushed, unsaid), "element_dtype", TypeAttr(tensor.Float32))
	s := Infer(g)
	for _, c := range []struct {
		n    *Node
		want string
	}{{read, "[9, 4]"}, {gather, "[?, 4]"}, {elem, "[?, 4]"}, {stack, "[?, ?, 4]"}} {
		if got := s.Shape(c.n.Out(0)).String(); got != c.want || s.Err() != nil {
			t.Errorf("%s has shape %s, want %s (%v)", c.n.Name(), got, c.want, s.Err())
		}
	}
}

func TestInferFromFeedsAndHints(t *testing.T) {
	g := NewGraph()
	x := placeholder32(t, g, "x", -1, 4)
	neg := addNode(t, g, "neg", "Neg", outs(x))
	odd := addNode(t, g, "odd", "NobodysOp", outs(x), "_output_shapes", AttrFromWire([]byte{0x0a, 0x06, 0x3a, 0x04, 0x12, 0x02, 0x08, 0x05}))
	addNode(t, g, "user", "Neg", outs(odd))
	s := InferFrom(g, map[Output]tensor.PartialShape{x.Out(0): tensor.Partial(3, 4)})
	if got := s.Shape(neg.Out(0)).String(); got != "[3, 4]" {
		t.Errorf("a fed graph has shape %s", got)
	}
	if got := s.Shape(odd.Out(0)).String(); got != "[5]" {
		t.Errorf("the hint of an unknown op gives %s", got)
	}
	if got := s.Shape(Output{neg, 3}); !got.Equal(tensor.PartialShape{}) {
		t.Errorf("an output that is not there has shape %v", got)
	}
	old := NewGraph()
	old.Versions.Producer = 21
	if got := Infer(old).Shape(placeholder32(t, old, "x").Out(0)); !got.Equal(tensor.PartialShape{}) {
		t.Errorf("shape [] of an old file is %v", got)
	}
}

// TestInferFindsTransformers: in models of every exporter the rank of nearly everything is found, and of every matrix
// product the depth that it sums over.
func TestInferFindsTransformers(t *testing.T) {
	for _, path := range shared(t, "fixtures/zoo/*/frozen*.pb", "fixtures/nmt/nmt_v1.pb") {
		name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		g, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		s := Infer(g)
		if err := s.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		total, ranks, products, depths := 0, 0, 0, 0
		graphs := []*Graph{g}
		for _, f := range g.Functions() {
			graphs = append(graphs, f.Body)
		}
		for _, g := range graphs {
			for _, n := range g.Nodes() {
				outs, err := n.NumOutputs()
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				for i := range outs {
					if strings.Contains(n.Name(), "unused_control_flow_input") {
						continue // placeholders that freezing leaves behind; nothing reads them
					}
					total++
					if _, ok := s.Shape(n.Out(i)).Rank(); ok {
						ranks++
					}
				}
				if n.Op() == "MatMul" {
					products++
					axis := 0
					if b, _ := n.Bool("transpose_b"); b {
						axis = 1
					}
					if s.Shape(n.Input(1)).Dim(axis) >= 0 {
						depths++
					}
				}
			}
		}
		t.Logf("%-45s %5d outputs, %5d ranks, %3d MatMul, %3d depths", name, total, ranks, products, depths)
		if ranks < total || depths < products {
			t.Errorf("%s: rank of %d of %d outputs, depth of %d of %d products", name, ranks, total, depths, products)
		}
	}
}

func BenchmarkInfer(b *testing.B) {
	g, err := Load(shared(b, "fixtures/nmt/nmt_v1.pb")[0])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Infer(g)
	}
}

func BenchmarkValidate(b *testing.B) {
	g, err := Load(shared(b, "fixtures/nmt/nmt_v1.pb")[0])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Validate(g); err != nil {
			b.Fatal(err)
		}
	}
}
