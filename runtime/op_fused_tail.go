package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// tailPart is one of the ops that a fused node applies to its product, in place.
type tailPart struct {
	op  string
	arg int // the first input that belongs to it
	eps float32
	act mapKernel // of functions of one operand
}

// newTail reads fused_ops; its arguments are the inputs of n from the first one on.
func newTail(n *graphdef.Node, d tensor.DType, first int) ([]tailPart, error) {
	r := n.AttrReader()
	names, eps := r.Strs("fused_ops"), r.Float("epsilon")
	alpha := float32(0)
	if n.Op() != "_FusedBatchNormEx" {
		alpha = r.Float("leakyrelu_alpha")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !d.IsFloat() {
		return nil, noKernel(d)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf(`attribute "fused_ops" is empty, want one op or more`)
	}
	var tail []tailPart
	next := first
	for _, name := range names {
		p := tailPart{op: name, arg: next, eps: eps}
		switch name {
		case "BiasAdd", "Add", "Mul":
			next++
		case "FusedBatchNorm":
			next += 4
		default:
			if p.act = fusedActivation(name, d, alpha); p.act == nil {
				return nil, fmt.Errorf("fused_ops has %q, which is not defined for %v after a product", name, d)
			}
		}
		tail = append(tail, p)
	}
	if next > n.NumInputs() {
		return nil, fmt.Errorf("fused_ops %q take %d arguments, have %d", names, next-first, n.NumInputs()-first)
	}
	return tail, nil
}

// fusedActivation returns the function of the given name, nil if there is none for d.
func fusedActivation(name string, d tensor.DType, alpha float32) mapKernel {
	if d == tensor.Float32 {
		act, err := newActivation(name, alpha)
		if err != nil {
			return nil
		}
		return func(k *kernels.Set, t, _ *tensor.Tensor) { act(k, tensor.Data[float32](t)) }
	}
	switch name {
	case "LeakyRelu":
		return floatMap(d, func(x float64) float64 {
			if x < 0 {
				return x * float64(alpha)
			}
			return x
		})
	case "GeluExact":
		return floatMap(d, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) })
	case "GeluApproximate":
		const slope = 0.7978845608028654 // sqrt(2/pi)
		return floatMap(d, func(x float64) float64 { return x / 2 * (1 + math.Tanh(slope*(x+0.044715*x*x*x))) })
	case "Relu", "Relu6", "Elu", "Tanh", "Sigmoid":
		return unaryKernel(name, d)
	}
	return nil
}

// finish applies a tail to output 0, whose last dimension is the channels.
func finish(c *call, tail []tailPart) error {
	t := c.out(0)
	for i := range tail {
		p := &tail[i]
		var err error
		switch {
		case p.act != nil:
			if t.Len() > 0 {
				p.act(c.kernels(), t, t)
			}
			continue
		case p.op == "BiasAdd":
			err = p.addBias(c, t)
		case p.op == "FusedBatchNorm":
			err = p.normalize(c, t)
		default:
			err = p.combine(c, t)
		}
		if err != nil {
			return err
		}
		c.setRepeat(0, repeat{})
	}
	return nil
}

// channelArg checks that input i is a vector of one value for each channel of t.
func channelArg(c *call, i int, t *tensor.Tensor, what string) (*tensor.Tensor, error) {
	v, channels := c.in(i), t.Shape()[t.Rank()-1]
	if v.Rank() != 1 || v.Len() != channels || !v.DType().IsFloat() {
		return nil, fmt.Errorf("%s is %v %v, want [%d], one value for each channel", what, v.DType(), v.Shape().Clone(), channels)
	}
	return v, nil
}

func (p *tailPart) addBias(c *call, t *tensor.Tensor) error {
	b, err := channelArg(c, p.arg, t, "bias")
	if err != nil || t.Len() == 0 {
		return err
	}
	if t.DType() == tensor.Float32 && b.DType() == tensor.Float32 {
		dst, bias := tensor.Data[float32](t), tensor.Data[float32](b)
		for at := 0; at < len(dst); at += len(bias) {
			c.kernels().Add(dst[at:][:len(bias)], dst[at:][:len(bias)], bias)
		}
		return nil
	}
	x, bias := floatsOf(t), floatsOf(b)
	for i := range t.Len() {
		setFloat(t, i, x.at(i)+bias.at(i%b.Len()))
	}
	return nil
}

// normalize is a batch normalization by given statistics: the arguments are scale, offset, mean and variance.
func (p *tailPart) normalize(c *call, t *tensor.Tensor) error {
	var v [4]floatReader
	for i, what := range []string{"scale", "offset", "mean", "variance"} {
		arg, err := channelArg(c, p.arg+i, t, what)
		if err != nil {
			return err
		}
		v[i] = floatsOf(arg)
	}
	x, channels := floatsOf(t), t.Shape()[t.Rank()-1]
	for j := range channels {
		by := inverseRoot(v[3].at(j), float64(p.eps)) * v[0].at(j)
		for i := j; i < t.Len(); i += channels {
			setFloat(t, i, (x.at(i)-v[2].at(j))*by+v[1].at(j))
		}
	}
	return nil
}

func inverseRoot(variance, eps float64) float64 { return 1 / math.Sqrt(variance+eps) }

// combine adds or multiplies an argument that broadcasts to t.
func (p *tailPart) combine(c *call, t *tensor.Tensor) error {
	y := c.in(p.arg)
	s, err := tensor.Broadcast(t.Shape(), y.Shape())
	if err != nil || !s.Equal(t.Shape()) || !y.DType().IsFloat() {
		return fmt.Errorf("argument of the fused %s is %v %v, want one that broadcasts to %v", p.op, y.DType(), y.Shape().Clone(), t.Shape().Clone())
	}
	if t.DType() == tensor.Float32 && y.DType() == tensor.Float32 && y.Len() == t.Len() {
		dst, v := tensor.Data[float32](t), tensor.Data[float32](y)
		if p.op == "Mul" {
			c.kernels().Mul(dst, dst, v)
		} else {
			c.kernels().Add(dst, dst, v)
		}
		return nil
	}
	x, v := floatsOf(t), floatsOf(y)
	for i := range t.Len() {
		b := v.at(batchIndex(i, s, y.Shape()))
		if p.op == "Mul" {
			setFloat(t, i, x.at(i)*b)
		} else {
			setFloat(t, i, x.at(i)+b)
		}
	}
	return nil
}
