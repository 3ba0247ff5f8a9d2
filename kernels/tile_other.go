//go:build !amd64 || noasm

package kernels

// runTile is unreachable here: Supported refuses the tiers that have tiles.
func runTile(tileKind, int, int, *tile) { panic("kernels: this build has no assembly") }

// The same holds for the routines below.

func quantizeRowAVX2(*uint8, *float32, int, *byte)    { panic("kernels: this build has no assembly") }
func quantizeRowAVX512(*uint8, *float32, int, *byte)  { panic("kernels: this build has no assembly") }
func flipTopAVX2(*uint8, *uint8, int)                 { panic("kernels: this build has no assembly") }
func widenQuadsAVX2(*int16, *int8, int)               { panic("kernels: this build has no assembly") }
func interleaveAVX2(*byte, int, *byte, int, int, int) { panic("kernels: this build has no assembly") }
func widenBytesAVX2(*int16, *uint8, int, int)         { panic("kernels: this build has no assembly") }
func transposeAVX2(*byte, int, *byte, int, int, int)  { panic("kernels: this build has no assembly") }
func nonzeroAVX2(*uint64, int, *float32, int, int, int) uint32 {
	panic("kernels: this build has no assembly")
}
func nonzeroAVX512(*uint64, int, *float32, int, int, int) uint32 {
	panic("kernels: this build has no assembly")
}
func fewTransposedF32(*float32, int, *float32, int, *float32, int, int, int, int, int, int) {
	panic("kernels: this build has no assembly")
}
func fewTransposedVNNI(*float32, int, *uint8, int, *byte, int, int, int, uint64, float32) {
	panic("kernels: this build has no assembly")
}
func fewRowsVNNI(*float32, int, *uint8, int, *byte, int, int, int, uint64, float32) {
	panic("kernels: this build has no assembly")
}
func attendF32AVX512(*byte) { panic("kernels: this build has no assembly") }
