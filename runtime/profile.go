package runtime

import "time"

// StepTime is what Session.Profile is told of a step that ran.
type StepTime struct {
	// Name is the node's that the step stands for, Op its op, or that of the fused step.
	Name, Op string
	Time     time.Duration
	// Work is that of the step alone.
	Work Work
	// Bytes is the size of the step's outputs.
	Bytes int64
}

// Work counts the multiply-adds of matrix products: those in float, and those on 8-bit codes.
type Work struct {
	Float int64 `json:"float"`
	Int8  int64 `json:"int8"`
}

// Sub returns w less v.
func (w Work) Sub(v Work) Work { return Work{w.Float - v.Float, w.Int8 - v.Int8} }

// Work returns the multiply-adds that the session has done since it was made. What a step computes once for several rows counts
// once, and what it leaves out because a factor is 0 not at all.
func (s *Session) Work() Work { return s.work }

// count notes the multiply-adds of an [m, k] x [k, n] product.
func (c *call) count(m, n, k int, codes bool) {
	if codes {
		c.s.work.Int8 += int64(m) * int64(n) * int64(k)
	} else {
		c.s.work.Float += int64(m) * int64(n) * int64(k)
	}
}

// timed runs st and tells Profile about it.
func (s *Session) timed(st *step) error {
	before, start := s.work, time.Now()
	err := st.eval(&s.call)
	t := StepTime{Name: st.name, Op: st.op, Time: time.Since(start), Work: s.work.Sub(before)}
	for _, o := range st.out {
		t.Bytes += int64(len(s.values[o].t.Bytes()))
	}
	s.Profile(t)
	return err
}
