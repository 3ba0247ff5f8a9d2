//go:build !amd64 || noasm

package kernels

// Builds without assembly have the portable tier only: each of these reports that it has done nothing.

func unaryAsm(Tier, unaryOp, []float32, []float32) bool              { return false }
func binaryAsm(Tier, binaryOp, []float32, []float32, []float32) bool { return false }
func scalarAsm(Tier, binaryOp, []float32, []float32, float32) bool   { return false }
func sumAsm(Tier, []float32) (float32, bool)                         { return 0, false }
func sumSquaresAsm(Tier, []float32, float32) (float32, bool)         { return 0, false }
func sumExpAsm(Tier, []float32, float32) (float32, bool)             { return 0, false }
func extremesAsm(Tier, []float32) (extremes, bool)                   { return extremes{}, false }
func normAsm(Tier, *norm) bool                                       { return false }
func quantizeS8Asm(Tier, []int8, []float32, *quantizer) bool         { return false }
func quantizeU8Asm(Tier, []uint8, []float32, *quantizer) bool        { return false }
func dequantizeS8Asm(Tier, []float32, []int8, float32) bool          { return false }
func dequantizeS32Asm(Tier, []float32, []int32, float32) bool        { return false }
func blockMaximaAsm(Tier, []float32, []float32) bool                 { return false }
func blockAtLeastAsm(Tier, []float32, float32) (uint64, bool)        { return 0, false }

func dequantizeU8Asm(Tier, []float32, []uint8, float32, float32) bool { return false }

func softmaxAsm(Tier, []float32, []float32, int, int, float32, []float32, int) bool { return false }
