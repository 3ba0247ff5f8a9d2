package passes

import (
	"fmt"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// Nodes that quantizing passes put around products. A node runs in the region of what it reads.

// regionOf returns the region in which o is read.
func (q *quantizer) regionOf(o graphdef.Output) *flow.Region {
	if r := q.tree.Of(o.Node); r != nil {
		return r
	}
	// A node of this pass lies where its first input does.
	for n := o.Node; n.NumInputs() > 0; {
		n = n.Input(0).Node
		if r := q.tree.Of(n); r != nil {
			return r
		}
	}
	return q.tree.Root
}

func (q *quantizer) cast(name string, o graphdef.Output, from, to tensor.DType) graphdef.Output {
	n := q.place.add(name, "Cast", o)
	n.SetAttr("SrcT", graphdef.TypeAttr(from))
	n.SetAttr("DstT", graphdef.TypeAttr(to))
	return n.Out(0)
}

func (q *quantizer) reshape(name string, o, shape graphdef.Output) graphdef.Output {
	n := q.place.add(name, "Reshape", o, shape)
	n.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	n.SetAttr("Tshape", graphdef.TypeAttr(tensor.Int32))
	return n.Out(0)
}

func (q *quantizer) transpose(name string, o graphdef.Output, d tensor.DType, perm []int) graphdef.Output {
	order := make([]int32, len(perm))
	for i, p := range perm {
		order[i] = int32(p)
	}
	n := q.place.add(name, "Transpose", o,
		q.place.constant("order_"+dashed(perm), tensor.FromSlice(tensor.Shape{len(order)}, order), q.regionOf(o)))
	n.SetAttr("T", graphdef.TypeAttr(d))
	n.SetAttr("Tperm", graphdef.TypeAttr(tensor.Int32))
	return n.Out(0)
}

// leadingDims returns the dimensions of o but the last few.
func (q *quantizer) leadingDims(name string, o graphdef.Output, d tensor.DType, last int) graphdef.Output {
	shape := q.place.add(name+"/shape", "Shape", o)
	shape.SetAttr("T", graphdef.TypeAttr(d))
	shape.SetAttr("out_type", graphdef.TypeAttr(tensor.Int32))
	r := q.regionOf(o)
	number := func(v int32) graphdef.Output {
		name := fmt.Sprintf("dims_%d", v)
		return q.place.constant(strings.ReplaceAll(name, "-", "minus_"), tensor.FromSlice(tensor.Shape{1}, []int32{v}), r)
	}
	n := q.place.add(fmt.Sprintf("%s/shape/all_but_%d", name, last), "StridedSlice", shape.Out(0), number(0), number(int32(-last)), number(1))
	n.SetAttr("T", graphdef.TypeAttr(tensor.Int32))
	n.SetAttr("Index", graphdef.TypeAttr(tensor.Int32))
	n.SetAttr("begin_mask", graphdef.IntAttr(1))
	return n.Out(0)
}

// dashed returns numbers for a name.
func dashed(v []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", "_")
}

// baseName returns the name that nodes about o begin with.
func baseName(o graphdef.Output) string {
	if o.Index > 0 {
		return fmt.Sprintf("%s_%d", o.Node.Name(), o.Index)
	}
	return o.Node.Name()
}

// ending is a product and what follows it and only it: a bias, an activation that the quantized product can apply, a Reshape
// among them.
type ending struct {
	chain   []*graphdef.Node // the product first
	reshape *graphdef.Node   // stays, behind the quantized product
	bias    graphdef.Output  // the zero Output: none
	act     string
}

// tail returns what follows product d.
func (q *quantizer) tail(d *dense) (end ending) {
	end.chain = []*graphdef.Node{d.node}
	if d.outPerm != nil || d.dtype != tensor.Float32 {
		return end
	}
	best := end
	for cur := d.node; ; {
		u := q.onlyUser(cur)
		if u == nil {
			return best
		}
		switch {
		case u.Op() == "Reshape" && end.reshape == nil && u.Input(0).Node == cur && len(d.tail) == 1 && q.lastDim(u) == d.n:
			end.reshape = u
		case end.bias == (graphdef.Output{}) && end.act == "" && q.biasOf(d, u, cur, &end):
		case end.act == "" && (u.Op() == "Relu" || u.Op() == "Relu6"):
			end.act = u.Op()
		default:
			return best
		}
		end.chain = append(end.chain, u)
		cur = u
		// A Reshape at the end is left as it is.
		if cur != end.reshape {
			best = end
		}
	}
}

// lastDim returns the last dimension of n's output, -1 if it is not known.
func (q *quantizer) lastDim(n *graphdef.Node) int {
	s := q.shapes.Shape(n.Out(0))
	if rank, known := s.Rank(); known && rank > 0 {
		return s.Dim(rank - 1)
	}
	return -1
}

// onlyUser returns the node that alone reads n, in n's region, where nothing asks for n itself.
func (q *quantizer) onlyUser(n *graphdef.Node) *graphdef.Node {
	if len(n.Users()) != 1 || n.Users()[0].Input == graphdef.ControlInput || q.fixed(n) {
		return nil
	}
	u := n.Users()[0].Node
	if q.tree.Of(u) != q.tree.Of(n) {
		return nil
	}
	return u
}

// biasOf sets end.bias to the vector that u adds to the columns of product d, which cur hands on.
func (q *quantizer) biasOf(d *dense, u, cur *graphdef.Node, end *ending) bool {
	switch u.Op() {
	case "BiasAdd":
		format, _ := u.Str("data_format")
		if u.Input(0).Node != cur || format == "NCHW" || len(d.tail) != 1 {
			return false
		}
		end.bias = u.Input(1)
		return true
	case "Add", "AddV2":
		for i := range 2 {
			if u.Input(i).Node != cur {
				continue
			}
			c, ok := q.tree.ConstOf(u.Input(1 - i))
			if !ok {
				return false
			}
			v, err := c.Tensor("value")
			if err != nil || v.DType() != tensor.Float32 || v.Rank() > len(d.tail)+1 || !q.spans(v.Shape(), d.tail) {
				return false
			}
			end.bias = u.Input(1 - i)
			if v.Rank() != 1 {
				flat, err := v.Reshaped(tensor.Shape{d.n})
				must(err)
				end.bias = q.place.constant(c.Name()+"/flat", flat, q.tree.Of(d.node))
			}
			return true
		}
	}
	return false
}

// spans reports whether a constant of shape s has one element for each column of a product with those last dimensions.
func (q *quantizer) spans(s tensor.Shape, tail []int) bool {
	for len(s) > len(tail) && s[0] == 1 {
		s = s[1:]
	}
	return s.Equal(tail)
}

// takeOver makes m stand for the last node of end, in which each node is read by the next alone, and removes the others but for
// the Reshape.
func (q *quantizer) takeOver(end ending, m *graphdef.Node) {
	last := len(end.chain) - 1
	for _, old := range end.chain {
		if old == end.reshape {
			continue
		}
		for _, c := range old.Controls() {
			m.AddControl(c)
		}
	}
	with := m
	if end.reshape != nil {
		end.reshape.SetInput(0, m.Out(0))
		q.change(end.reshape)
		with = end.reshape
	}
	q.taken[with] = q.shapes.Shape(end.chain[last].Out(0))
	must(q.g.TakeOver(end.chain[last], with))
	gone := map[*graphdef.Node]bool{}
	for _, old := range end.chain[:last] {
		gone[old] = old != end.reshape
	}
	q.remove(func(n *graphdef.Node) bool { return gone[n] })
}

// must is for edits that cannot fail by what the caller has checked.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
