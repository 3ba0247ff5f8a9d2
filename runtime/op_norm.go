package runtime

import (
	"fmt"
	"math"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// normOps normalize by statistics of channels or of neighbouring ones.
var normOps = map[string]evaluator{
	"FusedBatchNorm":   batchNormOp,
	"FusedBatchNormV2": batchNormOp,
	"FusedBatchNormV3": batchNormOp,
	"LRN":              lrnOp,
}

// moments are the mean and the mean squared deviation of some values.
type moments struct{ mean, variance float64 }

func momentsOf(n int, at func(i int) float64) moments {
	var m moments
	for i := range n {
		m.mean += at(i)
	}
	m.mean /= float64(n)
	for i := range n {
		d := at(i) - m.mean
		m.variance += d * d
	}
	m.variance /= float64(n)
	return m
}

// channelLayout is where the channels of an image are: element i belongs to channel i/inner mod channels.
type channelLayout struct{ channels, inner int }

// channelsOf reads data_format, which names the channels C, for a tensor of shape s.
func channelsOf(format string, s tensor.Shape) (channelLayout, error) {
	if len(format) != len(s) {
		return channelLayout{}, fmt.Errorf("input has shape %v, want rank %d for data_format %s", s.Clone(), len(format), format)
	}
	axis := len(s) - 1
	if format == "NCHW" || format == "NCDHW" {
		axis = 1
	}
	return channelLayout{s[axis], s[axis+1:].Elements()}, nil
}

// dataFormat reads the attribute of that name.
func dataFormat(n *graphdef.Node) (string, error) {
	r := n.AttrReader()
	f := r.Str("data_format")
	if err := r.Err(); err != nil {
		return "", err
	}
	switch f {
	case "NHWC", "NCHW", "NDHWC", "NCDHW":
		return f, nil
	}
	return "", fmt.Errorf(`attribute "data_format" is %q, want NHWC, NCHW, NDHWC or NCDHW`, f)
}

// batchNorm is a normalization of each channel, by the statistics of the batch (training) or by given ones.
type batchNorm struct {
	format   string
	training bool
	eps      float32
	average  float64 // weight of the batch in the running statistics
	side     int     // inputs to be added to the result
	relu     bool
}

func batchNormOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	var b batchNorm
	var err error
	if b.format, err = dataFormat(n); err != nil {
		return nil, err
	}
	r := n.AttrReader()
	b.training, b.eps, b.average = r.Bool("is_training"), r.Float("epsilon"), float64(r.Float("exponential_avg_factor"))
	if n.Op() == "_FusedBatchNormEx" {
		b.side = int(r.Int("num_side_inputs"))
		switch act := r.Str("activation_mode"); act {
		case "Identity":
		case "Relu":
			b.relu = true
		default:
			return nil, fmt.Errorf(`attribute "activation_mode" is %q, want Identity or Relu`, act)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if b.side < 0 || b.side > 1 || n.NumInputs() != 5+b.side {
		return nil, fmt.Errorf("have %d inputs and num_side_inputs %d, want 5 and at most one beside them", n.NumInputs(), b.side)
	}
	return b.eval, nil
}

func (b batchNorm) eval(c *call) error {
	x, u := c.in(0), c.in(1).DType()
	ch, err := channelsOf(b.format, x.Shape())
	if err != nil {
		return err
	}
	if !x.DType().IsFloat() || !u.IsFloat() {
		return noKernel(x.DType())
	}
	var in [4]*tensor.Tensor // scale, offset, mean, variance
	for i, what := range []string{"scale", "offset", "mean", "variance"} {
		in[i] = c.in(i + 1)
		unused := i >= 2 && b.training && b.average == 1
		if in[i].DType() != u || in[i].Rank() != 1 || in[i].Len() != ch.channels && !(unused && in[i].Len() == 0) {
			return fmt.Errorf("%s is %v %v, want %v [%d], one value for each channel of %v", what, in[i].DType(), in[i].Shape().Clone(), u, ch.channels, x.Shape().Clone())
		}
	}
	if b.side > 0 && !c.in(5).Shape().Equal(x.Shape()) {
		return fmt.Errorf("side input has shape %v, want %v", c.in(5).Shape().Clone(), x.Shape().Clone())
	}
	t, err := c.alloc(0, x.DType(), x.Shape())
	if err != nil {
		return err
	}
	var stats [4]*tensor.Tensor
	for i := range stats {
		if stats[i], err = c.alloc(i+1, u, tensor.Shape{ch.channels}); err != nil {
			return err
		}
	}
	if c.numOut() > 5 {
		reserved, err := c.alloc(5, u, nil)
		if err != nil {
			return err
		}
		clear(reserved.Bytes())
	}
	if x.DType() == tensor.Float32 && u == tensor.Float32 && x.Len() > 0 {
		b.float(c, t, x, ch, in, stats)
	} else {
		b.run(t, x, ch, in, stats)
	}
	if b.side > 0 {
		y, v := floatsOf(t), floatsOf(c.in(5))
		for i := range t.Len() {
			setFloat(t, i, y.at(i)+v.at(i))
		}
	}
	if b.relu && t.Len() > 0 {
		unaryKernel("Relu", t.DType())(c.kernels(), t, t)
	}
	return nil
}

// float is run for float32, by the kernels. Channels that come first lie in rows; those that come last lie beside each other.
func (b *batchNorm) float(c *call, t, x *tensor.Tensor, ch channelLayout, in, stats [4]*tensor.Tensor) {
	k, dst, src := c.kernels(), tensor.Data[float32](t), tensor.Data[float32](x)
	var v, s [4][]float32
	for i := range v {
		v[i], s[i] = tensor.Data[float32](in[i]), tensor.Data[float32](stats[i])
	}
	image := ch.channels * ch.inner
	n := len(src) / ch.channels
	mean, variance := s[2], s[3] // of this batch, or the given ones
	switch {
	case !b.training:
		copy(mean, v[2])
		copy(variance, v[3])
	case ch.inner == 1:
		clear(mean)
		clear(variance)
		for at := 0; at < len(src); at += image {
			k.Add(mean, mean, src[at:][:image])
		}
		k.DivScalar(mean, mean, float32(n))
		for at := 0; at < len(src); at += image {
			for j, m := range mean {
				d := src[at+j] - m
				variance[j] += d * d
			}
		}
		k.DivScalar(variance, variance, float32(n))
	default:
		for j := range mean {
			sum, squares := float32(0), float32(0)
			for at := j * ch.inner; at < len(src); at += image {
				sum += k.Sum(src[at:][:ch.inner])
			}
			mean[j] = sum / float32(n)
			for at := j * ch.inner; at < len(src); at += image {
				squares += k.SumSquaredDeviations(src[at:][:ch.inner], mean[j])
			}
			variance[j] = squares / float32(n)
		}
	}
	// The running statistics hold each channel's factor until all is normalized.
	by := s[0]
	for j := range by {
		by[j] = float32(inverseRoot(float64(variance[j]), float64(b.eps))) * v[0][j]
	}
	for at := 0; at < len(src); at += image {
		if ch.inner == 1 {
			y := dst[at:][:image]
			k.Sub(y, src[at:][:image], mean)
			k.Mul(y, y, by)
			k.Add(y, y, v[1])
			continue
		}
		for j := range by {
			y := dst[at+j*ch.inner:][:ch.inner]
			k.SubScalar(y, src[at+j*ch.inner:][:ch.inner], mean[j])
			k.MulScalar(y, y, by[j])
			k.AddScalar(y, y, v[1][j])
		}
	}
	for j := range by {
		m := moments{float64(mean[j]), float64(variance[j])}
		if b.training {
			m = b.running(m, n, j, in)
		}
		setMoments(stats[0], stats[1], j, m)
	}
}

// running returns the running statistics of channel j after a batch of n values with moments m.
func (b *batchNorm) running(m moments, n, j int, in [4]*tensor.Tensor) moments {
	if n > 1 {
		m.variance *= float64(n) / float64(n-1)
	}
	if b.average != 1 {
		mean, variance := floatsOf(in[2]), floatsOf(in[3])
		m.mean = (1-b.average)*mean.at(j) + b.average*m.mean
		m.variance = (1-b.average)*variance.at(j) + b.average*m.variance
	}
	return m
}

// run normalizes x into t; in is scale, offset, mean and variance, stats the running mean and variance and those of this batch.
func (b *batchNorm) run(t, x *tensor.Tensor, ch channelLayout, in, stats [4]*tensor.Tensor) {
	var v [4]floatReader
	for i := range v {
		v[i] = floatsOf(in[i])
	}
	src := floatsOf(x)
	image := ch.channels * ch.inner
	n := 0 // values of a channel
	if image > 0 {
		n = x.Len() / ch.channels
	}
	for j := range ch.channels {
		place := func(i int) int { return i/ch.inner*image + j*ch.inner + i%ch.inner }
		var m moments
		if b.training {
			m = momentsOf(n, func(i int) float64 { return src.at(place(i)) })
			setMoments(stats[0], stats[1], j, b.running(m, n, j, in))
			if n == 0 {
				m = moments{}
			}
		} else {
			m = moments{v[2].at(j), v[3].at(j)}
			setMoments(stats[0], stats[1], j, m)
		}
		setMoments(stats[2], stats[3], j, m)
		by := inverseRoot(m.variance, float64(b.eps)) * v[0].at(j)
		for i := range n {
			at := place(i)
			setFloat(t, at, (src.at(at)-m.mean)*by+v[1].at(j))
		}
	}
}

func setMoments(mean, variance *tensor.Tensor, j int, m moments) {
	setFloat(mean, j, m.mean)
	setFloat(variance, j, m.variance)
}

// lrnOp divides each element by a power of the sum of squares of the channels around it.
func lrnOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	radius, bias, alpha, beta := int(r.Int("depth_radius")), float64(r.Float("bias")), float64(r.Float("alpha")), float64(r.Float("beta"))
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		if x.Rank() != 4 || !x.DType().IsFloat() {
			return fmt.Errorf("input is %v %v, want floats of rank 4", x.DType(), x.Shape().Clone())
		}
		t, err := c.alloc(0, x.DType(), x.Shape())
		if err != nil {
			return err
		}
		depth, in := x.Shape()[3], floatsOf(x)
		radius := min(max(0, radius), depth)
		for i := range x.Len() {
			j := i % depth
			sum := 0.0
			for k := max(0, j-radius); k <= min(depth-1, j+radius); k++ {
				v := in.at(i - j + k)
				sum += v * v
			}
			setFloat(t, i, in.at(i)*math.Pow(bias+alpha*sum, -beta))
		}
		return nil
	}, nil
}
