package diff

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const before = `
graph producer=27
x = Placeholder[dtype=float, shape=?x2]()
w = Const[value=float 2x2 [1, 2, 3, 4]]()
b = Const[value=float [0.5, 0.25]]()
names = Const[value=string ["a", "b"]]()
old/scale = Const[value=float 2.0]()
mm = MatMul(x, w)
sum = BiasAdd(mm, b)
scaled = Mul(sum, old/scale)
dead = Neg(x)
act = Relu(scaled)
out = Identity(act, ^dead)
called = PartitionedCall[Tin=[float], Tout=[float], f=@body](out)

func body {
  a = _Arg[T=float]()
  n = Neg(a)
  r = _Retval(n)
}

func gone {
  a = _Arg[T=float]()
  r = _Retval(a)
}
`

const after = `
graph producer=1087
x = Placeholder[dtype=float, shape=?x2]()
w = Const[value=float 2x2 [1, 2, 3.5, 4]]()
b = Const[value=float [0.5, 0.25]]()
names = Const[value=string ["a", "c"]]()
new/scale = Const[value=float 2.0, _tfq8_pass="fold-constants"]()
mm = MatMul[transpose_b=true](x, w)
sum = BiasAdd(mm, b) device="/device:CPU:0"
scaled = Mul(sum, new/scale)
act = Relu6[_tfq8_pass="clip"](scaled)
extra = Neg[_tfq8_pass="clip"](act)
out = Identity[_tfq8_pass="clip"](extra)
called = PartitionedCall[Tin=[float], Tout=[float], f=@body](out)

func body {
  a = _Arg[T=float]()
  n = Neg(a)
  m = Neg(n)
  r = _Retval(m)
}

func added {
  a = _Arg[T=float]()
  r = _Retval(a)
}
`

func parse(t *testing.T, text string) *graphdef.Graph {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func golden(t *testing.T, name, have string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), have); d != "" {
		t.Errorf("%s (-want +have):\n%s", name, d)
	}
}

func TestGolden(t *testing.T) {
	d := Compare(parse(t, before), parse(t, after))
	golden(t, "changed.txt", d.String())
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "changed.json", string(b)+"\n")
	var page bytes.Buffer
	if err := d.WriteHTML(&page, "before.pb", "<after>.pb"); err != nil {
		t.Fatal(err)
	}
	golden(t, "changed.html", page.String())
}

func TestPageStandsAlone(t *testing.T) {
	var b bytes.Buffer
	if err := Compare(parse(t, before), parse(t, after)).WriteHTML(&b, "a", "<b>"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"http:", "https:", "src=", "<link", "@import", "<b>.pb", "<h1>a → <b>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("page contains %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "width=device-width", `type="search"`, "<details"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestSame(t *testing.T) {
	for _, text := range []string{before, after} {
		a := parse(t, text)
		d := Compare(a, a.Clone())
		if !d.Empty() {
			t.Errorf("a graph differs from its copy:\n%v", d)
		}
		if !strings.HasPrefix(d.String(), "no differences") {
			t.Errorf("text of an empty difference is %q", d)
		}
	}
}

func TestOrderAndEncodingDoNotCount(t *testing.T) {
	a := parse(t, before)
	lines := strings.Split(before[:strings.Index(before, "\nfunc")], "\n")
	rest := before[strings.Index(before, "\nfunc"):]
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(lines)-2, func(i, j int) { lines[i+2], lines[j+2] = lines[j+2], lines[i+2] })
	b := parse(t, strings.Join(lines, "\n")+rest)
	// The same tensor in its typed field, and an attribute that says its default.
	b.Node("b").SetAttr("value", graphdef.AttrFromWire([]byte{
		0x42, 18, // tensor
		0x08, 1, // dtype float
		0x12, 4, 0x12, 2, 0x08, 2, // shape [2]
		0x2a, 8, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x3e, // float_val packed
	}))
	b.Node("mm").SetAttr("transpose_a", graphdef.BoolAttr(false))
	b.Node("mm").SetAttr(passAttr, graphdef.StringAttr("somebody"))
	if d := Compare(a, b); !d.Empty() {
		t.Errorf("order or encoding make a difference:\n%v", d)
	}
}

func TestBothWays(t *testing.T) {
	a, b := parse(t, before), parse(t, after)
	there, back := Compare(a, b), Compare(b, a)
	if len(there.Added) != len(back.Removed) || len(there.Removed) != len(back.Added) || len(there.Renamed) != len(back.Renamed) || len(there.Changed) != len(back.Changed) {
		t.Errorf("%s\nthe other way %s", there.Summary(), back.Summary())
	}
	for i, n := range there.Added {
		if back.Removed[i].Name != n.Name {
			t.Errorf("added %q, removed the other way %q", n.Name, back.Removed[i].Name)
		}
	}
}

// A renamed chain is found as such: each node computes what the old one did from renamed nodes.
func TestRenamedChain(t *testing.T) {
	a := parse(t, "x = Placeholder[dtype=float]()\np = Neg(x)\nq = Exp(p)\nr = Add(q, p)\nout = Identity(r)\n")
	b := parse(t, "x = Placeholder[dtype=float]()\ns/p = Neg(x)\ns/q = Exp(s/p)\ns/r = Add(s/q, s/p)\nout = Identity(s/r)\n")
	d := Compare(a, b)
	want := []Renamed{{"p", "s/p", "Neg", ""}, {"q", "s/q", "Exp", ""}, {"r", "s/r", "Add", ""}}
	if diff := cmp.Diff(want, d.Renamed); diff != "" || len(d.Changed)+len(d.Added)+len(d.Removed) > 0 {
		t.Errorf("(-want +have):\n%s\n%v", diff, d)
	}
}

func TestElements(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		a, b *tensor.Tensor
		want *Elements
	}{
		{tensor.Scalar(float32(1)), tensor.Scalar(float32(-1)), &Elements{1, 1, 2}},
		{tensor.FromSlice(tensor.Shape{3}, []float32{1, 2, 3}), tensor.FromSlice(tensor.Shape{3}, []float32{1, 2.5, 3}), &Elements{3, 1, 0.5}},
		{tensor.FromSlice(tensor.Shape{2}, []int64{1, 2}), tensor.FromSlice(tensor.Shape{2}, []int64{-1, 7}), &Elements{2, 2, 5}},
		{tensor.FromTyped(tensor.Qint8, tensor.Shape{2}, []int8{-127, 2}), tensor.FromTyped(tensor.Qint8, tensor.Shape{2}, []int8{127, 2}), &Elements{2, 1, 254}},
		{tensor.FromSlice(tensor.Shape{2}, []bool{true, false}), tensor.FromSlice(tensor.Shape{2}, []bool{true, true}), &Elements{2, 1, 0}},
		{tensor.Scalar(float32(1)), tensor.Scalar(float64(1)), nil},
		{tensor.Scalar(float32(1)), tensor.FromSlice(tensor.Shape{1}, []float32{1}), nil},
	}
	for _, tt := range tests {
		have := compareTensors(graphdef.TensorAttr(tt.a), graphdef.TensorAttr(tt.b))
		if d := cmp.Diff(tt.want, have); d != "" {
			t.Errorf("%v against %v (-want +have):\n%s", tt.a, tt.b, d)
		}
	}
	have := compareTensors(graphdef.TensorAttr(tensor.Scalar(nan)), graphdef.TensorAttr(tensor.Scalar(float32(1))))
	if b, err := json.Marshal(have); err != nil || !strings.Contains(string(b), `"NaN"`) {
		t.Errorf("a difference from NaN is %s, %v", b, err)
	}
}

// Tens of thousands of nodes with other names: what is quadratic takes minutes.
func TestLarge(t *testing.T) {
	build := func(prefix string, n int) *graphdef.Graph {
		g := graphdef.NewGraph()
		last := g.MustAdd("x", "Placeholder").Out(0)
		for range n {
			last = g.MustAdd(prefix, "Neg", last).Out(0)
		}
		return g
	}
	const n = 2000
	start := time.Now()
	if d := Compare(build("a", n), build("b", n)); len(d.Renamed) != n {
		t.Errorf("%s", d.Summary())
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
