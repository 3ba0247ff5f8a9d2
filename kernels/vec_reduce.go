package kernels

import "math"

// laneCount is the number of partial sums of every float32 reduction. Element i of a row goes to lane
// i mod 32 in ascending order, and total adds the lanes, so that the result depends on the values and
// their number only: not on the tier, on alignment or on other rows.
const laneCount = 32

type lanes [laneCount]float32

// total adds the upper half of the lanes to the lower one until one is left.
func (l *lanes) total() float32 {
	for half := laneCount / 2; half > 0; half /= 2 {
		for i := range half {
			l[i] += l[i+half]
		}
	}
	return l[0]
}

func sumPortable(x []float32) float32 {
	var l lanes
	for i, v := range x {
		l[i%laneCount] += v
	}
	return l.total()
}

// sumSquaresPortable sums (x-mean)^2.
func sumSquaresPortable(x []float32, mean float32) float32 {
	var l lanes
	for i, v := range x {
		d := v - mean
		l[i%laneCount] = fma32(d, d, l[i%laneCount])
	}
	return l.total()
}

// maxPortable is the greatest value that is not NaN, or -Inf.
func maxPortable(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// extremes is what one pass over a vector finds: bounds without NaN (+Inf and -Inf where nothing is left),
// and the number of NaN.
type extremes struct {
	min, max float32
	nans     int64
}

func extremesPortable(x []float32) extremes {
	e := extremes{min: float32(math.Inf(1)), max: float32(math.Inf(-1))}
	for _, v := range x {
		if v != v {
			e.nans++
		}
		if v < e.min {
			e.min = v
		}
		if v > e.max {
			e.max = v
		}
	}
	return e
}

// Sum returns the sum of x in 32 interleaved float32 partial sums; 0 for an empty x. All tiers return the
// same bits.
func (s *Set) Sum(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	if y, ok := sumAsm(s.tier, x); ok {
		return y
	}
	return sumPortable(x)
}

// SumSquares returns the sum of x[i]^2, in the order of Sum with fused steps; 0 for an empty x.
func (s *Set) SumSquares(x []float32) float32 { return s.SumSquaredDeviations(x, 0) }

// SumSquaredDeviations returns the sum of (x[i]-mean)^2, in the order of Sum with fused steps.
func (s *Set) SumSquaredDeviations(x []float32, mean float32) float32 {
	if len(x) == 0 {
		return 0
	}
	if y, ok := sumSquaresAsm(s.tier, x, mean); ok {
		return y
	}
	return sumSquaresPortable(x, mean)
}

// MinMax returns the least and the greatest value of x that are not NaN, and how many NaN there are. Where
// nothing is left, min is +Inf and max -Inf. The sign of a zero result is unspecified.
func (s *Set) MinMax(x []float32) (min, max float32, nans int) {
	e := s.extremes(x)
	return e.min, e.max, int(e.nans)
}

// MaxValue returns the greatest value of x, NaN if there is one, -Inf for an empty x.
func (s *Set) MaxValue(x []float32) float32 {
	if e := s.extremes(x); e.nans == 0 {
		return e.max
	}
	return float32(math.NaN())
}

// MinValue returns the least value of x, NaN if there is one, +Inf for an empty x.
func (s *Set) MinValue(x []float32) float32 {
	if e := s.extremes(x); e.nans == 0 {
		return e.min
	}
	return float32(math.NaN())
}

// MaxAbs returns the greatest magnitude in x, NaN if there is one, 0 for an empty x.
func (s *Set) MaxAbs(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	e := s.extremes(x)
	if e.nans != 0 {
		return float32(math.NaN())
	}
	return max(copySign(e.min, 0), copySign(e.max, 0))
}

func (s *Set) extremes(x []float32) extremes {
	if len(x) > 0 {
		if e, ok := extremesAsm(s.tier, x); ok {
			return e
		}
	}
	return extremesPortable(x)
}
