package graphdef

import (
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

func constNode(t *testing.T, g *Graph, name string, v *tensor.Tensor) *Node {
	t.Helper()
	return addNode(t, g, name, "Const", nil, "dtype", TypeAttr(v.DType()), "value", TensorAttr(v))
}

func placeholder32(t *testing.T, g *Graph, name string, dims ...int) *Node {
	t.Helper()
	return addNode(t, g, name, "Placeholder", nil, "dtype", TypeAttr(tensor.Float32), "shape", ShapeAttr(tensor.Partial(dims...)))
}

func TestMatch(t *testing.T) {
	g := NewGraph()
	x, y := placeholder32(t, g, "x", 4), placeholder32(t, g, "y", 4)
	half := constNode(t, g, "half", tensor.Scalar[float32](0.5))
	vector := constNode(t, g, "vector", tensor.FromSlice(tensor.Shape{2}, []float32{0.5, 0.5}))
	op := func(name, op string, in ...*Node) *Node {
		return addNode(t, g, name, op, outs(in...), "T", TypeAttr(tensor.Float32))
	}
	id := op("id", "Identity", half)
	waits := op("waits", "Identity", half)
	waits.AddControl(y)
	mul, lum := op("mul", "Mul", x, id), op("lum", "Mul", id, x)
	square := op("square", "Mul", x, x)
	sub, bus := op("sub", "Sub", x, half), op("bus", "Sub", half, x)
	sum := op("sum", "AddV2", x, y)
	back := op("back", "Mul", sum, y) // needs the second order of the inner sum

	for name, c := range map[string]struct {
		p  *Pattern
		at *Node
		ok bool
	}{
		"through Identity":             {Op("Mul", Any("x"), Scalar(0.5)), mul, true},
		"commutative":                  {Op("Mul", Any("x"), Scalar(0.5)), lum, true},
		"another value":                {Op("Mul", Any("x"), Scalar(0.25)), mul, false},
		"not commutative":              {Op("Sub", Any("x"), Scalar(0.5)), bus, false},
		"in order":                     {Op("Sub", Any("x"), Scalar(0.5)), sub, true},
		"one of the names":             {Op("Add|AddV2|BiasAdd", Any("a"), Any("b")), sum, true},
		"none of the names":            {Op("Add|BiasAdd", Any("a"), Any("b")), sum, false},
		"same output twice":            {Op("Mul", Any("a"), Any("a")), square, true},
		"two outputs for one name":     {Op("Mul", Any("a"), Any("a")), mul, false},
		"backtracks":                   {Op("Mul", Op("AddV2", Any("a"), Any("b")), Any("a")), back, true},
		"an Identity that waits":       {Scalar(0.5), waits, false},
		"a vector is no scalar":        {Scalar(0.5), vector, false},
		"alternatives":                 {OneOf(Op("Sub", Any("a"), Any("b")), Op("Mul", Any("a"), Any("b"))), mul, true},
		"number of inputs":             {Op("Mul", Any("a")), mul, false},
		"inputs do not matter":         {Op("Mul"), mul, true},
		"another output":               {Op("Mul").Output(1), mul, false},
		"condition":                    {Op("Mul").If(func(o Output) bool { return o.Node != mul }), mul, false},
		"used once":                    {Op("Mul", Op("AddV2").Once(), Any("y")), back, true},
		"used more than once":          {Op("Mul", Any("x").Once(), Scalar(0.5)), mul, false},
		"condition after alternatives": {OneOf(Any("a"), Any("b")).If(func(Output) bool { return false }), mul, false},
	} {
		if m, ok := c.p.Match(c.at.Out(0)); ok != c.ok {
			t.Errorf("%s: matched %v, captures %v", name, ok, m.names)
		}
	}

	m, ok := Op("Mul", Any("x"), Const("c")).As("product").Match(lum.Out(0))
	if !ok || m.Node("x") != x || m.Node("c") != half || m.Node("product") != lum || m.Node("other") != nil {
		t.Errorf("captures %v %v", m.names, m.outs)
	}
	if nodes := m.Nodes(); len(nodes) != 2 || nodes[0] != lum || nodes[1] != half {
		t.Errorf("nodes %v", nodes)
	}
	if _, ok := Any("x").Match(Output{}); !ok {
		t.Error("Any does not match every output")
	}
	if _, ok := Op("Mul").Match(Output{}); ok {
		t.Error("an operation matches no output at all")
	}
}

// TestScalarOfEveryFloat: a constant is found in whatever precision it was written.
func TestScalarOfEveryFloat(t *testing.T) {
	const v = 0.044715
	g := NewGraph()
	for name, value := range map[string]*tensor.Tensor{
		"f32":  tensor.Scalar[float32](v),
		"f64":  tensor.Scalar(v),
		"f16":  tensor.FromTyped(tensor.Float16, tensor.Shape{}, []uint16{0x29b9}),
		"bf16": tensor.FromTyped(tensor.Bfloat16, tensor.Shape{1, 1}, []uint16{0x3d37}),
	} {
		n := constNode(t, g, name, value)
		if _, ok := Scalar(v).Match(n.Out(0)); !ok {
			t.Errorf("%s: 0.044715 is not found", name)
		}
		if _, ok := Scalar(v * 1.02).Match(n.Out(0)); ok {
			t.Errorf("%s: another constant is taken for it", name)
		}
	}
	if _, ok := Scalar(3).Match(constNode(t, g, "int", tensor.Scalar[int32](3)).Out(0)); ok {
		t.Error("an integer is taken for a float")
	}
}
