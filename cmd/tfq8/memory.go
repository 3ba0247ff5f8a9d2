package main

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// spareHeap is the garbage that may pile up before it is collected, in percent of what is in use.
const spareHeap = 20

// keepHeapSmall is for verbs whose memory is weights and buffers that stay, and little else: Go would let garbage grow until it is
// as much. A collection takes a millisecond, since weights have no pointers to follow. A GOGC of the user's own counts.
func keepHeapSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(spareHeap)
	}
}

// streamBytes returns the most memory that each of so many streams may take: --max-bytes, or else its share of three quarters
// of the memory that the machine or the container has, so that a graph that asks for more ends in an error, not the process.
// 0 is no bound.
func (f *computeFlags) streamBytes(streams int) int64 {
	if f.maxBytes != unset {
		return int64(f.maxBytes)
	}
	return memoryShare(streams)
}

// memoryShare returns what each of so many streams may take of three quarters of all memory; 0 where nobody knows.
func memoryShare(streams int) int64 {
	have, err := memlimit.FromSystem()
	if limit, limitErr := memlimit.FromCgroup(); limitErr == nil && (err != nil || limit < have) {
		have, err = limit, nil
	}
	if err != nil {
		return 0
	}
	return int64(have / 4 * 3 / uint64(max(streams, 1)))
}
