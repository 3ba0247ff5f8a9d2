package kernels

import (
	"fmt"
	"sync"
	"unsafe"
)

// PackedF32 is a constant right operand [K, N] in the layout of one tier: panels of that tier's width, each
// with its rows one after the other; what fills the last one is never stored. It is immutable and may be
// shared by any number of products.
type PackedF32 struct {
	K, N int

	tier Tier
	data []float32 // [panel][K][width], 64-byte aligned

	bounds sync.Once // guards what follows, which few products need
	finite bool
	least  float32 // magnitude of an element that is not 0
}

// panelWidth is the number of columns of one packed panel: one cache line of float32 for ymm (a wider one
// would touch every fourth line only and use a quarter of the L1 sets), four for zmm.
func (t Tier) panelWidth() int {
	if t == AVX512VNNI {
		return 64
	}
	return 16
}

// tilesF32 are the tiles that read packed float32 panels.
func (t Tier) tilesF32() tileKind {
	if t == AVX512VNNI {
		return tilesF32AVX512
	}
	return tilesF32AVX2
}

// PackF32 packs b, [k, n] with row stride ldb, or with transB its transpose, [n, k] with row stride ldb.
func (s *Set) PackF32(b []float32, k, n, ldb int, transB bool) *PackedF32 {
	if transB {
		checkMatrix("PackF32", "b", len(b), n, k, ldb)
	} else {
		checkMatrix("PackF32", "b", len(b), k, n, ldb)
	}
	width := s.tier.panelWidth()
	w := &PackedF32{K: k, N: n, tier: s.tier, data: place[float32](&s.weights, roundUp(n, width)*k)}
	for j0 := 0; j0 < n; j0 += width {
		panel := w.data[j0*k : (j0+width)*k]
		cols := min(width, n-j0)
		if transB {
			s.transpose(panel, width, b[min(j0*ldb, len(b)):], ldb, cols, k)
			continue
		}
		for i := range k {
			copy(panel[i*width:][:cols], b[i*ldb+j0:])
		}
	}
	return w
}

// MatMulF32 writes a x w, [m, w.N], to dst with row stride ldd, finished by ep; a is [m, w.K] with row
// stride lda and must not overlap dst.
//
// An element is the sum over ascending k of fused multiply-adds in float32, from +0, whatever m is: equal
// on all tiers bit for bit (except for the payload of NaNs).
func (s *Set) MatMulF32(dst []float32, ldd int, a []float32, lda, m int, w *PackedF32, ep Epilogue) {
	w.check("MatMulF32", s, dst, ldd, a, lda, m, &ep)
	if m == 0 || w.N == 0 {
		return
	}
	if s.tier == Portable {
		matMulF32Portable(dst, ldd, a, lda, m, w, &ep)
		return
	}
	t := w.tile(dst, ldd, a, lda, &ep)
	t.run(s.tier.tilesF32(), m, w.N, w.panelBytes())
}

// check panics unless the operands of a product of name fit.
func (w *PackedF32) check(name string, s *Set, dst []float32, ldd int, a []float32, lda, m int, ep *Epilogue) {
	if w.tier != s.tier {
		panic(fmt.Sprintf("kernels: %s: weights are packed for %s, want %s", name, w.tier, s.tier))
	}
	checkMatrix(name, "dst", len(dst), m, w.N, ldd)
	checkMatrix(name, "a", len(a), m, w.K, lda)
	ep.check(name, m, w.N)
}

// tile returns the arguments of a whole product.
func (w *PackedF32) tile(dst []float32, ldd int, a []float32, lda int, ep *Epilogue) tile {
	t := tile{
		a: unsafe.Pointer(unsafe.SliceData(a)), lda: 4 * lda,
		b: unsafe.Pointer(unsafe.SliceData(w.data)), k: w.K,
		dst: unsafe.Pointer(unsafe.SliceData(dst)), ldd: 4 * ldd,
	}
	t.finish(ep)
	return t
}

func (w *PackedF32) panelBytes() int { return 4 * w.K * w.tier.panelWidth() }

// matMulF32Portable is the definition of MatMulF32.
func matMulF32Portable(dst []float32, ldd int, a []float32, lda, m int, w *PackedF32, ep *Epilogue) {
	const width = 16
	for j0 := 0; j0 < w.N; j0 += width {
		panel := w.data[j0*w.K : (j0+width)*w.K]
		for i := range m {
			acc := sumPanel(a[i*lda:][:w.K], panel, width)
			cols := min(width, w.N-j0)
			ep.finish(dst[i*ldd+j0:], acc[:cols], i, j0)
		}
	}
}

// sumPanel returns the products of one row of a with 16 columns of b, whose rows lie stride elements apart.
func sumPanel(row, b []float32, stride int) (acc [16]float32) {
	for k, x := range row {
		for j, y := range b[k*stride:][:16] {
			acc[j] = fma32(x, y, acc[j])
		}
	}
	return acc
}
