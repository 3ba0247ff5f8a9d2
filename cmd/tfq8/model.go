package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// model is a loaded graph with what its inputs and outputs seem to be.
type model struct {
	path   string
	graph  *graphdef.Graph
	shapes *graphdef.Shapes
	opened *savedmodel.Model
}

// candidate is one tensor that may be fed or fetched.
type candidate struct {
	Name  string              `json:"name"` // of the node, with :index except for output 0
	DType tensor.DType        `json:"-"`
	Shape tensor.PartialShape `json:"-"`
	// Optional is true for inputs that have a default.
	Optional bool            `json:"-"`
	Output   graphdef.Output `json:"-"`
}

// String formats c as error messages list it: "source" int32 [?, ?].
func (c candidate) String() string {
	return fmt.Sprintf("%q %v %v", c.Name, c.DType, c.Shape)
}

// openModel opens a model of any form.
func openModel(path string, opts savedmodel.Options) (*model, error) {
	m, err := savedmodel.Open(path, opts)
	if err != nil {
		return nil, err
	}
	return newModel(path, m), nil
}

func newModel(path string, m *savedmodel.Model) *model {
	return &model{path: path, graph: m.Graph, shapes: graphdef.Infer(m.Graph), opened: m}
}

// openModel opens a model of any form, or a graph on standard input for "-".
func (s *streams) openModel(path string, opts savedmodel.Options) (*model, error) {
	if path != "-" {
		return openModel(path, opts)
	}
	b, err := io.ReadAll(s.in)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	m, err := savedmodel.Read(b, opts)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return newModel(path, m), nil
}

// resolve returns the tensor that name means: a key of the model's signatures, a node or a tensor. output says which of the two
// sides of signatures is looked at first.
func (m *model) resolve(name string, output bool) (graphdef.Output, error) {
	if m.opened != nil && len(m.opened.Signatures) > 0 {
		for _, side := range []bool{output, !output} {
			info, err := m.opened.Info(name, side)
			if err != nil {
				return graphdef.Output{}, err
			}
			if info != nil {
				return m.opened.Resolve(name, side)
			}
		}
		if o, err := m.opened.Resolve(name, output); err == nil {
			return o, nil
		}
	}
	return runtime.Resolve(m.graph, name)
}

// signatureTensors returns the inputs or outputs of the model's signatures, each once; nil where it has none.
func (m *model) signatureTensors(output bool) []candidate {
	if m.opened == nil {
		return nil
	}
	var list []candidate
	for _, s := range m.opened.Signatures {
		infos := s.Inputs
		if output {
			infos = s.Outputs
		}
		for _, info := range infos {
			o, err := m.opened.Resolve(info.Tensor, output)
			if err != nil || slices.ContainsFunc(list, func(c candidate) bool { return c.Output == o }) {
				continue
			}
			c := m.candidate(o)
			if c.DType == tensor.Invalid {
				c.DType = info.DType
			}
			if _, known := c.Shape.Rank(); !known {
				c.Shape = info.Shape
			}
			c.Optional = o.Node.Op() == "PlaceholderWithDefault"
			list = append(list, c)
		}
	}
	return list
}

// notFed matches the names of placeholders that nobody is meant to feed: those of savers, assets and dead control flow.
var notFed = regexp.MustCompile(`(^|/)(save(_\d+)?/.*|saver_filename|asset_path.*|unused_control_flow_input.*)$`)

// inputs returns the inputs of the model's signatures, or the placeholders that something reads, in file order.
func (m *model) inputs() []candidate {
	list := m.signatureTensors(false)
	if list != nil {
		return list
	}
	for _, n := range m.graph.Nodes() {
		if n.Op() != "Placeholder" && n.Op() != "PlaceholderWithDefault" || len(n.Users()) == 0 || notFed.MatchString(n.Name()) {
			continue
		}
		c := m.candidate(n.Out(0))
		if c.DType == tensor.Resource || c.DType == tensor.Variant {
			continue
		}
		c.Optional = n.Op() == "PlaceholderWithDefault"
		list = append(list, c)
	}
	return list
}

// noOutput are the ops whose nodes no one fetches although nothing reads them.
var noOutput = map[string]bool{
	"Const": true, "Placeholder": true, "PlaceholderWithDefault": true, "NoOp": true, "Assert": true, "Print": true,
	"VarIsInitializedOp": true, "IsVariableInitialized": true, "Switch": true, "NextIteration": true, "ControlTrigger": true,
}

// outputs returns the outputs of the model's signatures, or the tensors that nothing reads, in file order; what a loop leaves
// behind ranks last, and what lies in loops and branches counts only where there is nothing else.
func (m *model) outputs() []candidate {
	if list := m.signatureTensors(true); list != nil {
		return list
	}
	always := savedmodel.Unconditional(m.graph)
	var list, exits, inside []candidate
	for _, n := range m.graph.Nodes() {
		op := n.Op()
		if noOutput[op] || strings.HasPrefix(op, "Assign") || strings.HasPrefix(op, "Save") || strings.HasPrefix(op, "Restore") {
			continue
		}
		num, err := n.NumOutputs()
		if err != nil {
			num = 1 // an op that is not known: it has an output if anyone wants one
		}
		if num == 0 || slices.ContainsFunc(n.Users(), func(u graphdef.Use) bool { return u.Input != graphdef.ControlInput }) {
			continue
		}
		for i := range num {
			c := m.candidate(n.Out(i))
			switch {
			case c.DType == tensor.Resource || c.DType == tensor.Variant:
			case op == "Exit" || op == "RefExit":
				exits = append(exits, c)
			case !always[n]:
				inside = append(inside, c)
			default:
				list = append(list, c)
			}
		}
	}
	if len(list) == 0 && len(exits) == 0 {
		return inside
	}
	return append(list, exits...)
}

// candidate describes o.
func (m *model) candidate(o graphdef.Output) candidate {
	return candidate{Name: tensorName(o), DType: m.shapes.Type(o), Shape: m.shapes.Shape(o), Output: o}
}

// tensorName returns the name of o, without the :0 that goes without saying.
func tensorName(o graphdef.Output) string {
	if o.Index == 0 {
		return o.Node.Name()
	}
	return o.String()
}

// feedsOf returns what must be fed for the fetches: the tensors named by --inputs, or the inputs that the fetches depend
// on, except those with a default.
func (m *model) feedsOf(f *modelFlags, fetches []candidate) ([]candidate, error) {
	if len(f.inputs) > 0 {
		return m.named("--inputs", f.inputs, m.inputs())
	}
	var nodes []*graphdef.Node
	for _, c := range fetches {
		nodes = append(nodes, c.Output.Node)
	}
	needed := graphdef.Ancestors(nodes...)
	var list []candidate
	for _, c := range m.inputs() {
		if needed[c.Output.Node] && !c.Optional {
			list = append(list, c)
		}
	}
	return list, nil
}

// fetches returns the tensors named by --outputs, or all outputs that the graph seems to have except what loops leave
// behind, unless there is nothing else.
func (m *model) fetches(f *modelFlags) ([]candidate, error) {
	all := m.outputs()
	if len(f.outputs) > 0 {
		return m.named("--outputs", f.outputs, all)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: the graph has no tensor that nothing reads; name its outputs with --outputs", m.path)
	}
	list := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return strings.HasSuffix(c.Output.Node.Op(), "Exit") })
	if len(list) == 0 {
		return all, nil
	}
	return list, nil
}

// named resolves names; an error says what was asked with (a flag) and lists the candidates.
func (m *model) named(what string, names []string, candidates []candidate) ([]candidate, error) {
	var list []candidate
	for _, name := range names {
		o, err := m.resolve(name, what != "--inputs")
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w; %s", what, m.path, err, listCandidates(candidates))
		}
		list = append(list, m.candidate(o))
	}
	return list, nil
}

// listCandidates formats candidates for the end of an error message.
func listCandidates(list []candidate) string {
	if len(list) == 0 {
		return "there are no candidates"
	}
	const most = 12
	var text []string
	for _, c := range list[:min(len(list), most)] {
		text = append(text, c.String())
	}
	if len(list) > most {
		text = append(text, "and "+strconv.Itoa(len(list)-most)+" more")
	}
	return "candidates: " + strings.Join(text, ", ")
}

// names returns the names of candidates.
func names(list []candidate) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}
