package checkpoint

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// readParts puts a partitioned tensor together.
func (r *Reader) readParts(name string, e *Entry) (*tensor.Tensor, error) {
	whole := make(Slice, len(e.Shape))
	for i := range whole {
		whole[i] = Extent{0, -1}
	}
	return r.readSlice(name, e, whole)
}

// readSlice reads the part want of a tensor, from as many of its stored parts as lie in it.
func (r *Reader) readSlice(name string, e *Entry, want Slice) (*tensor.Tensor, error) {
	start, size, err := want.resolve(e.Shape)
	if err != nil {
		return nil, err
	}
	parts := e.Slices
	if parts == nil {
		parts = []Slice{nil} // stored whole
	}
	// Before memory is taken for the result, the parts must add up to it: an index of some bytes may ask for any amount.
	type piece struct {
		entry         *Entry
		start         []int
		size, overlap tensor.Shape
	}
	var pieces []piece
	covered := 0
	for _, p := range parts {
		pe, pstart, psize := e, make([]int, len(e.Shape)), e.Shape
		if p != nil {
			if pstart, psize, err = p.resolve(e.Shape); err != nil {
				return nil, err
			}
			key := sliceKey(name, p)
			if pe = r.entries[key]; pe == nil {
				return nil, fmt.Errorf("the index has no entry for its part %v", p)
			}
			if pe.DType != e.DType || pe.Slices != nil || !pe.Shape.Equal(psize) {
				return nil, fmt.Errorf("part %v is %v %v, want %v %v", p, pe.DType, pe.Shape, e.DType, psize)
			}
		}
		overlap := tensor.Shape{}
		for i := range start {
			lo, hi := max(start[i], pstart[i]), min(start[i]+size[i], pstart[i]+psize[i])
			overlap = append(overlap, max(hi-lo, 0))
		}
		if n := overlap.Elements(); n > 0 {
			covered += n
			pieces = append(pieces, piece{pe, pstart, psize, overlap})
		}
	}
	if covered != size.Elements() {
		return nil, fmt.Errorf("its parts cover %d of %d elements", covered, size.Elements())
	}
	if len(pieces) > 0 && e.DType != tensor.String {
		stored := int64(0)
		for _, p := range pieces {
			stored += p.entry.size
		}
		if need := int64(covered) * int64(e.DType.Size()); need > stored {
			return nil, fmt.Errorf("its parts have %d bytes, want %d", stored, need)
		}
	}
	var loaded []*tensor.Tensor
	for _, p := range pieces {
		t, err := r.read(name, p.entry)
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, t)
	}
	out := tensor.New(e.DType, slices.Clone(size))
	for i, p := range pieces {
		from, to := make([]int, len(start)), make([]int, len(start))
		for d := range start {
			lo := max(start[d], p.start[d])
			from[d], to[d] = lo-p.start[d], lo-start[d]
		}
		copyBox(out, to, loaded[i], from, p.overlap)
	}
	return out, nil
}

// copyBox copies a box of elements of src, from its corner from, to the corner to of dst.
func copyBox(dst *tensor.Tensor, to []int, src *tensor.Tensor, from []int, box tensor.Shape) {
	rank := len(box)
	run := 1
	if rank > 0 {
		run = box[rank-1]
	}
	size := dst.DType().Size()
	index := make([]int, rank)
	for {
		at, of := 0, 0
		for d := range rank {
			at = at*dst.Shape()[d] + to[d] + index[d]
			of = of*src.Shape()[d] + from[d] + index[d]
		}
		if dst.DType() == tensor.String {
			copy(dst.Strings()[at:at+run], src.Strings()[of:of+run])
		} else {
			copy(dst.Bytes()[at*size:(at+run)*size], src.Bytes()[of*size:(of+run)*size])
		}
		d := rank - 2
		for ; d >= 0; d-- {
			if index[d]++; index[d] < box[d] {
				break
			}
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}
