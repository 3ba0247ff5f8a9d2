package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/passes"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// showOptions are the flags of show.
type showOptions struct {
	modelFlags
	json jsonFlag
	ops  bool
}

func newShowCmd(s *streams) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Show what a model holds: inputs, outputs, ops, weights, loops, candidates",
		Long: `show prints what a model holds: its inputs and outputs with dtype and shape, whether
all ops that the outputs need run here, weights, loops, functions, the products
that convert could compute in INT8, and how often each op occurs.

With --ops and no MODEL it lists the ops that this version runs.`,
		Example: `  tfq8 show numbers.pb
  tfq8 show numbers.pb --outputs logits --json
  tfq8 show --ops`,
		Args: func(cmd *cobra.Command, have []string) error {
			if o.ops {
				return positional(0, 0, "none with --ops")(cmd, have)
			}
			return positional(1, 1, "MODEL")(cmd, have)
		},
		ValidArgsFunction: completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			if o.ops {
				return showOps(s, bool(o.json))
			}
			return runShow(s, args[0], &o)
		},
	}
	o.add(cmd)
	o.json.add(cmd)
	cmd.Flags().BoolVar(&o.ops, "ops", false, "list the ops that this version runs")
	return cmd
}

// showOps lists the ops of the interpreter, one a line.
func showOps(s *streams, asJSON bool) error {
	list := slices.Compact(slices.Sorted(slices.Values(runtime.Ops())))
	if asJSON {
		return s.printJSON(struct {
			Ops []string `json:"ops"`
		}{list})
	}
	for _, op := range list {
		fmt.Fprintln(s.out, op)
	}
	s.note("%d ops, and with them constants, placeholders, function calls, loops and branches of TF1 and TF2", len(list))
	return nil
}

// showResult is what show prints of a model.
type showResult struct {
	Nodes       int               `json:"nodes"`
	Bytes       int               `json:"bytes"`
	Producer    int               `json:"producer"`
	Inputs      []shownTensor     `json:"inputs"`
	Outputs     []shownTensor     `json:"outputs"`
	Weights     shownWeights      `json:"weights"`
	Loops       []shownLoop       `json:"loops"`
	Functions   []shownFunction   `json:"functions"`
	Candidates  []shownCandidate  `json:"candidates"`
	Unsupported []shownUnsupports `json:"unsupported"`
	Ops         []shownOp         `json:"ops"`
}

type shownTensor struct {
	Name     string `json:"name"`
	DType    string `json:"dtype"`
	Shape    []int  `json:"shape"` // -1 for an unknown dimension, null for an unknown rank
	Optional bool   `json:"optional,omitempty"`
	text     string // of the shape
}

type shownWeights struct {
	Constants int            `json:"constants"` // with more than one element
	Elements  int            `json:"elements"`
	Bytes     int            `json:"bytes"`
	ByDType   map[string]int `json:"bytes_by_dtype"`
}

type shownLoop struct {
	Name      string `json:"name"`
	Parent    string `json:"parent,omitempty"`
	Variables int    `json:"variables"`
	Nodes     int    `json:"nodes"`
	Products  int    `json:"products"`
}

type shownFunction struct {
	Name  string `json:"name"`
	Nodes int    `json:"nodes"`
}

type shownCandidate struct {
	Node    string       `json:"node"`
	Op      string       `json:"op"`
	Weights tensor.Shape `json:"weights"` // null for a product of two activations
	Loop    string       `json:"loop,omitempty"`
}

type shownUnsupports struct {
	Op    string `json:"op"`
	Nodes int    `json:"nodes"`
	First string `json:"first"`
}

type shownOp struct {
	Op    string `json:"op"`
	Count int    `json:"count"`
}

func runShow(s *streams, path string, o *showOptions) error {
	m, err := s.openModel(path, o.options())
	if err != nil {
		return err
	}
	outputs, err := m.fetches(&o.modelFlags)
	if err != nil && len(o.outputs) > 0 {
		return err // a graph without outputs can still be shown
	}
	inputs := m.inputs()
	if len(o.inputs) > 0 {
		if inputs, err = m.named("--inputs", o.inputs, inputs); err != nil {
			return err
		}
	}
	r := showResult{
		Nodes: len(m.graph.Nodes()), Bytes: graphdef.Size(m.graph), Producer: int(m.graph.Versions.Producer),
		Inputs: shownTensors(inputs), Outputs: shownTensors(outputs),
		Weights: countWeights(m.graph), Ops: countOps(m.graph),
		Loops: []shownLoop{}, Functions: []shownFunction{}, Candidates: []shownCandidate{}, Unsupported: []shownUnsupports{},
	}
	for _, f := range m.graph.Functions() {
		r.Functions = append(r.Functions, shownFunction{f.Name, len(f.Body.Nodes())})
	}
	tree, flowErr := flow.Analyze(m.graph)
	if flowErr != nil {
		s.note("%s: loops are not shown: %v", path, flowErr)
	}
	r.products(m.graph, tree, outputs)
	compileErr := r.missing(m, outputs)
	if o.json {
		return s.printJSON(r)
	}
	r.print(s.out, path)
	if compileErr != nil {
		fmt.Fprintf(s.out, "\ndoes not run here: %v\n", compileErr)
	}
	return nil
}

func shownTensors(list []candidate) []shownTensor {
	out := []shownTensor{}
	for _, c := range list {
		t := shownTensor{Name: c.Name, DType: c.DType.String(), Optional: c.Optional, text: c.Shape.String()}
		if _, ok := c.Shape.Rank(); ok {
			t.Shape = append([]int{}, c.Shape.Dims()...)
		}
		out = append(out, t)
	}
	return out
}

// countWeights adds up the constants of g and its functions that have more than one element.
func countWeights(g *graphdef.Graph) shownWeights {
	w := shownWeights{ByDType: map[string]int{}}
	for _, n := range allNodes(g) {
		if n.Op() != "Const" {
			continue
		}
		t, err := n.Tensor("value")
		if err != nil || t.Len() < 2 {
			continue
		}
		w.Constants++
		w.Elements += t.Len()
		size := t.Len() * t.DType().Size()
		w.Bytes += size
		w.ByDType[t.DType().String()] += size
	}
	return w
}

// countOps counts the nodes of g and its functions by op, the most frequent first.
func countOps(g *graphdef.Graph) []shownOp {
	counts := map[string]int{}
	for _, n := range allNodes(g) {
		counts[n.Op()]++
	}
	list := []shownOp{}
	for op, n := range counts {
		list = append(list, shownOp{op, n})
	}
	slices.SortFunc(list, func(a, b shownOp) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Op, b.Op)) })
	return list
}

// allNodes returns the nodes of g and of the bodies of its functions.
func allNodes(g *graphdef.Graph) []*graphdef.Node {
	list := slices.Clone(g.Nodes())
	for _, f := range g.Functions() {
		list = append(list, f.Body.Nodes()...)
	}
	return list
}

// products fills in candidates and loops. tree is nil where the graph's loops are not structured.
func (r *showResult) products(g *graphdef.Graph, tree *flow.Tree, outputs []candidate) {
	var nodes []*graphdef.Node
	for _, c := range outputs {
		nodes = append(nodes, c.Output.Node)
	}
	inLoop := map[*flow.Region]int{}
	for _, p := range passes.Candidates(g, nodes...) {
		c := shownCandidate{Node: p.Node, Op: p.Op}
		n := g.Node(p.Node)
		if n != nil && tree != nil {
			c.Weights = weightShape(n, tree)
			if of := tree.Of(n); of != nil {
				c.Loop = of.Name
				inLoop[of]++
			}
		}
		r.Candidates = append(r.Candidates, c)
	}
	if tree == nil {
		return
	}
	for _, region := range tree.Regions {
		if region.Kind == flow.KindLoop {
			r.Loops = append(r.Loops, shownLoop{
				Name: region.Name, Parent: region.Parent.Name, Variables: len(region.Loop.Vars), Nodes: len(region.Nodes),
				Products: inLoop[region],
			})
		}
	}
}

// weightShape returns the shape of the constant that product n reads, nil where it reads none.
func weightShape(n *graphdef.Node, tree *flow.Tree) tensor.Shape {
	for _, in := range n.Inputs() {
		if c, ok := tree.ConstOf(in); ok {
			if t, err := c.Tensor("value"); err == nil {
				return t.Shape()
			}
		}
	}
	return nil
}

// missing fills in the ops that do not run here; the error is what else stands in the way.
func (r *showResult) missing(m *model, outputs []candidate) error {
	if len(outputs) == 0 {
		return nil
	}
	_, err := runtime.Compile(m.graph, runtime.CompileOptions{Fetches: names(outputs), MaxBytes: memoryShare(1)})
	var missing *runtime.UnsupportedError
	if !errors.As(err, &missing) {
		return err
	}
	for _, op := range slices.Sorted(maps.Keys(missing.Nodes)) {
		r.Unsupported = append(r.Unsupported, shownUnsupports{op, len(missing.Nodes[op]), missing.Nodes[op][0]})
	}
	return nil
}

// print writes r for people.
func (r *showResult) print(w io.Writer, path string) {
	fmt.Fprintf(w, "%s: %d nodes, %s, producer %d\n", path, r.Nodes, formatBytes(int64(r.Bytes)), r.Producer)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	section := func(title string, n int) {
		if n > 0 {
			fmt.Fprintf(t, "\n%s\n", title)
		}
	}
	row := func(cells ...string) {
		fmt.Fprintf(t, "  %s\n", strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	section("inputs", len(r.Inputs))
	for _, v := range r.Inputs {
		note := ""
		if v.Optional {
			note = "has a default"
		}
		row(v.Name, v.DType, v.text, note)
	}
	section("outputs", len(r.Outputs))
	for _, v := range r.Outputs {
		row(v.Name, v.DType, v.text)
	}
	section("ops that do not run here", len(r.Unsupported))
	for _, u := range r.Unsupported {
		row(u.Op, strconv.Itoa(u.Nodes), fmt.Sprintf("first %q", u.First))
	}
	fmt.Fprintf(t, "\nweights: %d elements in %d constants, %s\n", r.Weights.Elements, r.Weights.Constants, formatBytes(int64(r.Weights.Bytes)))
	for _, d := range slices.Sorted(maps.Keys(r.Weights.ByDType)) {
		row(d, formatBytes(int64(r.Weights.ByDType[d])))
	}
	section("loops", len(r.Loops))
	for _, l := range r.Loops {
		row(l.Name, count(l.Variables, "variable"), count(l.Nodes, "node"), count(l.Products, "product"))
	}
	section("functions", len(r.Functions))
	for _, f := range r.Functions {
		row(f.Name, count(f.Nodes, "node"))
	}
	section("candidates for INT8: "+count(len(r.Candidates), "product"), len(r.Candidates))
	for _, c := range r.Candidates {
		weights, loop := "two activations", ""
		if c.Weights != nil {
			weights = "weights " + c.Weights.String()
		}
		if c.Loop != "" {
			loop = "in " + c.Loop
		}
		row(c.Node, c.Op, weights, loop)
	}
	section("ops", len(r.Ops))
	for _, op := range r.Ops {
		row(op.Op, strconv.Itoa(op.Count))
	}
}
