//go:build unix

package graphdef

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tfq8/tfq8/tensor"
)

// mapFile maps the file for reading. The mapping is private and stays for the life of the program, since the contents of
// tensors are shared with it; pages that nobody reads cost nothing.
func mapFile(f *os.File, size int64) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	tensor.MarkMapped(b)
	return b, nil
}
