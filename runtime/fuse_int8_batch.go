package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// fuseInt8Batch matches the INT8 product of two activations as stock ops spell it:
//
//	Mul(Cast(BatchMatMulV3(x, y)), scale)
//
// with x int8 or uint8, y int8, sums in int32 and a constant float scale.
func fuseInt8Batch(f *fusion, n *graphdef.Node) *fusedStep {
	if n.Op() != "Mul" {
		return nil
	}
	p, cast, product, ok := f.int8Product(n, n)
	if !ok || p.adjX {
		return nil
	}
	return &fusedStep{
		op:       "BatchMatMulV3",
		inputs:   []graphdef.Output{product.Input(0), product.Input(1)},
		interior: []*graphdef.Node{cast, product},
		eval:     p.eval,
		rows:     batchProductRows(false),
	}
}

// int8Product matches Mul n of the pattern above and returns the Cast and the product, which can vanish into a step in place of
// last.
func (f *fusion) int8Product(n, last *graphdef.Node) (p int8Batch, cast, product *graphdef.Node, ok bool) {
	if !isFloat(n) {
		return p, nil, nil, false
	}
	for i := range 2 {
		scale, ok := f.scalar(n.Input(1 - i))
		c := n.Input(i)
		if !ok || c.Node.Op() != "Cast" || !f.private(c, last) {
			continue
		}
		b := c.Node.Input(0)
		if b.Node.Op() != "BatchMatMulV3" || !f.private(b, last) {
			continue
		}
		r := b.Node.AttrReader()
		p = int8Batch{scale: scale, adjX: r.Bool("adj_x"), adjY: r.Bool("adj_y"), unsigned: r.Type("Ta") == tensor.Uint8}
		left := r.Type("Ta") == tensor.Int8 || p.unsigned
		to, err := c.Node.Type("DstT")
		if err == nil && to == tensor.Float32 && r.Err() == nil && left && r.Type("Tb") == tensor.Int8 && r.Type("Tout") == tensor.Int32 {
			return p, c.Node, b.Node, true
		}
	}
	return p, nil, nil, false
}

// int8Batch is the product of the codes of inputs 0 and 1 over their last two dimensions, scaled.
type int8Batch struct {
	scale                float32
	adjX, adjY, unsigned bool
}

func (p int8Batch) eval(c *call) error {
	x, y := c.in(0), c.in(1)
	if x.Rank() < 2 || y.Rank() < 2 {
		return fmt.Errorf("inputs must have rank 2 or more, have x %v and y %v", x.Shape(), y.Shape())
	}
	xs, ys := x.Shape(), y.Shape()
	m, k := xs[len(xs)-2], xs[len(xs)-1]
	ky, n := ys[len(ys)-2], ys[len(ys)-1]
	if p.adjY {
		ky, n = n, ky
	}
	if k != ky {
		return fmt.Errorf("inner dimensions differ, have x %v and y %v; check adj_y", xs, ys)
	}
	xb, yb := xs[:len(xs)-2], ys[:len(ys)-2]
	batch := xb
	if !xb.Equal(yb) {
		var err error
		if batch, err = tensor.Broadcast(xb, yb); err != nil {
			return fmt.Errorf("batch dimensions: %w", err)
		}
	}
	var dims [8]int
	t, err := c.alloc(0, tensor.Float32, append(append(dims[:0], batch...), m, n))
	if err != nil || t.Len() == 0 {
		return err
	}
	dst, left, right := tensor.Data[float32](t), tensor.Data[uint8](x), tensor.Data[int8](y)
	signed := tensor.Data[int8](x)
	ldb := n
	if p.adjY {
		ldb = k
	}
	codes := &c.s.codes
	c.count(batch.Elements()*m, n, k, true)
	walkBatch(batch, xb, yb, func(i, ix, iy int) {
		p.load(c.kernels(), codes, left, signed, ix*m*k, m, k)
		c.kernels().MatMulInt8Strided(dst[i*m*n:][:m*n], n, codes, right[iy*k*n:][:k*n], ldb, p.adjY, n, p.scale, &c.s.scratch)
	})
	return nil
}

// load takes the [m, k] codes at offset at of the left operand.
func (p int8Batch) load(s *kernels.Set, codes *kernels.Codes, unsigned []uint8, signed []int8, at, m, k int) {
	if p.unsigned {
		s.LoadU8(codes, unsigned[at:][:m*k], m, k, k, 0)
		return
	}
	s.LoadS8(codes, signed[at:][:m*k], m, k, k)
}
