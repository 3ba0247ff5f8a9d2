package savedmodel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/tensor"
)

// The tests of this file are named after failures that users of other tools report: see each test's comment. A model must be
// handled right, or the error must say clearly what is wrong with it.

// parse returns the graph of a text form.
func parse(t *testing.T, text string) *graphdef.Graph {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// save writes g and opens the file.
func save(t *testing.T, g *graphdef.Graph) *savedmodel.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "g.pb")
	if err := graphdef.Save(savedmodel.Portable(g), path); err != nil {
		t.Fatal(err)
	}
	return openModel(t, path, savedmodel.Options{})
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error is %v, want %q in it", err, w)
		}
	}
}

// loopText counts to n in a loop of TensorFlow 1 whose step is a constant that nobody tied to the loop.
const loopText = `
n = Placeholder[dtype=int32, shape=[]]()
zero = Const[value=int32 0]()
one = Const[value=int32 1]()
enter = Enter[frame_name="loop"](zero)
limit = Enter[frame_name="loop", is_constant=true](n)
merge = Merge(enter, next)
less = Less(merge, limit)
cond = LoopCond(less)
switch = Switch(merge, cond)
body = Identity(switch:1)
add = AddV2(body, one)
next = NextIteration(add)
exit = Exit(switch)
`

// TestFailure01RootFrameConstants: nodes that a tool adds inside of a loop land in the root frame, "has inputs from different
// frames".
func TestFailure01RootFrameConstants(t *testing.T) {
	g := parse(t, loopText)
	m := save(t, g)
	if c := m.Graph.Node("one"); len(c.Controls()) == 0 {
		t.Error("the constant that the loop reads is written without a tie to the loop's frame")
	}
	got := compute(t, m, map[string]*tensor.Tensor{"n": tensor.Scalar(int32(5))}, "exit")
	wantTensors(t, got, tensor.Scalar(int32(5)))
}

// TestFailure03StrippedAttributes: "No attr named 'T' in NodeDef" of files whose default and type attributes were stripped.
func TestFailure03StrippedAttributes(t *testing.T) {
	g := graphdef.NewGraph()
	x := g.MustAdd("x", "Placeholder")
	x.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
	w := g.MustAdd("w", "Const")
	w.SetAttr("dtype", graphdef.TypeAttr(tensor.Float32))
	w.SetAttr("value", graphdef.TensorAttr(floats(tensor.Shape{2, 1}, 2, 3)))
	g.MustAdd("y", "MatMul", x.Out(0), w.Out(0)) // neither T nor transpose_a, transpose_b
	m := &savedmodel.Model{Graph: g}
	got := compute(t, m, map[string]*tensor.Tensor{"x": floats(tensor.Shape{1, 2}, 1, 10)}, "y")
	wantTensors(t, got, floats(tensor.Shape{1, 1}, 32))
}

// TestFailure04ControlInputsNameNodes: a rewritten graph says "^split:1", which no importer takes.
func TestFailure04ControlInputsNameNodes(t *testing.T) {
	g := parse(t, `
x = Placeholder[dtype=float, shape=[4]]()
axis = Const[value=int32 0]()
split = Split[num_split=2](axis, x)
y = Neg(split:1, ^split)
`)
	b, err := graphdef.Marshal(savedmodel.Portable(g))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "^split:") {
		t.Error("a control input names an output")
	}
	got := compute(t, save(t, g), map[string]*tensor.Tensor{"x": floats(tensor.Shape{4}, 1, 2, 3, 4)}, "y")
	wantTensors(t, got, floats(tensor.Shape{2}, -3, -4))
}

// TestFailure05References: a frozen training graph keeps references to variables, "float incompatible with float_ref".
func TestFailure05References(t *testing.T) {
	dir := writeMeta(t, `
p = Placeholder[dtype=bool, shape=[]]()
v = VariableV2[dtype=float, shape=[]]()
sw = RefSwitch[T=float_ref](v, p)
no = Identity(sw)
yes = Neg(sw:1)
y = Merge(no, yes)
`, map[string]*tensor.Tensor{"v": tensor.Scalar(float32(3))})
	m := openModel(t, dir, savedmodel.Options{Outputs: []string{"y"}})
	got := compute(t, m, map[string]*tensor.Tensor{"p": tensor.FromSlice(tensor.Shape{}, []bool{true})}, "y")
	wantTensors(t, got, tensor.Scalar(float32(-3)))
	for _, n := range m.Graph.Nodes() {
		if strings.HasPrefix(n.Op(), "Ref") {
			t.Errorf("node %q is still a %s", n.Name(), n.Op())
		}
	}
}

// TestFailure06AssignedVariables: freezing a variable that the graph writes, "passed float .. incompatible with expected
// resource".
func TestFailure06AssignedVariables(t *testing.T) {
	dir := writeMeta(t, `
x = Placeholder[dtype=float, shape=[]]()
counter = VarHandleOp[dtype=float, shape=[], shared_name="counter"]()
count = AssignAddVariableOp[dtype=float](counter, x)
read = ReadVariableOp[dtype=float](counter, ^count)
y = AddV2(read, x)
z = Neg(x)
`, map[string]*tensor.Tensor{"counter": tensor.Scalar(float32(3))})
	_, err := savedmodel.Open(dir, savedmodel.Options{Outputs: []string{"y"}})
	wantError(t, err, `"counter"`, `"count" (AssignAddVariableOp)`)
	// What does not need the write can be frozen.
	openModel(t, dir, savedmodel.Options{Outputs: []string{"z"}})
}

// TestFailure06AssignedInsideBranches is the case that TensorFlow's freezer silently passes: the write is in a function.
func TestFailure06AssignedInsideBranches(t *testing.T) {
	dir := writeMeta(t, `
x = Placeholder[dtype=float, shape=[]]()
p = Placeholder[dtype=bool, shape=[]]()
state = VarHandleOp[dtype=float, shape=[], shared_name="state"]()
y = If[Tcond=bool, Tin=[resource, float], Tout=[float], then_branch=@write, else_branch=@keep](p, state, x)

func write {
  v = _Arg[T=resource]()
  x = _Arg[T=float]()
  w = AssignVariableOp[dtype=float](v, x)
  q = Identity[T=float](x, ^w)
  r = _Retval[T=float](q)
}

func keep {
  v = _Arg[T=resource]()
  x = _Arg[T=float]()
  q = Identity[T=float](x)
  r = _Retval[T=float](q)
}
`, map[string]*tensor.Tensor{"state": tensor.Scalar(float32(3))})
	_, err := savedmodel.Open(dir, savedmodel.Options{Outputs: []string{"y"}})
	wantError(t, err, `"state"`, "AssignVariableOp", `function "write"`)
}

// TestFailure07EmbeddingsInLoops: ResourceGather in a loop or branch breaks freezing.
func TestFailure07EmbeddingsInLoops(t *testing.T) {
	dir := writeMeta(t, `
n = Placeholder[dtype=int32, shape=[]]()
table = VarHandleOp[dtype=float, shape=[3, 2], shared_name="table"]()
zero = Const[value=int32 0]()
start = Const[value=float 2 [0, 0]]()
loop = While[T=[int32, int32, float, resource], cond=@more, body=@step](zero, n, start, table)
y = Identity(loop:2)

func more {
  i = _Arg[T=int32]()
  n = _Arg[T=int32]()
  s = _Arg[T=float]()
  h = _Arg[T=resource]()
  q = Less[T=int32](i, n)
  r = _Retval[T=bool](q)
}

func step {
  i = _Arg[T=int32]()
  n = _Arg[T=int32]()
  s = _Arg[T=float]()
  h = _Arg[T=resource]()
  one = Const[value=int32 1]()
  next = AddV2[T=int32](i, one)
  row = ResourceGather[Tindices=int32, dtype=float](h, i)
  sum = AddV2[T=float](s, row)
  i2 = _Retval[T=int32](next)
  n2 = _Retval[T=int32](n)
  s2 = _Retval[T=float](sum)
  h2 = _Retval[T=resource](h)
}
`, map[string]*tensor.Tensor{"table": floats(tensor.Shape{3, 2}, 1, 2, 3, 4, 5, 6)})
	m := openModel(t, dir, savedmodel.Options{Outputs: []string{"y"}})
	got := compute(t, m, map[string]*tensor.Tensor{"n": tensor.Scalar(int32(3))}, "y")
	wantTensors(t, got, floats(tensor.Shape{2}, 9, 12))
}

// TestFailure08Tables: lookup tables are lost by freezing, or only some of their dtypes work.
func TestFailure08Tables(t *testing.T) {
	m := openModel(t, goldenPath(t, "savedmodel_v1_table"), savedmodel.Options{})
	path := filepath.Join(t.TempDir(), "frozen.pb")
	if err := graphdef.Save(m.Graph, path); err != nil {
		t.Fatal(err)
	}
	// The graph file alone: no assets, no operation to run first.
	frozen := openModel(t, path, savedmodel.Options{})
	got := compute(t, frozen, map[string]*tensor.Tensor{"tokens": strs("world", "hello", "zz")}, "ids")
	wantTensors(t, got, longs(1, 0, -1))
}

// TestFailure09TwoGiB: "exceeds maximum protobuf size" of a model that only a checkpoint can hold.
func TestFailure09TwoGiB(t *testing.T) {
	g := parse(t, `
a = Const[value=float 0]()
b = Const[value=float 0]()
y = AddV2(a, b)
`)
	const elements = 300 << 20
	for _, name := range []string{"a", "b"} {
		s := graphdef.NewStoredTensor(tensor.Float32, tensor.Shape{elements}, 4*elements, func() (*tensor.Tensor, error) {
			t.Fatal("a weight was read to find out that the file is too large")
			return nil, nil
		})
		g.Node(name).SetAttr("value", graphdef.StoredAttr(s))
	}
	path := filepath.Join(t.TempDir(), "big.pb")
	err := graphdef.Save(g, path)
	wantError(t, err, "2 GiB", "SavedModel")
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
}

// TestFailure10NewAttributes: "NodeDef mentions attr 'incompatible_shape_error' not in Op" of a reader older than the writer.
func TestFailure10NewAttributes(t *testing.T) {
	g := parse(t, `
x = Placeholder[dtype=float, shape=[]]()
i = Cast[SrcT=float, DstT=int32, Truncate=false](x)
e = Equal[T=float, incompatible_shape_error=true](x, x)
p = Cast[SrcT=float, DstT=bfloat16, Truncate=true](x)
`)
	for _, name := range []string{"i", "e"} {
		g.Node(name).SetAttr("Truncate", graphdef.BoolAttr(false))
	}
	g.Node("e").RemoveAttr("Truncate")
	g.Node("e").SetAttr("incompatible_shape_error", graphdef.BoolAttr(true))
	out := savedmodel.Portable(g)
	if _, ok := out.Node("i").Attr("Truncate"); ok {
		t.Error("Truncate=false is written")
	}
	if _, ok := out.Node("e").Attr("incompatible_shape_error"); ok {
		t.Error("incompatible_shape_error=true is written")
	}
	if v, _ := out.Node("p").Bool("Truncate"); !v {
		t.Error("Truncate=true was lost")
	}
}

// TestFailure11WrongFile: "not an sstable", "Error parsing message": a file of the model that is not the one to give.
func TestFailure11WrongFile(t *testing.T) {
	dir := writeMeta(t, `
v = VariableV2[dtype=float, shape=[]]()
y = Neg(v)
`, map[string]*tensor.Tensor{"v": tensor.Scalar(float32(3))})
	for _, path := range []string{dir, "checkpoint", "model.ckpt", "model.ckpt.meta", "model.ckpt.index", "model.ckpt.data-00000-of-00001"} {
		if path != dir {
			path = filepath.Join(dir, path)
		}
		m := openModel(t, path, savedmodel.Options{})
		wantTensors(t, compute(t, m, nil, "y"), tensor.Scalar(float32(-3)))
	}
	sm := goldenPath(t, "savedmodel_v1_table")
	for _, path := range []string{"saved_model.pb", "variables/variables", "variables/variables.index", "variables/variables.data-00000-of-00001"} {
		openModel(t, filepath.Join(sm, path), savedmodel.Options{})
	}
	for name, c := range map[string]struct{ content, want string }{
		"weights.h5":      {"\x89HDF\r\n\x1a\nxxxx", "model.export"},
		"m.keras":         {"PK\x03\x04....model.weights.h5", "model.export"},
		"m.tflite":        {"\x1c\x00\x00\x00TFL3....", "start from the SavedModel"},
		"m.onnx":          {"\x08\x07\x12\x07pytorch", "start from the TensorFlow model"},
		"m.tar.gz":        {"\x1f\x8b\x08\x00", "unpack it first"},
		"model.json":      {`{"format": "graph-model", "modelTopology": {}, "weightsManifest": []}`, "TensorFlow.js"},
		"empty.pb":        {"", "empty"},
		"garbage.pb":      {"\x00\x01\x02\x03garbage", "no form that is known"},
		"saved_model.cpb": {"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f\x00\x00\x00\x00\x00\x00\x00\x00\x40", "experimental_image_format"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := savedmodel.Open(path, savedmodel.Options{})
		wantError(t, err, c.want)
	}
	_, err := savedmodel.Open(t.TempDir(), savedmodel.Options{})
	wantError(t, err, "neither a saved_model.pb nor a checkpoint")
	_, err = savedmodel.Open(filepath.Join(t.TempDir(), "nothing"), savedmodel.Options{})
	wantError(t, err, "no such file")
}

// TestFailure12DecoderLoops: loops do not convert, "only supports while loops with a single scan output".
func TestFailure12DecoderLoops(t *testing.T) {
	got := compute(t, save(t, parse(t, loopText)), map[string]*tensor.Tensor{"n": tensor.Scalar(int32(0))}, "exit")
	wantTensors(t, got, tensor.Scalar(int32(0)))
}
