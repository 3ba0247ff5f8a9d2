package kernels

// Scratch holds the buffers that strided products need, of one session. The zero value is ready; buffers
// only grow; a Scratch serves one goroutine at a time.
type Scratch struct {
	f32   []float32
	codes Codes
	s8    PackedS8
}

// MatMulF32Strided writes a x b, [m, n], to dst with row stride ldd. a is [m, k] with row stride lda; b is
// [k, n] with row stride ldb, or with transB [n, k] with row stride ldb and used transposed. It is meant
// for operands that are both computed, as in attention: b is read in place, or transposed into scratch.
// Sums are those of MatMulF32, bit for bit. dst must not overlap a or b.
func (s *Set) MatMulF32Strided(dst []float32, ldd int, a []float32, lda int, b []float32, ldb int, transB bool,
	m, n, k int, scratch *Scratch) {
	const name = "MatMulF32Strided"
	checkMatrix(name, "dst", len(dst), m, n, ldd)
	checkMatrix(name, "a", len(a), m, k, lda)
	if transB {
		checkMatrix(name, "b", len(b), n, k, ldb)
	} else {
		checkMatrix(name, "b", len(b), k, n, ldb)
	}
	if m == 0 || n == 0 {
		return
	}
	for i := range m {
		row := a[i*lda:][:k]
		for j := range n {
			var acc float32
			if transB {
				for p, y := range b[j*ldb:][:k] {
					acc = fma32(row[p], y, acc)
				}
			} else {
				for p, x := range row {
					acc = fma32(x, b[p*ldb+j], acc)
				}
			}
			dst[i*ldd+j] = acc
		}
	}
}
