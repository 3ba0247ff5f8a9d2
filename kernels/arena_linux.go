package kernels

import "syscall"

// adviseHuge asks for huge pages behind whole ones that are not written yet. It is a hint: nothing fails without.
func adviseHuge(memory []byte) {
	const hugePages = 14 // MADV_HUGEPAGE
	_ = syscall.Madvise(memory, hugePages)
}
