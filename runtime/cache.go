package runtime

import (
	"github.com/tfq8/tfq8/tensor"
)

// rowCache is the value of a tensor that a loop extends along time and whose rows it reorders: the keys or values that a decoder
// has seen. Rows belong to groups, the beams of a sentence. What several beams of a group have
// in common, since they descend from one hypothesis, is stored once: a group has entries, each the [heads, depth] of one time
// step, and a row is a list of them. Extending writes the new entries alone; reordering changes lists, and closes the gaps
// that entries leave which no row reads any more.
type rowCache struct {
	cacheDims
	dtype    tensor.DType
	refs     int     // slots that hold it
	beams    int     // rows of a group
	buf      *buffer // [groups, heads, room, depth]
	room     int     // entries that a group has memory for
	used     []int32 // entries of each group
	lists    []int32 // [rows, listRoom]: the entries of each row, ascending
	listRoom int
	// history is equal for two caches that went through the same steps: their lists are then equal too.
	history uint64
	// wild is set once a value came in that is not finite: 0 times such a value is not 0.
	wild bool

	parents []int32 // what each row was before a reorder that is to be done yet, none if there is none
	former  int     // rows of a group then
	old     []int32 // scratch of settle
	live    []int32
}

// cacheDims are the dimensions of what a rowCache holds: elements in the order [rows, heads, time, depth] or, with timeFirst,
// [rows, time, heads, depth].
type cacheDims struct {
	rows, heads, time, depth int
	timeFirst                bool
}

// cacheDimsOf reads shape as the dimensions of a cache that grows along axis: one of rank 3 has one head.
func cacheDimsOf(shape tensor.Shape, axis int) (d cacheDims, ok bool) {
	if axis < 0 {
		axis += len(shape)
	}
	switch {
	case len(shape) == 4 && axis == 2:
		d = cacheDims{rows: shape[0], heads: shape[1], time: shape[2], depth: shape[3]}
	case len(shape) == 4 && axis == 1:
		d = cacheDims{rows: shape[0], heads: shape[2], time: shape[1], depth: shape[3], timeFirst: true}
	case len(shape) == 3 && axis == 1:
		d = cacheDims{rows: shape[0], heads: 1, time: shape[1], depth: shape[2], timeFirst: true}
	default:
		return d, false
	}
	return d, d.rows > 0 && d.heads > 0 && d.depth > 0
}

// place returns where the entry of a row, head and time begins, counted in entries.
func (d *cacheDims) place(row, head, time int) int {
	if d.timeFirst {
		return (row*d.time+time)*d.heads + head
	}
	return (row*d.heads+head)*d.time + time
}

// groups returns the number of groups.
func (h *rowCache) groups() int { return h.rows / h.beams }

// width returns the bytes of one entry of one head.
func (h *rowCache) width() int { return h.depth * h.dtype.Size() }

// list returns the entries of a row.
func (h *rowCache) list(row int) []int32 { return h.lists[row*h.listRoom:][:h.time] }

// head returns the memory of a head of a group, as many entries as there are.
func (h *rowCache) head(group, head int) []byte {
	w := h.width()
	return h.buf.mem[(group*h.heads+head)*h.room*w:][:int(h.used[group])*w]
}

// group returns the memory of the heads of a group, room entries each.
func (h *rowCache) group(group int) []byte {
	size := h.heads * h.room * h.width()
	return h.buf.mem[group*size:][:size]
}

// matches reports whether h holds what d describes: all but the time is compared, and a single head of d may be all of h's.
func (h *rowCache) matches(d cacheDims) bool {
	if d.rows != h.rows || d.timeFirst != h.timeFirst {
		return false
	}
	return d.heads == h.heads && d.depth == h.depth || d.heads == 1 && d.timeFirst && d.depth == h.heads*h.depth
}

// load makes h a copy of the elements mem, in groups of beams rows.
func (h *rowCache) load(a *arena, dtype tensor.DType, mem []byte, d cacheDims, beams int) error {
	h.free(a)
	h.cacheDims, h.dtype, h.beams = d, dtype, beams
	h.time, h.history, h.wild = 0, uint64(d.rows), false
	h.used = growInts(h.used, h.groups())
	clear(h.used)
	return h.extend(a, mem, d.time)
}

// extend appends the elements mem, steps along time.
func (h *rowCache) extend(a *arena, mem []byte, steps int) error {
	h.settle()
	if err := h.reserve(a, steps); err != nil {
		return err
	}
	w, src := h.width(), h.cacheDims
	src.time = steps
	for row := range h.rows {
		group, beam := row/h.beams, row%h.beams
		first := int(h.used[group]) + beam
		for head := range h.heads {
			dst := h.buf.mem[((group*h.heads+head)*h.room+first)*w:]
			for i := range steps {
				copy(dst[i*h.beams*w:][:w], mem[src.place(row, head, i)*w:][:w])
			}
		}
		list := h.lists[row*h.listRoom+h.time:]
		for i := range steps {
			list[i] = int32(first + i*h.beams)
		}
	}
	for g := range h.used {
		h.used[g] += int32(steps * h.beams)
	}
	h.time += steps
	h.note(uint64(steps))
	return nil
}

// note mixes what was done to h into its history (FNV-1a).
func (h *rowCache) note(v uint64) { h.history = (h.history ^ v) * 0x100000001b3 }

// reserve makes room for more steps.
func (h *rowCache) reserve(a *arena, steps int) error {
	most := 0
	for _, n := range h.used {
		most = max(most, int(n))
	}
	if need := most + steps*h.beams; h.buf == nil || need > h.room {
		if err := h.grow(a, max(need, 2*h.room, 12*h.beams)); err != nil {
			return err
		}
	}
	if need := h.time + steps; need > h.listRoom {
		room := max(need, 2*h.listRoom, 32)
		lists := make([]int32, h.rows*room)
		for row := 0; h.time > 0 && row < h.rows; row++ {
			copy(lists[row*room:], h.list(row))
		}
		h.lists, h.listRoom = lists, room
	} else if need := h.rows * h.listRoom; need > len(h.lists) {
		// Memory of an earlier run with fewer rows: its lists are of no use.
		h.lists = make([]int32, need)
	}
	return nil
}

// grow moves the entries to memory that holds room of them a group.
func (h *rowCache) grow(a *arena, room int) error {
	w := h.width()
	size, err := tensor.Shape{h.groups(), h.heads, room, w}.CheckedElements()
	if err != nil {
		return err
	}
	buf, err := a.get(size)
	if err != nil {
		return err
	}
	if h.buf != nil {
		for g, n := range h.used {
			for head := range h.heads {
				at := g*h.heads + head
				copy(buf.mem[at*room*w:], h.buf.mem[at*h.room*w:][:int(n)*w])
			}
		}
		a.release(h.buf)
	}
	h.buf, h.room = buf, room
	return nil
}

// reorder gives each group beams rows: row i becomes what row parents[i] was. All parents lie in the group of their row. The
// entries move when they are needed next: just before they are extended, products have asked for them.
func (h *rowCache) reorder(parents []int32, beams int) {
	h.settle()
	h.parents, h.former = append(h.parents[:0], parents...), h.beams
	h.rows, h.beams = h.groups()*beams, beams
	h.note(uint64(beams))
	for _, p := range parents {
		h.note(uint64(p))
	}
}

// settle does what reorder put off. Whatever reads or changes lists or entries calls it first.
func (h *rowCache) settle() {
	if len(h.parents) == 0 {
		return
	}
	h.old = append(h.old[:0], h.lists[:h.groups()*h.former*h.listRoom]...)
	if need := h.rows * h.listRoom; need > len(h.lists) {
		h.lists = make([]int32, need)
	}
	for g := range h.groups() {
		own := h.parents[g*h.beams:][:h.beams]
		moved := h.former != h.beams
		for b, p := range own {
			moved = moved || int(p) != g*h.beams+b
		}
		if moved {
			h.reorderGroup(g, own)
		}
	}
	h.parents = h.parents[:0]
}

// reorderGroup makes the lists of a group those that its parents had in h.old, and closes the gaps between its entries.
func (h *rowCache) reorderGroup(g int, parents []int32) {
	first, n := g*h.beams, int(h.used[g])
	h.live = growInts(h.live, n)
	clear(h.live)
	for b, p := range parents {
		list := h.list(first + b)
		copy(list, h.old[int(p)*h.listRoom:])
		for _, e := range list {
			h.live[e] = 1
		}
	}
	// live becomes the new number of each entry that is still read.
	kept, gap := 0, n
	for e, read := range h.live {
		h.live[e] = int32(kept)
		if read != 0 {
			kept++
		} else if e < gap {
			gap = e
		}
	}
	if kept == n {
		return
	}
	w := h.width()
	for head := range h.heads {
		mem := h.head(g, head)
		for e := gap; e < n; {
			// A run of entries that are read moves as one. Entry e is read if the next one's number is greater.
			run := e
			for run < n && h.next(run, n, kept) > int(h.live[run]) {
				run++
			}
			if run > e {
				copy(mem[int(h.live[e])*w:], mem[e*w:run*w])
			}
			e = run + 1
		}
	}
	for b := range h.beams {
		list := h.list(first + b)
		for i, e := range list {
			list[i] = h.live[e]
		}
	}
	h.used[g] = int32(kept)
}

// next returns the new number of the entry after e, of n entries of which kept are read.
func (h *rowCache) next(e, n, kept int) int {
	if e+1 < n {
		return int(h.live[e+1])
	}
	return kept
}

// store writes the elements to dst, in order.
func (h *rowCache) store(dst []byte) {
	h.settle()
	w := h.width()
	for row := range h.rows {
		list := h.list(row)
		for head := range h.heads {
			for i, e := range list {
				from := h.buf.mem[((row/h.beams*h.heads+head)*h.room+int(e))*w:]
				copy(dst[h.place(row, head, i)*w:][:w], from)
			}
		}
	}
}

// tensor returns what h holds as a tensor of its own, of the given shape.
func (h *rowCache) tensor(shape tensor.Shape) *tensor.Tensor {
	t := tensor.New(h.dtype, shape.Clone())
	h.store(t.Bytes())
	return t
}

// regroup changes the number of rows of a group.
func (h *rowCache) regroup(a *arena, beams int) error {
	wild, d := h.wild, h.cacheDims
	mem := make([]byte, d.rows*d.heads*d.time*h.width())
	h.store(mem)
	err := h.load(a, h.dtype, mem, d, beams)
	h.wild = wild
	h.note(uint64(beams))
	return err
}

// part splits the single head of h into several.
func (h *rowCache) part(a *arena, heads int) error {
	h.settle()
	groups, room, all := h.groups(), h.room, h.width()
	buf, err := a.get(groups * room * all)
	if err != nil {
		return err
	}
	w := all / heads
	for g, n := range h.used {
		for e := range int(n) {
			from := h.buf.mem[(g*room+e)*all:]
			for head := range heads {
				copy(buf.mem[((g*heads+head)*room+e)*w:][:w], from[head*w:])
			}
		}
	}
	a.release(h.buf)
	h.buf, h.heads, h.depth = buf, heads, h.depth/heads
	return nil
}

// free gives the memory back.
func (h *rowCache) free(a *arena) {
	if h.buf != nil {
		a.release(h.buf)
	}
	h.buf, h.room, h.parents = nil, 0, h.parents[:0]
}

func growInts(buf []int32, n int) []int32 {
	if cap(buf) < n {
		return make([]int32, n, n+n/2)
	}
	return buf[:n]
}
