package runtime

import (
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// quint8s returns a quint8 tensor with the given codes.
func quint8s(shape tensor.Shape, v ...uint8) *tensor.Tensor {
	return tensor.FromTyped(tensor.Quint8, shape, v)
}

// TestQuantizedWindows: where a window leaves the image, a convolution adds nothing and a pooling takes fewer codes.
func TestQuantizedWindows(t *testing.T) {
	window := func(padding string, stride int64, ksize ...int64) map[string]graphdef.Attr {
		a := map[string]graphdef.Attr{"padding": graphdef.StringAttr(padding), "strides": graphdef.IntsAttr(1, stride, stride, 1)}
		if len(ksize) > 0 {
			a["ksize"] = graphdef.IntsAttr(ksize...)
		}
		return a
	}
	x := quint8s(tensor.Shape{1, 3, 3, 1}, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	ones := quint8s(tensor.Shape{2, 2, 1, 1}, 1, 1, 1, 1)
	lo, hi := tensor.Scalar[float32](0), tensor.Scalar[float32](255)
	for _, c := range []struct {
		name, op string
		attrs    map[string]graphdef.Attr
		inputs   []*tensor.Tensor
		want     []int64 // nil: an error
	}{
		{"conv valid", "QuantizedConv2D", window("VALID", 1), list(x, ones, lo, hi, lo, hi), []int64{12, 16, 24, 28}},
		{"conv same", "QuantizedConv2D", window("SAME", 2), list(x, ones, lo, hi, lo, hi), []int64{12, 9, 15, 9}},
		{"conv of another depth", "QuantizedConv2D", window("SAME", 1), list(x, quint8s(tensor.Shape{1, 1, 2, 1}, 1, 1), lo, hi, lo, hi), nil},
		{"conv larger than the image", "QuantizedConv2D", window("VALID", 1), list(quint8s(tensor.Shape{1, 1, 1, 1}, 1), ones, lo, hi, lo, hi), nil},
		{"conv over the depth", "QuantizedConv2D", map[string]graphdef.Attr{"padding": graphdef.StringAttr("SAME"), "strides": graphdef.IntsAttr(1, 1, 1, 2)}, list(x, ones, lo, hi, lo, hi), nil},
		{"max same", "QuantizedMaxPool", window("SAME", 2, 1, 2, 2, 1), list(x, lo, hi), []int64{5, 6, 8, 9}},
		{"mean same", "QuantizedAvgPool", window("SAME", 2, 1, 2, 2, 1), list(x, lo, hi), []int64{3, 4, 7, 9}},
		{"no stride", "QuantizedMaxPool", window("SAME", 0, 1, 2, 2, 1), list(x, lo, hi), nil},
		{"unknown padding", "QuantizedMaxPool", window("EXPLICIT", 1, 1, 2, 2, 1), list(x, lo, hi), nil},
		{"range of two", "QuantizedMaxPool", window("SAME", 1, 1, 2, 2, 1), list(x, vec[float32](0, 1), hi), nil},
	} {
		got, err := runNode(t, c.op, c.attrs, c.inputs...)
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		for i, want := range c.want {
			if at := intsOf(got[0]); at(i) != want {
				t.Errorf("%s: element %d is %d, want %d", c.name, i, at(i), want)
			}
		}
	}
}
