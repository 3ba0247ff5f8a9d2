package calib

import (
	"fmt"
	"math"
)

const (
	ln2  = 0x1.62e42fefa39efp-1
	ln10 = 0x1.26bb1bbb55516p+1
)

// klog returns the natural logarithm of a positive normal number by a fixed
// sequence of double operations, within 3e-16 of the true value: with the
// mantissa m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m-1)/(m+1)). The standard
// library's logarithm is not used because its last bit depends on the machine.
func klog(x float64) float64 {
	const sqrtHalf = 0x1.6a09e667f3bcdp-1
	b := math.Float64bits(x)
	e := float64(int(b>>52) - 1022)
	m := math.Float64frombits(b&(1<<52-1) | 1022<<52)
	if m < sqrtHalf {
		m *= 2
		e--
	}
	s := (m - 1) / (m + 1)
	z := s * s
	p := 1.0 / 23
	p = float64(p*z) + 1.0/21
	p = float64(p*z) + 1.0/19
	p = float64(p*z) + 1.0/17
	p = float64(p*z) + 1.0/15
	p = float64(p*z) + 1.0/13
	p = float64(p*z) + 1.0/11
	p = float64(p*z) + 1.0/9
	p = float64(p*z) + 1.0/7
	p = float64(p*z) + 1.0/5
	p = float64(p*z) + 1.0/3
	p = float64(p*z) + 1
	return float64(float64(s*p)*2) + float64(e*ln2)
}

// logTable holds klog(i) for i up to the number of bins.
type logTable [windowBins + 1]float64

func newLogTable() *logTable {
	var t logTable
	for i := 1; i < len(t); i++ {
		t[i] = klog(float64(i))
	}
	return &t
}

// windowBins is the number of bins of a linear histogram.
const windowBins = 2 * perOctave

// binWidth returns the width of a bin of the window with exponent field e.
func binWidth(e int) float64 { return pow2(e - 126 - 1 - mantissaBits) }

// window is a linear histogram of the magnitudes in [0, 2^(e-126)), exact
// because its edges are edges of buckets, with its running sums.
type window struct {
	total uint64                  // all values of the side, those above the window included
	count [windowBins]uint64      //
	upTo  [windowBins + 1]uint64  // values in the first i bins
	used  [windowBins + 1]uint32  // non-empty bins among the first i
	hlogh [windowBins + 1]float64 // sum of count*klog(count) over the first i bins
	bins  int                     // one more than the last non-empty bin, at least 1
	logs  *logTable
}

// fill makes w the window with exponent field e of a side.
func (w *window) fill(s *side, e int) {
	e = max(e, 1)
	w.total, w.bins = s.total, 1
	clear(w.count[:])
	w.count[0] = s.below
	counts := s.counts[len(s.counts)-len(s.keys):]
	for i, key := range s.keys {
		mantissa, exponent := splitKey(key)
		// The bucket's lower edge in bins, by shifting.
		if down := e - 127 - mantissaBits - exponent; down >= 0 {
			w.count[mantissa>>min(down, 62)] += counts[i]
		}
	}
	for i, k := range w.count {
		w.upTo[i+1], w.used[i+1], w.hlogh[i+1] = w.upTo[i]+k, w.used[i], w.hlogh[i]
		if k > 0 {
			w.used[i+1]++
			w.hlogh[i+1] += float64(float64(k) * w.log(k))
			w.bins = i + 1
		}
	}
}

// log returns klog(float64(k)) for k > 0.
func (w *window) log(k uint64) float64 {
	if k < uint64(len(w.logs)) {
		return w.logs[k]
	}
	return klog(float64(k))
}

// divergence returns the divergence of Kullback and Leibler between the
// histogram, with all that lies at or above bin t added to bin t-1, and what
// 8-bit codes 0..levels on [0, t) can tell of it: the mass of each code's bins,
// without what is clipped, spread evenly over those that are not empty. It is
// +Inf where the first has mass and the second none. With corrected, the
// expected excess that comes from the number of bins is subtracted.
func (w *window) divergence(t, levels int, corrected bool) float64 {
	inside := w.upTo[t]
	clipped := w.total - inside
	if inside == 0 {
		return math.Inf(1)
	}
	atEdge := w.count[t-1]
	last := min(levels, ((2*t-1)*levels+t)/(2*t)) // code of bin t-1

	// Code g starts at bin ceil((2tg-t-levels+1)/(2 levels)); from one code to
	// the next the quotient and the remainder grow by a constant.
	quotient, remainder := (t+levels-1)/(2*levels), (t+levels-1)%(2*levels)
	stepQuotient, stepRemainder := t/levels, 2*t%(2*levels)
	var sum float64
	var bins, codes uint64
	start := 0
	for g := 0; g <= levels; g++ {
		end := t
		if g < levels {
			end = min(quotient, t)
		}
		mass := w.upTo[end] - w.upTo[start]
		used := w.used[end] - w.used[start]
		start = end
		quotient += stepQuotient
		if remainder += stepRemainder; remainder >= 2*levels {
			remainder -= 2 * levels
			quotient++
		}
		reference := mass
		if g == last && clipped > 0 {
			if mass == 0 {
				return math.Inf(1)
			}
			if atEdge == 0 {
				used++
			}
			reference += clipped
		}
		if mass > 0 {
			sum += float64(float64(reference) * (w.log(mass) - w.logs[used]))
			bins += uint64(used)
			codes++
		}
	}
	x := w.hlogh[t-1]
	if edge := atEdge + clipped; edge > 0 {
		x += float64(float64(edge) * w.log(edge))
	}
	total := float64(w.total)
	v := (x - sum) / total
	v -= w.log(w.total) - w.log(inside)
	if corrected {
		v -= float64(bins-codes) / (2 * total)
	}
	return v
}

// classicalKL searches one window for the clipping bin with the smallest
// divergence, the larger of equals.
func (s *side) classicalKL() float64 {
	if len(s.keys) == 0 {
		return s.amax
	}
	w := &window{logs: newLogTable()}
	w.fill(s, s.topExponent())
	best, bin := math.Inf(1), w.bins
	for t := signedLevels + 1; t <= w.bins; t++ {
		if v := w.divergence(t, signedLevels, false); v <= best && v < math.Inf(1) {
			best, bin = v, t
		}
	}
	return min(float64(bin)*binWidth(max(s.topExponent(), 1)), s.amax)
}

// guardedKL scores every candidate in the window where it spans 1025 to 2048
// bins, takes the best, and then raises it until the squared error is no more
// than that of the largest magnitude and little of the energy is clipped. It
// also returns how it came to that.
func (s *side) guardedKL(levels int) (t float64, note string) {
	switch {
	case len(s.keys) == 0:
		return s.amax, "all zero"
	case s.total < guardedMinimum:
		return s.amax, fmt.Sprintf("fewer than %d values", guardedMinimum)
	}
	candidates := s.grid(guardedOctaves)
	w := &window{logs: newLogTable()}
	best, picked, filled := math.Inf(1), 0, -1
	for i, c := range candidates {
		if c.window != filled {
			w.fill(s, c.window)
			filled = c.window
		}
		bin := c.bin
		if bin == 0 {
			bin = w.bins
		}
		if v := w.divergence(bin, levels, true); v < best {
			best, picked = v, i
		}
	}
	if picked == 0 {
		return s.amax, "kl chose no clipping"
	}
	limit, _ := s.squaredError(s.amax, levels, math.Inf(1))
	kept := picked
	for ; kept > 0; kept-- {
		t := candidates[kept].t
		if s.clippedEnergy(t) > s.energy/clippedShare {
			continue
		}
		if _, ok := s.squaredError(t, levels, limit); ok {
			break
		}
	}
	if kept == picked {
		return candidates[kept].t, "kl"
	}
	return candidates[kept].t, fmt.Sprintf("guard raised T from %.9g", candidates[picked].t)
}
