package graphdef

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Output is one output of a node: the value that TensorFlow writes as name:index.
type Output struct {
	Node  *Node
	Index int
}

// String returns o as a tensor name, name:index, as feeds, fetches and observers use it.
func (o Output) String() string {
	if o.Node == nil {
		return "?"
	}
	return fmt.Sprintf("%s:%d", o.Node.name, o.Index)
}

// Use is one place where an output of a node is read: input number Input of Node, or ControlInput.
type Use struct {
	Node  *Node
	Input int
}

// ControlInput is Use.Input of a control edge.
const ControlInput = -1

// Node is one operation of a Graph. Its edges are changed through the Graph's and Node's methods only, which keep
// both directions right.
type Node struct {
	name     string
	op       string
	Device   string
	attrs    []NamedAttr
	inputs   []Output
	controls []*Node
	users    []Use
	graph    *Graph                  // nil once removed
	extra    []byte                  // fields of the NodeDef that we do not interpret, as they were on the wire
	ports    []string                // in function bodies, of an op that is not known: its outputs as inputs spell them, out:index
	value    atomic.Pointer[decoded] // attribute "value", once decoded: a cache that readers fill
}

// NamedAttr is one attribute of a node.
type NamedAttr struct {
	Name string
	Attr Attr
}

// Name returns the node's name, unique in its graph.
func (n *Node) Name() string { return n.name }

// Op returns the name of the operation.
func (n *Node) Op() string { return n.op }

// Graph returns the graph that holds n, nil for a removed node.
func (n *Node) Graph() *Graph { return n.graph }

// Inputs returns the data inputs; the caller does not change the slice.
func (n *Node) Inputs() []Output { return n.inputs }

// Input returns data input i.
func (n *Node) Input(i int) Output { return n.inputs[i] }

// NumInputs returns the number of data inputs.
func (n *Node) NumInputs() int { return len(n.inputs) }

// Controls returns the nodes that must run before n; the caller does not change the slice.
func (n *Node) Controls() []*Node { return n.controls }

// Users returns every edge that leaves n, in no order that means anything; the caller does not change the slice.
func (n *Node) Users() []Use { return n.users }

// Out returns output i of n.
func (n *Node) Out(i int) Output { return Output{n, i} }

// UsesOf returns the data edges that read output i of n.
func (n *Node) UsesOf(i int) []Use {
	var uses []Use
	for _, u := range n.users {
		if u.Input != ControlInput && u.Node.inputs[u.Input].Index == i {
			uses = append(uses, u)
		}
	}
	return uses
}

// Attrs returns the attributes in the order of the file; the caller does not change the slice.
func (n *Node) Attrs() []NamedAttr { return n.attrs }

// Attr returns the attribute of that name; ok is false where the node does not have it (defaults are in the op's
// signature: see the typed getters, which apply them).
func (n *Node) Attr(name string) (a Attr, ok bool) {
	for i := range n.attrs {
		if n.attrs[i].Name == name {
			return n.attrs[i].Attr, true
		}
	}
	return Attr{}, false
}

// SetAttr sets or replaces an attribute.
func (n *Node) SetAttr(name string, a Attr) {
	if name == "value" {
		n.value.Store(nil)
	}
	for i := range n.attrs {
		if n.attrs[i].Name == name {
			n.attrs[i].Attr = a
			return
		}
	}
	n.attrs = append(n.attrs, NamedAttr{name, a})
}

// RemoveAttr drops an attribute if it is there.
func (n *Node) RemoveAttr(name string) {
	if name == "value" {
		n.value.Store(nil)
	}
	n.attrs = slices.DeleteFunc(n.attrs, func(a NamedAttr) bool { return a.Name == name })
}

// SetOp makes n another operation, without the attributes that it had: the caller sets those of the new one. Name, inputs
// and users stay.
func (n *Node) SetOp(op string) {
	n.op, n.attrs, n.extra, n.ports = op, nil, nil, nil
	n.value.Store(nil)
}

// Errorf returns a *NodeError about n.
func (n *Node) Errorf(format string, args ...any) error {
	return &NodeError{Node: n.name, Op: n.op, Err: fmt.Errorf(format, args...)}
}

// NodeError is an error that a node of the user's graph causes.
type NodeError struct {
	Node, Op string
	Err      error
}

func (e *NodeError) Error() string { return fmt.Sprintf("node %q (%s): %v", e.Node, e.Op, e.Err) }

func (e *NodeError) Unwrap() error { return e.Err }
