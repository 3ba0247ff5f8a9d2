// Package bench measures how fast a plan runs on this machine: whole runs against the clock ([Time]), step by step
// ([ProfileRun]), and against what the CPU could do ([Peaks]).
package bench

import (
	"cmp"
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tfq8/tfq8/internal/speed"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Feeds is what one run of a plan is given.
type Feeds = map[string]*tensor.Tensor

// Rates are operations per second; a multiply-add counts as two.
type Rates struct {
	Float float64 `json:"float"`
	Int8  float64 `json:"int8"`
}

// Peaks measures what one core can do with the instructions that the products of a tier use, on registers alone. Both are 0
// on the portable tier, which has no such instructions.
func Peaks(set *kernels.Set) Rates {
	if set.PeakLoop(kernels.MixF32) == 0 {
		return Rates{}
	}
	ops := [2]int{}
	times := speed.Fastest(200*time.Millisecond,
		func() { ops[0] = set.PeakLoop(kernels.MixF32) },
		func() { ops[1] = set.PeakLoop(kernels.MixInt8) })
	return Rates{float64(ops[0]) / times[0].Seconds(), float64(ops[1]) / times[1].Seconds()}
}

// Floor is the least time in which work can be done at the given rates on some cores.
func (r Rates) Floor(w runtime.Work, cores int) time.Duration {
	if r.Float == 0 || r.Int8 == 0 {
		return 0
	}
	seconds := 2*float64(w.Float)/r.Float + 2*float64(w.Int8)/r.Int8
	return time.Duration(seconds / float64(max(1, cores)) * float64(time.Second))
}

// Runner runs one plan on sessions that keep their memory from one call to the next. It serves one goroutine.
type Runner struct {
	plan     *runtime.Plan
	sessions []*runtime.Session
}

// NewRunner returns a runner of p on some streams.
func NewRunner(p *runtime.Plan, streams int) *Runner {
	r := &Runner{plan: p}
	for range max(1, streams) {
		r.sessions = append(r.sessions, p.NewSession())
	}
	return r
}

// Run runs all feeds once, the streams pulling from one queue, and returns the time from the first to the last.
func (r *Runner) Run(ctx context.Context, feeds []Feeds) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for _, s := range r.sessions {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(feeds) {
					return
				}
				if _, err := s.RunRows(ctx, feeds[i]); err != nil {
					cancel(fmt.Errorf("feed %d: %w", i+1, err))
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return time.Since(start), nil
}

// Work returns the multiply-adds of one run of all feeds.
func (r *Runner) Work(ctx context.Context, feeds []Feeds) (runtime.Work, error) {
	before := r.total()
	_, err := r.Run(ctx, feeds)
	return r.total().Sub(before), err
}

func (r *Runner) total() (w runtime.Work) {
	for _, s := range r.sessions {
		w.Float += s.Work().Float
		w.Int8 += s.Work().Int8
	}
	return w
}

// Allocations returns the number of heap objects that one run of all feeds allocates, the results included.
func (r *Runner) Allocations(ctx context.Context, feeds []Feeds) (objects, bytes uint64, err error) {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	_, err = r.Run(ctx, feeds)
	goruntime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc, err
}

// Step is what the steps of one kind took.
type Step struct {
	Op    string        `json:"op"`
	Calls int           `json:"calls"`
	Time  time.Duration `json:"nanoseconds"`
	Work  runtime.Work  `json:"multiply_adds"`
	Bytes int64         `json:"bytes"`
}

// ProfileRun runs all feeds once on one stream and returns what the steps took by op, the slowest first, and the time between
// them: that of the interpreter and of the clock, which is read twice a step.
func ProfileRun(ctx context.Context, p *runtime.Plan, feeds []Feeds) (steps []Step, rest time.Duration, err error) {
	s := p.NewSession()
	for range 2 { // the first time, memory grows
		byOp := map[string]*Step{}
		var inside time.Duration
		s.Profile = func(t runtime.StepTime) {
			st := byOp[t.Op]
			if st == nil {
				st = &Step{Op: t.Op}
				byOp[t.Op] = st
			}
			st.Calls++
			st.Time += t.Time
			st.Bytes += t.Bytes
			st.Work.Float += t.Work.Float
			st.Work.Int8 += t.Work.Int8
			inside += t.Time
		}
		start := time.Now()
		for _, f := range feeds {
			if _, err := s.RunRows(ctx, f); err != nil {
				return nil, 0, err
			}
		}
		rest = time.Since(start) - inside
		steps = steps[:0]
		for _, st := range byOp {
			steps = append(steps, *st)
		}
	}
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Op, b.Op))
	})
	return steps, rest, nil
}

// Median returns the middle of some times, which it sorts.
func Median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}
