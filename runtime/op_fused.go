package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// fusedOps are the nodes that TensorFlow's graph optimizer makes of several: what a stock graph does not hold, but one that
// was saved after optimization does.
var fusedOps = map[string]evaluator{
	"_FusedMatMul":           fusedMatMulOp,
	"_MklFusedBatchMatMulV2": fusedBatchMatMulOp,
	"_FusedConv2D":           fusedConvOp,
	"_FusedBatchNormEx":      batchNormOp,
	"_UnaryOpsComposition":   unaryCompositionOp,
	"_MklLayerNorm":          fusedLayerNormOp,
}

// fusedMatMul is a product of matrices and its tail. What dense does not do is left to rest.
type fusedMatMul struct {
	dense
	rest []tailPart
}

// newFusedMatMul returns n as a dense step; ok is false where it has a form that has no kernel.
func newFusedMatMul(n *graphdef.Node, d tensor.DType, tail []tailPart) (f fusedMatMul, ok bool) {
	p, ok := newFloatProduct(n)
	if !ok || d != tensor.Float32 || len(tail) == 0 || tail[0].op != "BiasAdd" {
		return f, false
	}
	f.dense = dense{product: p, reshape: -1, residual: -1, bias: tail[0].arg}
	f.rest = tail[1:]
	switch {
	case len(f.rest) > 0 && f.rest[0].op == "Relu":
		f.relu, f.rest = true, f.rest[1:]
	case len(f.rest) > 0 && f.rest[0].op == "Add":
		f.residual, f.rest = f.rest[0].arg, f.rest[1:]
	}
	return f, true
}

func (f fusedMatMul) eval(c *call) error {
	if err := f.dense.eval(c); err != nil {
		return err
	}
	return finish(c, f.rest)
}

func (f fusedMatMul) specialize(p *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
	ready, packed := f.product.prepare(p, consts)
	if ready == nil {
		return nil, 0
	}
	f.product = ready
	return f.eval, packed
}

// fusedMatMulOp is a matrix product with what fused_ops lists after it, whose arguments are the inputs from 2 on.
func fusedMatMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	tail, err := newTail(n, d, 2)
	if err != nil {
		return nil, err
	}
	if f, ok := newFusedMatMul(n, d, tail); ok {
		return f.eval, nil
	}
	product, err := matMulOp(n, nil)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		if err := product(c); err != nil {
			return err
		}
		return finish(c, tail)
	}, nil
}

// specializeFusedMatMul packs the weights of a float product.
func specializeFusedMatMul(n *graphdef.Node) specializer {
	d, err := operandType(n)
	if err != nil {
		return nil
	}
	tail, err := newTail(n, d, 2)
	if err != nil {
		return nil
	}
	if f, ok := newFusedMatMul(n, d, tail); ok {
		return f.specialize
	}
	return nil
}

// fusedBatchMatMulOp is fusedMatMulOp for batches; it is fused with products and sums that broadcast.
func fusedBatchMatMulOp(n *graphdef.Node, k *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	tail, err := newTail(n, d, 2)
	if err != nil {
		return nil, err
	}
	product, err := batchMatMulOp(n, k)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		if err := product(c); err != nil {
			return err
		}
		return finish(c, tail)
	}, nil
}

// unaryCompositionOp applies the functions of op_names one after the other.
func unaryCompositionOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	names := r.Strs("op_names")
	if err := r.Err(); err != nil {
		return nil, err
	}
	maps := make([]mapKernel, len(names))
	for i, name := range names {
		if maps[i] = unaryKernel(name, d); maps[i] == nil {
			return nil, fmt.Errorf("op_names has %q, want functions of one operand that are defined for %v", name, d)
		}
	}
	return func(c *call) error {
		x := c.in(0)
		if len(maps) == 0 {
			c.forward(0, 0)
			return nil
		}
		if x.DType() != d {
			return fmt.Errorf("operand is %v, want %v", x.DType(), d)
		}
		t, err := c.allocOver(0, d, x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		for _, m := range maps {
			m(c.kernels(), t, x)
			x = t
		}
		return nil
	}, nil
}

// fusedLayerNormOp normalizes each row of the last dimension.
func fusedLayerNormOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	eps := r.Float("epsilon")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, scale, offset := c.in(0), c.in(1), c.in(2)
		if x.Rank() == 0 {
			return fmt.Errorf("input is a scalar, want rank 1 or more")
		}
		cols := x.Shape()[x.Rank()-1]
		if scale.Rank() != 1 || scale.Len() != cols || offset.Rank() != 1 || offset.Len() != cols {
			return fmt.Errorf("have scale %v and offset %v, want [%d] for the input %v", scale.Shape().Clone(), offset.Shape().Clone(), cols, x.Shape().Clone())
		}
		t, err := c.allocOver(0, d, x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		rows := x.Len() / cols
		if d == tensor.Float32 {
			c.kernels().LayerNorm(tensor.Data[float32](t), tensor.Data[float32](x), rows, cols, tensor.Data[float32](scale), tensor.Data[float32](offset), eps)
			return nil
		}
		in, gamma, beta := floatsOf(x), floatsOf(scale), floatsOf(offset)
		for i := range rows {
			m := momentsOf(cols, func(j int) float64 { return in.at(i*cols + j) })
			by := inverseRoot(m.variance, float64(eps))
			for j := range cols {
				setFloat(t, i*cols+j, (in.at(i*cols+j)-m.mean)*by*gamma.at(j)+beta.at(j))
			}
		}
		return nil
	}, nil
}
