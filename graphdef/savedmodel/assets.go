package savedmodel

import (
	"maps"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// fillTables gives every table of the frozen graph a node that fills it with constants, and lets all that read the table wait
// for it. So the graph needs neither the files of the model nor an operation to run first; filling a table again with what it
// holds changes nothing.
func (b *binder) fillTables(g *graphdef.Graph) error {
	for _, n := range slices.Clone(g.Nodes()) {
		init := b.tables[sharedName(n)]
		if !isTable(n) || init == nil {
			continue
		}
		if err := init.read(n); err != nil {
			return err
		}
		keys, values := addConst(g, n.Name()+"/keys", init.keys), addConst(g, n.Name()+"/values", init.values)
		op, mutable := "InitializeTableV2", len(n.Op()) > 7 && n.Op()[:7] == "Mutable"
		isRef := n.Op()[len(n.Op())-2:] != "V2" && n.Op() != "AnonymousHashTable" && n.Op() != "AnonymousMutableHashTable"
		keyAttr, valueAttr := "Tkey", "Tval"
		if mutable {
			op, keyAttr, valueAttr = "LookupTableImportV2", "Tin", "Tout"
		}
		if isRef {
			op = op[:len(op)-2]
		}
		fill := g.MustAdd(n.Name()+"/fill", op, n.Out(0), keys.Out(0), values.Out(0))
		fill.SetAttr(keyAttr, graphdef.TypeAttr(init.keys.DType()))
		fill.SetAttr(valueAttr, graphdef.TypeAttr(init.values.DType()))
		for _, u := range slices.Clone(n.Users()) {
			if u.Node != fill && u.Input != graphdef.ControlInput {
				u.Node.AddControl(fill)
			}
		}
	}
	return nil
}

func addConst(g *graphdef.Graph, name string, v *tensor.Tensor) *graphdef.Node {
	n := g.MustAdd(name, "Const")
	n.SetAttr("dtype", graphdef.TypeAttr(v.DType()))
	n.SetAttr("value", graphdef.TensorAttr(v))
	return n
}

// placeAssets puts the paths of assets where the graph still asks for them.
func (b *binder) placeAssets(g *graphdef.Graph) {
	for _, name := range slices.Sorted(maps.Keys(b.assets)) {
		n := g.Node(name)
		if n == nil || n.Op() != "Const" && n.Op() != "Placeholder" && n.Op() != "PlaceholderWithDefault" {
			continue
		}
		n.SetInputs()
		n.SetOp("Const")
		n.SetAttr("dtype", graphdef.TypeAttr(tensor.String))
		n.SetAttr("value", graphdef.TensorAttr(tensor.FromStrings(tensor.Shape{}, []string{b.assets[name]})))
	}
}
