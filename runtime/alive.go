package runtime

// conditions are predicates, by slot, and the values they must have: all of them. None is always; nil is not known.
type conditions map[int32]bool

// and returns the conditions of a and b together, nil where one of them is unknown or they exclude each other.
func (a conditions) and(b conditions) conditions {
	if a == nil || b == nil {
		return nil
	}
	both := conditions{}
	for p, v := range a {
		both[p] = v
	}
	for p, v := range b {
		if w, ok := both[p]; ok && w != v {
			return nil
		}
		both[p] = v
	}
	return both
}

// or returns the conditions of which one of a and b is met where they differ in one predicate's value alone, nil otherwise.
func (a conditions) or(b conditions) conditions {
	if a == nil || len(a) != len(b) {
		return nil
	}
	either := conditions{}
	for p, v := range a {
		w, ok := b[p]
		if !ok {
			return nil
		}
		if v == w {
			either[p] = v
		}
	}
	if len(a)-len(either) != 1 {
		return nil
	}
	return either
}

// aliveWhen returns when st runs: if all its inputs and controls are alive or, for a Merge, one input is. The Merge of a
// conditional so runs whenever the conditional does.
func (c *compiler) aliveWhen(st *step) conditions {
	of := func(s int32) conditions {
		if !c.mayDie[s] {
			return conditions{}
		}
		return c.aliveIf[s]
	}
	if st.merge {
		if len(st.in) != 2 || len(st.controls) > 0 {
			return nil
		}
		return of(st.in[0]).or(of(st.in[1]))
	}
	when := conditions{}
	for _, s := range st.in {
		when = when.and(of(s))
	}
	for _, s := range st.controls {
		when = when.and(of(s))
	}
	return when
}
