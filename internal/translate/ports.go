package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/tensor"
)

// Ports are the tensors of a graph that translation uses.
type Ports struct {
	// Source is the integer placeholder [batch, length] that is fed.
	Source graphdef.Output
	// SourceType is tensor.Int32 or tensor.Int64.
	SourceType tensor.DType
	// Target is the integer output [batch, length] or [batch, beam, length], the best beam first.
	Target graphdef.Output
	// Scores is the float output with one number for each hypothesis; its Node is nil where the graph has none.
	Scores graphdef.Output
}

// ChoiceError says that a graph does not have exactly one tensor that can play a part.
type ChoiceError struct {
	Want       string // what was looked for
	Fits       int    // how many candidates fit
	Candidates []Candidate
}

// Candidate is a tensor that was considered, or fitted.
type Candidate struct {
	Name  string
	DType tensor.DType
	Shape tensor.PartialShape
}

func (e *ChoiceError) Error() string {
	const most = 12
	var list []string
	for _, c := range e.Candidates[:min(len(e.Candidates), most)] {
		list = append(list, fmt.Sprintf("%q %v %v", c.Name, c.DType, c.Shape))
	}
	if more := len(e.Candidates) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	if list == nil {
		list = []string{"none"}
	}
	found := "no output is"
	if e.Fits > 0 {
		found = fmt.Sprintf("%d outputs are", e.Fits)
	}
	return fmt.Sprintf("%s %s; candidates: %s", found, e.Want, strings.Join(list, ", "))
}

// Choose finds the ports of g. The target is the one of the outputs that is of an integer dtype, [batch, length] or [batch,
// beam, length], and depends on exactly one of the inputs, which is of dtype int32 or int64, [batch, length]. The scores are
// the one output of a float dtype that depends on the same input alone and has one dimension less. inputs are the tensors
// that may be fed, without those that have a default. The error for a target that is missing or ambiguous is a *ChoiceError.
func Choose(g *graphdef.Graph, shapes *graphdef.Shapes, inputs, outputs []graphdef.Output) (Ports, error) {
	c := &chooser{shapes: shapes, inputs: inputs}
	var err error
	if c.tree, err = flow.Analyze(g); err != nil {
		return Ports{}, err
	}
	var fits []Ports
	for _, o := range outputs {
		d := shapes.Type(o)
		if !d.IsInteger() || !c.hasRank(o, 2, 3) {
			continue
		}
		if source, ok := c.source(o); ok {
			fits = append(fits, Ports{Source: source, SourceType: shapes.Type(source), Target: o})
		}
	}
	if len(fits) != 1 {
		e := &ChoiceError{
			Want: "of an integer dtype, [batch, length] or [batch, beam, length], and computed from exactly one integer input [batch, length]",
			Fits: len(fits),
		}
		list := outputs
		if len(fits) > 1 {
			list = nil
			for _, p := range fits {
				list = append(list, p.Target)
			}
		}
		for _, o := range list {
			e.Candidates = append(e.Candidates, c.describe(o))
		}
		return Ports{}, e
	}
	p := fits[0]
	c.chooseScores(&p, outputs)
	return p, nil
}

// chooser is the state of one Choose.
type chooser struct {
	shapes *graphdef.Shapes
	tree   *flow.Tree
	inputs []graphdef.Output
}

func (c *chooser) describe(o graphdef.Output) Candidate {
	name := o.Node.Name()
	if o.Index > 0 {
		name = o.String()
	}
	return Candidate{Name: name, DType: c.shapes.Type(o), Shape: c.shapes.Shape(o)}
}

// hasRank reports whether the rank of o is one of those given, or not known.
func (c *chooser) hasRank(o graphdef.Output, ranks ...int) bool {
	rank, ok := c.shapes.Shape(o).Rank()
	return !ok || slices.Contains(ranks, rank)
}

// source returns the one input that o depends on, if it can be a batch of sentences.
func (c *chooser) source(o graphdef.Output) (graphdef.Output, bool) {
	needed := map[*graphdef.Node]bool{}
	for _, n := range c.tree.Placeholders(o.Node) {
		needed[n] = true
	}
	var found []graphdef.Output
	for _, in := range c.inputs {
		// A tensor in the middle of the graph may be fed as well.
		if !strings.HasPrefix(in.Node.Op(), "Placeholder") {
			needed[in.Node] = graphdef.Ancestors(o.Node)[in.Node]
		}
		if needed[in.Node] {
			found = append(found, in)
		}
	}
	if len(found) != 1 {
		return graphdef.Output{}, false
	}
	in := found[0]
	d := c.shapes.Type(in)
	return in, (d == tensor.Int32 || d == tensor.Int64) && c.hasRank(in, 2)
}

// chooseScores sets p.Scores if exactly one output can be that.
func (c *chooser) chooseScores(p *Ports, outputs []graphdef.Output) {
	rank, known := c.shapes.Shape(p.Target).Rank()
	var fits []graphdef.Output
	for _, o := range outputs {
		if !c.shapes.Type(o).IsFloat() || known && !c.hasRank(o, rank-1) || !known && !c.hasRank(o, 1, 2) {
			continue
		}
		if source, ok := c.source(o); ok && source == p.Source {
			fits = append(fits, o)
		}
	}
	if len(fits) == 1 {
		p.Scores = fits[0]
	}
}
