package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/npy"
	"github.com/tfq8/tfq8/tensor"
)

// feed is one value of --feed.
type feed struct {
	name  string // as the user wrote it
	out   graphdef.Output
	value *tensor.Tensor
}

// parseFeeds reads the values of --feed: NAME=FILE.npy, NAME=FILE.npz (the member called NAME, or the only one), NAME=- (an
// array on standard input), NAME=LITERAL or NAME=DTYPE:LITERAL.
func (s *streams) parseFeeds(m *model, specs []string) ([]feed, error) {
	var list []feed
	for _, spec := range specs {
		name, text, ok := strings.Cut(spec, "=")
		if !ok {
			return nil, fmt.Errorf("--feed %s: want NAME=FILE.npy or NAME=LITERAL", clip(spec))
		}
		o, err := m.resolve(name, false)
		if err != nil {
			return nil, fmt.Errorf("--feed: %s: %w; %s", m.path, err, listCandidates(m.inputs()))
		}
		if slices.ContainsFunc(list, func(f feed) bool { return f.out == o }) {
			return nil, fmt.Errorf("--feed %s: given twice", name)
		}
		t, err := s.feedValue(m.candidate(o), name, text)
		if err != nil {
			return nil, fmt.Errorf("--feed %s: %w", name, err)
		}
		list = append(list, feed{name: name, out: o, value: t})
	}
	return list, nil
}

// feedValue reads the right side of one --feed.
func (s *streams) feedValue(c candidate, name, text string) (*tensor.Tensor, error) {
	var t *tensor.Tensor
	var err error
	switch ext := strings.ToLower(filepath.Ext(text)); {
	case text == "-":
		t, err = npy.Read(s.in)
	case ext == ".npy" && !strings.HasPrefix(text, `"`):
		t, err = npy.ReadFile(text)
	case ext == ".npz" && !strings.HasPrefix(text, `"`):
		t, err = npzMember(text, name)
	default:
		d := c.DType
		if prefix, rest, ok := strings.Cut(text, ":"); ok {
			if p, err := tensor.ParseDType(prefix); err == nil {
				d, text = p, rest
			}
		}
		if d == tensor.Invalid {
			return nil, fmt.Errorf("the graph does not say its dtype; say it as in %s=int32:[1, 2]", name)
		}
		t, err = parseLiteral(text, d)
	}
	if err != nil {
		return nil, err
	}
	return c.accept(t)
}

// accept returns t as the value of c, or says why it cannot be that.
func (c candidate) accept(t *tensor.Tensor) (*tensor.Tensor, error) {
	// NumPy has no quantized types: their plain integers stand for them.
	if c.DType.IsQuantized() && t.DType().IsInteger() && t.DType().Size() == c.DType.Size() {
		t = t.As(c.DType)
	}
	if c.DType != tensor.Invalid && t.DType() != c.DType {
		return nil, fmt.Errorf("have dtype %v, want %v", t.DType(), c.DType)
	}
	if !c.Shape.Accepts(t.Shape()) {
		return nil, fmt.Errorf("have shape %v, want %v", t.Shape(), c.Shape)
	}
	return t, nil
}

// npzMember returns the array of an archive that is called name, or the only one.
func npzMember(path, name string) (*tensor.Tensor, error) {
	list, err := npy.ReadArchive(path)
	if err != nil {
		return nil, err
	}
	var have []string
	for _, a := range list {
		if a.Name == name || a.Name == strings.TrimSuffix(name, ":0") || len(list) == 1 {
			return a.Tensor, nil
		}
		have = append(have, a.Name)
	}
	return nil, fmt.Errorf("%s has no array %q, it has %q", path, name, have)
}

// missingInputs returns the placeholders without default that the fetches need and nobody feeds.
func (m *model) missingInputs(fetches []candidate, fed []graphdef.Output) []candidate {
	isFed := map[graphdef.Output]bool{}
	for _, o := range fed {
		isFed[o] = true
	}
	seen := map[*graphdef.Node]bool{}
	var stack []*graphdef.Node
	for _, c := range fetches {
		if !isFed[c.Output] {
			stack = append(stack, c.Output.Node)
		}
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, in := range n.Inputs() {
			if !isFed[in] {
				stack = append(stack, in.Node)
			}
		}
		stack = append(stack, n.Controls()...)
	}
	var list []candidate
	for _, n := range m.graph.Nodes() {
		if seen[n] && n.Op() == "Placeholder" && !isFed[n.Out(0)] {
			list = append(list, m.candidate(n.Out(0)))
		}
	}
	return list
}
