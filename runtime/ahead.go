package runtime

import (
	"math"
	"unsafe"
)

// A decoder's step reads the keys and values of all tokens before it. The weights have gone through the caches since the last
// step read them, so they come from memory again. Attention computes too little to hide that; the products before it compute
// a lot and read little. So they ask for what attention will read, while they run.

// productsAhead is how many products before a step begin to ask for what it reads: beyond, the weights between would drive it
// out of the second cache again.
const productsAhead = 3

// lookAhead tells the products among b's own steps what to ask for.
func lookAhead(b *block) {
	written := map[int32]int{} // by which step
	var products []int         // since the last attention
	for i := range b.steps {
		st := &b.steps[i]
		var read []int32
		switch {
		case st.attention != nil:
			read = st.in[1:3]
		case st.op == "CacheAppend":
			read = st.in[:1]
		}
		for _, slot := range read {
			late := products[max(0, len(products)-productsAhead):]
			if w, ok := written[slot]; ok {
				for len(late) > 0 && late[0] <= w {
					late = late[1:]
				}
			}
			if len(late) > 0 {
				st := &b.steps[late[0]]
				st.ahead = append(st.ahead, slot)
			}
		}
		switch {
		case st.attention != nil:
			products = products[:0]
		case st.op == "MatMul" || st.op == "_QuantizedMatMul":
			products = append(products, i)
		}
		for _, slot := range st.out {
			written[slot] = i
		}
	}
}

// near is what the interpreter itself reads between one dense step and the next: steps, and slots that they set.
type near struct {
	steps    []step
	from, to int32
}

// lookNear finds what is near the dense steps of b. It runs when slots have their last numbers.
func lookNear(b *block) {
	last, named := -1, int32(-1) // the dense step, the greatest slot so far
	for i := range b.steps {
		if !b.steps[i].dense && i < len(b.steps)-1 {
			continue
		}
		if last >= 0 {
			n := near{steps: b.steps[last+1 : i+1], from: math.MaxInt32}
			for j := range n.steps {
				for _, s := range n.steps[j].out {
					if s > named { // slots that are named here for the first time lie together
						n.from, n.to, named = min(n.from, s), s+1, s
					}
				}
			}
			b.steps[last].near = n
		}
		last = i
	}
}

// memoryOf returns the memory of a slice.
func memoryOf[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// lookAhead makes the session's Ahead what later steps read, as far as it is there: a slot that holds nothing yet, or no longer,
// names memory that nobody reads, which costs a little time and no more.
func (c *call) lookAhead() {
	ahead := &c.s.ahead
	if len(c.st.ahead) > 0 {
		ahead.Reset()
	}
	if n := &c.st.near; n.from < n.to {
		ahead.First(memoryOf(n.steps), memoryOf(c.s.values[n.from:n.to]))
	}
	for _, slot := range c.st.ahead {
		v := &c.s.values[slot]
		if h := v.cache; h != nil {
			// Behind what there is, the next entries are written.
			w := h.width()
			for i := range h.groups() * h.heads {
				ahead.Add(h.buf.mem[i*h.room*w:][:min(h.room, int(h.used[i/h.heads])+h.beams)*w])
			}
			continue
		}
		mem := v.t.Bytes()
		size, every := len(mem), len(mem)
		if v.rep.times > 1 && v.rep.chunk > 0 { // attention reads the first of what repeats
			size = v.rep.chunk * v.t.DType().Size()
			if every = size * v.rep.times; v.rep.folded {
				every = size
			}
		}
		for at := 0; at < len(mem); at += every {
			ahead.Add(mem[at:min(at+size, len(mem))])
		}
	}
}
