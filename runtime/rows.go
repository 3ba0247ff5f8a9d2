package runtime

import (
	"context"
	"errors"

	"github.com/tfq8/tfq8/tensor"
)

// RowGroup is what RunRows returns of some rows that ended together.
type RowGroup struct {
	// Rows are the numbers of the rows in the feeds.
	Rows []int
	// Results are the fetches, as Run returns them for these rows.
	Results map[string]*tensor.Tensor
}

// RunRows is Run for feeds whose first dimension counts rows that have nothing to do with each other: the sentences of a batch.
// Each row's results are what Run gives for that row alone (with the padding it has here), so that a loop need not go on with rows
// for which it alone would have ended: where the graph shows that rows stay apart, those leave, and the rest goes on as a smaller
// batch. Where it does not, the result is one group, that of Run. Feeds without dimensions count for all rows.
func (s *Session) RunRows(ctx context.Context, feeds map[string]*tensor.Tensor) ([]RowGroup, error) {
	rows := s.rowsOf(feeds)
	if rows >= 2 && s.plan.hasLeavers && !s.plan.mixes.Load() {
		r := newRowRun(s.plan, rows)
		if s.rows = r; s.behind == nil {
			s.behind = s.plan.NewSession()
		}
		out, err := s.Run(ctx, feeds)
		s.rows = nil
		if !errors.Is(err, errMixed) {
			return append(r.groups, RowGroup{r.rows, out}), err
		}
		s.plan.mixes.Store(true)
	}
	out, err := s.Run(ctx, feeds)
	all := make([]int, rows)
	for i := range all {
		all[i] = i
	}
	return []RowGroup{{all, out}}, err
}

// rowsOf returns the number of rows of the feeds, 0 where they do not agree.
func (s *Session) rowsOf(feeds map[string]*tensor.Tensor) int {
	rows := 0
	for _, f := range s.plan.feeds {
		t := feeds[f.name]
		if t == nil || t.Rank() == 0 {
			continue
		}
		if n := t.Shape()[0]; rows != 0 && n != rows {
			return 0
		} else {
			rows = n
		}
	}
	return rows
}

// errMixed says that rows were let go though what comes after the loop mixes rows.
var errMixed = errors.New("rows are mixed")

// rowRun is the state of one RunRows.
type rowRun struct {
	rows   []int     // the numbers of the rows that are left
	forms  []rowForm // by slot
	watch  bool      // forms are being found
	known  bool      // but for verdicts, which change, they have been
	given  [2]bool   // the inputs of a logical step, which may be overwritten
	check  rowCheck
	groups []RowGroup
}

func newRowRun(p *Plan, rows int) *rowRun {
	r := &rowRun{forms: make([]rowForm, p.numSlots), watch: true}
	for i := range rows {
		r.rows = append(r.rows, i)
	}
	for _, c := range p.consts {
		r.forms[c.slot] = fixedForm
	}
	return r
}

// begin notes the forms of the feeds.
func (r *rowRun) begin(s *Session) {
	for _, f := range s.plan.feeds {
		if r.forms[f.slot] = fixedForm; s.values[f.slot].t.Rank() > 0 {
			r.forms[f.slot] = rowForm{kind: formRows, each: 1}
		}
	}
}

// before notes what a step's evaluation may overwrite.
func (r *rowRun) before(s *Session, st *step) {
	if st.op != "LogicalAnd" && st.op != "LogicalOr" {
		return
	}
	for i, slot := range st.in {
		if t := &s.values[slot].t; i < len(r.given) && t.Len() == 1 {
			r.given[i] = tensor.Data[bool](t)[0]
		}
	}
}

// note finds the forms of the outputs of st, which has run.
func (r *rowRun) note(s *Session, st *step) {
	if r.known && (len(st.out) == 0 || r.forms[st.out[0]].kind != formVerdict) {
		return
	}
	first, rest := rowForm{}, rowForm{}
	fixed, mixed := !st.stateful && st.loop == nil && st.branch == nil, st.mayDie
	r.check = rowCheck{s: s, st: st, run: r, rows: len(r.rows)}
	for i := range st.in {
		k := r.check.form(i).kind
		fixed, mixed = fixed && k == formFixed, mixed || k == formMixed
	}
	switch {
	case mixed:
	case fixed:
		first, rest = fixedForm, fixedForm
	case st.rows != nil && len(st.out) > 0:
		first, rest = st.rows(&r.check)
		for i, f := range []*rowForm{&first, &rest} {
			if i < len(st.out) && !f.fits(s.values[st.out[i]].t.Shape(), len(r.rows)) {
				*f = rowForm{}
			}
		}
	}
	for i, slot := range st.out {
		if r.forms[slot] = rest; i == 0 {
			r.forms[slot] = first
		}
	}
}

// apart reports whether the fetches are those of the rows, one entry each, once some rows have left.
func (r *rowRun) apart(p *Plan) bool {
	for _, f := range p.fetches {
		if form := r.forms[f.slot]; form.kind != formFixed && (form.kind != formRows || form.axis != 0 || form.each != 1) {
			return false
		}
	}
	return true
}
