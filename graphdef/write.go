package graphdef

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxMessage is the most bytes that a protobuf message can have: no TensorFlow reads a larger one.
const maxMessage = math.MaxInt32

// ErrTooLarge is the cause of errors about graphs that a single GraphDef cannot hold.
var ErrTooLarge = errors.New("a GraphDef file must stay below 2 GiB; save a SavedModel, which keeps weights in a checkpoint")

// Marshal returns g as a serialized GraphDef. Nodes, attributes and what the file had besides keep their order; the same
// graph always gives the same bytes.
func Marshal(g *Graph) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := g.WriteTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// WriteTo writes g as a serialized GraphDef, a node at a time.
func (g *Graph) WriteTo(w io.Writer) (int64, error) {
	// Most of the bytes are constants: their sum tells a graph that is too large before anything is written.
	if size := g.attrBytes(); size > maxMessage {
		return 0, fmt.Errorf("graphdef: the graph takes more than %d bytes: %w", size, ErrTooLarge)
	}
	return g.write(&messageWriter{w: w, most: maxMessage})
}

// Stream writes what WriteTo writes without its bound, for a hash: no parser of protobuf reads more than 2 GiB.
func Stream(w io.Writer, g *Graph) error {
	_, err := g.write(&messageWriter{w: w, most: math.MaxInt64})
	return err
}

func (g *Graph) write(out *messageWriter) (int64, error) {
	var b []byte
	for _, n := range g.nodes {
		var large []largeBytes
		var err error
		if b, large, err = n.appendApart(b[:0], graphSpelling); err != nil {
			return out.n, fmt.Errorf("graphdef: %w", err)
		}
		out.fieldApart(graphNode, b, large)
	}
	if len(g.functions) > 0 || len(g.libraryExtra) > 0 {
		b = b[:0]
		for _, f := range g.functions {
			fd, err := g.appendFunction(nil, f)
			if err != nil {
				return out.n, fmt.Errorf("graphdef: function %q: %w", f.Name, err)
			}
			b = appendBytesField(b, libraryFunction, fd)
		}
		out.field(graphLibrary, append(b, g.libraryExtra...))
	}
	out.write(appendBetween(nil, g.extra, 0, graphVersions))
	if v := g.Versions.append(nil); len(v) > 0 {
		out.field(graphVersions, v)
	}
	out.write(appendBetween(nil, g.extra, graphVersions, lastField))
	if out.err != nil {
		return out.n, fmt.Errorf("graphdef: %w", out.err)
	}
	return out.n, nil
}

// attrBytes returns the bytes of all attributes, of function bodies too.
func (g *Graph) attrBytes() int64 {
	size := int64(0)
	for _, n := range g.nodes {
		for _, a := range n.attrs {
			size += a.Attr.size()
		}
	}
	for _, f := range g.functions {
		size += f.Body.attrBytes()
	}
	return size
}

// A messageWriter writes the fields of one message and keeps the first error.
type messageWriter struct {
	w    io.Writer
	n    int64
	most int64 // bound of n
	err  error
}

func (m *messageWriter) field(num protowire.Number, v []byte) { m.fieldApart(num, v, nil) }

// largeBytes are contents that are written from where they lie: they follow the first at bytes of the field's others.
type largeBytes struct {
	at  int
	raw []byte
}

// leastApart is the number of bytes from which a constant is not copied for writing.
const leastApart = 1 << 14

// fieldApart writes a field of v and of what lies apart.
func (m *messageWriter) fieldApart(num protowire.Number, v []byte, large []largeBytes) {
	size := len(v)
	for _, l := range large {
		size += len(l.raw)
	}
	m.write(protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.BytesType), uint64(size)))
	done := 0
	for _, l := range large {
		m.write(v[done:l.at])
		m.write(l.raw)
		done = l.at
	}
	m.write(v[done:])
}

func (m *messageWriter) write(b []byte) {
	if m.err != nil {
		return
	}
	if m.n+int64(len(b)) > m.most {
		m.err = fmt.Errorf("the graph takes more than %d bytes: %w", m.n+int64(len(b)), ErrTooLarge)
		return
	}
	n, err := m.w.Write(b)
	m.n += int64(n)
	m.err = err
}

func (v Versions) append(b []byte) []byte {
	if v.Producer != 0 {
		b = appendVarintField(b, versionProducer, uint64(int64(v.Producer)))
	}
	if v.MinConsumer != 0 {
		b = appendVarintField(b, versionMinConsumer, uint64(int64(v.MinConsumer)))
	}
	if len(v.BadConsumers) > 0 {
		var packed []byte
		for _, c := range v.BadConsumers {
			packed = protowire.AppendVarint(packed, uint64(int64(c)))
		}
		b = appendBytesField(b, versionBad, packed)
	}
	return b
}

// graphSpelling spells an output as inputs outside of functions do: name, or name:port.
func graphSpelling(o Output) string {
	if o.Index == 0 {
		return o.Node.name
	}
	return o.String()
}

// appendNode appends the fields of a NodeDef; spell gives the form of data inputs.
func (n *Node) appendNode(b []byte, spell func(Output) string) []byte {
	b = n.appendHead(b, spell)
	for _, a := range n.attrs {
		b = appendAttr(b, nodeAttr, a)
	}
	return append(b, n.extra...)
}

// appendApart does the same but leaves the contents of large constants where they are: a graph is written, or hashed, with no
// second copy of its weights.
func (n *Node) appendApart(b []byte, spell func(Output) string) ([]byte, []largeBytes, error) {
	var large []largeBytes
	b = n.appendHead(b, spell)
	for _, a := range n.attrs {
		if a.Attr.size() < leastApart {
			if err := a.Attr.checkStored(); err != nil {
				return nil, nil, n.Errorf("attribute %q: %w", a.Name, err)
			}
			b = appendAttr(b, nodeAttr, a)
			continue
		}
		head, contents, err := a.Attr.parts()
		if err != nil {
			return nil, nil, n.Errorf("attribute %q: %w", a.Name, err)
		}
		b = appendAttrHead(b, nodeAttr, a.Name, len(head)+len(contents))
		b = append(b, head...)
		large = append(large, largeBytes{len(b), contents})
	}
	return append(b, n.extra...), large, nil
}

// appendHead appends the fields of a NodeDef before its attributes.
func (n *Node) appendHead(b []byte, spell func(Output) string) []byte {
	b = appendStringField(b, nodeName, n.name)
	b = appendStringField(b, nodeOp, n.op)
	for _, in := range n.inputs {
		b = appendStringField(b, nodeInput, spell(in))
	}
	for _, c := range n.controls {
		b = appendStringField(b, nodeInput, "^"+c.name)
	}
	if n.Device != "" {
		b = appendStringField(b, nodeDevice, n.Device)
	}
	return b
}

// appendAttr appends an entry of an attr map.
func appendAttr(b []byte, num protowire.Number, a NamedAttr) []byte {
	wire := a.Attr.Wire()
	return append(appendAttrHead(b, num, a.Name, len(wire)), wire...)
}

// appendAttrHead appends an entry of an attr map up to the value, which has that many bytes.
func appendAttrHead(b []byte, num protowire.Number, name string, value int) []byte {
	size := protowire.SizeTag(mapKey) + protowire.SizeBytes(len(name)) + protowire.SizeTag(mapValue) + protowire.SizeBytes(value)
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(size))
	b = appendStringField(b, mapKey, name)
	return protowire.AppendVarint(protowire.AppendTag(b, mapValue, protowire.BytesType), uint64(value))
}

// appendFunction appends the fields of a FunctionDef.
func (g *Graph) appendFunction(b []byte, f *Function) ([]byte, error) {
	own := map[*Node]bool{} // nodes that the signature stands for
	for _, n := range f.Args {
		own[n] = true
	}
	for _, n := range f.Rets {
		own[n] = true
	}
	sig, controlRet := f.appendSignature(nil)
	b = appendBytesField(b, functionSignature, sig)

	var fault error
	spell := func(o Output) string {
		s, err := g.bodySpelling(o)
		if err != nil && fault == nil {
			fault = err
		}
		return s
	}
	for _, n := range f.Body.nodes {
		switch {
		case !own[n]:
			if err := n.checkStored(); err != nil {
				return nil, err
			}
			b = appendBytesField(b, functionNode, n.appendNode(nil, spell))
		case n.op == "_Retval" && (len(n.inputs) != 1 || len(n.controls) > 0):
			return nil, n.Errorf("a result has one data input and no control inputs, have %d and %d", len(n.inputs), len(n.controls))
		}
	}
	for _, n := range f.Rets {
		if len(n.inputs) != 1 {
			return nil, n.Errorf("is the result of function %q, but an op with %d inputs, want a _Retval with one", f.Name, len(n.inputs))
		}
		b = appendStringEntry(b, functionRet, resultName(n), spell(n.inputs[0]))
	}
	if fault != nil {
		return nil, fault
	}
	for _, a := range f.Attrs {
		b = appendAttr(b, functionAttr, a)
	}
	b = append(b, controlRet...)
	b = f.appendArgAttrs(b)
	return append(b, f.wireOrEmpty().extra...), nil
}

func (f *Function) wireOrEmpty() *functionWire {
	if f.wire == nil {
		return &functionWire{}
	}
	return f.wire
}

// appendSignature appends the fields of the OpDef; controlRet is the entries of FunctionDef.control_ret to go with it.
func (f *Function) appendSignature(b []byte) (sig, controlRet []byte) {
	w := f.wireOrEmpty()
	b = appendStringField(b, opName, f.Name)
	for _, n := range f.Args {
		b = appendBytesField(b, opInput, n.appendArgDef(nil))
	}
	for _, n := range f.Rets {
		b = appendBytesField(b, opOutput, n.appendArgDef(nil))
	}
	b = appendBetween(b, w.signature, 0, opControlOutput)
	taken := map[string]bool{}
	for _, n := range f.ControlRet {
		name := n.name
		if kept, ok := w.controlNames[n.name]; ok {
			name = kept
		}
		for base, i := name, 1; taken[name]; i++ {
			name = base + "_" + strconv.Itoa(i)
		}
		taken[name] = true
		b = appendStringField(b, opControlOutput, name)
		controlRet = appendStringEntry(controlRet, functionControlRet, name, n.name)
	}
	return appendBetween(b, w.signature, opControlOutput, lastField), controlRet
}

// appendArgDef appends the fields of the ArgDef that an _Arg or _Retval node stands for.
func (n *Node) appendArgDef(b []byte) []byte {
	b = appendStringField(b, argName, resultName(n))
	b = appendBetween(b, n.extra, argName+1, argType)
	t, _ := n.Attr("T")
	switch kind, v, raw := t.field(); kind {
	case KindType:
		b = appendVarintField(b, argType, v)
	case KindPlaceholder:
		b = appendBytesField(b, argTypeAttr, raw)
	}
	return appendBetween(b, n.extra, argType, lastField)
}

// appendArgAttrs appends what the _Arg nodes say besides dtype and index.
func (f *Function) appendArgAttrs(b []byte) []byte {
	var ids []byte
	for i, n := range f.Args {
		var attrs []byte
		for _, a := range n.attrs {
			switch a.Name {
			case "T", "index":
			case uniqueIDAttr:
				id, _ := a.Attr.AsInt()
				ids = appendBytesField(ids, functionUniqueID, appendVarintField(appendVarintField(nil, mapKey, uint64(i)), mapValue, uint64(id)))
			default:
				attrs = appendAttr(attrs, 1, a)
			}
		}
		if len(attrs) > 0 {
			entry := appendBytesField(appendVarintField(nil, mapKey, uint64(i)), mapValue, attrs)
			b = appendBytesField(b, functionArgAttr, entry)
		}
	}
	return append(b, ids...)
}

func appendStringEntry(b []byte, num protowire.Number, key, value string) []byte {
	return appendBytesField(b, num, appendStringField(appendStringField(nil, mapKey, key), mapValue, value))
}

// bodySpelling spells an output as inputs in function bodies do: an argument's name, or node:output:index.
func (g *Graph) bodySpelling(o Output) (string, error) {
	n := o.Node
	if n.op == "_Arg" {
		return n.name, nil
	}
	if _, ok := Lookup(n.op); ok {
		out, idx, err := n.OutArg(o.Index)
		return n.name + ":" + out + ":" + strconv.Itoa(idx), err
	}
	if f := g.Function(n.op); f != nil {
		if o.Index >= len(f.Rets) {
			return "", n.Errorf("has no output %d, function %q has %d results", o.Index, n.op, len(f.Rets))
		}
		return n.name + ":" + resultName(f.Rets[o.Index]) + ":0", nil
	}
	if o.Index < len(n.ports) {
		return n.name + ":" + n.ports[o.Index], nil
	}
	return "", n.Errorf("the names of the op's outputs are not known, so that function bodies cannot name output %d", o.Index)
}
