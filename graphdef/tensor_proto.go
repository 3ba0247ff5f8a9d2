package graphdef

import (
	"encoding/binary"
	"fmt"
	"slices"
	"weak"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// maxFill bounds the bytes of a tensor that a TensorProto spells as fewer values than it has elements: a file of some
// bytes may otherwise ask for any amount of memory. Contents that are in the file in full have no bound.
const maxFill = 1 << 30

// Field numbers of TensorProto.
const (
	fieldDType   protowire.Number = 1
	fieldShape   protowire.Number = 2
	fieldContent protowire.Number = 4
	fieldStrings protowire.Number = 8
	fieldVariant protowire.Number = 15
	fieldFloat8  protowire.Number = 18
)

// typedField says where a TensorProto keeps the elements of a dtype when not in tensor_content.
type typedField struct {
	num      protowire.Number
	wire     protowire.Type
	perValue int // bytes that one value of the field fills; complex numbers take two values
	signed   bool
}

var typedFields = map[tensor.DType]typedField{
	tensor.Float32:    {5, protowire.Fixed32Type, 4, false},
	tensor.Float64:    {6, protowire.Fixed64Type, 8, false},
	tensor.Int32:      {7, protowire.VarintType, 4, true},
	tensor.Uint8:      {7, protowire.VarintType, 1, false},
	tensor.Int16:      {7, protowire.VarintType, 2, true},
	tensor.Int8:       {7, protowire.VarintType, 1, true},
	tensor.Uint16:     {7, protowire.VarintType, 2, false},
	tensor.Qint8:      {7, protowire.VarintType, 1, true},
	tensor.Quint8:     {7, protowire.VarintType, 1, false},
	tensor.Qint16:     {7, protowire.VarintType, 2, true},
	tensor.Quint16:    {7, protowire.VarintType, 2, false},
	tensor.Qint32:     {7, protowire.VarintType, 4, true},
	tensor.Int4:       {7, protowire.VarintType, 1, true},
	tensor.Uint4:      {7, protowire.VarintType, 1, false},
	tensor.Complex64:  {9, protowire.Fixed32Type, 4, false},
	tensor.Complex128: {12, protowire.Fixed64Type, 8, false},
	tensor.Int64:      {10, protowire.VarintType, 8, true},
	tensor.Bool:       {11, protowire.VarintType, 1, false},
	tensor.Float16:    {13, protowire.VarintType, 2, false},
	tensor.Bfloat16:   {13, protowire.VarintType, 2, false},
	tensor.Uint32:     {16, protowire.VarintType, 4, false},
	tensor.Uint64:     {17, protowire.VarintType, 8, false},
	tensor.Float8E5M2: {fieldFloat8, protowire.BytesType, 1, false},
	tensor.Float8E4M3: {fieldFloat8, protowire.BytesType, 1, false},
}

// DecodeTensor reads a TensorProto by the rules of TensorFlow's C++ decoder: tensor_content wins over the typed field
// and must have exactly the elements of the shape; of a typed field the last value repeats, none means zeros and values
// beyond the shape are ignored; a missing or unknown shape is a scalar. The contents are shared with b where the
// machine can read them there, so the caller changes neither. Resource and variant values have no meaning in a file and are
// refused, unless they are empty.
func DecodeTensor(b []byte) (*tensor.Tensor, error) { return decodeTensor(b, maxFill) }

func decodeTensor(b []byte, limit int) (*tensor.Tensor, error) {
	var dtype tensor.DType
	var shapeBytes, content []byte
	if !walk(b, func(num protowire.Number, typ protowire.Type, val uint64, raw []byte) bool {
		switch {
		case num == fieldDType && typ == protowire.VarintType:
			dtype = tensor.DType(int32(val))
		case num == fieldShape && typ == protowire.BytesType:
			// A message that occurs twice is merged, which for serialized bytes is to append them.
			shapeBytes = append(slices.Clip(shapeBytes), raw...)
		case num == fieldContent && typ == protowire.BytesType:
			content = raw
		}
		return true
	}) {
		return nil, fmt.Errorf("tensor is malformed")
	}
	shape, n, err := tensorShape(shapeBytes)
	if err != nil {
		return nil, err
	}
	switch {
	case dtype == tensor.Variant || dtype == tensor.Resource:
		if n > 0 {
			return nil, fmt.Errorf("tensor of dtype %v%s has no value outside the program that wrote it; cut the graph behind it or freeze it", dtype, variantName(b))
		}
		return tensor.New(dtype, shape), nil
	case !dtype.Known():
		return nil, fmt.Errorf("tensor of dtype %v is not supported", dtype)
	case dtype == tensor.String && len(content) > 0:
		return stringContent(shape, n, content)
	case dtype == tensor.String:
		if n > limit/16 {
			return nil, fmt.Errorf("tensor of shape %v is not spelt out in the file and has more than %d bytes", shape, limit)
		}
		return typedStrings(shape, b), nil
	case len(content) > 0:
		return numberContent(dtype, shape, n, content)
	case n > limit/dtype.Size() && n*dtype.Size() > len(b):
		return nil, fmt.Errorf("tensor of shape %v is not spelt out in the file and has more than %d bytes", shape, limit)
	}
	return typedNumbers(dtype, shape, b)
}

// tensorShape reads the shape of a tensor and its number of elements.
func tensorShape(b []byte) (tensor.Shape, int, error) {
	partial, err := decodeShape(b)
	if err != nil {
		return nil, 0, fmt.Errorf("tensor %w", err)
	}
	shape := tensor.Shape(slices.Clone(partial.Dims()))
	if shape == nil {
		shape = tensor.Shape{}
	}
	n, err := shape.CheckedElements()
	return shape, n, err
}

// variantName returns the type of the first variant value, for the message that refuses it.
func variantName(b []byte) string {
	name := ""
	walk(b, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
		if num != fieldVariant {
			return true
		}
		walk(raw, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
			if num == 1 {
				name = fmt.Sprintf(" (%q)", raw)
			}
			return true
		})
		return false
	})
	return name
}

// validBytes says which bytes the elements of a dtype can be, where not all: what is neither true nor false would be both to code
// that compares.
var validBytes = map[tensor.DType]func(v byte) bool{
	tensor.Bool:  func(v byte) bool { return v <= 1 },
	tensor.Int4:  func(v byte) bool { return int8(v) == int8(v<<4)>>4 },
	tensor.Uint4: func(v byte) bool { return v <= 15 },
}

func numberContent(dtype tensor.DType, shape tensor.Shape, n int, content []byte) (*tensor.Tensor, error) {
	if len(content) != n*dtype.Size() {
		return nil, fmt.Errorf("tensor_content has %d bytes, want %d for %v %v", len(content), n*dtype.Size(), dtype, shape)
	}
	if valid := validBytes[dtype]; valid != nil {
		for _, v := range content {
			if !valid(v) {
				return nil, fmt.Errorf("tensor_content of a %v tensor has the byte %d", dtype, v)
			}
		}
	}
	return tensor.Share(dtype, shape, content)
}

// stringContent reads the form that C++ writes: n varint lengths, then the strings.
func stringContent(shape tensor.Shape, n int, content []byte) (*tensor.Tensor, error) {
	if n > len(content) { // each length takes a byte
		return nil, fmt.Errorf("tensor_content has %d bytes for %d strings", len(content), n)
	}
	lengths := make([]uint64, n)
	for i := range lengths {
		v, k := protowire.ConsumeVarint(content)
		if k < 0 {
			return nil, fmt.Errorf("tensor_content ends within the lengths of %d strings", n)
		}
		lengths[i], content = v, content[k:]
	}
	strs := make([]string, n)
	for i, l := range lengths {
		if l > uint64(len(content)) {
			return nil, fmt.Errorf("tensor_content ends within string %d of %d", i, n)
		}
		strs[i], content = string(content[:l]), content[l:]
	}
	if len(content) > 0 {
		return nil, fmt.Errorf("tensor_content has %d bytes more than its %d strings", len(content), n)
	}
	return tensor.FromStrings(shape, strs), nil
}

func typedStrings(shape tensor.Shape, b []byte) *tensor.Tensor {
	t := tensor.New(tensor.String, shape)
	strs := t.Strings()
	k := 0
	walk(b, func(num protowire.Number, typ protowire.Type, _ uint64, raw []byte) bool {
		if num == fieldStrings && typ == protowire.BytesType && k < len(strs) {
			strs[k] = string(raw)
			k++
		}
		return k < len(strs)
	})
	for i := k; i > 0 && i < len(strs); i++ {
		strs[i] = strs[k-1]
	}
	return t
}

func typedNumbers(dtype tensor.DType, shape tensor.Shape, b []byte) (*tensor.Tensor, error) {
	f := typedFields[dtype]
	t := tensor.New(dtype, shape)
	dst := t.Bytes()
	filled := 0
	put := func(v uint64) {
		if filled == len(dst) {
			return
		}
		switch dtype {
		case tensor.Bool:
			v = protowire.EncodeBool(v != 0)
		case tensor.Int4:
			v = uint64(int8(v<<4) >> 4)
		case tensor.Uint4:
			v &= 15
		}
		at := dst[filled:]
		switch f.perValue {
		case 1:
			at[0] = byte(v)
		case 2:
			binary.LittleEndian.PutUint16(at, uint16(v))
		case 4:
			binary.LittleEndian.PutUint32(at, uint32(v))
		case 8:
			binary.LittleEndian.PutUint64(at, v)
		}
		filled += f.perValue
	}
	ok := true
	walk(b, func(num protowire.Number, typ protowire.Type, val uint64, raw []byte) bool {
		switch {
		case num != f.num:
		case num == fieldFloat8 && typ == protowire.BytesType:
			filled = copy(dst, raw)
		case typ == f.wire:
			put(val)
		case typ == protowire.BytesType:
			ok = ok && eachPacked(raw, f.wire, put)
		}
		return ok
	})
	if !ok {
		return nil, fmt.Errorf("tensor values are malformed")
	}
	// Half a complex number is none.
	size := dtype.Size()
	filled -= filled % size
	if filled == 0 {
		clear(dst)
		return t, nil
	}
	for from, to := filled-size, filled; to < len(dst); {
		// Each round copies all that already repeats.
		to += copy(dst[to:], dst[from:to])
	}
	return t, nil
}

// eachPacked calls f for each value of a packed repeated field.
func eachPacked(raw []byte, wire protowire.Type, f func(uint64)) bool {
	for len(raw) > 0 {
		var v uint64
		var n int
		switch wire {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(raw)
		case protowire.Fixed32Type:
			var w uint32
			w, n = protowire.ConsumeFixed32(raw)
			v = uint64(w)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(raw)
		default:
			return false
		}
		if n < 0 {
			return false
		}
		f(v)
		raw = raw[n:]
	}
	return true
}

// EncodeTensor writes t as a TensorProto in the form that TensorFlow's Python gives constants: one element and strings
// in the typed field, all else as tensor_content. The values of Resource and Variant tensors have no file form and are
// left out.
func EncodeTensor(t *tensor.Tensor) []byte {
	head, contents := encodeParts(t)
	return slices.Concat(head, contents)
}

// encodeParts returns the TensorProto in two parts: the second is the elements, shared with t, or empty.
func encodeParts(t *tensor.Tensor) (head, contents []byte) {
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldDType, protowire.VarintType), uint64(t.DType()))
	b = protowire.AppendBytes(protowire.AppendTag(b, fieldShape, protowire.BytesType), encodeShape(t.Shape().Partial()))
	for _, s := range t.Strings() {
		b = protowire.AppendString(protowire.AppendTag(b, fieldStrings, protowire.BytesType), s)
	}
	switch raw := t.Bytes(); {
	case len(raw) == 0:
	case t.Len() == 1:
		b = appendTyped(b, t.DType(), raw)
	default:
		return protowire.AppendVarint(protowire.AppendTag(b, fieldContent, protowire.BytesType), uint64(len(raw))), raw
	}
	return b, nil
}

// appendTyped appends elements to a TensorProto as its typed field.
func appendTyped(b []byte, dtype tensor.DType, raw []byte) []byte {
	f := typedFields[dtype]
	var packed []byte
	switch f.wire {
	case protowire.VarintType:
		for ; len(raw) > 0; raw = raw[f.perValue:] {
			packed = protowire.AppendVarint(packed, fieldValue(f, raw))
		}
	default: // fixed widths and bytes are little-endian as our memory is
		packed = raw
	}
	return protowire.AppendBytes(protowire.AppendTag(b, f.num, protowire.BytesType), packed)
}

func fieldValue(f typedField, raw []byte) uint64 {
	var v uint64
	switch f.perValue {
	case 1:
		v = uint64(raw[0])
	case 2:
		v = uint64(binary.LittleEndian.Uint16(raw))
	case 4:
		v = uint64(binary.LittleEndian.Uint32(raw))
	case 8:
		v = binary.LittleEndian.Uint64(raw)
	}
	if unused := 64 - 8*f.perValue; f.signed && unused > 0 {
		v = uint64(int64(v<<unused) >> unused)
	}
	return v
}

// decoded is a value that was decoded: held where the file spells it out, as it then takes little more than the file does, and
// as long as somebody has it where a few bytes stand for many elements, so that a file of such values does not fill the memory
// of a program that looks at one after another.
type decoded struct {
	spelt  *tensor.Tensor
	filled weak.Pointer[tensor.Tensor]
}

// fillHeld is the size up to which filled tensors are held too.
const fillHeld = 1 << 20

func newDecoded(t *tensor.Tensor, wire int) *decoded {
	if size := len(t.Bytes()) + 16*len(t.Strings()); size > fillHeld && size/16 > wire {
		return &decoded{filled: weak.Make(t)}
	}
	return &decoded{spelt: t}
}

// tensor returns the value, nil if it has gone.
func (d *decoded) tensor() *tensor.Tensor {
	switch {
	case d == nil:
		return nil
	case d.spelt != nil:
		return d.spelt
	}
	return d.filled.Value()
}

// Tensor decodes the tensor attribute of that name; the value of a Const is attr "value". It is decoded once and
// shared by all callers, who do not change it; a large one of equal elements again where no caller has it any more.
func (n *Node) Tensor(attr string) (*tensor.Tensor, error) {
	if attr == "value" {
		if t := n.value.Load().tensor(); t != nil {
			return t, nil
		}
	}
	a, ok := n.Attr(attr)
	if !ok {
		return nil, n.Errorf("has no attribute %q", attr)
	}
	if a.Kind() != KindTensor {
		return nil, n.Errorf("attribute %q holds no tensor", attr)
	}
	t, err := a.AsTensor()
	if err != nil {
		return nil, n.Errorf("attribute %q: %w", attr, err)
	}
	if attr == "value" && a.stored == nil {
		n.value.Store(newDecoded(t, len(a.wire)))
	}
	return t, nil
}
