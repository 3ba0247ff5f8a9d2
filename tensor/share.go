package tensor

import (
	"fmt"
	goruntime "runtime"
)

// readsAnywhere tells the machines that load numbers from any address.
const readsAnywhere = goruntime.GOARCH == "amd64" || goruntime.GOARCH == "arm64" || goruntime.GOARCH == "386"

// Share is FromBytes for elements that are only read, such as those of a mapped file: on machines that load numbers from any
// address they are shared however they are aligned.
func Share(d DType, shape Shape, raw []byte) (*Tensor, error) {
	if !readsAnywhere {
		return FromBytes(d, shape, raw)
	}
	n, err := shape.CheckedElements()
	if err != nil {
		return nil, err
	}
	if d.Size() == 0 {
		return nil, fmt.Errorf("tensor: %v elements have no fixed size", d)
	}
	if len(raw) != n*d.Size() {
		return nil, fmt.Errorf("tensor: %d bytes for %v %v, want %d", len(raw), d, shape, n*d.Size())
	}
	if n == 0 {
		return New(d, shape), nil
	}
	return &Tensor{dtype: d, shape: shape, raw: raw}, nil
}
