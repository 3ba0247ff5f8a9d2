package runtime

import (
	"github.com/tfq8/tfq8/tensor"
)

// rowCache is the value of a tensor [rows, heads, time, depth] that a loop extends along time and whose rows it reorders: the
// keys or values that a decoder has seen. Rows belong to groups, the beams of a sentence. What several beams of a group have
// in common, since they descend from one hypothesis, is stored once: a group has entries, each the [heads, depth] of one time
// step, and a row is a list of them. Extending writes the new entries alone; reordering changes lists, and closes the gaps
// that entries leave which no row reads any more.
type rowCache struct {
	dtype              tensor.DType
	rows, heads, depth int
	time               int
	beams              int     // rows of a group
	buf                *buffer // [groups, heads, room, depth]
	room               int     // entries that a group has memory for
	used               []int32 // entries of each group
	lists              []int32 // [rows, listRoom]: the entries of each row, ascending
	listRoom           int
	// history is equal for two caches that went through the same steps: their lists are then equal too.
	history uint64
	// wild is set once a value came in that is not finite: 0 times such a value is not 0.
	wild bool

	old  []int32 // scratch of reorder
	live []int32
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

// accepts reports whether t can be appended.
func (h *rowCache) accepts(t *tensor.Tensor) bool {
	s := t.Shape()
	return len(s) == 4 && t.DType() == h.dtype && s[0] == h.rows && s[1] == h.heads && s[3] == h.depth
}

// load makes h a copy of t, [rows, heads, time, depth], in groups of beams rows.
func (h *rowCache) load(a *arena, t *tensor.Tensor, beams int) error {
	s := t.Shape()
	h.dtype, h.rows, h.heads, h.depth, h.beams = t.DType(), s[0], s[1], s[3], beams
	h.time, h.history, h.wild = 0, uint64(s[0]), false
	h.free(a)
	h.used = growInts(h.used, h.groups())
	clear(h.used)
	return h.extend(a, t)
}

// extend appends t, [rows, heads, steps, depth], along time.
func (h *rowCache) extend(a *arena, t *tensor.Tensor) error {
	steps := t.Shape()[2]
	if err := h.reserve(a, steps); err != nil {
		return err
	}
	w, src := h.width(), t.Bytes()
	for row := range h.rows {
		group, beam := row/h.beams, row%h.beams
		first := int(h.used[group]) + beam
		for head := range h.heads {
			dst := h.buf.mem[((group*h.heads+head)*h.room+first)*w:]
			from := src[(row*h.heads+head)*steps*w:]
			for i := range steps {
				copy(dst[i*h.beams*w:][:w], from[i*w:][:w])
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
		if err := h.grow(a, max(need, 2*h.room, 8*h.beams)); err != nil {
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

// reorder makes row i what row parents[i] was, for every i. All parents lie in the group of their row.
func (h *rowCache) reorder(parents []int32) {
	for g := range h.groups() {
		first := g * h.beams
		moved := false
		for b, p := range parents[first:][:h.beams] {
			moved = moved || int(p) != first+b
		}
		if moved {
			h.reorderGroup(g, parents[first:][:h.beams])
		}
	}
	for _, p := range parents {
		h.note(uint64(p))
	}
}

func (h *rowCache) reorderGroup(g int, parents []int32) {
	first, n := g*h.beams, int(h.used[g])
	h.old = append(h.old[:0], h.lists[first*h.listRoom:][:h.beams*h.listRoom]...)
	h.live = growInts(h.live, n)
	clear(h.live)
	for b, p := range parents {
		list := h.list(first + b)
		copy(list, h.old[(int(p)-first)*h.listRoom:])
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

// store writes h to dst, [rows, heads, time, depth].
func (h *rowCache) store(dst []byte) {
	w := h.width()
	for row := range h.rows {
		for head := range h.heads {
			if h.time == 0 {
				continue
			}
			mem := h.head(row/h.beams, head)
			for _, e := range h.list(row) {
				copy(dst[:w], mem[int(e)*w:])
				dst = dst[w:]
			}
		}
	}
}

// tensor returns h as a tensor of its own.
func (h *rowCache) tensor() *tensor.Tensor {
	t := tensor.New(h.dtype, tensor.Shape{h.rows, h.heads, h.time, h.depth})
	h.store(t.Bytes())
	return t
}

// regroup changes the number of rows of a group.
func (h *rowCache) regroup(a *arena, beams int) error {
	wild, t := h.wild, h.tensor()
	err := h.load(a, t, beams)
	h.wild = wild
	h.note(uint64(beams))
	return err
}

// free gives the memory back.
func (h *rowCache) free(a *arena) {
	if h.buf != nil {
		a.release(h.buf)
	}
	h.buf, h.room = nil, 0
}

func growInts(buf []int32, n int) []int32 {
	if cap(buf) < n {
		return make([]int32, n, n+n/2)
	}
	return buf[:n]
}
