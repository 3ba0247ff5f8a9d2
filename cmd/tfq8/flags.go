package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/kernels"
)

// computeFlags are the flags of verbs that run graphs.
type computeFlags struct {
	threads  int
	tier     string
	maxBytes byteSize
	timeout  time.Duration
}

// add declares the flags on cmd.
func (f *computeFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads to compute on (default: all cores)")
	tiers := []string{"auto"}
	for t := kernels.Portable; t <= kernels.AVX512VNNI; t++ {
		tiers = append(tiers, t.String())
	}
	cmd.Flags().StringVar(&f.tier, "kernels", "auto", "`tier` of kernels to compute with: "+strings.Join(tiers, ", "))
	f.maxBytes = unset
	cmd.Flags().Var(&f.maxBytes, "max-bytes", "most memory of the tensors of one stream, such as 2GiB, 0 for no bound (default: three quarters of all memory, shared by the streams)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "stop after this time, such as 30s (default: never)")
	complete(cmd, "kernels", tiers...)
}

// set returns the kernels that were asked for.
func (f *computeFlags) set() (*kernels.Set, error) {
	t, err := kernels.ParseTier(f.tier)
	if err != nil {
		return nil, fmt.Errorf("--kernels: %w", err)
	}
	return kernels.For(t), nil
}

// numThreads returns the threads to use and makes them the limit of the whole process.
func (f *computeFlags) numThreads() (int, error) {
	if f.threads < 0 {
		return 0, fmt.Errorf("--threads: have %d, want 1 or more (0: all cores)", f.threads)
	}
	if f.threads > 0 {
		goruntime.GOMAXPROCS(f.threads)
	}
	return goruntime.GOMAXPROCS(0), nil
}

// context returns ctx bounded by --timeout, after which the program ends even if the verb does not.
func (f *computeFlags) context(ctx context.Context, s *streams) (context.Context, context.CancelFunc) {
	if f.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("not done after --timeout %v", f.timeout))
	forget := s.endAfter(ctx)
	return ctx, func() {
		forget()
		cancel()
	}
}

// formFlags choose a part of a model that has several: a SavedModel.
type formFlags struct {
	signature string
	tags      []string
}

// add declares the flags on cmd.
func (f *formFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.signature, "signature", "", "`name` of the signature of a SavedModel (default: serving_default, else all)")
	cmd.Flags().StringSliceVar(&f.tags, "tags", nil, "`tags` of the graph in a SavedModel, separated by commas (default: the only ones, or serve)")
}

// options returns what of a model is opened for the given outputs.
func (f *formFlags) options(outputs ...string) savedmodel.Options {
	return savedmodel.Options{Tags: f.tags, Signature: f.signature, Outputs: outputs}
}

// modelFlags name the tensors of a model that count as its inputs and outputs.
type modelFlags struct {
	formFlags
	inputs, outputs []string
}

// options returns what of a model is opened for the flags.
func (f *modelFlags) options() savedmodel.Options {
	o := f.formFlags.options(f.outputs...)
	o.Inputs = f.inputs
	return o
}

// add declares the flags on cmd.
func (f *modelFlags) add(cmd *cobra.Command) {
	f.formFlags.add(cmd)
	cmd.Flags().StringArrayVar(&f.inputs, "inputs", nil, "`name` of a node or tensor that is fed (repeat for more; default: the placeholders)")
	cmd.Flags().StringArrayVar(&f.outputs, "outputs", nil, "`name` of a node or tensor that is wanted (repeat for more; default: found in the graph)")
	cmd.RegisterFlagCompletionFunc("inputs", completeNodes(true))
	cmd.RegisterFlagCompletionFunc("outputs", completeNodes(false))
}

// jsonFlag is the flag --json.
type jsonFlag bool

// add declares the flag on cmd.
func (f *jsonFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar((*bool)(f), "json", false, "print the result as JSON")
}

// printJSON writes v to the results, indented, with a line end.
func (s *streams) printJSON(v any) error { return writeJSON(s.out, v) }

// writeJSON writes v to w, indented, with a line end.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// complete makes the shell offer values for a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// completeFiles makes the shell offer files with one of the extensions (without dot) for a flag.
func completeFiles(cmd *cobra.Command, flag string, extensions ...string) {
	cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	})
}

// completeModels offers graph files for the positional arguments.
func completeModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"pb", "pbtxt", "txt"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeNodes offers the inputs or outputs of the model on the command line.
func completeNodes(inputs bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, have []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(have) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		m, err := openModel(have[0], savedmodel.Options{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := m.outputs()
		if inputs {
			list = m.inputs()
		}
		var names []string
		for _, c := range list {
			if strings.HasPrefix(c.Name, prefix) {
				names = append(names, c.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// byteSize is a flag of bytes: a number with an optional unit, such as 500MB or 2GiB.
type byteSize int64

// unset is the byteSize of a flag that was not given.
const unset byteSize = -1

// String formats the size as plain bytes; empty for none.
func (b *byteSize) String() string {
	if *b <= 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type names the kind of value in help texts.
func (b *byteSize) Type() string { return "bytes" }

// Set parses a size.
func (b *byteSize) Set(text string) error {
	units := []struct {
		suffix string
		bytes  float64
	}{
		{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
		{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
		{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1},
	}
	number, unit := strings.ToLower(strings.TrimSpace(text)), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0 && v*unit < 1<<62) {
		return fmt.Errorf("have %q, want bytes such as 500MB or 2GiB", text)
	}
	*b = byteSize(v * unit)
	return nil
}

// formatBytes formats a number of bytes for people.
func formatBytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// count formats a number of things: 1 feed, 2 feeds.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
