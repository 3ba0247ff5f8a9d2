package graphdef

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Parse returns the graph of a text in text form. Attributes that the text leaves out are completed where the inputs
// imply them; those with a default stay unsaid. Names that are used before their line are fine. Errors give the line.
//
// The text form has one node a line:
//
//	# a comment
//	graph producer=27
//	x = Placeholder[dtype=float, shape=?x4]()
//	w = Const[value=float 4x2 fill 0.5]()
//	y = MatMul(x, w, ^x) device="/device:CPU:0"
//	z = Identity(top:1)  # the second output of top
//
//	func body {
//	  a = _Arg[T=int32]()
//	  r = _Retval(a)
//	}
//
// The values of attributes are spelt so that they tell their kind: 3 (int), 3.0 (float), "s", true, float (a dtype),
// shapes as 2x?x4, 4x (rank 1), scalar and ? (unknown rank), @body or @body[T=float] (functions), $T (placeholders),
// [1, 2] (lists), tensors as a dtype, a shape and elements: int32 3, float [1, 2], float 2x2 [1, 2, 3, 4], float 4x2 fill
// 0.5, or base64:… with the bytes of the elements. What none of them says exactly is base64:… of the AttrValue, and none
// is an empty one. Attributes that have the default of the op's signature are left out, and so are dtypes and counts that
// the inputs imply, a Const's dtype, and the index of arguments and results of functions in their order.
func Parse(text string) (*Graph, error) {
	p := &textParser{textScanner: textScanner{src: strings.TrimPrefix(text, "\ufeff"), line: 1}, g: NewGraph()}
	p.top = &reader{graph: p.g}
	p.into = p.top
	for p.statement() {
		if err := p.parse(); err != nil {
			return nil, fmt.Errorf("graphdef: line %d: %w", p.line, err)
		}
	}
	if p.f != nil {
		return nil, fmt.Errorf("graphdef: line %d: the text ends within function %q", p.line, p.f.Name)
	}
	if len(p.g.nodes) == 0 {
		return nil, fmt.Errorf("graphdef: the text has no node")
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	return p.g, nil
}

type textParser struct {
	textScanner
	g         *Graph
	top, into *reader // of the graph, and of the body that is being read
	f         *Function
	bodies    []*reader
	controls  [][]controlName // of each function
}

type controlName struct{ name, node string }

// parse reads one statement.
func (p *textParser) parse() error {
	if p.f != nil && p.accept('}') {
		p.f, p.into = nil, p.top
		return p.endOfLine()
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	switch {
	case p.accept('='):
		return p.node(name)
	case name == "graph" && p.f == nil:
		return p.graphLine()
	case name == "func" && p.f == nil:
		return p.function()
	}
	return fmt.Errorf("want %s = Op(inputs), have %s after the name", name, p.here())
}

// node reads Op[attributes](inputs) and what follows.
func (p *textParser) node(name string) error {
	n := &Node{name: name, graph: p.into.graph}
	var err error
	if n.op, err = p.name(); err != nil {
		return err
	}
	valid := validName
	if p.f != nil {
		valid = validBodyName
	}
	switch {
	case !valid(name):
		return n.Errorf("the name is not legal; names are letters, digits and _.-/> and begin with a letter, digit or dot")
	case p.into.graph.byName[name] != nil:
		return n.Errorf("the name is there twice")
	}
	sig, _ := Lookup(n.op)
	if n.attrs, err = p.attrs(sig, 0); err != nil {
		return n.Errorf("%w", err)
	}
	n.attrs = lastOfEach(n.attrs)
	inputs, err := p.inputs()
	if err != nil {
		return n.Errorf("%w", err)
	}
	err = p.keys(func(key string) (err error) {
		switch key {
		case "device":
			n.Device, err = p.quoted()
		case "ports":
			n.ports, err = p.quotedList()
		case "extra":
			n.extra, err = p.wire()
		default:
			return fmt.Errorf("%q is no property of a node; attributes stand in brackets after the op", key)
		}
		return err
	})
	if err != nil {
		return n.Errorf("%w", err)
	}
	p.into.add(n, inputs)
	return nil
}

// inputs reads (a, b:1, ^c), spelt as in a GraphDef.
func (p *textParser) inputs() ([]string, error) {
	if !p.accept('(') {
		return nil, fmt.Errorf("want ( before the inputs, have %s", p.here())
	}
	p.nested++
	defer func() { p.nested-- }()
	var inputs []string
	for !p.accept(')') {
		if len(inputs) > 0 && !p.accept(',') {
			return nil, fmt.Errorf("want a comma or ) after input %q, have %s", inputs[len(inputs)-1], p.here())
		}
		prefix := ""
		if p.accept('^') {
			prefix = "^"
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if prefix == "" && p.next(':') {
			port := p.digits()
			if port == "" {
				return nil, fmt.Errorf("input %q has no output number after the colon", name)
			}
			name += ":" + port
		}
		inputs = append(inputs, prefix+name)
	}
	return inputs, nil
}

// attrs reads [name=value, …] if it is there; the signature tells the kinds of values that could be several.
func (p *textParser) attrs(sig *Signature, depth int) ([]NamedAttr, error) {
	if !p.accept('[') {
		return nil, nil
	}
	p.nested++
	defer func() { p.nested-- }()
	var attrs []NamedAttr
	for !p.accept(']') {
		if len(attrs) > 0 && !p.accept(',') {
			return nil, fmt.Errorf("want a comma or ] after attribute %q, have %s", attrs[len(attrs)-1].Name, p.here())
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if !p.accept('=') {
			return nil, fmt.Errorf("attribute %q has no value", name)
		}
		var d *AttrDef
		if sig != nil {
			d = sig.Attr(name)
		}
		a, err := p.attr(d, depth)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		attrs = append(attrs, NamedAttr{name, a})
	}
	return attrs, nil
}

// keys reads key=value pairs up to the end of the line or an opening brace.
func (p *textParser) keys(f func(key string) error) error {
	for {
		c, ok := p.peek()
		if !ok || c == '\n' || c == '{' {
			return nil
		}
		key, err := p.name()
		if err != nil {
			return err
		}
		if !p.accept('=') {
			return fmt.Errorf("want = after %q, have %s", key, p.here())
		}
		if err := f(key); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
}

func (p *textParser) graphLine() error {
	return p.keys(func(key string) (err error) {
		switch key {
		case "producer":
			p.g.Versions.Producer, err = p.int32()
		case "min_consumer":
			p.g.Versions.MinConsumer, err = p.int32()
		case "bad_consumers":
			p.g.Versions.BadConsumers = nil
			err = p.list(func() error {
				v, err := p.int32()
				p.g.Versions.BadConsumers = append(p.g.Versions.BadConsumers, v)
				return err
			})
		case "extra":
			p.g.extra, err = p.wire()
		case "library":
			p.g.libraryExtra, err = p.wire()
		default:
			return fmt.Errorf("no property of a graph")
		}
		return err
	})
}

// function reads the head of a function up to its brace.
func (p *textParser) function() error {
	name, err := p.name()
	if err != nil {
		return err
	}
	f := &Function{Name: name, Body: &Graph{byName: map[string]*Node{}}, wire: &functionWire{}}
	if f.Attrs, err = p.attrs(nil, 0); err != nil {
		return err
	}
	var controls []controlName
	err = p.keys(func(key string) (err error) {
		switch key {
		case "control":
			return p.list(func() error {
				name, err := p.name()
				c := controlName{name, name}
				if err == nil && p.accept('=') {
					c.node, err = p.name()
				}
				controls = append(controls, c)
				return err
			})
		case "signature":
			f.wire.signature, err = p.wire()
		case "extra":
			f.wire.extra, err = p.wire()
		default:
			return fmt.Errorf("no property of a function")
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !p.accept('{'):
		return fmt.Errorf("want { after the head of function %q, have %s", name, p.here())
	}
	if err := p.g.AddFunction(f); err != nil {
		return err
	}
	p.f, p.into = f, &reader{graph: f.Body}
	p.bodies, p.controls = append(p.bodies, p.into), append(p.controls, controls)
	return p.endOfLine()
}

func (p *textParser) endOfLine() error {
	if c, ok := p.peek(); ok && c != '\n' {
		return fmt.Errorf("want the end of the line, have %s", p.here())
	}
	return nil
}

// finish connects all nodes and completes attributes.
func (p *textParser) finish() error {
	p.top.connect(graphInput)
	if err := p.top.err(); err != nil {
		return err
	}
	for i, f := range p.g.functions {
		f.Body.Versions = p.g.Versions
		f.Body.Versions.BadConsumers = slices.Clone(p.g.Versions.BadConsumers)
		r := p.bodies[i]
		r.connect(graphInput)
		if err := r.err(); err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		if err := f.adopt(p.controls[i]); err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
	}
	// Calls take their dtypes from the bodies, so those come first.
	for _, f := range p.g.functions {
		implyAttrs(f.Body)
	}
	implyAttrs(p.g)
	return nil
}

// adopt finds the arguments, results and control outputs of f in its body.
func (f *Function) adopt(controls []controlName) error {
	numberArgs(f.Body)
	for _, n := range f.Body.nodes {
		switch n.op {
		case "_Arg":
			f.Args = append(f.Args, n)
		case "_Retval":
			f.Rets = append(f.Rets, n)
		}
	}
	for _, list := range [][]*Node{f.Args, f.Rets} {
		index := func(n *Node) int64 {
			a, _ := n.Attr("index")
			v, _ := a.AsInt()
			return v
		}
		slices.SortStableFunc(list, func(a, b *Node) int { return cmp.Compare(index(a), index(b)) })
		for i, n := range list {
			if index(n) != int64(i) {
				return n.Errorf("index is %d, want %d: they count from 0", index(n), i)
			}
		}
	}
	for _, c := range controls {
		n := f.Body.byName[c.node]
		if n == nil {
			return fmt.Errorf("control output %q names no node", c.node)
		}
		if slices.Contains(f.ControlRet, n) {
			return fmt.Errorf("control output %q is there twice", c.node)
		}
		f.ControlRet = append(f.ControlRet, n)
		if c.name != c.node {
			if f.wire.controlNames == nil {
				f.wire.controlNames = map[string]string{}
			}
			f.wire.controlNames[c.node] = c.name
		}
	}
	return nil
}
