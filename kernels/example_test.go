package kernels_test

import (
	"fmt"

	"github.com/tfq8/tfq8/kernels"
)

// A dense layer with 8-bit weights and activations.
func ExampleSet_MatMulInt8() {
	x := []float32{0.5, -1, 2, 0.25} // [2, 2]
	weights := []int8{100, -50, 25, 127, 3, -128}

	s := kernels.For(kernels.Best())
	w := s.PackS8(weights, 2, 3, 3, false)
	var codes kernels.Codes
	s.Quantize(&codes, x, 2, 2, 2, kernels.Quantization{Scale: 64, Lo: -2, Hi: 127.0 / 64})
	y := make([]float32, 2*3)
	// Weights are in units of 1/128, activations in units of 1/64.
	s.MatMulInt8(y, 3, &codes, w, []float32{1.0 / 128 / 64}, kernels.Epilogue{Act: kernels.ActRelu})
	fmt.Println(y)
	// Output: [0 0 1.0976562 1.7983398 0 0.13757324]
}
