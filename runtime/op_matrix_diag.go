package runtime

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// diagonals is a band of diagonals of matrices with rows and cols, from lower to upper (0 is the main one, positive ones lie
// above it), each in a row as long as the longest.
type diagonals struct {
	rows, cols   int
	lower, upper int
	length       int  // of the longest
	leftSuper    bool // shorter diagonals above the main one start at the left of their row, else they end at the right
	leftSub      bool
}

// newDiagonals reads what the attributes of n say of the alignment: the ops before V3 align at the left.
func newDiagonals(n *graphdef.Node) (diagonals, error) {
	d := diagonals{leftSuper: true, leftSub: true}
	if !strings.HasSuffix(n.Op(), "V3") {
		return d, nil
	}
	r := n.AttrReader()
	super, sub, ok := strings.Cut(r.Str("align"), "_")
	if err := r.Err(); err != nil {
		return d, err
	}
	side := []string{"LEFT", "RIGHT"}
	if !ok || !slices.Contains(side, super) || !slices.Contains(side, sub) {
		return d, fmt.Errorf(`attribute "align" is %q_%q, want LEFT or RIGHT for each side, as RIGHT_LEFT`, super, sub)
	}
	d.leftSuper, d.leftSub = super == "LEFT", sub == "LEFT"
	return d, nil
}

// band reads k: one diagonal, or the lowest and the highest one.
func (d *diagonals) band(k *tensor.Tensor) error {
	v, err := appendInts(nil, k, "k")
	if err != nil {
		return err
	}
	if len(v) != 1 && len(v) != 2 {
		return fmt.Errorf("k has %d values, want one or two", len(v))
	}
	if d.lower, d.upper = v[0], v[len(v)-1]; d.lower > d.upper {
		return fmt.Errorf("k is %v, want the lower diagonal first", v)
	}
	return nil
}

// within checks that the band lies in the matrices, and measures it.
func (d *diagonals) within(s tensor.Shape) error {
	if len(s) < 2 {
		return fmt.Errorf("input has shape %v, want rank 2 or more", s.Clone())
	}
	d.rows, d.cols = s[len(s)-2], s[len(s)-1]
	for _, k := range []int{d.lower, d.upper} {
		if k != 0 && (k <= -d.rows || k >= d.cols) {
			return fmt.Errorf("diagonal %d does not lie in matrices of %d x %d", k, d.rows, d.cols)
		}
	}
	d.length = min(d.rows+min(d.upper, 0), d.cols-max(d.lower, 0))
	return nil
}

// shape returns the shape of the rows that hold the band of matrices with the leading dimensions batch.
func (d *diagonals) shape(batch tensor.Shape) tensor.Shape {
	s := batch.Clone()
	if d.upper > d.lower {
		s = append(s, d.upper-d.lower+1)
	}
	return append(s, d.length)
}

// each calls f for every element of the band: its place in a matrix and in the matrix's rows of diagonals.
func (d *diagonals) each(f func(matrix, row int)) {
	for k := d.upper; k >= d.lower; k-- {
		i, j := max(0, -k), max(0, k)
		n := min(d.rows-i, d.cols-j)
		at := (d.upper - k) * d.length
		if left := k >= 0 && d.leftSuper || k <= 0 && d.leftSub; !left {
			at += d.length - n
		}
		for p := range max(0, n) {
			f((i+p)*d.cols+j+p, at+p)
		}
	}
}

// matrixDiagOp makes matrices that have the given diagonals and padding elsewhere.
func matrixDiagOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := newDiagonals(n)
	if err != nil {
		return nil, err
	}
	first := n.Op() == "MatrixDiag"
	return func(c *call) error {
		x, d := c.in(0), d
		s := x.Shape()
		if len(s) == 0 {
			return fmt.Errorf("diagonal is a scalar, want rank 1 or more")
		}
		d.length = s[len(s)-1]
		batch := s[:len(s)-1]
		var padding *tensor.Tensor
		if first {
			d.rows, d.cols = d.length, d.length
		} else {
			if padding, err = fillValue(c.in(4), x.DType()); err != nil {
				return err
			}
			if err := d.band(c.in(1)); err != nil {
				return err
			}
			if d.upper > d.lower {
				if len(s) < 2 || s[len(s)-2] != d.upper-d.lower+1 {
					return fmt.Errorf("diagonal has shape %v, want one row for each of the diagonals %d to %d", s.Clone(), d.lower, d.upper)
				}
				batch = s[:len(s)-2]
			}
			if err := d.size(c.in(2), c.in(3)); err != nil {
				return err
			}
		}
		t, err := c.alloc(0, x.DType(), append(batch.Clone(), d.rows, d.cols))
		if err != nil {
			return err
		}
		fillWith(t, padding)
		from, to := (d.upper-d.lower+1)*d.length, d.rows*d.cols
		for b := range batch.Elements() {
			d.each(func(matrix, row int) { moveRun(t, b*to+matrix, x, b*from+row, 1) })
		}
		return nil
	}, nil
}

// size reads num_rows and num_cols, where -1 is the least that holds the band: a square matrix if neither is given.
func (d *diagonals) size(numRows, numCols *tensor.Tensor) error {
	var err error
	if d.rows, err = scalarInt(numRows, "num_rows"); err != nil {
		return err
	}
	if d.cols, err = scalarInt(numCols, "num_cols"); err != nil {
		return err
	}
	rows, cols := d.length-min(d.upper, 0), d.length+max(d.lower, 0)
	given := [2]int{d.rows, d.cols}
	switch {
	case d.rows == -1 && d.cols == -1:
		d.rows = max(rows, cols)
		d.cols = d.rows
	case d.rows == -1:
		d.rows = rows
	case d.cols == -1:
		d.cols = cols
	}
	if d.rows < rows || d.cols < cols || d.rows != rows && d.cols != cols {
		return fmt.Errorf("num_rows and num_cols are %v, which does not fit the diagonals %d to %d of length %d; they take %d x %d",
			given, d.lower, d.upper, d.length, rows, cols)
	}
	return nil
}

// fillValue checks that t is one element of d.
func fillValue(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	if t.Len() != 1 || t.DType() != d {
		return nil, fmt.Errorf("padding_value is %v %v, want a scalar of %v", t.DType(), t.Shape().Clone(), d)
	}
	return t, nil
}

// fillWith sets every element of t to that of v, or to zero where v is nil.
func fillWith(t, v *tensor.Tensor) {
	if v == nil {
		clear(t.Bytes())
		return
	}
	for i := range t.Len() {
		moveRun(t, i, v, 0, 1)
	}
}

// matrixDiagPartOp takes diagonals out of matrices, with padding where one is shorter than its row.
func matrixDiagPartOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := newDiagonals(n)
	if err != nil {
		return nil, err
	}
	first := n.Op() == "MatrixDiagPart"
	return func(c *call) error {
		x, d := c.in(0), d
		var padding *tensor.Tensor
		if !first {
			if padding, err = fillValue(c.in(2), x.DType()); err != nil {
				return err
			}
			if err := d.band(c.in(1)); err != nil {
				return err
			}
		}
		if err := d.within(x.Shape()); err != nil {
			return err
		}
		batch := x.Shape()[:x.Rank()-2]
		t, err := c.alloc(0, x.DType(), d.shape(batch))
		if err != nil {
			return err
		}
		fillWith(t, padding)
		to, from := (d.upper-d.lower+1)*d.length, d.rows*d.cols
		for b := range batch.Elements() {
			d.each(func(matrix, row int) { moveRun(t, b*to+row, x, b*from+matrix, 1) })
		}
		return nil
	}, nil
}

// matrixSetDiagOp replaces diagonals of matrices.
func matrixSetDiagOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := newDiagonals(n)
	if err != nil {
		return nil, err
	}
	first := n.Op() == "MatrixSetDiag"
	return func(c *call) error {
		x, diagonal, d := c.in(0), c.in(1), d
		if !first {
			if err := d.band(c.in(2)); err != nil {
				return err
			}
		}
		if err := d.within(x.Shape()); err != nil {
			return err
		}
		batch := x.Shape()[:x.Rank()-2]
		if want := d.shape(batch); !diagonal.Shape().Equal(want) || diagonal.DType() != x.DType() {
			return fmt.Errorf("diagonal is %v %v, want %v %v for the input %v", diagonal.DType(), diagonal.Shape().Clone(), x.DType(), want, x.Shape().Clone())
		}
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		moveRun(t, 0, x, 0, x.Len())
		from, to := (d.upper-d.lower+1)*d.length, d.rows*d.cols
		for b := range batch.Elements() {
			d.each(func(matrix, row int) { moveRun(t, b*to+matrix, diagonal, b*from+row, 1) })
		}
		return nil
	}, nil
}

// diagOp makes a tensor of shape s+s that has the input, of shape s, on its diagonal.
func diagOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		if x.Rank() == 0 {
			return fmt.Errorf("diagonal is a scalar, want rank 1 or more")
		}
		t, err := c.alloc(0, x.DType(), append(x.Shape().Clone(), x.Shape()...))
		if err != nil {
			return err
		}
		clear(t.Bytes())
		for i := range x.Len() {
			moveRun(t, i*(x.Len()+1), x, i, 1)
		}
		return nil
	}, nil
}

// diagPartOp is the inverse of diagOp.
func diagPartOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		s, half := x.Shape(), x.Rank()/2
		if len(s) == 0 || len(s)%2 != 0 || !s[:half].Equal(s[half:]) {
			return fmt.Errorf("input has shape %v, want one shape twice", s.Clone())
		}
		t, err := c.alloc(0, x.DType(), s[:half])
		if err != nil {
			return err
		}
		for i := range t.Len() {
			moveRun(t, i, x, i*(t.Len()+1), 1)
		}
		return nil
	}, nil
}
