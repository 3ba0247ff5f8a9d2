package passes

import (
	"context"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// ShareTables makes an embedding lookup read the INT8 codes that the output projection has of the same table, so that the
// file holds the table once and not in both forms:
//
//	GatherV2(table, ids)   becomes   Mul(Cast(Bitcast(GatherV2(table8, ids))), scale of each row or column)
//
// A table that something else reads in FP32 as well stays.
var ShareTables = Pass{
	Name: "share-tables",
	Doc:  "look embeddings up in the INT8 weights that a product already holds",
	Run:  shareTables,
}

// table is a Const that has an INT8 form in the graph.
type table struct {
	codes *graphdef.Node
	limit []float32
	rows  bool // one scale a row; else one a column
}

func shareTables(_ context.Context, g *graphdef.Graph, env *Env) error {
	tree, err := flow.Analyze(g)
	if err != nil {
		return err
	}
	place := newPlacer(g, tree, env.pass)
	tables := quantizedTables(g, tree)
	for _, w := range slices.Clone(g.Nodes()) {
		t, ok := tables[w.Name()]
		if !ok || w.Op() != "Const" || env.isFixed(w) {
			continue
		}
		if lookups, ok := onlyLookups(w, tree, env); ok {
			for _, n := range lookups {
				if err := t.lookUp(n, place, tree); err != nil {
					return err
				}
				env.Rewrote()
			}
		}
	}
	return nil
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
func onlyLookups(w *graphdef.Node, tree *flow.Tree, env *Env) (lookups []*graphdef.Node, ok bool) {
	for _, u := range w.Users() {
		n := u.Node
		switch {
		case u.Input == graphdef.ControlInput:
			return nil, false
		case u.Input == 0 && (n.Op() == "GatherV2" || n.Op() == "Gather") && alongRows(n, tree):
			lookups = append(lookups, n)
		case n.Op() == "Identity" || n.Op() == "Enter":
			if env.isFixed(n) {
				return nil, false
			}
			more, ok := onlyLookups(n, tree, env)
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
