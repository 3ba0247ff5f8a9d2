package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// emitFor appends the step of a For: its body sees a counter, from start by delta to limit, and the variables.
func (sc *scope) emitFor(n *graphdef.Node, b *block) error {
	name, err := functionAttr(n, "body")
	if err != nil {
		return err
	}
	in, err := sc.slotsOf(n)
	if err != nil {
		return err
	}
	if len(in) < 3 {
		return n.Errorf("have %d inputs, want start, limit and delta at least", len(in))
	}
	l := &loop{}
	st := step{name: n.Name(), op: n.Op(), loop: l, in: in}
	limit, delta := in[1], in[2]
	counter := sc.c.newSlot()
	args := []int32{counter}
	for range in[3:] {
		args = append(args, sc.c.newSlot())
	}
	l.pred = sc.appendStep(n, &l.cond, []int32{counter, limit, delta}, forGoesOn)
	next, err := sc.inline(n, name, args, &l.body)
	if err != nil {
		return err
	}
	if len(next) != len(in)-3 {
		return n.Errorf("body %q returns %d values for %d loop variables", name, len(next), len(in)-3)
	}
	count := sc.appendStep(n, &l.body, []int32{counter, delta}, forCounts)
	l.vars = append(l.vars, loopVar{init: in[0], cur: counter, next: count, exit: -1})
	for i, nx := range next {
		exit := sc.c.newSlot()
		l.vars = append(l.vars, loopVar{init: in[3+i], cur: args[1+i], next: nx, exit: exit})
		sc.put(n.Out(i), exit)
		st.out = append(st.out, exit)
	}
	// The check is a step of its own, so that what is wrong is said before anything runs.
	check := step{name: n.Name(), op: n.Op(), in: in[:3:3], out: []int32{sc.c.newSlot()}, eval: checkFor}
	sc.markDeath(n, &check)
	b.steps = append(b.steps, check)
	sc.markDeath(n, &st)
	sc.observeOutputs(n, &st)
	b.steps = append(b.steps, st)
	return nil
}

// appendStep appends a step of n's that computes one value and returns its slot.
func (sc *scope) appendStep(n *graphdef.Node, b *block, in []int32, eval evalFunc) int32 {
	out := sc.c.newSlot()
	b.steps = append(b.steps, step{name: n.Name(), op: n.Op(), in: in, out: []int32{out}, eval: eval})
	return out
}

// int32s returns the first len(v) inputs, which must be int32 scalars.
func (c *call) int32s(v []int32) error {
	for i := range v {
		t := c.in(i)
		if t.DType() != tensor.Int32 || t.Len() != 1 {
			return fmt.Errorf("input %d is %v %v, want an int32 scalar", i, t.DType(), t.Shape().Clone())
		}
		v[i] = tensor.Data[int32](t)[0]
	}
	return nil
}

func checkFor(c *call) error {
	var v [3]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	start, limit, delta := v[0], v[1], v[2]
	if delta > 0 && start > limit || delta < 0 && start < limit || delta == 0 && start != limit {
		return fmt.Errorf("cannot count from %d to %d by %d", start, limit, delta)
	}
	return c.setInt(0, 0)
}

func forGoesOn(c *call) error {
	var v [3]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	t, err := c.alloc(0, tensor.Bool, nil)
	if err == nil {
		tensor.Data[bool](t)[0] = v[2] > 0 && v[0] < v[1] || v[2] < 0 && v[0] > v[1]
	}
	return err
}

func forCounts(c *call) error {
	var v [2]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	// Behind the last number that an int32 holds the loop is over in any case.
	return c.setInt(0, int(min(max(int64(v[0])+int64(v[1]), math.MinInt32), math.MaxInt32)))
}

// emitMap appends the steps of a MapDefun: its function runs for each row of the first inputs, with the others as they are,
// and the results are stacked. The rows go into lists in a loop.
func (sc *scope) emitMap(n *graphdef.Node, b *block) error {
	r := n.AttrReader()
	name, rows, types, shapes := r.Func("f"), len(r.Types("Targuments")), r.Types("output_types"), r.Shapes("output_shapes")
	if err := r.Err(); err != nil {
		return err
	}
	in, err := sc.slotsOf(n)
	if err != nil {
		return err
	}
	if rows == 0 || rows > len(in) || len(types) != len(shapes) {
		return n.Errorf("have %d inputs of which %d are mapped, %d output types and %d output shapes", len(in), rows, len(types), len(shapes))
	}
	start := step{name: n.Name(), op: n.Op(), in: in[:rows:rows], out: []int32{sc.c.newSlot(), sc.c.newSlot()}, stateful: true}
	for range types {
		start.out = append(start.out, sc.c.newSlot())
	}
	start.eval = func(c *call) error { return startMap(c, types, shapes) }
	sc.markDeath(n, &start)
	zero, count, lists := start.out[0], start.out[1], start.out[2:]

	l := &loop{}
	st := step{name: n.Name(), op: n.Op(), loop: l, in: start.out}
	counter := sc.c.newSlot()
	l.pred = sc.appendStep(n, &l.cond, []int32{counter, count}, mapGoesOn)
	args := make([]int32, len(in))
	copy(args, in)
	for i := range rows {
		args[i] = sc.appendStep(n, &l.body, []int32{counter, in[i]}, mapRow)
	}
	results, err := sc.inline(n, name, args, &l.body)
	if err != nil {
		return err
	}
	if len(results) != len(types) {
		return n.Errorf("function %q returns %d values, want the %d of output_types", name, len(results), len(types))
	}
	next := sc.appendStep(n, &l.body, []int32{counter}, mapCounts)
	l.vars = append(l.vars, loopVar{init: zero, cur: counter, next: next, exit: -1})
	finish := step{name: n.Name(), op: n.Op()}
	for i, res := range results {
		cur, exit := sc.c.newSlot(), sc.c.newSlot()
		pushed := sc.appendStep(n, &l.body, []int32{cur, res}, pushElement)
		l.vars = append(l.vars, loopVar{init: lists[i], cur: cur, next: pushed, exit: exit})
		st.out = append(st.out, exit)
		out := sc.c.newSlot()
		sc.put(n.Out(i), out)
		finish.in, finish.out = append(finish.in, exit), append(finish.out, out)
	}
	finish.eval = func(c *call) error { return finishMap(c, shapes) }
	sc.finishLoop(&st)
	sc.markDeath(n, &finish)
	sc.observeOutputs(n, &finish)
	b.steps = append(b.steps, start, st, finish)
	return nil
}

// startMap gives 0, the number of rows, and an empty list for each output.
func startMap(c *call, types []tensor.DType, shapes []tensor.PartialShape) error {
	num := -1
	for i := range c.numIn() {
		s := c.in(i).Shape()
		if len(s) == 0 || num >= 0 && s[0] != num {
			return fmt.Errorf("argument %d has shape %v, want as many rows as the others (%d)", i, s.Clone(), num)
		}
		num = s[0]
	}
	if err := c.setInt(0, 0); err != nil {
		return err
	}
	if err := c.setInt(1, num); err != nil {
		return err
	}
	for i, d := range types {
		c.setList(2+i, newList(d, shapes[i]))
	}
	return nil
}

func mapGoesOn(c *call) error {
	var v [2]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	t, err := c.alloc(0, tensor.Bool, nil)
	if err == nil {
		tensor.Data[bool](t)[0] = v[0] < v[1]
	}
	return err
}

func mapCounts(c *call) error {
	var v [1]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	return c.setInt(0, int(v[0])+1)
}

// mapRow gives the row of input 1 whose number is input 0.
func mapRow(c *call) error {
	var v [1]int32
	if err := c.int32s(v[:]); err != nil {
		return err
	}
	it := c.row(1, int(v[0]), c.in(1).Shape()[1:].Clone())
	c.give(0, &it)
	c.s.arena.drop(&it)
	return nil
}

// finishMap stacks each list.
func finishMap(c *call, shapes []tensor.PartialShape) error {
	for i := range c.numIn() {
		l, err := c.listIn(i, tensor.Invalid)
		if err != nil {
			return err
		}
		p, err := l.mergeElements(shapes[i])
		if err != nil {
			return err
		}
		shape, ok := p.Shape()
		if !ok {
			return fmt.Errorf("output %d has no rows, and their shape is not known: %v", i, p)
		}
		if err := c.stack(i, l.dtype, shape, l.size, l.at); err != nil {
			return err
		}
	}
	return nil
}
