package translate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Options say how a Translator works. EOS is required.
type Options struct {
	// EOS ends hypotheses, Pad fills batches, BOS may begin hypotheses (negative: there is none).
	EOS, Pad, BOS int
	// Packing says how sentences are cut into batches.
	Packing Packing
	// Streams is the number of sessions that run batches side by side; 0 is one.
	Streams int
	// NBest is the number of hypotheses to return of each sentence; 0 is one.
	NBest int
	// Scores asks for the hypotheses' scores.
	Scores bool
	// Kernels and MaxBytes, the bound for each stream, are those of runtime.CompileOptions.
	Kernels  *kernels.Set
	MaxBytes int64
	// Progress, if set, is called after each batch, by one goroutine at a time.
	Progress func(done, total int)
}

// Translator translates sentences with one graph. It serves one goroutine at a time.
type Translator struct {
	opts                 Options
	plan                 *runtime.Plan
	feed, target, scores string
	sourceType           tensor.DType
	sessions             []*runtime.Session
}

// New compiles g for the given ports.
func New(g *graphdef.Graph, p Ports, opts Options) (*Translator, error) {
	opts.Streams, opts.NBest = max(opts.Streams, 1), max(opts.NBest, 1)
	t := &Translator{opts: opts, feed: p.Source.String(), target: p.Target.String(), sourceType: p.SourceType}
	fetches := []string{t.target}
	if opts.Scores {
		if p.Scores.Node == nil {
			return nil, fmt.Errorf("no output has the scores of %q: a float for each hypothesis", t.target)
		}
		t.scores = p.Scores.String()
		fetches = append(fetches, t.scores)
	}
	plan, err := runtime.Compile(g, runtime.CompileOptions{
		Feeds: []string{t.feed}, Fetches: fetches, Kernels: opts.Kernels, MaxBytes: opts.MaxBytes,
	})
	if err != nil {
		return nil, err
	}
	t.plan = plan
	for range opts.Streams {
		t.sessions = append(t.sessions, plan.NewSession())
	}
	return t, nil
}

// Result is what Translate returns.
type Result struct {
	// Hypotheses are those of each sentence, Options.NBest of them, in the order that the graph gives: the best first.
	Hypotheses [][]Hypothesis
	// Time is from queueing the first batch to the end of the last.
	Time time.Duration
	// Tokens counts what the best hypotheses took to generate, Stopped those that ended with eos.
	Tokens, Stopped int
}

// Warm runs the first of the batches that Translate would run once on every stream, so that buffers have their size and
// caches are filled.
func (t *Translator) Warm(ctx context.Context, sentences [][]int) error {
	batches := t.opts.Packing.Batches(sentences)
	if len(batches) == 0 {
		return nil
	}
	first := make([][]int, len(t.sessions))
	for i := range first {
		first[i] = batches[0]
	}
	return t.run(ctx, sentences, first, func([]int, [][]Hypothesis) {}, nil)
}

// Translate translates sentences: ids with eos at the end, as Encode returns them.
func (t *Translator) Translate(ctx context.Context, sentences [][]int) (*Result, error) {
	batches := t.opts.Packing.Batches(sentences)
	r := &Result{Hypotheses: make([][]Hypothesis, len(sentences))}
	start := time.Now()
	err := t.run(ctx, sentences, batches, func(batch []int, got [][]Hypothesis) {
		for i, row := range batch {
			r.Hypotheses[row] = got[i]
		}
	}, t.opts.Progress)
	if err != nil {
		return nil, err
	}
	r.Time = time.Since(start)
	for _, h := range r.Hypotheses {
		r.Tokens += h[0].Tokens()
		if h[0].Stopped {
			r.Stopped++
		}
	}
	return r, nil
}

// run lets all sessions pull from the queue of batches. done is called with each result, by one goroutine at a time.
func (t *Translator) run(ctx context.Context, sentences [][]int, batches [][]int, done func([]int, [][]Hypothesis), progress func(done, total int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next     atomic.Int64
		finished int
		mu       sync.Mutex
		wg       sync.WaitGroup
	)
	for _, s := range t.sessions[:min(len(t.sessions), len(batches))] {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(batches) {
					return
				}
				got, err := t.batch(ctx, s, sentences, batches[i])
				if err != nil {
					cancel(fmt.Errorf("batch of %d sentences, the first from line %d: %w", len(batches[i]), batches[i][0]+1, err))
					return
				}
				mu.Lock()
				done(batches[i], got)
				if finished++; progress != nil {
					progress(finished, len(batches))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// batch translates the chosen sentences on session s.
func (t *Translator) batch(ctx context.Context, s *runtime.Session, sentences [][]int, batch []int) ([][]Hypothesis, error) {
	groups, err := s.RunRows(ctx, map[string]*tensor.Tensor{t.feed: Pad(t.sourceType, t.opts.Pad, sentences, batch)})
	if err != nil {
		return nil, err
	}
	list := make([][]Hypothesis, len(batch))
	for _, g := range groups {
		if err := t.read(g, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// read notes the hypotheses of some rows in list.
func (t *Translator) read(g runtime.RowGroup, list [][]Hypothesis) error {
	ids, err := Rows(g.Results[t.target], len(g.Rows), t.opts.NBest)
	if err != nil {
		return fmt.Errorf("output %q: %w", t.target, err)
	}
	var points [][]float64
	if t.scores != "" {
		if points, err = scores(g.Results[t.scores], len(g.Rows), t.opts.NBest); err != nil {
			return fmt.Errorf("output %q: %w", t.scores, err)
		}
	}
	for i, beams := range ids {
		hypotheses := &list[g.Rows[i]]
		for b, row := range beams {
			h := ReadHypothesis(row, t.opts.EOS, t.opts.Pad, t.opts.BOS)
			h.Score = math.NaN()
			if points != nil {
				h.Score = points[i][b]
			}
			*hypotheses = append(*hypotheses, h)
		}
	}
	return nil
}
