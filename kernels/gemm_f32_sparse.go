package kernels

import (
	"math"
	"math/bits"
	"unsafe"
)

// MatMulF32Sparse is MatMulF32, bit for bit, for an a of which many elements are expected to be 0, as behind a ReLU: a row
// does not take the steps of k for which it has 0. It returns the multiply-adds that were done.
//
// Of trained Transformers few ReLUs fire (Li et al. 2022, "The Lazy Neuron Phenomenon"). A product with 0 is left out only
// where that cannot be seen: if all weights are finite, and no sum can become the -0 that a product with 0 would make a +0.
func (s *Set) MatMulF32Sparse(dst []float32, ldd int, a []float32, lda, m int, w *PackedF32, ep Epilogue, scratch *Scratch) (done int64) {
	w.check("MatMulF32Sparse", s, dst, ldd, a, lda, m, &ep)
	if s.tier == Portable || m < fewestSparse || w.N == 0 || w.K == 0 || !w.skippable() {
		s.MatMulF32(dst, ldd, a, lda, m, w, ep)
		return int64(m) * int64(w.N) * int64(w.K)
	}
	t := w.tile(dst, ldd, a, lda, &ep)
	// Rows are taken in parts that the second cache holds, of a size that no tile splits where they are multiplied in full. All
	// weights are read for each part.
	most := max(1, 2*maxRows/(4*w.K)/12) * 12
	for i := 0; i < m; i += most {
		rows, part := min(most, m-i), t.from(i)
		if steps := w.nonzero(a[i*lda:], lda, rows, scratch); steps >= 0 {
			part.runSparse(s.tier, rows, w, scratch)
			done += int64(steps) * int64(w.N)
			continue
		}
		part.run(s.tier.tilesF32(), rows, w.N, w.panelBytes())
		done += int64(rows) * int64(w.N) * int64(w.K)
	}
	return done
}

// fewestSparse is the fewest rows that take less time with some of the weights each than all together with all of them: fewer wait
// for the memory either way. Measured on Zen 4.
const fewestSparse = 8

// skippable reports whether all weights are finite, and finds the least.
func (w *PackedF32) skippable() bool {
	w.bounds.Do(func() {
		least, most := uint32(math.MaxUint32), uint32(0)
		for _, x := range w.data {
			magnitude := math.Float32bits(x) &^ (1 << 31)
			least, most = min(least, magnitude-1), max(most, magnitude)
		}
		w.finite = most < math.Float32bits(float32(math.Inf(1)))
		w.least = math.Float32frombits(least + 1)
	})
	return w.finite
}

// blockSteps is how many steps of k the bits of one number stand for. As many rows of a panel for zmm, or of four panels for ymm,
// are 16 KiB: they stay in the first cache while the rows of a go by. kernels/_gen knows it.
const blockSteps = 64

// nonzero sets scratch.bits: for each block of steps a number for each row, in which a bit is set for each element of a that is
// not 0. It returns how many are; -1 if the rows better be multiplied in full.
func (w *PackedF32) nonzero(a []float32, lda, rows int, scratch *Scratch) (steps int) {
	whole, rest := w.K/blockSteps, w.K%blockSteps
	all := (w.K + blockSteps - 1) / blockSteps * rows
	scratch.bits = grow(scratch.bits, all)
	set, least := scratch.bits[:all], uint32(math.MaxUint32)
	if whole > 0 {
		nonzero := nonzeroAVX2
		if w.tier == AVX512VNNI {
			nonzero = nonzeroAVX512
		}
		least = nonzero(&set[0], 8*rows, &a[0], 4*lda, rows, whole)
	}
	for i := 0; rest > 0 && i < rows; i++ {
		number := uint64(0)
		for j, x := range a[i*lda+whole*blockSteps:][:rest] {
			if magnitude := math.Float32bits(x) &^ (1 << 31); magnitude != 0 {
				number |= 1 << j
				least = min(least, magnitude-1)
			}
		}
		set[whole*rows+i] = number
	}
	for _, x := range set {
		steps += bits.OnesCount64(x)
	}
	// Sums are multiples of the last bit of a product, about 2^-48 of it; where that bit is not lost to underflow, a sum of
	// 0 is exact, hence +0.
	smallest := float64(math.Float32frombits(least+1)) * float64(w.least)
	if steps > rows*w.K*2/3 || least != math.MaxUint32 && w.least != 0 && !(smallest >= 0x1p-100) {
		return -1
	}
	return steps
}

// runSparse multiplies m rows by all columns of w, with the steps whose bits are set. The sums of a block's steps wait in scratch
// for the next block: dst may be the memory of what the epilogue adds.
func (t *tile) runSparse(tier Tier, m int, w *PackedF32, scratch *Scratch) {
	kind := tilesF32AVX2Sparse
	if tier == AVX512VNNI {
		kind = tilesF32AVX512Sparse
	}
	size := &sizesOf[kind]
	block := 4 * tier.panelWidth() * blockSteps
	part := *t
	part.bNext, part.ahead = w.panelBytes(), roundUp((block+m-1)/m, 4*64)
	for j := 0; j < w.N; {
		vecs := part.columns(t, size, 1, j, w.N, part.bNext)
		panel, flags, width := part.b, part.flags, vecs*size.lanes
		scratch.sums = grow(scratch.sums, m*width)
		sums := unsafe.Pointer(unsafe.SliceData(scratch.sums))
		for k := 0; k < w.K; k += blockSteps {
			whole, at := *t, j
			whole.a = unsafe.Add(t.a, 4*k)
			part.flags, part.sums, part.ldd = flags, nil, t.ldd
			if k > 0 {
				part.sums = sums
			}
			if k+blockSteps < w.K {
				part.flags |= flagRaw
				whole.dst, part.ldd, at = sums, 4*width, 0
			}
			part.b = unsafe.Add(panel, k/blockSteps*block)
			part.bits, part.k = unsafe.Pointer(&scratch.bits[k/blockSteps*m]), min(blockSteps, w.K-k)
			part.next = uintptr(part.b) + uintptr(block)
			part.rows(&whole, kind, 1, vecs, 0, at, m)
		}
		j += width
	}
}
