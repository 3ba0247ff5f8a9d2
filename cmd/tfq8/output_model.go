package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
)

// modelOutput is a graph file, or the directory of a SavedModel, that appears whole or not at all. A caller defers discard,
// which does nothing after commit.
type modelOutput struct {
	path string
	file *outputFile // nil: a SavedModel
	temp string      // the directory that will be renamed
}

// isGraphFile reports whether a result of that name is a graph file, and not a SavedModel.
func isGraphFile(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pb", ".pbtxt", ".txt":
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return true // a device, a pipe, or a file to write over
	}
	return path == "-"
}

// createModel starts the file or directory of a path, by its name: see isGraphFile. It refuses to write over any of the inputs.
func (s *streams) createModel(path string, inputs ...string) (*modelOutput, error) {
	if isGraphFile(path) {
		f, err := s.create(path, inputs...)
		return &modelOutput{path: path, file: f}, err
	}
	if err := savedmodel.Replaceable(path); err != nil {
		return nil, fmt.Errorf("-o: %w", err)
	}
	for _, in := range inputs {
		if old, err := os.Stat(path); err == nil {
			if i, err := os.Stat(in); err == nil && os.SameFile(i, old) {
				return nil, fmt.Errorf("-o: %s is the model that is read; name another directory", path)
			}
		}
	}
	dir := filepath.Clean(path)
	temp := filepath.Join(filepath.Dir(dir), fmt.Sprintf(".%s.%d.tmp", filepath.Base(dir), os.Getpid()))
	s.unfinished(temp)
	return &modelOutput{path: path, temp: temp}, nil
}

// write writes g, which was made of m and has its inputs and outputs under the same names.
func (o *modelOutput) write(g *graphdef.Graph, m *model, inputs, outputs []candidate) error {
	if o.file == nil {
		return savedmodel.Write(o.temp, g, m.signatures(inputs, outputs)...)
	}
	err := writeGraph(o.file, o.path, savedmodel.Portable(g))
	if errors.Is(err, graphdef.ErrTooLarge) {
		err = fmt.Errorf("%w (-o DIR)", err)
	}
	return o.file.wrap(err)
}

// finish returns the name under which the result can be read now, empty for what cannot be read back.
func (o *modelOutput) finish() (string, error) {
	if o.file == nil {
		return o.temp, nil
	}
	return o.file.finish()
}

// commit makes the file or directory appear.
func (o *modelOutput) commit() error {
	if o.file != nil {
		return o.file.commit()
	}
	if err := savedmodel.Replace(o.path, o.temp); err != nil {
		return fmt.Errorf("writing %s: %w", o.path, err)
	}
	return nil
}

// discard takes away what was written, unless it was committed.
func (o *modelOutput) discard() {
	if o.file != nil {
		o.file.discard()
		return
	}
	os.RemoveAll(o.temp)
}

// signatures returns the signatures of a SavedModel with those inputs and outputs: the model's own as far as they have them, or
// else one, called as the model's or serving_default, whose keys are the names of the tensors.
func (m *model) signatures(inputs, outputs []candidate) []*savedmodel.Signature {
	pick := func(list []candidate, have []savedmodel.TensorInfo, others bool) (infos []savedmodel.TensorInfo) {
		for _, c := range list {
			info := savedmodel.TensorInfo{Key: c.Name, Tensor: c.Output.String(), DType: c.DType, Shape: c.Shape}
			i := slices.IndexFunc(have, func(t savedmodel.TensorInfo) bool {
				return t.Tensor == info.Tensor || t.Tensor+":0" == info.Tensor
			})
			switch {
			case i >= 0:
				info.Key = have[i].Key
			case !others:
				continue
			}
			infos = append(infos, info)
		}
		return infos
	}
	var list []*savedmodel.Signature
	if len(m.opened.Signatures) > 1 {
		for _, s := range m.opened.Signatures {
			if out := pick(outputs, s.Outputs, false); len(out) > 0 {
				list = append(list, &savedmodel.Signature{Name: s.Name, Method: s.Method, Inputs: pick(inputs, s.Inputs, false), Outputs: out})
			}
		}
	}
	if list != nil {
		return list
	}
	one := &savedmodel.Signature{Name: "serving_default"}
	var have savedmodel.Signature
	if m.opened.Signature != nil {
		have = *m.opened.Signature
		one.Name, one.Method = have.Name, have.Method
	}
	one.Inputs, one.Outputs = pick(inputs, have.Inputs, true), pick(outputs, have.Outputs, true)
	return []*savedmodel.Signature{one}
}
