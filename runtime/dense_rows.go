package runtime

import (
	"bytes"
	"hash/maphash"
	"math/bits"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// runOnce computes the product of rows that repeat once. It copies it, unless the step may fold its output.
func (d dense) runOnce(c *call, shape tensor.Shape, m, n int, ep kernels.Epilogue) error {
	r, k := c.repeatOf(0), 0
	if m > 0 {
		k = c.in(0).Shape().Elements() / m
	}
	if r.times < 2 || k == 0 || n == 0 || r.chunk%k != 0 || m%(r.chunk/k*r.times) != 0 {
		if err := c.unfold(0); err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Float32, shape)
		if err != nil {
			return err
		}
		return d.rows(c, tensor.Data[float32](t), 0, m, n, ep)
	}
	rows := r.chunk / k
	out := repeat{times: r.times, chunk: rows * n, folded: c.st.folds}
	t, err := c.allocRepeated(0, tensor.Float32, shape, out)
	if err != nil {
		return err
	}
	dst := tensor.Data[float32](t)
	if r.folded && out.folded {
		return d.rows(c, dst, 0, m/r.times, n, ep)
	}
	for from, to := 0, 0; to < len(dst); {
		first := dst[to:][:rows*n]
		if err := d.rows(c, first, from, rows, n, ep); err != nil {
			return err
		}
		from, to = from+rows, to+rows*n
		if !r.folded {
			from += (r.times - 1) * rows
		}
		for i := 1; i < r.times && !out.folded; i++ {
			to += copy(dst[to:], first)
		}
	}
	return nil
}

// multiply computes rows from, …, from+m-1 of the product, as the memory of the left operand holds them, into dst and applies ep.
// Of rows that are equal, as those of all beams are until a search has chosen its first tokens, and those of one word in one place
// before they have met other words, the first is computed and then copied: what a row gives depends on nothing else.
func (d dense) multiply(c *call, dst []float32, from, m, n int, ep kernels.Epilogue) error {
	x := leftRows{m, nil}
	if t := c.in(0); m > 0 {
		row := t.Shape().Elements() / t.Shape()[0] * t.DType().Size()
		x.mem = t.Bytes()[from*row:][:m*row]
		if e := &c.s.equal; e.find(x.mem, row, m, ep, n, d.lookedUp) {
			x, ep = e.first(x.mem, row, ep, n)
			if err := d.product.run(c, dst, x, n, ep); err != nil {
				return err
			}
			e.spread(dst, n)
			return nil
		}
	}
	return d.product.run(c, dst, x, n, ep)
}

// leftRows are count rows of the left operand of a product, one after the other.
type leftRows struct {
	count int
	mem   []byte
}

// equalRows finds the rows of a matrix that are equal. The zero value is ready.
type equalRows struct {
	firsts []int32   // the rows that are not equal to one before
	like   []int32   // of each row, the first that it is equal to
	table  []int32   // by hash: 1 + a first row, 0 for none
	x, add []float32 // the firsts' elements, and what is added to their products
}

var rowSeed = maphash.MakeSeed()

// find looks for equal ones among m rows x of size bytes to whose products ep adds the same; n is the width of the product. It
// reports whether there are enough to pay for moving the others. Unless they are likely it looks no further where the first two
// differ.
func (e *equalRows) find(x []byte, size, m int, ep kernels.Epilogue, n int, likely bool) bool {
	if m < 2 || size == 0 || !likely && !bytes.Equal(x[:size], x[size:][:size]) {
		return false
	}
	slots := uint64(1) << bits.Len(uint(2*m))
	e.table, e.like, e.firsts = growInts(e.table, int(slots)), growInts(e.like, m), e.firsts[:0]
	clear(e.table)
	for i := range m {
		row := x[i*size:][:size]
		// Rows that differ do so in their first elements, mostly; of others all are compared.
		at := maphash.Bytes(rowSeed, row[:min(size, 64)]) % slots
		for ; e.table[at] != 0; at = (at + 1) % slots {
			j := int(e.table[at] - 1)
			if bytes.Equal(row, x[j*size:][:size]) && (ep.Add == nil || bytes.Equal(memoryOf(ep.Add[i*ep.LdAdd:][:n]), memoryOf(ep.Add[j*ep.LdAdd:][:n]))) {
				break
			}
		}
		if e.table[at] == 0 {
			e.firsts = append(e.firsts, int32(i))
			e.table[at] = int32(i + 1)
		}
		e.like[i] = e.table[at] - 1
	}
	if m-len(e.firsts) < max(1, m/8) {
		return false
	}
	e.place()
	return true
}

// place brings the firsts into an order in which as many as can be stand where they are rows: those have not to be moved.
func (e *equalRows) place() {
	later := len(e.firsts) // the rows from here on stand where rows that are like others leave room
	from := len(e.firsts)
	for from > 0 && int(e.firsts[from-1]) >= later {
		from--
	}
	e.table = append(e.table[:0], e.firsts[from:]...)
	for i, next := later-1, from-1; i >= 0; i-- {
		if next >= 0 && int(e.firsts[next]) == i {
			e.firsts[i] = int32(i)
			next--
			continue
		}
		e.firsts[i] = e.table[len(e.table)-1]
		e.table = e.table[:len(e.table)-1]
	}
}

// first gathers the rows that find found, of x and of what ep adds.
func (e *equalRows) first(x []byte, size int, ep kernels.Epilogue, n int) (leftRows, kernels.Epilogue) {
	e.x = growFloats(e.x, (len(e.firsts)*size+3)/4)
	mem := memoryOf(e.x)
	for i, row := range e.firsts {
		copy(mem[i*size:][:size], x[int(row)*size:])
	}
	if ep.Add != nil {
		e.add = growFloats(e.add, len(e.firsts)*n)
		for i, row := range e.firsts {
			copy(e.add[i*n:][:n], ep.Add[int(row)*ep.LdAdd:])
		}
		ep.Add, ep.LdAdd = e.add, n
	}
	return leftRows{len(e.firsts), mem}, ep
}

// spread takes dst, which begins with the products of the firsts, to those of all rows.
func (e *equalRows) spread(dst []float32, n int) {
	for i, row := range e.firsts {
		if int(row) != i {
			copy(dst[int(row)*n:][:n], dst[i*n:][:n])
		}
	}
	for i, j := range e.like {
		if int(j) != i {
			copy(dst[i*n:][:n], dst[int(j)*n:][:n])
		}
	}
}

// lookedUp reports whether the rows of o are, likely, looked up in a table, and no product of matrices has worked on them since:
// then the same numbers have given the same rows.
func lookedUp(o graphdef.Output) bool {
	const most = 64 // nodes to visit: a layer norm and a sum of embeddings are fewer
	seen, found := map[*graphdef.Node]bool{}, false
	var apart func(n *graphdef.Node) bool // what n gives for a row comes from the tables alone
	apart = func(n *graphdef.Node) bool {
		if seen[n] {
			return true
		}
		seen[n] = true
		_, byElement := elementwiseOps[n.Op()]
		o := n.Out(0)
		switch {
		case len(seen) > most || leads(o, mixers...):
			return false
		case leads(o, "GatherV2", "Gather", "ResourceGather"):
			found = true
			return true
		case !byElement && !passThrough[n.Op()] && !leads(o, "Reshape", "BiasAdd", "Mean", "Sum", "QuantizeV2", "Dequantize"):
			return true
		}
		for i := range n.NumInputs() {
			if !apart(n.Input(i).Node) {
				return false
			}
		}
		return true
	}
	return apart(o.Node) && found
}

// mixers are ops that make rows of many.
var mixers = []string{"MatMul", "_FusedMatMul", "_QuantizedMatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D"}
