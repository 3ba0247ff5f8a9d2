package runtime

import (
	"errors"
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// raggedToTensorOp lays the rows of a ragged tensor out in a dense one, filled up with default values. What is beyond the
// shape that is asked for is cut.
func raggedToTensorOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	types, err := n.Strs("row_partition_types")
	if err != nil {
		return nil, err
	}
	parts := types
	first := len(types) > 0 && types[0] == "FIRST_DIM_SIZE"
	if first {
		parts = types[1:]
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("row_partition_types is %q, want at least one partition", types)
	}
	for _, p := range parts {
		if p != "ROW_SPLITS" && p != "VALUE_ROWIDS" {
			return nil, fmt.Errorf("row_partition_types is %q, want FIRST_DIM_SIZE at the front only, ROW_SPLITS or VALUE_ROWIDS", types)
		}
	}
	if have := n.NumInputs() - 3; have != len(types) {
		return nil, fmt.Errorf("row_partition_types is %q, want one for each of the %d row partitions", types, have)
	}
	if !first && parts[0] != "ROW_SPLITS" {
		return nil, fmt.Errorf("row_partition_types is %q, want FIRST_DIM_SIZE or ROW_SPLITS at the front", types)
	}
	return func(c *call) error {
		values := c.in(1)
		if values.Rank() < 1 {
			return errors.New("values is a scalar, want a vector or more")
		}
		rows, partitions, err := rowPartitions(c, parts, first)
		if err != nil {
			return err
		}
		shape, err := denseShape(c, rows, partitions)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, values.DType(), shape)
		if err != nil {
			return err
		}
		inner := values.Shape()[1:]
		if err := fillRows(t, c.in(2), inner); err != nil {
			return err
		}
		placed := place(rows, partitions, shape)
		row := inner.Elements()
		for i, at := range placed[:min(len(placed), values.Shape()[0])] {
			if at >= 0 {
				moveRun(t, at*row, values, i*row, row)
			}
		}
		return nil
	}, nil
}

// partition says, for each value of a level, which row of the level above it is in: rows do not fall.
type partition struct {
	rows  []int
	width int // of the longest row
}

// rowPartitions reads the partition inputs, from input 3 on, and the number of rows of the outermost level.
func rowPartitions(c *call, kinds []string, first bool) (int, []partition, error) {
	at, rows := 3, -1
	if first {
		v, err := scalarInt(c.in(at), "the first dimension")
		if err != nil {
			return 0, nil, err
		}
		if v < 0 {
			return 0, nil, fmt.Errorf("the first dimension is %d, want at least 0", v)
		}
		rows = v
		at++
	}
	outer := rows
	var all []partition
	for i, kind := range kinds {
		what := fmt.Sprintf("row partition %d", i)
		v, err := appendInts(nil, c.in(at+i), what)
		if err != nil {
			return 0, nil, err
		}
		var p partition
		if kind == "ROW_SPLITS" {
			if len(v) == 0 {
				return 0, nil, fmt.Errorf("%s has no splits, want at least one", what)
			}
			if rows < 0 {
				rows, outer = len(v)-1, len(v)-1
			}
			// The values say how many there are; the last split may be beyond them.
			if len(v)-1 > rows {
				return 0, nil, fmt.Errorf("%s has %d rows, more than the %d of the level above", what, len(v)-1, rows)
			}
			most := c.in(1).Shape()[0]
			if i+1 < len(kinds) {
				most = c.in(at + i + 1).Len()
			}
			for row := range len(v) - 1 {
				if v[row+1] < v[row] || v[row] < 0 {
					return 0, nil, fmt.Errorf("%s has %d after %d, want splits that do not fall", what, v[row+1], v[row])
				}
				p.width = max(p.width, v[row+1]-v[row])
				for k := v[row]; k < v[row+1] && len(p.rows) < most; k++ {
					p.rows = append(p.rows, row)
				}
			}
		} else {
			p.rows = v
			run := 0
			for k, row := range v {
				if row < 0 || row >= rows {
					return 0, nil, fmt.Errorf("%s has row %d, want one in [0, %d)", what, row, rows)
				}
				if k > 0 && row < v[k-1] {
					return 0, nil, fmt.Errorf("%s has row %d after %d, want rows that do not fall", what, row, v[k-1])
				}
				if k > 0 && row == v[k-1] {
					run++
				} else {
					run = 1
				}
				p.width = max(p.width, run)
			}
		}
		all = append(all, p)
		rows = len(p.rows)
	}
	return outer, all, nil
}

// denseShape returns the shape of the result: what input 0 asks for and, where that is -1, what the rows need.
func denseShape(c *call, rows int, partitions []partition) (tensor.Shape, error) {
	shape := tensor.Shape{rows}
	for _, p := range partitions {
		shape = append(shape, p.width)
	}
	ragged := len(shape)
	shape = append(shape, c.in(1).Shape()[1:]...)
	if c.in(0).Rank() == 0 {
		if v, err := scalarInt(c.in(0), "shape"); err != nil || v != -1 {
			return nil, fmt.Errorf("shape is a scalar, want -1 or a vector")
		}
		return shape, nil
	}
	asked, err := appendInts(nil, c.in(0), "shape")
	if err != nil {
		return nil, err
	}
	if len(asked) != len(shape) {
		return nil, fmt.Errorf("shape has %d dimensions, want the %d of the ragged tensor", len(asked), len(shape))
	}
	for d, v := range asked {
		switch {
		case v < -1:
			return nil, fmt.Errorf("shape has %d, want sizes or -1", v)
		case d >= ragged && v >= 0 && v != shape[d]:
			return nil, fmt.Errorf("shape has %d as dimension %d, want the %d of values", v, d, shape[d])
		case v >= 0:
			shape[d] = v
		}
	}
	return shape, nil
}

// fillRows sets each element of t, whose last dimensions are inner, to the default value that is broadcast to inner.
func fillRows(t, value *tensor.Tensor, inner tensor.Shape) error {
	if value.DType() != t.DType() {
		return fmt.Errorf("default_value is %v, want %v as values", value.DType(), t.DType())
	}
	if value.Rank() == 0 {
		fillTensor(t, value)
		return nil
	}
	shape, err := tensor.Broadcast(inner, value.Shape())
	if err != nil || !shape.Equal(inner) {
		return fmt.Errorf("default_value has shape %v, want one that broadcasts to %v", value.Shape().Clone(), inner.Clone())
	}
	from := broadcastIndex(inner, value.Shape())
	row := inner.Elements()
	for i := range t.Len() {
		moveRun(t, i, value, from(i%row), 1)
	}
	return nil
}

// place returns the row of the result, of the dimensions of shape that are ragged, for each value; -1 for none.
func place(rows int, partitions []partition, shape tensor.Shape) []int {
	// Rows beyond those of the result have no place; how many there are, the first dimension says, whatever the values.
	at := make([]int, min(rows, shape[0]))
	for i := range at {
		at[i] = i
	}
	for d, p := range partitions {
		width := shape[d+1]
		next := make([]int, len(p.rows))
		column := 0
		for k, row := range p.rows {
			if k > 0 && row == p.rows[k-1] {
				column++
			} else {
				column = 0
			}
			next[k] = -1
			if row < len(at) && at[row] >= 0 && column < width {
				next[k] = at[row]*width + column
			}
		}
		at = next
	}
	return at
}
