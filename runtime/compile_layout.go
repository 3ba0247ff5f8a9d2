package runtime

import "slices"

// layOut moves the lists of p's steps together, in the order in which the steps run: a CPU fetches what follows by itself.
func layOut(p *Plan) {
	var slots []int32
	var operands []operandDims
	var parts []dims
	for range 2 { // the first time finds out how much room it takes, and may move
		slots, operands, parts = room(slots), room(operands), room(parts)
		eachStep(p.root, func(st *step) {
			st.in, st.out, st.free = collect(&slots, st.in), collect(&slots, st.out), collect(&slots, st.free)
			st.dims = collect(&operands, st.dims)
			for i := range st.dims {
				st.dims[i].parts = collect(&parts, st.dims[i].parts)
			}
		})
	}
}

// room returns an empty list with room for as many elements as list has.
func room[T any](list []T) []T { return make([]T, 0, len(list)) }

// collect appends list to all and returns it as a part of that.
func collect[T any](all *[]T, list []T) []T {
	n := len(*all)
	*all = append(*all, list...)
	return slices.Clip((*all)[n:])
}
