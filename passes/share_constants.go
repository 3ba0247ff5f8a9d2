package passes

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// ShareConstants keeps one of several equal constants that function bodies and the graph which calls them hold, and passes it as
// an argument:
//
//	w = Const, x -> While{body(b): MatMul(b, w = Const)}(x)   becomes   w -> While{body(b, a): a, MatMul(b, a)}(x)
//
// It is the way back of [SinkConstants] for weights that a decoder's loop and the graph around it use both, so that the file
// holds them once. Small constants stay where they are.
var ShareConstants = Pass{
	Name: "share-constants",
	Doc:  "keep large constants once that function bodies and their callers both hold",
	Run:  shareConstants,
}

// leastShared is the number of bytes from which a constant is worth an argument.
const leastShared = 1024

func shareConstants(_ context.Context, g *graphdef.Graph, env *Env) error {
	// Innermost bodies first: what they share with the body that calls them, that one may share with its caller.
	for _, s := range slices.Backward(env.scopesByDepth(g)) {
		s.shareConstants()
	}
	return nil
}

// scopesByDepth returns the graph and its function bodies, each after those that call it. A function that calls itself is left
// out.
func (env *Env) scopesByDepth(g *graphdef.Graph) (list []*scope) {
	const (
		unseen = iota
		open
		done
	)
	state := map[string]int{}
	var late []*scope
	var visit func(s *scope) bool
	visit = func(s *scope) bool {
		whole := true
		for _, n := range s.g.Nodes() {
			for _, name := range append(called(n), n.Op()) {
				f := g.Function(name)
				switch {
				case f == nil || state[name] == done:
				case state[name] == open:
					whole = false
				default:
					state[name] = open
					whole = visit(&scope{g: f.Body, lib: g, env: env, pass: env.pass, fn: f}) && whole
					state[name] = done
				}
			}
		}
		if whole {
			late = append(late, s)
		}
		return whole
	}
	visit(&scope{g: g, lib: g, env: env, pass: env.pass})
	slices.Reverse(late)
	return late
}

// holder is a Const in s itself (call < 0) or in a function that a node of s calls.
type holder struct {
	node *graphdef.Node
	call int // index of the call
	role int
}

func (s *scope) shareConstants() {
	uses := s.env.functionUses(s.lib)
	var calls []sinkable
	holders := map[digest][]holder{}
	var order []digest
	add := func(n *graphdef.Node, call, role int) {
		if n.Op() != "Const" || len(n.Users()) == 0 || len(n.Controls()) > 0 {
			return
		}
		t, err := n.Tensor("value")
		if err != nil || bytesOf(t) < leastShared {
			return
		}
		key := sha256.Sum256(graphdef.AppendCanonicalTensor(nil, t))
		if holders[key] == nil {
			order = append(order, key)
		}
		holders[key] = append(holders[key], holder{n, call, role})
	}
	sorted := func(g *graphdef.Graph) []*graphdef.Node { return slices.SortedFunc(slices.Values(g.Nodes()), byName) }
	for _, n := range sorted(s.g) {
		if !s.fixed(n) {
			add(n, -1, 0)
		}
		if c, ok := s.sinkableOf(n); ok && !slices.ContainsFunc(c.roles, func(r role) bool { return uses[r.fn.Name] > 1 }) {
			calls = append(calls, c)
		}
	}
	for i, c := range calls {
		for k, r := range c.roles {
			for _, n := range sorted(r.fn.Body) {
				add(n, i, k)
			}
		}
	}
	for _, key := range order {
		if list := holders[key]; len(list) > 1 && list[len(list)-1].call >= 0 {
			s.share(calls, list)
		}
	}
}

// functionUses counts the nodes that name each function.
func (env *Env) functionUses(g *graphdef.Graph) map[string]int {
	uses := map[string]int{}
	for _, t := range env.scopes(g) {
		for _, n := range t.g.Nodes() {
			for _, name := range append(called(n), n.Op()) {
				uses[name]++
			}
		}
	}
	return uses
}

// share makes equal constants one of s's own, which the calls pass.
func (s *scope) share(calls []sinkable, list []holder) {
	var own *graphdef.Node
	if list[0].call < 0 {
		own = list[0].node
	} else {
		own = s.g.MustAdd(list[0].node.Name(), "Const")
		for _, a := range list[0].node.Attrs() {
			own.SetAttr(a.Name, a.Attr)
		}
		mark(own, s.pass)
	}
	// Two constants of s itself are another pass's.
	list = slices.DeleteFunc(slices.Clone(list), func(h holder) bool { return h.call < 0 })
	for len(list) > 0 {
		call := list[0].call
		n := slices.IndexFunc(list, func(h holder) bool { return h.call != call })
		if n < 0 {
			n = len(list)
		}
		s.passArgument(calls[call], own, list[:n])
		list = list[n:]
	}
	s.env.Rewrote()
}

// passArgument adds Const w as the last argument of c and puts it in the place of the constants of c's functions. Codes are
// passed as plain integers: TensorFlow has loops of those, and of quantized types not.
func (s *scope) passArgument(c sinkable, w *graphdef.Node, list []holder) {
	d, _ := w.Type("dtype")
	value, as := w.Out(0), d
	if d == tensor.Qint8 || d == tensor.Quint8 {
		as = plain(d)
		value = s.bitcast(w.Name()+"/bits", value, d, as)
	}
	for k, r := range c.roles {
		inner := &scope{g: r.fn.Body, lib: s.lib, env: s.env, pass: s.pass, fn: r.fn}
		arg := inner.addArgument(argumentName(w.Name()), as, c.loop && k == 1)
		for _, h := range list {
			if h.role != k {
				continue
			}
			with := arg.Out(0)
			if as != d {
				with = inner.bitcast(h.node.Name()+"/codes", with, as, d)
			}
			for _, u := range h.node.UsesOf(0) {
				u.Node.SetInput(u.Input, with)
				inner.change(u.Node)
			}
			r.fn.Body.ReplaceControls(h.node, with.Node)
			inner.remove(func(n *graphdef.Node) bool { return n == h.node })
		}
	}
	c.node.AddInput(value)
	types, _ := c.node.Types(c.types)
	c.node.SetAttr(c.types, graphdef.TypesAttr(append(slices.Clone(types), as)...))
	if c.loop {
		c.node.RemoveAttr("output_shapes")
	}
	s.change(c.node)
}

// addArgument appends an argument of dtype d to s's function, and with returned a result that hands it on.
func (s *scope) addArgument(name string, d tensor.DType, returned bool) *graphdef.Node {
	arg := s.g.MustAdd(name, "_Arg")
	arg.SetAttr("T", graphdef.TypeAttr(d))
	s.fn.Args = append(slices.Clip(s.fn.Args), arg)
	renumber(s.fn.Args)
	if returned {
		ret := s.g.MustAdd(name+"_ret", "_Retval", arg.Out(0))
		ret.SetAttr("T", graphdef.TypeAttr(d))
		s.fn.Rets = append(slices.Clip(s.fn.Rets), ret)
		renumber(s.fn.Rets)
	}
	s.fn.Attrs = slices.DeleteFunc(slices.Clone(s.fn.Attrs), func(a graphdef.NamedAttr) bool { return a.Name == "_input_shapes" })
	return arg
}

// bitcast returns o, of dtype from, as the dtype to of the same size. One that is there already is used again.
func (s *scope) bitcast(name string, o graphdef.Output, from, to tensor.DType) graphdef.Output {
	for _, u := range o.Node.UsesOf(o.Index) {
		if t, err := u.Node.Type("type"); u.Node.Op() == "Bitcast" && err == nil && t == to {
			return u.Node.Out(0)
		}
	}
	n := s.g.MustAdd(name, "Bitcast", o)
	n.SetAttr("T", graphdef.TypeAttr(from))
	n.SetAttr("type", graphdef.TypeAttr(to))
	mark(n, s.pass)
	return n.Out(0)
}

// argumentName makes a name that an argument of a function may have of that of a node.
func argumentName(name string) string {
	return "shared_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, name)
}
