package cases

import (
	"math"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// constant adds a Const with attributes to g.
func constant(g *graphdef.Graph, name string, v *tensor.Tensor, attrs map[string]graphdef.Attr) *graphdef.Node {
	n := g.MustAdd(name, "Const")
	n.SetAttr("dtype", graphdef.TypeAttr(v.DType()))
	n.SetAttr("value", graphdef.TensorAttr(v))
	for k, a := range attrs {
		n.SetAttr(k, a)
	}
	return n
}

func read(t *testing.T, g *graphdef.Graph) (*Case, error) {
	t.Helper()
	b, err := graphdef.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return Read(b)
}

func TestReadOpCase(t *testing.T) {
	g := graphdef.NewGraph()
	in := constant(g, "in/0", tensor.Scalar[float32](2), map[string]graphdef.Attr{"_feed": graphdef.StringAttr("ph:0")})
	g.MustAdd("op", "Neg", in.Out(0))
	constant(g, "expect/0", tensor.Scalar[float32](-2), map[string]graphdef.Attr{
		"_of": graphdef.StringAttr("op:0"), "_rtol": graphdef.FloatAttr(0.5), "_exact": graphdef.BoolAttr(true),
	})
	c, err := read(t, g)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Feeds) != 1 || c.Feeds[0].Name != "ph:0" || len(c.Constants) != 1 || c.Constants[0].Name != "in/0:0" {
		t.Errorf("feeds %v, constants %v", c.Feeds, c.Constants)
	}
	if len(c.Expect) != 1 || c.Expect[0].Of != "op:0" || c.Expect[0].Rtol != 0.5 || !c.Expect[0].Exact {
		t.Errorf("expect %+v", c.Expect)
	}
	if c.Graph == nil || len(c.Graph.Nodes()) != 2 {
		t.Errorf("graph %v, want in/0 and op", c.Graph)
	}
}

func TestReadModelCase(t *testing.T) {
	g := graphdef.NewGraph()
	constant(g, "feed/0", tensor.Scalar[int32](2), map[string]graphdef.Attr{"_name": graphdef.StringAttr("ids"), "_tensor": graphdef.StringAttr("x:0")})
	constant(g, "expect/0", tensor.Scalar[float32](1), map[string]graphdef.Attr{"_of": graphdef.StringAttr("y")})
	c, err := read(t, g)
	if err != nil {
		t.Fatal(err)
	}
	if c.Graph != nil || len(c.Feeds) != 1 || c.Feeds[0].Name != "ids" || c.Feeds[0].Tensor != "x:0" {
		t.Errorf("graph %v, feeds %+v", c.Graph, c.Feeds)
	}
}

func TestReadRefusesOtherGraphs(t *testing.T) {
	g := graphdef.NewGraph()
	constant(g, "x", tensor.Scalar[int32](2), nil)
	if _, err := read(t, g); err == nil || !strings.Contains(err.Error(), "not a case file") {
		t.Errorf("error %v", err)
	}
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	minus := float32(math.Copysign(0, -1))
	floats := func(v ...float32) *tensor.Tensor { return tensor.FromSlice(tensor.Shape{len(v)}, v) }
	for _, c := range []struct {
		name      string
		got, want *tensor.Tensor
		e         Expectation
		ok        bool
	}{
		{"within", floats(1.01), floats(1), Expectation{Rtol: 0.02}, true},
		{"beyond", floats(1.03), floats(1), Expectation{Rtol: 0.02}, false},
		{"atol", floats(0.01), floats(0), Expectation{Atol: 0.02}, true},
		{"exact", floats(1.0000001), floats(1), Expectation{Rtol: 1, Exact: true}, false},
		{"no tolerance", floats(1), floats(1), Expectation{}, true},
		{"nan", floats(nan), floats(nan), Expectation{Exact: true}, true},
		{"nan for number", floats(nan), floats(1), Expectation{Rtol: 1}, false},
		{"number for nan", floats(1), floats(nan), Expectation{Rtol: 1}, false},
		{"infinity", floats(inf), floats(inf), Expectation{}, true},
		{"other infinity", floats(-inf), floats(inf), Expectation{Rtol: 1}, false},
		{"number for infinity", floats(3e38), floats(inf), Expectation{Rtol: 1}, false},
		{"zeros", floats(minus), floats(0), Expectation{Exact: true}, true},
		{"sign of zero", floats(minus), floats(0), Expectation{Exact: true, Bits: true}, false},
		{"shape", floats(1, 2), floats(1), Expectation{Rtol: 1}, false},
		{"dtype", tensor.FromSlice(tensor.Shape{1}, []int32{1}), floats(1), Expectation{Rtol: 1}, false},
		{"int", tensor.Scalar[int8](-3), tensor.Scalar[int8](-3), Expectation{}, true},
		{"other int", tensor.Scalar[int8](-3), tensor.Scalar[int8](-2), Expectation{Rtol: 1}, false},
		{"strings", tensor.FromStrings(nil, []string{"a"}), tensor.FromStrings(nil, []string{"b"}), Expectation{}, false},
		{"complex", tensor.Scalar[complex64](1.01 + 2i), tensor.Scalar[complex64](1 + 2i), Expectation{Rtol: 0.02}, true},
		{"imaginary part", tensor.Scalar(1 + 2.1i), tensor.Scalar(1 + 2i), Expectation{Rtol: 0.02}, false},
		{"missing", nil, floats(1), Expectation{}, false},
	} {
		c.e.Want = c.want
		if _, err := Compare(c.got, c.e); (err == nil) != c.ok {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	d, _ := Compare(floats(1, 2.5, 3), Expectation{Want: floats(1, 2, 4), Rtol: 1})
	if d.MaxAbs != 1 || d.MaxRel != 0.25 || d.At != 1 && d.At != 2 || d.Worst != 0.25 {
		t.Errorf("%+v", d)
	}
}
