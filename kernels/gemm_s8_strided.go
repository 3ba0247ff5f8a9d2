package kernels

import "unsafe"

// MatMulInt8Strided writes scale * (a x b), [a.M, n], to dst with row stride ldd. b is [a.K, n] with row stride
// ldb, or with transB [n, a.K] and used transposed. Sums are exact in int32 and take one rounding to float32
// and one for the scale. It is meant for operands that are both computed, as in attention; b is copied into
// scratch, or read in place where a has few rows.
func (s *Set) MatMulInt8Strided(dst []float32, ldd int, a *Codes, b []int8, ldb int, transB bool, n int, scale float32, scratch *Scratch) {
	if s.fewRows(a, transB) && n > 0 {
		const name = "MatMulInt8Strided"
		checkMatrix(name, "dst", len(dst), a.M, n, ldd)
		checkPacked(b, a.K, n, ldb, transB)
		a.multiplyFew(dst, ldd, b, ldb, transB, n, scale)
		return
	}
	s.packComputed(&scratch.s8, &scratch.ones, b, a.K, n, ldb, transB, a.needsSums())
	scratch.scale[0] = scale
	s.MatMulInt8(dst, ldd, a, &scratch.s8, scratch.scale[:], Epilogue{})
}

// mostFewRows is the most rows of a product that is not worth packing its right operand, measured on Zen 4.
const mostFewRows = 16

// fewRows reports whether the product of a and a computed operand reads that in place.
func (s *Set) fewRows(a *Codes, transB bool) bool {
	if s.tier != AVX512VNNI || a.tier != s.tier || a.M == 0 || a.M > mostFewRows || a.K == 0 {
		return false
	}
	if transB {
		return a.shift == 128 && a.K <= codeUnit // one vector holds a row
	}
	return a.shift == 0 && a.K <= maxFewDepth
}

const (
	// maxFewDepth bounds one assembly call, which does not split k.
	maxFewDepth = 1 << 12
	// fewColumns bounds it where it goes through the columns.
	fewColumns = 1 << 12
)

// multiplyFew is MatMulInt8Strided for what fewRows names.
func (c *Codes) multiplyFew(dst []float32, ldd int, b []int8, ldb int, transB bool, n int, scale float32) {
	from := unsafe.Pointer(unsafe.SliceData(b))
	for i := 0; i < c.M; i += 4 {
		rows, codes := min(4, c.M-i), &c.bytes[i*c.stride]
		if transB {
			for j := 0; j < n; j += fewColumns {
				fewTransposedVNNI(&dst[i*ldd+j], 4*ldd, codes, c.stride, (*byte)(unsafe.Add(from, j*ldb)), ldb,
					rows, min(fewColumns, n-j), lowBits(c.K), scale)
			}
			continue
		}
		for j := 0; j < n; j += codeUnit {
			fewRowsVNNI(&dst[i*ldd+j], 4*ldd, codes, c.stride, (*byte)(unsafe.Add(from, j)), ldb,
				rows, c.K, lowBits(min(codeUnit, n-j)), scale)
		}
	}
}

// lowBits returns a number whose n lowest bits are set, n being in 1..64.
func lowBits(n int) uint64 { return ^uint64(0) >> (64 - n) }
