// Package mutate changes graphs at random, for tests that must stand whatever a file holds.
//
//	g, err := mutate.Graph(g, []string{"y:0"}, r)
package mutate

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Reached returns the nodes that the given outputs rest on, each once; what the graph does not have is left out.
func Reached(g *graphdef.Graph, outputs ...string) []*graphdef.Node {
	var nodes []*graphdef.Node
	seen := map[*graphdef.Node]bool{}
	var reach func(n *graphdef.Node)
	reach = func(n *graphdef.Node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		nodes = append(nodes, n)
		for _, in := range n.Inputs() {
			reach(in.Node)
		}
		for _, c := range n.Controls() {
			reach(c)
		}
	}
	for _, name := range outputs {
		name, _, _ = strings.Cut(name, ":")
		reach(g.Node(name))
	}
	return nodes
}

// extremes are numbers that code forgets.
var extremes = []int64{-1, 0, 1, 2, -2, 7, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, 1 << 33, -1 << 40}

// Graph returns a copy of g with one to three changes to what the given outputs rest on or to the bodies of its functions, as
// its file would be read; an error where no file can hold it.
func Graph(g *graphdef.Graph, outputs []string, r *rand.Rand) (*graphdef.Graph, error) {
	g = g.Clone()
	nodes := Reached(g, outputs...)
	for range 1 + r.IntN(3) {
		of := nodes
		if list := g.Functions(); len(list) > 0 && r.IntN(2) == 0 {
			of = list[r.IntN(len(list))].Body.Nodes()
		}
		if len(of) > 0 {
			Node(of[r.IntN(len(of))], of, r)
		}
	}
	b, err := graphdef.Marshal(g)
	if err != nil {
		return nil, err
	}
	return graphdef.Read(b)
}

// Node changes one thing about n: its value where it is a constant, else its op, an attribute, or an input, which then is one of
// nodes.
func Node(n *graphdef.Node, nodes []*graphdef.Node, r *rand.Rand) {
	if v, err := n.Tensor("value"); err == nil && n.Op() == "Const" {
		v = Tensor(v, r)
		n.SetAttr("value", graphdef.TensorAttr(v))
		n.SetAttr("dtype", graphdef.TypeAttr(v.DType()))
		return
	}
	attrs, inputs := n.Attrs(), n.NumInputs()
	other := nodes[r.IntN(len(nodes))]
	switch k := r.IntN(10); {
	case k < 4 && len(attrs) > 0:
		a := attrs[r.IntN(len(attrs))]
		n.SetAttr(a.Name, changeAttr(a.Attr, r))
	case k == 4 && len(attrs) > 0:
		n.RemoveAttr(attrs[r.IntN(len(attrs))].Name)
	case k < 7 && inputs > 0:
		n.SetInput(r.IntN(inputs), other.Out(r.IntN(4)/3))
	case k == 7 && inputs > 0:
		n.SetInputs(n.Inputs()[:inputs-1]...)
	case k == 8:
		n.AddInput(other.Out(0))
	case r.IntN(2) == 0:
		n.AddControl(other)
	default:
		n.SetOp(other.Op())
	}
}

func changeAttr(a graphdef.Attr, r *rand.Rand) graphdef.Attr {
	x := extremes[r.IntN(len(extremes))]
	if _, ok := a.AsInt(); ok {
		return graphdef.IntAttr(x)
	}
	if v, ok := a.AsBool(); ok {
		return graphdef.BoolAttr(!v)
	}
	if _, ok := a.AsFloat(); ok {
		return graphdef.FloatAttr([]float32{0, -1, 1e30, float32(math.NaN()), float32(math.Inf(1))}[r.IntN(5)])
	}
	if _, ok := a.AsString(); ok {
		return graphdef.StringAttr([]string{"", "SAME", "(", "NCHW", "SCALED", "a,b->"}[r.IntN(6)])
	}
	if _, ok := a.AsType(); ok {
		return graphdef.TypeAttr(dtypes[r.IntN(len(dtypes))])
	}
	if v, ok := a.AsInts(); ok {
		v = append([]int64(nil), v...)
		if len(v) > 0 && r.IntN(2) == 0 {
			v[r.IntN(len(v))] = x
			return graphdef.IntsAttr(v...)
		}
		return graphdef.IntsAttr(append(v, x)[r.IntN(2):]...)
	}
	if v, ok := a.AsTypes(); ok {
		v = append([]tensor.DType(nil), v...)
		if len(v) > 0 && r.IntN(2) == 0 {
			v[r.IntN(len(v))] = dtypes[r.IntN(len(dtypes))]
			return graphdef.TypesAttr(v...)
		}
		return graphdef.TypesAttr(append(v, dtypes[r.IntN(len(dtypes))])[r.IntN(2):]...)
	}
	if _, ok := a.AsShape(); ok {
		return graphdef.ShapeAttr(tensor.Partial(r.IntN(4)-1, []int{2, math.MaxInt32, math.MaxInt64}[r.IntN(3)]))
	}
	return a
}

var dtypes = []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int32, tensor.Uint8, tensor.Int16, tensor.Int8, tensor.String, tensor.Complex64,
	tensor.Int64, tensor.Bool, tensor.Qint8, tensor.Quint8, tensor.Qint32, tensor.Bfloat16, tensor.Float16, tensor.Uint64}

// Tensor returns v with another value, shape or dtype.
func Tensor(v *tensor.Tensor, r *rand.Rand) *tensor.Tensor {
	shape, d := v.Shape().Clone(), v.DType()
	switch r.IntN(6) {
	case 0:
		d = dtypes[r.IntN(len(dtypes))]
	case 1:
		if len(shape) > 0 {
			shape[r.IntN(len(shape))] = r.IntN(4)
		}
	case 2:
		shape = append(shape, 1+r.IntN(2))
	case 3:
		if len(shape) > 0 {
			shape = shape[1:]
		}
	}
	if r.IntN(8) == 0 {
		shape = append(shape, 0, 1<<(10+r.IntN(50)))
		r.Shuffle(len(shape), func(i, j int) { shape[i], shape[j] = shape[j], shape[i] })
	}
	if n, err := shape.CheckedElements(); err != nil || n > 1<<16 {
		return v // it was huge without elements before
	}
	out := tensor.New(d, shape)
	copy(out.Strings(), v.Strings())
	copy(out.Bytes(), v.Bytes())
	if d == tensor.Bool {
		for i, b := range out.Bytes() {
			out.Bytes()[i] = b & 1
		}
	}
	if out.Len() > 0 && r.IntN(2) == 0 {
		i, x := r.IntN(out.Len()), extremes[r.IntN(len(extremes))]
		switch d {
		case tensor.Int32:
			tensor.Data[int32](out)[i] = int32(x)
		case tensor.Int64:
			tensor.Data[int64](out)[i] = x
		case tensor.Float32:
			tensor.Data[float32](out)[i] = []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e38, 0, -1}[r.IntN(5)]
		case tensor.String:
			out.Strings()[i] = []string{"", "\xff\xf0", "%s", "\x00"}[r.IntN(4)]
		}
	}
	return out
}
