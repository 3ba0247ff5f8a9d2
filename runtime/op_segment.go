package runtime

import (
	"fmt"
	"math"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// segmentOps fold rows that have the same id. The rows of an input are its slices along the dimensions that the ids cover.
var segmentOps = map[string]evaluator{
	"SegmentMax":  sortedSegmentOp,
	"SegmentMean": sortedSegmentOp,
	"SegmentMin":  sortedSegmentOp,
	"SegmentProd": sortedSegmentOp,
	"SegmentSum":  sortedSegmentOp,

	"SparseSegmentMean":                 sparseSegmentOp,
	"SparseSegmentMeanWithNumSegments":  sparseSegmentOp,
	"SparseSegmentSqrtN":                sparseSegmentOp,
	"SparseSegmentSqrtNWithNumSegments": sparseSegmentOp,
	"SparseSegmentSum":                  sparseSegmentOp,
	"SparseSegmentSumWithNumSegments":   sparseSegmentOp,
	"UnsortedSegmentMax":                unsortedSegmentOp,
	"UnsortedSegmentMin":                unsortedSegmentOp,
	"UnsortedSegmentProd":               unsortedSegmentOp,
	"UnsortedSegmentSum":                unsortedSegmentOp,
}

// sortedSegmentOp folds runs of equal ids, which do not decrease. An id that is left out gets 0, or 1 of SegmentProd. SegmentMax and
// SegmentMin leave NaN out.
func sortedSegmentOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	op := strings.TrimPrefix(n.Op(), "Segment")
	fold := reductionOf(op, d)
	if d.IsFloat() && (op == "Max" || op == "Min") {
		fold = reductionOf(op+"Number", d)
	}
	if fold == nil {
		return nil, noKernel(d)
	}
	unused := reductionOf("Sum", d)
	if op == "Prod" {
		unused = fold
	}
	return func(c *call) error {
		x := c.in(0)
		ids, err := indexVector(c.in(1), "segment_ids")
		if err != nil {
			return err
		}
		if x.Rank() == 0 || x.Shape()[0] != len(ids) {
			return fmt.Errorf("have data %v and %d segment_ids, want one for each row", x.Shape().Clone(), len(ids))
		}
		rows, err := segmentRows(ids)
		if err != nil {
			return err
		}
		t, width, err := allocSegments(c, d, rows, x.Shape()[1:])
		if err != nil || t.Len() == 0 {
			return err
		}
		next := 0
		for from := 0; from < len(ids); {
			to := from + 1
			for to < len(ids) && ids[to] == ids[from] {
				to++
			}
			foldRows(unused, t, next, ids[from]-next, x, 0, 0, width)
			foldRows(fold, t, ids[from], 1, x, from, to-from, width)
			next, from = ids[from]+1, to
		}
		return nil
	}, nil
}

// indexVector returns the values of t, a vector of int32 or int64 that what names.
func indexVector(t *tensor.Tensor, what string) ([]int, error) {
	if t.Rank() != 1 {
		return nil, fmt.Errorf("%s has shape %v, want a vector", what, t.Shape().Clone())
	}
	return appendInts(nil, t, what)
}

// segmentRows returns how many rows sorted ids make.
func segmentRows(ids []int) (int, error) {
	last := 0
	for i, id := range ids {
		if id < last {
			return 0, fmt.Errorf("segment_ids must not be negative and not decrease, element %d is %d after %d", i, id, last)
		}
		last = id
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if last == math.MaxInt {
		return 0, fmt.Errorf("segment_ids end with %d, which is too many rows", last)
	}
	return last + 1, nil
}

// allocSegments makes output 0 a tensor of rows of the given shape, and returns the number of elements of each.
func allocSegments(c *call, d tensor.DType, rows int, row tensor.Shape) (*tensor.Tensor, int, error) {
	t, err := c.alloc(0, d, append(tensor.Shape{rows}, row...))
	if err != nil {
		return nil, 0, err
	}
	return t, row.Elements(), nil
}

// foldRows folds the num rows of x from row from on, each of width elements, into times rows of t from row at on.
func foldRows(f reduceFunc, t *tensor.Tensor, at, times int, x *tensor.Tensor, from, num, width int) {
	var dst, src tensor.Tensor
	size := width * t.DType().Size()
	src.Set(x.DType(), tensor.Shape{num, width}, x.Bytes()[from*size:][:num*size])
	for i := range times {
		dst.Set(t.DType(), tensor.Shape{width}, t.Bytes()[(at+i)*size:][:size])
		f(&reduction{kept: []span{{width, 1}}, dropped: []span{{num, width}}, count: num}, &dst, &src)
	}
}

// sparseSegmentOp is sortedSegmentOp on rows that indices choose; SqrtN divides a sum by the root of the number of rows.
func sparseSegmentOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	op, bounded := strings.CutSuffix(strings.TrimPrefix(n.Op(), "SparseSegment"), "WithNumSegments")
	if !d.IsFloat() && (op != "Sum" || !d.IsInteger()) {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		indices, err := indexVector(c.in(1), "indices")
		if err != nil {
			return err
		}
		ids, err := indexVector(c.in(2), "segment_ids")
		if err != nil {
			return err
		}
		if x.Rank() == 0 || len(indices) != len(ids) {
			return fmt.Errorf("have data %v, %d indices and %d segment_ids, want as many indices as segment_ids",
				x.Shape().Clone(), len(indices), len(ids))
		}
		rows, err := segmentRows(ids)
		if err != nil {
			return err
		}
		if bounded {
			num, err := scalarInt(c.in(3), "num_segments")
			if err != nil {
				return err
			}
			if num < rows {
				return fmt.Errorf("num_segments is %d, want at least %d, which segment_ids name", num, rows)
			}
			rows = num
		}
		for i, row := range indices {
			if row < 0 || row >= x.Shape()[0] {
				return fmt.Errorf("indices[%d] is %d, want one in [0, %d)", i, row, x.Shape()[0])
			}
		}
		t, width, err := allocSegments(c, d, rows, x.Shape()[1:])
		if err != nil {
			return err
		}
		clear(t.Bytes())
		if d.IsFloat() {
			sumFloatRows(t, x, indices, ids, width, op)
		} else {
			at, sums := intsOf(x), intsOf(t)
			for i, row := range indices {
				for j := range width {
					setInt(t, ids[i]*width+j, sums(ids[i]*width+j)+at(row*width+j))
				}
			}
		}
		return nil
	}, nil
}

// sumFloatRows adds row indices[i] of x to row ids[i] of t, in float64, and divides as op says.
func sumFloatRows(t, x *tensor.Tensor, indices, ids []int, width int, op string) {
	in, sum := floatsOf(x), make([]float64, width)
	for from := 0; from < len(ids); {
		clear(sum)
		to := from
		for ; to < len(ids) && ids[to] == ids[from]; to++ {
			for j := range sum {
				sum[j] += in.at(indices[to]*width + j)
			}
		}
		by := 1.0
		switch op {
		case "Mean":
			by = float64(to - from)
		case "SqrtN":
			by = math.Sqrt(float64(to - from))
		}
		for j, v := range sum {
			setFloat(t, ids[from]*width+j, v/by)
		}
		from = to
	}
}

// unsortedSegmentOp folds rows by ids in any order, one for each element of the dimensions that ids cover. Rows with a negative
// id are left out; a segment without rows is the neutral element, of Max and Min the lowest and highest finite value.
func unsortedSegmentOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	into := segmentInto(strings.TrimPrefix(n.Op(), "UnsortedSegment"), d)
	if into == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x, ids := c.in(0), c.in(1)
		num, err := scalarInt(c.in(2), "num_segments")
		if err != nil {
			return err
		}
		if num < 0 {
			return fmt.Errorf("num_segments is %d, want 0 or more", num)
		}
		if ids.Rank() > x.Rank() || !ids.Shape().Equal(x.Shape()[:ids.Rank()]) {
			return fmt.Errorf("have data %v and segment_ids %v, want ids for the first dimensions", x.Shape().Clone(), ids.Shape().Clone())
		}
		if t := ids.DType(); t != tensor.Int32 && t != tensor.Int64 {
			return fmt.Errorf("segment_ids are %v, want int32 or int64", t)
		}
		t, width, err := allocSegments(c, d, num, x.Shape()[ids.Rank():])
		if err != nil {
			return err
		}
		into.fill(t)
		at := intsOf(ids)
		for i := range ids.Len() {
			id := at(i)
			if id >= int64(num) {
				return fmt.Errorf("element %d of segment_ids is %d, want less than num_segments, %d", i, id, num)
			}
			if id >= 0 {
				into.add(t, int(id)*width, x, i*width, width)
			}
		}
		return nil
	}, nil
}
