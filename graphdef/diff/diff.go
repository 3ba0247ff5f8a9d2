// Package diff compares two graphs: which nodes were added, removed, renamed, rewired, which attributes and constants
// changed, in the graph and in the functions of its library.
//
//	d := diff.Compare(before, after)
//	fmt.Print(d)
//	if !d.Empty() { … }
//
// Values count, not how the file spells them: the order of nodes and attributes, attributes that have their op's default and
// the encoding of tensors make no difference, nor does the mark by which passes sign their nodes. A [Diff] prints as text,
// marshals as JSON and writes itself as a page of HTML.
package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// passAttr is the attribute in which a rewrite signs the nodes that it made or changed.
const passAttr = "_tfq8_pass"

// Diff is how graph B differs from graph A. Every list is sorted by name.
type Diff struct {
	NodesA int `json:"nodes_a"`
	NodesB int `json:"nodes_b"`
	// Passes sums up the differences by the pass that signed the node in B.
	Passes  []Pass    `json:"passes"`
	Added   []Node    `json:"added"`
	Removed []Node    `json:"removed"`
	Renamed []Renamed `json:"renamed"`
	Changed []Changed `json:"changed"`
	// Functions are those that were added, removed or changed.
	Functions []Function `json:"functions"`
	// Versions is nil where both graphs say the same.
	Versions *Values `json:"versions,omitempty"`
}

// Node is a node that one graph only has. Pass signed it, if any did.
type Node struct {
	Name string `json:"name"`
	Op   string `json:"op"`
	Pass string `json:"pass,omitempty"`
}

// Renamed is a node of equal op, attributes and inputs that has another name in B.
type Renamed struct {
	Old  string `json:"old"`
	New  string `json:"new"`
	Op   string `json:"op"`
	Pass string `json:"pass,omitempty"`
}

// Changed is a node that both graphs have under one name.
type Changed struct {
	Name string `json:"name"`
	Op   string `json:"op"`
	Pass string `json:"pass,omitempty"`
	// OldOp is the op in A where that is another.
	OldOp  string  `json:"old_op,omitempty"`
	Device *Values `json:"device,omitempty"`
	// Inputs are the data inputs that are others, by number; Controls the nodes that it waits for in one graph only: Old in A,
	// New in B. Inputs that were renamed are the same.
	Inputs   []Input     `json:"inputs,omitempty"`
	Controls []Values    `json:"controls,omitempty"`
	Attrs    []Attribute `json:"attributes,omitempty"`
}

// Rewired reports whether the node reads or waits for other nodes.
func (c *Changed) Rewired() bool { return len(c.Inputs) > 0 || len(c.Controls) > 0 }

// Input is data input number Index; Old or New is empty where A or B has no such input.
type Input struct {
	Index int `json:"index"`
	Values
}

// Values is what A and B say of something.
type Values struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// Attribute is a changed attribute; Old or New is empty where A or B does not have it and the op has no default.
type Attribute struct {
	Name string `json:"name"`
	Values
	// Elements is set for tensors of equal dtype and shape.
	Elements *Elements `json:"elements,omitempty"`
}

// Elements is how many elements of two tensors differ and by how much at most: 0 for strings and other elements that are no
// real numbers.
type Elements struct {
	Total  int    `json:"total"`
	Differ int    `json:"differ"`
	MaxAbs Number `json:"max_abs"`
}

// Function is a function of the library. Body is set where both graphs have it.
type Function struct {
	Name   string      `json:"name"`
	Status Status      `json:"status"`
	Attrs  []Attribute `json:"attributes,omitempty"`
	Body   *Diff       `json:"body,omitempty"`
}

// Status says what became of a function.
type Status string

// The values of Status.
const (
	FunctionAdded   Status = "added"
	FunctionRemoved Status = "removed"
	FunctionChanged Status = "changed"
)

// Pass is how many nodes of B one pass made or changed; Name is empty for nodes that none signed.
type Pass struct {
	Name    string `json:"name"`
	Added   int    `json:"added"`
	Renamed int    `json:"renamed"`
	Rewired int    `json:"rewired"`
	Changed int    `json:"changed"` // op, device or attributes
	Removed int    `json:"removed"` // always without a name: what is gone carries no mark of who removed it
}

// Empty reports whether the graphs are the same.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Removed)+len(d.Renamed)+len(d.Changed)+len(d.Functions) == 0 && d.Versions == nil
}

// Compare returns how b differs from a. It takes time nearly linear in their size and changes neither.
func Compare(a, b *graphdef.Graph) *Diff {
	d := compareNodes(a, b)
	if va, vb := versionsText(a.Versions), versionsText(b.Versions); va != vb {
		d.Versions = &Values{va, vb}
	}
	d.Functions = compareFunctions(a, b)
	return d
}

// compareNodes compares two graphs or two function bodies.
func compareNodes(a, b *graphdef.Graph) *Diff {
	d := &Diff{
		NodesA: len(a.Nodes()), NodesB: len(b.Nodes()),
		Passes: []Pass{}, Added: []Node{}, Removed: []Node{}, Renamed: []Renamed{}, Changed: []Changed{}, Functions: []Function{},
	}
	p := pair(a, b)
	sums := map[string]*Pass{}
	sum := func(pass string) *Pass {
		if sums[pass] == nil {
			sums[pass] = &Pass{Name: pass}
		}
		return sums[pass]
	}
	for _, n := range a.Nodes() {
		m := p.of[n]
		switch {
		case m == nil:
			d.Removed = append(d.Removed, Node{Name: n.Name(), Op: n.Op(), Pass: passOf(n)})
			sum("").Removed++
			continue
		case m.Name() != n.Name():
			d.Renamed = append(d.Renamed, Renamed{Old: n.Name(), New: m.Name(), Op: m.Op(), Pass: passOf(m)})
			sum(passOf(m)).Renamed++
		}
		if c := p.compare(n, m); c != nil {
			d.Changed = append(d.Changed, *c)
			if c.Rewired() {
				sum(c.Pass).Rewired++
			}
			if c.OldOp != "" || c.Device != nil || len(c.Attrs) > 0 {
				sum(c.Pass).Changed++
			}
		}
	}
	for _, m := range b.Nodes() {
		if !p.taken[m] {
			d.Added = append(d.Added, Node{Name: m.Name(), Op: m.Op(), Pass: passOf(m)})
			sum(passOf(m)).Added++
		}
	}
	for _, s := range sums {
		d.Passes = append(d.Passes, *s)
	}
	byName := func(x, y Node) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(d.Added, byName)
	slices.SortFunc(d.Removed, byName)
	slices.SortFunc(d.Renamed, func(x, y Renamed) int { return strings.Compare(x.Old, y.Old) })
	slices.SortFunc(d.Changed, func(x, y Changed) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(d.Passes, func(x, y Pass) int { return strings.Compare(x.Name, y.Name) })
	return d
}

func compareFunctions(a, b *graphdef.Graph) []Function {
	list := []Function{}
	inB := map[string]*graphdef.Function{}
	for _, f := range b.Functions() {
		inB[f.Name] = f
	}
	for _, f := range a.Functions() {
		g := inB[f.Name]
		if g == nil {
			list = append(list, Function{Name: f.Name, Status: FunctionRemoved})
			continue
		}
		delete(inB, f.Name)
		body := compareNodes(f.Body, g.Body)
		attrs := compareAttrs(f.Attrs, g.Attrs, nil)
		if !body.Empty() || len(attrs) > 0 {
			list = append(list, Function{Name: f.Name, Status: FunctionChanged, Attrs: attrs, Body: body})
		}
	}
	for name := range inB {
		list = append(list, Function{Name: name, Status: FunctionAdded})
	}
	slices.SortFunc(list, func(x, y Function) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), cmp.Compare(x.Status, y.Status))
	})
	return list
}

func passOf(n *graphdef.Node) string {
	a, _ := n.Attr(passAttr)
	s, _ := a.AsString()
	return s
}

func versionsText(v graphdef.Versions) string {
	s := fmt.Sprintf("producer %d", v.Producer)
	if v.MinConsumer != 0 {
		s += fmt.Sprintf(", min_consumer %d", v.MinConsumer)
	}
	if len(v.BadConsumers) > 0 {
		s += fmt.Sprintf(", bad_consumers %v", v.BadConsumers)
	}
	return s
}
