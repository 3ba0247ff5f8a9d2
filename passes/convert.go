package passes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
)

// Options says what Convert is to do. The zero value converts for stock TensorFlow under guarded-kl, keeping all
// placeholders as inputs; Outputs and one of Calibrate, Statistics and Thresholds are required.
type Options struct {
	// Inputs names the tensors that are fed; empty: the placeholders that the outputs need. Outputs names those that are
	// fetched.
	Inputs, Outputs []string
	// Calibrate holds the feeds to observe activations on. Statistics, from an earlier run on the same graph, are added to
	// what they give; Thresholds make both needless.
	Calibrate  []Feeds
	Statistics *calib.StatisticsFile
	Thresholds *calib.Thresholds
	Rule       calib.Rule
	Target     Target
	// ReduceRange keeps weight codes within ±64, for engines that add pairs of products in 16 bits.
	ReduceRange bool
	// FloatEmbeddings leaves the tables that embedding lookups read in FP32, at the price of a larger file.
	FloatEmbeddings bool
	// Exclude are patterns of product nodes that stay in FP32. A pattern that matches none is an error.
	Exclude []*regexp.Regexp
	// Threads, Kernels and MaxBytes are for calibration; see Calibration.
	Threads  int
	Kernels  *kernels.Set
	MaxBytes int64
	// Verify checks the graph after every pass.
	Verify bool
	// AfterPass, if set, sees the graph after every pass and may stop the conversion.
	AfterPass func(*Pass, *graphdef.Graph) error
	// Progress, if set, is called after each calibration feed.
	Progress func(done, total int)
}

// Result is a converted graph and its account.
type Result struct {
	Graph  *graphdef.Graph
	Report Report
	// Statistics is nil where Options.Thresholds made calibration needless.
	Statistics *calib.StatisticsFile
	Thresholds *calib.Thresholds
}

// HashGraph returns the SHA-256 by which statistics and thresholds know the graph that they were made from.
func HashGraph(g *graphdef.Graph) (calib.Hash, error) {
	h := sha256.New()
	if err := graphdef.Stream(h, g); err != nil {
		return calib.Hash{}, err
	}
	return calib.Hash(h.Sum(nil)), nil
}

// Convert runs the pipeline on a copy of g: clean-up, calibration, quantization. version names the program in the files that
// can be made of the result.
func Convert(ctx context.Context, g *graphdef.Graph, opts Options) (*Result, error) {
	if len(opts.Outputs) == 0 {
		return nil, errors.New("convert: no outputs given; name the tensors that you fetch")
	}
	hash, err := HashGraph(g)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	c := &conversion{opts: opts, g: g.Clone(), hash: hash, env: &Env{
		Target: opts.Target, ReduceRange: opts.ReduceRange, FloatEmbeddings: opts.FloatEmbeddings, account: newAccount(),
	}}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	return &c.result, nil
}

// conversion is the state of one Convert.
type conversion struct {
	opts   Options
	g      *graphdef.Graph
	hash   calib.Hash
	env    *Env
	result Result
}

func (c *conversion) run(ctx context.Context) error {
	r := &c.result.Report
	for _, name := range c.opts.Outputs {
		o, err := runtime.Resolve(c.g, name)
		if err != nil {
			return fmt.Errorf("output %w", err)
		}
		c.env.Outputs = append(c.env.Outputs, o)
	}
	for _, name := range c.opts.Inputs {
		o, err := runtime.Resolve(c.g, name)
		if err != nil {
			return fmt.Errorf("input %w", err)
		}
		c.env.Inputs = append(c.env.Inputs, o)
	}
	products := candidates(c.g, c.env.outputNodes())
	if err := c.exclude(products); err != nil {
		return err
	}
	r.BytesBefore = graphdef.Size(c.g)
	list, err := runAll(ctx, Cleanup, c.g, c.env, c.opts.Verify, c.opts.AfterPass)
	if err != nil {
		return err
	}
	r.Passes = list
	if err := c.calibrate(ctx); err != nil {
		return err
	}
	list, err = runAll(ctx, Quantization, c.g, c.env, c.opts.Verify, c.opts.AfterPass)
	if err != nil {
		return err
	}
	r.Passes = append(r.Passes, list...)
	c.env.account.settle(products)
	r.Products = products
	r.BytesAfter = graphdef.Size(c.g)
	c.result.Graph = c.g
	return nil
}

// exclude makes env.Excluded of the patterns.
func (c *conversion) exclude(products []Product) error {
	excluded := map[string]bool{}
	for _, pattern := range c.opts.Exclude {
		hit := false
		for _, p := range products {
			if pattern.MatchString(p.Node) {
				excluded[p.Node], hit = true, true
			}
		}
		if !hit {
			return fmt.Errorf("exclude pattern %q matches none of the %d products%s", pattern, len(products), nearProducts(pattern.String(), products))
		}
	}
	c.env.Excluded = func(node string) bool { return excluded[node] }
	return nil
}

// nearProducts names products that share the longest word of the pattern's.
func nearProducts(pattern string, products []Product) string {
	words := regexp.MustCompile(`[A-Za-z0-9]+`).FindAllString(pattern, -1)
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, w := range words {
		var near []string
		for _, p := range products {
			if strings.Contains(strings.ToLower(p.Node), strings.ToLower(w)) && len(near) < 3 {
				near = append(near, fmt.Sprintf("%q", p.Node))
			}
		}
		if near != nil {
			return "; near are " + strings.Join(near, ", ")
		}
	}
	if len(products) == 0 {
		return ""
	}
	return fmt.Sprintf("; the first is %q", products[0].Node)
}

// calibrate fills env.Thresholds.
func (c *conversion) calibrate(ctx context.Context) error {
	if c.opts.Thresholds != nil {
		if c.opts.Thresholds.Graph != c.hash {
			return &calib.StaleError{What: "thresholds", Have: c.opts.Thresholds.Graph, Want: c.hash}
		}
		c.env.Thresholds = c.opts.Thresholds.Tensors
		c.result.Thresholds = c.opts.Thresholds
		return nil
	}
	if len(c.opts.Calibrate) == 0 && c.opts.Statistics == nil {
		return errors.New("nothing to calibrate with; give feeds, statistics or thresholds")
	}
	start := time.Now()
	counts, err := Calibrate(ctx, c.g, Calibration{
		Inputs: c.opts.Inputs, Outputs: c.opts.Outputs, Feeds: c.opts.Calibrate, Threads: c.opts.Threads,
		Kernels: c.opts.Kernels, MaxBytes: c.opts.MaxBytes, Progress: c.opts.Progress,
	})
	if err != nil {
		return err
	}
	if old := c.opts.Statistics; old != nil {
		if old.Graph != c.hash {
			return &calib.StaleError{What: "statistics", Have: old.Graph, Want: c.hash}
		}
		counts.Merge(old.Tensors)
	}
	c.result.Statistics = &calib.StatisticsFile{Graph: c.hash, Tensors: counts}
	if c.env.Thresholds, c.env.NotFinite, err = thresholds(c.opts.Rule, counts); err != nil {
		return err
	}
	c.result.Thresholds = &calib.Thresholds{Graph: c.hash, Rule: c.opts.Rule, Tensors: c.env.Thresholds}
	c.result.Report.CalibrationFeeds = len(c.opts.Calibrate)
	c.result.Report.CalibrationTime = time.Since(start)
	return nil
}
