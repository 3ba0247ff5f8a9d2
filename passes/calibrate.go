package passes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Feeds is one set of inputs of a graph: tensors by the names of placeholders.
type Feeds = map[string]*tensor.Tensor

// Calibration is what Calibrate needs beside a graph.
type Calibration struct {
	Inputs, Outputs []string
	Feeds           []Feeds
	// Threads is the number of streams that run feeds side by side; 0 is one.
	Threads int
	Kernels *kernels.Set
	// MaxBytes bounds the memory of each stream; 0 is no bound.
	MaxBytes int64
	// Progress, if set, is called after each feed.
	Progress func(done, total int)
}

// Calibrate runs the feeds through g and counts the values of the activations that products read, inside loops once an
// iteration. The result does not depend on the order of the feeds or the number of threads, to the bit.
func Calibrate(ctx context.Context, g *graphdef.Graph, opts Calibration) (*calib.Collector, error) {
	total := new(calib.Collector)
	observed, err := activations(g, opts.Outputs)
	if err != nil {
		return nil, err
	}
	if len(observed) == 0 || len(opts.Feeds) == 0 {
		return total, nil
	}
	plan, err := runtime.Compile(g, runtime.CompileOptions{
		Feeds: opts.Inputs, Fetches: opts.Outputs, Observe: observed, Kernels: opts.Kernels, MaxBytes: opts.MaxBytes,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next, done atomic.Int64
		wg         sync.WaitGroup
		mu         sync.Mutex
	)
	for range max(1, opts.Threads) {
		wg.Go(func() {
			own := new(calib.Collector)
			s := plan.NewSession()
			var buf []float32
			s.Observer = func(name string, t *tensor.Tensor) { buf = observe(own, name, t, buf) }
			for {
				i := int(next.Add(1)) - 1
				if i >= len(opts.Feeds) || ctx.Err() != nil {
					break
				}
				if _, err := s.Run(ctx, opts.Feeds[i]); err != nil {
					cancel(fmt.Errorf("calibration feed %d: %w", i+1, err))
					return
				}
				if n := int(done.Add(1)); opts.Progress != nil {
					mu.Lock()
					opts.Progress(n, len(opts.Feeds))
					mu.Unlock()
				}
			}
			mu.Lock()
			total.Merge(own)
			mu.Unlock()
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return total, nil
}

// observe counts the elements of t, of a float dtype; buf keeps memory from one call to the next.
func observe(c *calib.Collector, name string, t *tensor.Tensor, buf []float32) []float32 {
	switch t.DType() {
	case tensor.Float32:
		c.Observe(name, tensor.Data[float32](t))
	case tensor.Float16, tensor.Bfloat16:
		buf = slices.Grow(buf[:0], t.Len())[:t.Len()]
		widen(buf, t)
		c.Observe(name, buf)
	}
	return buf
}

// activations returns the names of the tensors that candidates read and that are not constant, sorted.
func activations(g *graphdef.Graph, outputs []string) ([]string, error) {
	env := &Env{}
	for _, name := range outputs {
		o, err := runtime.Resolve(g, name)
		if err != nil {
			return nil, err
		}
		env.Outputs = append(env.Outputs, o)
	}
	reached := reachedIn(g, env.outputNodes())
	names := map[string]bool{}
	for _, s := range env.scopes(g) {
		tree, err := flow.Analyze(s.g)
		if err != nil {
			return nil, err
		}
		for _, n := range s.g.Nodes() {
			if !reached[s.g][n] || !isProduct(n) {
				continue
			}
			types, err := n.InputTypes()
			for i, in := range n.Inputs() {
				if _, isConst := tree.ConstOf(in); err == nil && !isConst && castable(types[i]) {
					names[s.tensorName(in)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// thresholds applies rule to every tensor of c. Tensors with values that are not finite are reported beside, by name.
func thresholds(rule calib.Rule, c *calib.Collector) (good map[string]calib.Threshold, bad map[string]string, err error) {
	good, bad = map[string]calib.Threshold{}, map[string]string{}
	for _, name := range c.Names() {
		t, err := rule.Threshold(c.Statistics(name))
		var not *calib.NotFiniteError
		switch {
		case errors.As(err, &not):
			bad[name] = fmt.Sprintf("%q had %d NaN and %d infinite values of %d", name, not.NaNs, not.PosInfs+not.NegInfs, not.N)
		case err != nil:
			return nil, nil, err
		default:
			good[name] = t
		}
	}
	return good, bad, nil
}
