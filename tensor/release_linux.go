package tensor

import (
	"os"
	"syscall"
	"unsafe"
)

// pageOut is MADV_PAGEOUT: give the memory back now; what it held comes back from its file when it is read again.
const pageOut = 21

// Release says that the elements of a tensor made by Share are not needed soon: the memory that their file takes is given back
// where the system can. They can still be read. Of all other tensors nothing happens.
func (t *Tensor) Release() {
	page := os.Getpagesize()
	if !t.shared || len(t.raw) < 2*page {
		return
	}
	start := uintptr(unsafe.Pointer(&t.raw[0]))
	skip := int(-start & uintptr(page-1)) // to the first whole page
	if n := (len(t.raw) - skip) &^ (page - 1); n > 0 {
		// A hint: where the system refuses, the memory stays, which is no fault.
		_ = syscall.Madvise(t.raw[skip:skip+n], pageOut)
	}
}
