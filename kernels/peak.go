package kernels

import "unsafe"

// Mix is a mix of instructions whose speed bounds a product.
type Mix uint8

const (
	// MixF32 is the fused multiply-adds of float32 products.
	MixF32 Mix = iota
	// MixInt8 is what the tier multiplies arbitrary codes with.
	MixInt8
	// MixInt8Narrow is what it takes where all weights are in [-64, 64].
	MixInt8Narrow
	// MixInt8Row is what it takes for a single row.
	MixInt8Row
)

// Mix returns the mix of the products of m rows and w.
func (w *PackedS8) Mix(m int) Mix {
	switch w.tiles(m) {
	case tilesS8NarrowAVX2:
		return MixInt8Narrow
	case tilesS8RowAVX2:
		return MixInt8Row
	}
	return MixInt8
}

// PeakLoop runs a mix of instructions on registers alone, some microseconds long, and returns how many operations
// it did; a multiply-add counts as two. The portable tier has no such loop and returns 0.
func (s *Set) PeakLoop(mix Mix) (ops int) {
	const rounds = 250
	loop, perRound := s.peak(mix)
	if loop == nil {
		return 0
	}
	loop(rounds)
	return rounds * perRound
}

// ReadS8 reads the weights that a product of one row and w reads, in order, and does nothing else: no such product is
// faster. It returns the bytes read; the portable tier reads none.
func (s *Set) ReadS8(w *PackedS8) (bytes int) {
	if w.tiles(1) == tilesS8AVX2 {
		return readAll(s, w.pairs)
	}
	return readAll(s, w.quads)
}

// ReadF32 is ReadS8 for float32.
func (s *Set) ReadF32(w *PackedF32) (bytes int) { return readAll(s, w.data) }

func readAll[T any](s *Set, data []T) int {
	const unit = 256 // of the loop
	n := len(data) * int(unsafe.Sizeof(*new(T))) / unit * unit
	if n == 0 || s.tier == Portable {
		return 0
	}
	s.read((*byte)(unsafe.Pointer(&data[0])), n)
	return n
}
