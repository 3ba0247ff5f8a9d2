package runtime

import (
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
)

// member is one thing to emit in a region: a node, or an inner loop as a whole.
type member struct {
	node *graphdef.Node
	loop *flow.Region
}

// arrange returns the needed nodes and inner loops of r so that each comes after what it depends on; where that leaves a
// choice, the order of the file decides. A loop depends on all that any node inside it reads from r, and what reads one of
// its Exits depends on the loop.
func (sc *scope) arrange(r *flow.Region) ([]member, error) {
	frame := sc.frameNodes(r)
	var list []member
	index := map[member]int{}
	add := func(m member) {
		if _, ok := index[m]; !ok {
			index[m] = len(list)
			list = append(list, m)
		}
	}
	for _, n := range r.Nodes {
		if sc.needed[n] && !frame[n] {
			add(member{node: n})
		}
	}
	inside := map[*flow.Region][]*graphdef.Node{}
	for _, child := range r.Children {
		inside[child] = sc.neededInside(child, nil)
		if len(inside[child]) > 0 {
			add(member{loop: child})
		}
	}
	deps := make([][]int, len(list))
	for i, m := range list {
		nodes := []*graphdef.Node{m.node}
		if m.loop != nil {
			nodes = inside[m.loop]
		}
		for _, n := range nodes {
			for _, in := range n.Inputs() {
				if j, ok := index[sc.memberOf(in.Node, r)]; ok && j != i {
					deps[i] = append(deps[i], j)
				}
			}
			for _, list := range [][]*graphdef.Node{n.Controls(), sc.after[n]} {
				for _, c := range list {
					if j, ok := index[sc.memberOf(c, r)]; ok && j != i {
						deps[i] = append(deps[i], j)
					}
				}
			}
		}
	}
	return sortMembers(list, deps)
}

// sortMembers orders list by deps with an explicit stack, since chains can be very long.
func sortMembers(list []member, deps [][]int) ([]member, error) {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(list))
	out := make([]member, 0, len(list))
	type frame struct{ at, next int }
	var stack []frame
	for root := range list {
		if state[root] != unseen {
			continue
		}
		stack = append(stack, frame{root, 0})
		state[root] = open
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(deps[f.at]) {
				state[f.at] = done
				out = append(out, list[f.at])
				stack = stack[:len(stack)-1]
				continue
			}
			d := deps[f.at][f.next]
			f.next++
			switch state[d] {
			case open:
				n := list[d].node
				if n == nil {
					n = list[d].loop.Nodes[0]
				}
				return nil, n.Errorf("lies on a cycle that is not a loop of Enter, Merge, Switch and NextIteration")
			case unseen:
				state[d] = open
				stack = append(stack, frame{d, 0})
			}
		}
	}
	return out, nil
}

// memberOf returns the member of r that n is, or lies inside of; the zero member if n lies outside of r.
func (sc *scope) memberOf(n *graphdef.Node, r *flow.Region) member {
	at := sc.tree.Of(n)
	if at == r {
		return member{node: n}
	}
	for at != nil {
		if at.Parent == r {
			return member{loop: at}
		}
		at = at.Parent
	}
	return member{}
}

// neededInside appends the needed nodes of r and of the loops inside it.
func (sc *scope) neededInside(r *flow.Region, list []*graphdef.Node) []*graphdef.Node {
	for _, n := range r.Nodes {
		if sc.needed[n] {
			list = append(list, n)
		}
	}
	for _, c := range r.Children {
		list = sc.neededInside(c, list)
	}
	return list
}

// frameNodes returns the nodes that make up the frame of loop r itself: they are the loop step, not steps inside it.
func (sc *scope) frameNodes(r *flow.Region) map[*graphdef.Node]bool {
	set := map[*graphdef.Node]bool{}
	if r.Loop == nil {
		return set
	}
	for _, v := range r.Loop.Vars {
		for _, n := range []*graphdef.Node{v.Enter, v.Merge, v.Switch, v.Next, v.Exit} {
			if n != nil {
				set[n] = true
			}
		}
		for _, n := range v.Exits {
			set[n] = true
		}
	}
	for _, n := range r.Loop.Invariants {
		set[n] = true
	}
	set[r.Loop.LoopCond] = true
	return set
}
