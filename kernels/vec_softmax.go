package kernels

import "math"

// Softmax writes the softmax of each row of x, [rows, cols] row-major, to dst, which may be x: e^(x-max)
// times the reciprocal of the row's sum of them, as TensorFlow does. -Inf gives exactly 0; a row of only
// -Inf, or with +Inf or NaN in it, gives NaN. The relative error is within 3e-6 of the exact softmax.
func (s *Set) Softmax(dst, x []float32, rows, cols int) {
	checkMatrix("Softmax", "x", len(x), rows, cols, cols)
	checkMatrix("Softmax", "dst", len(dst), rows, cols, cols)
	s.softmax(dst, x, rows, cols, 1, nil, 0)
}

// SoftmaxMasked is Softmax of x*scale + mask, two roundings. mask is nil or has a row of cols values for
// each row of x, ldmask elements apart; ldmask 0 takes the same row for all.
func (s *Set) SoftmaxMasked(dst, x []float32, rows, cols int, scale float32, mask []float32, ldmask int) {
	checkMatrix("SoftmaxMasked", "x", len(x), rows, cols, cols)
	checkMatrix("SoftmaxMasked", "dst", len(dst), rows, cols, cols)
	if mask != nil {
		maskRows := rows
		if ldmask == 0 {
			maskRows = min(rows, 1)
		}
		checkMatrix("SoftmaxMasked", "mask", len(mask), maskRows, cols, ldmask)
	}
	s.softmax(dst, x, rows, cols, scale, mask, ldmask)
}

func (s *Set) softmax(dst, x []float32, rows, cols int, scale float32, mask []float32, ldmask int) {
	if rows == 0 || cols == 0 {
		return
	}
	for step := max(1, piece/cols); rows > 0; {
		n := min(rows, step)
		if !softmaxAsm(s.tier, dst, x, n, cols, scale, mask, ldmask) {
			softmaxPortable(dst, x, n, cols, scale, mask, ldmask)
		}
		if rows -= n; rows == 0 {
			return
		}
		dst, x = dst[n*cols:], x[n*cols:]
		if mask != nil {
			mask = mask[n*ldmask:]
		}
	}
}

func softmaxPortable(dst, x []float32, rows, cols int, scale float32, mask []float32, ldmask int) {
	for i := range rows {
		y := dst[i*cols : (i+1)*cols]
		for j, v := range x[i*cols : (i+1)*cols] {
			y[j] = v * scale
		}
		if mask != nil {
			for j, v := range mask[i*ldmask:][:cols] {
				y[j] += v
			}
		}
		top := maxPortable(y)
		var l lanes
		for j, v := range y {
			y[j] = expBelow(v - top)
			l[j%laneCount] += y[j]
		}
		inverse := 1 / l.total()
		for j := range y {
			y[j] *= inverse
		}
	}
}

// expBelow is exp32 for x <= 0 or NaN, in the steps of the softmax loop; both give the same bits.
func expBelow(x float32) float32 {
	if x < expMin {
		return 0
	}
	scale, r := expReduce(x)
	return expCore(r) * scale
}

// sumExp returns the sum of e^(x-top), 0 <= top-x, in the order of Sum.
func (s *Set) sumExp(x []float32, top float32) float32 {
	if y, ok := sumExpAsm(s.tier, x, top); ok {
		return y
	}
	var l lanes
	for j, v := range x {
		l[j%laneCount] += expBelow(v - top)
	}
	return l.total()
}

// LogSoftmax writes x - max - log(sum e^(x-max)) for each row of x, [rows, cols] row-major, to dst, which may
// be x. A row of only -Inf, or with +Inf or NaN in it, gives NaN.
func (s *Set) LogSoftmax(dst, x []float32, rows, cols int) {
	checkMatrix("LogSoftmax", "x", len(x), rows, cols, cols)
	checkMatrix("LogSoftmax", "dst", len(dst), rows, cols, cols)
	if cols == 0 {
		return
	}
	for i := range rows {
		row, y := x[i*cols:(i+1)*cols], dst[i*cols:(i+1)*cols]
		top := s.extremes(row).max
		logSum := log32(s.sumExp(row, top))
		s.AddScalar(y, row, -top)
		s.AddScalar(y, y, -logSum)
	}
}

// LogSumExp returns log(sum e^x), computed from the greatest value on so that it does not overflow; -Inf for
// an empty x or one of only -Inf, NaN if there is one.
func (s *Set) LogSumExp(x []float32) float32 {
	top := s.MaxValue(x)
	if math.IsInf(float64(top), 0) || top != top {
		return top
	}
	return top + log32(s.sumExp(x, top))
}
