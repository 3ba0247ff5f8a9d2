package tensor

import (
	"os"
	"syscall"
	"unsafe"
)

// Release says that the elements of a tensor that lie in a mapped file (see [MarkMapped]) are not needed soon: their memory is
// given back where the system can. They can still be read. Of all other tensors nothing happens.
func (t *Tensor) Release() {
	page := os.Getpagesize()
	if len(t.raw) < 2*page || !isMapped(t.raw) {
		return
	}
	start := uintptr(unsafe.Pointer(&t.raw[0]))
	skip := int(-start & uintptr(page-1)) // to the first whole page
	if n := (len(t.raw) - skip) &^ (page - 1); n > 0 {
		// A hint: where the system refuses, the memory stays, which is no fault. The system still holds the file's contents and
		// reads them from there, not from the disk, for whoever asks again.
		_ = syscall.Madvise(t.raw[skip:skip+n], syscall.MADV_DONTNEED)
	}
}
