package kernels

import "unsafe"

// Ahead is memory that is read soon. Packed products of four rows or more ask for it on the way, into the second cache: they
// compute long with what they read, and the memory has little else to do. What they did not get to, Attend asks for. The zero
// value is ready; an Ahead serves one goroutine at a time.
type Ahead struct {
	first  [2]memoryPart
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
	a.parts = append(a.parts, partOf(b))
}

// First makes x and y what is read before all else, in place of what it was given last. Reset does not forget them.
func (a *Ahead) First(x, y []byte) { a.first = [2]memoryPart{partOf(x), partOf(y)} }

func partOf(b []byte) memoryPart {
	return memoryPart{uintptr(unsafe.Pointer(unsafe.SliceData(b))), len(b)}
}

// left returns the part to ask for now, nil if there is none.
func (a *Ahead) left() *memoryPart {
	for i := range a.first {
		if a.first[i].bytes > 0 {
			return &a.first[i]
		}
	}
	for ; a.next < len(a.parts); a.next++ {
		if p := &a.parts[a.next]; p.bytes > 0 {
			return p
		}
	}
	return nil
}

// take returns where up to so many bytes begin that are asked for now, nothing if there is nothing. a may be nil.
func (a *Ahead) take(bytes int, nothing uintptr) uintptr {
	if a == nil {
		return nothing
	}
	p := a.left()
	if p == nil {
		return nothing
	}
	at := p.at
	bytes = min(bytes, p.bytes)
	p.at, p.bytes = p.at+uintptr(bytes), p.bytes-bytes
	return at
}

// give takes from a what each of some blocks of t is to prefetch, a line each second step of k, and returns for how many of
// them there is something; all of them if there is nothing at all.
func (a *Ahead) give(t *tile, blocks int) int {
	const line = 64
	times := t.k / 2 // that a block prefetches
	p := a.left()
	if p == nil || times == 0 {
		return blocks
	}
	n, longest := 0, 0
	for ; n < min(blocks, len(a.places)) && p != nil; p = a.left() {
		bytes := min(p.bytes, times*line)
		a.places[n], longest = p.at, max(longest, bytes)
		n++
		p.at, p.bytes = p.at+uintptr(bytes), p.bytes-bytes
	}
	t.later, t.laterNext, t.laterStep = unsafe.Pointer(&a.places), 8, min(line, (longest+times-1)/times)
	return n
}
