package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// matrixBandPartOp keeps the diagonals of each matrix from num_lower below to num_upper above the main one; a negative
// number keeps all on that side. All else becomes zero.
func matrixBandPartOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		if x.Rank() < 2 || x.DType().Size() == 0 {
			return fmt.Errorf("input is %v %v, want rank 2 or more of a type of fixed size", x.DType(), x.Shape())
		}
		rows, cols := x.Shape()[x.Rank()-2], x.Shape()[x.Rank()-1]
		lower, err := scalarIndex(c.in(1), "num_lower")
		if err != nil {
			return err
		}
		upper, err := scalarIndex(c.in(2), "num_upper")
		if err != nil {
			return err
		}
		if lower > rows || upper > cols {
			return fmt.Errorf("num_lower is %d and num_upper %d, want at most the matrices' %d rows and %d columns", lower, upper, rows, cols)
		}
		if lower < 0 {
			lower = rows
		}
		if upper < 0 {
			upper = cols
		}
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil {
			return err
		}
		size := x.DType().Size()
		dst, src := t.Bytes(), x.Bytes()
		for at, row := 0, 0; at < len(src); at += cols * size {
			first := min(max(0, row-lower), cols)
			last := min(max(first, row+upper+1), cols)
			clear(dst[at:][:first*size])
			copy(dst[at+first*size:at+last*size], src[at+first*size:at+last*size])
			clear(dst[at+last*size : at+cols*size])
			if row++; row == rows {
				row = 0
			}
		}
		return nil
	}, nil
}

// scalarIndex returns the value of t, an int32 or int64 of one element.
func scalarIndex(t *tensor.Tensor, what string) (int, error) {
	if t.Len() == 1 {
		switch t.DType() {
		case tensor.Int32:
			return int(tensor.Data[int32](t)[0]), nil
		case tensor.Int64:
			return int(tensor.Data[int64](t)[0]), nil
		}
	}
	return 0, fmt.Errorf("%s is %v %v, want an int32 or int64 scalar", what, t.DType(), t.Shape())
}
