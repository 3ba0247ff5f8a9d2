package kernels

import (
	"sync"
	"unsafe"
)

// arena places packed weights one after the other in huge pages. Weights are read in order, over and over; on pages of
// 4 KiB a model has more of them than a CPU remembers the addresses of, and one row of a product that waits for
// page tables takes half as long again.
//
// The first weights go where make puts them, so that small models take no more memory than they need. Memory is
// free again when no weights of a chunk are in use.
type arena struct {
	mu    sync.Mutex
	total int    // bytes placed so far
	chunk []byte // what is left of the last chunk
}

const (
	hugePage = 2 << 20
	// chunkSize is the least that is asked for at once.
	chunkSize = 4 * hugePage
)

// place returns n zero elements on a cache line.
func place[T any](a *arena, n int) []T {
	const line = 64
	bytes := roundUp(n*int(unsafe.Sizeof(*new(T))), line)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total += bytes; a.total < hugePage {
		return aligned[T](n)
	}
	if bytes > len(a.chunk) {
		a.chunk = alignedTo[byte](roundUp(max(bytes, chunkSize), hugePage), hugePage)
		adviseHuge(a.chunk)
	}
	s := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(a.chunk))), n)
	a.chunk = a.chunk[bytes:]
	return s[:n:n]
}
