// Package kernels has the matrix products and vector functions that the interpreter spends its time in: plain
// Go as the definition, and AVX2, AVX-VNNI and AVX512-VNNI assembly that returns the same bits. It takes slices and
// ints and knows nothing of tensors or graphs.
//
// A [Set] is the kernels of one [Tier]. Constant right operands are packed once ([PackedF32], [PackedS8]);
// quantized activations are [Codes], which several products may share:
//
//	s := kernels.For(kernels.Best())
//	w := s.PackS8(weights, k, n, n, false)
//	s.Quantize(&codes, x, m, k, k, kernels.Quantization{Scale: 127 / limit, Lo: -limit, Hi: limit})
//	s.MatMulInt8(y, n, &codes, w, scale, kernels.Epilogue{Bias: bias, Act: kernels.ActRelu})
//
// An element of a product is one sum over ascending k, of fused multiply-adds in float32 or exact in int32:
// a row's result depends neither on the number of rows nor on the tier.
//
// Kernels do not check values and do not split work over threads. They panic when a slice is shorter than
// its shape: that is a mistake of the caller, not of a model. The package makes no promise of compatibility.
//
// The assembly is written by the programs in _gen: go generate ./kernels.
package kernels
