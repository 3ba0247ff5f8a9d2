package graphdef

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// Signature returns the signature of n's op: a stock one, or that of the library function which the op names (calls of old
// graphs). ok is false for an op that is neither, and for such calls in function bodies, which do not know the library;
// Infer and Validate do.
func (n *Node) Signature() (sig *Signature, ok bool) {
	if sig, ok = Lookup(n.op); ok {
		return sig, true
	}
	if n.graph != nil {
		if f := n.graph.Function(n.op); f != nil {
			return f.signature(), true
		}
	}
	return nil, false
}

// signature returns what a node whose op is f's name takes and gives.
func (f *Function) signature() *Signature {
	s := &Signature{Flags: CallsFunctions}
	arg := func(n *Node) Arg {
		d := tensor.Invalid
		if a, ok := n.Attr("T"); ok {
			d, _ = a.AsType()
		}
		return Arg{Name: n.name, Type: d.Base().String(), Ref: d.IsRef(), dtype: d.Base()}
	}
	for _, n := range f.Args {
		s.Inputs = append(s.Inputs, arg(n))
	}
	for _, n := range f.Rets {
		s.Outputs = append(s.Outputs, arg(n))
	}
	return s
}

// library finds signatures in a graph and its function bodies, where calls may name functions as their op.
type library struct {
	functions map[string]*Function
	asOps     map[string]*Signature
}

func newLibrary(g *Graph) *library {
	l := &library{make(map[string]*Function, len(g.functions)), map[string]*Signature{}}
	for _, f := range g.functions {
		l.functions[f.Name] = f
	}
	return l
}

// calls reports whether n's op is a function of the library.
func (l *library) calls(n *Node) bool {
	_, stock := Lookup(n.op)
	return !stock && l.functions[n.op] != nil
}

// signature is Node.Signature with the library known in function bodies as well.
func (l *library) signature(n *Node) (*Signature, bool) {
	if sig, ok := Lookup(n.op); ok {
		return sig, true
	}
	if l.asOps[n.op] == nil {
		f := l.functions[n.op]
		if f == nil {
			return nil, false
		}
		l.asOps[n.op] = f.signature()
	}
	return l.asOps[n.op], true
}

// maxTypeDepth bounds the search for a dtype through inputs of nodes that do not say theirs.
const maxTypeDepth = 1000

// implied returns the dtype, list of dtypes or count that n's inputs imply for an attribute that it does not say.
func (r *AttrReader) implied(d *AttrDef) (Attr, bool) {
	if d.Kind == KindInt && !d.List {
		for i, a := range r.sig.Inputs {
			if a.Number != d.Name {
				continue
			}
			if from, to, ok := r.inputRange(i, d.Name); ok {
				return IntAttr(int64(to - from)), true
			}
		}
		return Attr{}, false
	}
	if d.Kind != KindType || r.depth > maxTypeDepth {
		return Attr{}, false
	}
	for i, a := range r.sig.Inputs {
		if a.Type != d.Name || a.List != d.List {
			continue
		}
		from, to, ok := r.inputRange(i, d.Name)
		if !ok {
			return Attr{}, false
		}
		if !d.List {
			to = min(to, from+1)
		}
		var types []tensor.DType
		for _, in := range r.n.inputs[from:to] {
			t, ok := r.dtype(in)
			if !ok {
				return Attr{}, false
			}
			types = append(types, t.Base())
		}
		if d.List {
			return TypesAttr(types...), true
		}
		if len(types) == 1 {
			return TypeAttr(types[0]), true
		}
	}
	return Attr{}, false
}

// dtype returns the dtype of an input, without saying why it does not know.
func (r *AttrReader) dtype(o Output) (tensor.DType, bool) {
	sig, ok := r.lookup(o.Node)
	if !ok {
		return tensor.Invalid, false
	}
	r = &AttrReader{n: o.Node, sig: sig, lookup: r.lookup, depth: r.depth + 1}
	i := o.Index
	for k := range sig.Outputs {
		count, ok := r.count(&sig.Outputs[k], "")
		if !ok {
			return tensor.Invalid, false
		}
		if i < count {
			t := r.argType(&sig.Outputs[k], i)
			return t, r.err == nil
		}
		i -= count
	}
	return tensor.Invalid, false
}

// count returns how many tensors an argument stands for, without asking the attribute unsaid, which is being sought.
func (r *AttrReader) count(a *Arg, unsaid string) (int, bool) {
	quiet := &AttrReader{n: r.n, sig: r.sig, lookup: r.lookup, depth: r.depth}
	switch {
	case a.Number != "":
		if a.Number == unsaid {
			return 0, false
		}
		k := quiet.Int(a.Number)
		return int(k), quiet.err == nil && k >= 0 && k <= maxListLen
	case a.List:
		if a.Type == unsaid {
			return 0, false
		}
		k := len(quiet.Types(a.Type))
		return k, quiet.err == nil
	}
	return 1, true
}

// maxListLen bounds the length of a list that a count attribute can claim: TensorFlow itself has no ops near it.
const maxListLen = 1 << 20

// argType returns the dtype of tensor k of an argument; TF1 references keep their mark.
func (r *AttrReader) argType(a *Arg, k int) tensor.DType {
	if a.List {
		if types := r.Types(a.Type); k < len(types) {
			return a.mark(types[k])
		}
		return tensor.Invalid
	}
	if a.dtype != tensor.Invalid {
		return a.mark(a.dtype)
	}
	return a.mark(r.Type(a.Type))
}

// argTypes returns the dtypes of the first count tensors of an argument.
func (r *AttrReader) argTypes(a *Arg, count int) []tensor.DType {
	if count == 0 {
		return nil
	}
	if !a.List {
		return slices.Repeat([]tensor.DType{r.argType(a, 0)}, count)
	}
	types := make([]tensor.DType, count)
	for k, t := range r.Types(a.Type) {
		if k < count {
			types[k] = a.mark(t)
		}
	}
	return types
}

// mark makes t a reference where the argument is one.
func (a *Arg) mark(t tensor.DType) tensor.DType {
	if a.Ref && !t.IsRef() && t != tensor.Invalid {
		return t + refOffset
	}
	return t
}

// refOffset is what TensorFlow adds to a dtype to mark a reference to a TF1 variable.
const refOffset = 100

// inputRange returns which data inputs belong to input argument i of the signature. A list whose length the node does
// not say takes what the other arguments leave; unsaid names the attribute that is being sought, "" for none.
func (r *AttrReader) inputRange(i int, unsaid string) (from, to int, ok bool) {
	lengths := make([]int, len(r.sig.Inputs))
	rest, open := len(r.n.inputs), -1
	for k := range r.sig.Inputs {
		a := &r.sig.Inputs[k]
		count, ok := 0, false
		if (a.Number == "" && !a.List) || r.says(a, unsaid) {
			count, ok = r.count(a, unsaid)
		}
		switch {
		case ok:
			lengths[k] = count
			rest -= count
		case open >= 0 || r.says(a, unsaid): // said, but no length
			return 0, 0, false
		default:
			open = k
		}
	}
	if open >= 0 {
		lengths[open] = max(rest, 0)
	}
	for _, l := range lengths[:i] {
		from += l
	}
	to = from + lengths[i]
	return from, to, to <= len(r.n.inputs)
}

// says reports whether the node or a default gives the length of a list argument.
func (r *AttrReader) says(a *Arg, unsaid string) bool {
	name := a.Number
	if a.List {
		name = a.Type
	}
	if name == unsaid {
		return false
	}
	if v, ok := r.n.Attr(name); ok && v.says() {
		return true
	}
	d := r.sig.Attr(name)
	return d != nil && !d.Required()
}

// InRange returns the range [from, to) of data inputs that the named input argument takes: n.Inputs()[from:to] is a list
// argument's tensors. ok is false where the op has no such argument or the node has too few inputs.
func (n *Node) InRange(name string) (from, to int, ok bool) {
	r := n.AttrReader()
	if r.sig == nil {
		return 0, 0, false
	}
	for i := range r.sig.Inputs {
		if r.sig.Inputs[i].Name == name {
			return r.inputRange(i, "")
		}
	}
	return 0, 0, false
}

// In returns the named input, the first where the argument is a list; ok is false where n has none.
func (n *Node) In(name string) (o Output, ok bool) {
	from, to, ok := n.InRange(name)
	if !ok || from == to {
		return Output{}, false
	}
	return n.inputs[from], true
}

// NumOutputs returns the number of outputs; the error is a *NodeError: an op that is not known, a length that is not said.
func (n *Node) NumOutputs() (int, error) {
	total := 0
	err := n.eachOutputArg(func(_ *Arg, count int, _ *AttrReader) bool {
		total += count
		return true
	})
	return total, err
}

// eachOutputArg calls f with each output argument and its length until f returns false.
func (n *Node) eachOutputArg(f func(a *Arg, count int, r *AttrReader) bool) error {
	r := n.AttrReader()
	if r.sig == nil {
		return n.errUnknownOp()
	}
	for k := range r.sig.Outputs {
		a := &r.sig.Outputs[k]
		count, ok := r.count(a, "")
		if !ok {
			attr := a.Number
			if a.List {
				attr = a.Type
			}
			return n.Errorf("number of outputs %q is not known, attribute %q is missing or malformed", a.Name, attr)
		}
		if !f(a, count, r) {
			break
		}
	}
	return nil
}

func (n *Node) errUnknownOp() error {
	return n.Errorf("op is neither known nor a function of the graph's library")
}

// OutArg returns the name of the output argument that output i belongs to and i's place in it, as function bodies name
// outputs: TopKV2:1 is "indices", 0.
func (n *Node) OutArg(i int) (name string, idx int, err error) {
	rest, found := i, false
	err = n.eachOutputArg(func(a *Arg, count int, _ *AttrReader) bool {
		if rest < count {
			name, idx, found = a.Name, rest, true
			return false
		}
		rest -= count
		return true
	})
	if err == nil && (!found || i < 0) {
		return "", 0, n.errNoOutput(i)
	}
	return name, idx, err
}

func (n *Node) errNoOutput(i int) error {
	total, err := n.NumOutputs()
	if err != nil {
		return err
	}
	return n.Errorf("has no output %d, have %d outputs", i, total)
}

// OutIndex is the inverse of OutArg: the output number of tensor idx of the named output argument.
func (n *Node) OutIndex(name string, idx int) (int, error) {
	at, found, length := 0, false, 0
	err := n.eachOutputArg(func(a *Arg, count int, _ *AttrReader) bool {
		if a.Name == name {
			found, length = true, count
			return false
		}
		at += count
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, n.Errorf("has no output argument %q", name)
	case idx < 0 || idx >= length:
		return 0, n.Errorf("output argument %q has no tensor %d, have %d", name, idx, length)
	}
	return at + idx, nil
}

// OutputType returns the dtype of output i; TF1 reference outputs have reference dtypes (see tensor.DType.Base).
func (n *Node) OutputType(i int) (t tensor.DType, err error) {
	rest, found := i, false
	var typeErr error
	err = n.eachOutputArg(func(a *Arg, count int, r *AttrReader) bool {
		if rest < count {
			t, found = r.argType(a, rest), true
			typeErr = r.Err()
			return false
		}
		rest -= count
		return true
	})
	switch {
	case err != nil:
		return tensor.Invalid, err
	case !found || i < 0:
		return tensor.Invalid, n.errNoOutput(i)
	}
	return t, typeErr
}

// OutputTypes returns the dtypes of all outputs.
func (n *Node) OutputTypes() ([]tensor.DType, error) {
	var types []tensor.DType
	var typeErr error
	err := n.eachOutputArg(func(a *Arg, count int, r *AttrReader) bool {
		types = append(types, r.argTypes(a, count)...)
		typeErr = r.Err()
		return typeErr == nil
	})
	if err == nil {
		err = typeErr
	}
	return types, err
}

// InputTypes returns the dtypes that the signature wants of the data inputs.
func (n *Node) InputTypes() ([]tensor.DType, error) {
	r := n.AttrReader()
	if r.sig == nil {
		return nil, n.errUnknownOp()
	}
	return r.inputTypes()
}

func (r *AttrReader) inputTypes() ([]tensor.DType, error) {
	n := r.n
	var types []tensor.DType
	for i := range r.sig.Inputs {
		a := &r.sig.Inputs[i]
		from, to, ok := r.inputRange(i, "")
		if !ok {
			return nil, n.Errorf("has the wrong number of inputs for argument %q, have %d", a.Name, len(n.inputs))
		}
		types = append(types, r.argTypes(a, to-from)...)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(types) != len(n.inputs) {
		return nil, n.Errorf("has the wrong number of inputs, have %d, want %d", len(n.inputs), len(types))
	}
	return types, nil
}

// String formats the argument as the tables write it.
func (a Arg) String() string {
	s := a.Type
	if a.List {
		s += "..."
	}
	if a.Ref {
		s = "&" + s
	}
	if a.Number != "" {
		s = a.Number + "*" + s
	}
	return fmt.Sprintf("%s %s", a.Name, s)
}
