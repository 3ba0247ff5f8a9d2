package runtime

import (
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// gelu is a matched GELU: of x, by the name of its activation.
type gelu struct {
	f        *fusion
	x        graphdef.Output
	kind     string // GeluExact, GeluApproximate or Silu
	interior []*graphdef.Node
}

// activation returns the function.
func (g *gelu) activation() activation {
	if g.kind == "Silu" {
		return silu
	}
	return activations[g.kind]
}

// silu replaces x by x times its sigmoid.
func silu(k *kernels.Set, x []float32) {
	var gate [256]float32
	for len(x) > 0 {
		n := min(len(x), len(gate))
		k.Sigmoid(gate[:n], x[:n])
		k.Mul(x[:n], x[:n], gate[:n])
		x = x[n:]
	}
}

// fuseGelu matches a GELU or SiLU that does not follow a product, which would have taken it.
func fuseGelu(f *fusion, n *graphdef.Node) *fusedStep {
	g, ok := f.matchGelu(n)
	if !ok || !f.closed(g.interior, n) {
		return nil
	}
	act := g.activation()
	return &fusedStep{
		op: g.kind, inputs: []graphdef.Output{g.x}, interior: g.interior, rows: same(elementwiseRows),
		eval: func(c *call) error {
			x := c.in(0)
			t, err := c.allocOver(0, tensor.Float32, x.Shape(), 1)
			if err != nil {
				return err
			}
			dst := tensor.Data[float32](t)
			copy(dst, tensor.Data[float32](x))
			act(c.kernels(), dst)
			return nil
		},
	}
}

// matchGelu matches, ending in n, x/2 times one of
//
//	1 + Erf(x/√2)
//	Erfc(-x/√2)
//	1 + Tanh(√(2/π)·(x + 0.044715·x³))
//
// with the half at x, at the other factor, or at their product, and the operands of sums and products in any order; or SiLU,
// x·Sigmoid(x).
func (f *fusion) matchGelu(n *graphdef.Node) (*gelu, bool) {
	if n.Op() != "Mul" || !isFloat(n) {
		return nil, false
	}
	for i := range 2 {
		a, b := n.Input(i), n.Input(1-i)
		if b.Index == 0 && b.Node.Op() == "Sigmoid" && b.Node.Input(0) == a {
			return &gelu{f: f, x: a, kind: "Silu", interior: []*graphdef.Node{b.Node}}, true
		}
		// half of a product
		if f.isNumber(a, 0.5) && b.Index == 0 && b.Node.Op() == "Mul" {
			for j := range 2 {
				g := &gelu{f: f, x: b.Node.Input(j), interior: []*graphdef.Node{b.Node}}
				if g.gate(b.Node.Input(1 - j)) {
					return g, true
				}
			}
		}
		for _, halfX := range []bool{true, false} {
			g := &gelu{f: f}
			x, gate := a, b
			half := &gate
			if halfX {
				half = &x
			}
			inner, ok := g.times(*half, 0.5)
			if !ok {
				continue
			}
			*half = inner
			if g.x = x; g.gate(gate) {
				return g, true
			}
		}
	}
	return nil, false
}

// take notes o's node as part of the pattern and returns it, if it is of op.
func (g *gelu) take(o graphdef.Output, op ...string) *graphdef.Node {
	if o.Index != 0 || !leads(o, op...) || !isFloat(o.Node) {
		return nil
	}
	g.interior = append(g.interior, o.Node)
	return o.Node
}

// isNumber reports whether o is the scalar constant v, as far as float32 can tell.
func (f *fusion) isNumber(o graphdef.Output, v float64) bool {
	c, ok := f.scalar(o)
	return ok && math.Abs(float64(c)-v) <= 1e-6*math.Abs(v)
}

// times reports whether o is v times something, or that divided by 1/v, and returns the something.
func (g *gelu) times(o graphdef.Output, v float64) (graphdef.Output, bool) {
	n := o.Node
	if o.Index != 0 || !leads(o, "Mul", "RealDiv") || !isFloat(n) {
		return o, false
	}
	for i := range 2 {
		if n.Op() == "Mul" && g.f.isNumber(n.Input(i), v) {
			g.interior = append(g.interior, n)
			return n.Input(1 - i), true
		}
	}
	if n.Op() == "RealDiv" && g.f.isNumber(n.Input(1), 1/v) {
		g.interior = append(g.interior, n)
		return n.Input(0), true
	}
	return o, false
}

// gate matches the factor that is not x.
func (g *gelu) gate(o graphdef.Output) bool {
	mark := len(g.interior)
	if g.erfc(o) || g.onePlus(o) {
		return true
	}
	g.interior = g.interior[:mark]
	return false
}

// erfc matches Erfc(-x/√2).
func (g *gelu) erfc(o graphdef.Output) bool {
	n := g.take(o, "Erfc")
	if n == nil {
		return false
	}
	g.kind = "GeluExact"
	if x, ok := g.times(n.Input(0), -math.Sqrt2/2); ok {
		return x == g.x
	}
	x, ok := g.times(n.Input(0), math.Sqrt2/2)
	if !ok {
		if neg := g.take(n.Input(0), "Neg"); neg != nil {
			x, ok = g.times(neg.Input(0), math.Sqrt2/2)
			return ok && x == g.x
		}
		return false
	}
	neg := g.take(x, "Neg")
	return neg != nil && neg.Input(0) == g.x
}

// onePlus matches 1 + Erf(x/√2) and 1 + Tanh(…).
func (g *gelu) onePlus(o graphdef.Output) bool {
	add := g.take(o, "AddV2", "Add")
	if add == nil {
		return false
	}
	for i := range 2 {
		if !g.f.isNumber(add.Input(i), 1) {
			continue
		}
		if n := g.take(add.Input(1-i), "Erf"); n != nil {
			g.kind = "GeluExact"
			x, ok := g.times(n.Input(0), math.Sqrt2/2)
			return ok && x == g.x
		}
		if n := g.take(add.Input(1-i), "Tanh"); n != nil {
			g.kind = "GeluApproximate"
			sum, ok := g.times(n.Input(0), math.Sqrt(2/math.Pi))
			return ok && g.cubic(sum)
		}
	}
	return false
}

// cubic matches x + 0.044715·x³.
func (g *gelu) cubic(o graphdef.Output) bool {
	add := g.take(o, "AddV2", "Add")
	if add == nil {
		return false
	}
	for i := range 2 {
		if add.Input(i) != g.x {
			continue
		}
		if cube, ok := g.times(add.Input(1-i), 0.044715); ok {
			return g.cube(cube)
		}
	}
	return false
}

// cube matches x³ as a power or as products.
func (g *gelu) cube(o graphdef.Output) bool {
	n := g.take(o, "Pow", "Mul")
	if n == nil {
		return false
	}
	if n.Op() == "Pow" {
		return n.Input(0) == g.x && g.f.isNumber(n.Input(1), 3)
	}
	for i := range 2 {
		if n.Input(i) != g.x {
			continue
		}
		switch s := g.take(n.Input(1-i), "Square", "Mul"); {
		case s == nil:
			return false
		case s.Op() == "Square":
			return s.Input(0) == g.x
		default:
			return s.Input(0) == g.x && s.Input(1) == g.x
		}
	}
	return false
}
