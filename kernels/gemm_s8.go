package kernels

import (
	"fmt"
	"unsafe"
)

// PackedS8 is a constant right operand [K, N] of 8-bit weights in the layout of one tier: panels of that
// tier's width in which four consecutive k of a column lie side by side. It is immutable and may be shared
// by any number of products.
type PackedS8 struct {
	K, N int
	// Scale is a place for the owner's weight scales, N values or one. Products do not read it: they take
	// scales that include the activations' one.
	Scale []float32
	// ColSum has the sum of each column, and values without meaning up to the width of the last panel.
	ColSum []int32

	tier  Tier
	quads []int8  // [panel][ceil(K/4)][width][4]
	pairs []int16 // [panel][ceil(K/2)][width][2], for AVX2 unless narrow
	// narrow says that every weight is in [-64, 64]: two products with codes 0..255 then add up to at most
	// 32640, so that AVX2 may use the instruction that saturates at 16 bits.
	narrow bool
	// row says that AVX2 multiplies a single row by the quads: it reads half of the bytes, and no weight is -128,
	// whose sign could not be changed.
	row bool
}

// Bytes is the memory that the packed weights take.
func (w *PackedS8) Bytes() int { return len(w.quads) + 2*len(w.pairs) + 4*len(w.ColSum) }

// MatMulInt8 writes the product of the codes a, [M, K], and w, [K, N], to dst, [M, N] with row stride ldd:
// the exact int32 sums (they wrap beyond 32 bits) times scale, one value or one per column, finished by ep.
// Results are equal on all tiers bit for bit.
func (s *Set) MatMulInt8(dst []float32, ldd int, a *Codes, w *PackedS8, scale []float32, ep Epilogue) {
	const name = "MatMulInt8"
	checkInt8(name, s, a, w)
	checkMatrix(name, "dst", len(dst), a.M, w.N, ldd)
	if len(scale) != 1 && len(scale) < w.N {
		panic(fmt.Sprintf("kernels: %s: len(scale) = %d, want 1 or %d", name, len(scale), w.N))
	}
	ep.check(name, a.M, w.N)
	if a.M == 0 || w.N == 0 {
		return
	}
	if s.tier != Portable {
		t := int8Tile(a, w)
		t.dst, t.ldd = unsafe.Pointer(unsafe.SliceData(dst)), 4*ldd
		t.scale = unsafe.Pointer(unsafe.SliceData(scale))
		if len(scale) == 1 {
			t.flags |= flagOneScale
		}
		t.finish(&ep)
		t.runInt8(a, w)
		return
	}
	for j0 := 0; j0 < w.N; j0 += 16 {
		for i := range a.M {
			sums := sumsInt8(a, w, i, j0)
			var acc [16]float32
			cols := min(16, w.N-j0)
			for j, v := range sums[:cols] {
				f := scale[0]
				if len(scale) > 1 {
					f = scale[j0+j]
				}
				acc[j] = float32(v) * f
			}
			ep.finish(dst[i*ldd+j0:], acc[:cols], i, j0)
		}
	}
}

// MatMulInt32 writes the exact int32 sums of MatMulInt8 to dst, [M, N] with row stride ldd.
func (s *Set) MatMulInt32(dst []int32, ldd int, a *Codes, w *PackedS8) {
	const name = "MatMulInt32"
	checkInt8(name, s, a, w)
	checkMatrix(name, "dst", len(dst), a.M, w.N, ldd)
	if a.M == 0 || w.N == 0 {
		return
	}
	if s.tier != Portable {
		t := int8Tile(a, w)
		t.dst, t.ldd = unsafe.Pointer(unsafe.SliceData(dst)), 4*ldd
		t.flags |= flagRaw
		t.runInt8(a, w)
		return
	}
	for j0 := 0; j0 < w.N; j0 += 16 {
		for i := range a.M {
			sums := sumsInt8(a, w, i, j0)
			copy(dst[i*ldd+j0:], sums[:min(16, w.N-j0)])
		}
	}
}

// int8Tile returns the arguments of the product of a and w, but for destination and epilogue.
func int8Tile(a *Codes, w *PackedS8) tile {
	t := tile{
		a: unsafe.Pointer(unsafe.SliceData(a.bytes)), lda: a.stride,
		b: unsafe.Pointer(unsafe.SliceData(w.quads)), k: (w.K + 3) / 4,
		colSum: unsafe.Pointer(unsafe.SliceData(w.ColSum)), shift: int64(-a.shift),
	}
	switch w.tiles(a.M) {
	case tilesS8AVX2:
		t.a, t.lda = unsafe.Pointer(unsafe.SliceData(a.words)), 2*a.stride
		t.b, t.k = unsafe.Pointer(unsafe.SliceData(w.pairs)), 2*t.k
		t.shift = int64(-a.wordShift)
	case tilesS8RowAVX2:
		t.shift += 128 // the routine flips the top bits, to have signs
	}
	return t
}

// tiles are the tiles that multiply m rows by w.
func (w *PackedS8) tiles(m int) tileKind {
	switch {
	case w.tier == AVX512VNNI:
		return tilesS8VNNI
	case w.tier == AVXVNNI:
		return tilesS8AVXVNNI
	case w.narrow:
		return tilesS8NarrowAVX2
	case w.row && m == 1:
		return tilesS8RowAVX2
	}
	return tilesS8AVX2
}

// runInt8 runs t on the tiles that w is packed for.
func (t *tile) runInt8(a *Codes, w *PackedS8) {
	t.run(w.tiles(a.M), a.M, w.N, 4*t.k*w.tier.panelWidth())
}

func checkInt8(name string, s *Set, a *Codes, w *PackedS8) {
	if w.tier != s.tier {
		panic(fmt.Sprintf("kernels: %s: weights are packed for %s, want %s", name, w.tier, s.tier))
	}
	if a.tier != s.tier {
		panic(fmt.Sprintf("kernels: %s: codes are those of %s, want %s", name, a.tier, s.tier))
	}
	if a.K != w.K {
		panic(fmt.Sprintf("kernels: %s: %s times weights [%d, %d]", name, a, w.K, w.N))
	}
}

// sumsInt8 is the definition of the integer products: the sums of row i and 16 columns from j0 on, a multiple
// of 16.
func sumsInt8(a *Codes, w *PackedS8, i, j0 int) (sums [16]int32) {
	const width = 16 // of the portable panels
	quads := (w.K + 3) / 4
	panel := w.quads[j0*quads*4:]
	row := a.bytes[i*a.stride:][:a.stride]
	for j := range sums {
		var sum int32
		for q := range quads {
			b := panel[q*4*width+j*4:][:4]
			c := row[q*4:][:4]
			sum += int32(c[0])*int32(b[0]) + int32(c[1])*int32(b[1]) +
				int32(c[2])*int32(b[2]) + int32(c[3])*int32(b[3])
		}
		sums[j] = sum - a.shift*w.ColSum[j0+j]
	}
	return sums
}
