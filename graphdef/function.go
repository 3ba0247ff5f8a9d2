package graphdef

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
