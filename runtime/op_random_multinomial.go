package runtime

import (
	"fmt"
	"math"
	"sort"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// multinomialOp draws num_samples classes for each row of logits, in the order that one thread of TensorFlow draws them.
func multinomialOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	out, err := indexType(n, "output_dtype")
	if err != nil {
		return nil, err
	}
	stateful := n.Op() == "Multinomial"
	var seeds seeds
	if stateful {
		if seeds, err = newSeeds(n); err != nil {
			return nil, err
		}
	}
	return func(c *call) error {
		x := c.in(0)
		num, err := scalarInt(c.in(1), "num_samples")
		if err != nil {
			return err
		}
		if x.Rank() != 2 || num < 0 {
			return fmt.Errorf("have logits %v and num_samples %d, want a matrix and 0 or more", x.Shape().Clone(), num)
		}
		rows, classes := x.Shape()[0], x.Shape()[1]
		if rows > 0 && num > 0 && classes == 0 {
			return fmt.Errorf("logits have shape %v, want one class or more", x.Shape().Clone())
		}
		if !x.DType().IsFloat() && !x.DType().IsInteger() {
			return noKernel(x.DType())
		}
		t, err := c.alloc(0, out, tensor.Shape{rows, num})
		if err != nil || t.Len() == 0 {
			return err
		}
		var gen philox
		if stateful {
			gen = seeds.generator(c, uint64(rows)*uint64((num+3)/4*4)*2*reservedResults)
		} else if gen, err = seededPhilox(c.in(2)); err != nil {
			return err
		}
		s, at := newSingles(&gen), numberReader(x)
		sums := make([]float64, classes)
		for i := range rows {
			total := cumulativeWeights(sums, func(j int) float64 { return at(i*classes + j) })
			for j := range num {
				hi, lo := s.next(), s.next()
				find := unit64(hi, lo) * total
				class := sort.Search(classes, func(k int) bool { return sums[k] > find })
				setInt(t, i*num+j, int64(class))
			}
		}
		return nil
	}, nil
}

// cumulativeWeights sets sums to the running sums of exp(logit), scaled, and returns the last. What is not finite weighs nothing.
func cumulativeWeights(sums []float64, logit func(j int) float64) float64 {
	finite := func(v float64) bool { return v-v == 0 }
	top, total := -math.MaxFloat64, 0.0
	for j := range sums {
		if v := logit(j); finite(v) {
			top = max(top, v)
		}
	}
	for j := range sums {
		if v := logit(j); finite(v) {
			total += math.Exp(v - top)
		}
		sums[j] = total
	}
	return total
}
