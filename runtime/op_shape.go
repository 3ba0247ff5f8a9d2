package runtime

import "github.com/tfq8/tfq8/tensor"

var shapeOps = map[string]evaluator{}

func reshapeTo(dst tensor.Shape, elements int, spec *tensor.Tensor) (tensor.Shape, error) {
	return nil, nil
}
