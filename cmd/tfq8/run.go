package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/npy"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// runOptions are the arguments of run.
type runOptions struct {
	computeFlags
	modelFlags
	path  string
	feeds []string
	fetch []string
	out   string
	json  jsonFlag
}

func newRunCmd(s *streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run MODEL [--feed NAME=VALUE]... [--fetch NAME]...",
		Short: "Run a graph once and print or save what it computes",
		Long: `Run a graph once and print or save what it computes.

A --feed is NAME=FILE.npy, NAME=FILE.npz (its array NAME, or its only one), NAME=- (a
.npy array on standard input) or a literal: a number, true or false, a string, or
nested lists, read in the dtype that the graph gives the tensor; int32:[[1, 2]] says
the dtype. NAME is a node or a tensor (node:1), and need not be a placeholder.
Without --fetch all outputs that the graph seems to have are computed.`,
		Example: `  tfq8 run numbers.pb --feed 'source=[[44, 9, 1]]' --fetch translations --fetch scores
  tfq8 run numbers.pb --feed 'source=[[44, 9, 1]]' --fetch translations -o ids.npy
  tfq8 run numbers.pb --feed 'source=[[44, 9, 1]]' --fetch scores --json`,
		Args:              positional(1, 1, "MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return runRun(cmd.Context(), s, &o)
		},
	}
	o.computeFlags.add(cmd)
	o.modelFlags.add(cmd)
	o.json.add(cmd)
	cmd.Flags().StringArrayVar(&o.feeds, "feed", nil, "give a tensor a value: `NAME=VALUE` (repeat for more)")
	cmd.Flags().StringArrayVar(&o.fetch, "fetch", nil, "compute the tensor of this `name` (repeat for more)")
	cmd.Flags().StringVarP(&o.out, "output", "o", "", "write the results to this .npy (one tensor), .npz, .json or .txt `file`, - for standard output")
	cmd.RegisterFlagCompletionFunc("feed", completeNodes(true))
	cmd.RegisterFlagCompletionFunc("fetch", completeNodes(false))
	completeFiles(cmd, "output", "npy", "npz", "json", "txt")
	return cmd
}

// fetched is one result of run.
type fetched struct {
	Name   string          `json:"name"`
	DType  string          `json:"dtype"`
	Shape  tensor.Shape    `json:"shape"`
	Values json.RawMessage `json:"values"`
	tensor *tensor.Tensor
}

func runRun(ctx context.Context, s *streams, o *runOptions) error {
	ctx, cancel := o.context(ctx, s)
	defer cancel()
	if o.path == "-" && slices.ContainsFunc(o.feeds, func(f string) bool { return strings.HasSuffix(f, "=-") }) {
		return errors.New("the model and a feed cannot both come from standard input")
	}
	open := o.options()
	open.Outputs = append(slices.Clone(o.fetch), open.Outputs...)
	for _, f := range o.feeds {
		name, _, _ := strings.Cut(f, "=")
		open.Inputs = append(open.Inputs, name)
	}
	m, err := s.openModel(o.path, open)
	if err != nil {
		return err
	}
	feeds, err := s.parseFeeds(m, o.feeds)
	if err != nil {
		return err
	}
	fetches, err := o.wanted(m)
	if err != nil {
		return err
	}
	if err := checkResultName(o.out, len(fetches)); err != nil {
		return err
	}
	results, err := o.compute(ctx, s, m, feeds, fetches)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return writeResults(w, results, resultForm(o)) }
	if o.out == "" {
		return write(s.out)
	}
	return s.writeFile(o.out, []string{o.path}, write)
}

// wanted returns what --fetch and --outputs name, or the outputs that the graph seems to have.
func (o *runOptions) wanted(m *model) ([]candidate, error) {
	if wanted := slices.Concat(o.fetch, o.outputs); len(wanted) > 0 {
		return m.named("--fetch", wanted, m.outputs())
	}
	return m.fetches(&o.modelFlags)
}

// compute runs the graph.
func (o *runOptions) compute(ctx context.Context, s *streams, m *model, feeds []feed, fetches []candidate) ([]fetched, error) {
	set, err := o.set()
	if err != nil {
		return nil, err
	}
	if _, err := o.numThreads(); err != nil {
		return nil, err
	}
	opts := runtime.CompileOptions{Fetches: names(fetches), Kernels: set, MaxBytes: o.streamBytes(1)}
	values := map[string]*tensor.Tensor{}
	var fed []graphdef.Output
	for _, f := range feeds {
		opts.Feeds = append(opts.Feeds, f.name)
		values[f.name] = f.value
		fed = append(fed, f.out)
	}
	if missing := m.missingInputs(fetches, fed); len(missing) > 0 {
		return nil, fmt.Errorf("%s: %d inputs have no --feed; %s", m.path, len(missing), listCandidates(missing))
	}
	start := time.Now()
	plan, err := runtime.Compile(m.graph, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	compiled := time.Now()
	out, err := plan.NewSession().Run(ctx, values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path, err)
	}
	s.detail("compiled in %v, ran in %v on %v kernels", compiled.Sub(start).Round(time.Microsecond),
		time.Since(compiled).Round(time.Microsecond), set.Tier())
	var results []fetched
	for _, c := range fetches {
		t := out[c.Name]
		results = append(results, fetched{Name: c.Name, DType: t.DType().String(), Shape: t.Shape(), tensor: t})
	}
	return results, nil
}

// resultForm is the form of the results: txt, json, npy or npz.
func resultForm(o *runOptions) string {
	switch ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(o.out)), "."); {
	case bool(o.json):
		return "json"
	case o.out == "" || o.out == "-":
		return "txt"
	default:
		return ext
	}
}

// checkResultName refuses names whose extension says no form of results, before anything is computed.
func checkResultName(path string, results int) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".npy":
		if results != 1 {
			return fmt.Errorf("-o %s: a .npy file holds one array and there are %d results; write a .npz, or give one --fetch", path, results)
		}
	case ".npz", ".json", ".txt":
	default:
		if path != "" && path != "-" {
			return fmt.Errorf("-o %s: have the extension %q, want .npy, .npz, .json or .txt", path, ext)
		}
	}
	return nil
}

// writeResults writes results in one of the forms of resultForm.
func writeResults(w io.Writer, results []fetched, form string) error {
	switch form {
	case "npy":
		return npy.Write(w, results[0].tensor)
	case "npz":
		var arrays []npy.Array
		for _, r := range results {
			arrays = append(arrays, npy.Array{Name: r.Name, Tensor: r.tensor})
		}
		return npy.WriteArchive(w, arrays)
	case "json":
		return writeResultsJSON(w, results)
	}
	for _, r := range results {
		if _, err := fmt.Fprintf(w, "%s %v\n", r.Name, r.tensor); err != nil {
			return err
		}
	}
	return nil
}

// writeResultsJSON writes one tensor a line: indented, tensors would take a line for each element.
func writeResultsJSON(w io.Writer, results []fetched) error {
	if _, err := io.WriteString(w, "{\"fetches\": ["); err != nil {
		return err
	}
	for i, r := range results {
		r.Values = jsonValues(r.tensor)
		if r.Shape == nil {
			r.Shape = tensor.Shape{}
		}
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		comma := ",\n "
		if i == 0 {
			comma = "\n "
		}
		if _, err := fmt.Fprintf(w, "%s%s", comma, b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "\n]}\n")
	return err
}
