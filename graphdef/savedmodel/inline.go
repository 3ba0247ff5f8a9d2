package savedmodel

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// maxInlined bounds the nodes that inlining adds: functions that call each other can stand for any number.
const maxInlined = 1 << 21

// inliner replaces calls of functions by their bodies.
type inliner struct {
	lib   *graphdef.Graph
	added int
}

// run inlines every call in g. Calls for which keep is true leave an IdentityN of their name behind, so that their outputs can
// still be named.
func (in *inliner) run(g *graphdef.Graph, keep func(*graphdef.Node) bool) error {
	names := newNamer(g)
	chain := map[*graphdef.Node][]string{} // the functions that a node was inlined from
	queue := slices.Clone(g.Nodes())
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		f := callee(n, in.lib)
		if f == nil {
			continue
		}
		from := chain[n]
		if slices.Contains(from, f.Name) || len(from) >= maxDepth {
			return n.Errorf("function %q calls itself (%s); recursion cannot be frozen", f.Name, strings.Join(from, " > "))
		}
		copies, err := in.inline(g, n, f, names, keep(n))
		if err != nil {
			return err
		}
		from = append(slices.Clip(from), f.Name)
		for _, c := range copies {
			if callee(c, in.lib) != nil {
				chain[c] = from
				queue = append(queue, c)
			}
		}
	}
	return nil
}

// callName matches the names that TensorFlow gives to calls: they say nothing that the nodes inside should be called after.
var callName = regexp.MustCompile(`^(Stateful)?PartitionedCall(_\d+)?$`)

// prefix returns what the names of the nodes that the call n stands for begin with.
func prefix(n *graphdef.Node) string {
	dir, base := "", n.Name()
	if i := strings.LastIndexByte(base, '/'); i >= 0 {
		dir, base = base[:i+1], base[i+1:]
	}
	if callName.MatchString(base) {
		return dir
	}
	return n.Name() + "/"
}

// inline replaces the call n of f and returns the nodes that it added.
func (in *inliner) inline(g *graphdef.Graph, n *graphdef.Node, f *graphdef.Function, names *namer, keep bool) ([]*graphdef.Node, error) {
	if n.NumInputs() != len(f.Args) {
		return nil, n.Errorf("function %q takes %d arguments, have %d", f.Name, len(f.Args), n.NumInputs())
	}
	roots := slices.Clone(f.ControlRet)
	for _, r := range f.Rets {
		roots = append(roots, r.Input(0).Node)
	}
	needed := graphdef.Ancestors(roots...)
	twin := map[*graphdef.Node]*graphdef.Node{}
	args := map[*graphdef.Node]graphdef.Output{}
	for i, a := range f.Args {
		args[a] = n.Input(i)
	}
	var copies []*graphdef.Node
	for _, m := range f.Body.Nodes() {
		if !needed[m] || m.Op() == "_Arg" {
			continue
		}
		if in.added++; in.added > maxInlined {
			return nil, n.Errorf("its functions stand for more than %d nodes", maxInlined)
		}
		c, err := g.AddCopy(names.unique(prefix(n)+m.Name()), m)
		if err != nil {
			return nil, err
		}
		substitute(c, n)
		c.RemoveAttr("_class")
		twin[m] = c
		copies = append(copies, c)
	}
	at := func(o graphdef.Output) graphdef.Output {
		if a, ok := args[o.Node]; ok {
			return a
		}
		return graphdef.Output{Node: twin[o.Node], Index: o.Index}
	}
	control := func(m *graphdef.Node) *graphdef.Node { return at(m.Out(0)).Node }
	// The call's own control inputs hold for what it runs first, and for what has effects.
	first := slices.Clone(n.Controls())
	if len(first) == 0 && n.NumInputs() > 0 && hasControlFlow(g) {
		first = append(first, n.Input(0).Node) // a constant belongs to the frame or branch of the call
	}
	for _, m := range f.Body.Nodes() {
		c := twin[m]
		if c == nil {
			continue
		}
		for _, o := range m.Inputs() {
			c.AddInput(at(o))
		}
		for _, o := range m.Controls() {
			c.AddControl(control(o))
		}
		sig, ok := c.Signature()
		if c.NumInputs()+len(c.Controls()) == 0 {
			for _, o := range first {
				c.AddControl(o)
			}
		} else if ok && sig.Has(graphdef.Stateful) {
			for _, o := range n.Controls() {
				c.AddControl(o)
			}
		}
	}
	results := make([]graphdef.Output, len(f.Rets))
	for i, r := range f.Rets {
		results[i] = at(r.Input(0))
	}
	if effects := in.sideEffects(f); len(effects) > 0 {
		for i, o := range results {
			id := g.MustAdd(names.unique(prefix(n)+"result"), "Identity", o)
			id.SetAttr("T", graphdef.TypeAttr(resultType(n, f, i)))
			for _, e := range effects {
				id.AddControl(twin[e])
			}
			results[i] = id.Out(0)
		}
	}
	return copies, replaceCall(g, n, f, results, twin, keep)
}

// replaceCall makes the users of the call n read results, and removes it.
func replaceCall(g *graphdef.Graph, n *graphdef.Node, f *graphdef.Function, results []graphdef.Output, twin map[*graphdef.Node]*graphdef.Node, keep bool) error {
	var stand *graphdef.Node
	if keep && len(results) > 0 {
		stand = g.MustAdd(n.Name()+"/outputs", "IdentityN", results...)
		types := make([]tensor.DType, len(results))
		for i := range results {
			types[i] = resultType(n, f, i)
		}
		stand.SetAttr("T", graphdef.TypesAttr(types...))
	} else if slices.ContainsFunc(n.Users(), func(u graphdef.Use) bool { return u.Input == graphdef.ControlInput }) {
		stand = g.MustAdd(n.Name()+"/done", "NoOp")
		for _, o := range results {
			stand.AddControl(o.Node)
		}
	}
	if stand != nil {
		for _, c := range f.ControlRet {
			if twin[c] != nil {
				stand.AddControl(twin[c])
			}
		}
		for _, c := range n.Controls() {
			stand.AddControl(c)
		}
	}
	for i := range results {
		g.ReplaceUses(n.Out(i), results[i])
	}
	for _, u := range n.Users() {
		if u.Input != graphdef.ControlInput {
			return u.Node.Errorf("reads output %d of %q, whose function %q has %d results", u.Node.Input(u.Input).Index, n.Name(), f.Name, len(f.Rets))
		}
	}
	if stand != nil {
		return g.TakeOver(n, stand)
	}
	return g.Remove(n)
}

// resultType returns the dtype of result i of the call n of f.
func resultType(n *graphdef.Node, f *graphdef.Function, i int) tensor.DType {
	a, _ := f.Rets[i].Attr("T")
	if t, ok := a.AsType(); ok {
		return t
	}
	if name := placeholder(a); name != "" {
		t, _ := n.Type(name)
		return t
	}
	return tensor.Invalid
}

// sideEffects returns the nodes of f that must run although no result needs them and that do something: checks and prints.
func (in *inliner) sideEffects(f *graphdef.Function) []*graphdef.Node {
	if len(f.ControlRet) == 0 {
		return nil
	}
	needed := graphdef.Ancestors(f.Rets...)
	order, err := f.Body.Order()
	if err != nil {
		return nil // the graph is refused later
	}
	does := map[*graphdef.Node]bool{} // has an effect that no result needs, itself or through what it waits for
	for _, m := range order {
		if needed[m] {
			continue
		}
		does[m] = in.hasEffect(m) || slices.ContainsFunc(m.Controls(), func(c *graphdef.Node) bool { return does[c] }) ||
			slices.ContainsFunc(m.Inputs(), func(o graphdef.Output) bool { return does[o.Node] })
	}
	return slices.DeleteFunc(slices.Clone(f.ControlRet), func(c *graphdef.Node) bool { return !does[c] })
}

// hasEffect reports whether somebody can notice that n runs.
func (in *inliner) hasEffect(n *graphdef.Node) bool {
	switch n.Op() {
	case "VarHandleOp", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp", "_Arg",
		"HashTableV2", "MutableHashTableV2", "LookupTableFindV2", "LookupTableSizeV2", "DisableCopyOnRead", "Placeholder":
		return false
	}
	sig, ok := n.Signature()
	return !ok || sig.Has(graphdef.Stateful) || callee(n, in.lib) != nil
}

// hasControlFlow reports whether g has frames or branches of TensorFlow 1.
func hasControlFlow(g *graphdef.Graph) bool {
	return slices.ContainsFunc(g.Nodes(), func(n *graphdef.Node) bool {
		return n.Op() == "Enter" || n.Op() == "Switch" || n.Op() == "RefEnter" || n.Op() == "RefSwitch"
	})
}

// placeholder returns the attribute of the call that a stands for, "" if a is a value.
func placeholder(a graphdef.Attr) string {
	if a.Kind() != graphdef.KindPlaceholder {
		return ""
	}
	name := ""
	if wire.EachField(a.Wire(), func(_ protowire.Number, _ uint64, raw []byte) error {
		name = string(raw)
		return nil
	}) != nil {
		return ""
	}
	return name
}

// substitute replaces the attributes of c that stand for attributes of the call.
func substitute(c, call *graphdef.Node) {
	for _, a := range slices.Clone(c.Attrs()) {
		name := placeholder(a.Attr)
		if name == "" {
			continue
		}
		if v, ok := call.Attr(name); ok {
			c.SetAttr(a.Name, v)
		} else if f, ok := call.Attr("f"); ok {
			_, attrs, _ := f.AsFunc()
			for _, v := range attrs {
				if v.Name == name {
					c.SetAttr(a.Name, v.Attr)
				}
			}
		}
	}
}

// namer finds names that are free, in little time however many there are of one kind.
type namer struct {
	g    *graphdef.Graph
	next map[string]int
}

func newNamer(g *graphdef.Graph) *namer { return &namer{g, map[string]int{}} }

// unique returns name, made legal, or name_1, name_2, …
func (n *namer) unique(name string) string {
	base := legal(name)
	for name = base; n.g.Node(name) != nil; {
		n.next[base]++
		name = fmt.Sprintf("%s_%d", base, n.next[base])
	}
	return name
}

// legal replaces the characters that node names cannot have; bodies of functions may use them.
func legal(name string) string {
	out := []byte(name)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.':
		case i > 0 && (c == '_' || c == '-' || c == '/' || c == '>'):
		default:
			out[i] = '.'
		}
	}
	return string(out)
}
