package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// sumRange returns the range of the qint32 sum of codes of two ranges: headroom times the greatest magnitude.
func sumRange(loA, hiA, loB, hiB, headroom float32) float32 {
	return max(hiA, -loA, hiB, -loB) * headroom
}

// quantizedAddOp adds codes of two ranges with broadcasting: each is requantized to the output's range first.
func quantizedAddOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		loA, hiA, loB, hiB, err := operandRanges(c)
		if err != nil {
			return err
		}
		r := sumRange(loA, hiA, loB, hiB, 1<<14)
		scalarA := c.in(0).Len() == 1
		a := newAddend(loA, hiA, r, scalarA)
		b := newAddend(loB, hiB, r, !scalarA && c.in(1).Len() == 1)
		if err := eachPair(c, func(x, y int64) int32 { return a.convert(x) + b.convert(y) }); err != nil {
			return err
		}
		return setRange(c, 1, -r, r)
	}, nil
}

// addend is how quint8 codes become codes of the range ±r: by a whole number of new codes for each old one, as TensorFlow
// does, or exactly where one code is added to all of the other operand.
type addend struct {
	first, each int64 // code 0, and the difference between codes
	exact       bool
	lo, hi, r   float32
}

func newAddend(lo, hi, r float32, exact bool) addend {
	code := func(q int64) int64 {
		return int64(valueCode(codeValue(q, lo, hi, tensor.Quint8), -r, r, tensor.Qint32))
	}
	a := addend{exact: exact, lo: lo, hi: hi, r: r, first: code(0)}
	a.each = code(1) - a.first
	return a
}

func (a *addend) convert(q int64) int32 {
	if a.exact {
		return int32(clampedCode(codeValue(q, a.lo, a.hi, tensor.Quint8), -a.r, a.r, tensor.Qint32))
	}
	return int32(a.first + q*a.each)
}

// quantizedMulOp multiplies codes of two ranges with broadcasting, each less the code of 0.
func quantizedMulOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		loA, hiA, loB, hiB, err := operandRanges(c)
		if err != nil {
			return err
		}
		za, err := zeroPoint(loA, hiA)
		if err != nil {
			return err
		}
		zb, err := zeroPoint(loB, hiB)
		if err != nil {
			return err
		}
		err = eachPair(c, func(a, b int64) int32 { return (int32(a) - za) * (int32(b) - zb) })
		if err != nil {
			return err
		}
		lo, hi := productRange((hiA-loA)/255, (hiB-loB)/255)
		return setRange(c, 1, lo, hi)
	}, nil
}

// operandRanges returns the ranges of the quint8 operands, inputs 2 to 5.
func operandRanges(c *call) (loA, hiA, loB, hiB float32, err error) {
	for i := range 2 {
		if err = wantInput(c, i, tensor.Quint8); err != nil {
			return
		}
	}
	if loA, hiA, err = rangeOf(c, 2); err == nil {
		loB, hiB, err = rangeOf(c, 4)
	}
	return
}

// eachPair sets output 0, qint32, to f of each pair of elements of inputs 0 and 1, broadcast.
func eachPair(c *call, f func(a, b int64) int32) error {
	a, b := c.in(0), c.in(1)
	shape, err := tensor.Broadcast(a.Shape(), b.Shape())
	if err != nil {
		return err
	}
	t, err := c.alloc(0, tensor.Qint32, shape)
	if err != nil {
		return err
	}
	x, y, dst := intsOf(a), intsOf(b), tensor.Data[int32](t)
	walkBatch(shape, a.Shape(), b.Shape(), func(i, ia, ib int) { dst[i] = f(x(ia), y(ib)) })
	return nil
}

// quantizedBiasAddOp adds a vector of codes along the last dimension; both go to the output's range in float32.
func quantizedBiasAddOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		loA, hiA, loB, hiB, err := operandRanges(c)
		if err != nil {
			return err
		}
		x, b := c.in(0), c.in(1)
		if x.Rank() == 0 || b.Rank() != 1 || b.Len() != x.Shape()[x.Rank()-1] {
			return fmt.Errorf("bias has shape %v, want one value for each element of the last dimension of the input %v", b.Shape(), x.Shape())
		}
		t, err := c.alloc(0, tensor.Qint32, x.Shape())
		if err != nil {
			return err
		}
		r := sumRange(loA, hiA, loB, hiB, 1<<17)
		to := quantizer{mode: "MIN_FIRST", dtype: tensor.Qint32}
		dst, bias := tensor.Data[int32](t), make([]int32, b.Len())
		convertRange(c, to, dst, x, loA, hiA, -r, r)
		convertRange(c, to, bias, b, loB, hiB, -r, r)
		for i := range dst {
			dst[i] += bias[i%len(bias)]
		}
		return setRange(c, 1, -r, r)
	}, nil
}

// convertRange writes the codes x of the range lo..hi as codes of the range newLo..newHi: through float32 in mode MIN_FIRST.
func convertRange[T int8 | uint8 | int16 | uint16 | int32](c *call, to quantizer, dst []T, x *tensor.Tensor, lo, hi, newLo, newHi float32) {
	from := dequantizer{mode: "MIN_FIRST", in: x.DType()}
	c.s.product = growFloats(c.s.product, x.Len())
	from.convert(c.kernels(), c.s.product, x, 0, from.mapping(lo, hi))
	convertCodes(to, dst, c.s.product, to.minFirst(newLo, newHi))
}

// quantizedReluOp limits codes from below by the code of 0, and from above by that of 6 (QuantizedRelu6) or of input 1
// (QuantizedReluX). The range stays.
func quantizedReluOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	limited := n.Op() != "QuantizedRelu"
	ranges := 1
	if n.Op() == "QuantizedReluX" {
		ranges = 2
	}
	return func(c *call) error {
		x := c.in(0)
		if !x.DType().IsQuantized() {
			return fmt.Errorf("input is %v, want a quantized type", x.DType())
		}
		lo, hi, err := rangeOf(c, ranges)
		if err != nil {
			return err
		}
		limit := float32(6)
		if ranges == 2 {
			if limit, err = floatInput(c, 1); err != nil {
				return err
			}
		}
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil {
			return err
		}
		bottom, top := clampedCode(0, lo, hi, x.DType()), clampedCode(limit, lo, hi, x.DType())
		in := intsOf(x)
		for i := range x.Len() {
			q := max(in(i), bottom)
			if limited {
				q = min(q, top)
			}
			setInt(t, i, q)
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

// quantizedReshapeOp reshapes codes; the range goes along.
func quantizedReshapeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		x := c.in(0)
		lo, hi, err := rangeOf(c, 2)
		if err != nil {
			return err
		}
		var dims [8]int
		shape, err := c.reshapeTo(dims[:0], x.Len(), 1)
		if err != nil {
			return err
		}
		c.view(0, 0, x.DType(), shape)
		return setRange(c, 1, lo, hi)
	}, nil
}

// quantizedConcatOp joins codes of several ranges: those whose range is not the common one are converted to it. The common
// range holds all and 0, and is symmetric where codes are signed.
func quantizedConcatOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	num, d := int(r.Int("N")), r.Type("T")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if num < 1 || n.NumInputs() != 3*num+1 || !d.IsQuantized() {
		return nil, fmt.Errorf("has %d inputs of %v, want %d of a quantized type", n.NumInputs(), d, 3*num+1)
	}
	first, axisAt := 1, 0
	if n.Op() == "QuantizedConcatV2" {
		first, axisAt = 0, num
	}
	return func(c *call) error {
		var lo, hi float32
		for i := range num {
			l, err := floatInput(c, num+1+i)
			if err != nil {
				return err
			}
			h, err := floatInput(c, 2*num+1+i)
			if err != nil {
				return err
			}
			lo = min(lo, l)
			if i == 0 {
				hi = h
			}
			hi = max(hi, h)
		}
		if bottom, _ := codeLimits(d); bottom < 0 {
			hi = max(abs32(lo), abs32(hi))
			lo = -hi
		}
		axis, err := scalarIndex(c.in(axisAt), "axis")
		if err != nil {
			return err
		}
		if err := concatCodes(c, first, num, axis, d, lo, hi); err != nil {
			return err
		}
		return setRange(c, 1, lo, hi)
	}, nil
}

// concatCodes sets output 0 to inputs first, first+1, …, joined along axis, in codes of the range lo..hi.
func concatCodes(c *call, first, num, axis int, d tensor.DType, lo, hi float32) error {
	x := c.in(first)
	if axis < 0 {
		axis += x.Rank()
	}
	if axis < 0 || axis >= x.Rank() {
		return fmt.Errorf("axis is %d, want a dimension of %v", axis, x.Shape())
	}
	shape := x.Shape().Clone()
	for i := 1; i < num; i++ {
		s := c.in(first + i).Shape()
		if len(s) != len(shape) || !slices.Equal(s[:axis], shape[:axis]) || !slices.Equal(s[axis+1:], shape[axis+1:]) {
			return fmt.Errorf("input %d is %v beside %v, want equal dimensions except for axis %d", first+i, s, x.Shape(), axis)
		}
		shape[axis] += s[axis]
	}
	t, err := c.alloc(0, d, shape)
	if err != nil {
		return err
	}
	inner := shape[axis+1:].Elements() * d.Size()
	stride, at := shape[axis]*inner, 0
	for i := range num {
		in := c.in(first + i)
		if in.DType() != d {
			return fmt.Errorf("input %d is %v, want %v", first+i, in.DType(), d)
		}
		l, _ := floatInput(c, num+1+i)
		h, _ := floatInput(c, 2*num+1+i)
		src := in.Bytes()
		if l != lo || h != hi {
			src = convertedCodes(c, in, l, h, lo, hi)
		}
		width := in.Shape()[axis] * inner
		for o := 0; o*width < len(src); o++ {
			copy(t.Bytes()[o*stride+at:][:width], src[o*width:])
		}
		at += width
	}
	return nil
}

// convertedCodes returns the elements of x in codes of the range newLo..newHi.
func convertedCodes(c *call, x *tensor.Tensor, lo, hi, newLo, newHi float32) []byte {
	t := tensor.New(x.DType(), x.Shape())
	to := quantizer{mode: "MIN_FIRST", dtype: x.DType()}
	switch x.DType() {
	case tensor.Qint8:
		convertRange(c, to, tensor.Data[int8](t), x, lo, hi, newLo, newHi)
	case tensor.Quint8:
		convertRange(c, to, tensor.Data[uint8](t), x, lo, hi, newLo, newHi)
	case tensor.Qint16:
		convertRange(c, to, tensor.Data[int16](t), x, lo, hi, newLo, newHi)
	case tensor.Quint16:
		convertRange(c, to, tensor.Data[uint16](t), x, lo, hi, newLo, newHi)
	case tensor.Qint32:
		convertRange(c, to, tensor.Data[int32](t), x, lo, hi, newLo, newHi)
	}
	return t.Bytes()
}
