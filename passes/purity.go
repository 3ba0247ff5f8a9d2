package passes

import (
	"github.com/tfq8/tfq8/graphdef"
)

// purity tells operations that do nothing but compute their outputs from their inputs. Ops that are not known are not pure.
type purity struct {
	lib *graphdef.Graph
	// guards counts Assert as pure: it computes nothing.
	guards bool
	known  map[string]bool // functions by name; false while one is looked at, so that recursion is not pure
}

func newPurity(lib *graphdef.Graph, guards bool) *purity {
	return &purity{lib: lib, guards: guards, known: map[string]bool{}}
}

// callers are the ops with the Stateful flag that do no more than the functions they call.
var callers = map[string]bool{
	"StatefulPartitionedCall": true, "While": true, "If": true, "Case": true,
}

// pure reports whether n is.
func (p *purity) pure(n *graphdef.Node) bool {
	switch op := n.Op(); op {
	case "_Arg", "_Retval":
		return true
	case "Assert":
		return p.guards
	}
	sig, ok := graphdef.Lookup(n.Op())
	if !ok {
		return p.function(n.Op())
	}
	if sig.Has(graphdef.CallsFunctions) {
		for _, name := range called(n) {
			if !p.function(name) {
				return false
			}
		}
		return !sig.Has(graphdef.Stateful) || callers[n.Op()]
	}
	return !sig.Has(graphdef.Stateful)
}

// function reports whether the function of that name is there and all its nodes are pure.
func (p *purity) function(name string) bool {
	if pure, ok := p.known[name]; ok {
		return pure
	}
	p.known[name] = false
	f := p.lib.Function(name)
	if f == nil {
		return false
	}
	for _, n := range f.Body.Nodes() {
		if !p.pure(n) {
			return false
		}
	}
	p.known[name] = true
	return true
}

// called returns the names of the functions that n's attributes name.
func called(n *graphdef.Node) []string {
	var names []string
	for _, a := range n.Attrs() {
		if name, _, ok := a.Attr.AsFunc(); ok {
			names = append(names, name)
			continue
		}
		if list, ok := a.Attr.AsFuncs(); ok {
			names = append(names, list...)
		}
	}
	return names
}
