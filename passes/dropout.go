package passes

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// keptWhole returns x where node n gives x, bit for bit, whatever it reads beside: x·1, x/1, or dropout at rate 0,
//
//	x / keep · Floor(keep + uniform)           TF1, keep = 1
//	x · scale · Cast(uniform >= rate)          TF2, rate = 0
//	Select(uniform >= rate, x · scale, 0)      later TF2
//
// with uniform numbers in [0, 1) of the shape of x.
func keptWhole(n *graphdef.Node, tree *flow.Tree) (x graphdef.Output, ok bool) {
	d := dropout{tree}
	switch n.Op() {
	case "Mul":
		for i := range n.NumInputs() {
			x, by := n.Input(i), n.Input(1-i)
			if d.isScalar(by, 1) || d.ones(by, x) {
				return x, true
			}
		}
	case "RealDiv", "Div":
		if d.isScalar(n.Input(1), 1) {
			return n.Input(0), true
		}
	case "Select", "SelectV2":
		// The other value must not stretch the result.
		if _, ok := d.scalar(n.Input(2), 0); ok && d.always(n.Input(0), n.Input(1)) {
			return n.Input(1), true
		}
	}
	return x, false
}

// dropout recognises the parts of dropout.
type dropout struct{ tree *flow.Tree }

// maxScalarDepth bounds the expressions of constants that are followed: rate and scale are two or three nodes deep.
const maxScalarDepth = 8

// scalar returns the value of o where that is a scalar computed from constants.
func (d dropout) scalar(o graphdef.Output, depth int) (float64, bool) {
	if depth > maxScalarDepth {
		return 0, false
	}
	if c, ok := d.tree.ConstOf(o); ok {
		t, err := c.Tensor("value")
		if err != nil || t.Rank() != 0 {
			return 0, false
		}
		switch t.DType() {
		case tensor.Float32:
			return float64(tensor.Data[float32](t)[0]), true
		case tensor.Float64:
			return tensor.Data[float64](t)[0], true
		case tensor.Float16:
			return float64(tensor.FromHalf(tensor.Data[uint16](t)[0])), true
		case tensor.Bfloat16:
			return float64(tensor.FromBfloat(tensor.Data[uint16](t)[0])), true
		case tensor.Int32:
			return float64(tensor.Data[int32](t)[0]), true
		}
		return 0, false
	}
	o = d.tree.Source(o)
	n := o.Node
	switch n.Op() {
	case "Add", "AddV2", "Sub", "Mul", "RealDiv":
	default:
		return 0, false
	}
	if t, err := n.Type("T"); err != nil || t != tensor.Float32 {
		return 0, false
	}
	x, okX := d.scalar(n.Input(0), depth+1)
	y, okY := d.scalar(n.Input(1), depth+1)
	if !okX || !okY {
		return 0, false
	}
	a, b := float32(x), float32(y)
	switch n.Op() {
	case "Sub":
		a -= b
	case "Mul":
		a *= b
	case "RealDiv":
		a /= b
	default:
		a += b
	}
	return float64(a), true
}

func (d dropout) isScalar(o graphdef.Output, v float64) bool {
	have, ok := d.scalar(o, 0)
	return ok && have == v
}

// ones reports whether every element of mask is 1 and the mask has the shape of x.
func (d dropout) ones(mask, x graphdef.Output) bool {
	switch n := d.tree.Source(mask).Node; n.Op() {
	case "Cast":
		return d.always(n.Input(0), x)
	case "Floor":
		sum := d.tree.Source(n.Input(0)).Node
		if sum.Op() != "Add" && sum.Op() != "AddV2" {
			return false
		}
		for i := range 2 {
			// The largest float below 1 is 1 - 2^-24, but random ones are multiples of 2^-23: the sum is below 2.
			if d.isScalar(sum.Input(i), 1) && d.uniform(sum.Input(1-i), x) {
				return true
			}
		}
	}
	return false
}

// always reports whether every element of cond is true and cond has the shape of x.
func (d dropout) always(cond, x graphdef.Output) bool {
	n := d.tree.Source(cond).Node
	if n.NumInputs() != 2 {
		return false
	}
	bound, ok := d.scalar(n.Input(1), 0)
	switch {
	case !ok:
		return false
	case n.Op() == "GreaterEqual":
		return bound <= 0 && d.uniform(n.Input(0), x)
	case n.Op() == "Less":
		return bound >= 1 && d.uniform(n.Input(0), x)
	}
	return false
}

// uniform reports whether o is random numbers in [0, 1) of the shape of x.
func (d dropout) uniform(o, x graphdef.Output) bool {
	n := d.tree.Source(o).Node
	switch n.Op() {
	case "RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2":
		shape := d.tree.Source(n.Input(0)).Node
		return shape.Op() == "Shape" && d.base(shape.Input(0)) == d.base(x)
	case "Add", "AddV2":
		// Numbers scaled to a range: uniform·(max - min) + min.
		return d.isScalar(n.Input(1), 0) && d.uniform(n.Input(0), x)
	case "Mul":
		return d.isScalar(n.Input(1), 1) && d.uniform(n.Input(0), x)
	}
	return false
}

// base follows o to a value of the same shape, through products with scalars.
func (d dropout) base(o graphdef.Output) graphdef.Output {
	for {
		o = d.tree.Source(o)
		n := o.Node
		if n.Op() != "Mul" && n.Op() != "RealDiv" || n.NumInputs() != 2 {
			return o
		}
		if _, ok := d.scalar(n.Input(1), 0); !ok {
			return o
		}
		o = n.Input(0)
	}
}
