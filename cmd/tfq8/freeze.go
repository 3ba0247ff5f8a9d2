package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
)

// freezeOptions are the flags of freeze.
type freezeOptions struct {
	modelFlags
	out  string
	json jsonFlag
}

func newFreezeCmd(s *streams) *cobra.Command {
	var o freezeOptions
	cmd := &cobra.Command{
		Use:   "freeze MODEL -o FROZEN.pb|DIR",
		Short: "Make one self-contained graph of a model",
		Long: `freeze makes the variables of a model constants and keeps what its outputs need.

A MODEL is a SavedModel (its directory), a checkpoint with its .meta (the prefix), or
a graph. Variables are those that restoring would give, inside of functions, loops
and branches too; tables are filled with their assets. A variable that the outputs
need and that the graph writes is an error.

-o names a graph file (.pb, .pbtxt or .txt) or, with any other name, the directory
of a SavedModel, which may be larger than 2 GiB. Inputs and outputs are printed.`,
		Example: `  tfq8 freeze numbers.pb -o export --outputs translations --outputs scores
  tfq8 freeze export -o frozen.pb
  tfq8 freeze export -o frozen.pb --signature serving_default --outputs scores`,
		Args:              positional(1, 1, "MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runFreeze(cmd.Context(), s, args[0], &o)
		},
	}
	o.modelFlags.add(cmd)
	o.json.add(cmd)
	cmd.Flags().StringVarP(&o.out, "output", "o", "", "`file` (.pb, .pbtxt, .txt) or directory to write")
	return cmd
}

// frozen is what freeze prints.
type frozen struct {
	Nodes   int           `json:"nodes"`
	Bytes   int64         `json:"bytes"`
	Inputs  []shownTensor `json:"inputs"`
	Outputs []shownTensor `json:"outputs"`
}

func runFreeze(ctx context.Context, s *streams, path string, o *freezeOptions) error {
	if o.out == "" {
		return errors.New("-o is missing: name the file or directory to write")
	}
	m, err := s.openModel(path, o.options())
	if err != nil {
		return err
	}
	outputs, err := m.fetches(&o.modelFlags)
	if err != nil {
		return err
	}
	inputs, err := m.feedsOf(&o.modelFlags, outputs)
	if err != nil {
		return err
	}
	if err := m.keep(inputs, outputs); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := s.writeModel(o.out, m, m.graph, inputs, outputs); err != nil {
		return err
	}
	r := frozen{Nodes: len(m.graph.Nodes()), Inputs: shownTensors(inputs), Outputs: shownTensors(outputs)}
	if r.Bytes, err = bytesOf(o.out); err != nil {
		return err
	}
	if o.json {
		return s.printJSON(r)
	}
	if o.out == "-" {
		return nil
	}
	fmt.Fprintf(s.out, "%s: %d nodes, %s\n", o.out, r.Nodes, formatBytes(r.Bytes))
	for _, c := range inputs {
		fmt.Fprintf(s.out, "  input   %v\n", c)
	}
	for _, c := range outputs {
		fmt.Fprintf(s.out, "  output  %v\n", c)
	}
	return nil
}

// keep removes what neither outputs nor inputs need, and refuses variables that are left.
func (m *model) keep(inputs, outputs []candidate) error {
	var roots []*graphdef.Node
	for _, c := range slices.Concat(inputs, outputs) {
		roots = append(roots, c.Output.Node)
	}
	needed := graphdef.Ancestors(roots...)
	m.graph.RemoveAll(func(n *graphdef.Node) bool { return !needed[n] })
	for _, n := range m.graph.Nodes() {
		switch n.Op() {
		case "VarHandleOp", "VariableV2", "Variable":
			return fmt.Errorf("%s: %w", m.path, n.Errorf("is a variable, whose value a graph file does not hold; give the SavedModel, or the checkpoint with its .meta"))
		}
	}
	return nil
}

// isGraphFile reports whether a result of that name is a graph file, and not a SavedModel.
func isGraphFile(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pb", ".pbtxt", ".txt":
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	}
	return path == "-"
}

// writeModel writes g, made of m, as a graph file or as a SavedModel, by the name: see isGraphFile. Inputs and outputs are
// tensors of g by their names.
func (s *streams) writeModel(path string, m *model, g *graphdef.Graph, inputs, outputs []candidate) error {
	if !isGraphFile(path) {
		if same, err := sameFile(path, m.path); err == nil && same {
			return fmt.Errorf("-o %s is the model that is read; name another directory", path)
		}
		return savedmodel.Write(path, g, m.signatures(inputs, outputs)...)
	}
	err := s.writeFile(path, []string{m.path}, func(w io.Writer) error { return writeGraph(w, path, savedmodel.Portable(g)) })
	if errors.Is(err, graphdef.ErrTooLarge) {
		return fmt.Errorf("%w: -o DIR", err)
	}
	return err
}

// signatures returns the signatures of a SavedModel with those inputs and outputs: the model's own as far as they have them, or
// else one, called as the model's or serving_default, whose keys are the names of the tensors.
func (m *model) signatures(inputs, outputs []candidate) []*savedmodel.Signature {
	infos := func(list []candidate, have []savedmodel.TensorInfo, all bool) (infos []savedmodel.TensorInfo) {
		for _, c := range list {
			info := savedmodel.TensorInfo{Key: c.Name, Tensor: c.Output.String(), DType: c.DType, Shape: c.Shape}
			i := slices.IndexFunc(have, func(t savedmodel.TensorInfo) bool {
				return t.Tensor == info.Tensor || t.Tensor+":0" == info.Tensor
			})
			switch {
			case i >= 0:
				info.Key = have[i].Key
			case !all:
				continue
			}
			infos = append(infos, info)
		}
		return infos
	}
	var list []*savedmodel.Signature
	if m.opened != nil && len(m.opened.Signatures) > 1 {
		for _, s := range m.opened.Signatures {
			out := infos(outputs, s.Outputs, false)
			if len(out) > 0 {
				list = append(list, &savedmodel.Signature{Name: s.Name, Method: s.Method, Inputs: infos(inputs, s.Inputs, false), Outputs: out})
			}
		}
	}
	if list != nil {
		return list
	}
	one := &savedmodel.Signature{Name: "serving_default"}
	var have savedmodel.Signature
	if m.opened != nil && m.opened.Signature != nil {
		have = *m.opened.Signature
		one.Name, one.Method = have.Name, have.Method
	}
	one.Inputs, one.Outputs = infos(inputs, have.Inputs, true), infos(outputs, have.Outputs, true)
	return []*savedmodel.Signature{one}
}

// sameFile reports whether two names mean one file or directory.
func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}

// bytesOf returns the size of a file or of all files in a directory; 0 for standard output.
func bytesOf(path string) (int64, error) {
	if path == "-" {
		return 0, nil
	}
	size := int64(0)
	err := filepath.WalkDir(path, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
