package kernels

import "unsafe"

// PackS8 packs w, [k, n] with row stride ldw, or with transW its transpose, [n, k] with row stride ldw.
func (s *Set) PackS8(w []int8, k, n, ldw int, transW bool) *PackedS8 {
	checkPacked(w, k, n, ldw, transW)
	p := &PackedS8{}
	size := roundUp(n, s.tier.panelWidth()) * roundUp(k, 4)
	p.quads = place[int8](&s.weights, size)
	s.packQuads(p, w, k, n, ldw, transW)
	p.narrow = s.tier == AVX2 && within(p.quads, 64)
	if s.tier == AVX2 && !p.narrow {
		p.pairs = place[int16](&s.weights, size)
		p.widen()
	}
	s.sumColumns(p, &Codes{})
	switch {
	case s.tier != AVX2 || p.narrow:
	case within(p.quads, 127):
		p.row = true // not before: it needs the column sums
	default:
		p.quads = nil // products read pairs
	}
	return p
}

func checkPacked(w []int8, k, n, ldw int, transW bool) {
	if transW {
		checkMatrix("PackS8", "w", len(w), n, k, ldw)
	} else {
		checkMatrix("PackS8", "w", len(w), k, n, ldw)
	}
}

// packComputed is PackS8 for an operand of one product: it reuses the buffers of p and ones, and does not
// look at the weights. Column sums are for left operands with a shift, and cost as much as one more row of
// the product; where sums is false they are zero.
func (s *Set) packComputed(p *PackedS8, ones *Codes, w []int8, k, n, ldw int, transW, sums bool) {
	checkPacked(w, k, n, ldw, transW)
	s.packQuads(p, w, k, n, ldw, transW)
	if s.tier == AVX2 {
		p.widen()
	}
	if sums {
		s.sumColumns(p, ones)
		return
	}
	p.ColSum = grow(p.ColSum, roundUp(n, s.tier.panelWidth()))
	clear(p.ColSum)
}

// within reports whether all weights are in [-limit, limit].
func within(weights []int8, limit int) bool {
	for _, v := range weights {
		if int(v) < -limit || int(v) > limit {
			return false
		}
	}
	return true
}

// sumColumns sets p.ColSum: the product with a row of ones.
func (s *Set) sumColumns(p *PackedS8, ones *Codes) {
	cols := roundUp(p.N, s.tier.panelWidth())
	p.ColSum = grow(p.ColSum, cols)
	clear(p.ColSum)
	s.loadOnes(ones, p.K)
	// With shift 0 the sums that the product starts from count nothing, so it may replace them.
	s.MatMulInt32(p.ColSum, cols, ones, p)
}

// loadOnes makes c a row of k ones. It keeps those that it has: c is for nothing else.
func (s *Set) loadOnes(c *Codes, k int) {
	if n := roundUp(k, codeUnit); c.tier != s.tier || len(c.bytes) < n {
		c.reset(s.tier, 1, n, 0)
		for i := range c.bytes {
			c.bytes[i] = 1
		}
		s.widen(c)
	}
	c.M, c.K = 1, k
}

// packQuads sets K, N, tier and quads of p.
func (s *Set) packQuads(p *PackedS8, w []int8, k, n, ldw int, transW bool) {
	width := s.tier.panelWidth()
	p.K, p.N, p.tier = k, n, s.tier
	p.quads = grow(p.quads, roundUp(n, width)*roundUp(k, 4))
	if k == 0 || n == 0 {
		return
	}
	for j0 := 0; j0 < n; j0 += width {
		panel := p.quads[j0*roundUp(k, 4):][:width*roundUp(k, 4)]
		cols := min(width, n-j0)
		if k%4 != 0 {
			clear(panel[k/4*4*width:]) // what lies after k must be zero; columns after n may hold anything
		}
		if transW {
			s.packColumns(panel, w[j0*ldw:], k, cols, ldw)
		} else {
			s.packRows(panel, w[j0:], k, cols, ldw)
		}
	}
}

// packColumns fills a panel from cols columns that are the rows of w. The quads of a column lie side by side
// there, so that this is a transposition of 4-byte elements.
func (s *Set) packColumns(panel, w []int8, k, cols, ldw int) {
	width, whole := s.tier.panelWidth(), k/4
	if s.transposes(whole) {
		transpose32(unsafe.Pointer(&panel[0]), 4*width, unsafe.Pointer(&w[0]), ldw, cols, whole)
	} else {
		whole = 0
	}
	for j := range cols {
		column := w[j*ldw:][:k]
		for i := 4 * whole; i < k; i++ {
			panel[(i/4*width+j)*4+i%4] = column[i]
		}
	}
}

// packRows fills a panel from the first cols columns of w.
func (s *Set) packRows(panel, w []int8, k, cols, ldw int) {
	width, done := s.tier.panelWidth(), 0
	if s.tier != Portable {
		// 16 columns at a time, as long as the last row read has as many; what is read after the last column lands in
		// columns that nobody stores.
		const unit = 16
		for done = k / 4; done > 0 && (4*done-1)*ldw+roundUp(cols, unit) > len(w); done-- {
		}
		// Pieces of some microseconds: assembly cannot be preempted.
		const piece = 1 << 10
		for i := 0; i < done; i += piece {
			from, to := (*byte)(unsafe.Pointer(&w[4*i*ldw])), (*byte)(unsafe.Pointer(&panel[4*i*width]))
			interleaveAVX2(to, 4*width, from, ldw, roundUp(cols, unit), min(piece, done-i))
		}
	}
	for i := 4 * done; i < k; i++ {
		quads := panel[i/4*4*width:]
		for j, v := range w[i*ldw:][:cols] {
			quads[j*4+i%4] = v
		}
	}
}

// widen fills p.pairs from p.quads: [quad][column][4] becomes [quad][half][column][2] of int16.
func (p *PackedS8) widen() {
	p.pairs = grow(p.pairs, len(p.quads))
	if len(p.quads) > 0 {
		widenQuadsAVX2(&p.pairs[0], &p.quads[0], len(p.quads))
	}
}
