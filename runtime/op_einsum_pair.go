package runtime

import (
	"math/bits"

	"github.com/tfq8/tfq8/tensor"
)

// run of labels of one role: they behave as one dimension of n elements, stride apart, where ok.
type labelRun struct {
	n, stride int
	ok        bool
}

// unit reports whether the elements lie side by side.
func (l labelRun) unit() bool { return l.ok && (l.n == 1 || l.stride == 1) }

// ld returns the distance of rows of width elements: what the kernels want also where there is only one.
func (l labelRun) ld(width int) int {
	if l.n == 1 {
		return width
	}
	return l.stride
}

// run joins the labels of set, taken in the order of their strides in by, as v sees them.
func (r *einsumRun) run(set uint64, v, by *strided) labelRun {
	var buf [einsumLabels]walkAxis
	l := labelRun{n: 1, ok: true}
	axes := r.axes(buf[:0], set, v, v, by)
	for k := len(axes) - 1; k >= 0; k-- {
		a := axes[k]
		if a.n == 1 {
			continue
		}
		if l.n == 1 {
			l.stride = a.dst
		} else if a.dst != l.stride*l.n {
			l.ok = false
		}
		l.n *= a.n
	}
	return l
}

// pair computes an equation of two operands: a batch of matrix products.
func (r *einsumRun) pair() error {
	for i := range r.v {
		if err := r.dropSums(i); err != nil {
			return err
		}
	}
	if r.data[0].DType() == tensor.Float32 {
		r.float()
		return nil
	}
	return r.generic()
}

// dropSums sums operand i over the labels that neither the other one nor the output has.
func (r *einsumRun) dropSums(i int) error {
	v := &r.v[i]
	sum := v.set &^ (r.v[1-i].set | r.out.set)
	if sum == 0 {
		return nil
	}
	dense, n := r.dense(v.set&^sum, v, 0)
	t := tensor.New(r.data[i].DType(), tensor.Shape{n})
	if err := r.reduce(t, &dense, r.data[i], v); err != nil {
		return err
	}
	r.data[i], *v = t, dense
	return nil
}

// dense returns the strides of a contiguous tensor: the labels of first in the order of by, then those of the other sets.
func (r *einsumRun) dense(first uint64, by *strided, then uint64) (d strided, n int) {
	n = 1
	for _, set := range [2]uint64{then, first} {
		var labels [einsumLabels]int
		k := 0
		for s := set; s != 0; k++ {
			best := bits.TrailingZeros64(s)
			for q := s; q != 0; q &= q - 1 {
				if l := bits.TrailingZeros64(q); by.stride[l] < by.stride[best] {
					best = l
				}
			}
			labels[k] = best
			s &^= 1 << best
		}
		for _, l := range labels[:k] {
			d.set |= 1 << l
			d.stride[l] = n
			n *= r.dims[l]
		}
	}
	return d, n
}

// layout returns the strides of a contiguous tensor of batch, rows and columns, and its number of elements. Batch and rows
// are in the order of the output, columns in that of by.
func (r *einsumRun) layout(batch, rows, cols uint64, by *strided, rowsBy *strided) (d strided, n int) {
	c, nc := r.dense(cols, by, 0)
	m, nm := r.dense(rows, rowsBy, 0)
	b, nb := r.dense(batch, &r.out, 0)
	d.set = batch | rows | cols
	for s := d.set; s != 0; s &= s - 1 {
		l := bits.TrailingZeros64(s)
		switch {
		case cols&(1<<l) != 0:
			d.stride[l] = c.stride[l]
		case rows&(1<<l) != 0:
			d.stride[l] = m.stride[l] * nc
		default:
			d.stride[l] = b.stride[l] * nc * nm
		}
	}
	return d, nb * nm * nc
}

// roles are the labels of two operands by what they are in the product.
type einsumRoles struct{ batch, inner, rows, cols uint64 }

func (r *einsumRun) roles() einsumRoles {
	a, b := r.v[0].set, r.v[1].set
	return einsumRoles{batch: a & b & r.out.set, inner: a & b &^ r.out.set, rows: a &^ b, cols: b &^ a}
}

// float computes a pair in float32, in place where rows, columns and the inner dimension have a stride each, as attention and
// dense layers have; otherwise on copies.
func (r *einsumRun) float() {
	q := r.roles()
	if !r.run(q.cols, &r.out, &r.out).unit() && r.run(q.rows, &r.out, &r.out).unit() {
		// The output is stored by columns: its transpose is the product of the transposes.
		r.v[0], r.v[1] = r.v[1], r.v[0]
		r.data[0], r.data[1] = r.data[1], r.data[0]
		q.rows, q.cols = q.cols, q.rows
	}
	a, b, out := &r.v[0], &r.v[1], r.out
	x, y, z := tensor.Data[float32](r.data[0]), tensor.Data[float32](r.data[1]), tensor.Data[float32](r.to)
	if len(x) == 0 || len(y) == 0 { // nothing to sum
		clear(z)
		return
	}
	if !r.run(q.inner, a, a).unit() || !r.run(q.rows, a, &r.out).ok {
		d, n := r.layout(q.batch, q.rows, q.inner, b, &r.out)
		r.c.s.transposed = growFloats(r.c.s.transposed, n)
		var buf [einsumLabels]walkAxis
		moveTyped(r.c.s.transposed, x, r.axes(buf[:0], d.set, &d, a, &d))
		x, *a = r.c.s.transposed, d
	}
	inner, cols := r.run(q.inner, b, a), r.run(q.cols, b, &r.out)
	if !(inner.unit() && cols.ok) && !(inner.ok && cols.unit()) {
		d, n := r.layout(q.batch, q.inner, q.cols, &r.out, a)
		moved := make([]float32, n)
		var buf [einsumLabels]walkAxis
		moveTyped(moved, y, r.axes(buf[:0], d.set, &d, b, &d))
		y, *b = moved, d
		inner, cols = r.run(q.inner, b, a), r.run(q.cols, b, &r.out)
	}
	rows := r.run(q.rows, a, &r.out)
	outRows, outCols := r.run(q.rows, &out, &r.out), r.run(q.cols, &out, &r.out)
	direct := outRows.ok && outCols.unit()
	dst := z
	if !direct {
		d, n := r.layout(q.batch, q.rows, q.cols, &r.out, &r.out)
		r.c.s.product = growFloats(r.c.s.product, n)
		dst, out = r.c.s.product, d
		outRows = r.run(q.rows, &out, &r.out)
	}
	m, n, k := rows.n, cols.n, inner.n
	transposed := !cols.unit()
	ldb := inner.ld(n)
	if transposed {
		ldb = cols.ld(k)
	}
	r.batches(q.batch, a, b, &out, func(ia, ib, io int) {
		r.c.count(m, n, k, false)
		r.c.kernels().MatMulF32Strided(dst[io:], outRows.ld(n), x[ia:], rows.ld(k), y[ib:], ldb, transposed, m, n, k, &r.c.s.scratch)
	})
	if !direct {
		var buf [einsumLabels]walkAxis
		moveTyped(z, dst, r.axes(buf[:0], out.set, &r.out, &out, &out))
	}
}

// batches calls f with the places of the first elements of each matrix of a, b and out.
func (r *einsumRun) batches(set uint64, a, b, out *strided, f func(ia, ib, io int)) {
	var labels, at [einsumLabels]int
	k := 0
	for s := set; s != 0; s &= s - 1 {
		labels[k] = bits.TrailingZeros64(s)
		k++
	}
	ia, ib, io := 0, 0, 0
	for {
		f(ia, ib, io)
		i := k - 1
		for ; i >= 0; i-- {
			l := labels[i]
			ia, ib, io = ia+a.stride[l], ib+b.stride[l], io+out.stride[l]
			if at[i]++; at[i] < r.dims[l] {
				break
			}
			ia, ib, io = ia-at[i]*a.stride[l], ib-at[i]*b.stride[l], io-at[i]*out.stride[l]
			at[i] = 0
		}
		if i < 0 {
			return
		}
	}
}

// generic computes a pair in any dtype, on copies.
func (r *einsumRun) generic() error {
	q := r.roles()
	d := r.to.DType()
	la, _ := r.layout(q.batch, q.rows, q.inner, &r.v[0], &r.out)
	lb, _ := r.layout(q.batch, q.inner, q.cols, &r.out, &r.v[0])
	lo, _ := r.layout(q.batch, q.rows, q.cols, &r.out, &r.out)
	batch, m := r.run(q.batch, &lo, &lo).n, r.run(q.rows, &lo, &lo).n
	n, k := r.run(q.cols, &lo, &lo).n, r.run(q.inner, &la, &la).n
	a, b := tensor.New(d, tensor.Shape{batch, m, k}), tensor.New(d, tensor.Shape{batch, k, n})
	t := tensor.New(d, tensor.Shape{batch, m, n})
	if a.Len() > 0 && b.Len() > 0 {
		var buf [einsumLabels]walkAxis
		moveElements(a, r.data[0], r.axes(buf[:0], la.set, &la, &r.v[0], &la))
		moveElements(b, r.data[1], r.axes(buf[:0], lb.set, &lb, &r.v[1], &lb))
	}
	p := product{m: m, n: n, k: k}
	if err := p.generic(t, a, b, tensor.Shape{batch}); err != nil {
		return err
	}
	var buf [einsumLabels]walkAxis
	moveElements(r.to, t, r.axes(buf[:0], lo.set, &r.out, &lo, &lo))
	return nil
}
