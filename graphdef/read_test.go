package graphdef

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/wamuir/graft/tensorflow/core/framework/graph_go_proto"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tfq8/tfq8/graphdef/internal/pbtext"
	"github.com/tfq8/tfq8/tensor"
)

// wireOf returns the wire form of a GraphDef in pbtxt.
func wireOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := pbtext.Unmarshal([]byte(text), graphDescriptor())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func nodeText(name, op string, inputs ...string) string {
	s := fmt.Sprintf("node { name: %q op: %q", name, op)
	for _, in := range inputs {
		s += fmt.Sprintf(" input: %q", in)
	}
	return s + " }\n"
}

func TestReadInputs(t *testing.T) {
	g, err := Read(wireOf(t, nodeText("y", "Foo", "x:00", "x:1", "x", "^x", "^z", "^x")+nodeText("x", "Bar")+nodeText("z", "NoOp")))
	if err != nil {
		t.Fatal(err)
	}
	y := g.Node("y")
	if got, want := FormatNode(y), "y = Foo(x, x:1, x, ^x, ^z)"; got != want {
		t.Errorf("node = %s, want %s", got, want)
	}
	if n := len(g.Node("x").UsesOf(0)); n != 2 {
		t.Errorf("x:0 has %d uses, want 2", n)
	}
	if y.Users() != nil || len(g.Node("x").Users()) != 4 {
		t.Errorf("users of y %v, of x %v", y.Users(), g.Node("x").Users())
	}
}

func TestReadRefuses(t *testing.T) {
	x := nodeText("x", "Foo")
	for text, want := range map[string]string{
		"":                                     "no node found",
		"versions { producer: 1 }":             "no node found",
		x + x:                                  `node "x" (Foo): the name is there twice`,
		nodeText("x", ""):                      "has no op",
		nodeText("", "Foo"):                    "not legal",
		nodeText("_x", "Foo"):                  "not legal",
		nodeText("/x", "Foo"):                  "not legal",
		nodeText("a:0", "Foo"):                 "not legal",
		nodeText("é", "Foo"):                   "not legal",
		x + nodeText("y", "Foo", ""):           `input "" has no node name`,
		x + nodeText("y", "Foo", "x:"):         "no output number",
		x + nodeText("y", "Foo", "x:-1"):       "no output number",
		x + nodeText("y", "Foo", "x:0:1"):      "no output number",
		x + nodeText("y", "Foo", "x:99999999"): "no operation has",
		x + nodeText("y", "Foo", "^x:0"):       `control input "^x:0" names no node`,
		x + nodeText("y", "Foo", "^x", "x"):    `data input "x" comes after a control input`,
		x + nodeText("y", "Foo", "q", "r"):     `input "q" names no node`,
		nodeText("y", "Foo", "q") + nodeText("z", "Bar", "r"):                                                                                "2 faults",
		x + "library { function { } }":                                                                                                       "no name",
		x + "library { function { signature { name: 'f' } } function { signature { name: 'f' } } }":                                          `function "f" is there twice`,
		x + "library { function { signature { name: 'f' input_arg { name: 'a' } } } }":                                                       `argument "a" has no type`,
		x + "library { function { signature { name: 'f' input_arg { name: 'a' type: 1 number_attr: 'N' } } } }":                              "is a list",
		x + "library { function { signature { name: 'f' output_arg { name: 'r' type: 1 } } } }":                                              `result "r" is not in ret`,
		x + "library { function { signature { name: 'f' output_arg { name: 'r' type: 1 } } ret { key: 'r' value: 'q:y:0' } } }":              `"q:y:0" names no node or argument`,
		x + "library { function { signature { name: 'f' input_arg { name: 'a' type: 1 } } node_def { name: 'n' op: 'Neg' input: 'a:1' } } }": "is an argument",
		x + "library { function { signature { name: 'f' } node_def { name: 'n' op: 'NoOp' } node_def { name: 'm' op: 'Neg' input: 'n' } } }": "node:output:index",
		x + "library { function { signature { name: 'f' } node_def { name: 'n' op: 'Neg' input: 'n:z:0' } } }":                               `no output argument "z"`,
		x + "library { function { signature { name: 'f' } control_ret { key: 'c' value: 'n' } } }":                                           `control output "c" names no node`,
		x + "library { function { signature { name: 'f' } arg_attr { key: 1 value { } } } }":                                                 "argument 1, have 0",
		x + "library { function { signature { name: 'f' } node_def { name: 'n' op: '_Arg' } } }":                                             "belong to its signature",
	} {
		_, err := Read(wireOf(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%s): error %v, want one with %q", text, err, want)
		}
	}
	_, err := Read(wireOf(t, nodeText("y", "Foo", "q")+nodeText("z", "Bar", "r")))
	var node *NodeError
	if !errors.As(err, &node) || node.Node != "y" || node.Op != "Foo" {
		t.Errorf("error %v wraps NodeError %v, want that of y", err, node)
	}
}

// A file cut anywhere is refused, or is a shorter graph where the cut falls between nodes.
func TestReadTruncated(t *testing.T) {
	b := wireOf(t, nodeText("x", "Foo")+nodeText("y", "Bar", "x")+"library { function { signature { name: 'f' } } } versions { producer: 9 }")
	whole := 0
	for n := range len(b) {
		if _, err := Read(b[:n]); err == nil {
			whole++
		}
	}
	if whole != 3 { // after x, after y, after the library
		t.Errorf("%d prefixes read, want 3", whole)
	}
	if _, err := Read(b[:len(b)-1]); err == nil || !strings.Contains(err.Error(), "damaged or truncated") {
		t.Errorf("error %v", err)
	}
}

// functionText has one of everything that a FunctionDef can say.
const functionText = `node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "call" op: "f" input: ["x", "x"] }
library {
  function {
    signature { name: "f" input_arg { name: "a" description: "d" type: DT_FLOAT is_ref: true } input_arg { name: "b" type: DT_FLOAT }
      output_arg { name: "r" type: DT_INT32 description: "e" } output_arg { name: "a" type: DT_FLOAT } output_arg { name: "u" type: DT_FLOAT }
      attr { name: "T" type: "type" } summary: "s" is_stateful: true control_output: ["done", "last"] }
    node_def { name: "k" op: "Const" attr { key: "value" value { tensor { dtype: DT_INT32 int_val: 2 } } } attr { key: "dtype" value { type: DT_INT32 } } }
    node_def { name: "top" op: "TopKV2" input: ["a", "k:output:0", "^done"] attr { key: "T" value { type: DT_FLOAT } } }
    node_def { name: "done" op: "NoOp" input: "^b" }
    node_def { name: "split" op: "Split" input: ["k:output:0", "a"] attr { key: "num_split" value { i: 3 } } attr { key: "T" value { type: DT_FLOAT } } }
    node_def { name: "add" op: "AddN" input: "split:output" attr { key: "N" value { i: 3 } } attr { key: "T" value { type: DT_FLOAT } } }
    node_def { name: "odd" op: "Unheard" input: "split:output:2" }
    node_def { name: "g" op: "g" input: ["odd:second:1", "odd:first:0"] }
    ret { key: "r" value: "top:indices:0" } ret { key: "a" value: "a" } ret { key: "u" value: "g:out:0" }
    attr { key: "_x" value { b: true } }
    control_ret { key: "done" value: "done" } control_ret { key: "last" value: "top" }
    arg_attr { key: 1 value { attr { key: "_user_specified_name" value { s: "bee" } } } }
    resource_arg_unique_id { key: 0 value: 7 }
  }
  function { signature { name: "g" input_arg { name: "p" type: DT_FLOAT } input_arg { name: "q" type: DT_FLOAT } output_arg { name: "out" type: DT_FLOAT } }
    ret { key: "out" value: "p" } }
  gradient { function_name: "f" gradient_func: "g" }
}
versions { producer: 30 min_consumer: 2 bad_consumers: [3, 4] }
debug_info { files: "file.py" }
`

func TestReadFunction(t *testing.T) {
	wire := wireOf(t, functionText)
	g, err := Read(wire)
	if err != nil {
		t.Fatal(err)
	}
	f := g.Function("f")
	var lines []string
	for _, n := range f.Body.Nodes() {
		lines = append(lines, FormatNode(n))
	}
	const want = `a = _Arg[T=float, _resource_arg_unique_id=7, index=0]() extra=base64:EgFkgAEB
b = _Arg[T=float, _user_specified_name="bee", index=1]()
k = Const[value=int32 2]()
top = TopKV2[T=float](a, k, ^done)
done = NoOp(^b)
split = Split[T=float, num_split=3](k, a)
add = AddN[N=3, T=float](split, split:1, split:2)
odd = Unheard(split:2) ports=["second:1", "first:0"]
g = g(odd, odd:1)
r = _Retval[T=int32, index=0](top:1) extra=base64:EgFl
a_1 = _Retval[T=float, index=1](a) extra=base64:CgFh
u = _Retval[T=float, index=2](g)`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("body is\n%s\nwant\n%s", got, want)
	}
	if len(f.ControlRet) != 2 || f.ControlRet[0].Name() != "done" || f.ControlRet[1].Name() != "top" {
		t.Errorf("control outputs %v", f.ControlRet)
	}
	sameMessage(t, "functionText", g, strings.NewReplacer(`"split:output"`, `["split:output:0", "split:output:1", "split:output:2"]`).Replace(functionText))

	// A node that takes over under another name keeps the function right.
	if err := f.Body.Rename(f.Body.Node("top"), "best"); err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(g.Clone())
	if err != nil {
		t.Fatal(err)
	}
	if h, err := Read(b); err != nil || h.Function("f").Rets[0].Input(0).String() != "best:1" {
		t.Errorf("renamed node in a function: %v", err)
	}
}

// sameMessage compares what Marshal writes with a message in pbtxt.
func sameMessage(t *testing.T, what string, g *Graph, text string) {
	t.Helper()
	var got, want graph_go_proto.GraphDef
	b, err := Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(proto.Unmarshal(b, &got), proto.Unmarshal(wireOf(t, text), &want)); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, &want) {
		t.Errorf("%s is written as\n%v\nwant\n%v", what, &got, &want)
	}
}

// What we write is the message that we read, as the official types see it.
func TestMarshalKeepsReferenceGraphs(t *testing.T) {
	exact, graphs := 0, 0
	for _, file := range graphFiles(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(b)
		if err != nil || strings.Contains(file, "input_name_forms") || strings.Contains(file, "repeated_control_input") {
			continue // refused, or made of inputs that are spelt otherwise than we write them
		}
		graphs++
		c, err := Marshal(g)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if string(b) == string(c) {
			exact++
			continue
		}
		var got, want graph_go_proto.GraphDef
		if err := errors.Join(proto.Unmarshal(c, &got), proto.Unmarshal(b, &want)); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		respell(&want)
		if !proto.Equal(&got, &want) {
			t.Errorf("%s: written as another message", file)
		}
	}
	t.Logf("%d graphs, %d of them byte for byte", graphs, exact)
}

// respell changes what says the same in two ways into the one that we write: output 0 without its number, and no empty
// versions, library or attributes of arguments.
func respell(g *graph_go_proto.GraphDef) {
	for _, n := range g.Node {
		for i, in := range n.Input {
			n.Input[i] = strings.TrimSuffix(in, ":0")
		}
	}
	for _, f := range g.GetLibrary().GetFunction() {
		for i, a := range f.ArgAttr {
			if len(a.Attr) == 0 {
				delete(f.ArgAttr, i)
			}
		}
	}
	if proto.Size(g.Versions) == 0 {
		g.Versions = nil
	}
	if proto.Size(g.Library) == 0 {
		g.Library = nil
	}
}

func TestTensorIsDecodedOnce(t *testing.T) {
	g := NewGraph()
	c := g.MustAdd("c", "Const")
	c.SetAttr("value", TensorAttr(tensor.Scalar(int32(3))))
	a, err := c.Tensor("value")
	b, err2 := c.Tensor("value")
	if err != nil || err2 != nil || a != b {
		t.Errorf("Tensor gives %p, %v and %p, %v", a, err, b, err2)
	}
	c.SetAttr("value", TensorAttr(tensor.Scalar(int32(4))))
	if a, err = c.Tensor("value"); err != nil || tensor.Data[int32](a)[0] != 4 {
		t.Errorf("after SetAttr Tensor gives %v, %v", a, err)
	}
	c.RemoveAttr("value")
	if _, err := c.Tensor("value"); err == nil || !strings.Contains(err.Error(), `has no attribute "value"`) {
		t.Errorf("after RemoveAttr the error is %v", err)
	}
}

func TestMarshalRefusesTooLarge(t *testing.T) {
	g := NewGraph()
	// One attribute shared by many nodes: the sum counts, no memory is needed.
	a := bytesAttr(KindString, make([]byte, 64<<20))
	for range 33 {
		g.MustAdd("n", "NoOp").SetAttr("_s", a)
	}
	if _, err := Marshal(g); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Marshal of more than 2 GiB: error %v, want ErrTooLarge", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(wireOf(f, functionText))
	f.Add(wireOf(f, nodeText("y", "Foo", "x:1", "^x")+nodeText("x", "Bar")))
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("\n\x01a\x12\x01b\x5a\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		Sniff(b)
		g, err := Read(b)
		if err != nil {
			return
		}
		c, err := Marshal(g)
		if err != nil {
			return // a body that names outputs which its nodes do not have
		}
		h, err := Read(c)
		if err != nil {
			t.Fatalf("written graph: %v", err)
		}
		if diff := diffGraphs(g, h); diff != "" {
			t.Fatalf("written graph: %s", diff)
		}
		text := Format(g)
		if h, err = Parse(text); err != nil {
			t.Fatalf("text %q: %v", text, err)
		}
		if again := Format(h); again != text {
			t.Fatalf("text %q\nreads as %q", text, again)
		}
	})
}
