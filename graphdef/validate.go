package graphdef

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// Validate checks g and the functions of its library: names; that inputs exist, and agree in number and dtype with what
// the signatures say; that required attributes are there, and all have the right kind; that functions which are called
// exist and take as much as they get; that cycles go through NextIteration; that the inputs of every node lie in one frame;
// and that the two directions of edges agree. It returns all it finds, joined and sorted, each about a node a *NodeError.
//
// Less strict than TensorFlow: unknown operations are allowed (package runtime reports them), references to TF1 variables
// count as values, a Const without inputs lies in the frame of whoever reads it, and ReadVariableOp and ResourceGather may
// read the plain value that freezing put in the variable's place.
func Validate(g *Graph) error {
	v := &validation{lib: newLibrary(g)}
	if len(v.lib.functions) != len(g.functions) {
		v.errs = append(v.errs, fmt.Errorf("two functions of the library have one name"))
	}
	v.graph(g)
	for _, f := range g.functions {
		v.function(f)
	}
	slices.SortFunc(v.errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	for i, err := range v.errs {
		v.errs[i] = fmt.Errorf("validate: %w", err)
	}
	return errors.Join(v.errs...)
}

type validation struct {
	lib  *library
	in   string // the function whose body is checked
	errs []error
}

func (v *validation) report(err error) {
	if v.in != "" {
		err = fmt.Errorf("function %q: %w", v.in, err)
	}
	v.errs = append(v.errs, err)
}

func (v *validation) function(f *Function) {
	v.in = f.Name
	ends := []struct {
		nodes []*Node
		op    string
	}{{f.Args, "_Arg"}, {f.Rets, "_Retval"}, {f.ControlRet, ""}}
	for _, e := range ends {
		for _, n := range e.nodes {
			if n == nil || n.graph != f.Body || (e.op != "" && n.op != e.op) {
				v.report(fmt.Errorf("argument, result or control output is not a node of the body"))
			}
		}
	}
	v.graph(f.Body)
	v.in = ""
}

func (v *validation) graph(g *Graph) {
	if !v.edges(g) {
		return // the other checks would follow edges that lead out of the graph
	}
	if len(g.byName) != len(g.nodes) {
		v.report(fmt.Errorf("%d nodes have %d names", len(g.nodes), len(g.byName)))
	}
	for _, n := range g.nodes {
		v.node(n)
	}
	order, err := g.Order()
	if err != nil {
		v.report(err)
		return
	}
	v.frames(order)
}

// edges checks that both directions of all edges agree and stay inside g.
func (v *validation) edges(g *Graph) bool {
	type edge struct {
		from *Node
		use  Use
	}
	count := map[edge]int{}
	good := true
	fail := func(n *Node, format string, args ...any) {
		good = false
		v.report(n.Errorf(format, args...))
	}
	for _, n := range g.nodes {
		if n.graph != g || g.byName[n.name] != n {
			fail(n, "is not filed under its name in its graph")
		}
		for i, in := range n.inputs {
			if in.Node == nil || in.Node.graph != g {
				fail(n, "input %d is no node of the graph, have %v", i, in)
				continue
			}
			count[edge{in.Node, Use{n, i}}]++
		}
		for _, c := range n.controls {
			if c == nil || c.graph != g {
				fail(n, "a control input is no node of the graph")
				continue
			}
			count[edge{c, Use{n, ControlInput}}]++
		}
	}
	for _, n := range g.nodes {
		for _, u := range n.users {
			e := edge{n, u}
			if count[e] == 0 {
				fail(n, "lists a user that does not read it")
			}
			count[e]--
		}
	}
	for e, left := range count {
		if left > 0 {
			fail(e.from, "does not list its user %q", e.use.Node.name)
		}
	}
	return good
}

// node checks what a node says by itself and of its inputs.
func (v *validation) node(n *Node) {
	valid := validName
	if v.in != "" {
		valid = validBodyName
	}
	if !valid(n.name) {
		v.report(n.Errorf("name is not valid, want letters, digits and . first, then also _ - / >"))
	}
	sig, ok := v.lib.signature(n)
	if !ok {
		return
	}
	if err := v.attrs(n, sig); err != nil {
		v.report(err)
		return // inputs are counted and typed by attributes
	}
	if err := constValue(n); err != nil {
		v.report(err)
	}
	v.calls(n, sig)
	want, err := v.reader(n, sig).inputTypes()
	if err != nil {
		v.report(err)
		return
	}
	for i, in := range n.inputs {
		have, known, err := v.outputType(in)
		switch {
		case err != nil:
			v.report(n.Errorf("input %d does not exist: %w", i, err))
		case known && have.Base() != want[i].Base() && !unfrozenRead(n.op, i, have):
			v.report(n.Errorf("input %d has the wrong type, have %v %v, want %v", i, in, have, want[i]))
		}
	}
}

func (v *validation) reader(n *Node, sig *Signature) *AttrReader {
	return &AttrReader{n: n, sig: sig, lookup: v.lib.signature}
}

// outputType returns the dtype of o; known is false where its node does not say enough. An error says that it does not
// exist.
func (v *validation) outputType(o Output) (t tensor.DType, known bool, err error) {
	sig, ok := v.lib.signature(o.Node)
	if !ok {
		return tensor.Invalid, false, nil
	}
	r := v.reader(o.Node, sig)
	rest := o.Index
	for i := range sig.Outputs {
		count, ok := r.count(&sig.Outputs[i], "")
		if !ok {
			return tensor.Invalid, false, nil
		}
		if rest >= 0 && rest < count {
			t = r.argType(&sig.Outputs[i], rest)
			return t, r.Err() == nil && t != tensor.Invalid, nil
		}
		rest -= count
	}
	return tensor.Invalid, false, fmt.Errorf("%q has no output %d, have %d outputs", o.Node.name, o.Index, o.Index-rest)
}

// unfrozenRead reports whether an op reads a variable by a handle that freezing replaced by the value.
func unfrozenRead(op string, input int, have tensor.DType) bool {
	return input == 0 && have != tensor.Variant && (op == "ReadVariableOp" || op == "ResourceGather" || op == "ResourceGatherNd")
}

// attrs returns the first attribute that is missing or of the wrong kind. Dtypes and counts must be said even where the
// inputs imply them, as TensorFlow wants.
func (v *validation) attrs(n *Node, sig *Signature) error {
	for i := range sig.Attrs {
		d := &sig.Attrs[i]
		want := d.Kind
		if d.List {
			want = KindList
		}
		a, _ := n.Attr(d.Name)
		switch have := a.Kind(); {
		case have == KindNone && d.Required():
			return n.Errorf("attribute %q is missing, want %v", d.Name, want)
		case have != KindNone && have != want && have != KindPlaceholder:
			return n.Errorf("attribute %q has the wrong kind, have %v, want %v", d.Name, have, want)
		}
	}
	return nil
}

// constValue checks that the value of a Const is what it says, without decoding its elements.
func constValue(n *Node) error {
	if n.op != "Const" {
		return nil
	}
	if _, err := constShape(n); err != nil {
		return n.asError(err)
	}
	a, _ := n.Attr("value")
	_, _, proto := a.field()
	have := tensor.Invalid
	walk(proto, func(num protowire.Number, _ protowire.Type, v uint64, _ []byte) bool {
		if num == fieldDType {
			have = tensor.DType(int32(v))
		}
		return true
	})
	a, _ = n.Attr("dtype")
	if want, _ := a.AsType(); have != want {
		return n.Errorf("value has another type than attribute %q, have %v, want %v", "dtype", have, want)
	}
	return nil
}

// callArgs says which inputs the function of an attribute takes, from number skip on, and whether it gives the node's
// outputs.
type callArgs struct {
	skip    int
	results bool
}

var calledWith = map[string]map[string]callArgs{
	"PartitionedCall":         {"f": {0, true}},
	"StatefulPartitionedCall": {"f": {0, true}},
	"While":                   {"cond": {0, false}, "body": {0, true}},
	"StatelessWhile":          {"cond": {0, false}, "body": {0, true}},
	"If":                      {"then_branch": {1, true}, "else_branch": {1, true}},
	"StatelessIf":             {"then_branch": {1, true}, "else_branch": {1, true}},
	"Case":                    {"branches": {1, true}},
	"StatelessCase":           {"branches": {1, true}},
}

// calls checks the functions that n's attributes name.
func (v *validation) calls(n *Node, sig *Signature) {
	for i := range sig.Attrs {
		d := &sig.Attrs[i]
		if d.Kind != KindFunc {
			continue
		}
		r := v.reader(n, sig)
		if !r.Has(d.Name) {
			continue
		}
		var names []string
		if d.List {
			names = r.Funcs(d.Name)
		} else {
			names = []string{r.Func(d.Name)}
		}
		for _, name := range names {
			f := v.lib.functions[name]
			if f == nil {
				v.report(n.Errorf("attribute %q names a function %q that is not in the library", d.Name, name))
				continue
			}
			want, ok := calledWith[n.op][d.Name]
			if !ok {
				continue
			}
			if have := len(n.inputs) - want.skip; have != len(f.Args) {
				v.report(n.Errorf("function %q gets the wrong number of arguments, have %d, want %d", name, have, len(f.Args)))
			}
			if outs, ok := v.numOutputs(n, sig); ok && want.results && outs != len(f.Rets) {
				v.report(n.Errorf("function %q has the wrong number of results, have %d, want %d", name, len(f.Rets), outs))
			}
		}
	}
}

// numOutputs returns how many outputs n says that it has; ok is false where it does not say enough.
func (v *validation) numOutputs(n *Node, sig *Signature) (total int, ok bool) {
	r := v.reader(n, sig)
	for i := range sig.Outputs {
		count, ok := r.count(&sig.Outputs[i], "")
		if !ok {
			return 0, false
		}
		total += count
	}
	return total, true
}

// frame is one level of TF1 loops; the root is the nil frame.
type frame struct {
	parent *frame
	name   string
}

func (f *frame) String() string {
	if f == nil {
		return "outside loops"
	}
	return fmt.Sprintf("in frame %q", f.name)
}

// frames checks that all inputs of every node lie in one frame. order is Graph.Order's.
func (v *validation) frames(order []*Node) {
	in := make(map[*Node]*frame, len(order)) // the frame of each node's outputs
	all := map[frame]*frame{}
	for _, n := range order {
		f, from := (*frame)(nil), (*Node)(nil)
		meet := func(input *Node) {
			other, seen := in[input]
			switch {
			case !seen || anywhere(input):
			case from == nil:
				f, from = other, input
			case f != other:
				v.report(n.Errorf("inputs lie in different frames, %q %v and %q %v", from.name, f, input.name, other))
				f, from = other, input // not once more for each further input
			}
		}
		for _, o := range n.inputs {
			meet(o.Node)
		}
		for _, c := range n.controls {
			meet(c)
		}
		switch n.op {
		case "Enter", "RefEnter":
			key := frame{f, frameName(n)}
			if all[key] == nil {
				all[key] = &key
			}
			f = all[key]
		case "Exit", "RefExit":
			if f == nil {
				v.report(n.Errorf("leaves a loop, but lies outside loops"))
				break
			}
			f = f.parent
		}
		in[n] = f
	}
	for _, n := range order {
		if !isMerge(n.op) {
			continue
		}
		for _, o := range n.inputs {
			if isNextIteration(o.Node.op) && in[o.Node] != in[n] {
				v.report(n.Errorf("the next iteration %q comes from another frame, %v, want %v", o.Node.name, in[o.Node], in[n]))
			}
		}
	}
}

// anywhere reports whether n may be read in any frame: freezing leaves Consts that loops read without an Enter.
func anywhere(n *Node) bool { return n.op == "Const" && len(n.inputs) == 0 && len(n.controls) == 0 }

func frameName(n *Node) string {
	a, _ := n.Attr("frame_name")
	s, _ := a.AsString()
	return s
}
