package main

import "github.com/mmcloughlin/avo/build"

// vecFiles are the vector functions, one file of routines per entry. Where 512-bit vectors gain nothing
// over 256-bit ones (memory-bound loops), only the AVX2 routine exists and both tiers use it.
var vecFiles = map[string]func(*build.Context){
	"vec_math_avx2":        func(c *build.Context) { mathFile(c, ymm) },
	"vec_math_avx512":      func(c *build.Context) { mathFile(c, zmm) },
	"vec_rows_avx2":        func(c *build.Context) { rowsFile(c, ymm) },
	"vec_rows_avx512":      func(c *build.Context) { rowsFile(c, zmm) },
	"vec_elementwise_avx2": elementwiseFile,
	"vec_reduce_avx2":      reduceFile,
	"vec_quantize_avx2":    quantizeFile,
}
