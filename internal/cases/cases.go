// Package cases reads files of recorded answers: what a graph must return for given inputs. A Case is one file; Compare
// tells whether a tensor agrees with an Expectation and how far off it is. It does not run anything.
//
//	c, err := cases.Load("conformance/cases/reduce/Sum_f32_all.pb")
//	for _, e := range c.Expect {
//		diff, err := cases.Compare(outputs[e.Of], e)
//	}
package cases

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Case is one file of recorded answers. An op case holds the graph that gives them; a model case belongs to a model that is
// given beside it.
type Case struct {
	Name string
	// Graph is the graph of an op case, with its inputs as constants and without the answers; nil in a model case, and
	// where the graph was refused.
	Graph *graphdef.Graph
	// Refused is why the graph of a case that must fail cannot be read; such a case has passed.
	Refused error
	// Feeds are the inputs that have to be fed.
	Feeds []Feed
	// Constants are the inputs of an op case, which may be fed or left as the constants that they are.
	Constants []Feed
	// Expect are the answers, in order; empty where Fails is set.
	Expect []Expectation
	// Fails is the tensor of an op case whose computation must fail, at any stage; "" in all others.
	Fails string
	// Message is what TensorFlow said of the failure.
	Message string
}

// Feed is an input with its value.
type Feed struct {
	// Name is the tensor, node or signature input to feed.
	Name string
	// Tensor is its name in frozen graphs, where the file says one.
	Tensor string
	// Signature is the signature that Name is an input of, where the file says one.
	Signature string
	Value     *tensor.Tensor
}

// Expectation is one tensor that must come out.
type Expectation struct {
	// Of is the tensor, node or signature output.
	Of string
	// Tensor and Signature are as in Feed.
	Tensor, Signature string
	Want              *tensor.Tensor
	// Exact asks for equal values; Bits also for equal signs of zeros.
	Exact, Bits bool
	// Rtol and Atol bound |got-want| by Atol + Rtol·|want| where Exact is false.
	Rtol, Atol float64
	// Undefined marks answers that rest on undefined behaviour of C++, as x86 gives them.
	Undefined bool
	// OneDNN marks answers of TensorFlow's oneDNN build path.
	OneDNN bool
}

// Load reads a case file. A graph that cannot be read is an error, but in a file NAME.error.pb it is Case.Refused.
func Load(path string) (*Case, error) {
	b, err := graphdef.ReadFile(path)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	c, err := Read(b)
	if err != nil && strings.HasSuffix(base, ".error.pb") {
		c, err = &Case{Refused: err}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("case %q: %w", path, err)
	}
	c.Name = strings.TrimSuffix(base, ".pb")
	return c, nil
}

// Read decodes a case file, whose bytes it keeps: a binary GraphDef, or one of the forms of text that package graphdef reads.
func Read(b []byte) (*Case, error) {
	var g *graphdef.Graph
	var err error
	switch graphdef.Sniff(b) {
	case graphdef.FormPbtxt:
		g, err = graphdef.ReadPbtxt(b)
	case graphdef.FormText:
		g, err = graphdef.Parse(string(b))
	default:
		g, err = graphdef.Read(b)
	}
	if err != nil {
		return nil, err
	}
	c := &Case{}
	for _, n := range g.Nodes() {
		if err := c.add(n); err != nil {
			return nil, err
		}
	}
	if len(c.Expect) == 0 && c.Fails == "" {
		return nil, fmt.Errorf("not a case file: have no node expect/0, want what must come out")
	}
	g.RemoveAll(func(n *graphdef.Node) bool { return isAnswer(n) || isFeed(n) })
	if len(g.Nodes()) > 0 {
		c.Graph = g
	}
	return c, nil
}

func isAnswer(n *graphdef.Node) bool { return strings.HasPrefix(n.Name(), "expect/") }
func isFeed(n *graphdef.Node) bool   { return strings.HasPrefix(n.Name(), "feed/") }

// add takes what n says of the case.
func (c *Case) add(n *graphdef.Node) error {
	answer, feed := isAnswer(n), isFeed(n)
	if n.Op() != "Const" || !answer && !feed && !strings.HasPrefix(n.Name(), "in/") {
		return nil
	}
	v, err := n.Tensor("value")
	switch {
	case err != nil && (answer || feed):
		return err
	case err != nil: // a faulty constant is the point of some cases that must fail
		return nil
	case n.Name() == "expect/error":
		c.Fails = text(n, "_of")
		if c.Fails == "" {
			return n.Errorf("has no attribute _of, want the tensor whose computation fails")
		}
		if s := v.Strings(); len(s) > 0 {
			c.Message = s[0]
		}
	case answer:
		e := Expectation{
			Of: text(n, "_of"), Tensor: text(n, "_tensor"), Signature: text(n, "_signature"), Want: v,
			Exact: flag(n, "_exact"), Bits: flag(n, "_bits"), Rtol: number(n, "_rtol"), Atol: number(n, "_atol"),
			Undefined: flag(n, "_ub"), OneDNN: flag(n, "_onednn"),
		}
		if e.Of == "" {
			return n.Errorf("has no attribute _of, want the tensor that it answers")
		}
		c.Expect = append(c.Expect, e)
	case feed:
		f := Feed{Name: text(n, "_name"), Tensor: text(n, "_tensor"), Signature: text(n, "_signature"), Value: v}
		if f.Name == "" {
			return n.Errorf("has no attribute _name, want the tensor that it feeds")
		}
		c.Feeds = append(c.Feeds, f)
	default:
		if to := text(n, "_feed"); to != "" {
			c.Feeds = append(c.Feeds, Feed{Name: to, Value: v})
		}
		c.Constants = append(c.Constants, Feed{Name: n.Name() + ":0", Value: v})
	}
	return nil
}

func text(n *graphdef.Node, attr string) string {
	a, _ := n.Attr(attr)
	s, _ := a.AsString()
	return s
}

func flag(n *graphdef.Node, attr string) bool {
	a, _ := n.Attr(attr)
	v, _ := a.AsBool()
	return v
}

func number(n *graphdef.Node, attr string) float64 {
	a, _ := n.Attr(attr)
	v, _ := a.AsFloat()
	return float64(v)
}
