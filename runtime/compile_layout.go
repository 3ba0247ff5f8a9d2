package runtime

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// Between two products of a model, whose weights fill the caches, the interpreter waits for each cache line of its own. What steps
// run one after the other read therefore lies in that order, which a CPU fetches by itself.

// layOut moves the lists of p's steps together and numbers the slots in the order in which the steps name them.
func (c *compiler) layOut(p *Plan) {
	var slots []int32
	var operands []operandDims
	var parts []dims
	for range 2 { // the first time finds out how much room it takes, and may move
		slots, operands, parts = room(slots), room(operands), room(parts)
		eachStep(p.root, func(st *step) {
			st.in, st.out, st.free = collect(&slots, st.in), collect(&slots, st.out), collect(&slots, st.free)
			st.controls, st.ahead = collect(&slots, st.controls), collect(&slots, st.ahead)
			st.dims = collect(&operands, st.dims)
			for i := range st.dims {
				st.dims[i].parts = collect(&parts, st.dims[i].parts)
			}
		})
	}
	c.number(p)
}

// room returns an empty list with room for as many elements as list has.
func room[T any](list []T) []T { return make([]T, 0, len(list)) }

// collect appends list to all and returns it as a part of that.
func collect[T any](all *[]T, list []T) []T {
	n := len(*all)
	*all = append(*all, list...)
	return slices.Clip((*all)[n:])
}

// number gives the slots that p needs new numbers. No two of p's lists share memory.
func (c *compiler) number(p *Plan) {
	n := numbering{numbers: map[int32]int32{}}
	for i := range p.feeds {
		n.slot(&p.feeds[i].slot)
	}
	eachStep(p.root, n.step)
	for i := range p.fetches {
		n.slot(&p.fetches[i].slot)
	}
	for _, k := range p.kept {
		n.dims(k.of)
	}
	known := make(map[int32]*tensor.Tensor, len(c.constOf))
	for slot, t := range c.constOf {
		if to, used := n.numbers[slot]; used {
			known[to] = t
		}
	}
	c.constOf, c.numSlots = known, len(n.numbers)
}

// numbering numbers slots as they come.
type numbering struct{ numbers map[int32]int32 }

// slot replaces a slot's number, if there is one.
func (n *numbering) slot(s *int32) {
	if *s < 0 {
		return
	}
	to, ok := n.numbers[*s]
	if !ok {
		to = int32(len(n.numbers))
		n.numbers[*s] = to
	}
	*s = to
}

func (n *numbering) list(list []int32) {
	for i := range list {
		n.slot(&list[i])
	}
}

func (n *numbering) dims(list []dims) {
	for i := range list {
		n.slot(&list[i].slot)
	}
}

func (n *numbering) observations(list []observation) {
	for i := range list {
		n.slot(&list[i].slot)
	}
}

// step replaces the numbers in st, not those in the blocks inside it.
func (n *numbering) step(st *step) {
	n.list(st.in)
	n.list(st.controls)
	n.list(st.ahead)
	for _, d := range st.dims {
		n.dims(d.parts)
	}
	if l := st.loop; l != nil {
		for i := range l.vars {
			v := &l.vars[i]
			for _, s := range []*int32{&v.init, &v.cur, &v.next, &v.exit} {
				n.slot(s)
			}
		}
		n.slot(&l.pred)
		n.list(l.locals)
		n.observations(l.observe)
	}
	if br := st.branch; br != nil {
		for _, r := range br.results {
			n.list(r)
		}
		n.list(br.locals)
	}
	n.list(st.out)
	n.list(st.free)
	n.observations(st.observe)
}
