package tensor

import (
	"bytes"
	"os"
	"testing"
)

// Release takes memory from tensors in mapped files alone: any other would lose its elements.
func TestReleaseKeepsElements(t *testing.T) {
	page := os.Getpagesize()
	raw := make([]byte, 8*page+3)
	for i := range raw {
		raw[i] = byte(i % 251)
	}
	want := bytes.Clone(raw)
	other := make([]byte, page)
	MarkMapped(other)
	x, err := Share(Int8, Shape{8 * page}, raw[3:])
	if err != nil {
		t.Fatal(err)
	}
	x.Release()
	if !bytes.Equal(raw, want) {
		t.Error("memory that is no file's changed")
	}
}
