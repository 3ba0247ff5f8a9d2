package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/internal/bench"
	"github.com/tfq8/tfq8/internal/translate"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
)

// benchOptions are the arguments of bench.
type benchOptions struct {
	translatorFlags
	paths  []string
	source string
	feeds  []string
	limit  int
	length int
	runs   int
	sweeps []string
	json   jsonFlag
}

func newBenchCmd(s *streams) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench MODEL [MODEL]",
		Short: "Measure how fast a model runs, step by step and against the CPU's limit",
		Long: `bench runs a model on this machine and prints what it took: in all, by kind of
step, and beside the time that its multiply-adds need at the peak of the CPU's
instructions, which is measured as well. Two models, such as FP32 and INT8, run
by turns and stand side by side; all times are medians.

The model is given text (--source and --spm, cut into batches, the longest
sentences first), or values (--feed, as run takes them), or neither: then inputs
are made up, with --batch rows and --length columns where the graph leaves a
dimension open; integers are 1, other numbers lie in [-1, 1).

For text, the floor counts the multiply-adds that each sentence needs alone:
what padding and finished sentences cost in a batch is above it.

--sweep batch, length or streams repeats the measurement for 1, 2, 4, and so on.`,
		Example: `  tfq8 bench numbers.pb int8.pb --spm spm.model --source test.en --outputs translations
  tfq8 bench numbers.pb --outputs logits --batch 8 --length 12 --runs 3 --json`,
		Args:              positional(1, 2, "MODEL [MODEL]"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.paths = args
			ctx, cancel := o.context(cmd.Context(), s)
			defer cancel()
			return runBench(ctx, s, &o)
		},
	}
	o.add(cmd)
	o.json.add(cmd)
	cmd.Flags().StringVar(&o.source, "source", "", "`file` of sentences to translate, one a line")
	cmd.Flags().StringArrayVar(&o.feeds, "feed", nil, "give a tensor a value: `NAME=VALUE` (repeat for more)")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "take the first `lines` of --source only (default: all)")
	cmd.Flags().IntVar(&o.length, "length", 128, "open dimensions of made-up inputs after the first")
	cmd.Flags().IntVar(&o.runs, "runs", 5, "measurements to take the median of")
	cmd.Flags().StringArrayVar(&o.sweeps, "sweep", nil, "vary `batch`, length or streams (repeat for more)")
	cmd.RegisterFlagCompletionFunc("feed", completeNodes(true))
	complete(cmd, "sweep", "batch", "length", "streams")
	return cmd
}

// benchResult is what bench prints.
type benchResult struct {
	CPU     string       `json:"cpu"`
	Kernels string       `json:"kernels"`
	Streams int          `json:"streams"`
	Batch   int          `json:"batch"`
	Peaks   bench.Rates  `json:"peak_operations_per_second_and_core"`
	Models  []benchModel `json:"models"`
	Sweeps  []benchSweep `json:"sweeps,omitempty"`
}

// benchModel is what was measured of one model.
type benchModel struct {
	Model   string  `json:"model"`
	Items   int     `json:"items"` // sentences, or rows of the feeds
	Seconds float64 `json:"seconds"`
	// Needed are the multiply-adds of each sentence alone, Done those of the batches.
	Needed      runtime.Work `json:"multiply_adds_needed"`
	Done        runtime.Work `json:"multiply_adds_done"`
	Floor       float64      `json:"floor_seconds"`
	OverFloor   float64      `json:"time_over_floor"`
	Allocations float64      `json:"allocations_per_run"`
	AllocBytes  float64      `json:"allocated_bytes_per_run"`
	Steps       []bench.Step `json:"steps"`
	Between     float64      `json:"seconds_between_steps"`
}

// benchSweep is one line of a sweep: the median time of each model.
type benchSweep struct {
	What    string    `json:"what"`
	Value   int       `json:"value"`
	Items   int       `json:"items"`
	Seconds []float64 `json:"seconds"`
}

// benchRun is the state of one bench.
type benchRun struct {
	s       *streams
	o       *benchOptions
	set     *kernels.Set
	streams int
	models  []*benched
	result  benchResult
}

// benched is one model being measured.
type benched struct {
	path      string
	plan      *runtime.Plan
	load      func(batch, length int) ([]bench.Feeds, int, error) // the feeds, and how many items they are
	sentences bool
}

func runBench(ctx context.Context, s *streams, o *benchOptions) error {
	b := &benchRun{s: s, o: o}
	if err := b.prepare(); err != nil {
		return err
	}
	wait := s.newProgress("measuring")
	b.result = benchResult{
		CPU: cpuName(), Kernels: b.set.Tier().String(), Streams: b.streams, Batch: o.batch, Peaks: bench.Peaks(b.set),
	}
	err := b.measure(ctx)
	if err == nil {
		err = b.sweep(ctx)
	}
	wait.end()
	if err != nil {
		return err
	}
	if o.json {
		return s.printJSON(b.result)
	}
	b.print()
	return nil
}

// prepare checks the flags and compiles the models.
func (b *benchRun) prepare() error {
	o := b.o
	var err error
	if b.set, err = o.set(); err != nil {
		return err
	}
	if b.streams, err = o.numThreads(); err != nil {
		return err
	}
	switch {
	case o.streams < 0:
		return fmt.Errorf("--streams: have %d, want 1 or more (0: one a thread)", o.streams)
	case o.streams > 0:
		b.streams = o.streams
	}
	if o.runs < 1 || o.length < 1 || o.batch < 0 {
		return fmt.Errorf("--runs and --length: have %d and %d, want 1 or more; --batch: have %d", o.runs, o.length, o.batch)
	}
	if o.source == "" {
		o.batch = max(o.batch, 1)
	}
	if o.source != "" && len(o.feeds) > 0 {
		return errors.New("--source and --feed: have both, want one of them")
	}
	for _, what := range o.sweeps {
		if !slices.Contains([]string{"batch", "length", "streams"}, what) {
			return fmt.Errorf("--sweep: have %q, want batch, length or streams", what)
		}
		if what == "length" && (o.source != "" || len(o.feeds) > 0) || what == "batch" && len(o.feeds) > 0 {
			return fmt.Errorf("--sweep %s: the inputs are given; leave them out", what)
		}
	}
	for _, path := range o.paths {
		m, err := b.open(path)
		if err != nil {
			return err
		}
		b.models = append(b.models, m)
	}
	return nil
}

// open loads and compiles one model.
func (b *benchRun) open(path string) (*benched, error) {
	m, err := b.s.openModel(path, b.o.options())
	if err != nil {
		return nil, err
	}
	r := &benched{path: path}
	opts := runtime.CompileOptions{Kernels: b.set, MaxBytes: b.o.streamBytes(b.streams)}
	if b.o.source != "" {
		err = b.loadText(m, r, &opts)
	} else {
		err = b.loadFeeds(m, r, &opts)
	}
	if err != nil {
		return nil, err
	}
	if r.plan, err = runtime.Compile(m.graph, opts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// loadText makes r translate --source.
func (b *benchRun) loadText(m *model, r *benched, opts *runtime.CompileOptions) error {
	spm, err := b.o.textFlags.load()
	if err != nil {
		return err
	}
	ports, err := m.ports(&b.o.modelFlags)
	if err != nil {
		return err
	}
	lines, err := b.s.readLines(b.o.source)
	if err != nil {
		return err
	}
	if b.o.limit > 0 {
		lines = lines[:min(len(lines), b.o.limit)]
	}
	if len(lines) == 0 {
		return fmt.Errorf("%s has no lines", b.o.source)
	}
	sentences := translate.Encode(spm, lines, b.o.eos)
	name := ports.Source.String()
	opts.Feeds, opts.Fetches = []string{name}, []string{ports.Target.String()}
	r.sentences = true
	r.load = func(batch, _ int) ([]bench.Feeds, int, error) {
		var feeds []bench.Feeds
		for _, rows := range (translate.Packing{Sentences: batch}).Batches(sentences) {
			feeds = append(feeds, bench.Feeds{name: translate.Pad(ports.SourceType, b.o.pad, sentences, rows)})
		}
		return feeds, len(sentences), nil
	}
	return nil
}

// loadFeeds makes r run on --feed, or on inputs that are made up.
func (b *benchRun) loadFeeds(m *model, r *benched, opts *runtime.CompileOptions) error {
	fetches, err := m.fetches(&b.o.modelFlags)
	if err != nil {
		return err
	}
	opts.Fetches = names(fetches)
	if len(b.o.feeds) > 0 {
		list, err := b.s.parseFeeds(m, b.o.feeds)
		if err != nil {
			return err
		}
		values, rows := bench.Feeds{}, 1
		for _, f := range list {
			opts.Feeds = append(opts.Feeds, f.name)
			values[f.name] = f.value
			if f.value.Rank() > 0 {
				rows = max(rows, f.value.Shape()[0])
			}
		}
		r.load = func(int, int) ([]bench.Feeds, int, error) { return []bench.Feeds{values}, rows, nil }
		return nil
	}
	inputs, err := m.feedsOf(&b.o.modelFlags, fetches)
	if err != nil {
		return err
	}
	opts.Feeds = names(inputs)
	r.load = func(batch, length int) ([]bench.Feeds, int, error) {
		values := bench.Feeds{}
		for _, c := range inputs {
			t, err := madeUp(c, batch, length)
			if err != nil {
				return nil, 0, err
			}
			values[c.Name] = t
		}
		return []bench.Feeds{values}, batch, nil
	}
	return nil
}

// measure fills the result's models: they run by turns.
func (b *benchRun) measure(ctx context.Context) error {
	times, err := b.times(ctx, b.o.batch, b.o.length, b.streams)
	if err != nil {
		return err
	}
	for i, m := range b.models {
		r := benchModel{Model: m.path, Seconds: times[i].Seconds()}
		feeds, items, err := m.load(b.o.batch, b.o.length)
		if err != nil {
			return err
		}
		r.Items = items
		run := bench.NewRunner(m.plan, 1)
		if r.Done, err = run.Work(ctx, feeds); err != nil {
			return err
		}
		objects, bytes, err := run.Allocations(ctx, feeds)
		if err != nil {
			return err
		}
		r.Allocations, r.AllocBytes = float64(objects)/float64(len(feeds)), float64(bytes)/float64(len(feeds))
		if r.Needed = r.Done; m.sentences {
			alone, _, err := m.load(1, b.o.length)
			if err != nil {
				return err
			}
			if r.Needed, err = bench.NewRunner(m.plan, b.streams).Work(ctx, alone); err != nil {
				return err
			}
		}
		if floor := b.result.Peaks.Floor(r.Needed, min(b.streams, len(feeds))); floor > 0 {
			r.Floor, r.OverFloor = floor.Seconds(), r.Seconds/floor.Seconds()
		}
		var between time.Duration
		if r.Steps, between, err = bench.ProfileRun(ctx, m.plan, feeds); err != nil {
			return err
		}
		r.Between = between.Seconds()
		b.result.Models = append(b.result.Models, r)
	}
	return nil
}

// times returns the median time of each model.
func (b *benchRun) times(ctx context.Context, batch, length, streams int) ([]time.Duration, error) {
	all := make([][]time.Duration, len(b.models))
	runners := make([]*bench.Runner, len(b.models))
	loads := make([][]bench.Feeds, len(b.models))
	for i, m := range b.models {
		runners[i] = bench.NewRunner(m.plan, streams)
		var err error
		if loads[i], _, err = m.load(batch, length); err != nil {
			return nil, err
		}
		if _, err := runners[i].Run(ctx, loads[i]); err != nil { // memory grows, caches fill
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
	}
	for range b.o.runs {
		for i := range b.models {
			t, err := runners[i].Run(ctx, loads[i])
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], t)
		}
	}
	medians := make([]time.Duration, len(all))
	for i := range all {
		medians[i] = bench.Median(all[i])
	}
	return medians, nil
}

// sweep measures again for 1, 2, 4 and so on.
func (b *benchRun) sweep(ctx context.Context) error {
	for _, what := range b.o.sweeps {
		most := map[string]int{"batch": 64, "length": 256, "streams": b.streams}[what]
		for v := 1; v <= most; v *= 2 {
			batch, length, n := b.o.batch, b.o.length, b.streams
			switch what {
			case "batch":
				batch = v
			case "length":
				length = v
			case "streams":
				n = v
			}
			times, err := b.times(ctx, batch, length, n)
			if err != nil {
				return fmt.Errorf("--sweep %s at %d: %w", what, v, err)
			}
			line := benchSweep{What: what, Value: v}
			for i, m := range b.models {
				if _, line.Items, err = m.load(batch, length); err != nil {
					return err
				}
				line.Seconds = append(line.Seconds, times[i].Seconds())
			}
			b.result.Sweeps = append(b.result.Sweeps, line)
		}
	}
	return nil
}
