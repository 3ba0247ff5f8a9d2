package runtime

// hoist moves, in every loop of b, the body's steps that compute the same value in each iteration to the loop's once block,
// which runs when the condition holds for the first time: not before, so that a loop of no iterations computes nothing that
// TensorFlow would not. A decoder so projects the encoder's output to keys and values once and not at every step.
func (c *compiler) hoist(b *block) {
	for i := range b.steps {
		st := &b.steps[i]
		if st.branch != nil {
			for j := range st.branch.blocks {
				c.hoist(&st.branch.blocks[j])
			}
		}
		if st.loop != nil {
			c.hoist(&st.loop.cond)
			c.hoist(&st.loop.body)
			st.loop.hoist()
		}
	}
}

// hoist fills l.once.
func (l *loop) hoist() {
	varies := map[int32]bool{}
	for _, v := range l.vars {
		varies[v.cur] = true
	}
	for i := range l.cond.steps {
		markOutputs(&l.cond.steps[i], varies)
	}
	kept := l.body.steps[:0]
	for _, st := range l.body.steps {
		if st.invariant(varies) {
			l.once.steps = append(l.once.steps, st)
			continue
		}
		markOutputs(&st, varies)
		kept = append(kept, st)
	}
	l.body.steps = kept
}

// markOutputs notes that the outputs of st, and of the steps inside it, vary.
func markOutputs(st *step, varies map[int32]bool) {
	for _, o := range st.out {
		varies[o] = true
	}
	var inner []*block
	if st.loop != nil {
		inner = append(inner, &st.loop.cond, &st.loop.once, &st.loop.body)
		for _, v := range st.loop.vars {
			varies[v.cur] = true
		}
	}
	if st.branch != nil {
		for i := range st.branch.blocks {
			inner = append(inner, &st.branch.blocks[i])
		}
	}
	for _, b := range inner {
		for i := range b.steps {
			markOutputs(&b.steps[i], varies)
		}
	}
}

// invariant reports whether st gives the same outputs in every iteration and may run just once.
func (st *step) invariant(varies map[int32]bool) bool {
	if st.eval == nil || st.mayDie || len(st.observe) > 0 || st.stateful {
		return false
	}
	for _, in := range st.in {
		if varies[in] {
			return false
		}
	}
	return true
}
