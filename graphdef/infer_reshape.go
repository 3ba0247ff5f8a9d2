package graphdef

import (
	"math"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// placeholder reads the attribute shape; [] of files of producers up to 21 means nothing.
func placeholder(c *ShapeContext) error {
	s := c.attrs.Shape("shape")
	if rank, ok := s.Rank(); ok && rank == 0 && c.producer <= 21 {
		return nil
	}
	c.set(0, s)
	return nil
}

// placeholderWithDefault: a feed may have any shape that the attribute allows.
func placeholderWithDefault(c *ShapeContext) error {
	c.set(0, c.attrs.Shape("shape"))
	return nil
}

// ensureShape is pass, narrowed by the attribute shape.
func ensureShape(c *ShapeContext) error {
	s, err := c.mergeShapes("shapes of input and attribute", c.shape(0), c.attrs.Shape("shape"))
	if err != nil {
		return err
	}
	c.give(0, c.in[0])
	c.set(0, s)
	return nil
}

// dimInts returns the dimensions of s as elements.
func dimInts(s tensor.PartialShape) []int64 {
	v := []int64{}
	for _, d := range s.Dims() {
		if d < 0 {
			v = append(v, unknownInt)
		} else {
			v = append(v, int64(d))
		}
	}
	return v
}

func shapeOf(c *ShapeContext) error {
	c.describe(0, c.shape(0))
	return nil
}

func shapeOfEach(c *ShapeContext) error {
	for i := range min(len(c.in), len(c.out)) {
		c.describe(i, c.shape(i))
	}
	return nil
}

// describe makes output i the vector of the dimensions of s.
func (c *ShapeContext) describe(i int, s tensor.PartialShape) {
	rank, ok := s.Rank()
	if !ok {
		c.set(i, tensor.Partial(tensor.UnknownDim))
		return
	}
	c.set(i, tensor.Partial(rank))
	c.setInts(i, dimInts(s))
}

func sizeOf(c *ShapeContext) error {
	c.set(0, scalarShape)
	if n := elements(c.shape(0)); n >= 0 {
		c.setInts(0, []int64{int64(n)})
	}
	return nil
}

func rankOf(c *ShapeContext) error {
	c.set(0, scalarShape)
	if rank, ok := c.shape(0).Rank(); ok {
		c.setInts(0, []int64{int64(rank)})
	}
	return nil
}

// reshape resolves -1 where the other dimensions are known, and one unknown dimension where the input is.
func reshape(c *ShapeContext) error {
	to, err := c.dimsOf(1)
	if err != nil {
		return err
	}
	dims := slices.Clone(to.Dims())
	wild := 0
	for _, d := range c.ints(1) {
		if d == -1 {
			wild++
		}
	}
	if wild > 1 {
		return c.errorf("shape has %d dimensions of -1, want at most one", wild)
	}
	open, at := 0, -1
	var said []int
	for i, d := range dims {
		if d < 0 {
			open++
			at = i
			continue
		}
		said = append(said, d)
	}
	rest := product(said...)
	total := elements(c.shape(0))
	switch {
	case dims == nil:
	case total >= 0 && open == 0 && rest >= 0 && rest != total:
		return c.errorf("shapes have different numbers of elements, have %v, want %v", c.shape(0), to)
	case total >= 0 && open == 1 && rest > 0:
		if total%rest != 0 {
			return c.errorf("%v does not divide into %v", c.shape(0), to)
		}
		dims[at] = total / rest
	}
	if dims != nil {
		to = tensor.Partial(dims...)
	}
	c.set(0, to)
	if len(dims) <= 1 && dims != nil {
		c.setInts(0, c.ints(0))
	}
	return nil
}

// expandDims inserts a dimension of 1 at the axis in input 1.
func expandDims(c *ShapeContext) error {
	rank, ok := c.shape(0).Rank()
	if !ok {
		return nil
	}
	axis := c.scalarInt(1)
	if axis == unknownInt {
		c.set(0, ofRank(rank+1))
		return nil
	}
	i, err := c.axisOf(axis, rank+1)
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(slices.Insert(slices.Clone(c.shape(0).Dims()), i, 1)...))
	if rank == 0 {
		c.setInts(0, c.ints(0))
	}
	return nil
}

// squeeze drops the dimensions of squeeze_dims, or all of 1.
func squeeze(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	if !ok {
		return nil
	}
	drop := make([]bool, rank)
	axes := c.attrs.Ints("squeeze_dims")
	for _, axis := range axes {
		i, err := c.axisOf(axis, rank)
		if err != nil {
			return err
		}
		if d := s.Dim(i); d > 1 || d == 0 {
			return c.errorf("dimension %d cannot be squeezed, have %v, want 1", i, s)
		}
		drop[i] = true
	}
	out := []int{}
	for i, d := range s.Dims() {
		if len(axes) == 0 && d < 0 {
			return nil // the rank depends on it
		}
		if !drop[i] && (len(axes) > 0 || d != 1) {
			out = append(out, d)
		}
	}
	c.set(0, tensor.Partial(out...))
	if rank <= 1 {
		c.setInts(0, c.ints(0))
	}
	return nil
}

// transpose permutes dimensions by input 1.
func transpose(c *ShapeContext) error {
	s, perm := c.shape(0), c.ints(1)
	rank, ok := s.Rank()
	if perm == nil || slices.Contains(perm, unknownInt) {
		if !ok && perm != nil {
			rank, ok = len(perm), true
		}
		if ok {
			c.set(0, ofRank(rank))
		}
		return nil
	}
	if !ok {
		c.set(0, ofRank(len(perm)))
		return nil
	}
	if len(perm) != rank {
		return c.errorf("permutation has the wrong length, have %v for %v", perm, s)
	}
	out := make([]int, rank)
	seen := make([]bool, rank)
	for i, p := range perm {
		k, err := c.axisOf(p, rank)
		if err != nil {
			return err
		}
		if seen[k] {
			return c.errorf("permutation %v names a dimension twice", perm)
		}
		seen[k] = true
		out[i] = s.Dim(k)
	}
	c.set(0, tensor.Partial(out...))
	return nil
}

// tile multiplies dimensions by input 1.
func tile(c *ShapeContext) error {
	times, err := c.sizesOf(1)
	if err != nil {
		return err
	}
	s := c.shape(0)
	rank, ok := s.Rank()
	trank, tok := times.Rank()
	switch {
	case ok && tok && rank != trank:
		return c.errorf("multiples have the wrong length, have %d for %v", trank, s)
	case !ok || !tok:
		if ok || tok {
			c.set(0, ofRank(max(rank, trank)))
		}
		return nil
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = product(s.Dim(i), times.Dim(i))
	}
	c.set(0, tensor.Partial(out...))
	if v := c.ints(0); rank == 1 && v != nil && times.Dim(0) >= 0 && len(v)*times.Dim(0) <= maxInts {
		c.setInts(0, slices.Repeat(v, times.Dim(0)))
	}
	return nil
}

// pad adds what input 1, [rank, 2], says; its values are followed only where they are a small vector, so the sizes stay
// unknown except where the constant itself is read.
func pad(c *ShapeContext) error {
	s := c.shape(0)
	rank, ok := s.Rank()
	if !ok {
		if r := c.shape(1).Dim(0); r >= 0 {
			c.set(0, ofRank(r))
		}
		return nil
	}
	if r := c.shape(1).Dim(0); r >= 0 && r != rank {
		return c.errorf("paddings have %d rows for %v", r, s)
	}
	v := c.constInts(1)
	if len(v) != 2*rank {
		c.set(0, ofRank(rank))
		return nil
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = tensor.UnknownDim
		if v[2*i] < 0 || v[2*i+1] < 0 {
			return c.errorf("paddings are negative, have %v", v)
		}
		if d := s.Dim(i); d >= 0 {
			out[i] = d + int(v[2*i]+v[2*i+1])
		}
	}
	c.set(0, tensor.Partial(out...))
	return nil
}

// constInts reads integers of any rank from the Const that input i is, through Identity and Enter; nil if it is none.
func (c *ShapeContext) constInts(i int) []int64 {
	n := c.n.inputs[i].Node
	for hops := 0; hops < 16 && (n.op == "Identity" || n.op == "Enter") && len(n.inputs) > 0; hops++ {
		n = n.inputs[0].Node
	}
	a, ok := n.Attr("value")
	if !ok || n.op != "Const" || elements(c.shape(i)) < 0 || elements(c.shape(i)) > maxInts {
		return nil
	}
	t, err := a.AsTensor()
	if err != nil || (t.DType() != tensor.Int32 && t.DType() != tensor.Int64) {
		return nil
	}
	return integers(t)
}

// fill: the shape is input 0's value.
func fill(c *ShapeContext) error {
	s, err := c.sizesOf(0)
	if err != nil {
		return err
	}
	if len(c.in) > 1 {
		if err := c.wantRank("value", c.shape(1), 0); err != nil {
			return err
		}
	}
	c.set(0, s)
	if n := elements(s); len(c.in) > 1 && n >= 0 && n <= maxInts && len(s.Dims()) <= 1 {
		if v := c.scalarInt(1); v != unknownInt {
			c.setInts(0, slices.Repeat([]int64{v}, n))
		}
	}
	return nil
}

// shapeFromFirst is fill for random numbers.
func shapeFromFirst(c *ShapeContext) error {
	s, err := c.dimsOf(0)
	if err != nil {
		return err
	}
	c.set(0, s)
	return nil
}

func rangeOf(c *ShapeContext) error {
	c.set(0, tensor.Partial(tensor.UnknownDim))
	for i, what := range []string{"start", "limit", "delta"} {
		if err := c.wantRank(what, c.shape(i), 0); err != nil {
			return err
		}
	}
	if !c.isInt() {
		return c.floatRange()
	}
	start, limit, delta := c.scalarInt(0), c.scalarInt(1), c.scalarInt(2)
	if start == unknownInt || limit == unknownInt || delta == unknownInt {
		return nil
	}
	if delta == 0 || (delta > 0 && start > limit) || (delta < 0 && start < limit) {
		return c.errorf("range from %d to %d by %d does not end", start, limit, delta)
	}
	if !small(start, limit) || !small(delta, 0) {
		return nil
	}
	n := (limit - start) / delta
	if (limit-start)%delta != 0 {
		n++
	}
	c.set(0, tensor.Partial(int(n)))
	if n <= maxInts {
		v := make([]int64, n)
		for i := range v {
			v[i] = start + int64(i)*delta
		}
		c.setInts(0, v)
	}
	return nil
}

// floatRange is rangeOf for floats: the number of steps is rounded as TensorFlow rounds it, in float32.
func (c *ShapeContext) floatRange() error {
	start, ok1 := c.float(0)
	limit, ok2 := c.float(1)
	delta, ok3 := c.float(2)
	if !ok1 || !ok2 || !ok3 || c.out[0].dtype != tensor.Float32 {
		return nil
	}
	steps := (limit - start) / delta
	if !(steps >= 0 && steps < maxInt) { // also NaN
		return c.errorf("range from %v to %v by %v does not end", start, limit, delta)
	}
	c.set(0, tensor.Partial(int(math.Ceil(float64(steps)))))
	return nil
}

// float returns the value of scalar input i where it is a Const or an integer that is known.
func (c *ShapeContext) float(i int) (float32, bool) {
	if v := c.scalarInt(i); v != unknownInt {
		return float32(v), true
	}
	n := Through(c.n.inputs[i]).Node
	if n.op != "Const" {
		return 0, false
	}
	v, _, ok := scalarFloat(n)
	return float32(v), ok
}

func linSpace(c *ShapeContext) error {
	n, err := c.sizeIn("num", 2)
	if err != nil {
		return err
	}
	if n == 0 {
		return c.errorf("num is 0, want 1 or more")
	}
	c.set(0, tensor.Partial(n))
	return nil
}

// oneHot inserts the depth at axis.
func oneHot(c *ShapeContext) error {
	rank, ok := c.shape(0).Rank()
	if !ok {
		return nil
	}
	axis := c.attrs.Int("axis")
	i, err := c.axisOf(axis, rank+1)
	if err != nil {
		return err
	}
	depth, err := c.sizeIn("depth", 1)
	if err != nil {
		return err
	}
	c.set(0, tensor.Partial(slices.Insert(slices.Clone(c.shape(0).Dims()), i, depth)...))
	return nil
}

// broadcastTo: the shape is input 1's value, to which the input stretches.
func broadcastTo(c *ShapeContext) error {
	s, err := c.sizesOf(1)
	if err != nil {
		return err
	}
	if stretched, err := broadcastShapes(c.shape(0), s); err != nil || !compatible(stretched, s) {
		return c.errorf("%v does not stretch to %v", c.shape(0), s)
	}
	c.set(0, s)
	return nil
}

// compatible reports whether one tensor can have both shapes.
func compatible(a, b tensor.PartialShape) bool {
	_, ok := a.Merge(b)
	return ok
}

// reverse is same; the axes in input 1 differ.
func reverse(c *ShapeContext) error {
	rank, ok := c.shape(0).Rank()
	seen := map[int]bool{}
	for _, axis := range c.ints(1) {
		if axis == unknownInt || !ok {
			continue
		}
		i, err := c.axisOf(axis, rank)
		if err != nil {
			return err
		}
		if seen[i] {
			return c.errorf("axes %v name a dimension twice", c.ints(1))
		}
		seen[i] = true
	}
	if v := slices.Clone(c.ints(0)); rank == 1 && seen[0] && len(c.ints(1)) == 1 {
		slices.Reverse(v)
		c.setInts(0, v)
	}
	return same(c)
}

// broadcastArgs: the value of the shape to which two shapes broadcast.
func broadcastArgs(c *ShapeContext) error {
	a, err := c.dimsOf(0)
	if err != nil {
		return err
	}
	b, err := c.dimsOf(1)
	if err != nil {
		return err
	}
	s, err := broadcastShapes(a, b)
	if err != nil {
		return err
	}
	c.describe(0, s)
	return nil
}
