package calib

import (
	"math"
	"math/bits"
	"sort"
)

// views are the three histograms that the rules look at.
type views struct {
	pos, neg, abs *side
	zeros         uint64
}

// side is the histogram of the magnitudes of one sign or of both. Everything is
// in ascending order of magnitude.
type side struct {
	amax  float64 // largest magnitude
	emax  int     // of the whole tensor, not only of this side
	below uint64  // nonzero values under the window
	keys  []uint32

	// One entry a bucket; when below is not 0, that is bucket 0.
	counts []uint64
	center []float64
	spread []float64 // squared width over 12: the variance inside a bucket
	total  uint64    // sum of counts
	energy float64   // sum of counts times center squared
}

func newViews(s *Statistics) *views {
	lo, hi, _ := s.Range()
	amaxNeg, amaxPos := max(0, -float64(lo)), max(0, float64(hi))
	pos, neg := s.buckets(0), s.buckets(1)
	for i := range neg {
		neg[i].id -= signKey
	}
	emax := s.emax()
	belowPos, belowNeg := s.belowCount(0), s.belowCount(1)
	return &views{
		pos:   newSide(pos, belowPos, amaxPos, emax),
		neg:   newSide(neg, belowNeg, amaxNeg, emax),
		abs:   newSide(mergeBuckets(pos, neg), belowPos+belowNeg, max(amaxPos, amaxNeg), emax),
		zeros: s.zeros,
	}
}

// mergeBuckets adds two ascending lists.
func mergeBuckets(a, b []bucket) []bucket {
	out := make([]bucket, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].id < b[0].id:
			out, a = append(out, a[0]), a[1:]
		case a[0].id > b[0].id:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, bucket{a[0].id, a[0].count + b[0].count})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func newSide(list []bucket, below uint64, amax float64, emax int) *side {
	n := len(list) + 1
	s := &side{
		amax: amax, emax: emax, below: below,
		keys:   make([]uint32, 0, n),
		counts: make([]uint64, 0, n),
		center: make([]float64, 0, n),
		spread: make([]float64, 0, n),
	}
	if below > 0 {
		edge := belowEdge(emax)
		s.append(below, 0.5*edge, edge)
	}
	for _, b := range list {
		s.keys = append(s.keys, b.id)
		mantissa, exponent := splitKey(b.id)
		width := pow2(exponent)
		s.append(b.count, (float64(mantissa)+0.5)*width, width)
	}
	return s
}

func (s *side) append(count uint64, center, width float64) {
	s.counts = append(s.counts, count)
	s.center = append(s.center, center)
	s.spread = append(s.spread, (width*width)/12)
	s.total += count
	s.energy += float64(float64(count) * float64(center*center))
}

// belowEdge is the upper edge of the values counted under the window.
func belowEdge(emax int) float64 { return pow2(emax - keptOctaves + 1 - 127) }

// splitKey returns the lower edge of a bucket as mantissa times 2^exponent; its
// width is 2^exponent.
func splitKey(key uint32) (mantissa, exponent int) {
	field, mantissa := int(key>>mantissaBits), int(key&(perOctave-1))
	if field > 0 {
		mantissa += perOctave
	}
	return mantissa, max(field, 1) - 127 - mantissaBits
}

// pow2 returns 2^e for the exponents of a normal double.
func pow2(e int) float64 { return math.Float64frombits(uint64(e+1023) << 52) }

// firstBeyond returns the index of the first bucket whose centre is not below t.
func (s *side) firstBeyond(t float64) int {
	return sort.SearchFloat64s(s.center, t)
}

// topExponent returns the exponent field of the largest key; there is one.
func (s *side) topExponent() int {
	return int(s.keys[len(s.keys)-1] >> mantissaBits)
}

// percentile returns the smallest bucket edge with at least ppm millionths of
// the values, zeros included, at or below it.
func (s *side) percentile(zeros, ppm uint64) float64 {
	if len(s.keys) == 0 {
		return s.amax
	}
	// ceil(n*ppm / 1e6) in 128 bits
	high, low := bits.Mul64(zeros+s.total, ppm)
	low, carry := bits.Add64(low, 999_999, 0)
	need, _ := bits.Div64(high+carry, low, 1_000_000)
	run := zeros + s.below
	if run >= need {
		if s.below > 0 {
			return min(s.amax, belowEdge(s.emax))
		}
		return s.amax
	}
	counts := s.counts[len(s.counts)-len(s.keys):]
	for i, key := range s.keys {
		if run += counts[i]; run >= need {
			mantissa, exponent := splitKey(key)
			return min(s.amax, float64(mantissa+1)*pow2(exponent))
		}
	}
	return s.amax
}

// squaredError models the squared error of quantizing with codes 0..levels on
// [0, t]. It gives up, with ok false, once the error is known to exceed limit:
// the terms are not negative and rounding is monotonic, so neither the sum of
// the terms of clipped buckets nor a partial sum can exceed the whole.
func (s *side) squaredError(t float64, levels int, limit float64) (err float64, ok bool) {
	l := float64(levels)
	beyond := s.firstBeyond(t)
	if s.clippedError(0, t, beyond) > limit {
		return 0, false
	}
	counts, spread := s.counts[:beyond], s.spread[:beyond]
	for i, c := range s.center[:beyond] {
		r := (c * l) / t
		q := float64(int64(r + 0.5)) // r is positive and at most levels
		d := c - float64(q*t)/l
		err += float64(float64(counts[i]) * (float64(d*d) + spread[i]))
		if err > limit {
			return 0, false
		}
	}
	err = s.clippedError(err, t, beyond)
	return err, err <= limit
}

// clippedError adds to sum the error of the buckets from index beyond on, which
// are clipped to t.
func (s *side) clippedError(sum, t float64, beyond int) float64 {
	counts, spread := s.counts[beyond:], s.spread[beyond:]
	for i, c := range s.center[beyond:] {
		d := c - t
		sum += float64(float64(counts[i]) * (float64(d*d) + spread[i]))
	}
	return sum
}

// clippedEnergy returns the energy of the buckets that t clips.
func (s *side) clippedEnergy(t float64) float64 {
	beyond := s.firstBeyond(t)
	counts, sum := s.counts[beyond:], 0.0
	for i, c := range s.center[beyond:] {
		sum += float64(float64(counts[i]) * float64(c*c))
	}
	return sum
}

// candidate is a threshold of the grid of mse and guarded-kl.
type candidate struct {
	t      float64
	window int // exponent field of its octave
	bin    int // threshold in bins of that window; 0 for amax itself
}

// grid returns the candidates in descending order: the largest magnitude, then
// 128 an octave. There is at least one key.
func (s *side) grid(octaves int) []candidate {
	top := s.topExponent()
	out := make([]candidate, 1, 1+octaves*128)
	out[0] = candidate{s.amax, top, 0}
	for e := max(top, 1); e > max(top-octaves, 0); e-- {
		width := binWidth(e)
		for bin := windowBins; bin > windowBins/2; bin -= 8 {
			if t := float64(bin) * width; t < s.amax {
				out = append(out, candidate{t, e, bin})
			}
		}
	}
	return out
}

// leastSquares returns the candidate with the least squared error, the larger
// of equals.
func (s *side) leastSquares(levels int) float64 {
	if len(s.keys) == 0 {
		return s.amax
	}
	best, limit := s.amax, math.Inf(1)
	for _, c := range s.grid(mseOctaves) {
		if err, ok := s.squaredError(c.t, levels, limit); ok {
			best, limit = c.t, math.Nextafter(err, 0)
		}
	}
	return best
}
