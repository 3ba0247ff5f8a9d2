package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef/diff"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	formFlags
	format, out string
	json        jsonFlag
}

func newDiffCmd(s *streams) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two graphs: nodes, wiring, attributes, constants",
		Long: `diff compares two graphs: which nodes were added, removed, renamed or rewired, and
which attributes and constants changed, summed up by the pass that signed them.

Values count, not how a file spells them: the order of nodes and attributes,
attributes that have their default, and the encoding of tensors make no
difference. HTML is one page that needs nothing else.

Exit codes: 0 the graphs are the same, 1 they differ, 2 error.`,
		Example: `  tfq8 diff numbers.pb int8.pb
  tfq8 diff numbers.pb int8.pb --format html -o diff.html`,
		Args:              positional(2, 2, "A and B"),
		ValidArgsFunction: completeModels,
		RunE: func(_ *cobra.Command, args []string) error {
			return runDiff(s, args[0], args[1], &o)
		},
	}
	o.formFlags.add(cmd)
	o.json.add(cmd)
	cmd.Flags().StringVar(&o.format, "format", "text", "`form` of the result: text, html or json")
	cmd.Flags().StringVarP(&o.out, "output", "o", "-", "write the result to this `file`, - for standard output")
	complete(cmd, "format", "text", "html", "json")
	return cmd
}

func runDiff(s *streams, pathA, pathB string, o *diffOptions) error {
	if o.json {
		o.format = "json"
	}
	if pathA == "-" && pathB == "-" {
		return errors.New("diff: both graphs cannot come from standard input; name the file of one")
	}
	switch o.format {
	case "text", "html", "json":
	default:
		return fmt.Errorf("--format: have %q, want text, html or json", o.format)
	}
	a, err := s.openModel(pathA, o.options())
	if err != nil {
		return err
	}
	b, err := s.openModel(pathB, o.options())
	if err != nil {
		return err
	}
	d := diff.Compare(a.graph, b.graph)
	err = s.writeFile(o.out, []string{pathA, pathB}, func(w io.Writer) error {
		switch o.format {
		case "html":
			return d.WriteHTML(w, pathA, pathB)
		case "json":
			return writeJSON(w, d)
		}
		_, err := io.WriteString(w, d.String())
		return err
	})
	if err != nil {
		return err
	}
	if !d.Empty() {
		return errNegative
	}
	return nil
}
