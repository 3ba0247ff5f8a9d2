package graphdef

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// decodeShape reads a TensorShapeProto: dim {size, name} and unknown_rank. Sizes below -1 are refused.
func decodeShape(b []byte) (tensor.PartialShape, error) {
	dims := []int{}
	unknownRank := false
	var err error
	ok := walk(b, func(num protowire.Number, _ protowire.Type, val uint64, raw []byte) bool {
		switch num {
		case 2:
			size := int64(0)
			if !walk(raw, func(num protowire.Number, _ protowire.Type, val uint64, _ []byte) bool {
				if num == 1 {
					size = int64(val)
				}
				return true
			}) {
				err = fmt.Errorf("shape has a malformed dimension")
			}
			if size < tensor.UnknownDim || int64(int(size)) != size {
				err = fmt.Errorf("shape has dimension %d", size)
			}
			dims = append(dims, int(size))
		case 3:
			unknownRank = val != 0
		}
		return err == nil
	})
	switch {
	case err != nil:
		return tensor.PartialShape{}, err
	case !ok:
		return tensor.PartialShape{}, fmt.Errorf("shape is malformed")
	case unknownRank:
		return tensor.PartialShape{}, nil
	}
	return tensor.Partial(dims...), nil
}

func encodeShape(s tensor.PartialShape) []byte {
	var b []byte
	if _, known := s.Rank(); !known {
		return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), 1)
	}
	for _, d := range s.Dims() {
		var dim []byte
		// A size of 0 is the field's default, which writers leave out.
		if d != 0 {
			dim = protowire.AppendVarint(protowire.AppendTag(dim, 1, protowire.VarintType), uint64(d))
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), dim)
	}
	return b
}
