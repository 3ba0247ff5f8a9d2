package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// countOps count how often values occur.
var countOps = map[string]evaluator{
	"Bincount":            bincountOp,
	"DenseBincount":       bincountOp,
	"HistogramFixedWidth": histogramOp,
}

// bincountOp adds up, for each number below size, its weights, or 1 where there are none. DenseBincount counts each row of a
// matrix by itself; with binary_output it says only whether a number is there.
func bincountOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	dense, binary := n.Op() == "DenseBincount", false
	if dense {
		binary = r.Bool("binary_output")
	}
	d := r.Type("T")
	if err := r.Err(); err != nil {
		return nil, err
	}
	switch d {
	case tensor.Int32, tensor.Int64, tensor.Float32, tensor.Float64:
	default:
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, weights := c.in(0), c.in(2)
		size, err := scalarInt(c.in(1), "size")
		if err != nil {
			return err
		}
		switch {
		case size < 0:
			return fmt.Errorf("size is %d, want 0 or more", size)
		case x.DType() != tensor.Int32 && x.DType() != tensor.Int64:
			return fmt.Errorf("the numbers to count are %v, want int32 or int64", x.DType())
		case weights.DType() != d || weights.Len() != 0 && !weights.Shape().Equal(x.Shape()):
			return fmt.Errorf("weights are %v %v, want %v of the shape of the numbers, %v, or none", weights.DType(), weights.Shape().Clone(), d, x.Shape().Clone())
		case dense && x.Rank() > 2:
			return fmt.Errorf("the numbers to count have shape %v, want rank 2 or less", x.Shape().Clone())
		}
		shape, row := tensor.Shape{size}, max(1, x.Len())
		if dense && x.Rank() == 2 {
			shape, row = tensor.Shape{x.Shape()[0], size}, max(1, x.Shape()[1])
		}
		t, err := c.alloc(0, d, shape)
		if err != nil {
			return err
		}
		clear(t.Bytes())
		bins := binAdder(t, weights, binary)
		at := intsOf(x)
		for i := range x.Len() {
			v := at(i)
			if v < 0 {
				return fmt.Errorf("element %d of the numbers to count is %d, want 0 or more", i, v)
			}
			if v < int64(size) {
				bins(i/row*size+int(v), i)
			}
		}
		return nil
	}, nil
}

// binAdder returns a function that counts element i in bin.
func binAdder(t, weights *tensor.Tensor, binary bool) func(bin, i int) {
	switch t.DType() {
	case tensor.Int32:
		return addToBin[int32](t, weights, binary)
	case tensor.Int64:
		return addToBin[int64](t, weights, binary)
	case tensor.Float32:
		return addToBin[float32](t, weights, binary)
	}
	return addToBin[float64](t, weights, binary)
}

func addToBin[T int32 | int64 | float32 | float64](t, weights *tensor.Tensor, binary bool) func(bin, i int) {
	dst, w := tensor.Data[T](t), tensor.Data[T](weights)
	switch {
	case binary:
		return func(bin, _ int) { dst[bin] = 1 }
	case len(w) == 0:
		return func(bin, _ int) { dst[bin]++ }
	}
	return func(bin, i int) { dst[bin] += w[i] }
}

// histogramOp counts values in nbins bins of equal width over value_range; what lies outside goes into the first or last bin.
func histogramOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "dtype")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		x, limits := c.in(0), c.in(1)
		nbins, err := scalarInt(c.in(2), "nbins")
		if err != nil {
			return err
		}
		if d := x.DType(); d != limits.DType() || d != tensor.Float32 && d != tensor.Float64 && d != tensor.Int32 && d != tensor.Int64 {
			return noKernel(d)
		}
		if limits.Rank() != 1 || limits.Len() != 2 {
			return fmt.Errorf("value_range has shape %v, want [2]", limits.Shape().Clone())
		}
		at := numberReader(limits)
		lo, hi := at(0), at(1)
		if !(lo < hi) {
			return fmt.Errorf("value_range is [%v, %v], want an ascending one", lo, hi)
		}
		if nbins <= 0 {
			return fmt.Errorf("nbins is %d, want 1 or more", nbins)
		}
		t, err := c.alloc(0, out, tensor.Shape{nbins})
		if err != nil {
			return err
		}
		clear(t.Bytes())
		counts, value := intsOf(t), numberReader(x)
		step := (hi - lo) / float64(nbins)
		for i := range x.Len() {
			bin := 0
			// Both are false of NaN: as a value, and as the quotient in an infinite range.
			if v := value(i); v > lo {
				if q := (v - lo) / step; q > 0 {
					bin = int(min(q, float64(nbins-1)))
				}
			}
			setInt(t, bin, counts(bin)+1)
		}
		return nil
	}, nil
}
