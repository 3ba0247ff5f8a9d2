package kernels

import (
	"fmt"
	"math"
)

// Codes is a matrix of quantized activations, [M, K], in the layout that the integer products read, so that
// several products share one quantization. The zero value is ready; buffers only grow; a Codes may be read
// by several products at a time, and is written by LoadS8, LoadU8 and Quantize.
type Codes struct {
	M, K int

	// The value of an element is its byte minus shift. Signed codes are stored with their top bit flipped
	// (shift 128), since the integer dot product instructions take one unsigned operand; products make up
	// for the shift with the column sums of the weights.
	shift  int32
	stride int     // bytes from row to row; the bytes after K are zero
	bytes  []uint8 // [M][stride]
	words  []int16 // the bytes widened, same stride in elements; only for AVX2
}

// codeUnit is what rows of codes are padded to, in elements.
const codeUnit = 64

func (c *Codes) reset(m, k int, shift int32) {
	c.M, c.K, c.shift = m, k, shift
	c.stride = roundUp(k, codeUnit)
	c.bytes = grow(c.bytes, m*c.stride)
}

// row returns the bytes of row i with its padding cleared.
func (c *Codes) row(i int) []uint8 {
	row := c.bytes[i*c.stride : (i+1)*c.stride]
	clear(row[c.K:])
	return row[:c.K]
}

// widen fills c.words where the tier needs them.
func (s *Set) widen(c *Codes) {
	if s.tier != AVX2 {
		return
	}
	c.words = grow(c.words, len(c.bytes))
	for i, b := range c.bytes {
		c.words[i] = int16(b)
	}
}

// LoadS8 makes dst the matrix q, [m, k] with row stride ld.
func (s *Set) LoadS8(dst *Codes, q []int8, m, k, ld int) {
	checkMatrix("LoadS8", "q", len(q), m, k, ld)
	dst.reset(m, k, 128)
	for i := range m {
		row := dst.row(i)
		for j, v := range q[min(i*ld, len(q)):][:k] {
			row[j] = uint8(v) ^ 0x80
		}
	}
	s.widen(dst)
}

// LoadU8 makes dst the matrix q - zeroPoint, q being [m, k] with row stride ld.
func (s *Set) LoadU8(dst *Codes, q []uint8, m, k, ld int, zeroPoint int32) {
	checkMatrix("LoadU8", "q", len(q), m, k, ld)
	dst.reset(m, k, zeroPoint)
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
	dst.reset(m, k, shift)
	for i := range m {
		row := dst.row(i)
		for j, v := range x[min(i*ld, len(x)):][:k] {
			row[j] = q.code(v)
		}
	}
	s.widen(dst)
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
