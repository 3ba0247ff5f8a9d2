package graphdef

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// Field numbers of FunctionDef, OpDef and ArgDef.
const (
	functionSignature  protowire.Number = 1
	functionNode       protowire.Number = 3
	functionRet        protowire.Number = 4
	functionAttr       protowire.Number = 5
	functionControlRet protowire.Number = 6
	functionArgAttr    protowire.Number = 7
	functionUniqueID   protowire.Number = 8

	opName          protowire.Number = 1
	opInput         protowire.Number = 2
	opOutput        protowire.Number = 3
	opControlOutput protowire.Number = 20

	argName       protowire.Number = 1
	argType       protowire.Number = 3
	argTypeAttr   protowire.Number = 4
	argNumberAttr protowire.Number = 5
	argListAttr   protowire.Number = 6
)

// uniqueIDAttr is the attribute under which TensorFlow's _Arg nodes keep FunctionDef.resource_arg_unique_id.
const uniqueIDAttr = "_resource_arg_unique_id"

// A functionReader builds one Function. All functions get their arguments and results before any body is connected,
// since a body may call a function by its name as an op.
type functionReader struct {
	reader
	f       *Function
	library map[string]*Function
	ret     map[string]string
	results []resultDef
	// spelt holds, for nodes of ops that have no signature, the outputs that inputs name: out:index in order.
	spelt map[*Node][]string
}

type resultDef struct {
	name string
	typ  Attr
	rest []byte // of the ArgDef
}

func readFunctions(g *Graph, functions [][]byte) error {
	var readers []*functionReader
	library := make(map[string]*Function, len(functions))
	for _, b := range functions {
		r, err := readFunction(g, b)
		if err != nil {
			return err
		}
		if library[r.f.Name] != nil {
			return fmt.Errorf("function %q is there twice", r.f.Name)
		}
		library[r.f.Name] = r.f
		r.library = library
		g.functions = append(g.functions, r.f)
		readers = append(readers, r)
	}
	for _, r := range readers {
		r.connect(r.resolve)
		r.connectResults()
		if err := r.err(); err != nil {
			return fmt.Errorf("function %q: %w", r.f.Name, err)
		}
		for n, spelt := range r.spelt {
			n.ports = spelt
		}
	}
	return nil
}

// readFunction reads all of a FunctionDef but the edges of its body.
func readFunction(g *Graph, b []byte) (*functionReader, error) {
	body := &Graph{byName: map[string]*Node{}, Versions: g.Versions}
	f := &Function{Body: body, wire: &functionWire{}}
	r := &functionReader{reader: reader{graph: body}, f: f, ret: map[string]string{}, spelt: map[*Node][]string{}}
	var signature []byte
	var nodes, argAttrs, uniqueIDs [][]byte
	controlRet := map[string]string{}
	for len(b) > 0 {
		fd, rest, err := nextField(b)
		if err != nil {
			return nil, fmt.Errorf("function library, function %d: %w", len(g.functions), err)
		}
		b = rest
		switch {
		case fd.is(functionSignature):
			signature = append(slices.Clip(signature), fd.raw...)
		case fd.is(functionNode):
			nodes = append(nodes, fd.raw)
		case fd.is(functionRet):
			err = readStringEntry(r.ret, fd.raw)
		case fd.is(functionControlRet):
			err = readStringEntry(controlRet, fd.raw)
		case fd.is(functionAttr):
			var a NamedAttr
			a, err = readNamedAttr(fd.raw)
			f.Attrs = append(f.Attrs, a)
		case fd.is(functionArgAttr):
			argAttrs = append(argAttrs, fd.raw)
		case fd.is(functionUniqueID):
			uniqueIDs = append(uniqueIDs, fd.raw)
		default:
			f.wire.extra = append(f.wire.extra, fd.whole...)
		}
		if err != nil {
			return nil, fmt.Errorf("function library, function %d: %w", len(g.functions), err)
		}
	}
	f.Attrs = lastOfEach(f.Attrs)
	controls, err := r.signature(signature)
	if err == nil {
		err = r.argAttrs(argAttrs, uniqueIDs)
	}
	for i := 0; i < len(nodes) && err == nil; i++ {
		err = r.node(nodes[i], validBodyName)
		if last := len(r.graph.nodes) - 1; err == nil && (r.graph.nodes[last].op == "_Arg" || r.graph.nodes[last].op == "_Retval") {
			err = r.graph.nodes[last].Errorf("arguments and results of a function belong to its signature")
		}
	}
	if err == nil {
		err = r.controlReturns(controls, controlRet)
	}
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", f.Name, err)
	}
	r.addResults()
	return r, nil
}

// signature reads the OpDef, adds the arguments to the body and returns the names of the control outputs.
func (r *functionReader) signature(b []byte) (controls []string, err error) {
	for len(b) > 0 {
		fd, rest, err := nextField(b)
		if err != nil {
			return nil, fmt.Errorf("signature: %w", err)
		}
		b = rest
		switch {
		case fd.is(opName):
			r.f.Name, err = fd.text()
		case fd.is(opInput):
			err = r.argument(fd.raw)
		case fd.is(opOutput):
			var d resultDef
			d.name, d.typ, d.rest, err = readArgDef(fd.raw)
			r.results = append(r.results, d)
		case fd.is(opControlOutput):
			var s string
			s, err = fd.text()
			controls = append(controls, s)
		default:
			r.f.wire.signature = append(r.f.wire.signature, fd.whole...)
		}
		if err != nil {
			return nil, fmt.Errorf("signature: %w", err)
		}
	}
	if r.f.Name == "" {
		return nil, fmt.Errorf("the function has no name")
	}
	return controls, nil
}

func (r *functionReader) argument(b []byte) error {
	name, typ, rest, err := readArgDef(b)
	if err != nil {
		return err
	}
	if !validBodyName(name) || r.graph.byName[name] != nil {
		return fmt.Errorf("argument name %q is not legal or there twice", name)
	}
	n := &Node{name: name, op: "_Arg", graph: r.graph, extra: rest}
	n.attrs = []NamedAttr{{"T", typ}, {"index", IntAttr(int64(len(r.f.Args)))}}
	r.add(n, nil)
	r.f.Args = append(r.f.Args, n)
	return nil
}

// readArgDef reads an ArgDef: its name, its type (a dtype, or the name of an attribute of the call as a placeholder) and
// what else it says.
func readArgDef(b []byte) (name string, typ Attr, rest []byte, err error) {
	for len(b) > 0 {
		f, more, err := nextField(b)
		if err != nil {
			return "", Attr{}, nil, err
		}
		b = more
		switch {
		case f.is(argName):
			name, err = f.text()
		case f.num == argType && f.typ == protowire.VarintType:
			if d := tensor.DType(int32(f.val)); d != tensor.Invalid {
				typ = TypeAttr(d)
			}
		case f.is(argTypeAttr) && len(f.raw) > 0:
			typ = bytesAttr(KindPlaceholder, f.raw)
		case (f.is(argNumberAttr) || f.is(argListAttr)) && len(f.raw) > 0:
			return name, typ, nil, fmt.Errorf("argument %q is a list, which functions that TensorFlow writes do not have; inline the function", name)
		default:
			rest = append(rest, f.whole...)
		}
		if err != nil {
			return "", Attr{}, nil, err
		}
	}
	if typ.wire == nil {
		return name, typ, nil, fmt.Errorf("argument %q has no type", name)
	}
	return name, typ, rest, nil
}

func readStringEntry(m map[string]string, b []byte) error {
	var key, value string
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case f.is(mapKey):
			key, err = f.text()
		case f.is(mapValue):
			value, err = f.text()
		}
		if err != nil {
			return err
		}
	}
	m[key] = value
	return nil
}

// argAttrs puts the attributes of arguments on their _Arg nodes, where TensorFlow has them too.
func (r *functionReader) argAttrs(argAttrs, uniqueIDs [][]byte) error {
	entry := func(b []byte) (n *Node, f wireField, err error) {
		var key uint64
		for len(b) > 0 {
			fd, rest, err := nextField(b)
			if err != nil {
				return nil, f, fmt.Errorf("argument attributes: %w", err)
			}
			b = rest
			if fd.num == mapKey && fd.typ == protowire.VarintType {
				key = fd.val
			} else if fd.num == mapValue {
				f = fd
			}
		}
		if key >= uint64(len(r.f.Args)) {
			return nil, f, fmt.Errorf("attributes for argument %d, have %d arguments", key, len(r.f.Args))
		}
		return r.f.Args[key], f, nil
	}
	for _, b := range argAttrs {
		n, f, err := entry(b)
		if err != nil {
			return err
		}
		for v := f.raw; len(v) > 0; {
			fd, rest, err := nextField(v)
			if err != nil {
				return fmt.Errorf("argument attributes: %w", err)
			}
			v = rest
			if !fd.is(1) {
				continue
			}
			a, err := readNamedAttr(fd.raw)
			if err != nil {
				return err
			}
			if a.Name == "T" || a.Name == "index" {
				return n.Errorf("argument attribute %q is reserved", a.Name)
			}
			n.SetAttr(a.Name, a.Attr)
		}
	}
	for _, b := range uniqueIDs {
		n, f, err := entry(b)
		if err != nil {
			return err
		}
		n.SetAttr(uniqueIDAttr, IntAttr(int64(f.val)))
	}
	return nil
}

// controlReturns finds the nodes that run although no result depends on them, in the order of the signature.
func (r *functionReader) controlReturns(order []string, ret map[string]string) error {
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	names := slices.SortedFunc(maps.Keys(ret), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		n := r.graph.byName[ret[name]]
		if n == nil {
			return fmt.Errorf("control output %q names no node: %q", name, ret[name])
		}
		if slices.Contains(r.f.ControlRet, n) {
			continue
		}
		r.f.ControlRet = append(r.f.ControlRet, n)
		if name != n.name {
			if r.f.wire.controlNames == nil {
				r.f.wire.controlNames = map[string]string{}
			}
			r.f.wire.controlNames[n.name] = name
		}
	}
	return nil
}

// addResults appends the _Retval nodes; they are connected last. A result called as a node or argument is gets a free
// name, and its own stays in the node's extra fields.
func (r *functionReader) addResults() {
	for i, d := range r.results {
		n := &Node{name: r.graph.UniqueName(d.name), op: "_Retval", graph: r.graph, extra: d.rest}
		if n.name != d.name {
			n.extra = append(appendStringField(nil, argName, d.name), d.rest...)
		}
		n.attrs = []NamedAttr{{"T", d.typ}, {"index", IntAttr(int64(i))}}
		r.graph.nodes = append(r.graph.nodes, n)
		r.graph.byName[n.name] = n
		r.f.Rets = append(r.f.Rets, n)
	}
}

// resultName returns the name that a _Retval node has in the function's signature.
func resultName(n *Node) string {
	for b := n.extra; len(b) > 0; {
		f, rest, err := nextField(b)
		if err != nil {
			break
		}
		if f.is(argName) {
			return string(f.raw)
		}
		b = rest
	}
	return n.name
}

func (r *functionReader) connectResults() {
	for i, d := range r.results {
		n := r.f.Rets[i]
		spelling, ok := r.ret[d.name]
		if !ok {
			r.fault(fmt.Errorf("result %q is not in ret", d.name))
			continue
		}
		outs, err := r.resolve(r.graph, spelling)
		if err != nil {
			r.fault(fmt.Errorf("result %q: %q %w", d.name, spelling, err))
			continue
		}
		if len(outs) != 1 {
			r.fault(fmt.Errorf("result %q: %q stands for %d tensors", d.name, spelling, len(outs)))
			continue
		}
		n.AddInput(outs[0])
	}
}

// resolve reads an input as function bodies spell it: an argument's name, node:output:index, or node:output for all
// tensors of a list.
func (r *functionReader) resolve(g *Graph, s string) ([]Output, error) {
	parts := strings.Split(s, ":")
	n := g.byName[parts[0]]
	switch {
	case n == nil || n.op == "_Retval":
		return nil, fmt.Errorf("names no node or argument")
	case n.op == "_Arg":
		if len(parts) > 2 || len(parts) == 2 && parts[1] != "0" {
			return nil, fmt.Errorf("is an argument, which has one output")
		}
		return []Output{{n, 0}}, nil
	case len(parts) == 1:
		return nil, fmt.Errorf("names a node; inputs in functions are node:output:index")
	case len(parts) > 3:
		return nil, fmt.Errorf("is not node:output:index")
	case len(parts) == 2:
		return r.wholeOutput(n, parts[1])
	}
	idx, err := strconv.Atoi(parts[2])
	if err != nil || idx < 0 || idx > maxPort {
		return nil, fmt.Errorf("has no index in %q", parts[2])
	}
	port, err := r.outputNumber(n, parts[1], idx)
	if err != nil {
		return nil, err
	}
	return []Output{{n, port}}, nil
}

// outputNumber numbers output idx of argument out among the flattened outputs of n.
func (r *functionReader) outputNumber(n *Node, out string, idx int) (int, error) {
	if _, ok := Lookup(n.op); ok {
		port, err := n.OutIndex(out, idx)
		if err != nil {
			return 0, fmt.Errorf("names no output: %w", err)
		}
		return port, nil
	}
	if f := r.library[n.op]; f != nil {
		for i, ret := range f.Rets {
			if resultName(ret) == out && idx == 0 {
				return i, nil
			}
		}
		return 0, fmt.Errorf("names no result of function %q", n.op)
	}
	// An op that we do not know: its outputs are numbered as they first appear, and written as they were spelt.
	spelling := out + ":" + strconv.Itoa(idx)
	if i := slices.Index(r.spelt[n], spelling); i >= 0 {
		return i, nil
	}
	r.spelt[n] = append(r.spelt[n], spelling)
	return len(r.spelt[n]) - 1, nil
}

func (r *functionReader) wholeOutput(n *Node, out string) ([]Output, error) {
	first, err := r.outputNumber(n, out, 0)
	if err != nil {
		return nil, err
	}
	outs := []Output{{n, first}}
	if _, ok := Lookup(n.op); !ok {
		return outs, nil
	}
	for port := first + 1; port <= maxPort; port++ {
		if name, _, err := n.OutArg(port); err != nil || name != out {
			break
		}
		outs = append(outs, Output{n, port})
	}
	return outs, nil
}
