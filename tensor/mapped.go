package tensor

import (
	"sync"
	"unsafe"
)

// mappings are the address ranges of mapped files.
var mappings struct {
	sync.Mutex
	list [][2]uintptr
}

// MarkMapped says that memory is the contents of a file, mapped for the life of the program, into which nobody writes: what
// [Tensor.Release] gives back of it comes again from the file.
func MarkMapped(memory []byte) {
	mappings.Lock()
	defer mappings.Unlock()
	mappings.list = append(mappings.list, addresses(memory))
}

// isMapped reports whether memory, which is not empty, lies in a mapped file.
func isMapped(memory []byte) bool {
	mappings.Lock()
	defer mappings.Unlock()
	at := addresses(memory)
	for _, m := range mappings.list {
		if m[0] <= at[0] && at[1] <= m[1] {
			return true
		}
	}
	return false
}

func addresses(memory []byte) [2]uintptr {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	return [2]uintptr{start, start + uintptr(len(memory))}
}
