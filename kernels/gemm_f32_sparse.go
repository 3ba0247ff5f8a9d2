package kernels

import (
	"math"
	"math/bits"
	"unsafe"
)

// MatMulF32Sparse is MatMulF32, bit for bit, for an a of which many elements are expected to be 0, as behind a ReLU: a
// step of k for which all rows of a tile have 0 is not taken. It returns the multiply-adds that were done.
//
// Of trained Transformers few ReLUs fire (Li et al. 2022, "The Lazy Neuron Phenomenon"), and the beams of a search, which
// lie side by side, have the same ones. A product with 0 is left out only where that cannot be seen: if all weights are
// finite, and no sum can become the -0 that a product with 0 would make a +0.
func (s *Set) MatMulF32Sparse(dst []float32, ldd int, a []float32, lda, m int, w *PackedF32, ep Epilogue, scratch *Scratch) (done int64) {
	w.check("MatMulF32Sparse", s, dst, ldd, a, lda, m, &ep)
	if s.tier == Portable || m < 4 || w.N == 0 || w.K == 0 || !w.skippable() {
		s.MatMulF32(dst, ldd, a, lda, m, w, ep)
		return int64(m) * int64(w.N) * int64(w.K)
	}
	listed := tilesF32AVX2Listed
	if s.tier == AVX512VNNI {
		listed = tilesF32AVX512Listed
	}
	t := w.tile(dst, ldd, a, lda, &ep)
	// Rows are listed in parts that the second cache holds, of a size that no tile splits.
	most := max(1, maxRows/(4*w.K)/12) * 12
	for i := 0; i < m; i += most {
		rows, part := min(most, m-i), t.from(i)
		if steps := part.listRows(s.tier, listed, a[i*lda:], lda, rows, w, scratch); steps >= 0 {
			part.runRows(listed, rows, w.N, w.panelBytes())
			done += int64(steps) * int64(w.N)
			continue
		}
		part.run(s.tier.tilesF32(), rows, w.N, w.panelBytes())
		done += int64(rows) * int64(w.N) * int64(w.K)
	}
	return done
}

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

// listRows makes t a listed tile for rows of a, and returns how many row steps it has; -1 if the rows better be multiplied
// in full.
func (t *tile) listRows(tier Tier, kind tileKind, a []float32, lda, rows int, w *PackedF32, scratch *Scratch) (steps int) {
	const slack = 16 // what a list is written beyond its end
	all, low, high := sizesOf[kind].split(rows)
	stride := 1 + w.K + slack
	scratch.lists = grow(scratch.lists, all*stride)
	least := uint32(math.MaxUint32)
	listed := 0
	for b, i := 0, 0; b < all; b++ {
		height := low
		if b < high {
			height++
		}
		list := scratch.lists[b*stride:][:stride]
		least = min(least, listNonzero(tier, list, a[i*lda:], lda, height, w.K))
		listed += int(list[0])
		steps += height * int(list[0])
		i += height
	}
	// Sums are multiples of the last bit of a product, about 2^-48 of it; where that bit is not lost to underflow, a sum of
	// 0 is exact, hence +0.
	smallest := float64(math.Float32frombits(least+1)) * float64(w.least)
	if listed > all*w.K*7/8 || least != math.MaxUint32 && w.least != 0 && !(smallest >= 0x1p-100) {
		return -1
	}
	t.k = (listed + all - 1) / all
	t.list, t.listStep = unsafe.Pointer(unsafe.SliceData(scratch.lists)), 4*stride
	return steps
}

// listNonzero writes the list of some rows: how many columns it has, and the offset in bytes of each column in which a row
// has something else than 0. It returns the least bits but the sign of what is not 0, less 1.
func listNonzero(tier Tier, list []int32, a []float32, lda, rows, k int) uint32 {
	if tier == AVX512VNNI {
		return listNonzeroAVX512(&list[0], &a[0], 4*lda, rows, k, &quads[0])
	}
	return listNonzeroAVX2(&list[0], &a[0], 4*lda, rows, k, &laneMask[(8-k%8)&7], &placesOfBits[0])
}

var (
	quads = [16]int32{0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60}
	// placesOfBits has for each set of 8 bits the places of those in it, times 4.
	placesOfBits = func() (places [256][8]uint8) {
		for set := range places {
			for i, left := 0, uint(set); left != 0; i, left = i+1, left&(left-1) {
				places[set][i] = uint8(4 * bits.TrailingZeros(left))
			}
		}
		return places
	}()
)
