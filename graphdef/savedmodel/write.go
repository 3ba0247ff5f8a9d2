package savedmodel

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/checkpoint"
	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// leastVariable is the size in bytes from which a constant is stored in the checkpoint of a SavedModel rather than in its
// graph.
const leastVariable = 1024

// Write makes the directory dir a SavedModel of a self-contained graph, as both loaders of stock TensorFlow take it: one graph
// tagged "serve" in the layout of TensorFlow 1, large constants as variables in a checkpoint. There is no bound on their size.
// The directory appears whole or not at all: it is written beside its place and renamed, over an older SavedModel if there is
// one. It must be empty, not there, or a SavedModel.
func Write(dir string, g *graphdef.Graph, signatures ...*Signature) (err error) {
	if err := Replaceable(dir); err != nil {
		return err
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("savedmodel: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*.tmp")
	if err != nil {
		return fmt.Errorf("savedmodel: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temp)
			err = fmt.Errorf("savedmodel: writing %s: %w", dir, err)
		}
	}()
	if err := writeInto(temp, g, signatures); err != nil {
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	return Replace(dir, temp)
}

// Replaceable reports whether dir can be made a SavedModel without losing anything else.
func Replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("savedmodel: %w", err)
	}
	known := []string{"saved_model.pb", "saved_model.pbtxt", "variables", "assets", "assets.extra", "debug", "fingerprint.pb", "keras_metadata.pb"}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			return fmt.Errorf("savedmodel: %s holds %s, which is no part of a SavedModel; name an empty or new directory", dir, e.Name())
		}
	}
	return nil
}

// Replace renames the directory temp to dir, in the place of what is there. The two are on one file system.
func Replace(dir, temp string) error {
	if err := os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
		return os.Rename(temp, dir)
	}
	old := temp + ".old"
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}

func writeInto(dir string, g *graphdef.Graph, signatures []*Signature) error {
	if len(signatures) == 0 {
		return errors.New("there is no signature to write; name inputs and outputs")
	}
	g = Portable(g)
	for _, s := range signatures {
		for _, info := range slices.Concat(s.Inputs, s.Outputs) {
			if _, err := tensorNode(g, info.Tensor); err != nil {
				return fmt.Errorf("signature %q, %q: %w", s.Name, info.Key, err)
			}
		}
	}
	vars, err := takeVariables(g, dir)
	if err != nil {
		return err
	}
	graph, err := graphdef.Marshal(g)
	if err != nil {
		return err
	}
	var meta []byte
	info := appendText(nil, 4, "serve")
	info = protowire.AppendVarint(protowire.AppendTag(info, 7, protowire.VarintType), 1) // stripped_default_attrs
	meta = appendMessage(meta, 1, info)
	meta = appendMessage(meta, 2, graph)
	if vars != nil {
		s := appendText(nil, 1, vars.filename+":0")
		s = appendText(s, 2, vars.filename+":0") // nobody saves, but readers want a name
		s = appendText(s, 3, vars.restore)
		s = protowire.AppendVarint(protowire.AppendTag(s, 7, protowire.VarintType), 2) // version V2
		meta = appendMessage(meta, 3, s)
	}
	for _, s := range signatures {
		meta = appendMessage(meta, 5, appendMessage(appendText(nil, 1, s.Name), 2, s.encode()))
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1) // schema version
	b = appendMessage(b, 2, meta)
	if len(b) > math.MaxInt32 {
		return fmt.Errorf("the graph without its large constants takes %d bytes: %w", len(b), graphdef.ErrTooLarge)
	}
	return os.WriteFile(filepath.Join(dir, "saved_model.pb"), b, 0o644)
}

func appendMessage(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

func appendText(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

// encode returns the SignatureDef.
func (s *Signature) encode() []byte {
	var b []byte
	for side, infos := range [][]TensorInfo{s.Inputs, s.Outputs} {
		for _, info := range infos {
			t := appendText(nil, 1, info.Tensor)
			t = protowire.AppendVarint(protowire.AppendTag(t, 2, protowire.VarintType), uint64(info.DType))
			t = appendMessage(t, 3, shapeProto(info.Shape))
			b = appendMessage(b, protowire.Number(side+1), appendMessage(appendText(nil, 1, info.Key), 2, t))
		}
	}
	method := s.Method
	if method == "" {
		method = "tensorflow/serving/predict"
	}
	return appendText(b, 3, method)
}

// shapeProto returns a TensorShapeProto.
func shapeProto(s tensor.PartialShape) []byte {
	var out []byte
	wire.EachField(graphdef.ShapeAttr(s).Wire(), func(_ protowire.Number, _ uint64, raw []byte) error {
		out = raw
		return nil
	})
	return out
}

// savedVariables names the nodes that restore the variables of a graph.
type savedVariables struct{ filename, restore string }

// takeVariables stores the large constants of g in a checkpoint below dir and makes them variables that a saver restores; nil
// if there are none.
func takeVariables(g *graphdef.Graph, dir string) (*savedVariables, error) {
	var large []*graphdef.Node
	for _, n := range g.Nodes() {
		if !loose(n) || inFrame(n) {
			continue
		}
		a, _ := n.Attr("value")
		if s := a.Stored(); s != nil && s.DType() != tensor.String || s == nil && len(a.Wire()) >= leastVariable {
			large = append(large, n)
		}
	}
	if len(large) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "variables"), 0o755); err != nil {
		return nil, err
	}
	w, err := checkpoint.Create(filepath.Join(dir, "variables", "variables"))
	if err != nil {
		return nil, err
	}
	var names []string
	var types []tensor.DType
	var handles []*graphdef.Node
	for _, n := range large {
		t, err := n.Tensor("value")
		if err == nil && t.DType() == tensor.String {
			continue
		}
		if err == nil {
			err = w.Add(n.Name(), t)
		}
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		h := g.MustAdd(n.Name()+"/variable", "VarHandleOp")
		h.Device = n.Device
		h.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		h.SetAttr("shape", graphdef.ShapeAttr(t.Shape().Partial()))
		h.SetAttr("shared_name", graphdef.StringAttr(n.Name()))
		n.SetOp("ReadVariableOp")
		n.SetAttr("dtype", graphdef.TypeAttr(t.DType()))
		n.AddInput(h.Out(0))
		names, types, handles = append(names, n.Name()), append(types, t.DType()), append(handles, h)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, os.RemoveAll(filepath.Join(dir, "variables"))
	}
	return addRestore(g, names, types, handles), nil
}

// inFrame reports whether a constant is read where there may be no frame for it: a loop's constants stay where they are.
func inFrame(n *graphdef.Node) bool {
	return slices.ContainsFunc(n.Users(), func(u graphdef.Use) bool {
		return u.Input != graphdef.ControlInput && u.Node.Op() == "Merge"
	})
}

// addRestore adds the nodes that read variables from the checkpoint.
func addRestore(g *graphdef.Graph, names []string, types []tensor.DType, handles []*graphdef.Node) *savedVariables {
	file := addConst(g, "save/Const", tensor.FromStrings(tensor.Shape{}, []string{"model"}))
	keys := addConst(g, "save/RestoreV2/tensor_names", tensor.FromStrings(tensor.Shape{len(names)}, names))
	slices := addConst(g, "save/RestoreV2/shape_and_slices", tensor.FromStrings(tensor.Shape{len(names)}, make([]string, len(names))))
	restore := g.MustAdd("save/RestoreV2", "RestoreV2", file.Out(0), keys.Out(0), slices.Out(0))
	restore.SetAttr("dtypes", graphdef.TypesAttr(types...))
	all := g.MustAdd("save/restore_all", "NoOp")
	for i, h := range handles {
		assign := g.MustAdd("save/AssignVariableOp", "AssignVariableOp", h.Out(0), restore.Out(i))
		assign.SetAttr("dtype", graphdef.TypeAttr(types[i]))
		all.AddControl(assign)
	}
	return &savedVariables{file.Name(), all.Name()}
}
