package runtime

import (
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// cumulativeOps give for each element what the elements up to it along a dimension fold to.
var cumulativeOps = map[string]evaluator{
	"Cumprod":             cumulativeOp,
	"Cumsum":              cumulativeOp,
	"CumulativeLogsumexp": cumulativeOp,
}

// cumulative folds the n elements of x that start at place at and are stride apart, one after the other, into t; exclusive
// leaves each out of its own result. stride is negative where the last element is the first to be folded.
type cumulative func(t, x *tensor.Tensor, at, n, stride int, exclusive bool)

func cumulativeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := operandType(n)
	if err != nil {
		return nil, err
	}
	r := n.AttrReader()
	exclusive, reverse := r.Bool("exclusive"), r.Bool("reverse")
	if err := r.Err(); err != nil {
		return nil, err
	}
	run := cumulativeOf(n.Op(), d)
	if run == nil {
		return nil, noKernel(d)
	}
	return func(c *call) error {
		x := c.in(0)
		axis, err := scalarInt(c.in(1), "axis")
		if err != nil {
			return err
		}
		if axis, err = resolveAxis(axis, x.Rank(), "axis"); err != nil {
			return err
		}
		t, err := c.allocOver(0, d, x.Shape(), 1)
		if err != nil || t.Len() == 0 {
			return err
		}
		n, inner := x.Shape()[axis], x.Shape()[axis+1:].Elements()
		first, stride := 0, inner
		if reverse {
			first, stride = (n-1)*inner, -inner
		}
		for i := range x.Len() / n {
			run(t, x, i/inner*n*inner+i%inner+first, n, stride, exclusive)
		}
		return nil
	}, nil
}

// cumulativeOf returns op for dtype d, nil if there is none. The running value has dtype d: it is rounded at each element.
func cumulativeOf(op string, d tensor.DType) cumulative {
	switch d {
	case tensor.Float32:
		if op == "CumulativeLogsumexp" {
			return cumulate(float32(math.Inf(-1)), func(a, b float32) float32 { return float32(logAddExp(float64(a), float64(b))) })
		}
		return cumulateNumbers[float32](op)
	case tensor.Float64:
		if op == "CumulativeLogsumexp" {
			return cumulate(math.Inf(-1), logAddExp)
		}
		return cumulateNumbers[float64](op)
	case tensor.Float16:
		return cumulateHalves(op, halfToFloat, floatToHalf)
	case tensor.Bfloat16:
		return cumulateHalves(op, bfloatToFloat, floatToBfloat)
	case tensor.Complex64:
		return cumulateNumbers[complex64](op)
	case tensor.Complex128:
		return cumulateNumbers[complex128](op)
	}
	if !d.IsInteger() {
		return nil
	}
	switch d.Size() { // sums and products wrap, so the sign does not matter
	case 1:
		return cumulateNumbers[uint8](op)
	case 2:
		return cumulateNumbers[uint16](op)
	case 4:
		return cumulateNumbers[uint32](op)
	}
	return cumulateNumbers[uint64](op)
}

func cumulateNumbers[T number | complex64 | complex128](op string) cumulative {
	switch op {
	case "Cumsum":
		return cumulate(0, func(a, b T) T { return a + b })
	case "Cumprod":
		return cumulate(1, func(a, b T) T { return a * b })
	}
	return nil
}

func cumulateHalves(op string, widen func(uint16) float32, narrow func(float32) uint16) cumulative {
	f, start := func(a, b float32) float32 { return a + b }, float32(0)
	switch op {
	case "Cumprod":
		f, start = func(a, b float32) float32 { return a * b }, 1
	case "CumulativeLogsumexp":
		f, start = func(a, b float32) float32 { return float32(logAddExp(float64(a), float64(b))) }, float32(math.Inf(-1))
	}
	return cumulate(narrow(start), func(a, b uint16) uint16 { return narrow(f(widen(a), widen(b))) })
}

func cumulate[T tensor.Element](start T, f func(acc, x T) T) cumulative {
	return func(t, x *tensor.Tensor, at, n, stride int, exclusive bool) {
		dst, src, acc := tensor.Data[T](t), tensor.Data[T](x), start
		for range n {
			next := f(acc, src[at])
			if exclusive {
				dst[at] = acc
			} else {
				dst[at] = next
			}
			acc = next
			at += stride
		}
	}
}

// logAddExp is log(e^a + e^b). Of an element b that is NaN it takes a in its place, as TensorFlow.
func logAddExp(a, b float64) float64 {
	hi, lo := a, a
	if a < b {
		hi = b
	} else if b < a {
		lo = b
	}
	if math.IsInf(hi, 0) {
		return hi
	}
	return hi + math.Log1p(math.Exp(lo-hi))
}
