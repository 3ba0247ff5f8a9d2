package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
)

// observed returns the name under which o is to be observed, "" where it is not.
func (sc *scope) observed(o graphdef.Output) string {
	if len(sc.c.observed) == 0 {
		return ""
	}
	name := o.String()
	if sc.fn != nil {
		name = sc.fn.TensorName(o)
	}
	if !sc.c.observed[name] {
		return ""
	}
	return name
}

// observeOutputs notes which of a step's outputs are observed.
func (sc *scope) observeOutputs(n *graphdef.Node, st *step) {
	if len(sc.c.observed) == 0 {
		return
	}
	for i, slot := range st.out {
		if name := sc.observed(n.Out(i)); name != "" {
			st.observe = append(st.observe, observation{slot, name})
		}
	}
}

// observeAtStart appends a step that only observes, for values that no step computes where they are named.
func (sc *scope) observeAtStart(o graphdef.Output, b *block) error {
	name := sc.observed(o)
	if name == "" {
		return nil
	}
	slot := sc.slots[o]
	b.steps = append(b.steps, step{
		name: o.Node.Name(), op: o.Node.Op(), in: []int32{slot}, mayDie: sc.c.mayDie[slot],
		eval: func(*call) error { return nil }, observe: []observation{{slot, name}},
	})
	return nil
}

// observeGiven observes the fed outputs of n.
func (sc *scope) observeGiven(n *graphdef.Node, b *block) error {
	if len(sc.c.observed) == 0 {
		return nil
	}
	for o := range sc.slots {
		if o.Node == n {
			if err := sc.observeAtStart(o, b); err != nil {
				return err
			}
		}
	}
	return nil
}
