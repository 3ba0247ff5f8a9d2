package runtime

import (
	"github.com/tfq8/tfq8/tensor"
)

// layout says how elements move from one block to another: element (i, j, …) of the dimensions dims goes from place
// srcAt + i·src[0] + j·src[1] + … to place dstAt + i·dst[0] + …, counted in elements. A stride may be negative, or 0 in src to
// repeat. Transposition, slices, tiling, reversal and padding are layouts.
type layout struct {
	dims, dst, src []int
	dstAt, srcAt   int
}

// add appends an inner dimension.
func (l *layout) add(n, dst, src int) {
	l.dims, l.dst, l.src = append(l.dims, n), append(l.dst, dst), append(l.src, src)
}

// simplify removes dimensions of 1 and joins those that one stride covers, and reports whether there is anything to move.
func (l *layout) simplify() bool {
	k := 0
	for i, n := range l.dims {
		switch {
		case n == 0:
			return false
		case n == 1:
			continue
		case k > 0 && l.dst[k-1] == n*l.dst[i] && l.src[k-1] == n*l.src[i]:
			l.dims[k-1] *= n
			l.dst[k-1], l.src[k-1] = l.dst[i], l.src[i]
			continue
		}
		l.dims[k], l.dst[k], l.src[k] = n, l.dst[i], l.src[i]
		k++
	}
	l.dims, l.dst, l.src = l.dims[:k], l.dst[:k], l.src[:k]
	return true
}

// moveTensor moves elements of src to dst, both of the same dtype.
func moveTensor(dst, src *tensor.Tensor, l *layout) {
	if !l.simplify() {
		return
	}
	switch {
	case src.DType() == tensor.String:
		move(dst.Strings(), src.Strings(), l)
	case src.DType().Size() == 0:
		move(dst.Refs(), src.Refs(), l)
	default:
		switch src.DType().Size() {
		case 1:
			move(tensor.Data[uint8](dst), tensor.Data[uint8](src), l)
		case 2:
			move(tensor.Data[uint16](dst), tensor.Data[uint16](src), l)
		case 4:
			move(tensor.Data[uint32](dst), tensor.Data[uint32](src), l)
		case 8:
			move(tensor.Data[uint64](dst), tensor.Data[uint64](src), l)
		case 16:
			move(tensor.Data[complex128](dst), tensor.Data[complex128](src), l)
		}
	}
}

// move moves elements by a simplified layout.
func move[T any](dst, src []T, l *layout) {
	moveLevel(dst, src, l.dims, l.dst, l.src, l.dstAt, l.srcAt)
}

// moveLevel walks the outermost of the dimensions that are left.
func moveLevel[T any](dst, src []T, dims, ds, ss []int, d, s int) {
	switch len(dims) {
	case 0:
		dst[d] = src[s]
	case 1:
		moveRow(dst, src, dims[0], ds[0], ss[0], d, s)
	case 2:
		if ss[0] == 1 && ds[1] == 1 && ss[1] != 0 {
			movePlane(dst, src, dims, ds[0], ss[1], d, s)
			return
		}
		for range dims[0] {
			moveRow(dst, src, dims[1], ds[1], ss[1], d, s)
			d += ds[0]
			s += ss[0]
		}
	default:
		if last := len(dims) - 1; ss[last] != 1 && ds[last] == 1 && ss[0] == 1 {
			// The source runs along the outermost dimension: bring it next to the innermost, or each of the source's cache
			// lines is read once an element.
			n, sd, sss := dims[0], ds[0], ss[0]
			copy(dims, dims[1:last])
			copy(ds, ds[1:last])
			copy(ss, ss[1:last])
			dims[last-1], ds[last-1], ss[last-1] = n, sd, sss
		}
		n, sd, sss := dims[0], ds[0], ss[0]
		for range n {
			moveLevel(dst, src, dims[1:], ds[1:], ss[1:], d, s)
			d += sd
			s += sss
		}
	}
}

// moveRow moves n elements.
func moveRow[T any](dst, src []T, n, ds, ss, d, s int) {
	switch {
	case ds == 1 && ss == 1:
		copy(dst[d:d+n], src[s:s+n])
	case ds == 1 && ss == 0:
		row, v := dst[d:d+n], src[s]
		for i := range row {
			row[i] = v
		}
	case ds == 1:
		row := dst[d : d+n]
		for i := range row {
			row[i] = src[s]
			s += ss
		}
	default:
		for range n {
			dst[d] = src[s]
			d += ds
			s += ss
		}
	}
}

// movePlane transposes a matrix: rows of dst, with stride ds, are columns of src, whose rows have stride ss. It goes by tiles,
// so that both sides use whole cache lines.
func movePlane[T any](dst, src []T, dims []int, ds, ss, d, s int) {
	const tile = 16
	for i := 0; i < dims[0]; i += tile {
		rows := min(tile, dims[0]-i)
		for j := 0; j < dims[1]; j += tile {
			cols := min(tile, dims[1]-j)
			for k := range rows {
				row := dst[d+(i+k)*ds+j:][:cols]
				at := s + i + k + j*ss
				for x := range row {
					row[x] = src[at]
					at += ss
				}
			}
		}
	}
}

// moveRun copies n elements of src, from element j on, to dst, from element i on. Both have one dtype.
func moveRun(dst *tensor.Tensor, i int, src *tensor.Tensor, j, n int) {
	switch size := src.DType().Size(); {
	case src.DType() == tensor.String:
		copy(dst.Strings()[i:i+n], src.Strings()[j:j+n])
	case size == 0:
		copy(dst.Refs()[i:i+n], src.Refs()[j:j+n])
	default:
		copy(dst.Bytes()[i*size:(i+n)*size], src.Bytes()[j*size:(j+n)*size])
	}
}

// zeroRun sets n elements of t, from element i on, to zero or "".
func zeroRun(t *tensor.Tensor, i, n int) {
	switch size := t.DType().Size(); {
	case t.DType() == tensor.String:
		clear(t.Strings()[i : i+n])
	case size == 0:
		clear(t.Refs()[i : i+n])
	default:
		clear(t.Bytes()[i*size : (i+n)*size])
	}
}

// moveTo gives output 0 memory for shape and moves elements of x there; the layout's destination is dense: its strides are set
// here.
func moveTo(c *call, x *tensor.Tensor, shape tensor.Shape, l *layout) error {
	t, err := c.alloc(0, x.DType(), shape)
	if err != nil {
		return err
	}
	l.dstAt = 0
	denseStrides(l.dst, l.dims)
	moveTensor(t, x, l)
	return nil
}

// sliceTo is moveTo for an x that is input 0: where the elements lie in one run they stay where they are.
func sliceTo(c *call, x *tensor.Tensor, shape tensor.Shape, l *layout) error {
	// Below this many bytes a copy is as fast, and does not hold on to the memory of the whole.
	const least = 512
	if size := x.DType().Size(); size > 0 && shape.Elements()*size >= least {
		denseStrides(l.dst, l.dims)
		if l.simplify() && len(l.dims) == 1 && l.src[0] == 1 {
			c.viewAt(0, 0, shape, l.srcAt)
			return nil
		}
	}
	return moveTo(c, x, shape, l)
}

// denseStrides sets strides to those of a row-major tensor.
func denseStrides(strides, dims []int) {
	n := 1
	for i := len(dims) - 1; i >= 0; i-- {
		strides[i] = n
		n *= dims[i]
	}
}
