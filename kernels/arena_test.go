package kernels

import (
	"testing"
	"unsafe"
)

func TestArenaPlacesApart(t *testing.T) {
	var a arena
	var all [][]int8
	// The first ones are on their own, then chunks fill up, and one is larger than a chunk.
	for _, n := range []int{1, hugePage - 100, 0, 70, chunkSize - 200, 130, chunkSize + 1, 1 << 20, 3 << 20, 5 << 20, 65} {
		s := place[int8](&a, n)
		if len(s) != n || cap(s) != n {
			t.Fatalf("place(%d) has length %d and capacity %d", n, len(s), cap(s))
		}
		if rest := uintptr(unsafe.Pointer(unsafe.SliceData(s))) % 64; n > 0 && rest != 0 {
			t.Errorf("place(%d) lies %d bytes beyond a cache line", n, rest)
		}
		for i, v := range s {
			if v != 0 {
				t.Fatalf("element %d of place(%d) = %d before anyone wrote it", i, n, v)
			}
			s[i] = int8(len(all) + 1)
		}
		all = append(all, s)
	}
	for i, s := range all {
		for j, v := range s {
			if v != int8(i+1) {
				t.Fatalf("element %d of slice %d = %d, which another slice wrote", j, i, v)
			}
		}
	}
	floats := place[float32](&a, 33)
	if len(floats) != 33 || uintptr(unsafe.Pointer(&floats[0]))%64 != 0 {
		t.Errorf("place of float32 at %p with length %d", &floats[0], len(floats))
	}
}
