package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// ShareTables makes an embedding lookup read INT8 codes:
//
//	GatherV2(table, ids)   becomes   Mul(Cast(Bitcast(GatherV2(table8, ids))), scale of each row or column)
//
// those that the output projection has of the same table, so that the file holds the table once and not in both forms; a table of
// its own gets codes with a scale a row. A table that something else reads in FP32 as well stays, and so do small ones and those
// that 8 bits do not hold. With Env.FloatEmbeddings all stay.
var ShareTables = Pass{
	Name: "share-tables",
	Doc:  "look embeddings up in INT8 codes, those that a product already holds where there is one",
	Run:  shareTables,
}

const (
	// leastTable is the number of elements below which a table that only lookups read is not worth its three more nodes.
	leastTable = 4096
	// mostRowError bounds the relative error of those elements of a row that are less than a quarter of its largest. In a normal
	// row they are 2 % off. Where one element is a hundred times the others, 8 bits do not hold these.
	mostRowError = 0.1
)

// table is a Const that has an INT8 form in the graph.
type table struct {
	codes *graphdef.Node
	limit []float32
	rows  bool // one scale a row; else one a column
}

func shareTables(_ context.Context, g *graphdef.Graph, env *Env) error {
	if env.FloatEmbeddings {
		return nil
	}
	for _, s := range env.scopes(g) {
		if err := s.shareTables(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) shareTables() error {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return err
	}
	place := newPlacer(s.g, tree, s.pass)
	tables := quantizedTables(s.g, tree)
	for _, w := range slices.Clone(s.g.Nodes()) {
		if w.Op() != "Const" || s.fixed(w) || s.fed(w) {
			continue
		}
		lookups, ok := s.onlyLookups(w, tree)
		if !ok || len(lookups) == 0 {
			continue
		}
		t := tables[w.Name()]
		if t == nil {
			if t = ownTable(w, place); t == nil {
				continue
			}
		}
		for _, n := range lookups {
			if err := t.lookUp(n, place, tree); err != nil {
				return err
			}
			s.env.Rewrote()
		}
	}
	return nil
}

// ownTable adds codes for table w, one scale a row; nil where w should stay.
func ownTable(w *graphdef.Node, place *placer) *table {
	value, err := w.Tensor("value")
	if err != nil || value.DType() != tensor.Float32 || value.Rank() != 2 || value.Len() < leastTable {
		return nil
	}
	q, err := quantizeWeights(value, true, 127)
	if err != nil || !holdsRows(q, value) {
		return nil
	}
	codes := place.constant(w.Name()+"/qint8_rows", q.codes, nil)
	codes.Node.SetAttr(weightsOfAttr, graphdef.StringAttr(w.Name()))
	for _, c := range w.Controls() {
		codes.Node.AddControl(c)
	}
	return &table{codes: codes.Node, limit: q.limit, rows: true}
}

// holdsRows reports whether the codes of each row of value are close to it where it is small.
func holdsRows(q *quantizedWeights, value *tensor.Tensor) bool {
	x, codes, cols := tensor.Data[float32](value), tensor.Data[int8](q.codes), value.Shape()[1]
	for i, limit := range q.limit {
		var off, energy float64
		for j := i * cols; j < (i+1)*cols; j++ {
			if max(x[j], -x[j]) > limit/4 {
				continue
			}
			d := float64(x[j]) - float64(codes[j])*float64(limit)/127
			off += d * d
			energy += float64(x[j]) * float64(x[j])
		}
		if off > mostRowError*mostRowError*energy {
			return false
		}
	}
	return true
}

// quantizedTables finds the INT8 weights of g by the name of the Const they were made of.
func quantizedTables(g *graphdef.Graph, tree *flow.Tree) map[string]*table {
	tables := map[string]*table{}
	for _, n := range g.Nodes() {
		if n.Op() != "_QuantizedMatMul" || n.NumInputs() != 7 {
			continue
		}
		codes, ok := tree.ConstOf(n.Input(1))
		limit, okLimit := tree.ConstOf(n.Input(6))
		if !ok || !okLimit {
			continue
		}
		of, err := codes.Str(weightsOfAttr)
		if err != nil || tables[of] != nil {
			continue
		}
		v, err := limit.Tensor("value")
		if err != nil || v.DType() != tensor.Float32 {
			continue
		}
		rows, _ := n.Bool("transpose_b")
		tables[of] = &table{codes: codes, limit: tensor.Data[float32](v), rows: rows}
	}
	return tables
}

// onlyLookups returns the lookups that read w along its first dimension; false where w has any other reader.
func (s *scope) onlyLookups(w *graphdef.Node, tree *flow.Tree) (lookups []*graphdef.Node, ok bool) {
	for _, u := range w.Users() {
		n := u.Node
		switch {
		case u.Input == graphdef.ControlInput:
			return nil, false
		case u.Input == 0 && (n.Op() == "GatherV2" || n.Op() == "Gather") && alongRows(n, tree):
			lookups = append(lookups, n)
		case n.Op() == "Identity" || n.Op() == "Enter" && tree.Source(n.Out(0)) == w.Out(0):
			if s.fixed(n) {
				return nil, false
			}
			more, ok := s.onlyLookups(n, tree)
			if !ok {
				return nil, false
			}
			lookups = append(lookups, more...)
		default:
			return nil, false
		}
	}
	return lookups, true
}

// alongRows reports whether lookup n takes whole rows.
func alongRows(n *graphdef.Node, tree *flow.Tree) bool {
	if n.Op() == "Gather" {
		return true
	}
	if b, _ := n.Int("batch_dims"); b != 0 {
		return false
	}
	c, ok := tree.ConstOf(n.Input(2))
	if !ok {
		return false
	}
	axis, err := c.Tensor("value")
	if err != nil || axis.Len() != 1 {
		return false
	}
	for _, b := range axis.Bytes() {
		if b != 0 {
			return false
		}
	}
	return true
}

// lookUp replaces lookup n by one in the codes.
func (t *table) lookUp(n *graphdef.Node, place *placer, tree *flow.Tree) error {
	r := tree.Of(n)
	name := n.Name()
	codes := place.add(name+"/qint8", n.Op(), append([]graphdef.Output{place.enter(t.codes.Out(0), tensor.Qint8, r)}, n.Inputs()[1:]...)...)
	for _, a := range n.Attrs() {
		if a.Name != "_output_shapes" && a.Name != "_class" {
			codes.SetAttr(a.Name, a.Attr)
		}
	}
	codes.SetAttr("Tparams", graphdef.TypeAttr(tensor.Qint8))
	mark(codes, place.pass)
	bits := place.add(name+"/bits", "Bitcast", codes.Out(0))
	bits.SetAttr("T", graphdef.TypeAttr(tensor.Qint8))
	bits.SetAttr("type", graphdef.TypeAttr(tensor.Int8))
	cast := place.add(name+"/float", "Cast", bits.Out(0))
	cast.SetAttr("SrcT", graphdef.TypeAttr(tensor.Int8))
	cast.SetAttr("DstT", graphdef.TypeAttr(tensor.Float32))
	scale := make([]float32, len(t.limit))
	for i, l := range t.limit {
		scale[i] = l / 127
	}
	shape := tensor.Shape{len(scale)}
	if t.rows {
		shape = append(shape, 1)
	}
	factor := place.constant(t.codes.Name()+"/scale", tensor.FromSlice(shape, scale), r)
	if t.rows {
		rows := place.add(name+"/scale", n.Op(), append([]graphdef.Output{factor}, n.Inputs()[1:]...)...)
		for _, a := range codes.Attrs() {
			rows.SetAttr(a.Name, a.Attr)
		}
		rows.SetAttr("Tparams", graphdef.TypeAttr(tensor.Float32))
		factor = rows.Out(0)
	}
	mul := place.add(name+"/scaled", "Mul", cast.Out(0), factor)
	mul.SetAttr("T", graphdef.TypeAttr(tensor.Float32))
	mul.Device = n.Device
	for _, c := range n.Controls() {
		codes.AddControl(c)
	}
	return place.g.TakeOver(n, mul)
}
