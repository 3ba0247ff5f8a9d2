package text

import "math"

// bpe holds what merging needs beyond the vocabulary.
type bpe struct {
	longest   int  // bytes of the longest piece: longer candidates need no look-up
	hasUnused bool // whether merged pieces may have to be split again
}

// maxSplitDepth bounds how deep an unused piece is split again; the library stops there too.
const maxSplitDepth = 100

func newBPE(m *Model) *bpe {
	b := &bpe{}
	for _, q := range m.pieces {
		b.longest = max(b.longest, len(q.text))
		b.hasUnused = b.hasUnused || q.kind == Unused
	}
	return b
}

// bpeSymbol is a run of the text between two others; merging lengthens the left of two and empties the right.
type bpeSymbol struct {
	start, end int32 // in the text; start == end: merged into its left neighbour
	prev, next int32 // -1: none
	frozen     bool  // user-defined: never merged
}

// bpePair is a possible merge. order has the score above and the inverted index of the left symbol below, so that the
// largest order is the best score, at the leftmost place among equals.
type bpePair struct {
	order       uint64
	left, right int32
	size        int32 // bytes of both symbols when the pair was found; it is stale if they have changed
}

type bpeRun struct {
	m       *Model
	s       string
	symbols []bpeSymbol
	pairs   pairHeap
	// splits remembers how unused pieces came about, at their latest.
	splits map[string]int
}

// cut merges symbols pair by pair, best score first, until no two neighbours form a piece.
func (b *bpe) cut(m *Model, s string) []token {
	r := bpeRun{m: m, s: s, symbols: make([]bpeSymbol, 0, len(s)), pairs: make(pairHeap, 0, len(s))}
	if b.hasUnused {
		r.splits = make(map[string]int)
	}
	for i := 0; i < len(s); {
		n, frozen := m.symbol(s[i:])
		k := int32(len(r.symbols))
		r.symbols = append(r.symbols, bpeSymbol{start: int32(i), end: int32(i + n), prev: k - 1, next: k + 1, frozen: frozen})
		i += n
	}
	r.symbols[len(r.symbols)-1].next = -1
	for i := 1; i < len(r.symbols); i++ {
		if p, ok := r.pair(int32(i-1), int32(i)); ok {
			r.pairs = append(r.pairs, p)
		}
	}
	r.pairs.build()
	for len(r.pairs) > 0 {
		p := r.pairs.pop()
		left, right := &r.symbols[p.left], &r.symbols[p.right]
		if left.start == left.end || right.start == right.end || right.end-left.start != p.size {
			continue
		}
		left.end, left.next = right.end, right.next
		right.start = right.end
		if right.next >= 0 {
			r.symbols[right.next].prev = p.left
		}
		if q, ok := r.pair(left.prev, p.left); ok {
			r.pairs.push(q)
		}
		if q, ok := r.pair(p.left, left.next); ok {
			r.pairs.push(q)
		}
	}
	out := make([]token, 0, len(r.symbols)/2+1)
	for i := int32(0); i >= 0; i = r.symbols[i].next {
		out = r.emit(out, s[r.symbols[i].start:r.symbols[i].end], 0)
	}
	return out
}

// pair looks up the piece that two neighbours form.
func (r *bpeRun) pair(left, right int32) (bpePair, bool) {
	if left < 0 || right < 0 || r.symbols[left].frozen || r.symbols[right].frozen {
		return bpePair{}, false
	}
	start, end := r.symbols[left].start, r.symbols[right].end
	if int(end-start) > r.m.bpe.longest {
		return bpePair{}, false
	}
	id, ok := r.m.normal[r.s[start:end]]
	if !ok {
		return bpePair{}, false
	}
	q := &r.m.pieces[id]
	if q.kind == Unused {
		r.splits[r.s[start:end]] = int(r.symbols[left].end - start)
	}
	return bpePair{
		order: uint64(ascending(q.score))<<32 | uint64(^uint32(left)),
		left:  left, right: right, size: end - start,
	}, true
}

// emit appends the piece w, or, if it is unused, the two parts it was last merged from.
func (r *bpeRun) emit(out []token, w string, depth int) []token {
	id, ok := r.m.normal[w]
	if ok && r.m.pieces[id].kind == Unused && depth <= maxSplitDepth {
		if at, ok := r.splits[w]; ok {
			out = r.emit(out, w[:at], depth+1)
			return r.emit(out, w[at:], depth+1)
		}
	}
	return append(out, r.m.token(w))
}

// ascending maps floats to integers of the same order, -0 below 0.
func ascending(f float32) uint32 {
	bits := math.Float32bits(f)
	if bits>>31 != 0 {
		return ^bits
	}
	return bits | 1<<31
}

// pairHeap is a binary heap, the largest order first.
type pairHeap []bpePair

func (h pairHeap) build() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h pairHeap) down(i int) {
	p := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1].order > h[c].order {
			c++
		}
		if h[c].order <= p.order {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = p
}

func (h *pairHeap) push(p bpePair) {
	s := append(*h, p)
	i := len(s) - 1
	for i > 0 && s[(i-1)/2].order < p.order {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = p
	*h = s
}

func (h *pairHeap) pop() bpePair {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	if last > 0 {
		s.down(0)
	}
	*h = s
	return top
}
