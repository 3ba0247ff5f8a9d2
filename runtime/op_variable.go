package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// variableOps are variables: resources, and the references of TF1, whose outputs hold a handle as well. Compile puts a
// ReadVariableOp in front of what reads a reference as a value (see compile_ref.go).
var variableOps = map[string]evaluator{
	"VarHandleOp":           variableOp,
	"_VarHandlesOp":         variablesOp,
	"Variable":              variableOp,
	"VariableV2":            variableOp,
	"RefIdentity":           forwardOp,
	"ReadVariableOp":        readVariableOp,
	"_ReadVariablesOp":      readVariablesOp,
	"AssignVariableOp":      assignOp,
	"Assign":                assignOp,
	"AssignAddVariableOp":   assignUpdate(addTo),
	"AssignSubVariableOp":   assignUpdate(subtractFrom),
	"AssignAdd":             assignUpdate(addTo),
	"AssignSub":             assignUpdate(subtractFrom),
	"VarIsInitializedOp":    isInitializedOp,
	"IsVariableInitialized": isInitializedOp,
	"VariableShape":         variableShapeOp,
	"DestroyResourceOp":     destroyResourceOp,
	"DisableCopyOnRead":     nothingOp,
	"CountUpTo":             countUpToOp,
	"ResourceCountUpTo":     countUpToOp,
	"ResourceGatherNd":      gatherNdOp,
}

// variable is the state of one variable during a run.
type variable struct {
	name  string
	dtype tensor.DType
	shape tensor.PartialShape
	value item // not set: not initialised
	self  [1]any
}

func (v *variable) free(a *arena) { a.drop(&v.value) }

// handle returns the tensor that refers to v.
func (v *variable) handle() *tensor.Tensor {
	return tensor.FromRefs(tensor.Resource, tensor.Shape{}, v.self[:])
}

// variableAt returns the variable of that container and name, which it makes at its first use in a run.
func (s *Session) variableAt(container, name string, d tensor.DType, shape tensor.PartialShape) *variable {
	key := "variable " + container + "/" + name
	if v, ok := s.resources[key].(*variable); ok {
		return v
	}
	v := &variable{name: name, dtype: d, shape: shape}
	v.self[0] = v
	if s.resources == nil {
		s.resources = map[string]any{}
	}
	s.resources[key] = v
	return v
}

// variableOp gives the handle of the variable that shared_name, else the node's name, names.
func variableOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	container, name, d, shape := r.Str("container"), r.Str("shared_name"), r.Type("dtype"), r.Shape("shape")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if name == "" {
		name = n.Name()
	}
	if rank, known := shape.Rank(); n.Op() == "Variable" && known && rank == 0 {
		shape = tensor.PartialShape{} // the first version of the op says so where it knows nothing
	}
	return func(c *call) error {
		c.set(0, c.s.variableAt(container, name, d, shape).handle())
		return nil
	}, nil
}

func variablesOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	containers, names, types, shapes := r.Strs("containers"), r.Strs("shared_names"), r.Types("dtypes"), r.Shapes("shapes")
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(containers) != len(names) || len(types) != len(names) || len(shapes) != len(names) {
		return nil, fmt.Errorf("containers, shared_names, dtypes and shapes have %d, %d, %d and %d entries, want as many each",
			len(containers), len(names), len(types), len(shapes))
	}
	return func(c *call) error {
		for i, name := range names {
			c.set(i, c.s.variableAt(containers[i], name, types[i], shapes[i]).handle())
		}
		return nil
	}, nil
}

// variableIn returns the variable that input j refers to; initialised says that it must have a value.
func (c *call) variableIn(j int, initialised bool) (*variable, error) {
	v, err := handleIn[*variable](c, j, "variable")
	if err != nil {
		return nil, err
	}
	if initialised && !v.value.isSet() {
		return nil, fmt.Errorf("variable %q is not initialised; freeze the model, or make its initialiser run before", v.name)
	}
	return v, nil
}

// readVariableOp gives a variable's value. A frozen variable is the value itself.
func readVariableOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	want := r.Type("dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error { return c.readVariable(0, 0, want) }, nil
}

func (c *call) readVariable(i, j int, want tensor.DType) error {
	if c.in(j).DType() != tensor.Resource {
		c.forward(i, j)
		return nil
	}
	v, err := c.variableIn(j, true)
	if err != nil {
		return err
	}
	if d := v.value.t.DType(); want != tensor.Invalid && d != want {
		return fmt.Errorf("variable %q is %v, but is read as %v", v.name, d, want)
	}
	c.give(i, &v.value)
	return nil
}

func readVariablesOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	types := r.Types("dtypes")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		if len(types) != c.numIn() {
			return fmt.Errorf("dtypes has %d entries for %d variables", len(types), c.numIn())
		}
		for i, d := range types {
			if err := c.readVariable(i, i, d); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// assignOp gives a variable the value of input 1; the op of TF1 hands the reference on.
func assignOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	validate := r.Bool("validate_shape")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		v, err := c.variableIn(0, false)
		if err != nil {
			return err
		}
		x := c.in(1)
		if x.DType() != v.dtype && v.dtype != tensor.Variant {
			return fmt.Errorf("variable %q is %v, have a value of %v", v.name, v.dtype, x.DType())
		}
		if validate && !v.shape.Accepts(x.Shape()) {
			return fmt.Errorf("variable %q has shape %v, have a value of %v", v.name, v.shape, x.Shape().Clone())
		}
		it := c.keep(1, &v.value)
		c.s.arena.drop(&v.value)
		v.value = it
		return c.handOn()
	}, nil
}

// handOn makes the output of ops on references the reference that came in.
func (c *call) handOn() error {
	if c.numOut() > 0 {
		c.forward(0, 0)
	}
	return nil
}

// own makes the elements of v's value its own, so that they may be changed where they are.
func (c *call) own(v *variable) (*tensor.Tensor, error) {
	t := &v.value.t
	switch size := len(t.Bytes()); {
	case t.DType().Size() == 0:
		*t = *t.Clone()
	case v.value.buf == nil || v.value.buf.refs > 1:
		b, err := c.s.arena.get(size)
		if err != nil {
			return nil, err
		}
		copy(b.mem, t.Bytes())
		if v.value.buf != nil {
			c.s.arena.release(v.value.buf)
		}
		v.value.buf = b
		t.Set(t.DType(), t.Shape(), b.mem[:size])
	}
	return t, nil
}

// assignUpdate adds input 1 to a variable, or subtracts it.
func assignUpdate(u update) evaluator {
	return func(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
		return func(c *call) error {
			v, err := c.variableIn(0, true)
			if err != nil {
				return err
			}
			x := c.in(1)
			if !v.value.t.Shape().Equal(x.Shape()) {
				return fmt.Errorf("variable %q has shape %v, want the same of the value, have %v", v.name, v.value.t.Shape(), x.Shape().Clone())
			}
			// The value may be the variable's own.
			t, err := c.own(v)
			if err != nil {
				return err
			}
			if err := u.apply(t, 0, x, 0, x.Len(), 1); err != nil {
				return err
			}
			return c.handOn()
		}, nil
	}
}

func isInitializedOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		v, err := c.variableIn(0, false)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Bool, nil)
		if err != nil {
			return err
		}
		tensor.Data[bool](t)[0] = v.value.isSet()
		return nil
	}, nil
}

// variableShapeOp gives a variable's shape, or that of the value which freezing put in its place.
func variableShapeOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	out := r.Type("out_type")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		x := c.in(0)
		if x.DType() == tensor.Resource {
			v, err := c.variableIn(0, true)
			if err != nil {
				return err
			}
			x = &v.value.t
		}
		return setInts(c, 0, out, tensor.Shape{x.Rank()}, x.Shape())
	}, nil
}

// destroyResourceOp takes a variable's value away.
func destroyResourceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	ignore := r.Bool("ignore_lookup_error")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		v, err := c.variableIn(0, !ignore)
		if err == nil {
			c.s.arena.drop(&v.value)
		} else if !ignore {
			return err
		}
		return nil
	}, nil
}

// nothingOp is for ops that only tell TensorFlow how to go about something.
func nothingOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(*call) error { return nil }, nil
}

// countUpToOp adds 1 to an integer variable and gives what it was; from limit on it fails.
func countUpToOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	limit := r.Int("limit")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return func(c *call) error {
		v, err := c.variableIn(0, true)
		if err != nil {
			return err
		}
		if v.value.t.Rank() != 0 || v.value.t.DType() != tensor.Int32 && v.value.t.DType() != tensor.Int64 {
			return fmt.Errorf("variable %q is %v %v, want an int32 or int64 scalar", v.name, v.value.t.DType(), v.value.t.Shape())
		}
		c.give(0, &v.value)
		t, err := c.own(v)
		if err != nil {
			return err
		}
		var now int64
		if t.DType() == tensor.Int32 {
			now = int64(tensor.Data[int32](t)[0])
			tensor.Data[int32](t)[0]++
		} else {
			now = tensor.Data[int64](t)[0]
			tensor.Data[int64](t)[0]++
		}
		if now >= limit {
			return fmt.Errorf("variable %q has reached its limit of %d", v.name, limit)
		}
		return nil
	}, nil
}
