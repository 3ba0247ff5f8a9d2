package runtime

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// randomOps draw random numbers. The stateless ones, and the others where they have a seed, give TensorFlow's numbers; a node
// with a seed starts again in each Run.
var randomOps = map[string]evaluator{
	"RandomUniform":        statefulRandomOp,
	"RandomUniformInt":     statefulRandomOp,
	"RandomStandardNormal": statefulRandomOp,
	"TruncatedNormal":      statefulRandomOp,
	"RandomShuffle":        randomShuffleOp,
	"Multinomial":          multinomialOp,

	"StatelessRandomNormal":           statelessRandomOp,
	"StatelessRandomNormalV2":         statelessRandomOp,
	"StatelessRandomUniform":          statelessRandomOp,
	"StatelessRandomUniformV2":        statelessRandomOp,
	"StatelessRandomUniformInt":       statelessRandomOp,
	"StatelessRandomUniformIntV2":     statelessRandomOp,
	"StatelessRandomUniformFullInt":   statelessRandomOp,
	"StatelessRandomUniformFullIntV2": statelessRandomOp,
	"StatelessTruncatedNormal":        statelessRandomOp,
	"StatelessTruncatedNormalV2":      statelessRandomOp,
	"StatelessMultinomial":            multinomialOp,

	"StatelessRandomGetAlg":           randomAlgOp,
	"StatelessRandomGetKeyCounter":    keyCounterOp,
	"StatelessRandomGetKeyCounterAlg": keyCounterOp,
}

// The numbers of the generators. A CPU has Philox only, which is also what it selects.
const (
	algorithmPhilox = 1
	algorithmAuto   = 3
)

// distributionOf returns what op draws in dtype d; between is set where two inputs give a range of integers.
func distributionOf(op string, d tensor.DType) (dist *distribution, between bool, err error) {
	op = strings.TrimSuffix(strings.TrimPrefix(op, "Stateless"), "V2")
	ints := d == tensor.Int32 || d == tensor.Int64 || d == tensor.Uint32 || d == tensor.Uint64
	switch {
	case op == "RandomUniformInt" && ints:
		return nil, true, nil
	case op == "RandomUniformFullInt" && ints:
		return uniformInts(d, func(x uint64) uint64 { return x }), false, nil
	case !d.IsFloat():
	case op == "RandomUniform":
		return uniformFloats(d), false, nil
	case op == "RandomNormal" || op == "RandomStandardNormal":
		return normals(d), false, nil
	case op == "TruncatedNormal":
		return truncatedNormals(d), false, nil
	}
	return nil, false, noKernel(d)
}

// drawn draws output 0 of dtype d from gen; the shape is input 0. low is the input with the lower end of a range of integers,
// which the upper one follows.
func drawn(c *call, d tensor.DType, dist *distribution, low int, gen philox) error {
	shape, err := appendInts(nil, c.in(0), "shape")
	if err != nil {
		return err
	}
	if dist == nil {
		if dist, err = between(d, c.in(low), c.in(low+1)); err != nil {
			return err
		}
	}
	t, err := c.alloc(0, d, shape)
	if err != nil {
		return err
	}
	dist.fill(t, gen)
	return nil
}

// between is the uniform distribution on [low, high).
func between(d tensor.DType, low, high *tensor.Tensor) (*distribution, error) {
	if low.DType() != d || high.DType() != d || low.Rank() != 0 || high.Rank() != 0 {
		return nil, fmt.Errorf("have minval %v %v and maxval %v %v, want scalars of %v", low.DType(), low.Shape().Clone(), high.DType(), high.Shape().Clone(), d)
	}
	lo, hi := intsOf(low)(0), intsOf(high)(0)
	if ordered := lo < hi; d == tensor.Uint64 && uint64(lo) >= uint64(hi) || d != tensor.Uint64 && !ordered {
		return nil, fmt.Errorf("minval is %s and maxval %s, want minval below maxval", low.ElementText(0), high.ElementText(0))
	}
	size := uint64(hi) - uint64(lo)
	return uniformInts(d, func(x uint64) uint64 { return uint64(lo) + x%size }), nil
}

// statelessRandomOp draws from a generator that the inputs make: two seeds, or (V2) a key, a counter and an algorithm.
func statelessRandomOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d := r.Type("dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	dist, _, err := distributionOf(n.Op(), d)
	if err != nil {
		return nil, err
	}
	byKey := strings.HasSuffix(n.Op(), "V2")
	return func(c *call) error {
		var gen philox
		var err error
		low := 2
		if byKey {
			gen, err = keyedPhilox(c.in(1), c.in(2), c.in(3))
			low = 4
		} else {
			gen, err = seededPhilox(c.in(1))
		}
		if err != nil {
			return err
		}
		return drawn(c, d, dist, low, gen)
	}, nil
}

// seededPhilox reads the seed of a stateless op.
func seededPhilox(seed *tensor.Tensor) (philox, error) {
	v, err := appendInts(nil, seed, "seed")
	if err != nil {
		return philox{}, err
	}
	if seed.Rank() != 1 || len(v) != 2 {
		return philox{}, fmt.Errorf("seed has shape %v, want [2]", seed.Shape().Clone())
	}
	return statelessPhilox([2]uint64{uint64(v[0]), uint64(v[1])}), nil
}

// keyedPhilox reads the state of a generator.
func keyedPhilox(key, counter, alg *tensor.Tensor) (philox, error) {
	a, err := scalarInt(alg, "alg")
	if err != nil {
		return philox{}, err
	}
	if a != algorithmPhilox && a != algorithmAuto {
		return philox{}, fmt.Errorf("alg is %d, want %d (Philox) or %d (auto)", a, algorithmPhilox, algorithmAuto)
	}
	if key.DType() != tensor.Uint64 || key.Rank() != 1 || key.Len() != 1 || counter.DType() != tensor.Uint64 || counter.Rank() != 1 || counter.Len() < 2 {
		return philox{}, fmt.Errorf("have key %v %v and counter %v %v, want uint64 [1] and [2]", key.DType(), key.Shape().Clone(), counter.DType(), counter.Shape().Clone())
	}
	v := tensor.Data[uint64](counter)
	return philoxOfKey(tensor.Data[uint64](key)[0], [2]uint64{v[0], v[1]}), nil
}

// keyCounterOp gives the key and the counter that two seeds stand for, and (Alg) the algorithm.
func keyCounterOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	withAlg := n.Op() == "StatelessRandomGetKeyCounterAlg"
	return func(c *call) error {
		gen, err := seededPhilox(c.in(0))
		if err != nil {
			return err
		}
		k, v := gen.keyCounter()
		key, err := c.alloc(0, tensor.Uint64, tensor.Shape{1})
		if err != nil {
			return err
		}
		counter, err := c.alloc(1, tensor.Uint64, tensor.Shape{2})
		if err != nil {
			return err
		}
		tensor.Data[uint64](key)[0] = k
		copy(tensor.Data[uint64](counter), v[:])
		if withAlg {
			return setIndex(c, 2, tensor.Int32, algorithmPhilox)
		}
		return nil
	}, nil
}

func randomAlgOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error { return setIndex(c, 0, tensor.Int32, algorithmPhilox) }, nil
}

// reservedResults is how many results of the generator TensorFlow sets aside for an element.
const reservedResults = 256

// seeds are the attributes of the stateful ops.
type seeds struct {
	node        string // the name of its generator among the resources of a session
	seed, seed2 uint64
}

func newSeeds(n *graphdef.Node) (seeds, error) {
	r := n.AttrReader()
	s := seeds{"random\x00" + n.Name(), uint64(r.Int("seed")), uint64(r.Int("seed2"))}
	return s, r.Err()
}

// generator returns the generator of this execution of the node, after which the next one starts count results later. Without
// seeds it is any.
func (s *seeds) generator(c *call, count uint64) philox {
	if s.seed == 0 && s.seed2 == 0 {
		return philoxOfSeeds(rand.Uint64(), rand.Uint64())
	}
	next, ok := c.s.resources[s.node].(*philox)
	if !ok {
		first := philoxOfSeeds(s.seed, s.seed2)
		next = &first
		if c.s.resources == nil {
			c.s.resources = map[string]any{}
		}
		c.s.resources[s.node] = next
	}
	gen := *next
	next.skip(count)
	return gen
}

func statefulRandomOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	attr := "dtype"
	if n.Op() == "RandomUniformInt" {
		attr = "Tout"
	}
	r := n.AttrReader()
	d := r.Type(attr)
	if err := r.Err(); err != nil {
		return nil, err
	}
	dist, _, err := distributionOf(n.Op(), d)
	if err != nil {
		return nil, err
	}
	seeds, err := newSeeds(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		shape, err := appendInts(nil, c.in(0), "shape")
		if err != nil {
			return err
		}
		num, err := tensor.Shape(shape).CheckedElements()
		if err != nil {
			return err
		}
		return drawn(c, d, dist, 1, seeds.generator(c, uint64(num)*reservedResults))
	}, nil
}

// randomShuffleOp puts the rows of the first dimension into a random order.
func randomShuffleOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	seeds, err := newSeeds(n)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		if x.Rank() == 0 || x.Len() < 2 || x.Shape()[0] < 2 {
			c.forward(0, 0)
			return nil
		}
		rows := x.Shape()[0]
		gen := seeds.generator(c, uint64(rows+3)/4)
		t, err := c.alloc(0, x.DType(), x.Shape())
		if err != nil {
			return err
		}
		order := make([]int, rows)
		for i := range order {
			order[i] = i
		}
		s := newSingles(&gen)
		for i := range rows - 1 {
			j := i + int(s.next()%uint32(rows-i))
			order[i], order[j] = order[j], order[i]
		}
		width := x.Len() / rows
		for i, from := range order {
			moveRun(t, i*width, x, from*width, width)
		}
		return nil
	}, nil
}
