package diff

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// pairing says which node of A is which of B.
type pairing struct {
	of    map[*graphdef.Node]*graphdef.Node // B's node by A's
	taken map[*graphdef.Node]bool           // nodes of B that have one
}

// pair matches nodes by name; of the rest, those that compute the same from matching nodes. Where several do, they are
// matched in the order of their names.
func pair(a, b *graphdef.Graph) *pairing {
	p := &pairing{of: make(map[*graphdef.Node]*graphdef.Node, len(a.Nodes())), taken: make(map[*graphdef.Node]bool, len(b.Nodes()))}
	for _, n := range a.Nodes() {
		if m := b.Node(n.Name()); m != nil {
			p.of[n] = m
			p.taken[m] = true
		}
	}
	inA := restBy(a, func(n *graphdef.Node) bool { return p.of[n] != nil })
	inB := restBy(b, func(n *graphdef.Node) bool { return p.taken[n] })
	for key, list := range inA {
		for i, n := range list {
			if same := inB[key]; i < len(same) {
				p.of[n] = same[i]
				p.taken[same[i]] = true
			}
		}
	}
	return p
}

type digest = [sha256.Size]byte

// restBy returns the nodes of g that have no partner, by what they compute.
func restBy(g *graphdef.Graph, paired func(*graphdef.Node) bool) map[digest][]*graphdef.Node {
	order, err := g.Order()
	if err != nil {
		order = g.Nodes() // a graph with a bad cycle: fewer renamings are found
	}
	keys := map[*graphdef.Node]digest{}
	rest := map[digest][]*graphdef.Node{}
	for _, n := range order {
		if paired(n) {
			continue
		}
		var b []byte
		text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
		node := func(m *graphdef.Node) {
			if paired(m) {
				text(m.Name())
				return
			}
			// A loop's NextIteration has no key yet when its Merge is looked at.
			key := keys[m]
			b = append(append(b, 0), key[:]...)
		}
		text(n.Op())
		text(n.Device)
		for _, in := range n.Inputs() {
			node(in.Node)
			b = binary.AppendUvarint(b, uint64(in.Index))
		}
		text("^")
		for _, c := range n.Controls() {
			node(c)
		}
		for _, v := range decided(n.Attrs(), n) {
			text(v.name)
			b = append(b, v.canonical...)
		}
		key := sha256.Sum256(b)
		keys[n] = key
		rest[key] = append(rest[key], n)
	}
	for _, list := range rest {
		slices.SortFunc(list, func(x, y *graphdef.Node) int { return strings.Compare(x.Name(), y.Name()) })
	}
	return rest
}

// value is an attribute that says something: the op's default is not it.
type value struct {
	name      string
	attr      graphdef.Attr
	canonical []byte
}

// decided returns the attributes that differ from the default of n's op, sorted, without the mark of passes.
func decided(attrs []graphdef.NamedAttr, n *graphdef.Node) []value {
	var sig *graphdef.Signature
	if n != nil {
		sig, _ = n.Signature()
	}
	var list []value
	for _, a := range attrs {
		if a.Name == passAttr {
			continue
		}
		v := value{a.Name, a.Attr, a.Attr.AppendCanonical(nil)}
		if d := definition(sig, a.Name); d != nil && !d.Required() && bytes.Equal(v.canonical, d.Default.AppendCanonical(nil)) {
			continue
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(x, y value) int { return strings.Compare(x.name, y.name) })
	return list
}

func definition(sig *graphdef.Signature, name string) *graphdef.AttrDef {
	if sig == nil {
		return nil
	}
	return sig.Attr(name)
}

// compare returns how m, of B, differs from its partner n, nil if it does not. A renamed node's name is not a change.
func (p *pairing) compare(n, m *graphdef.Node) *Changed {
	c := &Changed{Name: m.Name(), Op: m.Op(), Pass: passOf(m)}
	if n.Op() != m.Op() {
		c.OldOp = n.Op()
	}
	if n.Device != m.Device {
		c.Device = &Values{n.Device, m.Device}
	}
	for i := range max(n.NumInputs(), m.NumInputs()) {
		in := Input{Index: i}
		same := false
		if i < n.NumInputs() {
			in.Old = short(n.Input(i))
		}
		if i < m.NumInputs() {
			in.New = short(m.Input(i))
		}
		if i < n.NumInputs() && i < m.NumInputs() {
			same = p.of[n.Input(i).Node] == m.Input(i).Node && n.Input(i).Index == m.Input(i).Index
		}
		if !same {
			c.Inputs = append(c.Inputs, in)
		}
	}
	c.Controls = p.compareControls(n, m)
	// Attributes of different ops are different things.
	if c.OldOp == "" {
		c.Attrs = compareAttrs(n.Attrs(), m.Attrs(), m)
	}
	if c.OldOp == "" && c.Device == nil && !c.Rewired() && len(c.Attrs) == 0 {
		return nil
	}
	return c
}

// compareControls lists what one of the nodes waits for and the other does not.
func (p *pairing) compareControls(n, m *graphdef.Node) []Values {
	var list []Values
	kept := map[*graphdef.Node]bool{}
	for _, c := range n.Controls() {
		if with := p.of[c]; with != nil && slices.Contains(m.Controls(), with) {
			kept[with] = true
			continue
		}
		list = append(list, Values{Old: c.Name()})
	}
	for _, c := range m.Controls() {
		if !kept[c] {
			list = append(list, Values{New: c.Name()})
		}
	}
	slices.SortFunc(list, func(x, y Values) int { return strings.Compare(x.Old+x.New, y.Old+y.New) })
	return list
}

// short returns o as a graph's file spells it.
func short(o graphdef.Output) string {
	if o.Index == 0 {
		return o.Node.Name()
	}
	return o.String()
}
