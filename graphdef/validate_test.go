package graphdef

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// TestValidateAcceptsWhatTensorFlowRuns: no false alarm in any graph that TensorFlow runs.
func TestValidateAcceptsWhatTensorFlowRuns(t *testing.T) {
	files := shared(t, "conformance/cases/*/*.pb", "fixtures/*/*.pb", "fixtures/zoo/*/frozen*.pb", "facts/golden/*.pb", "facts/quant_graphs/*.pb")
	for _, path := range files {
		if strings.HasSuffix(path, ".error.pb") || strings.HasPrefix(filepath.Base(path), "case_") {
			continue
		}
		g, err := Load(path)
		if err == nil {
			err = Validate(g)
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestValidateRefusesWhatTensorFlowRefuses: the cases of the conformance suite that the graph's structure decides.
func TestValidateRefusesWhatTensorFlowRefuses(t *testing.T) {
	refused := 0
	for _, path := range shared(t, "conformance/cases/error/*.error.pb") {
		g, err := Load(path)
		if err != nil || Validate(g) != nil {
			refused++
			continue
		}
		for _, structural := range []string{"arity", "attr_missing", "attr_wrong_kind", "cycle", "dtype_", "function_missing", "input_slot", "const_no_value", "const_dtype", "const_huge", "const_negative"} {
			name := filepath.Base(path)
			if strings.Contains(name, structural) && !strings.Contains(name, "not_allowed") {
				t.Errorf("%s is accepted", name)
			}
		}
	}
	if refused < 16 {
		t.Errorf("%d cases refused, want 16 or more", refused)
	}
}

// sound returns a graph with a while loop, a call and a split, in which nothing is wrong.
func sound(t *testing.T) *Graph {
	t.Helper()
	f32 := TypeAttr(tensor.Float32)
	body := NewGraph()
	arg := addNode(t, body, "a", "_Arg", nil, "T", f32, "index", IntAttr(0))
	neg := addNode(t, body, "neg", "Neg", outs(arg), "T", f32)
	ret := addNode(t, body, "r", "_Retval", outs(neg), "T", f32, "index", IntAttr(0))
	g := NewGraph()
	if err := g.AddFunction(&Function{Name: "negate", Body: body, Args: []*Node{arg}, Rets: []*Node{ret}}); err != nil {
		t.Fatal(err)
	}
	x := placeholder32(t, g, "x", -1, 4)
	p := addNode(t, g, "p", "Placeholder", nil, "dtype", TypeAttr(tensor.Bool), "shape", ShapeAttr(scalarShape))
	c := constNode(t, g, "c", tensor.Scalar[float32](1))
	enter := func(name string, in *Node, typ Attr) *Node {
		return addNode(t, g, name, "Enter", outs(in), "T", typ, "frame_name", StringAttr("loop"))
	}
	e, ep := enter("enter", x, f32), enter("enter_p", p, TypeAttr(tensor.Bool))
	m := addNode(t, g, "merge", "Merge", outs(e, e), "T", f32, "N", IntAttr(2))
	cond := addNode(t, g, "cond", "LoopCond", outs(ep))
	sw, err := g.Add("switch", "Switch", m.Out(0), cond.Out(0))
	if err != nil {
		t.Fatal(err)
	}
	sw.SetAttr("T", f32)
	add, _ := g.Add("add", "AddV2", sw.Out(1), c.Out(0)) // c is read without an Enter
	add.SetAttr("T", f32)
	next := addNode(t, g, "next", "NextIteration", outs(add), "T", f32)
	m.SetInput(1, next.Out(0))
	exit := addNode(t, g, "exit", "Exit", outs(sw), "T", f32)
	addNode(t, g, "call", "PartitionedCall", outs(exit), "Tin", TypesAttr(tensor.Float32), "Tout", TypesAttr(tensor.Float32), "f", FuncAttr("negate"))
	axis := constNode(t, g, "axis", tensor.Scalar[int32](1))
	split := addNode(t, g, "split", "Split", outs(axis, exit), "T", f32, "num_split", IntAttr(2))
	last, _ := g.Add("last", "Neg", split.Out(1))
	last.SetAttr("T", f32)
	last.AddControl(x)
	return g
}

func TestValidate(t *testing.T) {
	if err := Validate(sound(t)); err != nil {
		t.Fatalf("a sound graph is refused: %v", err)
	}
	foreign := NewGraph()
	stranger := placeholder32(t, foreign, "stranger", 4)
	for want, spoil := range map[string]func(g *Graph){
		`validate: node "last" (Neg): input 0 does not exist: "split" has no output 2, have 2 outputs`: func(g *Graph) {
			g.Node("last").SetInput(0, g.Node("split").Out(2))
		},
		`validate: node "last" (Neg): has the wrong number of inputs, have 2, want 1`: func(g *Graph) {
			g.Node("last").AddInput(g.Node("x").Out(0))
		},
		`validate: node "split" (Split): input 0 has the wrong type, have x:0 float, want int32`: func(g *Graph) {
			g.Node("split").SetInput(0, g.Node("x").Out(0))
		},
		`validate: node "split" (Split): attribute "num_split" is missing, want int`: func(g *Graph) {
			g.Node("split").RemoveAttr("num_split")
		},
		`validate: node "last" (Neg): attribute "T" has the wrong kind, have int, want type`: func(g *Graph) {
			g.Node("last").SetAttr("T", IntAttr(1))
		},
		`validate: node "call" (PartitionedCall): attribute "f" names a function "gone" that is not in the library`: func(g *Graph) {
			g.Node("call").SetAttr("f", FuncAttr("gone"))
		},
		`validate: node "call" (PartitionedCall): function "negate" gets the wrong number of arguments, have 2, want 1`: func(g *Graph) {
			g.Node("call").AddInput(g.Node("x").Out(0))
			g.Node("call").SetAttr("Tin", TypesAttr(tensor.Float32, tensor.Float32))
		},
		`validate: node "call" (PartitionedCall): function "negate" has the wrong number of results, have 1, want 2`: func(g *Graph) {
			g.Node("call").SetAttr("Tout", TypesAttr(tensor.Float32, tensor.Float32))
		},
		`validate: function "negate": node "neg" (Neg): attribute "T" is missing, want type`: func(g *Graph) {
			g.Function("negate").Body.Node("neg").RemoveAttr("T")
		},
		`validate: node "last" (Neg): lies on a cycle that goes through no NextIteration`: func(g *Graph) {
			g.Node("last").SetInput(0, g.Node("last").Out(0))
		},
		`validate: node "add" (AddV2): inputs lie in different frames, "switch" in frame "loop" and "x" outside loops`: func(g *Graph) {
			g.Node("add").SetInput(1, g.Node("x").Out(0))
		},
		`validate: node "exit" (Exit): leaves a loop, but lies outside loops`: func(g *Graph) {
			g.Node("exit").SetInput(0, g.Node("x").Out(0))
		},
		`validate: node "merge" (Merge): the next iteration "next" comes from another frame, outside loops, want in frame "loop"`: func(g *Graph) {
			g.Node("next").SetInput(0, g.Node("x").Out(0))
		},
		`validate: node "_odd" (NoOp): name is not valid, want letters, digits and . first, then also _ - / >`: func(g *Graph) {
			addNode(t, g, "_odd", "NoOp", nil)
		},
		`validate: node "last" (Neg): input 0 is no node of the graph, have stranger:0`: func(g *Graph) {
			g.Node("last").inputs[0] = stranger.Out(0)
			g.Node("split").users = nil
		},
		`validate: node "x" (Placeholder): does not list its user "last"`: func(g *Graph) {
			x := g.Node("x")
			x.users = slices.DeleteFunc(slices.Clone(x.users), func(u Use) bool { return u.Input == ControlInput })
		},
		`validate: node "x" (Placeholder): lists a user that does not read it`: func(g *Graph) {
			x := g.Node("x")
			x.users = append(slices.Clone(x.users), x.users[0])
		},
		`validate: node "last" (Neg): is not filed under its name in its graph`: func(g *Graph) {
			g.Node("last").name = "renamed"
		},
	} {
		g := sound(t)
		spoil(g)
		err := Validate(g)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"renamed"`, `"last"`), want) {
			t.Errorf("have %v\nwant %s", err, want)
			continue
		}
		var of *NodeError
		if !errors.As(err, &of) {
			t.Errorf("%v is about no node", err)
		}
	}
}

// TestValidateReportsAll: every problem, in an order that does not depend on chance.
func TestValidateReportsAll(t *testing.T) {
	g := sound(t)
	g.Node("split").RemoveAttr("num_split")
	g.Node("last").RemoveAttr("T")
	g.Node("call").SetAttr("f", FuncAttr("gone"))
	addNode(t, g, "new", "NobodysOp", outs(g.Node("x"))) // not known, not wrong
	err := Validate(g)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !slices.IsSorted(lines) {
		t.Errorf("have %d problems:\n%v", len(lines), err)
	}
	if again := Validate(g); again.Error() != err.Error() {
		t.Errorf("have\n%v\nand then\n%v", err, again)
	}
}

// TestReadsOfFrozenVariables: what freezing leaves in function bodies passes, any other handle that is none does not.
func TestReadsOfFrozenVariables(t *testing.T) {
	g := NewGraph()
	w := placeholder32(t, g, "w", 4)
	read := addNode(t, g, "read", "ReadVariableOp", outs(w), "dtype", TypeAttr(tensor.Float32))
	if err := Validate(g); err != nil {
		t.Error(err)
	}
	addNode(t, g, "assign", "AssignVariableOp", outs(w, read), "dtype", TypeAttr(tensor.Float32))
	if err := Validate(g); err == nil {
		t.Error("an assignment to a plain value is accepted")
	}
}
