// Package passes rewrites graphs: an ordered pipeline of [Pass]es that cleans a frozen FP32 graph, inserts 8-bit matrix
// products where calibrated thresholds are known, and drops what that makes redundant. [Convert] runs all of it and says
// what it did and why.
//
//	g, _ := graphdef.Load("frozen.pb")
//	res, err := passes.Convert(ctx, g, passes.Options{Outputs: []string{"translations"}, Calibrate: feeds})
//	fmt.Println(len(res.Report.Products)-len(res.Report.LeftFloat()), "of", len(res.Report.Products), "products in INT8")
//	err = graphdef.Save(res.Graph, "int8.pb")
//
// A pass maps a graph to a graph and nothing else: no files, no state from one run to the next. What only our own
// interpreter could fuse is not here but in runtime.Compile.
package passes

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
)

// Pass is one rewrite. Running it twice changes nothing the second time, and its result does not depend on the order of
// the nodes in the file.
type Pass struct {
	// Name is what --passes and the report call it, in words joined by hyphens.
	Name string
	// Doc is one line: what it rewrites, and why one wants that.
	Doc string
	// Run rewrites g in place. It counts what it does with env.Rewrote and env.Note.
	Run func(ctx context.Context, g *graphdef.Graph, env *Env) error
}

// Target is what will run the graph.
type Target int

const (
	// TensorFlow writes quantized products as stock TensorFlow runs them: QuantizeV2 and _QuantizedMatMul (2.17 or newer).
	TensorFlow Target = iota
	// TFQ8 quantizes products of two activations too, and keeps decoder caches in INT8: all of it in stock ops as well, but
	// fast on this project's interpreter only.
	TFQ8
)

// String returns the name that --target takes.
func (t Target) String() string { return [...]string{"tensorflow", "tfq8"}[t] }

// Env is what a pass knows beside the graph, and where it leaves its account.
type Env struct {
	// Inputs and Outputs are the tensors that keep their names and meaning: feeds and fetches.
	Inputs, Outputs []graphdef.Output
	// Target is what will run the result.
	Target Target
	// ReduceRange keeps weight codes within ±64, so that engines which add pairs of products in 16 bits do not saturate.
	ReduceRange bool
	// FloatEmbeddings leaves tables that lookups read in FP32.
	FloatEmbeddings bool
	// Excluded reports whether a product, by the name of its node, is to stay in FP32.
	Excluded func(node string) bool
	// Thresholds are the calibrated ranges of tensors, by name; NotFinite says of others why calibration gave none. Both are
	// nil before calibration.
	Thresholds map[string]calib.Threshold
	NotFinite  map[string]string

	account *account
	pass    string // the one that runs
}

// threshold returns the calibrated range of the tensor of that name, or why there is none that can be used.
func (env *Env) threshold(name string) (t calib.Threshold, reason Reason, detail string) {
	if why, bad := env.NotFinite[name]; bad {
		return t, InputNotFinite, why
	}
	t, ok := env.Thresholds[name]
	switch {
	case !ok:
		return t, NotCalibrated, fmt.Sprintf("calibration did not compute %q", name)
	case t.Lo == 0 && t.Hi == 0:
		return t, InputConstantZero, fmt.Sprintf("%q was zero throughout", name)
	case max(-t.Lo, t.Hi) < leastRange:
		return t, InputConstantZero, fmt.Sprintf("%q was zero or of the order of %g throughout", name, max(-t.Lo, t.Hi))
	case t.Class == calib.Sparse:
		return t, SparseInput, fmt.Sprintf("%q: peak more than 32 times its root mean square", name)
	}
	return t, "", ""
}

// leastRange is the least threshold whose scale, and the product of two of them, are normal numbers.
const leastRange = 0x1p-50

// outputNodes returns the nodes of env.Outputs.
func (env *Env) outputNodes() []*graphdef.Node {
	nodes := make([]*graphdef.Node, len(env.Outputs))
	for i, o := range env.Outputs {
		nodes[i] = o.Node
	}
	return nodes
}

// isFixed reports whether n must keep its name and outputs, being a feed or fetch.
func (env *Env) isFixed(n *graphdef.Node) bool {
	// A pass may have put n in the place of a fetch, under its name.
	of := func(o graphdef.Output) bool {
		return o.Node == n || o.Node.Graph() == nil && o.Node.Name() == n.Name()
	}
	return slices.ContainsFunc(env.Inputs, of) || slices.ContainsFunc(env.Outputs, of)
}

// follow finds the feeds and fetches again, by name, after a pass has put other nodes in their places.
func (env *Env) follow(g *graphdef.Graph) {
	for _, list := range [][]graphdef.Output{env.Inputs, env.Outputs} {
		for i, o := range list {
			if n := g.Node(o.Node.Name()); n != nil {
				list[i].Node = n
			}
		}
	}
}
