package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// matrixOps are the products and what belongs to them.
var matrixOps = map[string]evaluator{
	"MatMul":         matMulOp,
	"BatchMatMul":    batchMatMulOp,
	"BatchMatMulV2":  batchMatMulOp,
	"BatchMatMulV3":  batchMatMulOp,
	"BiasAdd":        biasAddOp,
	"BiasAddV1":      biasAddOp,
	"MatrixBandPart": matrixBandPartOp,
	"Einsum":         einsumOp,
	"XlaEinsum":      einsumOp,

	"BiasAddGrad":   biasAddGradOp,
	"Cholesky":      choleskyOp,
	"MatrixInverse": matrixInverseOp,
	"SparseMatMul":  sparseMatMulOp,

	"Diag":             diagOp,
	"DiagPart":         diagPartOp,
	"MatrixDiag":       matrixDiagOp,
	"MatrixDiagV2":     matrixDiagOp,
	"MatrixDiagV3":     matrixDiagOp,
	"MatrixDiagPart":   matrixDiagPartOp,
	"MatrixDiagPartV2": matrixDiagPartOp,
	"MatrixDiagPartV3": matrixDiagPartOp,
	"MatrixSetDiag":    matrixSetDiagOp,
	"MatrixSetDiagV2":  matrixSetDiagOp,
	"MatrixSetDiagV3":  matrixSetDiagOp,
}

// specializers prepare steps whose weights turn out to be constant, by op.
var specializers = map[string]func(n *graphdef.Node) specializer{
	"MatMul": func(n *graphdef.Node) specializer {
		p, ok := newFloatProduct(n)
		if !ok {
			return nil
		}
		return dense{product: p, reshape: -1, residual: -1, bias: -1}.specialize
	},
	"InitializeTable":                             specializeTable,
	"InitializeTableV2":                           specializeTable,
	"LookupTableImport":                           specializeTable,
	"LookupTableImportV2":                         specializeTable,
	"_FusedMatMul":                                specializeFusedMatMul,
	"_QuantizedMatMul":                            specializeFusedQuantized,
	"QuantizedMatMul":                             specializeQuantizedMatMul,
	"QuantizedMatMulWithBias":                     specializeFusedQuantized,
	"QuantizedMatMulWithBiasAndRelu":              specializeFusedQuantized,
	"QuantizedMatMulWithBiasAndDequantize":        specializeFusedQuantized,
	"QuantizedMatMulWithBiasAndRequantize":        specializeFusedQuantized,
	"QuantizedMatMulWithBiasAndReluAndRequantize": specializeFusedQuantized,
}

func specializerOf(n *graphdef.Node) specializer {
	if s := specializers[n.Op()]; s != nil {
		return s(n)
	}
	return nil
}

// matMulOp is the product of two matrices, each read transposed or not.
func matMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	ta, tb := r.Bool("transpose_a"), r.Bool("transpose_b")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		a, b := c.in(0), c.in(1)
		if a.Rank() != 2 || b.Rank() != 2 {
			return fmt.Errorf("inputs must be matrices, have a %v and b %v", a.Shape(), b.Shape())
		}
		return batchMatMul(c, a, b, product{ta: ta, tb: tb}, a.DType())
	}, nil
}

// batchMatMulOp multiplies matrices in the last two dimensions; those before are the batch, which V2 and V3 broadcast.
func batchMatMulOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	ta, tb := r.Bool("adj_x"), r.Bool("adj_y")
	out := tensor.Invalid
	if n.Op() == "BatchMatMulV3" {
		out = r.Type("Tout")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	broadcast := n.Op() != "BatchMatMul"
	return func(c *call) error {
		a, b := c.in(0), c.in(1)
		if a.Rank() < 2 || b.Rank() < 2 {
			return fmt.Errorf("inputs must have rank 2 or more, have x %v and y %v", a.Shape(), b.Shape())
		}
		if !broadcast && !slices.Equal(a.Shape()[:a.Rank()-2], b.Shape()[:max(0, b.Rank()-2)]) {
			return fmt.Errorf("batch dimensions differ, have x %v and y %v", a.Shape(), b.Shape())
		}
		d := out
		if d == tensor.Invalid {
			d = a.DType()
		}
		return batchMatMul(c, a, b, product{ta: ta, tb: tb, adjoint: true}, d)
	}, nil
}

// batchMatMul sets output 0 to a x b over their last two dimensions, which p says how to read.
func batchMatMul(c *call, a, b *tensor.Tensor, p product, out tensor.DType) error {
	as, bs := a.Shape(), b.Shape()
	m, k := as[len(as)-2], as[len(as)-1]
	kb, n := bs[len(bs)-2], bs[len(bs)-1]
	if p.ta {
		m, k = k, m
	}
	if p.tb {
		kb, n = n, kb
	}
	if k != kb {
		return fmt.Errorf("inner dimensions differ, have a %v and b %v; check the transpose attributes", as, bs)
	}
	ab, bb := as[:len(as)-2], bs[:len(bs)-2]
	batch := ab
	if !slices.Equal(ab, bb) {
		var err error
		if batch, err = tensor.Broadcast(ab, bb); err != nil {
			return fmt.Errorf("batch dimensions: %w", err)
		}
	}
	var dims [8]int
	shape := append(append(dims[:0], batch...), m, n)
	t, err := c.alloc(0, out, shape)
	if err != nil {
		return err
	}
	p.m, p.n, p.k = m, n, k
	c.count(batch.Elements()*m, n, k, a.DType().Size() == 1)
	if a.DType() != tensor.Float32 || b.DType() != tensor.Float32 || out != tensor.Float32 {
		return p.generic(t, a, b, batch)
	}
	dst, x, y := tensor.Data[float32](t), tensor.Data[float32](a), tensor.Data[float32](b)
	// Operands that the batch stretches restart from their first matrix.
	walkBatch(batch, ab, bb, func(i, ia, ib int) {
		p.float(c, dst[i*m*n:][:m*n], x[ia*m*k:][:m*k], y[ib*k*n:][:k*n])
	})
	return nil
}

// product is the shape of one matrix product.
type product struct {
	m, n, k int
	ta, tb  bool
	adjoint bool // what is read transposed is conjugated, too
}

// float computes dst = a x b in float32.
func (p *product) float(c *call, dst, a, b []float32) {
	ldb := p.n
	if p.tb {
		ldb = p.k
	}
	if p.ta && p.m > 1 && p.k > 1 {
		c.s.transposed = growFloats(c.s.transposed, len(a))
		for i := range p.k {
			for j := range p.m {
				c.s.transposed[j*p.k+i] = a[i*p.m+j]
			}
		}
		a = c.s.transposed
	}
	c.kernels().MatMulF32Strided(dst, p.n, a, p.k, b, ldb, p.tb, p.m, p.n, p.k, &c.s.scratch)
}

func growFloats(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}

// walkBatch calls f for each matrix of the batch with its index and those of the operands' matrices.
func walkBatch(batch, a, b tensor.Shape, f func(i, ia, ib int)) {
	total := batch.Elements()
	if slices.Equal(a, batch) && slices.Equal(b, batch) {
		for i := range total {
			f(i, i, i)
		}
		return
	}
	for i := range total {
		f(i, batchIndex(i, batch, a), batchIndex(i, batch, b))
	}
}

// batchIndex returns which matrix of an operand, whose batch dimensions are s, belongs to matrix i of batch.
func batchIndex(i int, batch, s tensor.Shape) int {
	index, stride := 0, 1
	for d := len(batch) - 1; d >= 0; d-- {
		at := i % batch[d]
		i /= batch[d]
		if e := d - (len(batch) - len(s)); e >= 0 && s[e] != 1 {
			index += at * stride
			stride *= s[e]
		}
	}
	return index
}
