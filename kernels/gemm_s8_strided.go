package kernels

// MatMulInt8Strided writes scale * (a x b), [m, n], to dst with row stride ldd. a is [m, k] with row stride
// lda; b is [k, n] with row stride ldb, or with transB [n, k] and used transposed. Sums are exact in int32
// and take one rounding to float32 and one for the scale. It is meant for operands that are both computed,
// as in attention; both are copied into scratch.
func (s *Set) MatMulInt8Strided(dst []float32, ldd int, a []int8, lda int, b []int8, ldb int, transB bool,
	m, n, k int, scale float32, scratch *Scratch) {
	s.LoadS8(&scratch.codes, a, m, k, lda)
	s.packComputed(&scratch.s8, &scratch.ones, b, k, n, ldb, transB)
	scratch.scale[0] = scale
	s.MatMulInt8(dst, ldd, &scratch.codes, &scratch.s8, scratch.scale[:], Epilogue{})
}
