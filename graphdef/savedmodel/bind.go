package savedmodel

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/checkpoint"
	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// binding is the value of a variable: a part of a tensor of the checkpoint, or a constant.
type binding struct {
	key    string
	full   tensor.Shape
	slice  checkpoint.Slice
	value  *tensor.Tensor // not nil: the variable is set to a constant
	stored *graphdef.StoredTensor
}

// binder finds the values of the variables of one meta graph.
type binder struct {
	g          *graphdef.Graph
	meta       *metaGraph
	checkpoint *checkpoint.Reader // nil: there is none
	assets     map[string]string  // constant or placeholder node of an asset: where the file is
	variables  map[string]*binding
	tables     map[string]*tableInit // by sharedName
}

// bind finds the values of variables and tables, in the order in which a loader sets them: restoring, then initializing. What
// restoring does not say is looked up in the object graph, and what that does not say by name.
func (b *binder) bind() error {
	b.variables, b.tables = map[string]*binding{}, map[string]*tableInit{}
	t := newTracer(b.g)
	if s := b.meta.saver; s != nil && s.restore != "" {
		n := b.g.Node(nodeName(s.restore))
		if n == nil {
			return fmt.Errorf("the saver restores with node %q, which the graph does not have", s.restore)
		}
		if err := b.run(t, n); err != nil {
			return fmt.Errorf("restoring: %w", err)
		}
	}
	if n := b.initOp(); n != nil {
		t.forget()
		if err := b.run(t, n); err != nil {
			return fmt.Errorf("initializing: %w", err)
		}
	}
	if err := b.bindObjects(); err != nil {
		return fmt.Errorf("object graph: %w", err)
	}
	b.bindNames()
	return nil
}

func nodeName(tensor string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(tensor, "^"), ":")
	return name
}

// initOp returns the operation that a loader runs after restoring, nil if there is none.
func (b *binder) initOp() *graphdef.Node {
	if s := b.meta.signatures[initSignature]; s != nil {
		for _, info := range s.outputs {
			if n := b.g.Node(nodeName(info.name)); n != nil {
				return n
			}
		}
	}
	for _, key := range []string{"saved_model_main_op", "legacy_init_op"} {
		for _, name := range b.meta.collections[key].nodes {
			if n := b.g.Node(nodeName(name)); n != nil {
				return n
			}
		}
	}
	return nil
}

// run follows what running n sets.
func (b *binder) run(t *tracer, n *graphdef.Node) error {
	return t.walk(t.top, n, func(sc *scope, n *graphdef.Node) error {
		switch n.Op() {
		case "Assign", "AssignVariableOp":
			return b.assign(t, sc, n)
		case "InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
			"LookupTableImport", "LookupTableImportV2", "LookupTableInsert", "LookupTableInsertV2":
			return b.fill(t, sc, n)
		}
		return nil
	})
}

// assign notes what n assigns to a variable. Values that are computed are left alone: if the variable is needed and nothing
// else says its value, the error comes then.
func (b *binder) assign(t *tracer, sc *scope, n *graphdef.Node) error {
	to, ok := t.input(sc, n, 0)
	from, ok2 := t.input(sc, n, 1)
	if !ok || !ok2 || to.sc != t.top || !isVariable(to.out.Node) {
		return nil
	}
	if from.out.Node.Op() == "Reshape" && from.out.Node.NumInputs() > 0 { // Saver(reshape=True)
		from = t.origin(place{from.sc, from.out.Node.Input(0)})
	}
	v, err := b.source(t, from)
	if v != nil {
		b.variables[sharedName(to.out.Node)] = v
	}
	return err
}

// source returns the value at p; nil if it is computed.
func (b *binder) source(t *tracer, p place) (*binding, error) {
	n := p.out.Node
	switch n.Op() {
	case "RestoreV2", "Restore", "RestoreSlice":
		return b.restored(t, p)
	}
	v, err := b.constant(t, p)
	if v == nil || err != nil {
		return nil, err
	}
	return &binding{value: v}, nil
}

// constant returns the value at p where it is a constant, an asset's path or a variable set to either; nil otherwise.
func (b *binder) constant(t *tracer, p place) (*tensor.Tensor, error) {
	n := p.out.Node
	if path, ok := b.assets[n.Name()]; ok && p.sc == t.top {
		return tensor.FromStrings(tensor.Shape{}, []string{path}), nil
	}
	switch n.Op() {
	case "Const":
		return n.Tensor("value")
	case "ReadVariableOp":
		if v, ok := t.input(p.sc, n, 0); ok {
			return b.constant(t, v)
		}
	case "VarHandleOp", "VariableV2", "Variable":
		if v := b.variables[sharedName(n)]; v != nil {
			return v.value, nil
		}
		// The reading node waits for the assignment, which may not have been followed yet.
		return b.assignedConstant(t, p)
	}
	return nil, nil
}

// assignedConstant looks for the one constant that is assigned to the variable at p.
func (b *binder) assignedConstant(t *tracer, p place) (*tensor.Tensor, error) {
	var found *tensor.Tensor
	for _, u := range p.out.Node.Users() {
		if n := u.Node; u.Input == 0 && (n.Op() == "AssignVariableOp" || n.Op() == "Assign") && n.NumInputs() == 2 {
			from := t.origin(place{p.sc, n.Input(1)})
			if isVariable(from.out.Node) || from.out.Node.Op() == "ReadVariableOp" {
				continue
			}
			v, err := b.constant(t, from)
			if err != nil {
				return nil, err
			}
			if v != nil {
				found = v
			}
		}
	}
	return found, nil
}

// restored returns the part of the checkpoint that output p of a restoring node reads.
func (b *binder) restored(t *tracer, p place) (*binding, error) {
	n := p.out.Node
	names, err := b.strings(t, p.sc, n, 1)
	if err != nil || p.out.Index >= len(names) {
		return nil, err
	}
	v := &binding{key: names[p.out.Index]}
	if n.Op() == "Restore" {
		return v, nil
	}
	specs, err := b.strings(t, p.sc, n, 2)
	if err != nil || p.out.Index >= len(specs) {
		return nil, err
	}
	if v.full, v.slice, err = checkpoint.ParseSlice(specs[p.out.Index]); err != nil {
		return nil, n.Errorf("tensor %q: %w", v.key, err)
	}
	return v, nil
}

// strings returns the elements of a constant string input; none if it is computed.
func (b *binder) strings(t *tracer, sc *scope, n *graphdef.Node, input int) ([]string, error) {
	p, ok := t.input(sc, n, input)
	if !ok {
		return nil, nil
	}
	v, err := b.constant(t, p)
	if v == nil || err != nil {
		return nil, err
	}
	return v.Strings(), nil
}

// objectGraphKey is the tensor of a checkpoint that holds its TrackableObjectGraph.
const objectGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH"

// bindObjects binds variables that restoring did not say by the numbers of the object graph, which the SavedModel and its
// checkpoint have in common.
func (b *binder) bindObjects() error {
	if b.checkpoint == nil || b.meta.objects == nil {
		return nil
	}
	if _, ok := b.checkpoint.Entry(objectGraphKey); !ok {
		return nil
	}
	t, err := b.checkpoint.Tensor(objectGraphKey)
	if err != nil || len(t.Strings()) != 1 {
		return err
	}
	keys, err := readTrackable([]byte(t.Strings()[0]))
	if err != nil {
		return err
	}
	captures, err := readCaptures(b.meta.objects)
	if err != nil {
		return err
	}
	// The captures of a function are the last inputs of its calls.
	for _, n := range b.g.Nodes() {
		f := callee(n, b.g)
		if f == nil {
			continue
		}
		ids, ok := captures[f.Name]
		if !ok {
			ids, ok = b.wrapped(f, captures)
		}
		if !ok || len(ids) > n.NumInputs() {
			continue
		}
		first := n.NumInputs() - len(ids)
		for i, id := range ids {
			h := n.Input(first + i).Node
			if id >= len(keys) || keys[id] == "" || h.Op() != "VarHandleOp" || b.variables[sharedName(h)] != nil {
				continue
			}
			b.variables[sharedName(h)] = &binding{key: keys[id]}
		}
	}
	return nil
}

// wrapped returns the captures of the function that f does nothing but call with its own captures at the end.
func (b *binder) wrapped(f *graphdef.Function, captures map[string][]int) ([]int, bool) {
	for _, n := range f.Body.Nodes() {
		inner := callee(n, b.g)
		if inner == nil {
			continue
		}
		ids, ok := captures[inner.Name]
		if !ok || n.NumInputs() != len(f.Args) {
			continue
		}
		same := true
		for i := n.NumInputs() - len(ids); i >= 0 && i < n.NumInputs(); i++ {
			same = same && n.Input(i).Node == f.Args[i]
		}
		if same {
			return ids, true
		}
	}
	return nil, false
}

// readTrackable returns the checkpoint keys of the values of a TrackableObjectGraph's nodes.
func readTrackable(b []byte) ([]string, error) {
	var keys []string
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		if num != 1 {
			return nil
		}
		key := ""
		err := wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
			if num != 2 {
				return nil
			}
			var name, k string
			err := wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
				switch num {
				case 1:
					name = string(raw)
				case 3:
					k = string(raw)
				}
				return nil
			})
			if name == "VARIABLE_VALUE" {
				key = k
			}
			return err
		})
		keys = append(keys, key)
		return err
	})
	return keys, err
}

// readCaptures returns the object numbers that each concrete function of a SavedObjectGraph is bound to.
func readCaptures(b []byte) (map[string][]int, error) {
	captures := map[string][]int{}
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		if num != 2 {
			return nil
		}
		name, f, err := mapEntry(raw)
		if err != nil {
			return err
		}
		var ids []int
		add := func(v uint64) { ids = append(ids, int(min(v, 1<<31))) }
		err = wire.EachField(f, func(num protowire.Number, v uint64, raw []byte) error {
			if num != 2 {
				return nil
			}
			if raw == nil {
				add(v)
			}
			for len(raw) > 0 {
				v, n := protowire.ConsumeVarint(raw)
				if n < 0 {
					return fmt.Errorf("bound_inputs are malformed")
				}
				add(v)
				raw = raw[n:]
			}
			return nil
		})
		captures[name] = ids
		return err
	})
	return captures, err
}

// bindNames binds what is left by the name that a saver of TensorFlow 1 would use: the variable's own, or for a partitioned one
// the whole's and the part. In a model with an object graph names mean nothing where two variables have the same.
func (b *binder) bindNames() {
	if b.checkpoint == nil {
		return
	}
	parts := map[string]*binding{}
	for _, key := range []string{"variables", "trainable_variables", "model_variables", "local_variables"} {
		for _, def := range b.meta.collections[key].bytes {
			if name, v := readVariableDef(def); v != nil {
				parts[name] = v
			}
		}
	}
	names := map[string]int{}
	for _, n := range b.g.Nodes() {
		if isVariable(n) {
			names[n.Name()]++
			if s, _ := n.Str("shared_name"); s != "" && s != n.Name() {
				names[s]++
			}
		}
	}
	for _, n := range b.g.Nodes() {
		if !isVariable(n) || b.variables[sharedName(n)] != nil {
			continue
		}
		shared, _ := n.Str("shared_name")
		for _, name := range slices.Compact([]string{n.Name(), shared}) {
			if v := parts[name]; v != nil {
				b.variables[sharedName(n)] = v
				break
			}
			if _, ok := b.checkpoint.Entry(name); ok && name != "" && names[name] == 1 {
				b.variables[sharedName(n)] = &binding{key: name}
				break
			}
		}
	}
}

// readVariableDef returns the part of a partitioned variable that a VariableDef describes; nil for one that is whole.
func readVariableDef(b []byte) (name string, v *binding) {
	var info []byte
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		switch num {
		case 1:
			name = nodeName(string(raw))
		case 4:
			info = raw
		}
		return nil
	})
	if err != nil || info == nil {
		return name, nil
	}
	v = &binding{}
	var full, offset, size []int
	ints := func(list *[]int, u uint64, raw []byte) {
		if raw == nil {
			*list = append(*list, int(u))
		}
		for len(raw) > 0 {
			u, n := protowire.ConsumeVarint(raw)
			if n < 0 {
				return
			}
			*list, raw = append(*list, int(u)), raw[n:]
		}
	}
	err = wire.EachField(info, func(num protowire.Number, u uint64, raw []byte) error {
		switch num {
		case 1:
			v.key = string(raw)
		case 2:
			ints(&full, u, raw)
		case 3:
			ints(&offset, u, raw)
		case 4:
			ints(&size, u, raw)
		}
		return nil
	})
	if err != nil || v.key == "" || len(full) == 0 || len(full) != len(offset) || len(full) != len(size) {
		return name, nil
	}
	v.full = tensor.Shape(full)
	for i := range full {
		v.slice = append(v.slice, checkpoint.Extent{Start: int64(offset[i]), Length: int64(size[i])})
	}
	return name, v
}
