package runtime

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// scatterMode says how an update meets what stands in its place.
type scatterMode int

const (
	scatterSet scatterMode = iota
	scatterAdd
	scatterSub
	scatterMax
	scatterMin
)

// scatterModes are the ops that change a copy of input 0 at the places of input 1 by input 2.
var scatterModes = map[string]scatterMode{
	"TensorScatterUpdate":     scatterSet,
	"TensorScatterAdd":        scatterAdd,
	"ScatterNdNonAliasingAdd": scatterAdd,
	"TensorScatterSub":        scatterSub,
	"TensorScatterMax":        scatterMax,
	"TensorScatterMin":        scatterMin,
}

// tensorScatterOp changes elements or slices of a copy of the input. Updates of one place follow one another in the order in
// which they stand.
func tensorScatterOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	mode := scatterModes[n.Op()]
	ignore, err := ignoresBadIndices(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		t, err := c.allocOver(0, x.DType(), x.Shape(), 1)
		if err != nil {
			return err
		}
		if t.Len() > 0 && !sameMemory(t, x) {
			moveRun(t, 0, x, 0, x.Len())
		}
		return scatter(t, c.in(1), c.in(2), mode, ignore)
	}, nil
}

// sameMemory reports whether a and b, neither of them empty, share their elements.
func sameMemory(a, b *tensor.Tensor) bool {
	return len(a.Bytes()) > 0 && len(b.Bytes()) > 0 && &a.Bytes()[0] == &b.Bytes()[0]
}

// scatterNdOp sums updates at their places in a tensor of zeros, or of empty strings, of the shape of input 2.
func scatterNdOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	ignore, err := ignoresBadIndices(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		var dims [8]int
		shape, err := vectorInts(dims[:0], c.in(2), "shape")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, c.in(1).DType(), shape)
		if err != nil {
			return err
		}
		fillTensor(t, nil)
		return scatter(t, c.in(0), c.in(1), scatterAdd, ignore)
	}, nil
}

// ignoresBadIndices reads what an op does with indices that are out of range: an error, unless the node says to skip them.
func ignoresBadIndices(n *graphdef.Node) (bool, error) {
	r := n.AttrReader()
	if !r.Has("bad_indices_policy") {
		return false, nil
	}
	policy := r.Str("bad_indices_policy")
	if err := r.Err(); err != nil {
		return false, err
	}
	switch policy {
	case "", "DEFAULT", "ERROR":
		return false, nil
	case "IGNORE":
		return true, nil
	}
	return false, fmt.Errorf("bad_indices_policy is %q, want DEFAULT, ERROR or IGNORE", policy)
}

// scatter brings updates to t: each vector in the last dimension of indices is the place of an element or a slice.
func scatter(t, indices, updates *tensor.Tensor, mode scatterMode, ignore bool) error {
	ts, is, us := t.Shape(), indices.Shape(), updates.Shape()
	if len(is) == 0 || len(us) == 0 {
		return fmt.Errorf("indices and updates have shapes %v and %v, want rank 1 or more", is.Clone(), us.Clone())
	}
	if t.DType() != updates.DType() {
		return fmt.Errorf("updates is %v, want %v", updates.DType(), t.DType())
	}
	outer, depth := is[:len(is)-1], is[len(is)-1]
	if depth > len(ts) {
		return fmt.Errorf("indices %v has places of %d dimensions, want at most the rank of %v", is.Clone(), depth, ts.Clone())
	}
	if len(us) != len(outer)+len(ts)-depth || !slices.Equal(us[:len(outer)], outer) || !slices.Equal(us[len(outer):], ts[depth:]) {
		return fmt.Errorf("updates has shape %v, want %v and then %v", us.Clone(), outer.Clone(), ts[depth:].Clone())
	}
	if t.Len() == 0 {
		if indices.Len() > 0 && !ignore {
			return fmt.Errorf("indices %v and updates %v lead into an empty tensor %v", is.Clone(), us.Clone(), ts.Clone())
		}
		return nil
	}
	switch indices.DType() {
	case tensor.Int32:
		return scatterSlices(t, tensor.Data[int32](indices), updates, outer.Elements(), depth, mode, ignore)
	case tensor.Int64:
		return scatterSlices(t, tensor.Data[int64](indices), updates, outer.Elements(), depth, mode, ignore)
	}
	return fmt.Errorf("indices is %v, want int32 or int64", indices.DType())
}

// scatterSlices is scatter for num places of depth indices each.
func scatterSlices[I int32 | int64](t *tensor.Tensor, indices []I, updates *tensor.Tensor, num, depth int, mode scatterMode, ignore bool) error {
	row := t.Shape()[depth:].Elements()
	for i := range num {
		at, err := placeOf(indices[i*depth:][:depth], t.Shape())
		if err != nil {
			if ignore {
				continue
			}
			return fmt.Errorf("indices[%d]: %w", i, err)
		}
		if mode == scatterSet {
			moveRun(t, at*row, updates, i*row, row)
			continue
		}
		if err := meet(mode, t, at*row, updates, i*row, row); err != nil {
			return err
		}
	}
	return nil
}

// meet changes n elements of t, from element i on, by those of u from element j on.
func meet(mode scatterMode, t *tensor.Tensor, i int, u *tensor.Tensor, j, n int) error {
	switch t.DType() {
	case tensor.Float32:
		meetNumbers(mode, tensor.Data[float32](t)[i:i+n], tensor.Data[float32](u)[j:j+n])
	case tensor.Float64:
		meetNumbers(mode, tensor.Data[float64](t)[i:i+n], tensor.Data[float64](u)[j:j+n])
	case tensor.Float16:
		meetHalves(mode, tensor.Data[uint16](t)[i:i+n], tensor.Data[uint16](u)[j:j+n], halfToFloat, floatToHalf)
	case tensor.Bfloat16:
		meetHalves(mode, tensor.Data[uint16](t)[i:i+n], tensor.Data[uint16](u)[j:j+n], bfloatToFloat, floatToBfloat)
	case tensor.Int8, tensor.Qint8:
		meetNumbers(mode, tensor.Data[int8](t)[i:i+n], tensor.Data[int8](u)[j:j+n])
	case tensor.Uint8, tensor.Quint8:
		meetNumbers(mode, tensor.Data[uint8](t)[i:i+n], tensor.Data[uint8](u)[j:j+n])
	case tensor.Int16, tensor.Qint16:
		meetNumbers(mode, tensor.Data[int16](t)[i:i+n], tensor.Data[int16](u)[j:j+n])
	case tensor.Uint16, tensor.Quint16:
		meetNumbers(mode, tensor.Data[uint16](t)[i:i+n], tensor.Data[uint16](u)[j:j+n])
	case tensor.Int32, tensor.Qint32:
		meetNumbers(mode, tensor.Data[int32](t)[i:i+n], tensor.Data[int32](u)[j:j+n])
	case tensor.Uint32:
		meetNumbers(mode, tensor.Data[uint32](t)[i:i+n], tensor.Data[uint32](u)[j:j+n])
	case tensor.Int64:
		meetNumbers(mode, tensor.Data[int64](t)[i:i+n], tensor.Data[int64](u)[j:j+n])
	case tensor.Uint64:
		meetNumbers(mode, tensor.Data[uint64](t)[i:i+n], tensor.Data[uint64](u)[j:j+n])
	default:
		return meetOthers(mode, t, i, u, j, n)
	}
	return nil
}

// meetOthers is meet for the dtypes that have a sum, but no order.
func meetOthers(mode scatterMode, t *tensor.Tensor, i int, u *tensor.Tensor, j, n int) error {
	switch d := t.DType(); {
	case d == tensor.Complex64 && mode <= scatterSub:
		meetSums(mode, tensor.Data[complex64](t)[i:i+n], tensor.Data[complex64](u)[j:j+n])
	case d == tensor.Complex128 && mode <= scatterSub:
		meetSums(mode, tensor.Data[complex128](t)[i:i+n], tensor.Data[complex128](u)[j:j+n])
	case d == tensor.Bool && mode == scatterAdd:
		dst, src := tensor.Data[bool](t)[i:i+n], tensor.Data[bool](u)[j:j+n]
		for k, v := range src {
			dst[k] = dst[k] || v
		}
	case d == tensor.String && mode == scatterAdd:
		for k, v := range u.Strings()[j : j+n] {
			t.Strings()[i+k] += v
		}
	default:
		return fmt.Errorf("elements of %v have no such update", d)
	}
	return nil
}

// meetSums adds or subtracts.
func meetSums[T complex64 | complex128](mode scatterMode, dst, src []T) {
	for k, v := range src {
		if mode == scatterSub {
			v = -v
		}
		dst[k] += v
	}
}

// meetHalves is meetNumbers for floats of 16 bits, which round after each update.
func meetHalves(mode scatterMode, dst, src []uint16, widen func(uint16) float32, narrow func(float32) uint16) {
	for k, v := range src {
		d, u := [1]float32{widen(dst[k])}, [1]float32{widen(v)}
		meetNumbers(mode, d[:], u[:])
		dst[k] = narrow(d[0])
	}
}

// meetNumbers is meet for numbers that Go computes with. An update that is no number loses against a maximum or minimum.
func meetNumbers[T number](mode scatterMode, dst, src []T) {
	switch mode {
	case scatterAdd:
		for k, v := range src {
			dst[k] += v
		}
	case scatterSub:
		for k, v := range src {
			dst[k] -= v
		}
	case scatterMax:
		for k, v := range src {
			if dst[k] < v {
				dst[k] = v
			}
		}
	case scatterMin:
		for k, v := range src {
			if v < dst[k] {
				dst[k] = v
			}
		}
	}
}
