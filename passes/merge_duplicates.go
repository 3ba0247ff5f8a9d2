package passes

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// MergeDuplicates keeps one of several nodes that compute the same: of one op, with equal attributes, constants by their
// contents, and with the same inputs, in either order where the op allows it, or inputs that are such duplicates themselves.
// So a whole encoder that a graph holds twice becomes one. Nodes with state, of different frames, devices or control inputs,
// and those that decide about a loop are left alone. The node with the shortest name stays; a fetch always does.
var MergeDuplicates = Pass{
	Name: "merge-duplicates",
	Doc:  "keep one of several nodes that compute the same",
	Run:  mergeDuplicates,
}

func mergeDuplicates(_ context.Context, g *graphdef.Graph, env *Env) error {
	for _, s := range env.scopes(g) {
		if err := s.mergeDuplicates(); err != nil {
			return err
		}
	}
	return nil
}

// digest stands for what a node computes: equal digests, equal values.
type digest = [sha256.Size]byte

// merger numbers the classes of equal nodes.
type merger struct {
	s       *scope
	tree    *flow.Tree
	pure    *purity
	regions map[*flow.Region]int
	class   map[*graphdef.Node]int
	members [][]*graphdef.Node // by class
	byKey   map[digest]int
}

func (s *scope) mergeDuplicates() error {
	tree, err := flow.Analyze(s.g)
	if err != nil {
		return err
	}
	order, err := s.g.Order()
	if err != nil {
		return err
	}
	m := &merger{
		s: s, tree: tree, pure: newPurity(s.lib, false), regions: map[*flow.Region]int{},
		class: map[*graphdef.Node]int{}, byKey: map[digest]int{},
	}
	for i, r := range tree.Regions {
		m.regions[r] = i
	}
	for _, n := range order {
		m.classify(n)
	}
	gone := map[*graphdef.Node]bool{}
	for _, list := range m.members {
		m.merge(list, gone)
	}
	s.remove(func(n *graphdef.Node) bool { return gone[n] })
	return nil
}

// classify puts n, whose inputs have been seen, into a class; into one of its own where it must not be merged.
func (m *merger) classify(n *graphdef.Node) {
	at := len(m.members)
	if m.mergeable(n) {
		key := m.key(n)
		if old, ok := m.byKey[key]; ok {
			at = old
		} else {
			m.byKey[key] = at
		}
	}
	if at == len(m.members) {
		m.members = append(m.members, nil)
	}
	m.class[n] = at
	m.members[at] = append(m.members[at], n)
}

func (m *merger) mergeable(n *graphdef.Node) bool {
	switch n.Op() {
	case "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "_Arg", "_Retval", "NoOp",
		"NextIteration", "RefNextIteration", "Exit", "RefExit", "LoopCond", "RefEnter", "RefSwitch", "RefMerge":
		return false
	case "Enter":
		// Two variables of a loop that start alike do not stay alike.
		constant, _ := n.Bool("is_constant")
		return constant
	case "Switch", "Merge":
		if m.tree.Var(n) != nil {
			return false
		}
	}
	if m.s.fed(n) || !m.pure.pure(n) {
		return false
	}
	types, err := n.OutputTypes()
	if err != nil {
		return false
	}
	// A handle is told apart by who made it.
	return len(types) > 0 && !slices.ContainsFunc(types, func(d tensor.DType) bool {
		return d == tensor.Resource || d == tensor.Variant || d.IsRef()
	})
}

// key digests all that the value of n depends on.
func (m *merger) key(n *graphdef.Node) digest {
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(n.Op())
	text(n.Device)
	b = binary.AppendUvarint(b, uint64(m.regions[m.tree.Of(n)]))
	inputs := make([][2]int, n.NumInputs())
	for i, in := range n.Inputs() {
		inputs[i] = [2]int{m.class[in.Node], in.Index}
	}
	if swaps(n) {
		slices.SortFunc(inputs, func(x, y [2]int) int { return cmp.Or(x[0]-y[0], x[1]-y[1]) })
	}
	b = binary.AppendUvarint(b, uint64(len(inputs)))
	for _, in := range inputs {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(in[0])), uint64(in[1]))
	}
	var controls []int
	for _, c := range n.Controls() {
		controls = append(controls, m.class[c])
	}
	slices.Sort(controls)
	for _, c := range slices.Compact(controls) {
		b = binary.AppendUvarint(b, uint64(c))
	}
	text("attributes")
	sig, _ := n.Signature()
	attrs := slices.Clone(n.Attrs())
	slices.SortFunc(attrs, func(x, y graphdef.NamedAttr) int { return strings.Compare(x.Name, y.Name) })
	for _, a := range attrs {
		switch a.Name {
		case "_tfq8_pass", "_output_shapes", "_class":
			continue
		}
		value := canonical(a.Attr)
		if sig != nil {
			if d := sig.Attr(a.Name); d != nil && !d.Required() && bytes.Equal(value, d.Default.AppendCanonical(nil)) {
				continue
			}
		}
		text(a.Name)
		b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
	}
	return sha256.Sum256(b)
}

// canonical returns bytes that are equal for equal attributes; of a large tensor they hold a digest, no copy.
func canonical(a graphdef.Attr) []byte {
	if a.Kind() == graphdef.KindTensor {
		if t, err := a.AsTensor(); err == nil && t.DType() != tensor.String && t.Len() > sha256.Size {
			contents := sha256.Sum256(t.Bytes())
			return fmt.Append(nil, "large ", t.DType(), t.Shape(), contents)
		}
	}
	return a.AppendCanonical(nil)
}

// swaps reports whether the two inputs of n may change places without changing a bit of the result.
func swaps(n *graphdef.Node) bool {
	sig, ok := n.Signature()
	if !ok || n.NumInputs() != 2 {
		return false
	}
	if n.Op() == "Add" {
		t, err := n.Type("T")
		return err == nil && t != tensor.String
	}
	return sig.Has(graphdef.Commutative)
}

// merge makes all users of a class's nodes use one of them.
func (m *merger) merge(list []*graphdef.Node, gone map[*graphdef.Node]bool) {
	if len(list) < 2 {
		return
	}
	keep := slices.MinFunc(list, func(x, y *graphdef.Node) int {
		fx, fy := m.s.fixed(x), m.s.fixed(y)
		switch {
		case fx && !fy:
			return -1
		case fy && !fx:
			return 1
		}
		return cmp.Or(len(x.Name())-len(y.Name()), strings.Compare(x.Name(), y.Name()))
	})
	for _, n := range list {
		if n == keep {
			continue
		}
		merged := len(n.Users()) > 0
		for _, u := range slices.Clone(n.Users()) {
			if u.Input == graphdef.ControlInput {
				u.Node.RemoveControl(n)
				if u.Node != keep {
					u.Node.AddControl(keep)
				}
			} else {
				u.Node.SetInput(u.Input, keep.Out(u.Node.Input(u.Input).Index))
			}
			m.s.change(u.Node)
		}
		if m.s.fixed(n) {
			// A second fetch of one value keeps its node.
			if merged {
				m.s.env.Rewrote()
			}
			continue
		}
		gone[n] = true
		m.s.env.Rewrote()
		m.s.env.Merged(m.s.qualified(n), m.s.qualified(keep))
	}
}
