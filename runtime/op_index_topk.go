package runtime

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// topKOp gives the k greatest elements of each row, in descending order, and where they were; the earlier of equals first.
func topKOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	index := tensor.Int32
	if n.Op() == "TopKV2" {
		var err error
		if index, err = indexType(n, "index_type"); err != nil {
			return nil, err
		}
	}
	fixed := 0
	if n.Op() == "TopK" {
		fixed = int(r.Int("k"))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, k := c.in(0), fixed
		if c.numIn() > 1 {
			var err error
			if k, err = scalarInt(c.in(1), "k"); err != nil {
				return err
			}
		}
		s := x.Shape()
		if len(s) == 0 || k < 0 || s[len(s)-1] < k {
			return fmt.Errorf("k is %d for input %v, want from 0 to its last dimension", k, s.Clone())
		}
		n := s[len(s)-1]
		var dims [8]int
		shape := append(append(tensor.Shape(dims[:0]), s[:len(s)-1]...), k)
		values, err := c.alloc(0, x.DType(), shape)
		if err != nil {
			return err
		}
		indices, err := c.alloc(1, index, shape)
		if err != nil || k == 0 || values.Len() == 0 {
			return err
		}
		if x.DType() == tensor.Float32 && index == tensor.Int32 {
			in, vals, idx := tensor.Data[float32](x), tensor.Data[float32](values), tensor.Data[int32](indices)
			for i := range len(vals) / k {
				c.kernels().TopK(in[i*n:][:n], k, vals[i*k:][:k], idx[i*k:][:k], &c.s.topk)
			}
			return nil
		}
		compare, err := elementOrder(x)
		if err != nil {
			return err
		}
		order := make([]int, n)
		for i := range values.Len() / k {
			for j := range order {
				order[j] = i*n + j
			}
			slices.SortStableFunc(order, func(a, b int) int { return compare(b, a) })
			for j, from := range order[:k] {
				moveRun(values, i*k+j, x, from, 1)
				if index == tensor.Int64 {
					tensor.Data[int64](indices)[i*k+j] = int64(from - i*n)
				} else {
					tensor.Data[int32](indices)[i*k+j] = int32(from - i*n)
				}
			}
		}
		return nil
	}, nil
}

// elementOrder returns a function that compares two elements of x by their numbers.
func elementOrder(x *tensor.Tensor) (func(i, j int) int, error) {
	switch x.DType() {
	case tensor.Float32:
		return compareIn(tensor.Data[float32](x)), nil
	case tensor.Float64:
		return compareIn(tensor.Data[float64](x)), nil
	case tensor.Float16, tensor.Bfloat16:
		f := floatsOf(x)
		return func(i, j int) int { return cmp.Compare(f.at(i), f.at(j)) }, nil
	case tensor.Int8, tensor.Qint8:
		return compareIn(tensor.Data[int8](x)), nil
	case tensor.Uint8, tensor.Quint8:
		return compareIn(tensor.Data[uint8](x)), nil
	case tensor.Int16:
		return compareIn(tensor.Data[int16](x)), nil
	case tensor.Uint16:
		return compareIn(tensor.Data[uint16](x)), nil
	case tensor.Int32, tensor.Qint32:
		return compareIn(tensor.Data[int32](x)), nil
	case tensor.Uint32:
		return compareIn(tensor.Data[uint32](x)), nil
	case tensor.Int64:
		return compareIn(tensor.Data[int64](x)), nil
	case tensor.Uint64:
		return compareIn(tensor.Data[uint64](x)), nil
	}
	return nil, fmt.Errorf("elements of %v have no order", x.DType())
}

func compareIn[T cmp.Ordered](d []T) func(i, j int) int {
	return func(i, j int) int { return cmp.Compare(d[i], d[j]) }
}
