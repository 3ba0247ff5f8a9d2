package runtime

import "github.com/tfq8/tfq8/kernels"

// floatFold folds float32 by kernels: rows where the innermost dimension is dropped, whole rows into rows where it is kept.
type floatFold struct {
	row  func(k *kernels.Set, x []float32) float32
	join func(a, b float32) float32 // of two rows' results
	rows func(k *kernels.Set, dst, a, b []float32)
}

// floatReductions are by op. A mean is a sum and a norm the sum of squares until reduceOp has finished it.
var floatReductions = map[string]floatFold{
	"Sum":           {(*kernels.Set).Sum, addFloats, (*kernels.Set).Add},
	"Mean":          {(*kernels.Set).Sum, addFloats, (*kernels.Set).Add},
	"Max":           {(*kernels.Set).MaxValue, func(a, b float32) float32 { return max(a, b) }, (*kernels.Set).Max},
	"Min":           {(*kernels.Set).MinValue, func(a, b float32) float32 { return min(a, b) }, (*kernels.Set).Min},
	"Prod":          {rows: (*kernels.Set).Mul},
	"EuclideanNorm": {row: (*kernels.Set).SumSquares, join: addFloats},
}

func addFloats(a, b float32) float32 { return a + b }

// fits reports whether f has what r needs. Something is dropped in r, and something was there.
func (f floatFold) fits(r *reduction) bool {
	if len(r.dropped) == 0 {
		return false
	}
	if r.dropped[len(r.dropped)-1].stride == 1 {
		return f.row != nil
	}
	return f.rows != nil
}

func (f floatFold) fold(k *kernels.Set, r *reduction, dst, src []float32) {
	if last := len(r.dropped) - 1; r.dropped[last].stride == 1 {
		f.toValues(k, r.kept, r.dropped[:last], r.dropped[last].size, dst, src, 0)
		return
	}
	last := len(r.kept) - 1
	f.toRows(k, r.kept[:last], r.dropped, r.kept[last].size, dst, src, 0)
}

// toValues folds rows of n elements; it returns the rest of dst.
func (f *floatFold) toValues(k *kernels.Set, kept, dropped []span, n int, dst, src []float32, at int) []float32 {
	if len(kept) == 0 {
		dst[0] = f.value(k, dropped, n, src, at)
		return dst[1:]
	}
	for i := range kept[0].size {
		dst = f.toValues(k, kept[1:], dropped, n, dst, src, at+i*kept[0].stride)
	}
	return dst
}

func (f *floatFold) value(k *kernels.Set, dropped []span, n int, src []float32, at int) float32 {
	if len(dropped) == 0 {
		return f.row(k, src[at:][:n])
	}
	v := f.value(k, dropped[1:], n, src, at)
	for i := 1; i < dropped[0].size; i++ {
		v = f.join(v, f.value(k, dropped[1:], n, src, at+i*dropped[0].stride))
	}
	return v
}

// toRows folds rows of n elements into rows of n elements; it returns the rest of dst.
func (f *floatFold) toRows(k *kernels.Set, kept, dropped []span, n int, dst, src []float32, at int) []float32 {
	if len(kept) == 0 {
		copy(dst[:n], src[at:])
		f.addRows(k, dropped, dst[:n], src, at, true)
		return dst[n:]
	}
	for i := range kept[0].size {
		dst = f.toRows(k, kept[1:], dropped, n, dst, src, at+i*kept[0].stride)
	}
	return dst
}

// addRows folds the rows from at into dst, but for the first one where skip says that dst has it.
func (f *floatFold) addRows(k *kernels.Set, dropped []span, dst, src []float32, at int, skip bool) {
	if len(dropped) == 0 {
		if !skip {
			f.rows(k, dst, dst, src[at:][:len(dst)])
		}
		return
	}
	for i := range dropped[0].size {
		f.addRows(k, dropped[1:], dst, src, at+i*dropped[0].stride, skip && i == 0)
	}
}
