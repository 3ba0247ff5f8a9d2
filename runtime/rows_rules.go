package runtime

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// rowRulesOfMath are the rules of what computes.
var rowRulesOfMath = map[string]func(n *graphdef.Node) rowRule{
	"Cast":       always(castRows),
	"Bitcast":    always(keptRows),
	"Mul":        always(mulRows),
	"FloorDiv":   always(floorDivRows),
	"LogicalNot": always(verdictRows),
	"LogicalAnd": always(verdictRows),
	"LogicalOr":  always(verdictRows),
	"Select":     always(selectRows),

	"MatMul":           productRule,
	"_QuantizedMatMul": productRule,
	"BatchMatMul":      batchProductRule,
	"BatchMatMulV2":    batchProductRule,
	"BatchMatMulV3":    batchProductRule,
	"Einsum":           einsumRule,
	"BiasAdd":          biasRule,

	"QuantizeV2": quantizeRule,
	"Dequantize": always(func(r *rowCheck) rowForm { return r.firstAlone() }),

	"All": always(judgedRows), "Any": always(judgedRows),
	"Max": always(reducedRows), "Min": always(reducedRows), "Sum": always(reducedRows), "Mean": always(reducedRows),
	"Prod":   always(prodRows),
	"ArgMax": always(reducedRows), "ArgMin": always(reducedRows),

	"Softmax":    always(lastDimensionRows),
	"LogSoftmax": always(lastDimensionRows),
	"TopKV2":     always(lastDimensionRows),
	"TopK":       always(lastDimensionRows),
}

// elementwiseRows is the rule of steps that compute each element of their result from the elements at its place.
func elementwiseRows(r *rowCheck) rowForm { return r.stretched(r.all()...) }

// firstAlone is the rule of steps that give each element of input 0 another value, by what the other inputs say.
func (r *rowCheck) firstAlone() rowForm {
	if !r.fixedFrom(1) || !r.is(0, formRows) || len(r.out().Shape()) != len(r.shape(0)) {
		return rowForm{}
	}
	return r.form(0)
}

// keptRows is the rule of steps whose output is their first input.
func keptRows(r *rowCheck) rowForm {
	if !r.fixedFrom(1) || !r.out().Shape().Equal(r.shape(0)) {
		return rowForm{}
	}
	return r.form(0)
}

// castRows: numbers and places stay what they are as integers.
func castRows(r *rowCheck) rowForm {
	f := r.form(0)
	if d := r.out().DType(); f.kind == formVerdict || f.kind != formRows && d != tensor.Int32 && d != tensor.Int64 {
		return rowForm{}
	}
	return f
}

// mulRows: a multiple of the number of rows is in proportion to it.
func mulRows(r *rowCheck) rowForm {
	for i := range 2 {
		f := r.form(i)
		if f.kind != formCount || !r.fixed(1-i) {
			continue
		}
		switch n := r.out().Len(); {
		case n > 64:
			return rowForm{}
		case r.in(i).Len() == n:
			return f
		case r.in(i).Len() == 1:
			f.deps = 1<<n - 1
			return f
		}
	}
	return elementwiseRows(r)
}

// floorDivRows: a place divided by the entries of a row is the row's number.
func floorDivRows(r *rowCheck) rowForm {
	if f := r.form(0); f.kind == formPlace && f.flat {
		if by, ok := r.number(1); ok && by == f.each && r.out().Shape().Equal(r.shape(0)) {
			f.flat = false
			return f
		}
	}
	return elementwiseRows(r)
}

// verdictRows: what one row alone would say comes from what it alone says of the inputs.
func verdictRows(r *rowCheck) rowForm {
	verdict := false
	for i := range r.numIn() {
		verdict = verdict || r.is(i, formVerdict)
	}
	if !verdict {
		return elementwiseRows(r)
	}
	if r.out().Len() != 1 {
		return rowForm{}
	}
	said := make([][]bool, r.numIn())
	for i := range said {
		switch f := r.form(i); {
		case f.kind == formVerdict:
			said[i] = f.alone
		case f.kind == formFixed && r.in(i).Len() == 1:
			said[i] = slices.Repeat([]bool{r.run.given[i]}, r.rows)
		default:
			return rowForm{}
		}
	}
	f := rowForm{kind: formVerdict, alone: make([]bool, r.rows)}
	for j := range f.alone {
		switch r.st.op {
		case "LogicalNot":
			f.alone[j] = !said[0][j]
		case "LogicalAnd":
			f.alone[j] = said[0][j] && said[1][j]
		case "LogicalOr":
			f.alone[j] = said[0][j] || said[1][j]
		}
	}
	return f
}

// selectRows: a vector condition chooses along the first dimension, not the last.
func selectRows(r *rowCheck) rowForm {
	if len(r.shape(0)) == len(r.shape(1)) {
		return elementwiseRows(r)
	}
	f := r.form(0)
	if f.kind != formRows || f.axis != 0 || len(r.shape(0)) != 1 || len(r.shape(1)) != len(r.out().Shape()) {
		return rowForm{}
	}
	for i := 1; i < 3; i++ {
		if g := r.form(i); g.kind != formRows || g.axis != 0 || g.each != f.each {
			return rowForm{}
		}
	}
	return f
}

// productRule: the rows of a matrix meet weights.
func productRule(n *graphdef.Node) rowRule {
	if a := n.AttrReader(); a.Has("transpose_a") && a.Bool("transpose_a") {
		return nil
	}
	return only(func(r *rowCheck) rowForm {
		if f := r.form(0); f.kind != formRows || f.axis != 0 || len(r.shape(0)) != 2 || len(r.out().Shape()) != 2 || !r.fixedFrom(1) {
			return rowForm{}
		}
		return r.form(0)
	})
}

// batchProductRule: matrices of rows meet matrices of the same rows or of none; or rows of matrices meet weights.
func batchProductRule(n *graphdef.Node) rowRule {
	a := n.AttrReader()
	return batchProductRows(a.Has("adj_x") && a.Bool("adj_x"))
}

func batchProductRows(adjoint bool) rowRule {
	return same(func(r *rowCheck) rowForm {
		out := r.out().Shape()
		f := r.form(0)
		if inside := f.kind == formRows && f.axis == len(r.shape(0))-2; inside && (adjoint || !r.fixedFrom(1)) {
			return rowForm{}
		} else if inside {
			return f.along(len(out) - 2)
		}
		f = r.stretched(0, 1)
		if f.kind != formRows || f.axis >= len(out)-2 || !r.fixedFrom(2) {
			return rowForm{}
		}
		return f
	})
}

// einsumRule: the label of the rows' dimension is one of the result, and of no operand that is fixed.
func einsumRule(n *graphdef.Node) rowRule {
	equation, _ := n.Str("equation")
	from, to, ok := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	if !ok || strings.Contains(equation, ".") {
		return nil
	}
	operands := strings.Split(from, ",")
	return same(func(r *rowCheck) rowForm {
		var label string
		var got rowForm
		for i, labels := range operands {
			f := r.form(i)
			switch {
			case f.kind == formFixed:
				continue
			case f.kind != formRows || f.axis >= len(labels):
				return rowForm{}
			}
			l := labels[f.axis : f.axis+1]
			if strings.Count(labels, l) > 1 || label != "" && (l != label || f.each != got.each) {
				return rowForm{}
			}
			label, got = l, f
		}
		for i, labels := range operands {
			if r.fixed(i) && strings.Contains(labels, label) {
				return rowForm{}
			}
		}
		if strings.Count(to, label) != 1 {
			return rowForm{}
		}
		return got.along(strings.Index(to, label))
	})
}

// biasRule: a vector along the last dimension.
func biasRule(n *graphdef.Node) rowRule {
	if format, _ := n.Str("data_format"); format == "NCHW" {
		return nil
	}
	return same(func(r *rowCheck) rowForm { return r.firstAlone() })
}

// quantizeRule: the range is given, and is what the other outputs say.
func quantizeRule(*graphdef.Node) rowRule {
	return func(r *rowCheck) (first, rest rowForm) { return r.firstAlone(), fixedForm }
}

// judgedRows: All and Any over everything are what the rows say together.
func judgedRows(r *rowCheck) rowForm {
	f := r.form(0)
	axes, ok := r.ints(1)
	if !ok || f.kind != formRows || f.axis != 0 || len(axes) != len(r.shape(0)) || r.out().Len() != 1 {
		return reducedRows(r)
	}
	v := rowForm{kind: formVerdict, alone: make([]bool, r.rows)}
	data, all := tensor.Data[bool](r.in(0)), r.st.op == "All"
	for i := range v.alone {
		own := data[len(data)/r.rows*i:][:len(data)/r.rows]
		v.alone[i] = all
		for _, b := range own {
			if b != all {
				v.alone[i] = b
			}
		}
	}
	return v
}

// reducedRows: reductions over other dimensions than that of the rows.
func reducedRows(r *rowCheck) rowForm {
	f := r.form(0)
	axes, ok := r.ints(1)
	if !ok || f.kind != formRows {
		return rowForm{}
	}
	rank, before := len(r.shape(0)), 0
	seen := map[int]bool{}
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		if a == f.axis {
			return rowForm{}
		}
		if a < f.axis && !seen[a] {
			before++
		}
		seen[a] = true
	}
	if len(r.out().Shape()) == rank { // dimensions are kept
		return f
	}
	return f.along(f.axis - before)
}

// prodRows: the number of elements of a shape is in proportion to the number of rows if one dimension is.
func prodRows(r *rowCheck) rowForm {
	f := r.form(0)
	if f.kind != formCount {
		return reducedRows(r)
	}
	if r.out().Len() != 1 || bits.OnesCount64(f.deps) != 1 || !r.fixedFrom(1) {
		return rowForm{}
	}
	f.deps = 1
	return f
}

// lastDimensionRows is the rule of steps that work along the last dimension of input 0, to which the others stretch.
func lastDimensionRows(r *rowCheck) rowForm {
	f := r.form(0)
	if r.st.op == "Softmax" && r.numIn() == 2 { // of a sum
		f = r.stretched(0, 1)
	} else if !r.fixedFrom(1) {
		return rowForm{}
	}
	if f.kind != formRows || f.axis == len(r.out().Shape())-1 {
		return rowForm{}
	}
	return f
}

// normRows is the rule of layer normalization: gain and offset stretch to input 0.
func normRows(r *rowCheck) rowForm {
	f := r.stretched(r.all()...)
	if f.kind != formRows || f.axis == len(r.out().Shape())-1 || !r.is(0, formRows) || !r.fixedFrom(1) {
		return rowForm{}
	}
	return f
}

// attentionRows is the rule of attention: rows lie along the first dimension of queries, keys and values.
func attentionRows(r *rowCheck) rowForm {
	f := r.form(0)
	for i := range 3 {
		if g := r.form(i); g.kind != formRows || g.axis != 0 || g.each != f.each {
			return rowForm{}
		}
	}
	for i := 3; i < r.numIn(); i++ { // masks
		g, rank := r.form(i), len(r.shape(i))
		switch {
		case g.kind == formFixed && (rank < len(r.shape(0)) || rank == len(r.shape(0)) && r.shape(i)[0] == 1):
		case g.kind == formRows && rank == len(r.shape(0)) && g.axis == 0 && g.each == f.each:
		default:
			return rowForm{}
		}
	}
	return r.leading(f)
}

// denseRows is the rule of a fused product: the left operand's rows are the output's, reshaped.
func (d dense) rowRule() rowRule {
	return same(func(r *rowCheck) rowForm {
		f := r.form(0)
		if f.kind != formRows || f.axis != 0 || len(r.shape(0)) != 2 {
			return rowForm{}
		}
		for i := 1; i < r.numIn(); i++ {
			if i != d.reshape && i != d.residual && !r.fixed(i) {
				return rowForm{}
			}
		}
		if d.reshape >= 0 {
			f = r.reshaped(0, d.reshape)
		}
		if d.residual < 0 || f.kind != formRows {
			return f
		}
		out := r.out().Shape()
		g, at := r.form(d.residual), f.axis-(len(out)-len(r.shape(d.residual)))
		switch {
		case out[f.axis] != f.each*r.rows:
		case g.kind == formFixed && (at < 0 || r.shape(d.residual)[at] == 1):
			return f
		case g.kind == formRows && g.axis == at && g.each == f.each:
			return f
		}
		return rowForm{}
	})
}

// rowRule: the scores of a row's beams are joined, and the best of them chosen.
func (b *beamTopK) rowRule() rowRule {
	return same(func(r *rowCheck) rowForm {
		x, add := r.form(0), r.form(1)
		if x.kind != formRows || x.axis != 0 || add.kind != formRows || add.axis != 0 || !r.fixed(2) {
			return rowForm{}
		}
		for _, i := range []int{b.split, b.join} {
			if i >= 0 && !r.scalesFirst(i) {
				return rowForm{}
			}
		}
		if b.divisor >= 0 && (!r.fixed(b.divisor) || r.in(b.divisor).Len() != 1) {
			return rowForm{}
		}
		return r.leading(x)
	})
}
