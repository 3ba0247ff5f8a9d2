package runtime

import (
	"maps"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// rowForm says how the elements of a slot depend on the rows that a run is given: the sentences of a batch. It holds for any
// number of rows, so that with it a value of n rows becomes that of fewer.
type rowForm struct {
	kind formKind
	// axis is the dimension along which the rows lie, each entries of it for each row (the beams of a sentence), of formRows,
	// formPlace and formPair.
	axis, each int
	deps       uint64 // of formCount: the elements, in row-major order, that are a fixed number times the number of rows
	flat       bool   // of formPlace: the values are places along the axis, not the numbers of rows
	alone      []bool // of formVerdict: what the value would be if there was but one row, for each of them
}

type formKind uint8

const (
	// formMixed: nothing is known, any element may depend on any row.
	formMixed formKind = iota
	// formFixed: the rows do not matter, nor does how many they are.
	formFixed
	// formCount: integers that depend on the number of rows alone, in proportion; the others of deps are fixed.
	formCount
	// formRows: what lies in a row's entries depends on that row alone, and not on where it stands.
	formRows
	// formPlace: each element is the number of its row, or its place along the axis.
	formPlace
	// formPair: as formRows, but along the last dimension the first element is the number of the row.
	formPair
	// formVerdict: one bool, what all rows say together.
	formVerdict
)

var fixedForm = rowForm{kind: formFixed}

// hasAxis reports whether rows lie along an axis of f.
func (f rowForm) hasAxis() bool {
	return f.kind == formRows || f.kind == formPlace || f.kind == formPair
}

// fits reports whether a value of the given shape can have form f: a rule that is wrong about where rows lie must not do harm.
func (f rowForm) fits(shape tensor.Shape, rows int) bool {
	switch f.kind {
	case formRows, formPair:
		return f.axis >= 0 && f.axis < len(shape) && shape[f.axis] == f.each*rows
	case formPlace:
		return f.axis >= 0 && f.axis < len(shape)
	}
	return true
}

// along returns f with its rows along another axis.
func (f rowForm) along(axis int) rowForm {
	f.axis = axis
	return f
}

// rowRule returns the form of a step's first output, and that of the others. It is asked after the step has run, when some
// input is not fixed and none is mixed. The zero form is always right.
type rowRule func(r *rowCheck) (first, rest rowForm)

// rowRules are the rules by op, in the files rows_rules*.go. An op that has none mixes rows.
var rowRules = map[string]func(n *graphdef.Node) rowRule{}

func init() {
	for op := range maps.Keys(elementwiseOps) {
		rowRules[op] = always(elementwiseRows)
	}
	maps.Copy(rowRules, rowRulesOfMath)
	maps.Copy(rowRules, rowRulesOfShape)
}

// always is for rules that need nothing of the node.
func always(rule func(r *rowCheck) rowForm) func(*graphdef.Node) rowRule {
	return func(*graphdef.Node) rowRule { return same(rule) }
}

// same makes the rule of a step all of whose outputs have one form.
func same(rule func(r *rowCheck) rowForm) rowRule {
	return func(r *rowCheck) (first, rest rowForm) {
		f := rule(r)
		return f, f
	}
}

// only makes the rule of a step of which no other output is of use.
func only(rule func(r *rowCheck) rowForm) rowRule {
	return func(r *rowCheck) (first, rest rowForm) { return rule(r), rowForm{} }
}

// ruleOf returns the rule of n, nil if it has none.
func ruleOf(n *graphdef.Node) rowRule {
	if rule := rowRules[n.Op()]; rule != nil {
		return rule(n)
	}
	return nil
}

// rowCheck is a step that has run, as a rule sees it.
type rowCheck struct {
	s    *Session
	st   *step
	run  *rowRun
	rows int // how many there are
}

func (r *rowCheck) shape(i int) tensor.Shape  { return r.s.values[r.st.in[i]].t.Shape() }
func (r *rowCheck) in(i int) *tensor.Tensor   { return &r.s.values[r.st.in[i]].t }
func (r *rowCheck) out() *tensor.Tensor       { return &r.s.values[r.st.out[0]].t }
func (r *rowCheck) fixed(i int) bool          { return r.form(i).kind == formFixed }
func (r *rowCheck) is(i int, k formKind) bool { return r.form(i).kind == k }
func (r *rowCheck) numIn() int                { return len(r.st.in) }
func (r *rowCheck) number(i int) (v int, ok bool) { // the fixed number of input i
	if !r.fixed(i) {
		return 0, false
	}
	v, err := scalarInt(r.in(i), "")
	return v, err == nil
}

// form returns the form of input i.
func (r *rowCheck) form(i int) rowForm {
	for _, d := range r.st.dims {
		if d.operand == i {
			return r.run.formOf(d.parts, r.s)
		}
	}
	return r.run.forms[r.st.in[i]]
}

// ints returns the fixed integers of input i.
func (r *rowCheck) ints(i int) ([]int, bool) {
	if !r.fixed(i) || r.in(i).Rank() > 1 {
		return nil, false
	}
	for _, d := range r.st.dims {
		if d.operand == i {
			v, err := r.s.appendDims(nil, d.parts, "")
			return v, err == nil
		}
	}
	v, err := appendInts(nil, r.in(i), "")
	return v, err == nil
}

// fixedFrom reports whether the inputs from i on are fixed.
func (r *rowCheck) fixedFrom(i int) bool {
	for ; i < r.numIn(); i++ {
		if !r.fixed(i) {
			return false
		}
	}
	return true
}

// leading returns the form of an output whose rows lie along its first dimension, mixed if they do not come out even.
func (r *rowCheck) leading(f rowForm) rowForm {
	s := r.out().Shape()
	if len(s) == 0 || s[0] == 0 || s[0]%r.rows != 0 {
		return rowForm{}
	}
	f.axis, f.each = 0, s[0]/r.rows
	return f
}

// stretched returns the form of an output to which the given inputs were stretched: where rows lie along one dimension of all
// that depend on them, and the others do not have that dimension.
func (r *rowCheck) stretched(inputs ...int) rowForm {
	out := r.out().Shape()
	got := rowForm{axis: -1}
	for _, i := range inputs {
		switch f := r.form(i); f.kind {
		case formFixed:
		case formRows:
			if f.axis += len(out) - len(r.shape(i)); got.axis >= 0 && (f.axis != got.axis || f.each != got.each) {
				return rowForm{}
			}
			got = f
		default:
			return rowForm{}
		}
	}
	if got.axis < 0 || got.axis >= len(out) || out[got.axis] != got.each*r.rows {
		return rowForm{}
	}
	for _, i := range inputs {
		if at := got.axis - (len(out) - len(r.shape(i))); r.fixed(i) && at >= 0 && r.shape(i)[at] != 1 {
			return rowForm{}
		}
	}
	return got
}

// all returns the numbers of the step's inputs.
func (r *rowCheck) all() []int {
	list := make([]int, r.numIn())
	for i := range list {
		list[i] = i
	}
	return list
}
