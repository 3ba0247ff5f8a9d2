package graphdef

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of GraphDef, FunctionDefLibrary, NodeDef, VersionDef and map entries.
const (
	graphNode     protowire.Number = 1
	graphLibrary  protowire.Number = 2
	graphVersions protowire.Number = 4

	libraryFunction protowire.Number = 1

	nodeName   protowire.Number = 1
	nodeOp     protowire.Number = 2
	nodeInput  protowire.Number = 3
	nodeDevice protowire.Number = 4
	nodeAttr   protowire.Number = 5

	versionProducer    protowire.Number = 1
	versionMinConsumer protowire.Number = 2
	versionBad         protowire.Number = 3

	mapKey   protowire.Number = 1
	mapValue protowire.Number = 2
)

// maxPort bounds the output number of an input: no operation has so many.
const maxPort = 1 << 20

// maxReported is the number of faults of a file that one error spells out.
const maxReported = 8

// Read returns the graph of a serialized GraphDef, by the rules of TensorFlow's importer. Attributes share b, which
// the caller does not change as long as the graph lives. Fields that this package does not know are kept and written
// again. Errors about a node are a [NodeError]; all inputs that name nothing are reported together.
func Read(b []byte) (*Graph, error) {
	g := &Graph{byName: map[string]*Node{}}
	r := reader{graph: g}
	var functions [][]byte
	size := len(b)
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return nil, fmt.Errorf("graphdef: damaged or truncated file, at byte %d of %d, after %d nodes: %w", size-len(b), size, len(g.nodes), err)
		}
		switch {
		case f.is(graphNode):
			err = r.node(f.raw, validName)
		case f.is(graphLibrary):
			functions, err = readLibrary(g, f.raw, functions)
		case f.is(graphVersions):
			err = readVersions(&g.Versions, f.raw)
		default:
			g.extra = append(g.extra, f.whole...)
		}
		if err != nil {
			return nil, fmt.Errorf("graphdef: %w", err)
		}
		b = rest
	}
	if len(g.nodes) == 0 {
		return nil, fmt.Errorf("graphdef: no node found in %d bytes; is it a GraphDef?", size)
	}
	r.connect(graphInput)
	if err := r.err(); err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	if err := readFunctions(g, functions); err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	return g, nil
}

func readLibrary(g *Graph, b []byte, functions [][]byte) ([][]byte, error) {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return nil, fmt.Errorf("function library: %w", err)
		}
		if f.is(libraryFunction) {
			functions = append(functions, f.raw)
		} else {
			g.libraryExtra = append(g.libraryExtra, f.whole...)
		}
		b = rest
	}
	return functions, nil
}

func readVersions(v *Versions, b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("versions: %w", err)
		}
		switch {
		case f.num == versionProducer && f.typ == protowire.VarintType:
			v.Producer = int32(f.val)
		case f.num == versionMinConsumer && f.typ == protowire.VarintType:
			v.MinConsumer = int32(f.val)
		case f.num == versionBad && f.typ == protowire.VarintType:
			v.BadConsumers = append(v.BadConsumers, int32(f.val))
		case f.is(versionBad):
			if !eachPacked(f.raw, protowire.VarintType, func(u uint64) { v.BadConsumers = append(v.BadConsumers, int32(u)) }) {
				return fmt.Errorf("versions: bad_consumers is malformed")
			}
		}
		b = rest
	}
	return nil
}

// A reader builds one graph: first all nodes, then their edges, since files list nodes in any order.
type reader struct {
	graph  *Graph
	inputs [][]string // of each node, as the file spells them
	faults []error    // the first maxReported
	count  int        // all
}

func (r *reader) fault(err error) {
	r.count++
	if len(r.faults) < maxReported {
		r.faults = append(r.faults, err)
	}
}

// err returns what is wrong with the edges: one error, or an account of several that wraps them all.
func (r *reader) err() error {
	switch {
	case r.count == 0:
		return nil
	case r.count == 1:
		return r.faults[0]
	}
	format := strings.Repeat("\n\t%w", len(r.faults))
	args := make([]any, 0, len(r.faults)+1)
	args = append(args, r.count)
	for _, f := range r.faults {
		args = append(args, f)
	}
	if more := r.count - len(r.faults); more > 0 {
		format += fmt.Sprintf("\n\tand %d more", more)
	}
	return fmt.Errorf("%d faults:"+format, args...)
}

// node reads a NodeDef.
func (r *reader) node(b []byte, valid func(string) bool) error {
	n := &Node{graph: r.graph}
	var inputs []string
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("node %q, number %d: %w", n.name, len(r.graph.nodes), err)
		}
		b = rest
		var s string
		if f.typ == protowire.BytesType && f.num <= nodeDevice {
			if s, err = f.text(); err != nil {
				return fmt.Errorf("node %q, number %d: %w", n.name, len(r.graph.nodes), err)
			}
		}
		switch {
		case f.is(nodeName):
			n.name = s
		case f.is(nodeOp):
			n.op = s
		case f.is(nodeInput):
			inputs = append(inputs, s)
		case f.is(nodeDevice):
			n.Device = s
		case f.is(nodeAttr):
			a, err := readNamedAttr(f.raw)
			if err != nil {
				return fmt.Errorf("node %q, number %d: %w", n.name, len(r.graph.nodes), err)
			}
			n.attrs = append(n.attrs, a)
		default:
			n.extra = append(n.extra, f.whole...)
		}
	}
	switch {
	case !valid(n.name):
		return n.Errorf("the name is not legal; names are letters, digits and _.-/> and begin with a letter, digit or dot")
	case n.op == "":
		return n.Errorf("the node has no op")
	case r.graph.byName[n.name] != nil:
		return n.Errorf("the name is there twice")
	}
	n.attrs = lastOfEach(n.attrs)
	r.add(n, inputs)
	return nil
}

// lastOfEach keeps of attributes with one name the last, as every protobuf map does, in the place of the first.
func lastOfEach(attrs []NamedAttr) []NamedAttr {
	at := make(map[string]int, len(attrs))
	kept := attrs[:0]
	for _, a := range attrs {
		if i, ok := at[a.Name]; ok {
			kept[i] = a
			continue
		}
		at[a.Name] = len(kept)
		kept = append(kept, a)
	}
	return kept
}

func (r *reader) add(n *Node, inputs []string) {
	r.graph.nodes = append(r.graph.nodes, n)
	r.graph.byName[n.name] = n
	r.inputs = append(r.inputs, inputs)
}

// readNamedAttr reads an entry of an attr map. The value is checked to be a message but otherwise left alone.
func readNamedAttr(b []byte) (NamedAttr, error) {
	var a NamedAttr
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return a, fmt.Errorf("attribute %q: %w", a.Name, err)
		}
		switch {
		case f.is(mapKey):
			if a.Name, err = f.text(); err != nil {
				return a, fmt.Errorf("attribute name: %w", err)
			}
		case f.is(mapValue):
			a.Attr = Attr{wire: f.raw}
		}
		b = rest
	}
	return a, a.Attr.check(a.Name)
}

// check reports damage in the message and in those right below it: what the official parser would refuse of a file
// that was truncated or overwritten.
func (a Attr) check(name string) error {
	for b := a.wire; len(b) > 0; {
		f, rest, err := nextField(b)
		if err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
		b = rest
		switch Kind(f.num) {
		case KindList, KindShape, KindTensor, KindFunc:
			if f.typ == protowire.BytesType && !wellFormed(f.raw) {
				return fmt.Errorf("attribute %q: field %d holds a malformed message", name, f.num)
			}
		}
	}
	return nil
}

// validName reports whether TensorFlow accepts a node of that name in a graph.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.':
		case i > 0 && (c == '_' || c == '-' || c == '/' || c == '>'):
		default:
			return false
		}
	}
	return s != ""
}

// validBodyName is validName in function bodies, where TensorFlow checks nothing: only what an input could not spell is
// refused.
func validBodyName(s string) bool { return s != "" && s[0] != '^' && !strings.Contains(s, ":") }

// connect resolves the inputs of all nodes; resolve gives the outputs that the spelling of a data input stands for.
func (r *reader) connect(resolve func(g *Graph, spelling string) ([]Output, error)) {
	for i, inputs := range r.inputs {
		if err := r.connectNode(r.graph.nodes[i], inputs, resolve); err != nil {
			r.fault(err)
		}
	}
}

func (r *reader) connectNode(n *Node, inputs []string, resolve func(*Graph, string) ([]Output, error)) error {
	seen := map[*Node]bool{}
	for _, s := range inputs {
		if name, control := strings.CutPrefix(s, "^"); control {
			c := r.graph.byName[name]
			if c == nil {
				return n.Errorf("control input %q names no node", s)
			}
			if !seen[c] {
				seen[c] = true
				n.controls = append(n.controls, c)
				c.users = append(c.users, Use{n, ControlInput})
			}
			continue
		}
		if len(n.controls) > 0 {
			return n.Errorf("data input %q comes after a control input", s)
		}
		outs, err := resolve(r.graph, s)
		if err != nil {
			return n.Errorf("input %q %w", s, err)
		}
		for _, o := range outs {
			n.AddInput(o)
		}
	}
	return nil
}

// graphInput resolves name or name:port.
func graphInput(g *Graph, s string) ([]Output, error) {
	name, port, err := splitPort(s)
	if err != nil {
		return nil, err
	}
	n := g.byName[name]
	if n == nil {
		return nil, fmt.Errorf("names no node")
	}
	return []Output{{n, port}}, nil
}

// splitPort reads name or name:port; leading zeros of the port are legal.
func splitPort(s string) (name string, port int, err error) {
	name, digits, colon := strings.Cut(s, ":")
	if name == "" {
		return "", 0, fmt.Errorf("has no node name")
	}
	if !colon {
		return name, 0, nil
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", 0, fmt.Errorf("has no output number after the colon")
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port > maxPort {
		return "", 0, fmt.Errorf("has an output number that no operation has")
	}
	return name, port, nil
}
