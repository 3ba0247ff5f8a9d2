package passes

import (
	"context"
	"strconv"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

func itoa(i int) string { return strconv.Itoa(i) }

// evaluate computes the outputs of n for the given inputs with the interpreter; ok is false where it cannot. Functions that n
// calls are in lib.
func evaluate(ctx context.Context, n *graphdef.Node, inputs []*tensor.Tensor, lib *graphdef.Graph) (outputs []*tensor.Tensor, ok bool) {
	g := graphdef.NewGraph()
	g.Versions = lib.Versions
	for _, name := range called(n) {
		// Calls are left to run time: what they call would have to be copied with all it calls.
		if lib.Function(name) != nil {
			return nil, false
		}
	}
	feeds := map[string]*tensor.Tensor{}
	var args []graphdef.Output
	var names []string
	for i, t := range inputs {
		p := g.MustAdd("in"+itoa(i), "Placeholder")
		p.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		feeds[p.Name()] = t
		names = append(names, p.Name())
		args = append(args, p.Out(0))
	}
	m := g.MustAdd("node", n.Op(), args...)
	for _, a := range n.Attrs() {
		m.SetAttr(a.Name, a.Attr)
	}
	count, err := m.NumOutputs()
	if err != nil || count == 0 {
		return nil, false
	}
	fetches := make([]string, count)
	for i := range fetches {
		fetches[i] = m.Out(i).String()
	}
	plan, err := runtime.Compile(g, runtime.CompileOptions{Feeds: names, Fetches: fetches, NoFusion: true, MaxBytes: maxFolded})
	if err != nil {
		return nil, false
	}
	results, err := plan.NewSession().Run(ctx, feeds)
	if err != nil {
		return nil, false
	}
	for _, name := range fetches {
		t := results[name]
		if t == nil || t.DType() == tensor.Resource || t.DType() == tensor.Variant {
			return nil, false
		}
		outputs = append(outputs, t)
	}
	return outputs, true
}
