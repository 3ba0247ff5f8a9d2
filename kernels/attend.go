package kernels

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// Attention is attention of a few rows to a few keys, for some heads: the softmax of Q Kᵀ Scale + Mask, times V.
type Attention struct {
	Heads, Rows, Keys int
	Depth, Width      int      // elements of a key and of a value
	Q, K, V, Dst      HeadRows // [rows, depth], [keys, depth], [keys, width] and [rows, width] for each head
	Scale             float32
	// Own has for each row the keys that it attends to, key j as bit j; the others have the weight 0. nil: all do to all.
	Own []uint64
	// Mask has for each row what is added to the scores: a value for each key that the row owns, without gaps. The rows of a
	// head, or all heads, share one where the distance is 0. nil Data: nothing is added.
	Mask HeadRows
	// Next are keys laid out as K, and Ahead is other memory, that is read soon: it is asked for on the way. Each may be nil.
	Next  []float32
	Ahead *Ahead
}

// HeadRows are the matrices of some heads: row i of head h begins at element h*Head + i*Row.
type HeadRows struct {
	Data      []float32
	Row, Head int
}

// check panics unless r has matrices of rows x cols elements.
func (r *HeadRows) check(operand string, heads, rows, cols int) {
	checkMatrix("Attend", operand, len(r.Data)-(heads-1)*r.Head, rows, cols, r.Row)
}

// at returns row i of head h.
func (r *HeadRows) at(h, i int) unsafe.Pointer { return unsafe.Pointer(&r.Data[h*r.Head+i*r.Row]) }

const (
	// MostAttendKeys is the most keys that Attend takes.
	MostAttendKeys = 64
	// mostAttendOwned is the most keys that a row owns, unless it owns all: each lane of their sum has two terms then, and
	// two numbers have one sum.
	mostAttendOwned = 32
	// mostAttendDepth bounds one assembly call, to about 10 microseconds.
	mostAttendDepth = 1 << 10
	// attendRows and attendLanes are the rows of one call and the keys of one vector.
	attendRows, attendLanes = 4, 16
)

// HasAttend reports whether this tier has a routine for Attend.
func (s *Set) HasAttend() bool { return s.tier == AVX512VNNI }

// Attend does what MatMulF32Strided, SoftmaxMasked and MatMulF32Strided do one after the other, bit for bit, where the softmax
// of a row is that of the keys that it owns, one behind the other. Each row owns a key. Attend reports false, and writes nothing,
// where there is no routine for it; there is one of the tiers that HasAttend says, for depths that are a multiple of 16, up to
// MostAttendKeys keys, and rows that own all or up to half of these. Dst must not overlap the others.
func (s *Set) Attend(a *Attention, scratch *Scratch) bool {
	if !s.HasAttend() || a.Keys < 1 || a.Keys > MostAttendKeys || a.Depth < 1 || a.Depth%16 != 0 || max(a.Depth, a.Width) > mostAttendDepth {
		return false
	}
	all, most := a.all(), 0
	for i := range a.Rows {
		own := a.own(i)
		n := bits.OnesCount64(own)
		if n == 0 || own&^all != 0 {
			panic(fmt.Sprintf("kernels: Attend: row %d owns keys %#x, have %d", i, own, a.Keys))
		}
		if own != all && n > mostAttendOwned {
			return false
		}
		most = max(most, n)
	}
	if a.Heads == 0 || a.Rows == 0 || a.Width == 0 {
		return true
	}
	a.Q.check("Q", a.Heads, a.Rows, a.Depth)
	a.K.check("K", a.Heads, a.Keys, a.Depth)
	a.V.check("V", a.Heads, a.Keys, a.Width)
	a.Dst.check("Dst", a.Heads, a.Rows, a.Width)
	if maskRows := a.Rows; a.Mask.Data != nil {
		if a.Mask.Row == 0 {
			maskRows = 1
		}
		a.Mask.check("Mask", a.Heads, maskRows, most)
	}
	scratch.f32 = grow(scratch.f32, attendRows*MostAttendKeys)
	args := attendArgs{
		ldq: 4 * a.Q.Row, ldk: 4 * a.K.Row, ldv: 4 * a.V.Row, ldd: 4 * a.Dst.Row, mask: unsafe.Pointer(&noMask),
		work: unsafe.Pointer(unsafe.SliceData(scratch.f32)), keys: a.Keys, depth: 4 * a.Depth, width: 4 * a.Width, scale: a.Scale,
	}
	for i := 0; i < a.Rows; i += attendRows {
		args.rowsFrom(a, i)
		for h := range a.Heads {
			args.head(a, h, i)
			attendF32AVX512((*byte)(unsafe.Pointer(&args)))
		}
	}
	return true
}

// all is what a row owns that attends to all keys.
func (a *Attention) all() uint64 { return ^uint64(0) >> (MostAttendKeys - a.Keys) }

// own returns what row i owns.
func (a *Attention) own(i int) uint64 {
	if a.Own == nil {
		return a.all()
	}
	return a.Own[i]
}

// attendArgs is the argument block of attendF32AVX512; kernels/_gen knows its offsets. Strides, depth and width are in bytes.
// What there is for each row is there for four: rows beyond the last one repeat it.
type attendArgs struct {
	q            unsafe.Pointer
	ldq          int
	k            unsafe.Pointer
	ldk          int
	v            unsafe.Pointer
	ldv          int
	dst          unsafe.Pointer
	ldd          int
	mask         unsafe.Pointer
	work         unsafe.Pointer // [attendRows, MostAttendKeys] float32
	rows, keys   int
	depth, width int
	soon         int     // from k to v: values are prefetched with the keys that lie as they do
	next, later  uintptr // what is prefetched with the values, next as they lie: no pointers, since nothing is read there
	scale        float32
	own          [attendRows]uint64
	maskAt       [MostAttendKeys / attendLanes][attendRows]int64 // for 16 keys, the elements from mask to those that a row owns
	before       [MostAttendKeys / attendLanes][attendRows]int32 // how many keys before these 16 a row owns
}

// noMask changes nothing: x + -0 is x for all x.
var noMask = [attendLanes]uint32{1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31,
	1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31, 1 << 31}

// rowsFrom sets what depends on the keys that rows from i on own.
func (t *attendArgs) rowsFrom(a *Attention, i int) {
	t.rows = min(attendRows, a.Rows-i)
	for r := range attendRows {
		row := min(r, t.rows-1)
		t.own[r] = a.own(i + row)
		for b := range t.before {
			n := bits.OnesCount64(t.own[r] & (1<<(attendLanes*b) - 1))
			t.before[b][r] = int32(n)
			if a.Mask.Data != nil {
				t.maskAt[b][r] = int64(row*a.Mask.Row + n)
			}
		}
	}
}

// head sets what depends on the head, for rows from i on.
func (t *attendArgs) head(a *Attention, h, i int) {
	t.q, t.k, t.v, t.dst = a.Q.at(h, i), a.K.at(h, 0), a.V.at(h, 0), a.Dst.at(h, i)
	t.soon = distance(uintptr(t.k), uintptr(t.v))
	if a.Mask.Data != nil {
		t.mask = a.Mask.at(h, i)
	}
	switch {
	case h+1 < a.Heads:
		t.next = uintptr(a.K.at(h+1, 0))
	case a.Next != nil:
		t.next = uintptr(unsafe.Pointer(unsafe.SliceData(a.Next)))
	default:
		t.next = uintptr(t.v)
	}
	const line = 64
	t.later = a.Ahead.take(a.Keys*roundUp(t.width, line), uintptr(t.v))
}
