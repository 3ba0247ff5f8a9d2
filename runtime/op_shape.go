package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// shapeOps make, read and change shapes, and move elements without looking at them.
var shapeOps = map[string]evaluator{
	"Shape":  shapeOp,
	"ShapeN": shapeOp,
	"Rank":   rankOp,
	"Size":   sizeOp,

	"Reshape":     reshapeOp,
	"ExpandDims":  expandDimsOp,
	"Squeeze":     squeezeOp,
	"EnsureShape": ensureShapeOp,

	"Transpose":          transposeOp,
	"ConjugateTranspose": transposeOp,
	"InvertPermutation":  invertPermutationOp,

	"ConcatV2":       concatOp,
	"Concat":         concatOp,
	"ConcatOffset":   concatOffsetOp,
	"Pack":           packOp,
	"ParallelConcat": parallelConcatOp,
	"Unpack":         unpackOp,
	"Split":          splitOp,
	"SplitV":         splitVOp,

	"Slice":        sliceOp,
	"StridedSlice": stridedSliceOp,

	"TensorStridedSliceUpdate": stridedUpdateOp,

	"Tile":          tileOp,
	"BroadcastTo":   broadcastToOp,
	"BroadcastArgs": broadcastArgsOp,
	"Pad":           padOp,
	"PadV2":         padOp,
	"MirrorPad":     mirrorPadOp,

	"Reverse":         reverseOp,
	"ReverseV2":       reverseOp,
	"ReverseSequence": reverseSequenceOp,
	"Roll":            rollOp,
	"SpaceToDepth":    depthSpaceOp,
	"DepthToSpace":    depthSpaceOp,
	"SpaceToBatchND":  batchSpaceOp,
	"BatchToSpaceND":  batchSpaceOp,
	"SpaceToBatch":    batchSpaceOp,
	"BatchToSpace":    batchSpaceOp,

	"CheckNumerics":   checkNumericsOp,
	"CheckNumericsV2": checkNumericsOp,

	"Range":     rangeOp,
	"LinSpace":  linSpaceOp,
	"OneHot":    oneHotOp,
	"Fill":      fillOp,
	"Empty":     emptyOp,
	"ZerosLike": onesLikeOp,
	"OnesLike":  onesLikeOp,
}

// shapeOp gives the shape of each input.
func shapeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "out_type")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		for i := range c.numIn() {
			s := c.in(i).Shape()
			var dims [1]int
			dims[0] = len(s)
			t, err := c.alloc(i, out, dims[:])
			if err != nil {
				return err
			}
			if out == tensor.Int64 {
				d := tensor.Data[int64](t)
				for j, v := range s {
					d[j] = int64(v)
				}
				continue
			}
			d := tensor.Data[int32](t)
			for j, v := range s {
				if v > math.MaxInt32 {
					return fmt.Errorf("dimension %d of %v does not fit int32; set out_type to int64", j, s)
				}
				d[j] = int32(v)
			}
		}
		return nil
	}, nil
}

// indexType reads an attribute that is int32 or int64.
func indexType(n *graphdef.Node, attr string) (tensor.DType, error) {
	r := n.AttrReader()
	d := r.Type(attr)
	if err := r.Err(); err != nil {
		return d, err
	}
	if d != tensor.Int32 && d != tensor.Int64 {
		return d, fmt.Errorf("attribute %q is %v, want int32 or int64", attr, d)
	}
	return d, nil
}

// rankOp gives the number of dimensions.
func rankOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error { return setIndex(c, 0, tensor.Int32, c.in(0).Rank()) }, nil
}

// sizeOp gives the number of elements.
func sizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "out_type")
	if err != nil {
		return nil, err
	}
	return func(c *call) error { return setIndex(c, 0, out, c.in(0).Len()) }, nil
}

// setIndex makes output i the scalar v of dtype d, int32 or int64.
func setIndex(c *call, i int, d tensor.DType, v int) error {
	t, err := c.alloc(i, d, nil)
	if err != nil {
		return err
	}
	if d == tensor.Int64 {
		tensor.Data[int64](t)[0] = int64(v)
		return nil
	}
	if v > math.MaxInt32 {
		return fmt.Errorf("%d does not fit int32; set out_type to int64", v)
	}
	tensor.Data[int32](t)[0] = int32(v)
	return nil
}

// appendInts appends the elements of t, a vector or scalar of int32 or int64 that what names, to dst.
func appendInts(dst []int, t *tensor.Tensor, what string) ([]int, error) {
	switch t.DType() {
	case tensor.Int32:
		for _, v := range tensor.Data[int32](t) {
			dst = append(dst, int(v))
		}
	case tensor.Int64:
		for _, v := range tensor.Data[int64](t) {
			dst = append(dst, int(v))
		}
	default:
		return dst, fmt.Errorf("%s is %v, want int32 or int64", what, t.DType())
	}
	if t.Rank() > 1 {
		return dst, fmt.Errorf("%s has shape %v, want a vector", what, t.Shape().Clone())
	}
	return dst, nil
}

// vectorInts is appendInts for what must be a vector.
func vectorInts(dst []int, t *tensor.Tensor, what string) ([]int, error) {
	if t.Rank() != 1 {
		return dst, fmt.Errorf("%s has shape %v, want a vector", what, t.Shape().Clone())
	}
	return appendInts(dst, t, what)
}

// scalarInt returns the value of t, a scalar of int16, int32 or int64 that what names.
func scalarInt(t *tensor.Tensor, what string) (int, error) {
	if t.Rank() != 0 {
		return 0, fmt.Errorf("%s has shape %v, want a scalar", what, t.Shape().Clone())
	}
	return oneInt(t, what)
}

// oneInt is scalarInt for what may have dimensions, but has one element.
func oneInt(t *tensor.Tensor, what string) (int, error) {
	if t.Len() == 1 {
		switch t.DType() {
		case tensor.Int32:
			return int(tensor.Data[int32](t)[0]), nil
		case tensor.Int64:
			return int(tensor.Data[int64](t)[0]), nil
		case tensor.Int16:
			return int(tensor.Data[int16](t)[0]), nil
		}
	}
	return 0, fmt.Errorf("%s is %v %v, want one int16, int32 or int64", what, t.DType(), t.Shape().Clone())
}

// resolveAxis returns axis counted from the front; rank is that of the tensor it counts in.
func resolveAxis(axis, rank int, what string) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("%s is %d, want one in [%d, %d)", what, axis, -rank, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}
