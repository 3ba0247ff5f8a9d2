// Package agree runs the same feeds through two graphs and says how far their outputs agree: a frozen graph and what
// quantizing made of it. [Compare] does that; [Report.Collapse] decides whether the second graph is still the same model.
package agree

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/translate"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Options say what to compare.
type Options struct {
	// Inputs and Outputs are the names of the tensors that are fed and compared.
	Inputs, Outputs []string
	// EOS ends a hypothesis in an integer output; negative: it is not known, and rows are compared whole. Pad and BOS are as
	// in translate.Options.
	EOS, Pad, BOS int
	// Streams is the number of feeds that run side by side; 0 is one.
	Streams  int
	Kernels  *kernels.Set
	MaxBytes int64
	// Progress, if set, is called after each feed, by one goroutine at a time.
	Progress func(done, total int)
}

// Report is how far two graphs agree.
type Report struct {
	Feeds int
	// Floats are the outputs of float dtypes, in the order of Options.Outputs.
	Floats []FloatOutput
	// Tokens are the longer of each pair of token rows, added up; Equal are those that both rows have in the same order.
	// Integer outputs [batch], [batch, length] and (the first beam of) [batch, beam, length] count.
	Tokens, Equal int
	// Rows are the token rows of rank 2 or more, StoppedA and StoppedB those that end with eos. All are 0 without an eos.
	Rows, StoppedA, StoppedB int
}

// FloatOutput compares one float output over all feeds.
type FloatOutput struct {
	Name string
	// Error is |b - a| / |a| in the L2 norm, over the elements where both are finite: 0 is equal, 1 as wrong as zeros.
	Error float64
	// NotFinite counts elements that are NaN or infinite in b but finite in a.
	NotFinite int
	// Skipped counts feeds for which a and b had different shapes, so that elements have no partners.
	Skipped int
}

// EqualTokens returns the share of tokens that agree, 0 to 1; NaN where there are none.
func (r *Report) EqualTokens() float64 { return float64(r.Equal) / float64(r.Tokens) }

// StopRates returns the shares of rows that end with eos, of a and of b; NaN where there are none.
func (r *Report) StopRates() (a, b float64) {
	return float64(r.StoppedA) / float64(r.Rows), float64(r.StoppedB) / float64(r.Rows)
}

// What Collapse allows. Quantization that works leaves more than 9 tokens of 10 equal and every sentence ending; one that
// does not loses nearly all tokens, or ends no sentence at all, so the exact values matter little.
const (
	leastEqual = 0.5  // share of tokens that must be equal
	leastStops = 0.98 // share of the stops of a that b must have
	mostError  = 0.9  // relative error of float outputs; at 1, zeros would do as well
)

// Collapse says why b is no longer the model that a is; empty if it is. The error of float outputs decides only where there
// are no tokens: beam search puts very large numbers in places that change with the tokens.
func (r *Report) Collapse() string {
	for _, f := range r.Floats {
		if f.NotFinite > 0 {
			return fmt.Sprintf("output %q has %d values that are NaN or infinite and were not before", f.Name, f.NotFinite)
		}
	}
	if r.Tokens > 0 && r.EqualTokens() < leastEqual {
		return fmt.Sprintf("only %.1f %% of the tokens are as before, want %.0f %%", 100*r.EqualTokens(), 100*leastEqual)
	}
	if float64(r.StoppedB) < leastStops*float64(r.StoppedA) {
		return fmt.Sprintf("only %d of %d sentences end with the stop token, %d did before", r.StoppedB, r.Rows, r.StoppedA)
	}
	for _, f := range r.Floats {
		if r.Tokens == 0 && f.Error > mostError {
			return fmt.Sprintf("output %q has a relative error of %.0f %%", f.Name, 100*f.Error)
		}
	}
	return ""
}

// Compare runs feeds through a and b.
func Compare(ctx context.Context, a, b *graphdef.Graph, feeds []map[string]*tensor.Tensor, opts Options) (*Report, error) {
	var plans [2]*runtime.Plan
	for i, g := range []*graphdef.Graph{a, b} {
		p, err := runtime.Compile(g, runtime.CompileOptions{
			Feeds: opts.Inputs, Fetches: opts.Outputs, Kernels: opts.Kernels, MaxBytes: opts.MaxBytes,
		})
		if err != nil {
			return nil, fmt.Errorf("%s graph: %w", which[i], err)
		}
		plans[i] = p
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		parts = make([]*part, len(feeds))
		next  atomic.Int64
		done  int
		mu    sync.Mutex
		wg    sync.WaitGroup
	)
	for range min(max(opts.Streams, 1), len(feeds)) {
		wg.Go(func() {
			sessions := [2]*runtime.Session{plans[0].NewSession(), plans[1].NewSession()}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(feeds) {
					return
				}
				p, err := compareFeed(ctx, sessions, feeds[i], &opts)
				if err != nil {
					cancel(fmt.Errorf("feed %d of %d: %w", i+1, len(feeds), err))
					return
				}
				parts[i] = p
				mu.Lock()
				if done++; opts.Progress != nil {
					opts.Progress(done, len(feeds))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return collect(parts, &opts), nil
}

// which names the two graphs in errors.
var which = [2]string{"the original", "the converted"}

// part is the comparison of one feed.
type part struct {
	floats []floatPart // by output; the zero value for others
	Report             // the counts
}

// floatPart holds sums over the elements of one output.
type floatPart struct {
	is                 bool // of a float dtype
	difference, signal float64
	notFinite, skipped int
}

// collect adds up parts in the order of the feeds, so that the result does not depend on the streams.
func collect(parts []*part, opts *Options) *Report {
	r := &Report{Feeds: len(parts)}
	total := make([]floatPart, len(opts.Outputs))
	for _, p := range parts {
		for i, f := range p.floats {
			t := &total[i]
			t.is = t.is || f.is
			t.difference += f.difference
			t.signal += f.signal
			t.notFinite += f.notFinite
			t.skipped += f.skipped
		}
		r.Tokens += p.Tokens
		r.Equal += p.Equal
		r.Rows += p.Rows
		r.StoppedA += p.StoppedA
		r.StoppedB += p.StoppedB
	}
	for i, t := range total {
		if !t.is {
			continue
		}
		f := FloatOutput{Name: opts.Outputs[i], NotFinite: t.notFinite, Skipped: t.skipped}
		switch {
		case t.signal > 0:
			f.Error = math.Sqrt(t.difference / t.signal)
		case t.difference > 0:
			f.Error = math.Inf(1)
		}
		r.Floats = append(r.Floats, f)
	}
	return r
}

// compareFeed runs one feed through both sessions.
func compareFeed(ctx context.Context, sessions [2]*runtime.Session, feed map[string]*tensor.Tensor, opts *Options) (*part, error) {
	var out [2]map[string]*tensor.Tensor
	for i, s := range sessions {
		var err error
		if out[i], err = s.Run(ctx, feed); err != nil {
			return nil, fmt.Errorf("%s graph: %w", which[i], err)
		}
	}
	p := &part{floats: make([]floatPart, len(opts.Outputs))}
	for i, name := range opts.Outputs {
		a, b := out[0][name], out[1][name]
		switch {
		case a.DType() != b.DType():
			return nil, fmt.Errorf("output %q: the converted graph has dtype %v, want %v", name, b.DType(), a.DType())
		case a.DType().IsFloat():
			var err error
			if p.floats[i], err = compareFloats(a, b); err != nil {
				return nil, fmt.Errorf("output %q: %w", name, err)
			}
		case a.DType().IsInteger():
			if err := p.compareTokens(a, b, opts); err != nil {
				return nil, fmt.Errorf("output %q: %w", name, err)
			}
		}
	}
	return p, nil
}

// compareFloats adds up the squares of b - a and of a.
func compareFloats(a, b *tensor.Tensor) (floatPart, error) {
	p := floatPart{is: true}
	x, err := translate.Floats(a)
	if err != nil {
		return p, err
	}
	y, err := translate.Floats(b)
	if err != nil {
		return p, err
	}
	if !a.Shape().Equal(b.Shape()) {
		p.skipped = 1
		return p, nil
	}
	for i, v := range y {
		switch {
		case !finite(x[i]):
		case !finite(v):
			p.notFinite++
		default:
			p.difference += (v - x[i]) * (v - x[i])
			p.signal += x[i] * x[i]
		}
	}
	return p, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// compareTokens counts tokens and ends of the rows of a and b.
func (p *part) compareTokens(a, b *tensor.Tensor, opts *Options) error {
	ends := a.Rank() >= 2
	var rows [2][][][]int
	for i, t := range []*tensor.Tensor{a, b} {
		if t.Rank() == 1 {
			var err error
			if t, err = t.Reshaped(tensor.Shape{t.Len(), 1}); err != nil {
				return err
			}
		}
		if r := t.Rank(); r != 2 && r != 3 || t.DType().Size() < 2 {
			return nil // no tokens: a count, a mask
		}
		var err error
		if rows[i], err = translate.Rows(t, a.Shape()[0], 1); err != nil {
			return fmt.Errorf("%s graph: %w", which[i], err)
		}
	}
	for i := range rows[0] {
		x, y := translate.Hypothesis{IDs: rows[0][i][0]}, translate.Hypothesis{IDs: rows[1][i][0]}
		if opts.EOS >= 0 && ends {
			x = translate.ReadHypothesis(x.IDs, opts.EOS, opts.Pad, opts.BOS)
			y = translate.ReadHypothesis(y.IDs, opts.EOS, opts.Pad, opts.BOS)
			p.Rows++
			p.StoppedA += count(x.Stopped)
			p.StoppedB += count(y.Stopped)
		}
		// The end counts as a token, so that two empty rows agree in something.
		p.Tokens += max(x.Tokens(), y.Tokens())
		p.Equal += common(x.IDs, y.IDs) + count(x.Stopped && y.Stopped)
	}
	return nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// common returns the length of the longest sequence that both x and y have in this order, perhaps with others in between:
// one word more at the start does not make all after it different.
func common(x, y []int) int {
	// Very long rows are compared place by place: the table would take long.
	if len(x)*len(y) > 1<<24 {
		n := 0
		for i := range min(len(x), len(y)) {
			n += count(x[i] == y[i])
		}
		return n
	}
	row := make([]int, len(y)+1) // row[j]: of the part of x so far and y[:j]
	for _, v := range x {
		diagonal := 0
		for j, w := range y {
			above := row[j+1]
			if v == w {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(y)]
}
