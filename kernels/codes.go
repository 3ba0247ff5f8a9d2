package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// Codes is a matrix of quantized activations, [M, K], in the layout that the integer products read, so that
// several products share one quantization. The zero value is ready; buffers only grow; a Codes may be read
// by several products at a time, and is written by LoadS8, LoadU8 and Quantize.
type Codes struct {
	M, K int

	tier Tier
	// The value of an element is its byte minus shift. Signed codes are stored with their top bit flipped
	// (shift 128), since the integer dot product instructions take one unsigned operand; products make up
	// for the shift with the column sums of the weights.
	shift  int32
	stride int     // bytes from row to row; those after K meet zero weights and may be anything
	bytes  []uint8 // [M][stride]
	words  []int16 // the bytes widened, same stride in elements; only for AVX2
	// wordShift is the shift that words still have: none, unless it is too large for them.
	wordShift int32
}

// codeUnit is what rows of codes are padded to, in elements.
const codeUnit = 64

func (c *Codes) reset(tier Tier, m, k int, shift int32) {
	c.tier, c.M, c.K, c.shift = tier, m, k, shift
	c.stride = roundUp(k, codeUnit)
	c.bytes = grow(c.bytes, m*c.stride)
}

// row returns the bytes of row i.
func (c *Codes) row(i int) []uint8 { return c.bytes[i*c.stride:][:c.K:c.stride] }

// widen fills c.words where the tier needs them.
func (s *Set) widen(c *Codes) {
	if s.tier != AVX2 {
		return
	}
	shift := c.shift
	c.wordShift = 0
	if shift < -1<<14 || shift > 1<<14 {
		shift, c.wordShift = 0, shift
	}
	c.words = grow(c.words, len(c.bytes))
	if len(c.bytes) > 0 {
		widenBytesAVX2(&c.words[0], &c.bytes[0], len(c.bytes), int(shift))
	}
}

// needsSums reports whether products of c and computed weights take column sums.
func (c *Codes) needsSums() bool {
	if c.tier == AVX2 {
		return c.wordShift != 0 // such weights are pairs
	}
	return c.shift != 0
}

// LoadS8 makes dst the matrix q, [m, k] with row stride ld.
func (s *Set) LoadS8(dst *Codes, q []int8, m, k, ld int) {
	checkMatrix("LoadS8", "q", len(q), m, k, ld)
	dst.reset(s.tier, m, k, 128)
	for i := range m {
		s.flipTop(dst.row(i), q[min(i*ld, len(q)):][:k])
	}
	s.widen(dst)
}

// flipTop writes src with the top bits flipped to dst.
func (s *Set) flipTop(dst []uint8, src []int8) {
	from := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(src))), len(src))
	j := 0
	if n := len(from) &^ 31; s.tier != Portable && n > 0 {
		flipTopAVX2(&dst[0], &from[0], n)
		j = n
	}
	for ; j+8 <= len(from); j += 8 {
		binary.LittleEndian.PutUint64(dst[j:], binary.LittleEndian.Uint64(from[j:])^0x8080808080808080)
	}
	for ; j < len(from); j++ {
		dst[j] = from[j] ^ 0x80
	}
}

// LoadU8 makes dst the matrix q - zeroPoint, q being [m, k] with row stride ld.
func (s *Set) LoadU8(dst *Codes, q []uint8, m, k, ld int, zeroPoint int32) {
	checkMatrix("LoadU8", "q", len(q), m, k, ld)
	dst.reset(s.tier, m, k, zeroPoint)
	for i := range m {
		copy(dst.row(i), q[min(i*ld, len(q)):])
	}
	s.widen(dst)
}

// Rounding is how Quantize treats values in the middle between two codes.
type Rounding uint8

const (
	// HalfToEven rounds to the even code.
	HalfToEven Rounding = iota
	// HalfAwayFromZero rounds to the code of greater magnitude.
	HalfAwayFromZero
)

// Quantization maps float32 x to round(clamp(x, Lo, Hi) * Scale), saturated to the codes' range: TensorFlow's
// QuantizeV2 in mode SCALED, and its three float32 steps. NaN gives 0 where codes are unsigned and -128
// where they are signed, as TensorFlow's kernel does on x86.
type Quantization struct {
	// Scale is in codes per unit of x.
	Scale, Lo, Hi float32
	Rounding      Rounding
	// Unsigned selects codes 0..255 instead of -128..127.
	Unsigned bool
}

// Quantize makes dst the codes of x, [m, k] with row stride ld.
func (s *Set) Quantize(dst *Codes, x []float32, m, k, ld int, q Quantization) {
	checkMatrix("Quantize", "x", len(x), m, k, ld)
	shift := int32(128)
	if q.Unsigned {
		shift = 0
	}
	dst.reset(s.tier, m, k, shift)
	if m == 0 || k == 0 {
		return
	}
	args := quantizeArgs{lo: q.Lo, hi: q.Hi, scale: q.Scale, offset: shift | shift<<16}
	// The conversion to int32 would overflow beyond 2^31; this bound saturates to the same code.
	const beyond = 1024
	if q.Hi*q.Scale > beyond {
		args.hi = beyond / q.Scale
	}
	if q.Rounding == HalfAwayFromZero {
		args.away = 1
	}
	args.lanes = &laneMask[8-k%8]
	if ld == k && dst.stride == k {
		m, k = 1, m*k // rows without gaps are one row
	}
	for i := range m {
		for j := 0; j < k; j += piece {
			n := min(piece, k-j)
			s.quantizeRow(dst.bytes[i*dst.stride+j:][:n], x[i*ld+j:][:n], &q, &args)
		}
	}
	s.widen(dst)
}

// quantizeArgs is the argument block of the assembly; kernels/_gen knows its offsets.
type quantizeArgs struct {
	lo, hi, scale float32
	offset        int32  // of bytes against codes, twice as int16
	away          int32  // 1: half away from zero
	lanes         *int32 // AVX2: mask of the last k%8 values
}

func (s *Set) quantizeRow(dst []uint8, x []float32, q *Quantization, args *quantizeArgs) {
	switch s.tier {
	case AVX512VNNI:
		quantizeRowAVX512(&dst[0], &x[0], len(x), (*byte)(unsafe.Pointer(args)))
	case AVX2, AVXVNNI:
		quantizeRowAVX2(&dst[0], &x[0], len(x), (*byte)(unsafe.Pointer(args)))
	default:
		for j, v := range x {
			dst[j] = q.code(v)
		}
	}
}

// code returns the code of x, plus 128 where codes are signed.
func (q *Quantization) code(x float32) uint8 {
	if x != x {
		return 0
	}
	if x > q.Hi {
		x = q.Hi
	}
	if x < q.Lo {
		x = q.Lo
	}
	v := float64(x * q.Scale)
	if q.Rounding == HalfToEven {
		v = math.RoundToEven(v)
	} else {
		v = math.Round(v)
	}
	if !q.Unsigned {
		v += 128
	}
	return uint8(min(max(v, 0), 255))
}

// String describes c for messages.
func (c *Codes) String() string { return fmt.Sprintf("codes [%d, %d]", c.M, c.K) }
