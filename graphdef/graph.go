// Package graphdef holds TensorFlow graphs: [Graph] with its [Node]s, edges and function library, the table of op
// signatures, reading and writing of GraphDef files (.pb, .pbtxt and a text form of one node a line), checking and
// editing.
//
//	g, err := graphdef.Load("frozen.pb")
//	for _, n := range g.Nodes() {
//		fmt.Println(n.Name(), n.Op())
//	}
//
// It does not compute: package runtime does. Loops and conditionals as regions are in graphdef/flow.
package graphdef

import (
	"fmt"
	"slices"
)

// Graph is a TensorFlow graph: nodes in the order of the file, unique by name, and a library of functions. A Graph
// serves one goroutine while it is edited and any number while it is only read.
type Graph struct {
	nodes     []*Node
	byName    map[string]*Node
	functions []*Function
	Versions  Versions
	extra     []byte // fields of the GraphDef that we do not interpret
	// libraryExtra is fields of the FunctionDefLibrary that we do not interpret: gradients.
	libraryExtra []byte
}

// Versions is GraphDef.versions: the producer decides how old a graph's conventions are.
type Versions struct {
	Producer, MinConsumer int32
	BadConsumers          []int32
}

// NewGraph returns an empty graph, which says that it was produced for TensorFlow 2.x (producer 1087).
func NewGraph() *Graph {
	return &Graph{byName: map[string]*Node{}, Versions: Versions{Producer: 1087}}
}

// Nodes returns the nodes in file order; the caller does not change the slice, nor edits the graph while it walks it
// (slices.Clone it first).
func (g *Graph) Nodes() []*Node { return g.nodes }

// Node returns the node of that name, nil if there is none.
func (g *Graph) Node(name string) *Node { return g.byName[name] }

// Functions returns the library in file order.
func (g *Graph) Functions() []*Function { return g.functions }

// Function returns the library function of that name, nil if there is none.
func (g *Graph) Function(name string) *Function {
	for _, f := range g.functions {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// AddFunction appends f to the library; its name must be new.
func (g *Graph) AddFunction(f *Function) error {
	if g.Function(f.Name) != nil {
		return fmt.Errorf("graphdef: function %q is there twice", f.Name)
	}
	g.functions = append(g.functions, f)
	return nil
}

// Add appends a node. Its name must be free; all inputs are nodes of g.
func (g *Graph) Add(name, op string, inputs ...Output) (*Node, error) {
	if g.byName[name] != nil {
		return nil, fmt.Errorf("graphdef: node name %q is taken", name)
	}
	n := &Node{name: name, op: op, graph: g}
	g.nodes = append(g.nodes, n)
	g.byName[name] = n
	for _, in := range inputs {
		n.AddInput(in)
	}
	return n, nil
}

// AddCopy appends a node with the op, device and attributes of n, a node of any graph, without its inputs. The name must be
// free.
func (g *Graph) AddCopy(name string, n *Node) (*Node, error) {
	c, err := g.Add(name, n.op)
	if err != nil {
		return nil, err
	}
	c.Device, c.attrs, c.extra, c.ports = n.Device, slices.Clone(n.attrs), n.extra, n.ports
	c.value.Store(n.value.Load())
	return c, nil
}

// MustAdd is Add under g.UniqueName(name): it cannot fail.
func (g *Graph) MustAdd(name, op string, inputs ...Output) *Node {
	n, err := g.Add(g.UniqueName(name), op, inputs...)
	if err != nil {
		panic(err)
	}
	return n
}

// UniqueName returns base if no node has that name, else base_1, base_2, …
func (g *Graph) UniqueName(base string) string {
	name := base
	for i := 1; g.byName[name] != nil; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	return name
}

// AddInput appends a data input to n.
func (n *Node) AddInput(o Output) {
	n.inputs = append(n.inputs, o)
	o.Node.users = append(o.Node.users, Use{n, len(n.inputs) - 1})
}

// SetInput makes o data input i of n.
func (n *Node) SetInput(i int, o Output) {
	if n.inputs[i] == o {
		return
	}
	n.inputs[i].Node.dropUse(Use{n, i})
	n.inputs[i] = o
	o.Node.users = append(o.Node.users, Use{n, i})
}

// SetInputs replaces all data inputs of n.
func (n *Node) SetInputs(inputs ...Output) {
	for i, in := range n.inputs {
		in.Node.dropUse(Use{n, i})
	}
	n.inputs = n.inputs[:0]
	for _, in := range inputs {
		n.AddInput(in)
	}
}

// AddControl makes n run after c; a second call changes nothing.
func (n *Node) AddControl(c *Node) {
	if slices.Contains(n.controls, c) {
		return
	}
	n.controls = append(n.controls, c)
	c.users = append(c.users, Use{n, ControlInput})
}

// RemoveControl drops the control edge from c to n if there is one.
func (n *Node) RemoveControl(c *Node) {
	i := slices.Index(n.controls, c)
	if i < 0 {
		return
	}
	n.controls = slices.Delete(n.controls, i, i+1)
	c.dropUse(Use{n, ControlInput})
}

func (n *Node) dropUse(u Use) {
	i := slices.Index(n.users, u)
	n.users[i] = n.users[len(n.users)-1]
	n.users = n.users[:len(n.users)-1]
}

// ReplaceUses makes every data edge that reads old read with instead. Control edges stay: see ReplaceControls.
func (g *Graph) ReplaceUses(old, with Output) {
	for _, u := range old.Node.UsesOf(old.Index) {
		u.Node.SetInput(u.Input, with)
	}
}

// ReplaceControls makes every node that waits for old wait for with.
func (g *Graph) ReplaceControls(old, with *Node) {
	for _, u := range slices.Clone(old.users) {
		if u.Input == ControlInput {
			u.Node.RemoveControl(old)
			if u.Node != with {
				u.Node.AddControl(with)
			}
		}
	}
}

// Remove takes n out of the graph. It must have no users left.
func (g *Graph) Remove(n *Node) error {
	if len(n.users) > 0 {
		return n.Errorf("cannot be removed, %q still uses it", n.users[0].Node.name)
	}
	g.RemoveAll(func(m *Node) bool { return m == n })
	return nil
}

// RemoveAll takes out every node for which drop is true. No node that stays may use one that goes.
func (g *Graph) RemoveAll(drop func(*Node) bool) {
	gone := map[*Node]bool{}
	g.nodes = slices.DeleteFunc(g.nodes, func(n *Node) bool {
		if drop(n) {
			gone[n] = true
		}
		return gone[n]
	})
	for n := range gone {
		for i, in := range n.inputs {
			if !gone[in.Node] {
				in.Node.dropUse(Use{n, i})
			}
		}
		for _, c := range n.controls {
			if !gone[c] {
				c.dropUse(Use{n, ControlInput})
			}
		}
		delete(g.byName, n.name)
		n.graph = nil
	}
	for n := range gone {
		for _, u := range n.users {
			if !gone[u.Node] {
				panic(fmt.Sprintf("graphdef: node %q is removed, but %q uses it", n.name, u.Node.name))
			}
		}
	}
}

// Rename gives n another name, which must be free.
func (g *Graph) Rename(n *Node, name string) error {
	if name == n.name {
		return nil
	}
	if g.byName[name] != nil {
		return n.Errorf("cannot be renamed to %q: the name is taken", name)
	}
	delete(g.byName, n.name)
	n.name = name
	g.byName[name] = n
	return nil
}

// TakeOver makes with stand for old under old's name: data edges to output i of old read output i of with, control
// edges to old wait for with, old is removed, and with is called what old was called.
func (g *Graph) TakeOver(old, with *Node) error {
	for _, u := range slices.Clone(old.users) {
		if u.Input != ControlInput && u.Node != with {
			u.Node.SetInput(u.Input, Output{with, u.Node.inputs[u.Input].Index})
		}
	}
	g.ReplaceControls(old, with)
	name := old.name
	if err := g.Remove(old); err != nil {
		return err
	}
	return g.Rename(with, name)
}

// Ancestors returns the nodes that the given ones depend on, through data and control edges, themselves included.
func Ancestors(of ...*Node) map[*Node]bool {
	seen := map[*Node]bool{}
	stack := slices.Clone(of)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, in := range n.inputs {
			stack = append(stack, in.Node)
		}
		stack = append(stack, n.controls...)
	}
	return seen
}

// Order returns the nodes so that each comes after its inputs and controls; the edges from NextIteration to Merge, which
// close loops, do not count. Nodes that are free to go first keep the order of the file. An error names a node of a cycle.
func (g *Graph) Order() ([]*Node, error) {
	const (
		unseen = iota
		open
		done
	)
	state := make(map[*Node]uint8, len(g.nodes))
	order := make([]*Node, 0, len(g.nodes))
	// An explicit stack: chains of a hundred thousand nodes occur in files made to break readers.
	type frame struct {
		n    *Node
		next int
	}
	var stack []frame
	for _, root := range g.nodes {
		if state[root] != unseen {
			continue
		}
		stack = append(stack[:0], frame{root, 0})
		state[root] = open
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(f.n.inputs)+len(f.n.controls) {
				state[f.n] = done
				order = append(order, f.n)
				stack = stack[:len(stack)-1]
				continue
			}
			var in *Node
			if f.next < len(f.n.inputs) {
				in = f.n.inputs[f.next].Node
				if isMerge(f.n.op) && isNextIteration(in.op) {
					in = nil
				}
			} else {
				in = f.n.controls[f.next-len(f.n.inputs)]
			}
			f.next++
			if in == nil || state[in] == done {
				continue
			}
			if state[in] == open {
				return nil, in.Errorf("lies on a cycle that goes through no NextIteration")
			}
			state[in] = open
			stack = append(stack, frame{in, 0})
		}
	}
	return order, nil
}

func isMerge(op string) bool         { return op == "Merge" || op == "RefMerge" }
func isNextIteration(op string) bool { return op == "NextIteration" || op == "RefNextIteration" }

// Clone returns a copy of g that shares only immutable values (attribute bytes, tensor contents).
func (g *Graph) Clone() *Graph {
	c := &Graph{byName: make(map[string]*Node, len(g.nodes)), Versions: g.Versions, extra: g.extra, libraryExtra: g.libraryExtra}
	c.Versions.BadConsumers = slices.Clone(g.Versions.BadConsumers)
	twin := make(map[*Node]*Node, len(g.nodes))
	for _, n := range g.nodes {
		m := &Node{name: n.name, op: n.op, Device: n.Device, attrs: slices.Clone(n.attrs), graph: c, extra: n.extra, ports: n.ports}
		m.value.Store(n.value.Load())
		twin[n] = m
		c.nodes = append(c.nodes, m)
		c.byName[m.name] = m
	}
	for _, n := range g.nodes {
		m := twin[n]
		m.inputs = make([]Output, len(n.inputs))
		for i, in := range n.inputs {
			m.inputs[i] = Output{twin[in.Node], in.Index}
		}
		for _, x := range n.controls {
			m.controls = append(m.controls, twin[x])
		}
		m.users = make([]Use, len(n.users))
		for i, u := range n.users {
			m.users[i] = Use{twin[u.Node], u.Input}
		}
	}
	for _, f := range g.functions {
		c.functions = append(c.functions, f.Clone())
	}
	return c
}
