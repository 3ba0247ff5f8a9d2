package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
)

// rowRulesOfShape are the rules of what asks for shapes and moves elements.
var rowRulesOfShape = map[string]func(n *graphdef.Node) rowRule{
	"Shape": always(shapeRows),
	"Rank":  always(func(*rowCheck) rowForm { return fixedForm }),
	"Size":  always(sizeRows),

	"Reshape":     always(func(r *rowCheck) rowForm { return r.reshaped(0, 1) }),
	"ExpandDims":  always(expandRows),
	"Squeeze":     squeezeRule,
	"EnsureShape": always(keptRows),

	"Transpose": always(transposeRows),
	"ConcatV2":  always(concatRows),
	"Pack":      packRule,
	"Unpack":    unpackRule,
	"Split":     always(splitRows),

	"Slice":        always(sliceRows),
	"StridedSlice": stridedRule,
	"Tile":         always(tileRows),
	"Pad":          always(padRows),
	"PadV2":        always(padRows),

	"Range":     always(rangeRows),
	"Fill":      always(filledRows),
	"ZerosLike": always(filledLikeRows),
	"OnesLike":  always(filledLikeRows),

	"Gather":   gatherRule,
	"GatherV2": gatherRule,
	"GatherNd": always(gatherNdRows),
}

// shapeRows: the dimension along which rows lie is in proportion to their number.
func shapeRows(r *rowCheck) rowForm {
	f := r.form(0)
	switch {
	case r.numIn() > 1:
		return rowForm{}
	case f.kind == formCount || f.kind == formVerdict:
		return fixedForm
	case f.axis >= 64:
		return rowForm{}
	}
	return rowForm{kind: formCount, deps: 1 << f.axis}
}

// formOf returns the form of a vector of numbers and dimensions.
func (r *rowRun) formOf(parts []dims, s *Session) rowForm {
	var deps uint64
	at := 0
	var buf [8]int
	for i := range parts {
		p := &parts[i]
		v, err := s.appendDims(buf[:0], parts[i:i+1], "")
		if err != nil || at+len(v) > 64 {
			return rowForm{}
		}
		if p.slot >= 0 {
			f, shape := r.forms[p.slot], s.values[p.slot].t.Shape()
			from, _ := sliceRange(p.from, p.to, 1, len(shape), false, false)
			if p.one {
				from = (p.from + len(shape)) % len(shape)
			}
			switch {
			case f.kind == formMixed:
				return rowForm{}
			case f.hasAxis() && f.axis >= from && f.axis < from+len(v):
				deps |= 1 << (at + f.axis - from)
			}
		}
		at += len(v)
	}
	return countOf(deps)
}

func sizeRows(r *rowCheck) rowForm {
	if f := r.form(0); f.kind == formCount || f.kind == formVerdict {
		return fixedForm
	}
	return rowForm{kind: formCount, deps: 1}
}

// scalesFirst reports whether shape input i makes the first dimension alone grow with the number of rows.
func (r *rowCheck) scalesFirst(i int) bool {
	f, t := r.form(i), r.in(i)
	if f.kind == formCount {
		return t.Rank() == 1 && f.deps == 1
	}
	v, ok := r.ints(i)
	return ok && len(v) > 0 && v[0] == -1
}

// reshaped returns the form of input i in the shape that input by gives: rows stay along the first dimension.
func (r *rowCheck) reshaped(i, by int) rowForm {
	f := r.form(i)
	switch {
	case f.kind == formCount && r.fixed(by):
		return f
	case f.kind == formVerdict && r.fixed(by) && r.out().Len() == 1:
		return f
	case f.kind == formRows && f.axis == 0 && r.scalesFirst(by), f.kind == formPlace && f.axis == 0 && r.scalesFirst(by):
		g := r.leading(f)
		if s := r.shape(i); f.kind == formPlace && g.kind == formPlace && f.flat && s.Elements() != s[0] {
			return rowForm{} // what is a place along one dimension is none along another
		}
		if g.kind == formPlace && g.flat {
			// The values are places among all entries of the rows, of which the first dimension may hold several.
			g.each = f.each
			if r.out().Shape()[0] != g.each*r.rows {
				return r.placesSplit(f)
			}
		}
		return g
	}
	return rowForm{}
}

// placesSplit is the form of places [rows·each] as [rows, each].
func (r *rowCheck) placesSplit(f rowForm) rowForm {
	s := r.out().Shape()
	if len(s) != 2 || s[0] != r.rows || s[1] != f.each {
		return rowForm{}
	}
	return rowForm{kind: formPlace, axis: 0, each: f.each, flat: true}
}

func expandRows(r *rowCheck) rowForm {
	f := r.form(0)
	at, ok := r.number(1)
	if !ok {
		return rowForm{}
	}
	if at < 0 {
		at += len(r.shape(0)) + 1
	}
	switch {
	case f.kind == formCount:
		return f
	case f.kind != formRows && f.kind != formPlace:
		return rowForm{}
	case at <= f.axis:
		return f.along(f.axis + 1)
	}
	return f
}

func squeezeRule(n *graphdef.Node) rowRule {
	r := n.AttrReader()
	dims := r.Ints("squeeze_dims")
	if r.Err() != nil || len(dims) == 0 {
		return nil
	}
	return same(func(r *rowCheck) rowForm {
		f := r.form(0)
		if f.kind == formCount || f.kind == formVerdict {
			return f
		}
		if f.kind != formRows && f.kind != formPlace {
			return rowForm{}
		}
		before := 0
		for _, d := range dims {
			at := int(d)
			if at < 0 {
				at += len(r.shape(0))
			}
			if at == f.axis {
				return rowForm{}
			}
			if at < f.axis {
				before++
			}
		}
		return f.along(f.axis - before)
	})
}

// counts reports whether the first n inputs are numbers that are fixed or in proportion to the rows.
func (r *rowCheck) counts(n int) bool {
	for i := range n {
		if !r.fixed(i) && !r.is(i, formCount) {
			return false
		}
	}
	return true
}
