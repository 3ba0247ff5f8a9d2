package graphdef

import (
	"fmt"
	"slices"
	"sync"
	"weak"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// StoredTensor is the value of a constant that lies outside of the graph's own file, in a checkpoint: its dtype and shape
// are known, its elements are read when somebody asks for them. It is safe for concurrent use.
type StoredTensor struct {
	dtype tensor.DType
	shape tensor.Shape
	load  func() (*tensor.Tensor, error)
	size  int64

	mu   sync.Mutex
	last weak.Pointer[tensor.Tensor] // what load returned, as long as anybody uses it
}

// NewStoredTensor returns a tensor that load reads: size is the bytes of its elements. load may be called more than once
// and must return the same elements each time.
func NewStoredTensor(d tensor.DType, shape tensor.Shape, size int64, load func() (*tensor.Tensor, error)) *StoredTensor {
	return &StoredTensor{dtype: d, shape: shape, size: size, load: load}
}

// DType returns the element type.
func (s *StoredTensor) DType() tensor.DType { return s.dtype }

// Shape returns the dimensions, which the caller does not change.
func (s *StoredTensor) Shape() tensor.Shape { return s.shape }

// Tensor reads the tensor. Callers share it, and it is kept only as long as one of them does: a graph holds no second copy
// of the weights that a plan has packed.
func (s *StoredTensor) Tensor() (*tensor.Tensor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.last.Value(); t != nil {
		return t, nil
	}
	t, err := s.load()
	if err != nil {
		return nil, err
	}
	if t.DType() != s.dtype || !t.Shape().Equal(s.shape) {
		return nil, fmt.Errorf("the stored tensor is %v %v, want %v %v", t.DType(), t.Shape(), s.dtype, s.shape)
	}
	s.last = weak.Make(t)
	return t, nil
}

// header is the TensorProto without its elements.
func (s *StoredTensor) header() []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldDType, protowire.VarintType), uint64(s.dtype))
	return protowire.AppendBytes(protowire.AppendTag(b, fieldShape, protowire.BytesType), encodeShape(s.shape.Partial()))
}

// StoredAttr returns a tensor attribute whose elements are read when asked for.
func StoredAttr(s *StoredTensor) Attr { return Attr{stored: s} }

// Stored returns the value of StoredAttr; nil for all other attributes.
func (a Attr) Stored() *StoredTensor { return a.stored }

// says reports whether a holds any value.
func (a Attr) says() bool { return len(a.wire) > 0 || a.stored != nil }

// size returns the bytes of the serialized AttrValue, of stored tensors nearly.
func (a Attr) size() int64 {
	if a.stored != nil {
		return a.stored.size + int64(len(a.stored.header())) + 16
	}
	return int64(len(a.wire))
}

// encoded returns the serialized AttrValue with all elements.
func (a Attr) encoded() ([]byte, error) {
	if a.stored == nil {
		return a.wire, nil
	}
	head, contents, err := a.parts()
	if err != nil {
		return nil, err
	}
	return slices.Concat(head, contents), nil
}

// parts returns the serialized AttrValue in two parts, the second of which shares memory with a where a is large.
func (a Attr) parts() (head, contents []byte, err error) {
	if a.stored == nil {
		return nil, a.wire, nil
	}
	t, err := a.stored.Tensor()
	if err != nil {
		return nil, nil, err
	}
	head, contents = tensorParts(t)
	return head, contents, nil
}

// tensorParts returns the AttrValue of a tensor in two parts: the second is its elements, shared with t, or empty.
func tensorParts(t *tensor.Tensor) (head, contents []byte) {
	head, contents = encodeParts(t)
	size := uint64(len(head) + len(contents))
	head = slices.Concat(protowire.AppendVarint(protowire.AppendTag(nil, protowire.Number(KindTensor), protowire.BytesType), size), head)
	return head, contents
}

// checkStored reads a value that is stored elsewhere, so that writing it cannot fail.
func (a Attr) checkStored() error {
	if a.stored == nil {
		return nil
	}
	_, err := a.stored.Tensor()
	return err
}

// checkStored does that for the attributes of n.
func (n *Node) checkStored() error {
	for _, a := range n.attrs {
		if err := a.Attr.checkStored(); err != nil {
			return n.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	return nil
}
