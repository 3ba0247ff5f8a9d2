package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// checkOptions are the flags of check.
type checkOptions struct {
	computeFlags
	formFlags
	json jsonFlag
}

func newCheckCmd(s *streams) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [MODEL] CASE.pb...",
		Short: "Compare with recorded answers",
		Long: `check runs recorded cases and compares what comes out with what must come out,
within the tolerance that each case states.

A CASE is a GraphDef with constants: expect/0, expect/1, … hold the answers
(attributes: _of, the tensor; _exact, or _rtol and _atol), feed/0, … the inputs of a
MODEL (_name). The first argument is the MODEL unless it holds an expect/ node. A
case that holds a graph of its own is run twice, with its inputs in/0, … as
constants and fed; one that holds expect/error must fail.

For each output the largest error is printed, and last how many passed.
Exit codes: 0 all passed, 1 an answer is off, 2 a case could not be run.`,
		Example: `  tfq8 check numbers.pb case_single.pb case_pair.pb case_mixed.pb
  tfq8 check numbers.pb case_single.pb --kernels portable --json`,
		Args:              positional(1, -1, "[MODEL] CASE.pb..."),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.context(cmd.Context(), s)
			defer cancel()
			return runCheck(ctx, s, args, &o)
		},
	}
	o.computeFlags.add(cmd)
	o.formFlags.add(cmd)
	o.json.add(cmd)
	return cmd
}

// checkResult is what check prints.
type checkResult struct {
	Passed int           `json:"passed"`
	Failed int           `json:"failed"` // those that could not be run included
	Cases  []checkedCase `json:"cases"`
}

type checkedCase struct {
	Case    string          `json:"case"`
	Passed  bool            `json:"passed"`
	Error   string          `json:"error,omitempty"` // why it could not be run, or did not fail
	Outputs []checkedOutput `json:"outputs"`
	broken  bool            // could not be run
}

type checkedOutput struct {
	Name   string     `json:"name"`
	Passed bool       `json:"passed"`
	Exact  bool       `json:"exact"`
	MaxAbs jsonNumber `json:"max_abs"`
	MaxRel jsonNumber `json:"max_rel"`
	// Used is the largest share of its tolerance that an element used: above 1 it is off.
	Used  jsonNumber `json:"tolerance_used"`
	Error string     `json:"error,omitempty"`
}

func runCheck(ctx context.Context, s *streams, args []string, o *checkOptions) error {
	c := &checker{maxBytes: o.streamBytes(1), plans: map[string]*runtime.Plan{}}
	var err error
	if c.opts.Kernels, err = o.set(); err != nil {
		return err
	}
	if _, err := o.numThreads(); err != nil {
		return err
	}
	if !isCase(args[0]) {
		if c.model, err = s.openModel(args[0], o.options()); err != nil {
			return err
		}
		if args = args[1:]; len(args) == 0 {
			return fmt.Errorf("check: %s is a model, want cases to check it with after it", c.model.path)
		}
	}
	wait := s.newProgress("checking")
	defer wait.end()
	r := checkResult{Cases: []checkedCase{}}
	broken := 0
	for i, path := range args {
		got := c.check(ctx, path)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case got.Passed:
			r.Passed++
		default:
			r.Failed++
		}
		if got.broken {
			broken++
		}
		r.Cases = append(r.Cases, got)
		wait.at(i+1, len(args))
	}
	wait.end()
	if o.json {
		if err := s.printJSON(r); err != nil {
			return err
		}
	} else {
		r.print(s)
	}
	switch {
	case broken > 0:
		return fmt.Errorf("check: %d of %d cases could not be run", broken, len(args))
	case r.Failed > 0:
		return errNegative
	}
	return nil
}

// isCase reports whether the file at path is a case rather than a model. What cannot be read as a case may be a model in
// another form; whoever opens it next says what is wrong with it.
func isCase(path string) bool {
	if strings.HasSuffix(path, ".error.pb") {
		return true
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return false
	}
	_, err := cases.Load(path)
	return err == nil
}

// checker runs cases.
type checker struct {
	model    *model // of model cases; nil where none is given
	opts     runtime.CompileOptions
	maxBytes int64
	plans    map[string]*runtime.Plan // of the model, by feeds and fetches
}

// check runs the case at path.
func (c *checker) check(ctx context.Context, path string) checkedCase {
	r := checkedCase{Case: path, Outputs: []checkedOutput{}}
	fail := func(err error) checkedCase {
		r.Error, r.broken = err.Error(), true
		return r
	}
	cs, err := cases.Load(path)
	switch {
	case err != nil:
		return fail(err)
	case cs.Refused != nil: // as it must be
		r.Passed = true
		return r
	case cs.Graph == nil && c.model == nil:
		return fail(errors.New("it holds no graph; name the model that it belongs to before it"))
	case cs.Fails != "":
		return c.checkFailure(ctx, cs, r)
	}
	modes := []bool{false}
	if cs.Graph != nil && len(cs.Constants) > 0 {
		modes = []bool{false, true}
	}
	worst := make([]checkedOutput, len(cs.Expect))
	for i, fed := range modes {
		got, err := c.run(ctx, cs, fed, cs.Expect)
		if err != nil {
			return fail(err)
		}
		for k, e := range cs.Expect {
			if out := compare(got[k], e); i == 0 || worst[k].Passed && (!out.Passed || out.Used > worst[k].Used) {
				worst[k] = out
			}
		}
	}
	r.Outputs, r.Passed = worst, true
	for _, out := range worst {
		r.Passed = r.Passed && out.Passed
	}
	return r
}

// compare says how far got is from what e expects.
func compare(got *tensor.Tensor, e cases.Expectation) checkedOutput {
	d, err := cases.Compare(got, e)
	out := checkedOutput{
		Name: e.Of, Passed: err == nil, Exact: e.Exact,
		MaxAbs: jsonNumber(d.MaxAbs), MaxRel: jsonNumber(d.MaxRel), Used: jsonNumber(d.Worst),
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// checkFailure runs a case that must fail, at whatever stage, for another reason than an op that is not there.
func (c *checker) checkFailure(ctx context.Context, cs *cases.Case, r checkedCase) checkedCase {
	for _, fed := range []bool{false, true} {
		_, err := c.run(ctx, cs, fed, []cases.Expectation{{Of: cs.Fails}})
		if err == nil {
			err = graphdef.Validate(cs.Graph)
		}
		var missing *runtime.UnsupportedError
		switch {
		case err == nil:
			r.Error = fmt.Sprintf("%q must fail and did not; TensorFlow says: %s", cs.Fails, cs.Message)
			return r
		case errors.As(err, &missing):
			r.Error, r.broken = err.Error(), true
			return r
		}
	}
	r.Passed = true
	return r
}

// run returns the tensors that want names. fed says whether the inputs of an op case are fed or left constant.
func (c *checker) run(ctx context.Context, cs *cases.Case, fed bool, want []cases.Expectation) ([]*tensor.Tensor, error) {
	opts, feeds := c.opts, map[string]*tensor.Tensor{}
	opts.MaxBytes = c.maxBytes
	add := func(f cases.Feed) {
		name := c.tensorOf(cs, f.Name, f.Tensor, false)
		if _, ok := feeds[name]; !ok {
			opts.Feeds = append(opts.Feeds, name)
		}
		feeds[name] = f.Value
	}
	for _, f := range cs.Feeds {
		add(f)
	}
	if fed {
		for _, f := range cs.Constants {
			add(f)
		}
	}
	for _, e := range want {
		opts.Fetches = append(opts.Fetches, c.tensorOf(cs, e.Of, e.Tensor, true))
	}
	plan, err := c.plan(cs, opts)
	if err != nil {
		return nil, err
	}
	got, err := plan.NewSession().Run(ctx, feeds)
	if err != nil {
		return nil, err
	}
	var list []*tensor.Tensor
	for _, name := range opts.Fetches {
		list = append(list, got[name])
	}
	return list, nil
}

// plan compiles the graph of a case, or the model, which is compiled once for equal feeds and fetches.
func (c *checker) plan(cs *cases.Case, opts runtime.CompileOptions) (*runtime.Plan, error) {
	if cs.Graph != nil {
		return runtime.Compile(cs.Graph, opts)
	}
	key := strings.Join(opts.Feeds, "\x00") + "\x01" + strings.Join(opts.Fetches, "\x00")
	if p := c.plans[key]; p != nil {
		return p, nil
	}
	p, err := runtime.Compile(c.model.graph, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.model.path, err)
	}
	c.plans[key] = p
	return p, nil
}

// tensorOf returns the name of a tensor in a graph: the one that is a key of the model's signatures, or that the case gives for
// graphs, or else the only one it gives.
func (c *checker) tensorOf(cs *cases.Case, name, inGraph string, output bool) string {
	if cs.Graph == nil && c.model != nil && c.model.opened != nil {
		if info, err := c.model.opened.Info(name, output); err == nil && info != nil {
			return info.Tensor
		}
	}
	if inGraph != "" {
		return inGraph
	}
	return name
}

// print writes r for people.
func (r *checkResult) print(s *streams) {
	for _, c := range r.Cases {
		state := "ok  "
		if !c.Passed {
			state = "FAIL"
		}
		fmt.Fprintf(s.out, "%s %s\n", state, c.Case)
		if c.Error != "" {
			fmt.Fprintf(s.out, "       %s\n", c.Error)
		}
		for _, out := range c.Outputs {
			switch {
			case !out.Passed:
				fmt.Fprintf(s.out, "       %s\n", out.Error)
			case out.Exact:
				fmt.Fprintf(s.out, "       %s: equal\n", out.Name)
			default:
				fmt.Fprintf(s.out, "       %s: largest error %.3g, %.3g relative, %.2g of the tolerance\n",
					out.Name, float64(out.MaxAbs), float64(out.MaxRel), float64(out.Used))
			}
		}
	}
	fmt.Fprintf(s.out, "%d passed, %d failed\n", r.Passed, r.Failed)
}
