package kernels

import (
	"math"
	"math/bits"
	"slices"
)

// TopKLogSoftmax writes to vals[:k] and idx[:k] the k greatest values, as TopK does, of
//
//	LogSoftmax(x)[i, j] + add[i]
//
// over all i and j, x being [rows, cols] row-major; the position of element (i, j) is i*cols + j. This is what a beam search
// keeps of the scores of a sentence's beams. The bits are those of LogSoftmax, an addition and TopK, one after the other, but
// no matrix is written: the logarithm is subtracted from the few elements that can be among the greatest.
func (s *Set) TopKLogSoftmax(x []float32, rows, cols int, add []float32, k int, vals []float32, idx []int32, scratch *TopKScratch) {
	checkMatrix("TopKLogSoftmax", "x", len(x), rows, cols, cols)
	checkLen("TopKLogSoftmax", "add", len(add), rows)
	checkLen("TopKLogSoftmax", "vals", len(vals[:min(k, len(vals))]), k)
	checkLen("TopKLogSoftmax", "idx", len(idx[:min(k, len(idx))]), k)
	if k > rows*cols || k < 0 {
		checkLen("TopKLogSoftmax", "x", rows*cols, k)
	}
	if k == 0 {
		return
	}
	if k > topKInsertion || cols <= 2*k*topKBlock {
		s.topKLogSoftmaxWide(x, rows, cols, add, k, vals, idx, scratch)
		return
	}
	list := topKList{vals: vals[:0:k], idx: idx[:0:k]}
	least := float32(math.Inf(-1)) // what is less is not among the greatest
	for i := range rows {
		row := x[i*cols:][:cols]
		scratch.blockMax = grow(scratch.blockMax, (cols+topKBlock-1)/topKBlock)
		s.blockMaxima(scratch.blockMax, row)
		top := maxPortable(scratch.blockMax)
		score := rowScore{top: top, logSum: log32(s.sumExp(row, top)), add: add[i]}
		if score.logSum-score.logSum != 0 || top-top != 0 || add[i] != add[i] {
			// NaN or infinite: their order is TopK's business.
			s.topKLogSoftmaxWide(x, rows, cols, add, k, vals, idx, scratch)
			return
		}
		if score.of(top) < least {
			continue
		}
		if len(list.vals) < k {
			// At least k elements are as great as the k-th greatest block maximum; the score does not change an order, though
			// it can make different values equal.
			least = max(least, score.of(scratch.kthBlock(k)))
		}
		bound := score.bound(least)
		for b, m := range scratch.blockMax {
			if m < bound {
				continue
			}
			first := b * topKBlock
			for found := s.blockAtLeast(row[first:min(first+topKBlock, cols)], bound); found != 0; found &= found - 1 {
				j := first + bits.TrailingZeros64(found)
				if y := score.of(row[j]); y >= least {
					least = max(least, list.insert(y, int32(i*cols+j)))
				}
			}
			bound = max(bound, score.bound(least))
		}
	}
}

// rowScore is what a row of a log softmax becomes: the logarithm's parts and what is added.
type rowScore struct{ top, logSum, add float32 }

func (r *rowScore) of(v float32) float32 { return ((v - r.top) - r.logSum) + r.add }

// bound returns a value below which all have a score less than least.
func (r *rowScore) bound(least float32) float32 {
	v := least - r.add + r.logSum + r.top
	// A few roundings away, of the greatest of these; whether that suffices is looked at, since of never changes an order.
	v -= 0x1p-20 * float32(math.Abs(float64(least))+math.Abs(float64(r.add))+math.Abs(float64(r.logSum))+math.Abs(float64(r.top)))
	if r.of(v) < least {
		return v
	}
	return float32(math.Inf(-1))
}

// kthBlock returns the k-th greatest of the block maxima.
func (t *TopKScratch) kthBlock(k int) float32 {
	best := append(t.best[:0], t.blockMax[:k]...)
	slices.Sort(best)
	t.best = best
	for _, m := range t.blockMax[k:] {
		if m > best[0] {
			i := 1
			for ; i < k && best[i] < m; i++ {
				best[i-1] = best[i]
			}
			best[i-1] = m
		}
	}
	return best[0]
}

// topKLogSoftmaxWide is TopKLogSoftmax by way of the whole matrix.
func (s *Set) topKLogSoftmaxWide(x []float32, rows, cols int, add []float32, k int, vals []float32, idx []int32, scratch *TopKScratch) {
	scratch.wide = grow(scratch.wide, rows*cols)
	y := scratch.wide
	s.LogSoftmax(y, x, rows, cols)
	for i := range rows {
		s.AddScalar(y[i*cols:][:cols], y[i*cols:][:cols], add[i])
	}
	s.TopK(y, k, vals, idx, scratch)
}
