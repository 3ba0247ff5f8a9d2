package kernels

import "unsafe"

// Scratch holds the buffers that strided products need, of one session. The zero value is ready; buffers
// only grow; a Scratch serves one goroutine at a time.
type Scratch struct {
	f32   []float32 // b transposed, in panels
	bits  []uint64  // of sparse tiles, as
	sums  []float32
	s8    PackedS8 // b
	ones  Codes    // a row of ones, which gives column sums
	scale [1]float32
	soon  [2]uintptr // addresses that Soon was given, 0 for none: nothing is read there
}

// Soon names what is read after the next strided product, both laid out as the b of that is. While it goes over b, it asks for them,
// into the first cache, if it goes over b once. In attention, these are the values of a head and the keys of the next.
func (s *Scratch) Soon(values, keys []byte) {
	s.soon = [2]uintptr{uintptr(unsafe.Pointer(unsafe.SliceData(values))), uintptr(unsafe.Pointer(unsafe.SliceData(keys)))}
}

// MatMulF32Strided writes a x b, [m, n], to dst with row stride ldd. a is [m, k] with row stride lda; b is
// [k, n] with row stride ldb, or with transB [n, k] with row stride ldb and used transposed. It is meant
// for operands that are both computed, as in attention: b is read in place, or transposed, into scratch or on the way.
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
	soon := scratch.soon
	scratch.soon = [2]uintptr{}
	if m == 0 || n == 0 {
		return
	}
	if s.tier == Portable {
		stridedF32Portable(dst, ldd, a, lda, b, ldb, transB, m, n, k)
		return
	}
	if transB && s.tier == AVX512VNNI && m <= mostFewRowsF32 && k > 0 && k%16 == 0 {
		multiplyFewF32(dst, ldd, a, lda, b, ldb, m, n, k, soon)
		return
	}
	tier := s.tier
	if transB && n <= 16 && m <= 6 {
		// Columns that were just transposed by 256-bit stores would have to wait as 512-bit loads.
		tier = AVX2
	}
	t := tile{
		a: unsafe.Pointer(unsafe.SliceData(a)), lda: 4 * lda,
		b: unsafe.Pointer(unsafe.SliceData(b)), bStep: 4 * ldb, k: k,
		dst: unsafe.Pointer(unsafe.SliceData(dst)), ldd: 4 * ldd,
	}
	if !transB {
		kind := tilesF32AVX2Strided
		if tier == AVX512VNNI {
			kind = tilesF32AVX512Strided
		}
		t.run(kind, m, n, 4*tier.panelWidth())
		return
	}
	width := tier.panelWidth()
	scratch.f32 = grow(scratch.f32, roundUp(n, width)*k)
	for j := 0; j < n && k > 0; j += width {
		s.transpose(scratch.f32[j*k:(j+width)*k], width, b[j*ldb:], ldb, min(width, n-j), k)
	}
	t.b = unsafe.Pointer(unsafe.SliceData(scratch.f32))
	t.run(tier.tilesF32(), m, n, 4*k*width)
}

// mostFewRowsF32 is the most rows of a for which b is better transposed in registers, four rows at a time, than once in memory.
// Measured on Zen 4.
const mostFewRowsF32 = 8

// multiplyFewF32 is MatMulF32Strided for b transposed and few rows; soon is what is read after it.
func multiplyFewF32(dst []float32, ldd int, a []float32, lda int, b []float32, ldb, m, n, k int, soon [2]uintptr) {
	first, second := distance(uintptr(unsafe.Pointer(&b[0])), soon[0]), distance(soon[0], soon[1])
	pieces := max(16, fewColumns*codeUnit/k&^15) // of n: one assembly call is bounded
	for i := 0; i < m; i += 4 {
		for j := 0; j < n; j += pieces {
			fewTransposedF32(&dst[i*ldd+j], 4*ldd, &a[i*lda], 4*lda, &b[j*ldb], 4*ldb, min(4, m-i), min(pieces, n-j), k, first, second)
		}
	}
}

// distance returns how far it is from one address to another, 0 where there is no other.
func distance(from, to uintptr) int {
	if to == 0 {
		return 0
	}
	return int(to - from)
}

// transpose writes the transpose of src, [rows, cols] with row stride lds, to dst with row stride ldd, which
// must have room for rows rounded up to 8.
func (s *Set) transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if s.transposes(cols) && rows > 0 {
		transpose32(unsafe.Pointer(&dst[0]), 4*ldd, unsafe.Pointer(&src[0]), 4*lds, rows, cols)
		return
	}
	for i := range rows {
		for j, v := range src[min(i*lds, len(src)):][:cols] {
			dst[j*ldd+i] = v
		}
	}
}

// transposes reports whether transpose32 does so few columns.
func (s *Set) transposes(cols int) bool { return s.tier != Portable && cols >= 8 }

// transpose32 is transpose for any elements of 4 bytes, in assembly; strides are in bytes.
func transpose32(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, rows, cols int) {
	// Pieces of some microseconds: assembly cannot be preempted. The last one has 8 columns at least.
	const piece, least = 1 << 10, 8
	for j := 0; j < cols; j += piece {
		j = min(j, cols-least)
		n := min(piece, cols-j)
		transposeAVX2((*byte)(unsafe.Add(dst, j*ldd)), ldd, (*byte)(unsafe.Add(src, 4*j)), lds, rows, n)
	}
}

// stridedF32Portable is the definition of MatMulF32Strided.
func stridedF32Portable(dst []float32, ldd int, a []float32, lda int, b []float32, ldb int, transB bool, m, n, k int) {
	for i := range m {
		row := a[min(i*lda, len(a)):][:k]
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
