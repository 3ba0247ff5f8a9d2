package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/internal/agree"
	"github.com/tfq8/tfq8/passes"
	"github.com/tfq8/tfq8/tensor"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	computeFlags
	modelFlags
	textFlags
	json           jsonFlag
	out            string
	calibrate      []string
	rule, target   string
	reduceRange    bool
	embeddings     string
	exclude        []string
	stats          []string
	saveStats      string
	thresholds     string
	saveThresholds string
	dump           string
}

func newConvertCmd(s *streams) *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert MODEL -o OUT.pb --calibrate [FEED=]FILE...",
		Short: "Convert a frozen FP32 graph to INT8",
		Long: `convert cleans the graph, observes on the calibration files which values the inputs
of its matrix products take, chooses a threshold for each, and rewrites the products
to INT8. It prints what each pass did and, of every product, INT8 or why not. Then it
loads what it wrote and compares the outputs of both graphs on 16 of the feeds.

A --calibrate FILE is text, a sentence a line (with --spm), .jsonl (a feed a line,
{"input": nested lists}), .npz (a feed, arrays named as inputs) or .npy. FEED= names
the input where several could take the data; texts for several inputs are parallel.
Nothing is written where the result is not the same model any more.

--target tensorflow writes ops that stock TensorFlow 2.17 or newer runs; tfq8 also
computes products of two activations in INT8 and keeps decoder caches as codes.
Tables that embedding lookups read become codes too, unless --embeddings is fp32.
--rule: ` + strings.Join(calib.RuleNames(), ", ") + `.`,
		Example: `  tfq8 convert numbers.pb -o int8.pb --spm spm.model --calibrate source=calibration.en --calibrate target=calibration.de
  tfq8 convert numbers.pb -o int8.pb --spm spm.model --calibrate calibration.en --outputs translations --outputs scores --target tfq8
  tfq8 convert numbers.pb -o int8.pb --calibrate feed.npz --exclude '/layer_0/ffn/' --save-stats stats.json
  tfq8 convert numbers.pb -o minmax.pb --stats stats.json --rule minmax --json`,
		Args:              positional(1, 1, "MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.context(cmd.Context(), s)
			defer cancel()
			return runConvert(ctx, s, args[0], &o)
		},
	}
	o.computeFlags.add(cmd)
	o.modelFlags.add(cmd)
	o.textFlags.add(cmd)
	o.json.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "`file` (.pb, .pbtxt, .txt) or directory of a SavedModel to write")
	f.StringArrayVar(&o.calibrate, "calibrate", nil, "`[FEED=]FILE` of typical inputs (repeat for more)")
	f.StringVar(&o.rule, "rule", "guarded-kl", "`rule` that chooses thresholds")
	f.StringVar(&o.target, "target", "tensorflow", "what will run the graph: tensorflow or tfq8")
	f.BoolVar(&o.reduceRange, "reduce-range", false, "keep weights within ±64, for engines that add pairs of products in 16 bits")
	f.StringVar(&o.embeddings, "embeddings", "int8", "how the file holds tables of embedding lookups: int8, or fp32 at the price of a larger file")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave products whose node matches this `regexp` in FP32 (repeat for more)")
	f.StringArrayVar(&o.stats, "stats", nil, "add the statistics of this `file`, from --save-stats (repeat for more)")
	f.StringVar(&o.saveStats, "save-stats", "", "write what was counted to this `file`")
	f.StringVar(&o.thresholds, "thresholds", "", "take the thresholds of this `file`, from --save-thresholds")
	f.StringVar(&o.saveThresholds, "save-thresholds", "", "write the thresholds to this `file`")
	f.StringVar(&o.dump, "dump", "", "write the graph after each pass to this `directory`")
	complete(cmd, "target", passes.TensorFlow.String(), passes.TFQ8.String())
	complete(cmd, "rule", calib.RuleNames()...)
	complete(cmd, "embeddings", "int8", "fp32")
	completeFiles(cmd, "output", "pb", "pbtxt", "txt")
	return cmd
}

// conversion is one run of convert.
type conversion struct {
	*convertOptions
	s       *streams
	m       *model
	inputs  []candidate
	outputs []candidate
	feeds   []passes.Feeds
	opts    passes.Options
	version string
}

func runConvert(ctx context.Context, s *streams, path string, o *convertOptions) error {
	c := &conversion{convertOptions: o, s: s, version: "tfq8 " + versionOf().Version}
	if err := c.prepare(path); err != nil {
		return err
	}
	out, err := s.createModel(o.out, c.inputFiles()...)
	if err != nil {
		return err
	}
	defer out.discard()
	wait := s.newProgress("calibrating")
	c.opts.Progress = wait.at
	res, err := passes.Convert(ctx, c.m.graph, c.opts)
	wait.end()
	if err == nil {
		err = c.refuseBrokenWeights(res)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := c.saveCounts(res); err != nil {
		return err
	}
	if err := out.write(res.Graph, c.m, c.inputs, c.outputs); err != nil {
		return err
	}
	written, err := out.finish()
	if err != nil {
		return err
	}
	// The file leaves out attributes that have their default. Text is no measure of a graph.
	if ext := strings.ToLower(filepath.Ext(o.out)); written != "" && ext != ".pbtxt" && ext != ".txt" {
		size, err := bytesOf(written)
		if err != nil {
			return err
		}
		res.Report.BytesAfter = int(size)
	}
	verdict, err := c.verify(ctx, written, res)
	if err != nil {
		return err
	}
	r := newConvertResult(res, verdict)
	if verdict == nil || verdict.Collapse == "" {
		if err := out.commit(); err != nil {
			return err
		}
	}
	if o.json {
		err = s.printJSON(r)
	} else {
		r.print(c, res)
	}
	if err == nil && verdict != nil && verdict.Collapse != "" {
		s.complain("%s; %s was not written; try --rule minmax, or --exclude the products that harm", verdict.Collapse, o.out)
		err = errNegative
	}
	c.notes(len(res.Report.LeftFloat()), verdict)
	return err
}

// prepare opens the model and makes options of the flags.
func (c *conversion) prepare(path string) error {
	if c.out == "" || c.out == "-" {
		return errors.New("-o is missing: name the file to write")
	}
	if len(c.calibrate) == 0 && len(c.stats) == 0 && c.thresholds == "" {
		return errors.New("--calibrate is missing: name files of typical inputs; or reuse --stats or --thresholds of an earlier run")
	}
	if c.thresholds != "" && (len(c.stats) > 0 || c.saveStats != "") {
		return errors.New("--thresholds makes statistics needless: leave out --stats and --save-stats")
	}
	var err error
	if c.opts.Rule, err = calib.ParseRule(c.rule); err != nil {
		return fmt.Errorf("--rule: %w", err)
	}
	if c.opts.Target, err = parseTarget(c.target); err != nil {
		return err
	}
	switch c.embeddings {
	case "int8":
	case "fp32":
		c.opts.FloatEmbeddings = true
	default:
		return fmt.Errorf("--embeddings: have %q, want int8 or fp32", c.embeddings)
	}
	for _, e := range c.exclude {
		re, err := regexp.Compile(e)
		if err != nil {
			return fmt.Errorf("--exclude: %w", err)
		}
		c.opts.Exclude = append(c.opts.Exclude, re)
	}
	if c.opts.Kernels, err = c.set(); err != nil {
		return err
	}
	if c.opts.Threads, err = c.numThreads(); err != nil {
		return err
	}
	c.opts.ReduceRange, c.opts.MaxBytes = c.reduceRange, c.streamBytes(c.opts.Threads)
	if c.m, err = c.s.openModel(path, c.modelFlags.options()); err != nil {
		return err
	}
	outputs, err := c.m.fetches(&c.modelFlags)
	if err != nil {
		return err
	}
	inputs, err := c.m.feedsOf(&c.modelFlags, outputs)
	if err != nil {
		return err
	}
	c.inputs, c.outputs = inputs, outputs
	c.opts.Inputs, c.opts.Outputs = names(inputs), names(outputs)
	if len(c.calibrate) > 0 {
		if c.feeds, c.opts.Inputs, err = c.s.calibrationFeeds(c.m, inputs, outputs, &c.textFlags, c.calibrate); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		c.opts.Calibrate = c.feeds
	}
	if err := c.readCounts(); err != nil {
		return err
	}
	return c.prepareDump()
}

func parseTarget(name string) (passes.Target, error) {
	for _, t := range []passes.Target{passes.TensorFlow, passes.TFQ8} {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("--target: have %q, want tensorflow or tfq8", name)
}

// inputFiles returns the files that are read, so that none is written over.
func (c *conversion) inputFiles() []string {
	list := append([]string{c.m.path, c.spm, c.thresholds}, c.stats...)
	for _, spec := range c.calibrate {
		_, file, _ := strings.Cut(spec, "=")
		list = append(list, spec, file)
	}
	return list
}

// readCounts reads the files of --stats and --thresholds.
func (c *conversion) readCounts() error {
	if len(c.stats) == 0 && c.thresholds == "" {
		return nil
	}
	hash, err := passes.HashGraph(c.m.graph)
	if err != nil {
		return err
	}
	for _, path := range c.stats {
		err := readWith(path, func(f *os.File) error {
			stats, err := calib.ReadStatistics(f, path, hash)
			if err == nil && c.opts.Statistics != nil {
				return c.opts.Statistics.Merge(stats, path)
			}
			c.opts.Statistics = stats
			return err
		})
		if err != nil {
			return fmt.Errorf("--stats: %w", err)
		}
	}
	if c.thresholds == "" {
		return nil
	}
	err = readWith(c.thresholds, func(f *os.File) error {
		c.opts.Thresholds, err = calib.ReadThresholds(f, c.thresholds, hash)
		return err
	})
	if err != nil {
		return fmt.Errorf("--thresholds: %w", err)
	}
	return nil
}

// readWith calls read with the file of a path.
func readWith(path string, read func(*os.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

// saveCounts writes the files of --save-stats and --save-thresholds.
func (c *conversion) saveCounts(res *passes.Result) error {
	if c.saveStats != "" {
		res.Statistics.Tool = c.version
		if err := c.s.writeFile(c.saveStats, c.inputFiles(), res.Statistics.Write); err != nil {
			return fmt.Errorf("--save-stats: %w", err)
		}
	}
	if c.saveThresholds != "" {
		t := *res.Thresholds
		t.Tool = c.version
		if err := c.s.writeFile(c.saveThresholds, c.inputFiles(), t.Write); err != nil {
			return fmt.Errorf("--save-thresholds: %w", err)
		}
	}
	return nil
}

// prepareDump makes the passes leave their graphs in --dump: 00-input.pb, 01-strip-unused.pb, …
func (c *conversion) prepareDump() error {
	if c.dump == "" {
		return nil
	}
	if err := os.MkdirAll(c.dump, 0o777); err != nil {
		return fmt.Errorf("--dump: %w", err)
	}
	number := 0
	dump := func(name string, g *graphdef.Graph) error {
		path := filepath.Join(c.dump, fmt.Sprintf("%02d-%s.pb", number, name))
		number++
		return c.s.writeFile(path, c.inputFiles(), func(w io.Writer) error { return writeGraph(w, path, g) })
	}
	c.opts.AfterPass = func(p *passes.Pass, g *graphdef.Graph) error { return dump(p.Name, g) }
	return dump("input", c.m.graph)
}

// refuseBrokenWeights returns an error if weights hold NaN or infinite values, or NaN that reaches a product: such a model
// answers nothing sensible in FP32 either.
func (c *conversion) refuseBrokenWeights(res *passes.Result) error {
	var weights, inputs []passes.Product
	for _, p := range res.Report.LeftFloat() {
		switch p.Reason {
		case passes.WeightNotFinite:
			weights = append(weights, p)
		case passes.InputNotFinite:
			inputs = append(inputs, p)
		}
	}
	if len(weights) > 0 {
		p := weights[0]
		return fmt.Errorf("node %q (%s): its weights hold NaN or infinite values (%d products in all): %s; repair the model, or leave them in FP32 with --exclude",
			p.Node, p.Op, len(weights), p.Detail)
	}
	if len(inputs) == 0 {
		return nil
	}
	roots := make([]*graphdef.Node, 0, len(inputs))
	for _, p := range inputs {
		if n := c.m.graph.Node(p.Node); n != nil {
			roots = append(roots, n)
		}
	}
	needed := graphdef.Ancestors(roots...)
	for _, n := range c.m.graph.Nodes() {
		if n.Op() != "Const" || !needed[n] {
			continue
		}
		if nans := countNaN(n); nans > 0 {
			return n.Errorf("holds %d NaN values, which reach %d products, first %q; repair the model, or leave those in FP32 with --exclude",
				nans, len(inputs), inputs[0].Node)
		}
	}
	return nil
}

// countNaN returns how many elements of a float constant of rank 1 or more are NaN.
func countNaN(n *graphdef.Node) int {
	t, err := n.Tensor("value")
	if err != nil || t.Rank() == 0 || t.DType() != tensor.Float32 {
		return 0
	}
	count := 0
	for _, v := range tensor.Data[float32](t) {
		if v != v {
			count++
		}
	}
	return count
}

// verifyFeeds is the number of calibration feeds on which both graphs are compared.
const verifyFeeds = 16

// verify loads the graph at path, which is res.Graph as it was written, and compares it with the original on some of the
// feeds. It returns nil where there are none.
func (c *conversion) verify(ctx context.Context, path string, res *passes.Result) (*verdict, error) {
	if len(c.feeds) == 0 {
		return nil, nil
	}
	got := res.Graph
	if path != "" {
		m, err := savedmodel.Open(path, savedmodel.Options{Inputs: c.opts.Inputs, Outputs: c.opts.Outputs})
		if err != nil {
			return nil, fmt.Errorf("loading what was written: %w", err)
		}
		got = m.Graph
	}
	opts := agree.Options{
		Inputs: c.opts.Inputs, Outputs: c.opts.Outputs, EOS: c.eos, Pad: c.pad, BOS: c.bos,
		Streams: c.opts.Threads, Kernels: c.opts.Kernels, MaxBytes: c.opts.MaxBytes,
	}
	wait := c.s.newProgress("comparing")
	opts.Progress = wait.at
	r, err := agree.Compare(ctx, c.m.graph, got, spread(c.feeds, verifyFeeds), opts)
	wait.end()
	if err != nil {
		return nil, fmt.Errorf("comparing both graphs: %w", err)
	}
	return newVerdict(r), nil
}

// spread returns n of the feeds, evenly spaced; all if there are fewer.
func spread(feeds []passes.Feeds, n int) []passes.Feeds {
	if len(feeds) <= n {
		return feeds
	}
	list := make([]passes.Feeds, n)
	for i := range list {
		list[i] = feeds[i*(len(feeds)-1)/(n-1)]
	}
	return slices.Clip(list)
}

// notes tells what the user should know beside the result.
func (c *conversion) notes(left int, v *verdict) {
	if c.opts.Target == passes.TensorFlow && !c.reduceRange {
		c.s.note("TensorFlow on CPUs without VNNI adds pairs of products in 16 bits and saturates on this graph; convert with --reduce-range for those")
	}
	if v == nil {
		c.s.note("the result was not compared with the original: give --calibrate files for that")
	}
	if left > 0 && c.opts.Target == passes.TensorFlow {
		c.s.detail("%d products stay in FP32; --target tfq8 has INT8 forms for more of them", left)
	}
}
