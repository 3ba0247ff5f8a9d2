//go:build !unix

package graphdef

import (
	"io"
	"os"
)

// mapFile reads the whole file: this system has no mmap.
func mapFile(f *os.File, size int64) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(f, b)
	return b, err
}
