package runtime

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"github.com/tfq8/tfq8/tensor"
)

// buffer is a block of memory that holds the elements of one or more slots (views share it).
type buffer struct {
	mem   []byte // 64-byte aligned, as long as its class
	refs  int32
	class uint8
	holds holder // of a buffer without memory: what its references keep alive, such as the elements of a list
}

// holder gives back what it holds when nothing refers to it any more.
type holder interface{ free(a *arena) }

// arena hands out the buffers of one session. Freed ones are kept for the next request of their size class or a smaller one,
// so after the first runs nothing is allocated. A loop whose tensors grow leaves smaller buffers behind in each iteration: they
// are given back to the system once they are more than what is in use. Not safe for concurrent use.
type arena struct {
	free  [64 * 4][]*buffer
	spare int64 // bytes of the buffers in free
	inUse int64 // bytes of the buffers that slots hold
	max   int64 // bound of inUse, 0: none
}

// reach is how many classes above its own a request looks for a free buffer: up to eight times its size.
const reach = 12

// LimitError says that a run needed more memory than CompileOptions.MaxBytes allows.
type LimitError struct{ Need, Max int64 }

func (e *LimitError) Error() string {
	return fmt.Sprintf("tensors need %d bytes, more than the limit of %d; raise the limit or shrink the batch", e.Need, e.Max)
}

// sizeClass returns the class of requests of n bytes and the bytes that its buffers have: four classes an octave, so that
// at most a quarter is wasted.
func sizeClass(n int) (class uint8, size int) {
	if n <= 64 {
		return 0, 64
	}
	e := bits.Len(uint(n-1)) - 1 // 2^e < n <= 2^(e+1)
	quarter := 1 << (e - 2)
	q := (n - 1 - 1<<e) / quarter // 0..3
	return uint8((e-6)*4 + q + 1), 1<<e + (q+1)*quarter
}

// mostBytes is more than any machine has for one tensor, and little enough for the allocator to answer.
const mostBytes int64 = 1 << 40

// get returns a buffer of at least n bytes with one reference; its contents are arbitrary but initialized.
func (a *arena) get(n int) (*buffer, error) {
	if int64(n) > mostBytes {
		return nil, &LimitError{int64(n), mostBytes}
	}
	class, size := sizeClass(n)
	if a.max > 0 && a.inUse+int64(size) > a.max {
		return nil, &LimitError{a.inUse + int64(size), a.max}
	}
	for c := int(class); c < min(int(class)+reach, len(a.free)); c++ {
		l := a.free[c]
		if len(l) == 0 {
			continue
		}
		b := l[len(l)-1]
		if a.max > 0 && a.inUse+int64(len(b.mem)) > a.max {
			break
		}
		a.free[c] = l[:len(l)-1]
		a.spare -= int64(len(b.mem))
		a.inUse += int64(len(b.mem))
		b.refs = 1
		return b, nil
	}
	a.trim(int(class))
	a.inUse += int64(size)
	return &buffer{mem: alignedMemory(size), refs: 1, class: class}, nil
}

// trim drops free buffers below a class, the largest first, as long as they are more than what is in use.
func (a *arena) trim(class int) {
	for c := class - 1; c >= 0 && a.spare > a.inUse; c-- {
		for _, b := range a.free[c] {
			a.spare -= int64(len(b.mem))
		}
		clear(a.free[c])
		a.free[c] = a.free[c][:0]
	}
}

// stringBytes is what an element of a string tensor takes beside its text.
const stringBytes = 16

// allow reports whether n elements of each bytes may be allocated outside the arena, for strings: at most what the bound
// leaves, and nothing that no machine has.
func (a *arena) allow(n, each int) error {
	limit := a.most()
	if n < 0 || each < 0 || n > 0 && int64(each) > limit/int64(n) {
		need := float64(n) * float64(each)
		return &LimitError{int64(min(need, math.MaxInt64/2)), limit}
	}
	return nil
}

// allowEmpty bounds the dimensions of a tensor without elements. Evaluators may keep a number for each row even though none
// has an element, and go through all of them, so they count as if they took memory.
func (a *arena) allowEmpty(shape tensor.Shape) error {
	need := 8.0
	for _, d := range shape {
		need *= float64(max(d, 1))
	}
	if limit := a.most(); need > float64(limit) {
		return fmt.Errorf("shape %v has no elements, but its other dimensions are too large: %w", shape.Clone(),
			&LimitError{int64(min(need, math.MaxInt64/2)), limit})
	}
	return nil
}

// most is what allow lets pass.
func (a *arena) most() int64 {
	if a.max > 0 {
		return a.max - a.inUse
	}
	return 1 << 36
}

// release gives one reference of b back.
func (a *arena) release(b *buffer) {
	if b.refs--; b.refs > 0 {
		return
	}
	if b.holds != nil {
		b.holds.free(a)
		return
	}
	a.inUse -= int64(len(b.mem))
	a.spare += int64(len(b.mem))
	a.free[b.class] = append(a.free[b.class], b)
}

// charge counts n bytes that are not in a buffer; a negative n gives them back.
func (a *arena) charge(n int64) error {
	if n > 0 && a.max > 0 && a.inUse+n > a.max {
		return &LimitError{a.inUse + n, a.max}
	}
	a.inUse += n
	return nil
}

// forget takes b out of the arena's care: its memory goes to the caller of Run.
func (a *arena) forget(b *buffer) { a.inUse -= int64(len(b.mem)) }

// alignedMemory returns n zeroed bytes that start on a cache line.
func alignedMemory(n int) []byte {
	const line = 64
	m := make([]byte, n+line)
	skip := -int(uintptr(unsafe.Pointer(&m[0]))) & (line - 1)
	return m[skip : skip+n : skip+n]
}
