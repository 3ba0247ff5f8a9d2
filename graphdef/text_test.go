package graphdef

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// Text that Format writes: Parse then Format gives it again.
const canonicalText = `graph producer=27 min_consumer=12 bad_consumers=[3, 4] extra=base64:GAE=
x = Placeholder[dtype=float, shape=?x4]()
w = Const[value=float 4x2 fill 0.5]()
y = MatMul(x, w)
t = MatMul[transpose_b=true](x, x, ^w, ^y) device="/device:CPU:0"
i = Const[value=int32 [1, -2, 3]]()
m = Const[value=float 2x2 [1, -0, inf, 1e-45]]()
s = Const[value=string "a\n\xff"]()
e = Const[value=int64 0x3 []]()
h = Const[value=half 3x fill 0.1]()
c = Const[value=complex64 [(1-2j), (0+1e+20j)]]()
b = Const[value=bool 2x1 [true, false]]()
v = Const[value=qint8 []]()
scalar = Const[value=uint64 18446744073709551615]()
axis = Const[value=int64 1]()
eighth = Const[value=float8_e5m2 0x01]()
eighths = Const[value=float8_e4m3fn 2x fill 0x7f]()
sum = Sum[keep_dims=true](x, axis)
top = TopKV2(x, k)
k = Const[value=int32 2]()
second = Identity(top:1)
a/b-c.d>e = NoOp(^second)
p = Pack[axis=1](second, second)
odd = Whatever[_b=[true, false], _e=[], _f=1.0, _g=[@body, @"a b"[T=float, n=[1, 2]]], _n=none, _o=float_ref, _q=[float, dtype(99)], _s=[scalar, ?, 3x, ?x2], _t=$T, _z=[float 1, int32 [1, 2]], "a b"="c"](x:3)
call = body[N=1](i)
loop = While[body=@body, cond=@body, parallel_iterations=7](i)

func body[_a=1] control=[r, name=more] signature=base64:iAEB {
  a = _Arg[T=int32, _user="u"]()
  r = Neg(a)
  more = NoOp(^a) extra=base64:OgA=
  more2 = Mystery(a) ports=["out:0", "z:1"]
  more3 = Mystery(more2, more2:1)
  "odd name" = Identity(r)
  out = _Retval("odd name")
}
`

func TestFormatIsCanonical(t *testing.T) {
	g, err := Parse(canonicalText)
	if err != nil {
		t.Fatal(err)
	}
	if got := Format(g); got != canonicalText {
		t.Errorf("Format(Parse(text)) =\n%s\nwant\n%s", got, canonicalText)
	}
}

// What people write beside the canonical spelling, and what it means.
func TestParseLiberties(t *testing.T) {
	for text, want := range map[string]string{
		"x=Placeholder[shape=[2,?], dtype=float]( )  # comment":     "x = Placeholder[dtype=float, shape=2x?]()",
		"x = Placeholder[dtype=float, shape=4]()":                   "x = Placeholder[dtype=float, shape=4x]()",
		"x = Placeholder[dtype=float,\n  shape=[]\n]\n()":           "",
		"x = Placeholder[dtype=float,\n  shape=[]\n](\n)":           "x = Placeholder[dtype=float, shape=scalar]()",
		"c = Const[value=float [[1, 2], [3, 4]]]()":                 "c = Const[value=float 2x2 [1, 2, 3, 4]]()",
		"c = Const[value=float 2x1 [[1], [2.50]]]()":                "c = Const[value=float 2x1 [1, 2.5]]()",
		"c = Const[value=float [1, 1], dtype=float]()":              "c = Const[value=float 2x fill 1]()",
		"c = Const[value=float 3 fill 1]()":                         "c = Const[value=float 3x fill 1]()",
		"c = Const[value=int8 4x base64:AQIDBA==]()":                "c = Const[value=int8 [1, 2, 3, 4]]()",
		"x = Placeholder[dtype=float]()\ny = LeakyRelu[alpha=1](x)": "x = Placeholder[dtype=float]()\ny = LeakyRelu[alpha=1.0](x)",
		"y = Neg(x)\nx = Placeholder[dtype=int32]()":                "y = Neg(x)\nx = Placeholder[dtype=int32]()",
		"\ufeffx = NoOp()\r\n":                                      "x = NoOp()",
		"x = NoOp()\ny = NoOp(^x, ^x)":                              "x = NoOp()\ny = NoOp(^x)",
	} {
		g, err := Parse(text)
		if want == "" {
			if err == nil {
				t.Errorf("Parse(%q) gives no error", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := strings.TrimSpace(Format(g)); got != want {
			t.Errorf("Format(Parse(%q)) = %q, want %q", text, got, want)
		}
	}
}

func TestParseCompletesAttributes(t *testing.T) {
	g, err := Parse(canonicalText)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		node, attr string
		want       tensor.DType
	}{{"y", "T", tensor.Float32}, {"w", "dtype", tensor.Float32}, {"second", "T", tensor.Int32}, {"sum", "Tidx", tensor.Int64}} {
		a, _ := g.Node(test.node).Attr(test.attr)
		if d, ok := a.AsType(); !ok || d != test.want {
			t.Errorf("%s of %s = %v, want %v", test.attr, test.node, d, test.want)
		}
	}
	if a, _ := g.Node("p").Attr("N"); string(a.wire) != string(IntAttr(2).wire) {
		t.Errorf("N of p = %v, want 2", a)
	}
	a, _ := g.Node("odd").Attr("_g")
	if names, ok := a.AsFuncs(); !ok || !slices.Equal(names, []string{"body", "a b"}) {
		t.Errorf("functions in a list are %q, want body and a b", names)
	}
	f := g.Function("body")
	if len(f.Args) != 1 || len(f.Rets) != 1 || len(f.ControlRet) != 2 || f.Rets[0].argType() != tensor.Int32 {
		t.Errorf("function has args %v, results %v, controls %v", f.Args, f.Rets, f.ControlRet)
	}
	fill, _ := g.Node("w").Attr("value")
	if want := tensorProto(tensor.Float32, []int{4, 2}, bytesField(5, "\x00\x00\x00\x3f")); string(fill.wire) != string(bytesAttr(KindTensor, want).wire) {
		t.Errorf("fill is % x, want one value % x", fill.wire, want)
	}
}

func (n *Node) argType() tensor.DType {
	a, _ := n.Attr("T")
	d, _ := a.AsType()
	return d
}

// A loop's dtypes come from outside of it, wherever Merge has what comes back; doubling chains that nothing gives a dtype
// cost no more than their length.
func TestParseCompletesLoops(t *testing.T) {
	var text strings.Builder
	text.WriteString("m = Merge(back, enter)\nx = Placeholder[dtype=half]()\nenter = Enter[frame_name=\"f\"](x)\nback = NextIteration(n60)\nn0 = IdentityN(m, m)\n")
	for i := range 60 {
		fmt.Fprintf(&text, "n%d = IdentityN(n%d, n%d:1)\n", i+1, i, i)
	}
	for _, enter := range []string{"enter", "back"} {
		g, err := Parse(strings.Replace(text.String(), "back, enter", "back, "+enter, 1))
		if err != nil {
			t.Fatal(err)
		}
		_, said := g.Node("n60").Attr("T")
		if said != (enter == "enter") {
			t.Errorf("with m = Merge(back, %s) the chain has a dtype: %v", enter, said)
		}
		if h, err := Parse(Format(g)); err != nil || Format(h) != Format(g) {
			t.Errorf("with m = Merge(back, %s) the text changes: %v", enter, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        "no node",
		"x = NoOp(y)":                             `node "x" (NoOp): input "y" names no node`,
		"x = NoOp()\nx = NoOp()":                  `line 2: node "x" (NoOp): the name is there twice`,
		"_x = NoOp()":                             "not legal",
		"x NoOp()":                                "want x = Op(inputs)",
		"x = NoOp":                                "want ( before the inputs",
		"x = NoOp(":                               "want a name",
		"x = NoOp(y z)":                           `want a comma or ) after input "y", have "z)"`,
		"x = NoOp() y":                            `want = after "y"`,
		"x = NoOp() color=1":                      "no property of a node",
		"x = NoOp[a]()":                           `attribute "a" has no value`,
		"x = NoOp[a=]()":                          "want a value",
		"x = NoOp[a=[1, 2.5]]()":                  "one kind of values, have int and float",
		"x = NoOp[a=foo]()":                       `"foo" is no number`,
		"x = NoOp[a=0x1p3]()":                     "is no number",
		"x = NoOp[a='s']()":                       "want a value",
		"c = Const[value=float 2x2]()":            "after the shape [2, 2]",
		"c = Const[value=float 2x2 [1, 2, 3]]()":  "3 elements for shape [2, 2]",
		"c = Const[value=float [[1, 2], [3]]]()":  "different lengths",
		"c = Const[value=float [[1], 2]]()":       "different depths",
		"c = Const[value=float 2x ...]()":         "left out",
		"c = Const[value=int8 300]()":             `"300" is no value of dtype int8`,
		"c = Const[value=float 2x base64:AAAA]()": "3 bytes for float [2], want 8",
		"c = Const[value=float 9999999999x9999999999 fill 1]()":  "too many elements",
		"c = Const[value=base64:CA]()":                           "base64",
		"c = Const[value=base64:CA==]()":                         "no AttrValue",
		"func f {\n x = NoOp()":                                  `the text ends within function "f"`,
		"func f {\n}\nfunc f {\n}":                               "is there twice",
		"x = NoOp()\nfunc f {\n a = _Arg[T=float, index=1]()\n}": "index is 1, want 0",
		"x = NoOp()\nfunc f control=[y] {\n}":                    `control output "y" names no node`,
		"graph producer=x\n":                                     "want an integer",
		"x = NoOp(^y:0)":                                         "want a comma",
		"x = NoOp[a=" + strings.Repeat("@f[a=", 40):              "nested more than",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.70q): error %v, want one with %q", text, err, want)
		}
	}
}

// Format then Parse is the identity up to defaults and the spelling of tensors, on all reference graphs.
func TestTextKeepsReferenceGraphs(t *testing.T) {
	for _, file := range graphFiles(t) {
		b, err := ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(b)
		if err != nil {
			continue // TestReadReferenceGraphs judges
		}
		text := Format(g)
		h, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := diffGraphs(plain(g), plain(h)); diff != "" && !strings.HasSuffix(file, ".error.pb") {
			t.Errorf("%s: %s", file, diff)
		}
		if again := Format(h); again != text {
			t.Errorf("%s: %s", file, firstDifference(again, text))
		}
	}
}

// plain returns g with what the text form does not keep made equal: attributes with their default are dropped, and
// tensors are spelt in one way.
func plain(g *Graph) *Graph {
	g = g.Clone()
	graphs := []*Graph{g}
	for _, f := range g.functions {
		graphs = append(graphs, f.Body)
	}
	for _, h := range graphs {
		for _, n := range h.nodes {
			hidden := map[string]bool{}
			hideDefaults(n, hidden)
			for _, a := range slices.Clone(n.attrs) {
				if x, err := a.Attr.AsTensor(); err == nil && a.Attr.Kind() == KindTensor {
					if x.Len() > 1 && allEqual(x) && x.DType() != tensor.String {
						x = tensor.FromStrings(tensor.Shape{}, []string{x.Shape().String() + x.ElementText(0)})
					}
					n.SetAttr(a.Name, TensorAttr(x))
				}
				if hidden[a.Name] {
					n.RemoveAttr(a.Name)
				}
			}
		}
	}
	return g
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "line " + a[i] + "\nwant " + b[i]
		}
	}
	return "one is longer"
}

func TestElide(t *testing.T) {
	g := NewGraph()
	c := g.MustAdd("c", "Const")
	c.SetAttr("value", TensorAttr(tensor.FromSlice(tensor.Shape{65}, append(make([]float32, 64), 1))))
	var out bytes.Buffer
	if err := FormatText(&out, g, TextOptions{Elide: true}); err != nil {
		t.Fatal(err)
	}
	const want = "c = Const[value=float 65x ...]()"
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("elided text %q, want %q", got, want)
	}
	if got := FormatNode(c); got != want {
		t.Errorf("FormatNode = %q, want %q", got, want)
	}
	if h, err := Parse(Format(g)); err != nil {
		t.Error(err)
	} else if diff := diffGraphs(plain(g), plain(h)); diff != "" {
		t.Errorf("the whole text reads as another graph: %s", diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(canonicalText)
	f.Add("x = Placeholder[dtype=float, shape=[2, ?]]()\ny = Softmax(x)")
	f.Add("c = Const[value=float [[1, 2], [3, 4]]]()")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := Parse(text)
		if err != nil {
			return
		}
		out := Format(g)
		h, err := Parse(out)
		if err != nil {
			t.Fatalf("%q written as %q: %v", text, out, err)
		}
		if again := Format(h); again != out {
			t.Fatalf("%q written as %q, and then as %q", text, out, again)
		}
	})
}
