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
	// ColSum has the sum of each column, and zeros up to the width of the last panel.
	ColSum []int32

	tier  Tier
	quads []int8  // [panel][ceil(K/4)][width][4]
	pairs []int16 // [panel][ceil(K/2)][width][2], for AVX2 unless narrow
	// narrow says that every weight is in [-64, 64]: two products with codes 0..255 then add up to at most
	// 32640, so that AVX2 may use the instruction that saturates at 16 bits.
	narrow bool
}

// PackS8 packs w, [k, n] with row stride ldw, or with transW its transpose, [n, k] with row stride ldw.
func (s *Set) PackS8(w []int8, k, n, ldw int, transW bool) *PackedS8 {
	p := &PackedS8{}
	s.packS8(p, w, k, n, ldw, transW)
	if p.pairs != nil {
		p.quads = nil // the products read pairs
	}
	return p
}

// packS8 is PackS8 into p, whose buffers it reuses.
func (s *Set) packS8(p *PackedS8, w []int8, k, n, ldw int, transW bool) {
	rowStep, colStep := ldw, 1
	if transW {
		rowStep, colStep = 1, ldw
		checkMatrix("PackS8", "w", len(w), n, k, ldw)
	} else {
		checkMatrix("PackS8", "w", len(w), k, n, ldw)
	}
	width := s.tier.panelWidth()
	cols := roundUp(n, width)
	p.K, p.N, p.tier, p.narrow = k, n, s.tier, true
	p.ColSum = grow(p.ColSum, cols)
	clear(p.ColSum)
	p.quads = grow(p.quads, cols*roundUp(k, 4))
	clear(p.quads)
	for j0 := 0; j0 < n; j0 += width {
		panel := p.quads[j0*roundUp(k, 4):]
		for i := range k {
			quad := panel[i/4*4*width+i%4:]
			for j := range min(width, n-j0) {
				v := w[i*rowStep+(j0+j)*colStep]
				quad[j*4] = v
				p.ColSum[j0+j] += int32(v)
				p.narrow = p.narrow && -64 <= v && v <= 64
			}
		}
	}
	if s.tier == AVX2 && !p.narrow {
		p.widen(width)
	}
}

// widen fills p.pairs from p.quads.
func (p *PackedS8) widen(width int) {
	quads, cols := (p.K+3)/4, len(p.ColSum)
	p.pairs = grow(p.pairs, quads*4*cols)
	for panel := range cols / width {
		for q := range quads {
			from := p.quads[(panel*quads+q)*width*4:][:width*4]
			to := p.pairs[(panel*quads+q)*width*4:][:width*4]
			for i, v := range from {
				// from is [column][4], to is [pair][column][2].
				column, half, parity := i/4, i/2%2, i%2
				to[half*width*2+column*2+parity] = int16(v)
			}
		}
	}
}

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
	var acc [16]float32
	eachInt8(a, w, func(i, j0 int, sums []int32) {
		for j, v := range sums {
			f := scale[0]
			if len(scale) > 1 {
				f = scale[j0+j]
			}
			acc[j] = float32(v) * f
		}
		ep.finish(dst[i*ldd+j0:], acc[:len(sums)], i, j0)
	})
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
	eachInt8(a, w, func(i, j0 int, sums []int32) { copy(dst[i*ldd+j0:], sums) })
}

// int8Tile returns the arguments of the product of a and w, but for destination and epilogue.
func int8Tile(a *Codes, w *PackedS8) tile {
	t := tile{
		a: unsafe.Pointer(unsafe.SliceData(a.bytes)), lda: a.stride,
		b: unsafe.Pointer(unsafe.SliceData(w.quads)), k: (w.K + 3) / 4,
		colSum: unsafe.Pointer(unsafe.SliceData(w.ColSum)), shift: int64(-a.shift),
	}
	if w.tier == AVX2 && !w.narrow {
		t.a, t.lda = unsafe.Pointer(unsafe.SliceData(a.words)), 2*a.stride
		t.b, t.k = unsafe.Pointer(unsafe.SliceData(w.pairs)), 2*t.k
	}
	return t
}

// runInt8 runs t on the tiles that w is packed for.
func (t *tile) runInt8(a *Codes, w *PackedS8) {
	kind := tilesS8AVX2
	switch {
	case w.tier == AVX512VNNI:
		kind = tilesS8VNNI
	case w.narrow:
		kind = tilesS8NarrowAVX2
	}
	t.run(kind, a.M, w.N, 4*t.k*w.tier.panelWidth())
}

func checkInt8(name string, s *Set, a *Codes, w *PackedS8) {
	if w.tier != s.tier {
		panic(fmt.Sprintf("kernels: %s: weights are packed for %s, want %s", name, w.tier, s.tier))
	}
	if a.K != w.K {
		panic(fmt.Sprintf("kernels: %s: %s times weights [%d, %d]", name, a, w.K, w.N))
	}
}

// eachInt8 is the definition of the integer products: it calls visit with the sums of row i and up to 16
// columns from j0 on, for all rows and columns.
func eachInt8(a *Codes, w *PackedS8, visit func(i, j0 int, sums []int32)) {
	width := w.tier.panelWidth()
	quads := (w.K + 3) / 4
	var sums [16]int32
	for j0 := 0; j0 < w.N; j0 += 16 {
		// Column j0 lies in panel j0/width; its quads are 4*width bytes apart.
		panel := w.quads[j0/width*width*quads*4+j0%width*4:]
		for i := range a.M {
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
			visit(i, j0, sums[:min(16, w.N-j0)])
		}
	}
}
