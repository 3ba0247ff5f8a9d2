package savedmodel

import (
	"fmt"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
)

// nameByKeys gives the inputs and outputs of TensorFlow 2's signatures the names of their keys. There a signature is a call
// between placeholders called SIGNATURE_KEY and the call's outputs, names that mean nothing to anybody; nodes of TensorFlow 1
// keep theirs. Signatures that have a key in common for inputs of one dtype and shape share the placeholder. Resolve still
// knows the old names.
func (m *Model) nameByKeys() {
	m.renamed = map[string]string{}
	for _, s := range m.Signatures {
		for i := range s.Inputs {
			m.nameInput(s, &s.Inputs[i])
		}
	}
	for _, s := range m.Signatures {
		for i := range s.Outputs {
			m.nameOutput(&s.Outputs[i])
		}
	}
}

func (m *Model) nameInput(s *Signature, in *TensorInfo) {
	old := s.Name + "_" + in.Key
	n := m.Graph.Node(old)
	if n == nil || n.Op() != "Placeholder" || in.Tensor != old+":0" {
		return
	}
	for _, other := range m.Signatures {
		i := slices.IndexFunc(other.Inputs, func(o TensorInfo) bool { return o.Key == in.Key })
		if i < 0 || other == s {
			continue
		}
		if o := other.Inputs[i]; o.DType != in.DType || o.Shape.String() != in.Shape.String() {
			return // two inputs of one key that are not one
		}
	}
	if shared := m.Graph.Node(in.Key); shared != nil {
		if !slices.ContainsFunc(m.Signatures, func(o *Signature) bool { return m.renamed[o.Name+"_"+in.Key+":0"] == in.Key+":0" }) {
			return // the name is another node's
		}
		m.Graph.ReplaceUses(n.Out(0), shared.Out(0))
		m.Graph.ReplaceControls(n, shared)
		if m.Graph.Remove(n) != nil {
			return
		}
	} else if legal(in.Key) != in.Key || m.Graph.Rename(n, in.Key) != nil {
		return
	}
	in.Tensor = in.Key + ":0"
	m.renamed[old+":0"] = in.Tensor
}

func (m *Model) nameOutput(out *TensorInfo) {
	o, err := tensorNode(m.Graph, out.Tensor)
	if err != nil {
		return
	}
	f := callee(o.Node, m.Graph)
	if f == nil || o.Index >= len(f.Rets) || legal(out.Key) != out.Key {
		return
	}
	n, err := m.Graph.Add(out.Key, "Identity", o)
	if err != nil {
		return // the name is another node's
	}
	n.SetAttr("T", graphdef.TypeAttr(resultType(o.Node, f, o.Index)))
	m.renamed[fmt.Sprintf("%s:%d", o.Node.Name(), o.Index)] = out.Key + ":0"
	out.Tensor = out.Key + ":0"
}

// current returns the name that a tensor of the model's own graph has in the frozen one.
func (m *Model) current(name string) string {
	for _, full := range []string{name, name + ":0"} {
		if now, ok := m.renamed[full]; ok {
			return now
		}
	}
	return name
}

// Resolve returns the tensor that name means: a key of an output (or input) of a signature, a node or a tensor name.
func (m *Model) Resolve(name string, output bool) (graphdef.Output, error) {
	info, err := m.Info(name, output)
	if err != nil {
		return graphdef.Output{}, err
	}
	if info != nil {
		return tensorNode(m.Graph, info.Tensor)
	}
	o, err := tensorNode(m.Graph, m.current(name))
	if err != nil && len(m.Signatures) > 0 {
		return o, fmt.Errorf("%w, nor has a signature the key %q", err, name)
	}
	if err == nil {
		if have, err := o.Node.NumOutputs(); err == nil && o.Index >= have {
			return o, fmt.Errorf("node %q (%s) has %d outputs", o.Node.Name(), o.Node.Op(), have)
		}
	}
	return o, err
}

// Info returns the input or output of the signatures with that key; nil if there is none. Where several signatures have the
// key for different tensors, signature/key says which.
func (m *Model) Info(key string, output bool) (*TensorInfo, error) {
	var found *TensorInfo
	var in string
	for _, s := range m.Signatures {
		list := s.Inputs
		if output {
			list = s.Outputs
		}
		for i := range list {
			switch {
			case key == s.Name+"/"+list[i].Key:
				return &list[i], nil
			case key != list[i].Key:
			case found == nil:
				found, in = &list[i], s.Name
			case found.Tensor != list[i].Tensor:
				return nil, fmt.Errorf("%q is a key of several signatures: choose one of them, or say %s/%s or %s/%s", key, in, key, s.Name, key)
			}
		}
	}
	return found, nil
}
