package kernels

// MatMulInt8Strided writes scale * (a x b), [a.M, n], to dst with row stride ldd. b is [a.K, n] with row stride
// ldb, or with transB [n, a.K] and used transposed. Sums are exact in int32 and take one rounding to float32
// and one for the scale. It is meant for operands that are both computed, as in attention; b is copied into
// scratch.
func (s *Set) MatMulInt8Strided(dst []float32, ldd int, a *Codes, b []int8, ldb int, transB bool, n int, scale float32, scratch *Scratch) {
	s.packComputed(&scratch.s8, &scratch.ones, b, a.K, n, ldb, transB, a.needsSums())
	scratch.scale[0] = scale
	s.MatMulInt8(dst, ldd, a, &scratch.s8, scratch.scale[:], Epilogue{})
}
