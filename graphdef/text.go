package graphdef

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// TextOptions are choices of FormatText; the zero value gives text that Parse reads back as the same graph.
type TextOptions struct {
	// Elide writes ... for the elements of constants with more than 64 that are not all equal: text for people, which
	// Parse refuses.
	Elide bool
}

// listed is the number of elements of a tensor up to which the text form lists them.
const listed = 64

// Format returns g in text form. Parse gives the same graph again, up to attributes that have their default or that the
// inputs imply and the spelling of tensors in their protos.
func Format(g *Graph) string {
	var b strings.Builder
	_ = FormatText(&b, g, TextOptions{}) // a Builder does not fail
	return b.String()
}

// FormatText writes g in text form.
func FormatText(w io.Writer, g *Graph, o TextOptions) error {
	p := &textWriter{w: w, o: o}
	p.graphLine(g)
	p.nodes(g, nil, "")
	for _, f := range g.functions {
		p.function(f)
	}
	if p.err != nil {
		return fmt.Errorf("graphdef: %w", p.err)
	}
	return nil
}

// FormatNode returns n as one line of text form, for messages: large constants are elided, and of its attributes those
// with the default of the op's signature are left out.
func FormatNode(n *Node) string {
	p := &textWriter{o: TextOptions{Elide: true}}
	hidden := map[string]bool{}
	hideDefaults(n, hidden)
	return string(p.node(nil, n, hidden, nil))
}

type textWriter struct {
	w   io.Writer
	o   TextOptions
	err error
}

func (p *textWriter) line(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(append(b, '\n'))
	}
}

// graphLine writes what the file says besides nodes, if it is not what NewGraph says.
func (p *textWriter) graphLine(g *Graph) {
	b := []byte("graph")
	v, usual := g.Versions, NewGraph().Versions
	if v.Producer != usual.Producer {
		b = fmt.Appendf(b, " producer=%d", v.Producer)
	}
	if v.MinConsumer != usual.MinConsumer {
		b = fmt.Appendf(b, " min_consumer=%d", v.MinConsumer)
	}
	if len(v.BadConsumers) > 0 {
		b = append(b, " bad_consumers=["...)
		for i, c := range v.BadConsumers {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = strconv.AppendInt(b, int64(c), 10)
		}
		b = append(b, ']')
	}
	b = appendBase64(b, " extra=", g.extra)
	b = appendBase64(b, " library=", g.libraryExtra)
	if len(b) > len("graph") {
		p.line(b)
	}
}

func (p *textWriter) nodes(g *Graph, f *Function, indent string) {
	hidden, added := hide(g, f)
	var b []byte
	for _, n := range g.nodes {
		b = p.node(append(b[:0], indent...), n, hidden[n], added[n])
		p.line(b)
	}
}

func (p *textWriter) function(f *Function) {
	b := appendName([]byte("\nfunc "), f.Name)
	b = p.attrs(b, f.Attrs, nil)
	w := f.wireOrEmpty()
	if len(f.ControlRet) > 0 {
		b = append(b, " control=["...)
		for i, n := range f.ControlRet {
			if i > 0 {
				b = append(b, ", "...)
			}
			if name, ok := w.controlNames[n.name]; ok {
				b = append(appendName(b, name), '=')
			}
			b = appendName(b, n.name)
		}
		b = append(b, ']')
	}
	b = appendBase64(b, " signature=", w.signature)
	b = appendBase64(b, " extra=", w.extra)
	p.line(append(b, " {"...))
	p.nodes(f.numbered().Body, f, "  ")
	p.line([]byte("}"))
}

// numbered returns f, or a copy where its arguments and results do not have the index that their order gives them: edits
// need not keep it.
func (f *Function) numbered() *Function {
	stale := false
	for _, list := range [][]*Node{f.Args, f.Rets} {
		for i, n := range list {
			a, _ := n.Attr("index")
			v, ok := a.AsInt()
			stale = stale || !ok || v != int64(i)
		}
	}
	if !stale {
		return f
	}
	f = f.Clone()
	for _, list := range [][]*Node{f.Args, f.Rets} {
		for i, n := range list {
			n.SetAttr("index", IntAttr(int64(i)))
		}
	}
	return f
}

func (p *textWriter) node(b []byte, n *Node, hidden map[string]bool, added []NamedAttr) []byte {
	b = appendName(b, n.name)
	b = append(b, " = "...)
	b = appendName(b, n.op)
	b = p.attrs(b, slices.Concat(n.attrs, added), hidden)
	b = append(b, '(')
	for i, in := range n.inputs {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, in.Node.name)
		if in.Index != 0 {
			b = append(b, ':')
			b = strconv.AppendInt(b, int64(in.Index), 10)
		}
	}
	for i, c := range n.controls {
		if i+len(n.inputs) > 0 {
			b = append(b, ", "...)
		}
		b = appendName(append(b, '^'), c.name)
	}
	b = append(b, ')')
	if n.Device != "" {
		b = strconv.AppendQuote(append(b, " device="...), n.Device)
	}
	for i, port := range n.ports {
		if i == 0 {
			b = append(b, " ports=["...)
		} else {
			b = append(b, ", "...)
		}
		b = strconv.AppendQuote(b, port)
		if i == len(n.ports)-1 {
			b = append(b, ']')
		}
	}
	return appendBase64(b, " extra=", n.extra)
}

// attrs writes [name=value, …] in the order of the names, nothing where all are hidden.
func (p *textWriter) attrs(b []byte, attrs []NamedAttr, hidden map[string]bool) []byte {
	shown := slices.DeleteFunc(slices.Clone(attrs), func(a NamedAttr) bool { return hidden[a.Name] })
	slices.SortStableFunc(shown, func(x, y NamedAttr) int { return strings.Compare(x.Name, y.Name) })
	for i, a := range shown {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ", "...)
		}
		b = append(appendName(b, a.Name), '=')
		b = p.attr(b, a.Attr)
		if i == len(shown)-1 {
			b = append(b, ']')
		}
	}
	return b
}

// hideDefaults marks the attributes of n that say what the signature says, and the dtype of a Const.
func hideDefaults(n *Node, hidden map[string]bool) {
	sig, ok := n.Signature()
	if !ok {
		return
	}
	for _, a := range n.attrs {
		d := sig.Attr(a.Name)
		if d != nil && !d.Required() && string(d.Default.wire) == string(a.Attr.wire) {
			hidden[a.Name] = true
		}
	}
	if d, ok := constType(n); ok {
		if a, _ := n.Attr("dtype"); string(a.wire) == string(d.wire) {
			hidden["dtype"] = true
		}
	}
}

// constType returns the dtype that the value of a Const implies.
func constType(n *Node) (Attr, bool) {
	a, ok := n.Attr("value")
	if n.op != "Const" || !ok || a.Kind() != KindTensor {
		return Attr{}, false
	}
	_, _, b := a.field()
	d := tensorType(b)
	return TypeAttr(d), d != tensor.Invalid
}

// hide returns the attributes of each node that Parse finds by itself: those with their default and those that follow
// from the inputs. That is tried rather than reasoned: the graph without them is completed as Parse completes it, and
// what comes out otherwise than it was is shown. So are defaults that a node leaves unsaid although its inputs imply
// something else: they are in added.
func hide(g *Graph, f *Function) (hidden map[*Node]map[string]bool, added map[*Node][]NamedAttr) {
	hidden = make(map[*Node]map[string]bool, len(g.nodes))
	added = map[*Node][]NamedAttr{}
	_, cyclic := g.Order()
	for _, n := range g.nodes {
		hidden[n] = map[string]bool{}
		hideDefaults(n, hidden[n])
		sig, ok := n.Signature()
		if !ok || cyclic != nil {
			continue
		}
		for i := range sig.Attrs {
			if _, ok := n.Attr(sig.Attrs[i].Name); ok && implicable(&sig.Attrs[i]) {
				hidden[n][sig.Attrs[i].Name] = true
			}
		}
	}
	// The first trial settles node after node in the order in which Parse completes them, so that what one cannot imply
	// does not hide from the next. Later ones confirm it.
	for settled := cyclic != nil; !settled; {
		trial := g.Clone()
		of := make(map[*Node]*Node, len(g.nodes))
		for i, n := range g.nodes {
			twin := trial.nodes[i]
			of[twin] = n
			for name := range hidden[n] {
				twin.RemoveAttr(name)
			}
			for _, a := range added[n] {
				twin.SetAttr(a.Name, a.Attr)
			}
		}
		if f != nil {
			numberArgs(trial)
		}
		settled = true
		order, _ := trial.Order()
		for _, twin := range order {
			implyConst(twin)
			implyNode(twin)
			if !tell(of[twin], twin, hidden, added) {
				settled = false
			}
		}
	}
	return hidden, added
}

// tell shows the attributes of n that came out otherwise on its twin, and sets them there; it reports whether there were
// none.
func tell(n, twin *Node, hidden map[*Node]map[string]bool, added map[*Node][]NamedAttr) bool {
	same := true
	sig, ok := n.Signature()
	if !ok {
		return true
	}
	for name := range hidden[n] {
		want, _ := n.Attr(name)
		got, ok := twin.Attr(name)
		if d := sig.Attr(name); !ok && d != nil {
			got = d.Default
		}
		if string(got.wire) != string(want.wire) {
			delete(hidden[n], name)
			twin.SetAttr(name, want)
			same = false
		}
	}
	for i := range sig.Attrs {
		d := &sig.Attrs[i]
		if d.Required() || !implicable(d) {
			continue
		}
		_, had := n.Attr(d.Name)
		_, has := twin.Attr(d.Name)
		told := slices.ContainsFunc(added[n], func(a NamedAttr) bool { return a.Name == d.Name })
		if has && !had && !told {
			added[n] = append(added[n], NamedAttr{d.Name, d.Default})
			twin.SetAttr(d.Name, d.Default)
			same = false
		}
	}
	return same
}
