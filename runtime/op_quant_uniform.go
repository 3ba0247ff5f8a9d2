package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// uniformSide is one operand of the Uniform ops: real value = (code - zero point)·scale, with one scale and zero point or
// one for each slice of an axis; codes lie in lo..hi.
type uniformSide struct {
	axis   int
	lo, hi int64
}

// readUniform reads the attributes whose names begin with prefix.
func readUniform(r *graphdef.AttrReader, prefix string) uniformSide {
	return uniformSide{
		axis: int(r.Int(prefix + "quantization_axis")),
		lo:   r.Int(prefix + "quantization_min_val"), hi: r.Int(prefix + "quantization_max_val"),
	}
}

// parameters returns the scales and zero points, inputs i and i+1, and the numbers that walk shape slice by slice.
func (u uniformSide) parameters(c *call, i int, shape tensor.Shape) (scales []float32, zeros []int32, outer, length, inner int, err error) {
	if outer, length, inner, err = axisSizes(shape, u.axis); err != nil {
		return
	}
	s, z := c.in(i), c.in(i+1)
	if s.DType() != tensor.Float32 || z.DType() != tensor.Int32 || s.Len() != length || z.Len() != length {
		err = fmt.Errorf("scales are %v %v and zero points %v %v, want float and int32, %d of each",
			s.DType(), s.Shape(), z.DType(), z.Shape(), length)
		return
	}
	scales, zeros = tensor.Data[float32](s), tensor.Data[int32](z)
	for _, v := range scales {
		if !(v > 0) || math.IsInf(float64(v), 0) {
			err = fmt.Errorf("a scale is %v, want positive numbers", v)
		}
	}
	return
}

// uniformQuantizeOp maps floats to codes: round(x/scale) + zero point.
func uniformQuantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	side, out := readUniform(r, ""), r.Type("Tout")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !out.IsQuantized() {
		return nil, fmt.Errorf("attribute Tout is %v, want a quantized type", out)
	}
	return func(c *call) error {
		x := c.in(0)
		if err := wantInput(c, 0, tensor.Float32); err != nil {
			return err
		}
		scales, zeros, outer, length, inner, err := side.parameters(c, 1, x.Shape())
		if err != nil {
			return err
		}
		t, err := c.alloc(0, out, x.Shape())
		if err != nil {
			return err
		}
		src := tensor.Data[float32](x)
		for o := range outer * length {
			inverse, zero := 1/scales[o%length], float32(zeros[o%length])
			for i, v := range src[o*inner:][:inner] {
				setInt(t, o*inner+i, side.code(float64(floor32(float32(float32(v*inverse)+zero)+0.5))))
			}
		}
		return nil
	}, nil
}

// code returns v within the codes of u, the smallest for NaN.
func (u uniformSide) code(v float64) int64 {
	if v != v {
		return u.lo
	}
	return int64(max(min(v, float64(u.hi)), float64(u.lo)))
}

// uniformDequantizeOp maps codes to floats.
func uniformDequantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	side := readUniform(r, "")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		if !integral(x.DType()) {
			return fmt.Errorf("input is %v, want a quantized type", x.DType())
		}
		scales, zeros, outer, length, inner, err := side.parameters(c, 1, x.Shape())
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Float32, x.Shape())
		if err != nil {
			return err
		}
		dst, q := tensor.Data[float32](t), intsOf(x)
		for o := range outer * length {
			for i := o * inner; i < (o+1)*inner; i++ {
				dst[i] = float32(int32(q(i))-zeros[o%length]) * scales[o%length]
			}
		}
		return nil
	}, nil
}

// multiplier is a positive factor in fixed point, as TensorFlow's integer kernels apply it: m·2^(shift-31).
type multiplier struct {
	m     int64
	shift int
}

func newMultiplier(f float64) (multiplier, error) {
	frac, shift := math.Frexp(f)
	m := int64(math.Round(frac * (1 << 31)))
	if m == 1<<31 {
		m, shift = m/2, shift+1
	}
	if shift < -31 {
		return multiplier{}, nil
	}
	if shift > 30 {
		return multiplier{}, fmt.Errorf("scales differ by the factor %v, want less than 2^30", f)
	}
	return multiplier{m, shift}, nil
}

// apply returns x times the factor, to the nearest integer.
func (m multiplier) apply(x int64) int64 {
	shift := 31 - m.shift
	return (x*m.m + int64(1)<<(shift-1)) >> shift
}

// uniformRequantizeOp changes scale and zero point of codes, in integers.
func uniformRequantizeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	from, to, out := readUniform(r, "input_"), readUniform(r, "output_"), r.Type("Tout")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !out.IsQuantized() {
		return nil, fmt.Errorf("attribute Tout is %v, want a quantized type", out)
	}
	if from.axis != -1 && to.axis != -1 && from.axis != to.axis {
		return nil, fmt.Errorf("quantization axes are %d and %d, want the same or -1", from.axis, to.axis)
	}
	return func(c *call) error {
		x := c.in(0)
		if !integral(x.DType()) {
			return fmt.Errorf("input is %v, want a quantized type", x.DType())
		}
		inScales, inZeros, _, inLength, _, err := from.parameters(c, 1, x.Shape())
		if err != nil {
			return err
		}
		outScales, outZeros, _, outLength, _, err := to.parameters(c, 3, x.Shape())
		if err != nil {
			return err
		}
		outer, length, inner, err := axisSizes(x.Shape(), max(from.axis, to.axis))
		if err != nil {
			return err
		}
		t, err := c.alloc(0, out, x.Shape())
		if err != nil {
			return err
		}
		q := intsOf(x)
		for o := range outer * length {
			a, b := o%length%inLength, o%length%outLength
			m, err := newMultiplier(float64(inScales[a]) / float64(outScales[b]))
			if err != nil {
				return err
			}
			for i := o * inner; i < (o+1)*inner; i++ {
				v := m.apply(int64(int32(q(i))-inZeros[a])) + int64(outZeros[b])
				setInt(t, i, max(min(v, to.hi), to.lo))
			}
		}
		return nil
	}, nil
}

// uniformDotOp multiplies matrices of codes; the sums go to the output's scale in integers. Scales of the right operand may
// be one a column.
func uniformDotOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	lhs, rhs, to, out := readUniform(r, "lhs_"), readUniform(r, "rhs_"), readUniform(r, "output_"), r.Type("Tout")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !out.IsQuantized() || lhs.axis != -1 || rhs.axis == 0 || to.axis == 0 {
		return nil, fmt.Errorf("attribute Tout is %v and the quantization axes are %d, %d and %d, want a quantized type, -1, and -1 or 1", out, lhs.axis, rhs.axis, to.axis)
	}
	return func(c *call) error {
		a, b := c.in(0), c.in(1)
		if err := wantMatrices(a, b); err != nil {
			return err
		}
		m, k, cols := a.Shape()[0], a.Shape()[1], b.Shape()[1]
		var dims [2]int
		shape := append(tensor.Shape(dims[:0]), m, cols)
		lhsScales, lhsZeros, _, _, _, err := lhs.parameters(c, 2, a.Shape())
		if err != nil {
			return err
		}
		rhsScales, rhsZeros, _, _, _, err := rhs.parameters(c, 4, b.Shape())
		if err != nil {
			return err
		}
		outScales, outZeros, _, _, _, err := to.parameters(c, 6, shape)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, out, shape)
		if err != nil {
			return err
		}
		x, y := intsOf(a), intsOf(b)
		for j := range cols {
			scale, zero := rhsScales[j%len(rhsScales)], rhsZeros[j%len(rhsZeros)]
			f, err := newMultiplier(float64(lhsScales[0]) * float64(scale) / float64(outScales[j%len(outScales)]))
			if err != nil {
				return err
			}
			for i := range m {
				sum := int32(0)
				for l := range k {
					sum += (int32(x(i*k+l)) - lhsZeros[0]) * (int32(y(l*cols+j)) - zero)
				}
				v := f.apply(int64(sum)) + int64(outZeros[j%len(outZeros)])
				setInt(t, i*cols+j, max(min(v, to.hi), to.lo))
			}
		}
		return nil
	}, nil
}

// wantMatrices checks that a and b are matrices of codes that can be multiplied.
func wantMatrices(a, b *tensor.Tensor) error {
	if a.Rank() != 2 || b.Rank() != 2 || a.Shape()[1] != b.Shape()[0] {
		return fmt.Errorf("operands have shapes %v and %v, want [m, k] and [k, n]", a.Shape(), b.Shape())
	}
	if !integral(a.DType()) || !integral(b.DType()) {
		return fmt.Errorf("operands are %v and %v, want quantized types", a.DType(), b.DType())
	}
	return nil
}
