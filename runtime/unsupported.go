package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// UnsupportedError lists all ops of a graph that the interpreter does not have and that the fetches need.
type UnsupportedError struct {
	Nodes map[string][]string // by op, the nodes that have it; those of function bodies as "function@node"
	Fetch map[string]string   // by op, the first fetch that needs one of the nodes
}

func (e *UnsupportedError) Error() string {
	var ops []string
	for _, op := range slices.Sorted(maps.Keys(e.Nodes)) {
		nodes := e.Nodes[op]
		count := "1 node"
		if len(nodes) > 1 {
			count = fmt.Sprintf("%d nodes", len(nodes))
		}
		ops = append(ops, fmt.Sprintf("%s (%s, such as %q, needed by %q)", op, count, nodes[0], e.Fetch[op]))
	}
	return "ops not supported: " + strings.Join(ops, ", ")
}

// missing collects the nodes whose ops have no evaluator, to report all at once.
type missing struct {
	nodes  map[string][]string         // by op
	seen   map[*graphdef.Node]bool     // a function may be called often
	caused map[*graphdef.Node][]string // by node of the outer graph, itself or a call: the ops that it lacks
}

// noteMissing remembers n, which has no evaluator.
func (sc *scope) noteMissing(n *graphdef.Node) {
	m := &sc.c.missing
	if m.nodes == nil {
		*m = missing{map[string][]string{}, map[*graphdef.Node]bool{}, map[*graphdef.Node][]string{}}
	}
	outer := n
	if sc.caller != nil {
		outer = sc.caller
	}
	m.caused[outer] = append(m.caused[outer], n.Op())
	if m.seen[n] {
		return
	}
	m.seen[n] = true
	name := n.Name()
	if sc.fn != nil {
		name = sc.fn.Name + "@" + name
	}
	m.nodes[n.Op()] = append(m.nodes[n.Op()], name)
}

// unsupported returns the error about the missing ops of the outer graph and what it calls.
func (sc *scope) unsupported(fetches []graphdef.Output) error {
	m := &sc.c.missing
	e := &UnsupportedError{Nodes: m.nodes, Fetch: map[string]string{}}
	fed := map[graphdef.Output]int32{}
	for _, f := range sc.c.opts.Feeds {
		if o, err := Resolve(sc.g, f); err == nil {
			fed[o] = 0
		}
	}
	for i, o := range fetches {
		if len(e.Fetch) == len(e.Nodes) {
			break
		}
		one := &scope{c: sc.c, g: sc.g, slots: fed}
		one.need([]graphdef.Output{o}, nil)
		for n, ops := range m.caused {
			if !one.needed[n] || one.given[n] {
				continue
			}
			for _, op := range ops {
				if _, known := e.Fetch[op]; !known {
					e.Fetch[op] = sc.c.opts.Fetches[i]
				}
			}
		}
	}
	return e
}
