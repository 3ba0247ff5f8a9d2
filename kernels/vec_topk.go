package kernels

import (
	"math"
	"math/bits"
	"slices"
)

// TopKScratch is the working memory of TopK. The zero value is ready; it only grows; it serves one call at a
// time.
type TopKScratch struct {
	blockMax []float32
	best     []float32
	wide     []float32 // of TopKLogSoftmax: the whole matrix
}

const (
	// topKBlock is the number of values of which one maximum is kept.
	topKBlock = 64
	// topKInsertion is the greatest k for which a sorted list beats a heap.
	topKInsertion = 32
)

// TopK writes the k greatest values of x in descending order to vals[:k] and their positions to idx[:k];
// equal values come in the order of their positions, as in TensorFlow's TopKV2. NaN counts as less than
// everything else. k is in 0..len(x), and len(x) at most 2^31-1.
func (s *Set) TopK(x []float32, k int, vals []float32, idx []int32, scratch *TopKScratch) {
	if k > len(x) || k < 0 {
		checkLen("TopK", "x", len(x), k)
	}
	checkLen("TopK", "vals", len(vals[:min(k, len(vals))]), k)
	checkLen("TopK", "idx", len(idx[:min(k, len(idx))]), k)
	if k == 0 {
		return
	}
	if k == 1 {
		if at := s.argMax(x); at >= 0 {
			vals[0], idx[0] = x[at], int32(at)
			return
		}
	}
	list := topKList{vals: vals[:0:k], idx: idx[:0:k]}
	if blocks := (len(x) + topKBlock - 1) / topKBlock; k <= topKInsertion && blocks > 2*k {
		s.topKBlocks(&list, x, k, scratch)
	} else if k <= topKInsertion {
		for i, v := range x {
			list.insert(v, int32(i))
		}
	} else {
		list.heapSelect(x)
	}
	// Only NaN can be left over.
	for i := 0; len(list.vals) < k; i++ {
		if x[i] != x[i] {
			list.vals, list.idx = append(list.vals, x[i]), append(list.idx, int32(i))
		}
	}
}

// ArgMax returns the position of the greatest value of x, the first of several equal ones. NaN counts as
// less than everything else; a row of only NaN gives 0, and an empty one -1.
func (s *Set) ArgMax(x []float32) int {
	if len(x) == 0 {
		return -1
	}
	return max(s.argMax(x), 0)
}

// argMax is ArgMax with -1 where all values are NaN. It looks for the value in one block only.
func (s *Set) argMax(x []float32) int {
	var maxima [64]float32
	best, at := float32(math.Inf(-1)), 0
	for first := 0; first < len(x); first += len(maxima) * topKBlock {
		part := x[first:min(first+len(maxima)*topKBlock, len(x))]
		found := maxima[:(len(part)+topKBlock-1)/topKBlock]
		s.blockMaxima(found, part)
		for b, m := range found {
			if m > best {
				best, at = m, first+b*topKBlock
			}
		}
	}
	if i := slices.Index(x[at:], best); i >= 0 {
		return at + i
	}
	return -1
}

// topKBlocks scans only the blocks whose maximum is at least the k-th greatest block maximum: k values are
// no less than that one, so nothing below it is among the k greatest.
func (s *Set) topKBlocks(list *topKList, x []float32, k int, scratch *TopKScratch) {
	blocks := (len(x) + topKBlock - 1) / topKBlock
	scratch.blockMax = grow(scratch.blockMax, blocks)
	s.blockMaxima(scratch.blockMax, x)

	least := scratch.kthBlock(k)
	for b, m := range scratch.blockMax {
		if m < least {
			continue
		}
		first := b * topKBlock
		for found := s.blockAtLeast(x[first:min(first+topKBlock, len(x))], least); found != 0; found &= found - 1 {
			at := first + bits.TrailingZeros64(found)
			if v := x[at]; v >= least {
				least = max(least, list.insert(v, int32(at)))
			}
		}
	}
}

// blockAtLeast returns which of at most 64 values are not less than least, nor NaN: a bit for each.
func (s *Set) blockAtLeast(x []float32, least float32) (found uint64) {
	if len(x) == topKBlock {
		if found, ok := blockAtLeastAsm(s.tier, x, least); ok {
			return found
		}
	}
	for i, v := range x {
		if v >= least {
			found |= 1 << i
		}
	}
	return found
}

// blockMaxima writes the maximum of each topKBlock values of x, ignoring NaN, to dst.
func (s *Set) blockMaxima(dst, x []float32) {
	whole := len(x) / topKBlock
	if whole > 0 && !blockMaximaAsm(s.tier, dst, x[:whole*topKBlock]) {
		for b := range whole {
			dst[b] = maxPortable(x[b*topKBlock:][:topKBlock])
		}
	}
	if whole < len(dst) {
		dst[whole] = maxPortable(x[whole*topKBlock:])
	}
}

// topKList is the greatest values so far; their number is bounded by the capacity.
type topKList struct {
	vals []float32
	idx  []int32
}

// insert offers a value whose position is greater than all earlier ones to a list kept in final order. It
// returns the least value of a full list, -Inf before.
func (l *topKList) insert(v float32, at int32) float32 {
	n := len(l.vals)
	if full := n == cap(l.vals); full && !(v > l.vals[n-1]) {
		return l.vals[n-1]
	} else if v != v {
		return float32(math.Inf(-1))
	} else if full {
		n--
	} else {
		l.vals, l.idx = l.vals[:n+1], l.idx[:n+1]
	}
	i := n
	for ; i > 0 && l.vals[i-1] < v; i-- {
		l.vals[i], l.idx[i] = l.vals[i-1], l.idx[i-1]
	}
	l.vals[i], l.idx[i] = v, at
	if len(l.vals) < cap(l.vals) {
		return float32(math.Inf(-1))
	}
	return l.vals[len(l.vals)-1]
}

// heapSelect fills the list from x: a heap with the worst entry on top, then a heap sort.
func (l *topKList) heapSelect(x []float32) {
	for i, v := range x {
		n := len(l.vals)
		switch {
		case v != v:
		case n < cap(l.vals):
			l.vals, l.idx = append(l.vals, v), append(l.idx, int32(i))
			if n+1 == cap(l.vals) {
				for j := n / 2; j >= 0; j-- {
					l.sink(j, n+1)
				}
			}
		case v > l.vals[0]:
			l.vals[0], l.idx[0] = v, int32(i)
			l.sink(0, n)
		}
	}
	n := len(l.vals)
	if n < cap(l.vals) {
		for j := n / 2; j >= 0; j-- {
			l.sink(j, n)
		}
	}
	for n--; n > 0; n-- {
		l.vals[0], l.vals[n] = l.vals[n], l.vals[0]
		l.idx[0], l.idx[n] = l.idx[n], l.idx[0]
		l.sink(0, n)
	}
}

// worse reports whether entry i comes after entry j in the final order.
func (l *topKList) worse(i, j int) bool {
	return l.vals[i] < l.vals[j] || l.vals[i] == l.vals[j] && l.idx[i] > l.idx[j]
}

// sink moves entry i of the first n down to its place in the heap.
func (l *topKList) sink(i, n int) {
	for {
		child := 2*i + 1
		if child >= n {
			return
		}
		if child+1 < n && l.worse(child+1, child) {
			child++
		}
		if !l.worse(child, i) {
			return
		}
		l.vals[i], l.vals[child] = l.vals[child], l.vals[i]
		l.idx[i], l.idx[child] = l.idx[child], l.idx[i]
		i = child
	}
}
