package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
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
	out, err := s.createModel(o.out, m.path)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := out.write(m.graph, m, inputs, outputs); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
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
