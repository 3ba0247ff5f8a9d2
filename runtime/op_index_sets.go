package runtime

import (
	encoding "encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// whereOp gives the coordinates of the elements that are not zero, in row-major order. NaN is not zero.
func whereOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		rank := x.Rank()
		if rank == 0 {
			return fmt.Errorf("input is a scalar, want rank 1 or more")
		}
		hits, err := nonzeros(x)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Int64, tensor.Shape{len(hits), rank})
		if err != nil {
			return err
		}
		out := tensor.Data[int64](t)
		for _, at := range hits {
			for d := rank - 1; d >= 0; d-- {
				n := x.Shape()[d]
				out[d] = int64(at % n)
				at /= n
			}
			out = out[rank:]
		}
		return nil
	}, nil
}

// nonzeros returns the places of the elements of x that are not zero.
func nonzeros(x *tensor.Tensor) ([]int, error) {
	switch x.DType() {
	case tensor.Bool:
		return others(tensor.Data[bool](x)), nil
	case tensor.Float32:
		return others(tensor.Data[float32](x)), nil
	case tensor.Float64:
		return others(tensor.Data[float64](x)), nil
	case tensor.Complex64:
		return others(tensor.Data[complex64](x)), nil
	case tensor.Complex128:
		return others(tensor.Data[complex128](x)), nil
	case tensor.Float16, tensor.Bfloat16:
		var hits []int
		for i, v := range tensor.Data[uint16](x) {
			if v&0x7fff != 0 { // the sign of zero does not count
				hits = append(hits, i)
			}
		}
		return hits, nil
	}
	switch x.DType().Size() {
	case 1:
		return others(tensor.Data[uint8](x)), nil
	case 2:
		return others(tensor.Data[uint16](x)), nil
	case 4:
		return others(tensor.Data[uint32](x)), nil
	case 8:
		return others(tensor.Data[uint64](x)), nil
	}
	return nil, fmt.Errorf("input is %v, want numbers or bool", x.DType())
}

// others returns the places of the elements that differ from the zero of their type.
func others[T comparable](d []T) []int {
	var zero T
	var hits []int
	for i, v := range d {
		if v != zero {
			hits = append(hits, i)
		}
	}
	return hits
}

// uniqueOp gives the different elements of a vector, or slices along an axis, in the order in which they come first; which of
// them each one is; and, for UniqueWithCounts, how many are so. No NaN equals another.
func uniqueOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "out_idx")
	if err != nil {
		return nil, err
	}
	hasAxis := n.Op() == "UniqueV2" || n.Op() == "UniqueWithCountsV2"
	return func(c *call) error {
		x := c.in(0)
		axis := 0
		flat := true
		if hasAxis {
			a := c.in(1)
			switch {
			case a.Rank() > 1 || a.Len() > 1:
				return fmt.Errorf("axis has shape %v, want a vector of at most one element", a.Shape().Clone())
			case a.Len() == 1:
				v, err := oneInt(a, "axis")
				if err != nil {
					return err
				}
				if axis, err = resolveAxis(v, x.Rank(), "axis"); err != nil {
					return err
				}
				flat = false
			}
		}
		if flat && x.Rank() != 1 {
			return fmt.Errorf("x has shape %v, want a vector", x.Shape().Clone())
		}
		ids, first, err := sliceIDs(x, axis)
		if err != nil {
			return err
		}
		shape := x.Shape().Clone()
		shape[axis] = len(first)
		y, err := c.alloc(0, x.DType(), shape)
		if err != nil {
			return err
		}
		outer, inner := shape[:axis].Elements(), shape[axis+1:].Elements()
		for o := range outer {
			for i, from := range first {
				moveRun(y, (o*len(first)+i)*inner, x, (o*len(ids)+from)*inner, inner)
			}
		}
		if err := setInts(c, 1, out, tensor.Shape{len(ids)}, ids); err != nil || c.numOut() < 3 {
			return err
		}
		counts := make([]int, len(first))
		for _, id := range ids {
			counts[id]++
		}
		return setInts(c, 2, out, tensor.Shape{len(counts)}, counts)
	}, nil
}

// sliceIDs numbers the slices of x along axis by value, in the order in which they come first, and returns where that was.
func sliceIDs(x *tensor.Tensor, axis int) (ids, first []int, err error) {
	s := x.Shape()
	outer, n, inner := s[:axis].Elements(), s[axis], s[axis+1:].Elements()
	key, err := elementKey(x)
	if err != nil {
		return nil, nil, err
	}
	ids = make([]int, n)
	seen := map[string]int{}
	var buf []byte
	for i := range n {
		buf = buf[:0]
		for o := range outer {
			for j := range inner {
				var equal bool
				if buf, equal = key(buf, (o*n+i)*inner+j); !equal {
					buf = encoding.LittleEndian.AppendUint64(append(buf, "NaN"...), uint64(i)) // like no other
				}
			}
		}
		id, ok := seen[string(buf)]
		if !ok {
			id = len(first)
			seen[string(buf)] = id
			first = append(first, i)
		}
		ids[i] = id
	}
	return ids, first, nil
}

// elementKey returns a function that appends to dst what tells element i of x from others that are not equal to it. It
// reports false for what equals nothing.
func elementKey(x *tensor.Tensor) (func(dst []byte, i int) ([]byte, bool), error) {
	switch d := x.DType(); {
	case d.IsFloat():
		f := floatsOf(x)
		return func(dst []byte, i int) ([]byte, bool) {
			v := f.at(i)
			if v == 0 {
				v = 0 // not -0
			}
			return encoding.LittleEndian.AppendUint64(dst, math.Float64bits(v)), v == v
		}, nil
	case d == tensor.String:
		return func(dst []byte, i int) ([]byte, bool) {
			v := x.Strings()[i]
			return append(encoding.LittleEndian.AppendUint64(dst, uint64(len(v))), v...), true
		}, nil
	case d.Size() > 0 && d != tensor.Complex64 && d != tensor.Complex128:
		size := d.Size()
		return func(dst []byte, i int) ([]byte, bool) { return append(dst, x.Bytes()[i*size:(i+1)*size]...), true }, nil
	}
	return nil, fmt.Errorf("elements of %v are not compared", x.DType())
}

// listDiffOp gives the elements of x that are not in y, and where they were.
func listDiffOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "out_idx")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, y := c.in(0), c.in(1)
		if x.Rank() != 1 || y.Rank() != 1 {
			return fmt.Errorf("x and y have shapes %v and %v, want vectors", x.Shape().Clone(), y.Shape().Clone())
		}
		if x.DType() != y.DType() {
			return fmt.Errorf("x and y are %v and %v, want one dtype", x.DType(), y.DType())
		}
		keyX, err := elementKey(x)
		if err != nil {
			return err
		}
		keyY, err := elementKey(y)
		if err != nil {
			return err
		}
		drop := map[string]bool{}
		for i := range y.Len() {
			if k, equal := keyY(nil, i); equal {
				drop[string(k)] = true
			}
		}
		kept := []int{}
		for i := range x.Len() {
			if k, _ := keyX(nil, i); !drop[string(k)] {
				kept = append(kept, i)
			}
		}
		t, err := c.alloc(0, x.DType(), tensor.Shape{len(kept)})
		if err != nil {
			return err
		}
		for i, from := range kept {
			moveRun(t, i, x, from, 1)
		}
		return setInts(c, 1, out, tensor.Shape{len(kept)}, kept)
	}, nil
}

// nthElementOp gives the element of each row that would stand at place n if the row were sorted, or sorted the other way.
func nthElementOp(node *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := node.AttrReader()
	reverse := r.Bool("reverse")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		s := x.Shape()
		n, err := scalarInt(c.in(1), "n")
		if err != nil {
			return err
		}
		if len(s) == 0 || n < 0 || n >= s[len(s)-1] {
			return fmt.Errorf("n is %d for input %v, want a place in its last dimension", n, s.Clone())
		}
		row := s[len(s)-1]
		if reverse {
			n = row - 1 - n
		}
		compare, err := elementOrder(x)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, x.DType(), s[:len(s)-1])
		if err != nil {
			return err
		}
		order := make([]int, row)
		for i := range t.Len() {
			for j := range order {
				order[j] = i*row + j
			}
			slices.SortStableFunc(order, compare)
			moveRun(t, i, x, order[n], 1)
		}
		return nil
	}, nil
}
