package runtime

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

const (
	maxLetters   = 24                       // distinct letters of an equation
	maxEllipsis  = 16                       // dimensions that "..." may stand for
	einsumLabels = maxLetters + maxEllipsis // letters by first appearance, then dimensions of "..." from the last one on
	dots         = uint8(einsumLabels)      // stands for "..." until the ranks are known
)

// einsum is a parsed equation: for each operand, and for the output, its labels in order.
type einsum struct {
	equation string
	in       [][]uint8
	out      []uint8
}

// parseEinsum reads an equation such as "ab,bc->ac" for num operands.
func parseEinsum(equation string, num int) (*einsum, error) {
	e := &einsum{equation: equation}
	fail := func(what string) (*einsum, error) {
		return nil, fmt.Errorf("equation %q %s", equation, what)
	}
	left, right, ok := strings.Cut(equation, "->")
	if !ok || strings.Contains(right, "->") {
		return fail(`must have "->" once`)
	}
	terms := strings.Split(left, ",")
	if len(terms) != num || num < 1 || num > 2 {
		return fail(fmt.Sprintf("names %d operands, have %d inputs; one or two are supported", len(terms), num))
	}
	letters := map[byte]uint8{}
	for i, term := range append(terms, right) {
		var labels []uint8
		hasDots := false
		for term != "" {
			if rest, ok := strings.CutPrefix(term, "..."); ok && !hasDots {
				hasDots, term = true, rest
				labels = append(labels, dots)
				continue
			}
			l := term[0]
			if (l|0x20) < 'a' || (l|0x20) > 'z' {
				return fail(fmt.Sprintf("has %q, want letters and one ... an operand", l))
			}
			id, known := letters[l]
			if !known {
				if i == num {
					return fail(fmt.Sprintf("has %q in its output only", l))
				}
				if len(letters) == maxLetters {
					return fail(fmt.Sprintf("has more than %d letters", maxLetters))
				}
				id = uint8(len(letters))
				letters[l] = id
			}
			labels = append(labels, id)
			term = term[1:]
		}
		if i == num {
			e.out = labels
		} else {
			e.in = append(e.in, labels)
		}
	}
	return e, nil
}

// einsumOp sums products over the labels that its equation's output does not have.
func einsumOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	equation := r.Str("equation")
	if err := r.Err(); err != nil {
		return nil, err
	}
	e, err := parseEinsum(equation, n.NumInputs())
	if err != nil {
		return nil, err
	}
	return e.eval, nil
}

// strided is an operand or result: which labels it has, and how far its elements are apart along each.
type strided struct {
	set    uint64
	stride [einsumLabels]int
}

// einsumRun is one evaluation.
type einsumRun struct {
	c    *call
	dims [einsumLabels]int
	v    [2]strided
	data [2]*tensor.Tensor
	out  strided
	to   *tensor.Tensor
}

func (e *einsum) eval(c *call) error {
	var r einsumRun
	r.c = c
	for i := range e.in {
		r.data[i] = c.in(i)
		if r.data[i].DType() != r.data[0].DType() || r.data[0].DType().Size() == 0 {
			return fmt.Errorf("inputs are %v and %v, want one number type", r.data[0].DType(), r.data[i].DType())
		}
		if err := r.bind(e, i); err != nil {
			return err
		}
	}
	if err := r.allocate(e); err != nil || r.to.Len() == 0 {
		return err
	}
	if len(e.in) == 1 {
		return r.single()
	}
	return r.pair()
}

// bind finds the size of each label of operand i.
func (r *einsumRun) bind(e *einsum, i int) error {
	labels, shape := e.in[i], r.data[i].Shape()
	free := len(shape) - len(labels) // dimensions of ..., less the one label that stands for them
	hasDots := false
	for _, l := range labels {
		hasDots = hasDots || l == dots
	}
	if hasDots {
		free++
	}
	if free < 0 || free > maxEllipsis || (free > 0 && !hasDots) {
		return fmt.Errorf("input %d has shape %v, which does not fit equation %q", i, shape, e.equation)
	}
	if free > 0 && hasDots && !slices.Contains(e.out, dots) {
		return fmt.Errorf("input %d has shape %v, where equation %q has no ... in its output for %d dimensions", i, shape, e.equation, free)
	}
	d, stride := len(shape)-1, 1
	put := func(l uint8) error {
		n := shape[d]
		have := &r.dims[l]
		known := r.v[0].set&(1<<l) != 0 || r.v[1].set&(1<<l) != 0
		switch {
		case !known || *have == n:
			*have = n
		case l >= maxLetters && *have == 1:
			// "..." broadcasts: an operand without the dimension is read alike all along it.
			*have = n
			r.v[0].set &^= 1 << l
		case l >= maxLetters && n == 1:
			d--
			return nil
		default:
			return fmt.Errorf("input %d has shape %v, where a label of equation %q has size %d and %d", i, shape, e.equation, *have, n)
		}
		r.v[i].set |= 1 << l
		r.v[i].stride[l] += stride
		stride *= n
		d--
		return nil
	}
	for k := len(labels) - 1; k >= 0; k-- {
		if labels[k] != dots {
			if err := put(labels[k]); err != nil {
				return err
			}
			continue
		}
		for j := range free {
			if err := put(uint8(maxLetters + j)); err != nil {
				return err
			}
		}
	}
	return nil
}

// allocate makes the output.
func (r *einsumRun) allocate(e *einsum) error {
	all := r.v[0].set | r.v[1].set
	var dims [8]int
	shape := dims[:0]
	var order [32]uint8
	labels := order[:0]
	for _, l := range e.out {
		if l != dots {
			labels = append(labels, l)
			continue
		}
		for j := maxEllipsis - 1; j >= 0; j-- {
			if all&(1<<(maxLetters+j)) != 0 {
				labels = append(labels, uint8(maxLetters+j))
			}
		}
	}
	for _, l := range labels {
		shape = append(shape, r.dims[l])
	}
	var err error
	if r.to, err = r.c.alloc(0, r.data[0].DType(), shape); err != nil {
		return err
	}
	stride, repeated := 1, false
	for k := len(labels) - 1; k >= 0; k-- {
		l := labels[k]
		repeated = repeated || r.out.set&(1<<l) != 0
		r.out.set |= 1 << l
		r.out.stride[l] += stride
		stride *= shape[k]
	}
	if repeated {
		clear(r.to.Bytes()) // only the diagonal is written
	}
	return nil
}

// axis is one dimension of a walk over two strided tensors.
type walkAxis struct{ n, dst, src int }

// axes returns the dimensions of a walk over the labels of set, from the one with the longest steps in by to that with the
// shortest.
func (r *einsumRun) axes(buf []walkAxis, set uint64, dst, src, by *strided) []walkAxis {
	for set != 0 {
		best := bits.TrailingZeros64(set)
		for s := set; s != 0; s &= s - 1 {
			if l := bits.TrailingZeros64(s); by.stride[l] > by.stride[best] {
				best = l
			}
		}
		set &^= 1 << best
		buf = append(buf, walkAxis{r.dims[best], dst.stride[best], src.stride[best]})
	}
	return buf
}

// single computes an equation of one operand.
func (r *einsumRun) single() error {
	if sum := r.v[0].set &^ r.out.set; sum != 0 {
		return r.reduce(r.to, &r.out, r.data[0], &r.v[0])
	}
	var buf [einsumLabels]walkAxis
	moveElements(r.to, r.data[0], r.axes(buf[:0], r.v[0].set, &r.out, &r.v[0], &r.out))
	return nil
}

// reduce writes the sums of src over the labels that dst does not have.
func (r *einsumRun) reduce(t *tensor.Tensor, dst *strided, src *tensor.Tensor, v *strided) error {
	var buf [einsumLabels]walkAxis
	axes := r.axes(buf[:0], v.set, dst, v, v)
	d := src.DType()
	switch {
	case d.IsFloat():
		sums, x := make([]float64, t.Len()), floatsOf(src)
		walkElements(axes, func(to, from int) { sums[to] += x.at(from) })
		for i, s := range sums {
			setFloat(t, i, s)
		}
	case d == tensor.Complex64:
		sumElements[complex64](t, src, axes)
	case d == tensor.Complex128:
		sumElements[complex128](t, src, axes)
	case integral(d):
		sums, x := make([]int64, t.Len()), intsOf(src)
		walkElements(axes, func(to, from int) { sums[to] += x(from) })
		for i, s := range sums {
			setInt(t, i, s)
		}
	default:
		return fmt.Errorf("input is %v, want a number type", d)
	}
	return nil
}

func sumElements[T complex64 | complex128](t, src *tensor.Tensor, axes []walkAxis) {
	dst, x := tensor.Data[T](t), tensor.Data[T](src)
	clear(dst)
	walkElements(axes, func(to, from int) { dst[to] += x[from] })
}

// walkElements calls f with the places of every element of a walk, the last axis fastest.
func walkElements(axes []walkAxis, f func(dst, src int)) {
	var at [einsumLabels]int
	for _, a := range axes {
		if a.n == 0 {
			return
		}
	}
	dst, src := 0, 0
	for {
		f(dst, src)
		k := len(axes) - 1
		for ; k >= 0; k-- {
			a := &axes[k]
			dst, src = dst+a.dst, src+a.src
			if at[k]++; at[k] < a.n {
				break
			}
			dst, src = dst-a.n*a.dst, src-a.n*a.src
			at[k] = 0
		}
		if k < 0 {
			return
		}
	}
}

// moveElements copies the elements of a walk.
func moveElements(t, src *tensor.Tensor, axes []walkAxis) {
	switch t.DType().Size() {
	case 1:
		moveTyped(tensor.Data[uint8](t), tensor.Data[uint8](src), axes)
	case 2:
		moveTyped(tensor.Data[uint16](t), tensor.Data[uint16](src), axes)
	case 4:
		moveTyped(tensor.Data[uint32](t), tensor.Data[uint32](src), axes)
	case 8:
		moveTyped(tensor.Data[uint64](t), tensor.Data[uint64](src), axes)
	case 16:
		moveTyped(tensor.Data[complex128](t), tensor.Data[complex128](src), axes)
	}
}

func moveTyped[T any](dst, src []T, axes []walkAxis) {
	if len(axes) == 0 {
		dst[0] = src[0]
		return
	}
	last := axes[len(axes)-1]
	walkElements(axes[:len(axes)-1], func(to, from int) {
		if last.dst == 1 && last.src == 1 {
			copy(dst[to:][:last.n], src[from:])
			return
		}
		for i := range last.n {
			dst[to+i*last.dst] = src[from+i*last.src]
		}
	})
}
