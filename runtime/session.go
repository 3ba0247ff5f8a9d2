package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// Observer is called with the value of a tensor that CompileOptions.Observe named, each time it is computed. The tensor is
// valid during the call only.
type Observer func(name string, t *tensor.Tensor)

// Session holds the slots of one stream that runs a Plan. It serves one goroutine at a time; its buffers only grow, so that
// in steady state a step allocates nothing.
type Session struct {
	// Observer, if set, sees the observed tensors.
	Observer Observer
	// Profile, if set, is told what each step took; the steps inside a loop are told one by one, the loop is not.
	Profile func(StepTime)

	plan       *Plan
	values     []value
	arena      arena
	kept       []kept
	keptBytes  int
	call       call
	moved      []value // scratch of loops: the next values of all variables
	scratch    kernels.Scratch
	ahead      kernels.Ahead
	transposed []float32 // scratch of products whose left operand is read transposed
	topk       kernels.TopKScratch
	codes      kernels.Codes
	product    []float32   // scratch of products that are not stored as they are
	equal      equalRows   // of the product that runs
	caches     []*rowCache // not in use
	beams      int         // rows of a group of the last cache that was found to have some: the next one likely has as many
	lists      []float32   // scratch of attention over a rowCache
	own        []uint64    // the same: the entries of each row
	parents    []int32
	maskRow    []float32 // scratch of attention: a mask of one number, repeated
	columns    []float32 // scratch of quantized products: scale and bias of each column
	work       Work
	stopped    atomic.Bool
	resources  map[string]any // variables, tables: by kind, container and shared name; a run starts without
	arrays     []holder       // tensor arrays of this run
	pinned     []*buffer      // variants of this run whose references are not counted
	rows       *rowRun        // of RunRows, nil where rows stay together
	behind     *Session       // runs the steps behind a loop for rows that have left it
}

// value is what a slot holds: a tensor header, and the buffer it points into (nil for constants and feeds, whose memory is
// not the session's).
type value struct {
	t    tensor.Tensor
	dims [8]int
	buf  *buffer
	dead bool
	rep  repeat
	// cache, if set, holds the elements in place of t, which then has the dtype and shape alone. Compile sees to it that
	// only steps that know of it read such a slot.
	cache *rowCache
}

// repeat says that a value's elements, in row-major order, are runs of chunk elements each of which stands there times times in
// a row: what Tile makes of a sentence's encoding for the beams of a search. Views and products keep it, so that what is the
// same for all beams is computed once. The zero value says nothing.
type repeat struct {
	times, chunk int
	folded       bool // the memory holds the first of each run alone (foldRepeats)
}

// NewSession returns a session for p.
func (p *Plan) NewSession() *Session {
	s := &Session{plan: p, values: make([]value, p.numSlots), kept: make([]kept, len(p.kept))}
	s.arena.max = p.maxBytes
	s.call.s = s
	for _, c := range p.consts {
		s.values[c.slot].t = *c.value
	}
	return s
}

// Run computes the plan's fetches, keyed by the names that CompileOptions gave. Feeds are keyed the same way; each must
// have the dtype, and not contradict the shape, that the graph declares. The results belong to the caller. Run stops with
// ctx's error between two steps after ctx is done. Variables, tables and arrays live for one run: the next finds them
// uninitialised, so that a result depends on nothing but the feeds.
func (s *Session) Run(ctx context.Context, feeds map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	if err := s.feed(feeds); err != nil {
		return nil, err
	}
	s.stopped.Store(false)
	behind := s.behind
	if behind != nil {
		behind.stopped.Store(false)
	}
	unhook := context.AfterFunc(ctx, func() {
		s.stopped.Store(true)
		if behind != nil {
			behind.stopped.Store(true)
		}
	})
	defer unhook()
	defer s.reset()
	if s.rows != nil {
		s.rows.begin(s)
	}
	err := s.run(s.plan.root)
	if err == nil && s.rows != nil && len(s.rows.groups) > 0 && !s.rows.apart(s.plan) {
		err = errMixed
	}
	if err != nil {
		if errors.Is(err, errStopped) {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("run: %w", err)
	}
	return s.results()
}

// results takes the fetches out of their slots.
func (s *Session) results() (map[string]*tensor.Tensor, error) {
	out := make(map[string]*tensor.Tensor, len(s.plan.fetches))
	for _, f := range s.plan.fetches {
		v := &s.values[f.slot]
		if v.dead {
			return nil, fmt.Errorf("run: fetch %q lies on a branch that did not run", f.name)
		}
		if d := v.t.DType(); d == tensor.Resource || d == tensor.Variant {
			return nil, fmt.Errorf("run: fetch %q is a %v, which means nothing outside of the run; fetch a value read from it", f.name, d)
		}
		out[f.name] = s.takeOut(v)
	}
	return out, nil
}

var errStopped = errors.New("stopped")

// feed checks the feeds and puts them into their slots.
func (s *Session) feed(feeds map[string]*tensor.Tensor) error {
	for _, f := range s.plan.feeds {
		t := feeds[f.name]
		if t == nil {
			return fmt.Errorf("run: feed %q is missing, want %v %v", f.name, f.dtype, f.shape)
		}
		if f.dtype != tensor.Invalid && t.DType() != f.dtype {
			return fmt.Errorf("run: feed %q: have dtype %v, want %v", f.name, t.DType(), f.dtype)
		}
		if !f.shape.Accepts(t.Shape()) {
			return fmt.Errorf("run: feed %q: have shape %v, want %v", f.name, t.Shape(), f.shape)
		}
		if t.Len() == 0 {
			if err := s.arena.allowEmpty(t.Shape()); err != nil {
				return fmt.Errorf("run: feed %q: %w", f.name, err)
			}
		}
		s.values[f.slot].t, s.values[f.slot].rep = *t, repeat{}
	}
	if len(feeds) > len(s.plan.feeds) {
		known := map[string]bool{}
		for _, f := range s.plan.feeds {
			known[f.name] = true
		}
		for name := range feeds {
			if !known[name] {
				return fmt.Errorf("run: %q is not a feed of this plan, which has %q", name, s.plan.Feeds())
			}
		}
	}
	return nil
}

// takeOut returns the tensor of v for the caller of Run to keep.
func (s *Session) takeOut(v *value) *tensor.Tensor {
	if v.buf == nil || v.buf.refs > 1 || v.t.DType() == tensor.String {
		return v.t.Clone() // a constant, a feed, or memory that another slot shares
	}
	t := v.t
	out := new(tensor.Tensor)
	out.Set(t.DType(), t.Shape().Clone(), t.Bytes())
	s.arena.forget(v.buf)
	v.buf = nil
	return out
}

// reset releases every slot, so that the next run starts clean.
func (s *Session) reset() {
	for i := range s.values {
		s.release(int32(i))
	}
	s.dropResources()
}

// release ends the life of a slot's value.
func (s *Session) release(slot int32) {
	v := &s.values[slot]
	if v.buf != nil {
		s.arena.release(v.buf)
		v.buf = nil
	}
	s.dropCache(v)
}

// share makes slot dst hold the same elements as src.
func (s *Session) share(dst, src int32) {
	d, v := &s.values[dst], &s.values[src]
	s.release(dst)
	d.dead, d.rep = v.dead, v.rep
	d.buf = v.buf
	if d.buf != nil {
		d.buf.refs++
	}
	if v.t.Refs() != nil || v.t.Strings() != nil {
		d.t = v.t
		return
	}
	d.t.Set(v.t.DType(), append(d.dims[:0], v.t.Shape()...), v.t.Bytes())
}

// run executes the steps of b.
func (s *Session) run(b *block) error {
	for i := range b.steps {
		st := &b.steps[i]
		if s.stopped.Load() {
			return errStopped
		}
		switch {
		case st.mayDie && s.isDead(st):
			for _, o := range st.out {
				s.release(o)
				s.values[o].dead = true
			}
		case st.loop != nil:
			if err := s.runLoop(st); err != nil {
				return err
			}
			if s.rows != nil && s.rows.watch && st.loop.leave == nil {
				s.rows.note(s, st)
			}
		case st.branch != nil:
			if err := s.runBranch(st); err != nil {
				return err
			}
			if s.rows != nil && s.rows.watch {
				s.rows.note(s, st)
			}
		default:
			s.call.st = st
			watch := s.rows != nil && s.rows.watch
			if watch {
				s.rows.before(s, st)
			}
			var err error
			if s.Profile == nil {
				err = st.eval(&s.call)
			} else {
				err = s.timed(st)
			}
			if err == nil && s.call.text {
				s.call.text = false
				err = s.holdText(st)
			}
			if err != nil {
				return &graphdef.NodeError{Node: st.name, Op: st.op, Err: err}
			}
			if watch {
				s.rows.note(s, st)
			}
		}
		if s.Observer != nil {
			s.observe(st.observe)
		}
		for _, slot := range st.free {
			s.release(slot)
		}
	}
	return nil
}

func (s *Session) observe(list []observation) {
	for _, o := range list {
		if v := &s.values[o.slot]; !v.dead {
			s.Observer(o.name, &v.t)
		}
	}
}

// isDead reports whether st must not run, as TensorFlow's executor decides: an input or a control input is dead (for Merge:
// all data inputs are). It marks the outputs of a step that runs as alive.
func (s *Session) isDead(st *step) bool {
	dead := st.merge
	for _, i := range st.in {
		if s.values[i].dead != st.merge {
			dead = !st.merge
			break
		}
	}
	if !st.merge {
		for _, i := range st.controls {
			dead = dead || s.values[i].dead
		}
	}
	if !dead {
		for _, o := range st.out {
			s.values[o].dead = false
		}
	}
	return dead
}

// runLoop runs a while loop to its end.
func (s *Session) runLoop(st *step) error {
	l := st.loop
	for _, v := range l.vars {
		s.share(v.cur, v.init)
	}
	leaves := l.leave != nil && s.rows != nil
	if leaves {
		s.rows.enter(l)
	}
	for iteration := 0; ; iteration++ {
		// A loop may have no steps at all: views of its variables and a constant condition take none.
		if s.stopped.Load() {
			return errStopped
		}
		if leaves = leaves && s.rows != nil; leaves {
			s.rows.watch, s.rows.known = true, iteration >= settled
		}
		if err := s.run(&l.cond); err != nil {
			return err
		}
		p := &s.values[l.pred].t
		if p.DType() != tensor.Bool || p.Len() != 1 {
			return &graphdef.NodeError{Node: st.name, Op: st.op, Err: fmt.Errorf("loop condition is %v %v, want a bool scalar", p.DType(), p.Shape())}
		}
		if !tensor.Data[bool](p)[0] {
			if leaves && slices.Contains(s.rows.forms[l.pred].alone, true) {
				if err := s.stayTogether(); err != nil { // alone some would go on
					return err
				}
				leaves = false
			}
			break
		}
		if leaves && iteration >= settled {
			if err := s.leave(st); err != nil {
				return err
			}
		}
		if leaves = leaves && s.rows != nil; leaves {
			s.rows.watch = iteration < settled
		}
		if s.Observer != nil {
			s.observe(l.observe)
		}
		if iteration == 0 {
			if err := s.run(&l.once); err != nil {
				return err
			}
		}
		if err := s.run(&l.body); err != nil {
			return err
		}
		s.advance(l)
		if leaves && s.rows.watch && !s.rows.advance(l, iteration) {
			if err := s.stayTogether(); err != nil {
				return err
			}
		}
	}
	if leaves {
		s.rows.exit(l)
	}
	for _, v := range l.vars {
		if v.exit >= 0 {
			s.share(v.exit, v.cur)
		}
	}
	for _, slot := range l.locals {
		s.release(slot)
	}
	return nil
}

// advance makes the next values of a loop's variables the current ones, all at once: a next value may be another variable's
// current one.
func (s *Session) advance(l *loop) {
	base := len(s.moved)
	for _, v := range l.vars {
		n := &s.values[v.next]
		if n.buf != nil {
			n.buf.refs++
		}
		if n.cache != nil {
			n.cache.refs++
		}
		s.moved = append(s.moved, *n)
		// The header's dimensions may lie in a slot that is about to change.
		copy(s.moved[len(s.moved)-1].dims[:], n.t.Shape())
	}
	for i, v := range l.vars {
		s.release(v.cur)
		c, m := &s.values[v.cur], &s.moved[base+i]
		c.buf, c.dead, c.rep, c.cache = m.buf, m.dead, m.rep, m.cache
		if m.t.Refs() != nil || m.t.Strings() != nil {
			c.t = m.t
			continue
		}
		shape := m.t.Shape()
		if len(shape) <= len(m.dims) {
			shape = m.dims[:len(shape)]
		}
		c.t.Set(m.t.DType(), append(c.dims[:0], shape...), m.t.Bytes())
	}
	s.moved = s.moved[:base]
	for _, v := range l.vars {
		if v.ownsNext {
			s.release(v.next)
		}
	}
}

// runBranch runs the block that the first input chooses and hands its results to the step's outputs.
func (s *Session) runBranch(st *step) error {
	b := st.branch
	i := 0
	if b.choose != nil {
		var err error
		if i, err = b.choose(&s.values[st.in[0]].t); err != nil {
			return &graphdef.NodeError{Node: st.name, Op: st.op, Err: err}
		}
	}
	if err := s.run(&b.blocks[i]); err != nil {
		return err
	}
	for k, o := range st.out {
		s.share(o, b.results[i][k])
	}
	for _, slot := range b.locals {
		s.release(slot)
	}
	return nil
}
