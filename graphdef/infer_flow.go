package graphdef

import (
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// switchShape: both outputs are input 0, only one of them lives.
func switchShape(c *ShapeContext) error {
	if err := c.wantRank("pred", c.shape(1), 0); err != nil {
		return err
	}
	c.give(0, c.in[0])
	c.give(1, c.in[0])
	return nil
}

// merge: what the inputs have in common; the back edge of a loop counts from its first visit on.
func merge(c *ShapeContext) error {
	k := known{}
	for _, in := range c.in {
		k = k.relax(in)
	}
	c.give(0, k)
	c.set(1, scalarShape)
	return nil
}

// argument: an _Arg outside a function body; bodies get theirs from the call.
func argument(*ShapeContext) error { return nil }

// results gives what function name returns for the inputs from number skip on.
func (c *ShapeContext) results(name string, skip int) error {
	results, ok := c.calls.call(c.n, name, c.in[skip:])
	if !ok {
		return nil // an unknown function is Validate's to report
	}
	for i := range min(len(results), len(c.out)) {
		c.give(i, results[i])
	}
	return nil
}

func call(c *ShapeContext) error { return c.results(c.attrs.Func("f"), 0) }

// branches gives what the results of several functions have in common.
func (c *ShapeContext) branches(names []string) error {
	outs := make([]known, len(c.out))
	for _, name := range names {
		results, ok := c.calls.call(c.n, name, c.in[1:])
		if !ok || len(results) != len(outs) {
			return nil
		}
		for i, k := range results {
			k.set = true
			outs[i] = outs[i].relax(k)
		}
	}
	for i, k := range outs {
		c.give(i, k)
	}
	return nil
}

func ifCond(c *ShapeContext) error {
	return c.branches([]string{c.attrs.Func("then_branch"), c.attrs.Func("else_branch")})
}

func caseCond(c *ShapeContext) error { return c.branches(c.attrs.Funcs("branches")) }

// whileLoop relaxes the loop variables until the body keeps them.
func whileLoop(c *ShapeContext) error {
	return c.loop(c.attrs.Func("cond"), c.attrs.Func("body"), nil, c.in)
}

// forLoop is whileLoop with a counter that its body takes first.
func forLoop(c *ShapeContext) error {
	counter := known{set: true, dtype: tensor.Int32, shape: scalarShape}
	return c.loop("", c.attrs.Func("body"), []known{counter}, c.in[3:])
}

// maxRounds is how often a body is followed before its variables are given up: a chain of variables that hand on a
// change, one a round, is as long as the file wants.
const maxRounds = 64

func (c *ShapeContext) loop(cond, body string, first, start []known) error {
	if len(start) != len(c.out) {
		return c.errorf("number of loop variables differs, have %d inputs and %d outputs", len(start), len(c.out))
	}
	vars := slices.Clone(start)
	for round, changed := 0, true; changed; round++ {
		changed = false
		if round == maxRounds {
			for i := range vars {
				vars[i] = known{set: true, dtype: vars[i].dtype}
			}
		}
		results, ok := c.calls.call(c.n, body, slices.Concat(first, vars))
		if !ok || len(results) != len(vars) {
			return nil
		}
		for i, k := range results {
			k.set = true
			vars[i].set = true
			relaxed := vars[i].relax(k)
			if !relaxed.equal(vars[i]) {
				vars[i], changed = relaxed, true
			}
		}
	}
	if cond != "" {
		c.calls.call(c.n, cond, vars)
	}
	for i, k := range vars {
		c.give(i, k)
	}
	return nil
}

// mapDefun: each result has the shape of output_shapes behind the number of calls, the first dimension of the arguments.
func mapDefun(c *ShapeContext) error {
	shapes := c.attrs.Shapes("output_shapes")
	if len(shapes) != len(c.out) {
		return nil
	}
	from, to := c.list("arguments")
	count := tensor.UnknownDim
	for i := from; i < to; i++ {
		var err error
		if count, err = c.mergeDims("first dimensions of the arguments", count, c.shape(i).Dim(0)); err != nil {
			return err
		}
	}
	for i, s := range shapes {
		if dims := s.Dims(); dims != nil {
			c.set(i, tensor.Partial(append([]int{count}, dims...)...))
		}
	}
	return nil
}

// fakeParam: the attribute shape.
func fakeParam(c *ShapeContext) error {
	c.set(0, c.attrs.Shape("shape"))
	return nil
}

// variable: the attribute shape; [] was once written for unknown ones.
func variable(c *ShapeContext) error {
	s := c.attrs.Shape("shape")
	if rank, ok := s.Rank(); ok && rank == 0 && c.n.op == "Variable" {
		return nil
	}
	c.set(0, s)
	return nil
}

// handle gives output 0 as a scalar handle of things of shape elem.
func (c *ShapeContext) handle(elem tensor.PartialShape) {
	c.set(0, scalarShape)
	if len(c.out) > 0 {
		c.out[0].elem = &elem
	}
}

// elem returns the shape of what the handle in input i holds.
func (c *ShapeContext) elem(i int) tensor.PartialShape {
	if e := c.in[i].elem; e != nil {
		return *e
	}
	return unknownShape
}

func varHandle(c *ShapeContext) error {
	c.handle(c.attrs.Shape("shape"))
	return nil
}

// readVariable: the variable's shape. A float input, which freezing leaves behind, is the value itself.
func readVariable(c *ShapeContext) error {
	if d := c.in[0].dtype; d != tensor.Resource && d != tensor.Invalid {
		c.give(0, c.in[0])
		return nil
	}
	c.set(0, c.elem(0))
	return nil
}

func variableShape(c *ShapeContext) error {
	c.describe(0, c.elem(0))
	return nil
}

// resourceGather is gatherV2 along axis batch_dims of a variable, or of the value that freezing put in its place.
func resourceGather(c *ShapeContext) error {
	params := c.elem(0)
	if d := c.in[0].dtype; d != tensor.Resource && d != tensor.Invalid {
		params = c.shape(0)
	}
	batch := c.attrs.Int("batch_dims")
	s, err := c.gathered(params, c.shape(1), batch, batch)
	if err != nil {
		return err
	}
	c.set(0, s)
	return nil
}

// tableRef: the handle of a TF1 table is a vector of two strings.
func tableRef(c *ShapeContext) error {
	c.set(0, tensor.Partial(2))
	return nil
}

// tableFind: one value for each key.
func tableFind(c *ShapeContext) error {
	c.set(0, c.shape(1))
	return nil
}

// tensorArray: a handle that knows the shape of its elements, and a flow.
func tensorArray(c *ShapeContext) error {
	c.handle(c.attrs.Shape("element_shape"))
	if len(c.out) > 0 {
		c.out[0].shape = tensor.Partial(2)
	}
	c.set(1, scalarShape)
	return nil
}

// within puts a dimension before the shape of an element.
func within(dim int, elem tensor.PartialShape) tensor.PartialShape {
	if _, ok := elem.Rank(); !ok {
		return unknownShape
	}
	return tensor.Partial(append([]int{dim}, elem.Dims()...)...)
}

// agreed merges shapes that say the same thing in several places; where they contradict, the run will tell.
func agreed(a, b tensor.PartialShape) tensor.PartialShape {
	if m, ok := a.Merge(b); ok {
		return m
	}
	return unknownShape
}

func tensorArrayGather(c *ShapeContext) error {
	c.set(0, within(c.shape(1).Dim(0), agreed(c.elem(0), c.attrs.Shape("element_shape"))))
	return nil
}

func tensorArrayRead(c *ShapeContext) error {
	c.set(0, c.elem(0))
	return nil
}

// listNew: the shape of the elements is input 0's value.
func listNew(c *ShapeContext) error {
	elem, err := c.dimsOf(0)
	if err != nil {
		return err
	}
	c.handle(elem)
	return nil
}

// listSame: output 0 is the list in input 0, changed.
func listSame(c *ShapeContext) error {
	c.handle(c.elem(0))
	return nil
}

// listFromTensor: a list of the rows of input 0.
func listFromTensor(c *ShapeContext) error {
	elem, err := c.dimsOf(1)
	if err != nil {
		return err
	}
	if dims := c.shape(0).Dims(); len(dims) > 0 {
		elem = agreed(elem, tensor.Partial(dims[1:]...))
	}
	c.handle(elem)
	return nil
}

// listElem returns the shape of a list's elements, by the list and by input i.
func (c *ShapeContext) listElem(i int) (tensor.PartialShape, error) {
	said, err := c.dimsOf(i)
	return agreed(c.elem(0), said), err
}

func listStack(c *ShapeContext) error {
	elem, err := c.listElem(1)
	count := c.attrs.Int("num_elements")
	if count < 0 || count > maxDim {
		count = tensor.UnknownDim
	}
	c.set(0, within(int(count), elem))
	return err
}

func listGather(c *ShapeContext) error {
	elem, err := c.listElem(2)
	c.set(0, within(c.shape(1).Dim(0), elem))
	return err
}

func listGetItem(c *ShapeContext) error {
	elem, err := c.listElem(2)
	c.set(0, elem)
	return err
}

func listPopBack(c *ShapeContext) error {
	elem, err := c.listElem(1)
	c.handle(c.elem(0))
	c.set(1, elem)
	return err
}

func listElementShape(c *ShapeContext) error {
	if s := c.elem(0); len(s.Dims()) > 0 {
		c.describe(0, s)
	}
	return nil
}

// iteratorGetNext: the attribute output_shapes.
func iteratorGetNext(c *ShapeContext) error {
	for i, s := range c.attrs.Shapes("output_shapes") {
		c.set(i, s)
	}
	return nil
}
