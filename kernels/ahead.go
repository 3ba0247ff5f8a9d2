package kernels

import (
	"slices"
	"unsafe"
)

// Ahead is memory that is read soon. Packed products of four rows or more ask for it on the way, into the second cache: they
// compute long with what they read, and the memory has little else to do. The zero value is ready; an Ahead serves one
// goroutine at a time.
type Ahead struct {
	parts  []memoryPart
	next   int         // the first part of which something is left
	places [32]uintptr // scratch of give
}

// memoryPart is memory from an address on: no pointer, since nothing is read there, and it may be gone.
type memoryPart struct {
	at    uintptr
	bytes int
}

// nowhere is a place to prefetch from when there is nothing to prefetch.
var nowhere = uintptr(unsafe.Pointer(&laneMask))

// Reset forgets what was not asked for yet.
func (a *Ahead) Reset() { a.parts, a.next = a.parts[:0], 0 }

// Add adds b to what is read soon.
func (a *Ahead) Add(b []byte) {
	if len(b) > 0 {
		a.parts = append(a.parts, memoryPart{uintptr(unsafe.Pointer(&b[0])), len(b)})
	}
}

// AddFirst adds b to what is read soon, before all else.
func (a *Ahead) AddFirst(b []byte) {
	if len(b) == 0 {
		return
	}
	p := memoryPart{uintptr(unsafe.Pointer(&b[0])), len(b)}
	if a.next > 0 {
		a.next--
		a.parts[a.next] = p
		return
	}
	a.parts = slices.Insert(a.parts, 0, p)
}

// give takes from a what each of some blocks of t is to prefetch, a line each second step of k, and returns for how many of
// them there is something; all of them if there is nothing at all.
func (a *Ahead) give(t *tile, blocks int) int {
	const line = 64
	times := t.k / 2 // that a block prefetches
	if a.next == len(a.parts) || times == 0 {
		return blocks
	}
	n, longest := 0, 0
	for n < min(blocks, len(a.places)) && a.next < len(a.parts) {
		p := &a.parts[a.next]
		bytes := min(p.bytes, times*line)
		a.places[n], longest = p.at, max(longest, bytes)
		n++
		p.at, p.bytes = p.at+uintptr(bytes), p.bytes-bytes
		if p.bytes == 0 {
			a.next++
		}
	}
	t.later, t.laterNext, t.laterStep = unsafe.Pointer(&a.places), 8, min(line, (longest+times-1)/times)
	return n
}
