package graphdef

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Function is one entry of a graph's library. Its body is a Graph in which argument i is a node of op _Arg (attributes
// T and index) named as the argument, and result i a node of op _Retval (T, index) that reads the returned value, named as
// the result: the form that TensorFlow itself runs. So every pass works inside function bodies as it does outside.
type Function struct {
	Name       string
	Body       *Graph
	Args       []*Node // the _Arg nodes, in order
	Rets       []*Node // the _Retval nodes, in order
	ControlRet []*Node // nodes that run although no result depends on them
	Attrs      []NamedAttr
	wire       *functionWire // what else the FunctionDef said, kept for writing
}

// TensorName returns the name of o, an output of a node of f's body, in the outer graph: function@node:index. No name of a
// node that TensorFlow accepts holds an @, so this is no name of the outer graph's own.
func (f *Function) TensorName(o Output) string { return f.Name + "@" + o.String() }

// Clone returns a copy of f that shares only immutable values.
func (f *Function) Clone() *Function {
	c := *f
	c.Body = f.Body.Clone()
	twins := func(nodes []*Node) []*Node {
		out := make([]*Node, len(nodes))
		for i, n := range nodes {
			out[i] = c.Body.Node(n.name)
		}
		return out
	}
	c.Args, c.Rets, c.ControlRet = twins(f.Args), twins(f.Rets), twins(f.ControlRet)
	return &c
}

// functionWire is the parts of a FunctionDef that a body does not hold.
type functionWire struct {
	signature []byte // OpDef without arguments, results, control outputs and name
	extra     []byte // other fields of the FunctionDef
	// controlNames are the names of control outputs, by node, where the two differ.
	controlNames map[string]string
}

// RemoveFunctions takes every function out of the library for which drop is true, and the gradients that name one. Nothing
// that stays may call one that goes.
func (g *Graph) RemoveFunctions(drop func(*Function) bool) {
	gone := map[string]bool{}
	g.functions = slices.DeleteFunc(g.functions, func(f *Function) bool {
		if drop(f) {
			gone[f.Name] = true
		}
		return gone[f.Name]
	})
	if len(gone) == 0 {
		return
	}
	var kept []byte
	for rest := g.libraryExtra; len(rest) > 0; {
		f, after, err := nextField(rest)
		if err != nil {
			break // not from a reader of ours
		}
		names := false
		// GradientDef: function_name and gradient_func; RegisteredGradient: gradient_func and registered_op_type.
		walk(f.raw, func(num protowire.Number, _ protowire.Type, _ uint64, raw []byte) bool {
			names = names || num <= 2 && gone[string(raw)]
			return true
		})
		if !f.is(libraryGradient) && !f.is(libraryRegistered) || !names {
			kept = append(kept, f.whole...)
		}
		rest = after
	}
	g.libraryExtra = kept
}

// Fields of gradients in FunctionDefLibrary.
const (
	libraryGradient   = 2
	libraryRegistered = 3
)
