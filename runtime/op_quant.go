package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// quantOps convert between real numbers and codes and compute on codes.
var quantOps = map[string]evaluator{
	"QuantizeV2":       quantizeOp,
	"Dequantize":       dequantizeOp,
	"_QuantizedMatMul": fusedQuantizedMatMulOp,
	"QuantizedMatMul":  quantizedMatMulOp,

	"QuantizedMatMulWithBias":                     withBiasOp,
	"QuantizedMatMulWithBiasAndRelu":              withBiasOp,
	"QuantizedMatMulWithBiasAndDequantize":        withBiasOp,
	"QuantizedMatMulWithBiasAndRequantize":        withBiasOp,
	"QuantizedMatMulWithBiasAndReluAndRequantize": withBiasOp,

	"QuantizeAndDequantizeV2":           quantizeAndDequantizeOp,
	"QuantizeAndDequantizeV3":           quantizeAndDequantizeOp,
	"QuantizeAndDequantizeV4":           quantizeAndDequantizeOp,
	"FakeQuantWithMinMaxArgs":           fakeQuantOp,
	"FakeQuantWithMinMaxVars":           fakeQuantOp,
	"FakeQuantWithMinMaxVarsPerChannel": fakeQuantOp,

	"Requantize":                    requantizeOp,
	"QuantizeDownAndShrinkRange":    requantizeOp,
	"RequantizationRange":           requantizationRangeOp,
	"RequantizePerChannel":          requantizePerChannelOp,
	"RequantizationRangePerChannel": requantizationRangePerChannelOp,

	"QuantizedAdd":      quantizedAddOp,
	"QuantizedMul":      quantizedMulOp,
	"QuantizedBiasAdd":  quantizedBiasAddOp,
	"QuantizedRelu":     quantizedReluOp,
	"QuantizedRelu6":    quantizedReluOp,
	"QuantizedReluX":    quantizedReluOp,
	"QuantizedReshape":  quantizedReshapeOp,
	"QuantizedConcat":   quantizedConcatOp,
	"QuantizedConcatV2": quantizedConcatOp,
	"QuantizedConv2D":   quantizedConv2DOp,
	"QuantizedMaxPool":  quantizedPoolOp,
	"QuantizedAvgPool":  quantizedPoolOp,

	"UniformQuantize":     uniformQuantizeOp,
	"UniformDequantize":   uniformDequantizeOp,
	"UniformRequantize":   uniformRequantizeOp,
	"UniformQuantizedDot": uniformDotOp,
}

// rangeOf returns the least and greatest real value that inputs i and i+1 give as one float each.
func rangeOf(c *call, i int) (lo, hi float32, err error) {
	if lo, err = floatInput(c, i); err == nil {
		hi, err = floatInput(c, i+1)
	}
	return lo, hi, err
}

// floatInput returns the value of input i, a float32 of one element.
func floatInput(c *call, i int) (float32, error) {
	t := c.in(i)
	if t.DType() != tensor.Float32 || t.Len() != 1 {
		return 0, fmt.Errorf("input %d is %v %v, want a float of one element", i, t.DType(), t.Shape())
	}
	return tensor.Data[float32](t)[0], nil
}

// channelRanges returns the ranges of the n slices of an axis: inputs i and i+1, n floats each.
func channelRanges(c *call, i, n int) (lo, hi []float32, err error) {
	for k, v := range []*[]float32{&lo, &hi} {
		t := c.in(i + k)
		if t.DType() != tensor.Float32 || t.Len() != n {
			return nil, nil, fmt.Errorf("input %d is %v %v, want float [%d]", i+k, t.DType(), t.Shape(), n)
		}
		*v = tensor.Data[float32](t)
	}
	return lo, hi, nil
}

// setRange makes outputs i and i+1 the scalars lo and hi.
func setRange(c *call, i int, lo, hi float32) error {
	if err := setScalar(c, i, lo); err != nil {
		return err
	}
	return setScalar(c, i+1, hi)
}

func setScalar(c *call, i int, v float32) error {
	t, err := c.alloc(i, tensor.Float32, nil)
	if err != nil {
		return err
	}
	tensor.Data[float32](t)[0] = v
	return nil
}

// wantInput checks the dtype of input i.
func wantInput(c *call, i int, d tensor.DType) error {
	if t := c.in(i); t.DType() != d {
		return fmt.Errorf("input %d is %v, want %v", i, t.DType(), d)
	}
	return nil
}

// axisSizes splits shape at axis into the elements before, the length of the axis and the elements after it. Axis -1 stands
// for the whole tensor as one slice.
func axisSizes(shape tensor.Shape, axis int) (outer, length, inner int, err error) {
	if axis == -1 {
		return 1, 1, shape.Elements(), nil
	}
	if axis < 0 || axis >= len(shape) {
		return 0, 0, 0, fmt.Errorf("axis %d, want -1 or a dimension of the input %v", axis, shape)
	}
	return shape[:axis].Elements(), shape[axis], shape[axis+1:].Elements(), nil
}
