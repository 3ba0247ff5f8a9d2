package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// dynamicPartitionOp sends each slice of data to the output whose number stands at its place in partitions. The dimensions of
// partitions are the first ones of data.
func dynamicPartitionOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		data, parts := c.in(0), c.in(1)
		ds, ps := data.Shape(), parts.Shape()
		if len(ps) > len(ds) || !slices.Equal(ps, ds[:len(ps)]) {
			return fmt.Errorf("partitions has shape %v, want the first dimensions of data %v", ps.Clone(), ds.Clone())
		}
		if parts.DType() != tensor.Int32 {
			return fmt.Errorf("partitions is %v, want int32", parts.DType())
		}
		num := c.numOut()
		counts := make([]int, num)
		numbers := tensor.Data[int32](parts)
		for i, p := range numbers {
			if p < 0 || int(p) >= num {
				return fmt.Errorf("partitions[%d] is %d, want one in [0, %d)", i, p, num)
			}
			counts[p]++
		}
		shape := append(tensor.Shape{0}, ds[len(ps):]...)
		row := ds[len(ps):].Elements()
		out := make([]*tensor.Tensor, num)
		for p, n := range counts {
			shape[0] = n
			t, err := c.alloc(p, data.DType(), shape)
			if err != nil {
				return err
			}
			out[p] = t
			counts[p] = 0
		}
		if row == 0 {
			return nil
		}
		for i, p := range numbers {
			moveRun(out[p], counts[p]*row, data, i*row, row)
			counts[p]++
		}
		return nil
	}, nil
}

// dynamicStitchOp puts the slices of each data input at the rows that the indices input of the same number names. Later ones
// win; rows that nobody names are zero.
func dynamicStitchOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		num := c.numIn() / 2
		if num < 1 || c.numIn() != 2*num {
			return fmt.Errorf("have %d inputs, want as many indices as data", c.numIn())
		}
		first := c.in(num)
		if first.Rank() < c.in(0).Rank() {
			return fmt.Errorf("data[0] has shape %v, want the dimensions %v of indices[0] first", first.Shape().Clone(), c.in(0).Shape().Clone())
		}
		rest := first.Shape()[c.in(0).Rank():]
		rows := 0
		for i := range num {
			indices, data := c.in(i), c.in(num+i)
			is, ds := indices.Shape(), data.Shape()
			if data.DType() != first.DType() || indices.DType() != tensor.Int32 {
				return fmt.Errorf("indices[%d] and data[%d] are %v and %v, want int32 and %v", i, i, indices.DType(), data.DType(), first.DType())
			}
			if len(ds) != len(is)+len(rest) || !slices.Equal(ds[:len(is)], is) || !slices.Equal(ds[len(is):], rest) {
				return fmt.Errorf("data[%d] has shape %v, want %v and then %v", i, ds.Clone(), is.Clone(), rest.Clone())
			}
			for k, v := range tensor.Data[int32](indices) {
				if v < 0 {
					return fmt.Errorf("indices[%d][%d] is %d, want 0 or more", i, k, v)
				}
				rows = max(rows, int(v)+1)
			}
		}
		t, err := c.alloc(0, first.DType(), append(tensor.Shape{rows}, rest...))
		if err != nil {
			return err
		}
		fillTensor(t, nil)
		row := rest.Elements()
		if row == 0 {
			return nil
		}
		for i := range num {
			for k, v := range tensor.Data[int32](c.in(i)) {
				moveRun(t, int(v)*row, c.in(num+i), k*row, row)
			}
		}
		return nil
	}, nil
}
