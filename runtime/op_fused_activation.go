package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/kernels"
)

// activation is a function that fused nodes name among their fused_ops, in place on float32.
type activation func(k *kernels.Set, x []float32)

// activations are the ones without parameters.
var activations = map[string]activation{
	"Relu":            func(k *kernels.Set, x []float32) { k.Relu(x, x) },
	"Relu6":           func(_ *kernels.Set, x []float32) { relu6(x) },
	"Elu":             func(_ *kernels.Set, x []float32) { elu(x) },
	"Tanh":            func(k *kernels.Set, x []float32) { k.Tanh(x, x) },
	"Sigmoid":         func(k *kernels.Set, x []float32) { k.Sigmoid(x, x) },
	"GeluExact":       func(k *kernels.Set, x []float32) { k.GeluErf(x, x) },
	"GeluApproximate": func(k *kernels.Set, x []float32) { k.GeluTanh(x, x) },
}

// newActivation returns the function of the given name; alpha is the slope of LeakyRelu.
func newActivation(name string, alpha float32) (activation, error) {
	if name == "LeakyRelu" {
		return func(_ *kernels.Set, x []float32) {
			for i, v := range x {
				if v < 0 {
					x[i] = v * alpha
				}
			}
		}, nil
	}
	if a := activations[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("fused_ops has %q, want one of Relu, Relu6, LeakyRelu, Elu, Tanh, Sigmoid, GeluExact, GeluApproximate", name)
}

func relu6(x []float32) {
	for i, v := range x {
		if v < 0 {
			x[i] = 0
		} else if v > 6 {
			x[i] = 6
		}
	}
}

func elu(x []float32) {
	for i, v := range x {
		if v < 0 {
			x[i] = float32(math.Expm1(float64(v)))
		}
	}
}
