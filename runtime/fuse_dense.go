package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// dense is one product, x·W or its INT8 form, with all that follows it row by row: y = act(x·W + b) reshaped, + r.
type dense struct {
	product  denseProduct
	reshape  int // input numbers; -1: the graph does not have that part
	residual int
	bias     int
	biasLast bool // the bias is along the last dimension of the reshaped product
	relu     bool
	act      activation // another one than relu, or nil
	lookedUp bool       // rows of the left operand are likely to be equal
}

// denseProduct computes the [m, n] matrix that a dense step begins with.
type denseProduct interface {
	// dims returns the sizes of the product of this call.
	dims(c *call) (m, n int, err error)
	// run computes the product of some rows into dst, n elements each, and applies ep.
	run(c *call, dst []float32, x leftRows, n int, ep kernels.Epilogue) error
	// prepare returns the product with its constant inputs laid out for the kernels, and the bits of the inputs that it then no
	// longer reads; nil where too little is constant.
	prepare(p *packer, consts []*tensor.Tensor) (ready denseProduct, packed uint64)
	// direct reports whether run reads an element of ep.Add just before it writes that element of dst, so that both may share
	// memory.
	direct() bool
}

// fuseDense matches, ending in n,
//
//	product [bias] [Reshape] [bias] [activation, or Mul by a number] [Add residual]
//
// where product is MatMul or _QuantizedMatMul, with QuantizeV2 before it if nothing else reads the codes; bias is BiasAdd or
// the addition of a constant vector. A float product alone is left to its own step.
func fuseDense(f *fusion, n *graphdef.Node) *fusedStep {
	if isAdd(n) && isFloat(n) && n.NumInputs() == 2 {
		for i := range 2 {
			if o := n.Input(i); o.Index == 0 && f.denseBelow(o.Node) && f.sc.needed[o.Node] {
				if st := f.denseWith(n, o.Node, n.Input(1-i)); st != nil {
					return st
				}
			}
		}
	}
	return f.denseWith(n, n, graphdef.Output{})
}

// denseWith matches the pattern ending in n, from cur down; cur is n, or what n adds the residual to.
func (f *fusion) denseWith(n, cur *graphdef.Node, residual graphdef.Output) *fusedStep {
	st := &fusedStep{op: "MatMul", dense: true}
	d := dense{reshape: -1, residual: -1, bias: -1}
	var bias, shape graphdef.Output
	if cur != n {
		d.residual = 0
		st.interior = append(st.interior, cur)
	}
	down := func(o graphdef.Output) bool { // go to the node before
		if o.Index != 0 || f.sc.tree.Of(o.Node) != f.sc.tree.Of(n) {
			return false
		}
		st.interior = append(st.interior, o.Node)
		cur = o.Node
		return true
	}
	if x, ok := f.activationOf(cur, &d, st); ok && !down(x) {
		return nil
	}
	for {
		ok := true
		switch {
		case d.bias < 0 && f.isBias(cur):
			var x graphdef.Output
			x, bias = f.biasOf(cur)
			d.bias, ok = 0, down(x)
		case d.reshape < 0 && cur.Op() == "Reshape" && cur != n:
			shape, d.reshape = cur.Input(1), 0
			d.biasLast = d.bias == 0
			ok = down(cur.Input(0))
		case passThrough[cur.Op()] && cur.NumInputs() == 1 && cur != n:
			ok = down(cur.Input(0))
		default:
			switch {
			case cur.Op() == "MatMul" && cur != n && isFloat(cur):
				if p, ok := newFloatProduct(cur); ok {
					d.product = p
					st.inputs = append(st.inputs, cur.Input(0), cur.Input(1))
				}
			case cur.Op() == "_QuantizedMatMul":
				d.product = f.newQuantizedProduct(cur, n, st, d.bias >= 0)
			}
			ok = d.product != nil
		}
		if !ok {
			return nil
		}
		if d.product != nil {
			break
		}
	}
	if !f.closed(st.interior, n) {
		return nil
	}
	add := func(at *int, o graphdef.Output) {
		if *at == 0 {
			st.inputs = append(st.inputs, o)
			*at = len(st.inputs) - 1
		}
	}
	add(&d.bias, bias)
	add(&d.reshape, shape)
	add(&d.residual, residual)
	if d.reshape >= 0 {
		st.dims = []int{d.reshape}
	}
	d.lookedUp = lookedUp(st.inputs[0])
	st.eval = d.eval
	if a := cur.AttrReader(); !a.Has("transpose_a") || !a.Bool("transpose_a") {
		st.rows = d.rowRule()
	}
	st.specialize = d.specialize
	return st
}

// activationOf reports whether n is an activation, which it notes in d, and of what.
func (f *fusion) activationOf(n *graphdef.Node, d *dense, st *fusedStep) (x graphdef.Output, ok bool) {
	if !isFloat(n) {
		return x, false
	}
	switch n.Op() {
	case "Relu":
		d.relu = true
	case "Relu6", "Elu", "Tanh", "Sigmoid":
		d.act = activations[n.Op()]
	case "LeakyRelu":
		alpha, err := n.Float("alpha")
		if err != nil {
			return x, false
		}
		if d.act, err = newActivation(n.Op(), alpha); err != nil {
			return x, false
		}
	default:
		g, ok := f.matchGelu(n)
		if !ok {
			x, d.act = f.scaled(n)
			return x, d.act != nil
		}
		d.act = g.activation()
		st.interior = append(st.interior, g.interior...)
		return g.x, true
	}
	return n.Input(0), true
}

// scaled returns what n multiplies by a number, as queries are, and the function that does it; nil where n is something else.
func (f *fusion) scaled(n *graphdef.Node) (x graphdef.Output, act activation) {
	if n.Op() != "Mul" || n.NumInputs() != 2 {
		return x, nil
	}
	for i := range 2 {
		c := f.constant(n.Input(i))
		if c == nil || c.Rank() > 0 || c.DType() != tensor.Float32 {
			continue
		}
		s := tensor.Data[float32](c)[0]
		return n.Input(1 - i), func(k *kernels.Set, x []float32) { k.MulScalar(x, x, s) }
	}
	return x, nil
}

func isAdd(n *graphdef.Node) bool { return n.Op() == "AddV2" || n.Op() == "Add" }

func leads(o graphdef.Output, ops ...string) bool {
	for _, op := range ops {
		if o.Node.Op() == op {
			return true
		}
	}
	return false
}

// isBias reports whether n adds a vector along the last dimension.
func (f *fusion) isBias(n *graphdef.Node) bool {
	if n.NumInputs() != 2 || !isFloat(n) {
		return false
	}
	if n.Op() == "BiasAdd" {
		format, _ := n.Str("data_format")
		return format != "NCHW"
	}
	_, bias := f.biasOf(n)
	return bias.Node != nil
}

// biasOf returns what the bias n is added to, and the vector.
func (f *fusion) biasOf(n *graphdef.Node) (x, bias graphdef.Output) {
	if n.Op() == "BiasAdd" {
		return n.Input(0), n.Input(1)
	}
	if !isAdd(n) {
		return x, bias
	}
	for _, i := range []int{1, 0} {
		if v := f.constant(n.Input(i)); v != nil && v.Rank() == 1 {
			return n.Input(1 - i), n.Input(i)
		}
	}
	return x, bias
}

// denseBelow reports whether, going down from n through activation, reshape and bias, a product comes.
func (f *fusion) denseBelow(n *graphdef.Node) bool {
	for range 6 {
		switch {
		case n.Op() == "MatMul" || n.Op() == "_QuantizedMatMul":
			return true
		case f.isBias(n):
			x, _ := f.biasOf(n)
			n = x.Node
		case leads(n.Out(0), "Reshape", "Relu", "Relu6", "Elu", "Tanh", "Sigmoid", "LeakyRelu") || passThrough[n.Op()] && n.NumInputs() == 1:
			n = n.Input(0).Node
		default:
			g, ok := f.matchGelu(n)
			if !ok {
				return false
			}
			n = g.x.Node
		}
	}
	return false
}

// specialize lays the product's constants out for the kernels.
func (d dense) specialize(p *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
	ready, packed := d.product.prepare(p, consts)
	if ready == nil {
		return nil, 0
	}
	d.product = ready
	return d.eval, packed
}

// eval runs the step.
func (d dense) eval(c *call) error {
	m, n, err := d.product.dims(c)
	if err != nil {
		return err
	}
	var dims [8]int
	shape := append(dims[:0], m, n)
	if d.reshape >= 0 {
		if shape, err = c.reshapeTo(shape[:0], m*n, d.reshape); err != nil {
			return err
		}
	}
	var ep kernels.Epilogue
	c.lookAhead()
	ep.Ahead = &c.s.ahead
	if d.relu {
		ep.Act = kernels.ActRelu
	}
	if d.bias >= 0 {
		b := c.in(d.bias)
		want := n
		if d.biasLast && len(shape) > 0 {
			want = shape[len(shape)-1]
		}
		if b.Rank() != 1 || b.Len() != want || b.DType() != tensor.Float32 {
			return fmt.Errorf("bias is %v %v, want float [%d]", b.DType(), b.Shape().Clone(), want)
		}
		ep.Bias = tensor.Data[float32](b)
		if want != n {
			// The reshape cuts the rows anew: the bias repeats within a row, or goes over several.
			ep.Bias = nil
			return d.biasApart(c, shape, m, n, tensor.Data[float32](b))
		}
	}
	if d.residual < 0 {
		return d.runOnce(c, shape, m, n, ep)
	}
	if err := c.unfold(0); err != nil {
		return err
	}
	r := c.in(d.residual)
	if !r.Shape().Equal(shape) {
		// A residual that broadcasts: the product goes to scratch memory first.
		c.s.product = growFloats(c.s.product, m*n)
		if err := d.rows(c, c.s.product, 0, m, n, ep); err != nil {
			return err
		}
		return broadcastAdd(c, tensor.FromSlice(tensor.Shape(shape).Clone(), c.s.product), r)
	}
	var over uint64
	if d.product.direct() && d.act == nil {
		over = 1 << d.residual
	}
	ep.Add, ep.LdAdd = tensor.Data[float32](r), n
	t, err := c.allocOver(0, tensor.Float32, shape, over)
	if err != nil {
		return err
	}
	return d.rows(c, tensor.Data[float32](t), 0, m, n, ep)
}

// rows computes rows from, …, from+m-1 with epilogue and activation.
func (d dense) rows(c *call, dst []float32, from, m, n int, ep kernels.Epilogue) error {
	if d.act == nil {
		return d.multiply(c, dst, from, m, n, ep)
	}
	// The activation goes over rows that are still in the second-level cache.
	const cached = 512 << 10
	residual := ep.Add
	ep.Add = nil
	step := max(16, cached/(4*max(1, n)))
	for i := 0; i < m; i += step {
		rows := min(step, m-i)
		part := dst[i*n:][:rows*n]
		if err := d.multiply(c, part, from+i, rows, n, ep); err != nil {
			return err
		}
		d.act(c.kernels(), part)
		if residual != nil {
			c.kernels().Add(part, part, residual[i*n:][:rows*n])
		}
	}
	return nil
}

// biasApart is eval for a bias that does not go along the rows of the product.
func (d dense) biasApart(c *call, shape tensor.Shape, m, n int, bias []float32) error {
	if err := c.unfold(0); err != nil {
		return err
	}
	c.s.product = growFloats(c.s.product, m*n)
	y := c.s.product
	if err := d.multiply(c, y, 0, m, n, kernels.Epilogue{}); err != nil {
		return err
	}
	for i := 0; i < len(y); i += len(bias) {
		c.kernels().Add(y[i:][:len(bias)], y[i:][:len(bias)], bias)
	}
	if d.relu {
		c.kernels().Relu(y, y)
	} else if d.act != nil {
		d.act(c.kernels(), y)
	}
	if d.residual >= 0 {
		return broadcastAdd(c, tensor.FromSlice(shape.Clone(), y), c.in(d.residual))
	}
	t, err := c.alloc(0, tensor.Float32, shape)
	if err != nil {
		return err
	}
	copy(tensor.Data[float32](t), y)
	return nil
}
