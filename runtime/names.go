package runtime

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// Resolve finds the output that a tensor name ("name" or "name:index") means in g.
func Resolve(g *graphdef.Graph, name string) (graphdef.Output, error) {
	base, index := name, 0
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		v, err := strconv.Atoi(name[i+1:])
		if err != nil || v < 0 {
			return graphdef.Output{}, fmt.Errorf("%q: %q is no output number", name, name[i+1:])
		}
		base, index = name[:i], v
	}
	n := g.Node(base)
	if n == nil {
		return graphdef.Output{}, fmt.Errorf("%q: the graph has no node %q%s", name, base, nearNames(g, base))
	}
	num, err := n.NumOutputs()
	if err == nil && index >= num {
		return graphdef.Output{}, fmt.Errorf("%q: node %q (%s) has %d outputs", name, base, n.Op(), num)
	}
	return n.Out(index), nil
}

// tensorName returns name with its output number.
func tensorName(name string) string {
	if strings.LastIndexByte(name, ':') < 0 {
		return name + ":0"
	}
	return name
}

// nearNames suggests nodes whose names contain, or are contained in, name.
func nearNames(g *graphdef.Graph, name string) string {
	var near []string
	low := strings.ToLower(name)
	for _, n := range g.Nodes() {
		l := strings.ToLower(n.Name())
		if name != "" && (strings.Contains(l, low) || strings.Contains(low, l)) {
			near = append(near, strconv.Quote(n.Name()))
		}
		if len(near) == 3 {
			break
		}
	}
	if near == nil {
		return ""
	}
	return "; did you mean " + strings.Join(near, ", ") + "?"
}
