package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
)

func transposeRows(r *rowCheck) rowForm {
	perm, ok := r.ints(1)
	f := r.form(0)
	if !ok || f.kind != formRows {
		return rowForm{}
	}
	for to, from := range perm {
		if from == f.axis {
			return f.along(to)
		}
	}
	return rowForm{}
}

// concatRows: vectors of numbers, or what the same rows have, one behind the other along another dimension.
func concatRows(r *rowCheck) rowForm {
	last := r.numIn() - 1
	axis, ok := r.number(last)
	if !ok {
		return rowForm{}
	}
	out := r.out().Shape()
	if axis < 0 {
		axis += len(out)
	}
	if len(out) == 1 && r.out().Len() <= 64 && r.counts(last) {
		f, at := rowForm{kind: formCount}, 0
		for i := range last {
			f.deps |= r.form(i).deps << at
			at += r.in(i).Len()
		}
		return f
	}
	f := r.form(0)
	for i := range last {
		if g := r.form(i); g.kind != formRows || g.axis != f.axis || g.each != f.each || g.axis == axis {
			return rowForm{}
		}
	}
	return f
}

func packRule(n *graphdef.Node) rowRule {
	a := n.AttrReader()
	axis := 0
	if a.Has("axis") {
		axis = int(a.Int("axis"))
	}
	return same(func(r *rowCheck) rowForm {
		rank := len(r.out().Shape())
		at := axis
		if at < 0 {
			at += rank
		}
		if rank == 1 && r.numIn() <= 64 && r.counts(r.numIn()) {
			f := rowForm{kind: formCount}
			for i := range r.numIn() {
				f.deps |= r.form(i).deps << i
			}
			return f
		}
		f := r.form(0)
		if f.kind != formRows && (f.kind != formPlace || f.flat || at != rank-1 || r.numIn() < 2) {
			return rowForm{}
		}
		for i := 1; i < r.numIn(); i++ {
			if g := r.form(i); g.kind != formRows || g.axis != f.axis || r.shape(i)[g.axis] != r.shape(0)[f.axis] {
				return rowForm{}
			}
		}
		if f.kind == formPlace {
			return rowForm{kind: formPair, axis: f.axis, each: r.shape(0)[f.axis] / r.rows}
		}
		if at <= f.axis {
			f.axis++
		}
		return f
	})
}

func unpackRule(n *graphdef.Node) rowRule {
	a := n.AttrReader()
	axis := 0
	if a.Has("axis") {
		axis = int(a.Int("axis"))
	}
	return same(func(r *rowCheck) rowForm {
		f, at := r.form(0), axis
		if at < 0 {
			at += len(r.shape(0))
		}
		switch {
		case f.kind != formRows || at == f.axis:
			return rowForm{}
		case at < f.axis:
			return f.along(f.axis - 1)
		}
		return f
	})
}

func splitRows(r *rowCheck) rowForm {
	axis, ok := r.number(0)
	f := r.form(1)
	if axis < 0 {
		axis += len(r.shape(1))
	}
	if !ok || f.kind != formRows || f.axis == axis && len(r.st.out) > 1 {
		return rowForm{}
	}
	return f
}

func sliceRows(r *rowCheck) rowForm {
	begin, ok1 := r.ints(1)
	size, ok2 := r.ints(2)
	f := r.form(0)
	if !ok1 || !ok2 || f.kind != formRows || begin[f.axis] != 0 || size[f.axis] != -1 {
		return rowForm{}
	}
	return f
}

func stridedRule(n *graphdef.Node) rowRule {
	spec, err := readStridedSpec(n)
	if err != nil {
		return nil
	}
	return same(func(r *rowCheck) rowForm {
		f := r.form(0)
		begin, ok1 := r.ints(1)
		end, ok2 := r.ints(2)
		stride, ok3 := r.ints(3)
		switch {
		case !ok1 || !ok2 || !ok3 || len(begin) != len(end) || len(begin) != len(stride):
			return rowForm{}
		case f.kind == formCount:
			return spec.count(f, r, begin, end, stride)
		case f.kind != formRows && f.kind != formPlace:
			return rowForm{}
		}
		axis, ok := spec.axis(f.axis, len(r.shape(0)), begin, stride)
		if !ok {
			return rowForm{}
		}
		return f.along(axis)
	})
}

// count is the form of some elements of a vector of numbers.
func (spec stridedSpec) count(f rowForm, r *rowCheck, begin, end, stride []int) rowForm {
	if len(r.shape(0)) != 1 || len(begin) != 1 || (spec.ellipsis|spec.newAxis) != 0 {
		return rowForm{}
	}
	n := r.in(0).Len()
	if spec.shrink != 0 {
		at := begin[0]
		if at < 0 {
			at += n
		}
		return countOf(f.deps >> at & 1)
	}
	from, num := sliceRange(begin[0], end[0], stride[0], n, spec.begin&1 != 0, spec.end&1 != 0)
	var deps uint64
	for i := range num {
		deps |= f.deps >> (from + i*stride[0]) & 1 << i
	}
	return countOf(deps)
}

// countOf is the form of numbers of which deps are in proportion to the rows.
func countOf(deps uint64) rowForm {
	if deps == 0 {
		return fixedForm
	}
	return rowForm{kind: formCount, deps: deps}
}

// axis returns where the dimension axis of a tensor is in its slice; false if it is not taken as a whole.
func (spec stridedSpec) axis(axis, rank int, begin, stride []int) (int, bool) {
	entries := 0
	for i := range begin {
		if (spec.ellipsis|spec.newAxis)>>i&1 == 0 {
			entries++
		}
	}
	in, out := 0, 0
	for i := range begin {
		switch {
		case spec.ellipsis>>i&1 != 0:
			rest := rank - entries
			if axis < in+rest {
				return out + axis - in, true
			}
			in, out = in+rest, out+rest
		case spec.newAxis>>i&1 != 0:
			out++
		case in == axis:
			whole := spec.shrink>>i&1 == 0 && stride[i] == 1 && (spec.begin>>i&1 != 0 || begin[i] == 0) && spec.end>>i&1 != 0
			return out, whole
		default:
			in++
			if spec.shrink>>i&1 == 0 {
				out++
			}
		}
	}
	return out + axis - in, true
}

// tileRows: rows are repeated along other dimensions, or something fixed is repeated for each row.
func tileRows(r *rowCheck) rowForm {
	f, by := r.form(0), r.form(1)
	out := r.out().Shape()
	if by.kind == formCount && f.kind == formFixed {
		for axis := range out {
			if by.deps == 1<<axis && out[axis]%r.rows == 0 {
				return rowForm{kind: formRows, axis: axis, each: out[axis] / r.rows}
			}
		}
		return rowForm{}
	}
	times, ok := r.ints(1)
	if !ok || f.kind != formRows && f.kind != formPlace || times[f.axis] != 1 {
		return rowForm{}
	}
	return f
}

func padRows(r *rowCheck) rowForm {
	f := r.form(0)
	if f.kind != formRows || !r.fixedFrom(1) {
		return rowForm{}
	}
	pads, _, err := paddings(nil, nil, r.shape(0), r.in(1))
	if err != nil || pads[2*f.axis] != 0 || pads[2*f.axis+1] != 0 {
		return rowForm{}
	}
	return f
}

// rangeRows: 0, 1, … up to a number in proportion to the rows are places.
func rangeRows(r *rowCheck) rowForm {
	start, ok1 := r.number(0)
	step, ok2 := r.number(2)
	if n := r.out().Len(); ok1 && ok2 && start == 0 && step == 1 && r.form(1).kind == formCount && n > 0 && n%r.rows == 0 {
		each := n / r.rows
		return rowForm{kind: formPlace, each: each, flat: each > 1}
	}
	return rowForm{}
}

// filledRows: something fixed in a shape of which one dimension is in proportion to the rows.
func filledRows(r *rowCheck) rowForm {
	by, out := r.form(0), r.out().Shape()
	if by.kind != formCount || !r.fixed(1) {
		return rowForm{}
	}
	for axis := range out {
		if by.deps == 1<<axis && out[axis]%r.rows == 0 {
			return rowForm{kind: formRows, axis: axis, each: out[axis] / r.rows}
		}
	}
	return rowForm{}
}

func filledLikeRows(r *rowCheck) rowForm {
	f := r.form(0)
	if !f.hasAxis() {
		return rowForm{}
	}
	return rowForm{kind: formRows, axis: f.axis, each: r.shape(0)[f.axis] / r.rows}
}

// gatherRule: rows say what to pick of a table, or the same places are picked of each row.
func gatherRule(n *graphdef.Node) rowRule {
	batch := 0
	if a := n.AttrReader(); a.Has("batch_dims") {
		batch = int(a.Int("batch_dims"))
	}
	return same(func(r *rowCheck) rowForm {
		axis := batch
		if r.numIn() > 2 {
			var ok bool
			if axis, ok = r.number(2); !ok {
				return rowForm{}
			}
		}
		params, ids := r.form(0), r.form(1)
		if axis < 0 {
			axis += len(r.shape(0))
		}
		switch {
		case batch == 0 && params.kind == formFixed && ids.kind == formRows:
			return ids.along(ids.axis + axis)
		case batch == 0 && params.kind == formRows && ids.kind == formFixed && axis > params.axis:
			return params
		case batch == 0 && params.kind == formRows && ids.kind == formFixed && axis < params.axis:
			return params.along(params.axis - 1 + len(r.shape(1)))
		case batch > 0 && params.kind == formRows && ids.kind == formRows && params.axis < batch && axis >= batch &&
			ids.axis == params.axis && ids.each == params.each:
			return params
		case batch == 0 && params.kind == formCount && ids.kind == formFixed && len(r.shape(0)) == 1 && r.in(1).Len() <= 64:
			places, err := appendInts(nil, r.in(1), "")
			if err != nil {
				return rowForm{}
			}
			var deps uint64
			for i, p := range places {
				deps |= params.deps >> p & 1 << i
			}
			return countOf(deps)
		}
		return rowForm{}
	})
}

// gatherNdRows: a row's pairs of its number and a place pick from what that row has.
func gatherNdRows(r *rowCheck) rowForm {
	params, at := r.form(0), r.form(1)
	switch {
	case params.kind == formFixed && at.kind == formRows && at.axis < len(r.shape(1))-1:
		return at
	case params.kind == formRows && params.axis == 0 && params.each == 1 && at.kind == formPair && at.axis < len(r.shape(1))-1:
		return rowForm{kind: formRows, axis: at.axis, each: at.each}
	}
	return rowForm{}
}
