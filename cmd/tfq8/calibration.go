package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/internal/npy"
	"github.com/tfq8/tfq8/internal/translate"
	"github.com/tfq8/tfq8/passes"
	"github.com/tfq8/tfq8/runtime/text"
	"github.com/tfq8/tfq8/tensor"
)

// calibration collects the feeds of the files that --calibrate names.
type calibration struct {
	m        *model
	flags    *textFlags
	spm      *text.Model
	outputs  []candidate
	required []candidate // the inputs that the outputs need
	optional []candidate // those that have a default

	texts map[string][][]int          // sentences by input; all texts are parallel
	parts map[string][]*tensor.Tensor // arrays of single inputs: the k-th of each make up a feed
	whole []map[string]*tensor.Tensor // feeds that came whole
	from  map[string]string           // the file that an input's data came from, for messages
}

// calibrationFeeds reads the files that specs name, [FEED=]FILE, and returns the feeds and the names of the tensors that every
// one of them gives.
func (s *streams) calibrationFeeds(m *model, inputs, outputs []candidate, flags *textFlags, specs []string) ([]passes.Feeds, []string, error) {
	c := &calibration{
		m: m, flags: flags, outputs: outputs, required: inputs,
		texts: map[string][][]int{}, parts: map[string][]*tensor.Tensor{}, from: map[string]string{},
	}
	if flags.spm != "" {
		var err error
		if c.spm, err = flags.load(); err != nil {
			return nil, nil, err
		}
	}
	for _, in := range m.inputs() {
		if in.Optional {
			c.optional = append(c.optional, in)
		}
	}
	for _, spec := range specs {
		if err := c.read(spec); err != nil {
			return nil, nil, fmt.Errorf("--calibrate %s: %w", clip(spec), err)
		}
	}
	feeds, err := c.feeds()
	if err != nil {
		return nil, nil, fmt.Errorf("--calibrate: %w", err)
	}
	fed, err := c.complete(feeds)
	if err != nil {
		return nil, nil, fmt.Errorf("--calibrate: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.from)) {
		if !slices.Contains(fed, name) {
			s.note("the outputs do not need %q: %s is not used", name, c.from[name])
		}
	}
	return feeds, fed, nil
}

// read takes in one file.
func (c *calibration) read(spec string) error {
	path, in := spec, (*candidate)(nil)
	if name, file, ok := strings.Cut(spec, "="); ok {
		o, err := c.m.resolve(name, false)
		if _, statErr := os.Stat(spec); err != nil && statErr != nil {
			return fmt.Errorf("%w; %s", err, listCandidates(c.required))
		} else if err == nil {
			found := c.m.candidate(o)
			path, in = file, &found
		}
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case ext == ".jsonl" && in != nil:
		return fmt.Errorf("each line of a .jsonl file names its inputs itself; leave out %q", in.Name+"=")
	case ext == ".jsonl":
		return c.readLines(path)
	case ext == ".npz" && in == nil:
		return c.readArchive(path)
	case ext == ".npz":
		t, err := npzMember(path, in.Name)
		return c.addPart(in, path, t, err)
	case ext == ".npy":
		t, err := npy.ReadFile(path)
		if in == nil && err == nil {
			in, err = c.only("array", func(candidate) bool { return true })
		}
		return c.addPart(in, path, t, err)
	}
	return c.readText(path, in)
}

// only returns the one required input that fits; what names the kind of data in the error.
func (c *calibration) only(what string, fits func(candidate) bool) (*candidate, error) {
	var list []candidate
	for _, in := range c.required {
		if fits(in) {
			list = append(list, in)
		}
	}
	switch len(list) {
	case 0:
		return nil, fmt.Errorf("no input that the outputs need takes its %s; %s", what, listCandidates(c.required))
	case 1:
		return &list[0], nil
	}
	return nil, fmt.Errorf("%d inputs could take its %s: write FEED=FILE, or name fewer --outputs; %s", len(list), what, listCandidates(list))
}

// isText reports whether c can be a batch of sentences.
func isText(c candidate) bool {
	rank, known := c.Shape.Rank()
	return (c.DType == tensor.Int32 || c.DType == tensor.Int64) && (!known || rank == 2)
}

// readText adds the sentences of a text file, one a line.
func (c *calibration) readText(path string, in *candidate) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if in == nil {
		if in, err = c.only("sentences", isText); err != nil {
			return err
		}
	} else if !isText(*in) {
		return fmt.Errorf("sentences become integers [batch, length], and the input is %v; give a .npy, .npz or .jsonl file", *in)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return errors.New("it is not text: it holds a zero byte")
	}
	if c.spm == nil {
		return errors.New("--spm is missing: name the SentencePiece model that cuts text into pieces")
	}
	lines := translate.Lines(string(b))
	if len(lines) == 0 {
		return errors.New("it has no lines")
	}
	c.texts[in.Name] = append(c.texts[in.Name], translate.Encode(c.spm, lines, c.flags.eos)...)
	c.from[in.Name] = path
	return nil
}

// addPart adds an array that is the value of one input in one feed.
func (c *calibration) addPart(in *candidate, path string, t *tensor.Tensor, err error) error {
	if err != nil {
		return err
	}
	if t, err = in.accept(t); err != nil {
		return fmt.Errorf("input %q: %w", in.Name, err)
	}
	c.parts[in.Name] = append(c.parts[in.Name], t)
	c.from[in.Name] = path
	return nil
}

// readArchive adds an archive as one feed; the arrays have the names of inputs.
func (c *calibration) readArchive(path string) error {
	list, err := npy.ReadArchive(path)
	if err != nil {
		return err
	}
	feed := map[string]*tensor.Tensor{}
	for _, a := range list {
		if err := c.addTo(feed, a.Name, path, func(candidate) (*tensor.Tensor, error) { return a.Tensor, nil }); err != nil {
			return err
		}
	}
	c.whole = append(c.whole, feed)
	return nil
}

// addTo puts a value under the name of an input in a feed.
func (c *calibration) addTo(feed map[string]*tensor.Tensor, name, path string, value func(candidate) (*tensor.Tensor, error)) error {
	o, err := c.m.resolve(name, false)
	if err != nil {
		return fmt.Errorf("%w; %s", err, listCandidates(c.required))
	}
	in := c.m.candidate(o)
	t, err := value(in)
	if err == nil {
		t, err = in.accept(t)
	}
	if err != nil {
		return fmt.Errorf("input %q: %w", name, err)
	}
	feed[in.Name] = t
	c.from[in.Name] = path
	return nil
}

// maxLine bounds the lines of .jsonl files, in bytes.
const maxLine = 1 << 28

// readLines adds a .jsonl file: each line is a feed, {"input": nested lists, …}.
func (c *calibration) readLines(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, maxLine)
	for number := 1; scan.Scan(); number++ {
		if len(bytes.TrimSpace(scan.Bytes())) == 0 {
			continue
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(scan.Bytes(), &object); err != nil {
			return fmt.Errorf(`line %d: %w; want {"input": nested lists}`, number, err)
		}
		feed := map[string]*tensor.Tensor{}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			err := c.addTo(feed, name, path, func(in candidate) (*tensor.Tensor, error) { return parseLiteral(string(object[name]), in.DType) })
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		c.whole = append(c.whole, feed)
	}
	return scan.Err()
}

// feeds makes feeds of all that was read.
func (c *calibration) feeds() ([]passes.Feeds, error) {
	list := slices.Clone(c.whole)
	names := slices.Sorted(maps.Keys(c.parts))
	for _, name := range names {
		if have, want := len(c.parts[name]), len(c.parts[names[0]]); have != want {
			return nil, fmt.Errorf("input %q has %d arrays and %q %d; each feed needs one of each", names[0], want, name, have)
		}
	}
	for i := range c.parts[first(names)] {
		feed := map[string]*tensor.Tensor{}
		for _, name := range names {
			feed[name] = c.parts[name][i]
		}
		list = append(list, feed)
	}
	names = slices.Sorted(maps.Keys(c.texts))
	var texts [][][]int
	for _, name := range names {
		if have, want := len(c.texts[name]), len(c.texts[names[0]]); have != want {
			return nil, fmt.Errorf("input %q has %d lines of text and %q %d; they must be parallel", names[0], want, name, have)
		}
		texts = append(texts, c.texts[name])
	}
	for _, batch := range (translate.Packing{Sentences: c.flags.batch}).Batches(texts...) {
		feed := map[string]*tensor.Tensor{}
		for i, name := range names {
			o, err := c.m.resolve(name, false)
			if err != nil {
				return nil, err
			}
			feed[name] = translate.Pad(c.m.candidate(o).DType, c.flags.pad, texts[i], batch)
		}
		list = append(list, feed)
	}
	if len(list) == 0 {
		return nil, errors.New("the files hold no feeds")
	}
	return list, nil
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// complete checks that every feed gives all inputs that the outputs need, and returns the names of those that are fed: these,
// and inputs with a default that every feed gives. Others are taken out of the feeds.
func (c *calibration) complete(feeds []passes.Feeds) ([]string, error) {
	var fed, missing []string
	for _, in := range c.required {
		if fed = append(fed, in.Name); c.from[in.Name] == "" {
			missing = append(missing, in.String())
			continue
		}
		for i, f := range feeds {
			if _, ok := f[in.Name]; !ok {
				return nil, fmt.Errorf("feed %d has no value for input %q, which others have", i+1, in.Name)
			}
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("no data for the input %s; add --calibrate FEED=FILE for it%s", strings.Join(missing, ", "), c.otherOutputs())
	}
	for _, in := range c.optional {
		n := 0
		for _, f := range feeds {
			if _, ok := f[in.Name]; ok {
				n++
			}
		}
		switch {
		case slices.Contains(fed, in.Name):
		case n == len(feeds):
			fed = append(fed, in.Name)
		case n > 0:
			return nil, fmt.Errorf("%d of %d feeds have a value for input %q; give it in all or in none", n, len(feeds), in.Name)
		}
	}
	for _, f := range feeds {
		maps.DeleteFunc(f, func(name string, _ *tensor.Tensor) bool { return !slices.Contains(fed, name) })
	}
	return fed, nil
}

// otherOutputs names the outputs that need no more inputs than there is data for.
func (c *calibration) otherOutputs() string {
	var flags []string
	for _, o := range c.outputs {
		inputs, err := c.m.feedsOf(&modelFlags{}, []candidate{o})
		if err == nil && !slices.ContainsFunc(inputs, func(in candidate) bool { return c.from[in.Name] == "" }) {
			flags = append(flags, "--outputs "+o.Name)
		}
	}
	if flags == nil {
		return ""
	}
	return ", or convert only what does without it: " + strings.Join(flags, " ")
}
