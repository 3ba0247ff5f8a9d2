package savedmodel

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// Signature is one way in which a model wants to be called: named inputs and outputs, sorted by key.
type Signature struct {
	Name, Method    string
	Inputs, Outputs []TensorInfo
}

// TensorInfo is an input or output of a signature. A sparse one counts as three: key/values, key/indices, key/dense_shape.
type TensorInfo struct {
	Key    string
	Tensor string // "node:0"
	DType  tensor.DType
	Shape  tensor.PartialShape
}

// Pseudo signatures name operations that a loader runs.
const (
	initSignature  = "__saved_model_init_op"
	trainSignature = "__saved_model_train_op"
	defaultName    = "serving_default"
)

// listSignatures returns the signatures of m that can be called, sorted by name.
func (m *metaGraph) listSignatures() []*Signature {
	var list []*Signature
	for _, name := range slices.Sorted(maps.Keys(m.signatures)) {
		if name == initSignature || name == trainSignature {
			continue
		}
		d := m.signatures[name]
		list = append(list, &Signature{Name: name, Method: d.method, Inputs: listInfos(d.inputs), Outputs: listInfos(d.outputs)})
	}
	return list
}

func listInfos(infos map[string]*tensorInfo) []TensorInfo {
	var list []TensorInfo
	for _, key := range slices.Sorted(maps.Keys(infos)) {
		info := infos[key]
		if info.name != "" {
			list = append(list, TensorInfo{key, info.name, info.dtype, info.shape})
			continue
		}
		parts := [3]TensorInfo{
			{key + "/values", info.sparse[0], info.dtype, tensor.Partial(tensor.UnknownDim)},
			{key + "/indices", info.sparse[1], tensor.Int64, tensor.Partial(tensor.UnknownDim, tensor.UnknownDim)},
			{key + "/dense_shape", info.sparse[2], tensor.Int64, tensor.Partial(tensor.UnknownDim)},
		}
		for _, p := range parts {
			if p.Tensor != "" {
				list = append(list, p)
			}
		}
	}
	return list
}

// chooseSignature returns the signatures to keep: the one that is asked for, else serving_default, else all.
func chooseSignature(all []*Signature, name string) ([]*Signature, error) {
	if name == "" {
		if i := slices.IndexFunc(all, func(s *Signature) bool { return s.Name == defaultName }); i >= 0 {
			return all[i : i+1], nil
		}
		return all, nil
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return []*Signature{s}, nil
		}
		names = append(names, s.Name)
	}
	if names == nil {
		return nil, fmt.Errorf("there is no signature %q, nor any other; name the outputs instead", name)
	}
	return nil, fmt.Errorf("there is no signature %q; there are %s", name, strings.Join(names, ", "))
}

// chooseMeta returns the meta graph with exactly the tags asked for; without tags the only one, or the one tagged "serve".
func chooseMeta(graphs []*metaGraph, tags []string) (*metaGraph, error) {
	want := slices.Sorted(slices.Values(tags))
	if tags == nil {
		if len(graphs) == 1 {
			return graphs[0], nil
		}
		want = []string{"serve"}
	}
	var have []string
	for _, m := range graphs {
		tags := slices.Sorted(slices.Values(m.tags))
		if slices.Equal(tags, want) {
			return m, nil
		}
		have = append(have, "{"+strings.Join(tags, ",")+"}")
	}
	return nil, fmt.Errorf("there is no meta graph with the tags {%s}; there are %s", strings.Join(want, ","), strings.Join(have, " "))
}
