package runtime

import (
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// A table's initializer is nothing that its users depend on: TensorFlow's loader runs it once, before. Here each run starts
// with empty tables, so Compile runs the initializers of the tables that it needs as steps before all others that use these.

// addInitializers returns the initializers of the tables that the needed nodes use and that none of these fills, and notes
// in sc.after what has to wait for them.
func (sc *scope) addInitializers() []*graphdef.Node {
	var added []*graphdef.Node
	for _, handles := range sc.tableHandles() {
		if !slices.ContainsFunc(handles, func(h *graphdef.Node) bool { return sc.needed[h] && !sc.given[h] }) {
			continue
		}
		var users, fillers []*graphdef.Node
		for _, h := range handles {
			users = handleUsers(h, users)
		}
		filled := false
		for _, u := range users {
			if fillsTable(u.Op()) && u.NumInputs() > 0 {
				filled = filled || sc.needed[u]
				fillers = append(fillers, u)
			}
		}
		if filled {
			continue
		}
		for _, f := range fillers {
			before := map[*graphdef.Node]bool{}
			if !sc.standsAlone(f, before) {
				continue
			}
			added = append(added, f)
			for _, u := range users {
				if !before[u] {
					sc.after[u] = append(sc.after[u], f)
				}
			}
			break
		}
	}
	return added
}

// tableHandles returns the handles of all tables of the graph, those of one table together, in the graph's order.
func (sc *scope) tableHandles() [][]*graphdef.Node {
	var all [][]*graphdef.Node
	index := map[string]int{}
	for _, n := range sc.g.Nodes() {
		if _, ok := tableOps[n.Op()]; !ok || n.NumInputs() > 0 {
			continue
		}
		container, _ := n.Str("container")
		name, _ := n.Str("shared_name")
		if name == "" {
			name = n.Name()
		}
		id := tableName(container, name)
		i, ok := index[id]
		if !ok {
			i = len(all)
			index[id] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], n)
	}
	return all
}

// handleUsers appends the nodes that get the handle h, as it is or by way of control flow.
func handleUsers(h *graphdef.Node, users []*graphdef.Node) []*graphdef.Node {
	seen := map[*graphdef.Node]bool{h: true}
	stack := []*graphdef.Node{h}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, u := range n.Users() {
			if u.Input == graphdef.ControlInput || seen[u.Node] {
				continue
			}
			seen[u.Node] = true
			switch u.Node.Op() {
			case "Identity", "Switch", "RefSwitch", "Merge", "RefMerge", "Enter", "RefEnter":
				stack = append(stack, u.Node)
			default:
				users = append(users, u.Node)
			}
		}
	}
	return users
}

// fillsTable reports whether op gives a table its entries.
func fillsTable(op string) bool {
	return strings.HasPrefix(op, "InitializeTable") || strings.HasPrefix(op, "LookupTableImport")
}

// standsAlone reports whether n can run before all else: it depends on no input that nobody feeds and on no checkpoint. What
// it depends on, itself too, is added to before.
func (sc *scope) standsAlone(n *graphdef.Node, before map[*graphdef.Node]bool) bool {
	stack := []*graphdef.Node{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if before[n] {
			continue
		}
		before[n] = true
		op := n.Op()
		if op == "Placeholder" || strings.HasPrefix(op, "Restore") || op == "Enter" || op == "Switch" {
			return false
		}
		for _, in := range n.Inputs() {
			if _, fed := sc.slots[in]; !fed {
				stack = append(stack, in.Node)
			}
		}
		stack = append(stack, n.Controls()...)
	}
	return true
}
