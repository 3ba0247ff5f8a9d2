package passes

import (
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// takeConstantBranches replaces conditionals whose predicate is constant by the branch that is taken.
func (s *scope) takeConstantBranches() error {
	for {
		tree, err := flow.Analyze(s.g)
		if err != nil {
			return err
		}
		if !s.takeSwitches(tree) {
			s.takeIfs(tree)
			return nil
		}
		s.strip()
	}
}

// takeSwitches takes the branch of one conditional of Switches and Merges; false where there is none to take.
func (s *scope) takeSwitches(tree *flow.Tree) bool {
	for _, r := range tree.Regions {
		for _, c := range tree.Conditionals(r) {
			pred, ok := tree.ConstOf(c.Pred)
			if !ok || s.fed(pred) || len(c.Branches) != 2 {
				continue
			}
			t, err := pred.Tensor("value")
			if err != nil || t.DType() != tensor.Bool || t.Rank() != 0 {
				continue
			}
			taken := 0
			if tensor.Data[bool](t)[0] {
				taken = 1
			}
			if b := (&branch{s, tree, c, taken}); b.possible() {
				b.take()
				return true
			}
		}
	}
	return false
}

// branch is one conditional and the branch of it that is always taken.
type branch struct {
	s     *scope
	tree  *flow.Tree
	c     *flow.Conditional
	taken int
}

// possible reports whether the conditional can go: there is something to take, nobody asks for what is never computed, each
// Merge has one input left, and no node of a loop would lose what ties it to its frame.
func (b *branch) possible() bool {
	// Else a Switch stays whose dead branch alone is read, by a Merge that belongs to no conditional, and is found again for ever.
	if len(b.c.Merges) == 0 && !slices.ContainsFunc(b.c.Switches, b.read) {
		return false
	}
	if slices.ContainsFunc(b.c.Branches[1-b.taken], b.s.fixed) {
		return false
	}
	for _, m := range b.c.Merges {
		if _, ok := b.live(m); !ok || b.s.fixed(m) && (len(m.UsesOf(1)) > 0 || b.s.wanted(m.Out(1))) {
			return false
		}
	}
	return !slices.ContainsFunc(b.c.Switches, func(sw *graphdef.Node) bool {
		in := sw.Input(0).Node
		floats := in.NumInputs() == 0 && len(in.Controls()) == 0
		return b.s.fixed(sw) || sw.Op() != "Switch" || floats && b.c.Region.Kind == flow.KindLoop
	})
}

// read reports whether something reads the taken branch of sw or waits for sw.
func (b *branch) read(sw *graphdef.Node) bool {
	return slices.ContainsFunc(sw.Users(), func(u graphdef.Use) bool {
		return u.Input == graphdef.ControlInput || u.Node.Input(u.Input).Index == b.taken
	})
}

// live returns the number of the only input of Merge m that can have a value.
func (b *branch) live(m *graphdef.Node) (index int, ok bool) {
	never := flow.Guard{Pred: b.c.Pred, Branch: 1 - b.taken}
	index = -1
	for i, in := range m.Inputs() {
		if slices.Contains(b.tree.OutputGuards(in), never) {
			continue
		}
		if index >= 0 {
			return 0, false
		}
		index = i
	}
	return index, index >= 0
}

func (b *branch) take() {
	s := b.s
	index := make([]int, len(b.c.Merges))
	for i, m := range b.c.Merges {
		index[i], _ = b.live(m)
	}
	for _, sw := range b.c.Switches {
		for _, u := range slices.Clone(sw.Users()) {
			if u.Input == graphdef.ControlInput {
				u.Node.RemoveControl(sw)
				u.Node.AddControl(sw.Input(0).Node)
			} else if u.Node.Input(u.Input).Index == b.taken {
				u.Node.SetInput(u.Input, sw.Input(0))
			} else {
				continue
			}
			for _, c := range sw.Controls() {
				if takesControls(u.Node) {
					u.Node.AddControl(c)
				}
			}
			s.change(u.Node)
		}
	}
	place := newPlacer(s.g, b.tree, s.pass)
	for i, m := range b.c.Merges {
		in := m.Input(index[i])
		if uses := m.UsesOf(1); len(uses) > 0 {
			o := place.constant(m.Name()+"/value_index", tensor.Scalar(int32(index[i])), b.c.Region)
			for _, u := range uses {
				u.Node.SetInput(u.Input, o)
				s.change(u.Node)
			}
		}
		if s.fixed(m) {
			id := place.add(m.Name()+"/taken", "Identity", in)
			if t, ok := m.Attr("T"); ok {
				id.SetAttr("T", t)
			}
			must(s.g.TakeOver(m, id))
			continue
		}
		for _, u := range slices.Clone(m.Users()) {
			if u.Input == graphdef.ControlInput {
				u.Node.RemoveControl(m)
				u.Node.AddControl(in.Node)
			} else {
				u.Node.SetInput(u.Input, in)
			}
			s.change(u.Node)
		}
	}
	s.env.Rewrote()
}

// takeIfs makes calls of the functional conditionals whose condition is constant.
func (s *scope) takeIfs(tree *flow.Tree) {
	for _, n := range slices.Clone(s.g.Nodes()) {
		if n.Op() != "If" && n.Op() != "StatelessIf" || n.NumInputs() == 0 {
			continue
		}
		c, ok := tree.ConstOf(n.Input(0))
		if !ok || s.fed(c) {
			continue
		}
		t, err := c.Tensor("value")
		if err != nil || t.Rank() != 0 || t.Bytes() == nil || t.DType().IsFloat() {
			continue
		}
		name := "else_branch"
		if slices.ContainsFunc(t.Bytes(), func(b byte) bool { return b != 0 }) {
			name = "then_branch"
		}
		f, ok := n.Attr(name)
		if !ok {
			continue
		}
		op := "PartitionedCall"
		if n.Op() == "If" {
			op = "StatefulPartitionedCall"
		}
		call := s.g.MustAdd(n.Name()+"/"+name, op, n.Inputs()[1:]...)
		call.Device = n.Device
		for _, a := range []string{"Tin", "Tout"} {
			if v, ok := n.Attr(a); ok {
				call.SetAttr(a, v)
			}
		}
		call.SetAttr("f", f)
		for _, x := range n.Controls() {
			call.AddControl(x)
		}
		if s.fn != nil {
			for i, x := range s.fn.ControlRet {
				if x == n {
					s.fn.ControlRet[i] = call
				}
			}
		}
		must(s.g.TakeOver(n, call))
		mark(call, s.pass)
		s.env.Rewrote()
	}
}
