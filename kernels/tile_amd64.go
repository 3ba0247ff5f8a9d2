//go:build !noasm

package kernels

// runTile runs t on the tile of the given family and size.
func runTile(kind tileKind, rows, vecs int, t *tile) {
	switch kind {
	case tilesF32AVX2:
		tileF32AVX2(rows, vecs, t)
	case tilesF32AVX2Strided:
		tileF32AVX2Strided(rows, vecs, t)
	case tilesF32AVX2Sparse:
		tileF32AVX2Sparse(rows, vecs, t)
	case tilesF32AVX512:
		tileF32AVX512(rows, vecs, t)
	case tilesF32AVX512Strided:
		tileF32AVX512Strided(rows, vecs, t)
	case tilesF32AVX512Sparse:
		tileF32AVX512Sparse(rows, vecs, t)
	case tilesS8AVX2:
		tileS8AVX2(rows, vecs, t)
	case tilesS8RowAVX2:
		tileS8RowAVX2(rows, vecs, t)
	case tilesS8AVXVNNI:
		tileS8AVXVNNI(rows, vecs, t)
	case tilesS8NarrowAVX2:
		tileS8NarrowAVX2(rows, vecs, t)
	case tilesS8VNNI:
		tileS8VNNI(rows, vecs, t)
	}
}
