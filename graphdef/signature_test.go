package graphdef

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// line formats a signature as testdata/record_op_defs.py writes TensorFlow's.
func line(name string, s *Signature) string {
	args := func(list []Arg) string {
		var out []string
		for _, a := range list {
			out = append(out, a.String())
		}
		return strings.Join(out, ", ")
	}
	var attrs, flags []string
	for _, d := range s.Attrs {
		attrs = append(attrs, attrLine(d))
	}
	slices.Sort(attrs)
	if s.Has(Stateful) {
		flags = append(flags, "stateful")
	}
	if s.Has(Commutative) {
		flags = append(flags, "commutative")
	}
	return fmt.Sprintf("%s (%s) -> (%s) {%s} [%s]", name, args(s.Inputs), args(s.Outputs), strings.Join(attrs, ", "), strings.Join(flags, " "))
}

func attrLine(d AttrDef) string {
	kind := d.Kind.String()
	if d.List {
		kind = "list(" + kind + ")"
	}
	text := d.Name + ":" + kind
	if d.Required() {
		return text
	}
	if !d.List {
		return text + "=" + attrText(d.Default)
	}
	var items []string
	ints, _ := d.Default.AsInts()
	for _, v := range ints {
		items = append(items, fmt.Sprint(v))
	}
	types, _ := d.Default.AsTypes()
	for _, v := range types {
		items = append(items, v.String())
	}
	strs, _ := d.Default.AsStrings()
	for _, v := range strs {
		items = append(items, fmt.Sprintf("%q", v))
	}
	return text + "=[" + strings.Join(items, ", ") + "]"
}

func attrText(a Attr) string {
	switch a.Kind() {
	case KindInt:
		v, _ := a.AsInt()
		return fmt.Sprint(v)
	case KindBool:
		v, _ := a.AsBool()
		return fmt.Sprint(v)
	case KindFloat:
		v, _ := a.AsFloat()
		return fmt.Sprint(math.Float32bits(v))
	case KindString:
		v, _ := a.AsString()
		return fmt.Sprintf("%q", v)
	case KindType:
		v, _ := a.AsType()
		return v.String()
	case KindShape:
		v, _ := a.AsShape()
		return v.String()
	}
	return "?!"
}

// TestTableIsTensorFlows compares every entry with TensorFlow's own registry, as recorded by testdata/record_op_defs.py.
func TestTableIsTensorFlows(t *testing.T) {
	recorded, err := os.ReadFile("testdata/op_defs.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, row := range strings.Split(strings.TrimSpace(string(recorded)), "\n") {
		name, _, _ := strings.Cut(row, " ")
		want[name] = row
	}
	for _, name := range Ops() {
		sig, _ := Lookup(name)
		if got := line(name, sig); got != want[name] {
			t.Errorf("table  %s\nrecord %s", got, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is recorded but not in the table", name)
	}
	if _, ok := Lookup("NoSuchOp"); ok {
		t.Error("Lookup knows NoSuchOp")
	}
}

func TestOpsAreInOneFamily(t *testing.T) {
	seen := 0
	for _, family := range opFamilies() {
		seen += len(family)
	}
	if seen != len(Ops()) {
		t.Errorf("the families have %d entries for %d ops", seen, len(Ops()))
	}
}

func TestParseSpecRefuses(t *testing.T) {
	for _, spec := range []string{
		"x T", "x -> y T", "x T -> y T; a", "x T -> y T; a:number", "x T -> y T; a=1.2.3", `x T -> y T; a="`, "x T -> y T; a=[x]",
		"-> ; a:list(float)=[1]", "-> ; a:list(int)=[x]", "-> ; a:list(type)=[x]", "-> ; a:list(string)=[x]",
	} {
		if s, err := parseSpec(spec); err == nil {
			t.Errorf("%q is read as %+v", spec, s)
		}
	}
}

// node adds a node with attributes given in pairs.
func addNode(t *testing.T, g *Graph, name, op string, inputs []Output, attrs ...any) *Node {
	t.Helper()
	n, err := g.Add(name, op, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(attrs); i += 2 {
		n.SetAttr(attrs[i].(string), attrs[i+1].(Attr))
	}
	return n
}

func outs(nodes ...*Node) []Output {
	var o []Output
	for _, n := range nodes {
		o = append(o, n.Out(0))
	}
	return o
}

func TestGettersApplyDefaults(t *testing.T) {
	g := NewGraph()
	x := addNode(t, g, "x", "Placeholder", nil, "dtype", TypeAttr(tensor.Float32))
	m := addNode(t, g, "m", "MatMul", outs(x, x), "transpose_b", BoolAttr(true))
	r := m.AttrReader()
	if r.Bool("transpose_a") || !r.Bool("transpose_b") || r.Type("T") != tensor.Float32 || r.Err() != nil {
		t.Errorf("MatMul: %v", r.Err())
	}
	if s, err := x.Shape("shape"); err != nil || !s.Equal(tensor.PartialShape{}) {
		t.Errorf("shape of a Placeholder that says none: %v, %v", s, err)
	}
	for want, read := range map[string]func(*AttrReader){
		`node "m" (MatMul): attribute "transpose_b" has the wrong kind, have bool, want int`: func(r *AttrReader) { r.Int("transpose_b") },
		`node "m" (MatMul): attribute "axis" is missing, want list(int)`:                     func(r *AttrReader) { r.Ints("axis"); r.Int("transpose_b") },
	} {
		r := m.AttrReader()
		read(r)
		if err := r.Err(); err == nil || err.Error() != want {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	odd := addNode(t, g, "odd", "NobodysOp", outs(x), "a", IntAttr(3))
	if v, err := odd.Int("a"); v != 3 || err != nil {
		t.Errorf("attribute of an unknown op: %v, %v", v, err)
	}
	if _, err := odd.Int("b"); err == nil {
		t.Error("a missing attribute of an unknown op is no error")
	}
}

func TestStrippedAttributesComeFromInputs(t *testing.T) {
	g := NewGraph()
	x := addNode(t, g, "x", "Placeholder", nil, "dtype", TypeAttr(tensor.Float16))
	i := addNode(t, g, "i", "Placeholder", nil, "dtype", TypeAttr(tensor.Int64))
	c := addNode(t, g, "c", "ConcatV2", outs(x, x, x, i))
	n, err := c.Int("N")
	typ, err2 := c.OutputType(0)
	tidx, err3 := c.Type("Tidx")
	if n != 3 || typ != tensor.Float16 || tidx != tensor.Int32 || err != nil || err2 != nil || err3 != nil {
		t.Errorf("ConcatV2: N %d %v, type %v %v, Tidx %v %v", n, err, typ, err2, tidx, err3)
	}
	all := addNode(t, g, "all", "IdentityN", outs(x, i, c))
	types, err := all.OutputTypes()
	if err != nil || !slices.Equal(types, []tensor.DType{tensor.Float16, tensor.Int64, tensor.Float16}) {
		t.Errorf("IdentityN: %v, %v", types, err)
	}
	// A loop of nodes that say nothing has no dtype, and asking for it ends.
	m, _ := g.Add("m", "Merge", x.Out(0), x.Out(0))
	next := addNode(t, g, "n", "NextIteration", outs(m))
	m.SetInput(0, next.Out(0))
	if _, err := next.OutputType(0); err == nil {
		t.Error("a cycle without dtypes has one")
	}
}

func TestArguments(t *testing.T) {
	g := NewGraph()
	x := addNode(t, g, "x", "Placeholder", nil, "dtype", TypeAttr(tensor.Float32))
	axis := addNode(t, g, "axis", "Placeholder", nil, "dtype", TypeAttr(tensor.Int32))
	c := addNode(t, g, "c", "ConcatV2", outs(x, x, axis), "N", IntAttr(2), "T", TypeAttr(tensor.Float32))
	if o, ok := c.In("axis"); !ok || o.Node != axis {
		t.Errorf("In(axis) = %v, %v", o, ok)
	}
	if from, to, ok := c.InRange("values"); !ok || from != 0 || to != 2 {
		t.Errorf("InRange(values) = %d, %d, %v", from, to, ok)
	}
	if _, ok := c.In("nothing"); ok {
		t.Error("In finds an argument that is not there")
	}
	split := addNode(t, g, "s", "Split", outs(axis, x), "num_split", IntAttr(3), "T", TypeAttr(tensor.Float32))
	top := addNode(t, g, "t", "TopKV2", outs(x, axis), "T", TypeAttr(tensor.Float32))
	ref := addNode(t, g, "v", "VariableV2", nil, "dtype", TypeAttr(tensor.Float32))
	for _, c := range []struct {
		n    *Node
		i    int
		arg  string
		idx  int
		typ  tensor.DType
		fail bool
	}{
		{n: split, i: 2, arg: "output", idx: 2, typ: tensor.Float32},
		{n: split, i: 3, fail: true},
		{n: split, i: -1, fail: true},
		{n: top, i: 1, arg: "indices", typ: tensor.Int32},
		{n: c, i: 0, arg: "output", typ: tensor.Float32},
		{n: ref, i: 0, arg: "ref", typ: tensor.Float32 + 100},
	} {
		arg, idx, err := c.n.OutArg(c.i)
		typ, typeErr := c.n.OutputType(c.i)
		if c.fail {
			if err == nil || typeErr == nil {
				t.Errorf("%s:%d exists", c.n.Name(), c.i)
			}
			continue
		}
		if arg != c.arg || idx != c.idx || err != nil || typ != c.typ || typeErr != nil {
			t.Errorf("%s:%d is %s:%d (%v) %v (%v)", c.n.Name(), c.i, arg, idx, err, typ, typeErr)
		}
		if i, err := c.n.OutIndex(arg, idx); i != c.i || err != nil {
			t.Errorf("OutIndex(%s, %d) of %s = %d, %v", arg, idx, c.n.Name(), i, err)
		}
	}
	for _, bad := range []struct {
		arg string
		idx int
	}{{"output", 3}, {"output", -1}, {"outputs", 0}} {
		if i, err := split.OutIndex(bad.arg, bad.idx); err == nil {
			t.Errorf("OutIndex(%s, %d) = %d", bad.arg, bad.idx, i)
		}
	}
	if n, err := split.NumOutputs(); n != 3 || err != nil {
		t.Errorf("NumOutputs = %d, %v", n, err)
	}
	if types, err := top.InputTypes(); err != nil || !slices.Equal(types, []tensor.DType{tensor.Float32, tensor.Int32}) {
		t.Errorf("InputTypes = %v, %v", types, err)
	}
	if _, err := addNode(t, g, "few", "TopKV2", outs(x), "T", TypeAttr(tensor.Float32)).InputTypes(); err == nil {
		t.Error("InputTypes accepts a missing input")
	}
}
