package kernels

import "unsafe"

// tile is the argument block of the assembly tiles; kernels/_gen knows its offsets. Strides are in bytes.
//
// One call multiplies blocks of rows of a, each by the same columns of b, over all of k.
type tile struct {
	a      unsafe.Pointer
	lda    int
	b      unsafe.Pointer
	bStep  int // from row to row of b, where it is read in place
	bNext  int // from panel to panel, where a tile covers several
	k      int // steps of 4 bytes of a row of a
	dst    unsafe.Pointer
	ldd    int
	bias   unsafe.Pointer
	add    unsafe.Pointer
	ldAdd  int
	blocks int
	mask   uint64         // AVX-512: lanes of the last vector
	lanes  unsafe.Pointer // AVX2: the same, 8 int32
	flags  uint64         // below
	scale  unsafe.Pointer // integers only, as the rest
	colSum unsafe.Pointer // *int32
	shift  int64          // minus the shift of the codes, in the low 32 bits
	next   uintptr        // what tiles of many rows prefetch: no pointer, since it runs past the weights
	ahead  int            // from one prefetch to the next
	// Of sparse tiles: the bits of the steps of k that each row takes, and the sums of the steps before, row by row as wide as the
	// tile; nil: none.
	bits, sums unsafe.Pointer
	// Of tiles that prefetch: the places where blocks begin to prefetch what is read after the product, from
	// one in this list to the next, and from one prefetch to the next.
	later                unsafe.Pointer
	laterNext, laterStep int

	soon *Ahead // where later comes from; nil: nowhere
}

// Bits of tile.flags.
const (
	flagRelu = 1 << iota
	flagRaw  // store the sums as they are
	flagOneScale
	flagTail // the last vector is partly outside
)

// tileKind is one family of tiles: an arithmetic, a register width, and how b is read.
type tileKind uint8

const (
	tilesF32AVX2 tileKind = iota
	tilesF32AVX2Strided
	tilesF32AVX2Sparse
	tilesF32AVX512
	tilesF32AVX512Strided
	tilesF32AVX512Sparse
	tilesS8AVX2
	tilesS8RowAVX2
	tilesS8NarrowAVX2
	tilesS8AVXVNNI
	tilesS8VNNI
)

// tileSizes says which tiles a family has: 1..rows times 1..vecs vectors of lanes columns, and in wide[r]
// how many vectors a tile of r rows may have at once (several panels of vecs), because few accumulators
// would leave it waiting for the latency of one.
type tileSizes struct {
	lanes, vecs, rows int
	wide              [4]int
}

var sizesOf = [...]tileSizes{
	tilesF32AVX2:          {lanes: 8, vecs: 2, rows: 6, wide: [4]int{1: 8, 2: 4, 3: 4}},
	tilesF32AVX2Strided:   {lanes: 8, vecs: 2, rows: 6, wide: [4]int{1: 8, 2: 4, 3: 4}},
	tilesF32AVX2Sparse:    {lanes: 8, vecs: 2, rows: 1, wide: [4]int{1: 8}},
	tilesF32AVX512:        {lanes: 16, vecs: 4, rows: 6, wide: [4]int{1: 8, 2: 8, 3: 8}},
	tilesF32AVX512Strided: {lanes: 16, vecs: 4, rows: 6, wide: [4]int{1: 8}},
	tilesF32AVX512Sparse:  {lanes: 16, vecs: 4, rows: 1},
	tilesS8AVX2:           {lanes: 8, vecs: 2, rows: 6, wide: [4]int{1: 8, 2: 4, 3: 4}},
	tilesS8NarrowAVX2:     {lanes: 8, vecs: 2, rows: 5, wide: [4]int{1: 8, 2: 4}},
	tilesS8RowAVX2:        {lanes: 8, vecs: 2, rows: 1, wide: [4]int{1: 8}},
	tilesS8AVXVNNI:        {lanes: 8, vecs: 2, rows: 6, wide: [4]int{1: 8, 2: 4, 3: 4}},
	tilesS8VNNI:           {lanes: 16, vecs: 4, rows: 6, wide: [4]int{1: 8, 2: 8, 3: 8}},
}

// split divides m rows evenly (16 rows are 6+5+5, not 6+6+4) into all blocks, of which the first high have low+1 rows and
// the others low.
func (size *tileSizes) split(m int) (all, low, high int) {
	all = (m + size.rows - 1) / size.rows
	low = m / all
	return all, low, m - low*all
}

// laneMask has 8 set lanes before 8 clear ones; starting 8-n lanes in selects n.
var laneMask = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// maxSteps bounds one assembly call, in accumulator updates: about 50 microseconds. Assembly cannot be
// preempted, and a stop of the world waits for it. A single tile is not split, so that k beyond 5,000 may
// take longer.
const maxSteps = 1 << 17

// maxRows bounds the rows of a, in bytes, that stay in the second cache while the panels go by.
const maxRows = 256 << 10

// nextProduct is how many bytes of the next product's weights the last panel of one prefetches at least. Measured on Zen 4.
const nextProduct = 128 << 10

// run multiplies m rows by n columns. t has the bases, strides, k and flags of the whole product; panel is
// the bytes from one panel of b to the next.
//
// Rows that are too many for the cache are taken in parts of even size: reading b again for each costs less than
// reading all rows again for each panel.
func (t *tile) run(kind tileKind, m, n, panel int) {
	parts := (m*t.lda + maxRows - 1) / maxRows
	if parts <= 2 {
		t.runRows(kind, m, n, panel)
		return
	}
	rows := roundUp((m+parts-1)/parts, sizesOf[kind].rows)
	for i := 0; i < m; i += rows {
		part := t.from(i)
		part.runRows(kind, min(rows, m-i), n, panel)
	}
}

// from returns t without its first i rows.
func (t *tile) from(i int) tile {
	part := *t
	part.a, part.dst = unsafe.Add(t.a, i*t.lda), unsafe.Add(t.dst, i*t.ldd)
	if t.add != nil {
		part.add = unsafe.Add(t.add, i*t.ldAdd)
	}
	return part
}

// runRows is run for rows that fit.
//
// Panels are outside: one stays in the cache while the rows go by.
func (t *tile) runRows(kind tileKind, m, n, panel int) {
	size := &sizesOf[kind]
	all, low, high := size.split(m)
	part := *t
	if t.k == 0 {
		part.lda, panel = 0, 0 // a and b have no elements, and no pointer may leave them
	}
	part.bNext = panel
	rows := low // of the only height, 0 if there are two
	if high > 0 {
		rows = 0
	}
	for j := 0; j < n; {
		vecs := part.columns(t, size, rows, j, n, panel)
		// All blocks of rows together prefetch one panel while they go over another, as far as the lines suffice that they ask
		// for. Behind the last panel lie, as a rule, the weights of the next product, whose panels may be larger.
		part.next = uintptr(part.b) + uintptr(panel)
		bytes := panel
		if j+vecs*size.lanes >= n {
			bytes = max(bytes, nextProduct)
		}
		part.ahead = min(16*size.lanes, 2*bytes/max(1, all*t.k)+1)
		if high > 0 {
			part.rows(t, kind, low+1, vecs, 0, j, high)
		}
		part.rows(t, kind, low, vecs, high*(low+1), j, all-high)
		j += vecs * size.lanes
	}
}

// columns makes t the part of the product whole that begins with column j of n, for blocks of a height (0: of several), and
// returns how many vectors of columns it has.
func (t *tile) columns(whole *tile, size *tileSizes, height, j, n, panel int) (vecs int) {
	vecs = min(size.vecs, (n-j+size.lanes-1)/size.lanes)
	if height < len(size.wide) && n-j >= size.wide[height]*size.lanes {
		vecs = max(vecs, size.wide[height])
	}
	t.mask, t.lanes = 1<<size.lanes-1, unsafe.Pointer(&laneMask[0])
	t.flags = whole.flags
	if rest := vecs*size.lanes - (n - j); rest > 0 {
		t.mask >>= rest
		t.lanes = unsafe.Pointer(&laneMask[rest&7])
		t.flags |= flagTail
	}
	t.b = unsafe.Add(whole.b, j/(size.vecs*size.lanes)*panel)
	if whole.bias != nil {
		t.bias = unsafe.Add(whole.bias, 4*j)
	}
	if whole.scale != nil && whole.flags&flagOneScale == 0 {
		t.scale = unsafe.Add(whole.scale, 4*j)
	}
	if whole.colSum != nil {
		t.colSum = unsafe.Add(whole.colSum, 4*j)
	}
	return vecs
}

// rows runs blocks of one height, from row i and column j of the product whole on.
func (t *tile) rows(whole *tile, kind tileKind, height, vecs, i, j, blocks int) {
	most := 1
	if blocks > 1 {
		most = max(1, maxSteps/(height*vecs*max(1, t.k)))
	}
	for blocks > 0 {
		count := min(blocks, most)
		t.later, t.laterNext, t.laterStep = unsafe.Pointer(&nowhere), 0, 0
		if size := &sizesOf[kind]; t.soon != nil && height >= 4 && vecs == size.vecs {
			count = t.soon.give(t, count)
		}
		t.blocks = count
		t.a = unsafe.Add(whole.a, i*t.lda)
		t.dst = unsafe.Add(whole.dst, i*t.ldd+4*j)
		if whole.add != nil {
			t.add = unsafe.Add(whole.add, i*t.ldAdd+4*j)
		}
		runTile(kind, height, vecs, t)
		i += height * count
		blocks -= count
	}
}

// finish sets the fields of t that apply ep.
func (t *tile) finish(ep *Epilogue) {
	if ep.Bias != nil {
		t.bias = unsafe.Pointer(unsafe.SliceData(ep.Bias))
	}
	if ep.Act == ActRelu {
		t.flags |= flagRelu
	}
	t.soon = ep.Ahead
	if ep.Add != nil {
		t.add, t.ldAdd = unsafe.Pointer(unsafe.SliceData(ep.Add)), 4*ep.LdAdd
	}
}
