package graphdef

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// DecodeTensor reads a TensorProto by the rules of TensorFlow's C++ decoder. Contents are shared with b where their
// alignment allows.
func DecodeTensor(b []byte) (*tensor.Tensor, error) {
	return nil, fmt.Errorf("tensor proto: not read yet")
}

// EncodeTensor writes t as a TensorProto.
func EncodeTensor(t *tensor.Tensor) []byte { return nil }
