package passes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// dense is a product with constant weights, whatever op spells it, as one matrix product [rows, k] · [k, n]:
//
//	x -> Transpose(perm) -> Reshape([-1, k]) -> ·W -> Reshape(rows…, tail…) -> Transpose(outPerm)
//
// Parts that change nothing are left out.
type dense struct {
	node    *graphdef.Node
	x       graphdef.Output
	dtype   tensor.DType   // of x and the result
	perm    []int          // nil: x has its contracted dimensions last already
	summed  int            // how many those are
	weights *graphdef.Node // the Const
	// wPerm brings the weights to [k…, n…], or [n…, k…] where transposed; nil: they are so already.
	wPerm      []int
	transposed bool
	k, n       int
	tail       []int // the dimensions that n stands for in the result
	outPerm    []int
	matrix     bool // x and the result have rank 2: no Reshape is needed
}

// denseOf reads product n; reason says why it is none with constant weights, or not one that a matrix product can compute.
func (q *quantizer) denseOf(n *graphdef.Node) (d *dense, reason Reason, detail string) {
	types, err := n.InputTypes()
	if err != nil || len(types) != 2 || types[0] != types[1] || !castable(types[0]) {
		return nil, NotFloat, fmt.Sprintf("dtypes are %v", types)
	}
	d = &dense{node: n, dtype: types[0]}
	side := 1
	w, ok := q.tree.ConstOf(n.Input(1))
	if !ok {
		side = 0
		if w, ok = q.tree.ConstOf(n.Input(0)); !ok {
			return nil, TwoActivations, ""
		}
	}
	value, err := w.Tensor("value")
	if err != nil || value.Len() == 0 {
		return nil, UnsupportedForm, fmt.Sprintf("weights %q have no elements", w.Name())
	}
	d.weights, d.x = w, n.Input(1-side)
	switch n.Op() {
	case "MatMul":
		detail = d.matMul(n, value.Shape(), side)
	case "Einsum":
		detail = d.einsum(n, value.Shape(), side, q.shapeOfValue(d.x))
	default:
		detail = d.batchMatMul(n, value.Shape(), side, q.shapeOfValue(d.x))
	}
	if detail != "" {
		return nil, UnsupportedForm, detail
	}
	if d.k > maxDepth {
		return nil, TooDeep, fmt.Sprintf("%d terms, at most %d are sure to fit 32 bits", d.k, maxDepth)
	}
	return d, "", ""
}

// castable reports whether products of that dtype can be computed by way of float.
func castable(d tensor.DType) bool {
	return d == tensor.Float32 || d == tensor.Float16 || d == tensor.Bfloat16
}

// matMul reads a MatMul with weights of shape w as input side.
func (d *dense) matMul(n *graphdef.Node, w tensor.Shape, side int) (problem string) {
	if len(w) != 2 {
		return fmt.Sprintf("weights have shape %v, want a matrix", w)
	}
	ta, _ := n.Bool("transpose_a")
	tb, _ := n.Bool("transpose_b")
	d.matrix, d.summed = true, 1
	if side == 0 {
		// W·x is the transpose of xᵀ·Wᵀ.
		ta, tb = !tb, !ta
		d.outPerm = []int{1, 0}
	}
	if ta {
		d.perm = []int{1, 0}
	}
	d.split(w, tb)
	return ""
}

// split takes weights of rank 2 as they are.
func (d *dense) split(w tensor.Shape, transposed bool) {
	d.transposed = transposed
	d.k, d.n = w[len(w)-2], w[len(w)-1]
	if transposed {
		d.k, d.n = d.n, d.k
	}
	d.tail = []int{d.n}
}

// batchMatMul reads a BatchMatMul with weights of shape w.
func (d *dense) batchMatMul(n *graphdef.Node, w tensor.Shape, side int, x tensor.PartialShape) (problem string) {
	if side == 0 {
		return "the left input is the constant one"
	}
	if len(w) < 2 {
		return fmt.Sprintf("weights have shape %v, want a matrix", w)
	}
	if w[:len(w)-2].Elements() != 1 {
		return fmt.Sprintf("weights have shape %v: each batch has a matrix of its own", w)
	}
	rank, known := x.Rank()
	if len(w) > 2 && (!known || rank < len(w)) {
		return fmt.Sprintf("weights have rank %d, input %v may have fewer dimensions", len(w), x)
	}
	if ta, _ := n.Bool("adj_x"); ta {
		if !known {
			return "adj_x is set, and the rank of the left input is not known"
		}
		d.perm = make([]int, rank)
		for i := range d.perm {
			d.perm[i] = i
		}
		d.perm[rank-2], d.perm[rank-1] = rank-1, rank-2
	}
	tb, _ := n.Bool("adj_y")
	d.summed, d.matrix = 1, known && rank == 2 && len(w) == 2
	d.split(w, tb)
	return ""
}

// einsum reads an Einsum with weights of shape w as input side.
func (d *dense) einsum(n *graphdef.Node, w tensor.Shape, side int, x tensor.PartialShape) (problem string) {
	equation, _ := n.Str("equation")
	c, ok := parseContraction(equation)
	if !ok {
		return fmt.Sprintf("equation %q repeats a label", equation)
	}
	if side == 0 {
		c = c.swapped()
	}
	// An ellipsis may stand for no dimensions.
	none := func(r rune) bool { return r == ellipsis }
	if len(c.y) == len(w)+1 {
		c.y = slices.DeleteFunc(c.y, none)
	}
	if !slices.Contains(c.x, ellipsis) {
		c.out = slices.DeleteFunc(c.out, none)
	}
	if len(c.y) != len(w) || slices.Contains(c.y, ellipsis) {
		return fmt.Sprintf("equation %q does not name the dimensions of weights %v", equation, w)
	}
	batch, summed, rows, columns, ok := c.kinds()
	if !ok || len(summed) == 0 {
		return fmt.Sprintf("equation %q is no matrix product", equation)
	}
	if len(batch) > 0 {
		return fmt.Sprintf("equation %q: each %q has weights of its own", equation, string(batch))
	}
	dots := 0
	rank, known := x.Rank()
	if slices.Contains(c.x, ellipsis) {
		dots = rank - len(c.x) + 1
		if !known {
			// One dimension stands for any number: what needs no transposition with one needs none with more.
			dots = 1
		}
		if dots < 0 {
			return fmt.Sprintf("equation %q does not fit input %v", equation, x)
		}
	}
	d.perm = permutation(c.x, slices.Concat(rows, summed), dots)
	// Rows that stay in their order leave the order of columns free.
	columns = slices.DeleteFunc(slices.Clone(c.out), func(l rune) bool { return !slices.Contains(columns, l) })
	d.outPerm = permutation(slices.Concat(rows, columns), c.out, dots)
	if !known && (d.perm != nil || d.outPerm != nil) && slices.Contains(c.x, ellipsis) {
		return fmt.Sprintf("equation %q moves dimensions of an input of unknown rank", equation)
	}
	d.k, d.n, d.summed = 1, 1, len(summed)
	size := func(l rune) int { return w[slices.Index(c.y, l)] }
	for _, l := range summed {
		d.k *= size(l)
	}
	for _, l := range columns {
		d.n *= size(l)
		d.tail = append(d.tail, size(l))
	}
	d.wPerm = permutation(c.y, slices.Concat(summed, columns), 0)
	if d.wPerm != nil && permutation(c.y, slices.Concat(columns, summed), 0) == nil {
		d.wPerm, d.transposed = nil, true
	}
	d.matrix = len(c.x) == 2 && !slices.Contains(c.x, ellipsis) && len(c.out) == 2
	return ""
}

// layout names the way in which the weights are read, for the names of their codes; empty for a matrix [k, n].
func (d *dense) layout() string {
	var b strings.Builder
	for _, p := range d.wPerm {
		fmt.Fprintf(&b, "_%d", p)
	}
	if d.transposed {
		b.WriteString("_rows")
	}
	if value, err := d.weights.Tensor("value"); err == nil && value.Rank() != 2 {
		fmt.Fprintf(&b, "_%dx%d", d.k, d.n)
	}
	return b.String()
}

// table reports whether the codes have the weights' own shape, so that they can stand for an embedding table.
func (d *dense) table() bool {
	value, err := d.weights.Tensor("value")
	return err == nil && value.Rank() == 2 && d.wPerm == nil
}

// matrixOf returns the weights as a float matrix, [k, n] or [n, k] where transposed.
func (d *dense) matrixOf() (*tensor.Tensor, error) {
	value, err := d.weights.Tensor("value")
	if err != nil {
		return nil, err
	}
	if value, err = widened(value); err != nil {
		return nil, err
	}
	if d.wPerm != nil {
		value = transposed(value, d.wPerm)
	}
	shape := tensor.Shape{d.k, d.n}
	if d.transposed {
		shape = tensor.Shape{d.n, d.k}
	}
	return value.Reshaped(shape)
}

// widened returns t as float.
func widened(t *tensor.Tensor) (*tensor.Tensor, error) {
	switch t.DType() {
	case tensor.Float32:
		return t, nil
	case tensor.Float16, tensor.Bfloat16:
		out := tensor.New(tensor.Float32, t.Shape().Clone())
		widen(tensor.Data[float32](out), t)
		return out, nil
	}
	return nil, fmt.Errorf("dtype is %v", t.DType())
}

// widen writes the elements of t, half or bfloat16, to dst.
func widen(dst []float32, t *tensor.Tensor) {
	bits := tensor.Data[uint16](t)
	for i, b := range bits {
		if t.DType() == tensor.Bfloat16 {
			dst[i] = tensor.FromBfloat(b)
		} else {
			dst[i] = tensor.FromHalf(b)
		}
	}
}

// transposed returns t, of float, with dimension i of the result the one that perm[i] names.
func transposed(t *tensor.Tensor, perm []int) *tensor.Tensor {
	from := t.Shape()
	strides := make([]int, len(from))
	for i, s := len(from)-1, 1; i >= 0; i-- {
		strides[i] = s
		s *= from[i]
	}
	shape := make(tensor.Shape, len(perm))
	for i, p := range perm {
		shape[i] = from[p]
	}
	out := tensor.New(tensor.Float32, shape)
	src, dst := tensor.Data[float32](t), tensor.Data[float32](out)
	at := make([]int, len(perm))
	offset := 0
	for i := range dst {
		dst[i] = src[offset]
		for j := len(perm) - 1; j >= 0; j-- {
			at[j]++
			offset += strides[perm[j]]
			if at[j] < shape[j] {
				break
			}
			offset -= at[j] * strides[perm[j]]
			at[j] = 0
		}
	}
	return out
}
