package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tfq8/tfq8/internal/agree"
	"github.com/tfq8/tfq8/passes"
)

// convertResult is what convert prints as JSON.
type convertResult struct {
	MatMulsTotal      int              `json:"matmuls_total"`
	MatMulsQuantized  int              `json:"matmuls_quantized"`
	ProductsTotal     int              `json:"products_total"`
	ProductsQuantized int              `json:"products_quantized"`
	Merged            int              `json:"merged"`
	LeftFP32          []passes.Product `json:"left_fp32"`
	BytesBefore       int              `json:"bytes_before"`
	BytesAfter        int              `json:"bytes_after"`
	Passes            []convertPass    `json:"passes"`
	Verification      *verdict         `json:"verification"` // null where there were no feeds to compare on
}

type convertPass struct {
	Name        string  `json:"name"`
	Rewrites    int     `json:"rewrites"`
	NodesBefore int     `json:"nodes_before"`
	NodesAfter  int     `json:"nodes_after"`
	Millis      float64 `json:"milliseconds"`
}

// verdict is how far the converted graph agrees with the original.
type verdict struct {
	Feeds   int           `json:"feeds"`
	Outputs []outputError `json:"outputs"`
	// EqualTokens and the stop-token rates are shares, null where no output has tokens or where the end of a sentence is not known.
	Tokens         int         `json:"tokens"`
	EqualTokens    *jsonNumber `json:"equal_tokens"`
	StopRateBefore *jsonNumber `json:"stop_token_rate_before"`
	StopRate       *jsonNumber `json:"stop_token_rate"`
	// Collapse says why the converted graph is not the same model any more; empty if it is.
	Collapse string `json:"collapse,omitempty"`
	equal    int
}

// outputError is the relative error of one float output in the L2 norm.
type outputError struct {
	Name      string     `json:"name"`
	Error     jsonNumber `json:"relative_error"`
	NotFinite int        `json:"not_finite"`
	Skipped   int        `json:"feeds_of_other_shapes"`
}

func newVerdict(r *agree.Report) *verdict {
	v := &verdict{Feeds: r.Feeds, Outputs: []outputError{}, Tokens: r.Tokens, equal: r.Equal, Collapse: r.Collapse()}
	for _, f := range r.Floats {
		v.Outputs = append(v.Outputs, outputError{f.Name, jsonNumber(f.Error), f.NotFinite, f.Skipped})
	}
	if r.Tokens > 0 {
		equal := jsonNumber(r.EqualTokens())
		v.EqualTokens = &equal
	}
	if r.Rows > 0 {
		before, after := r.StopRates()
		a, b := jsonNumber(before), jsonNumber(after)
		v.StopRateBefore, v.StopRate = &a, &b
	}
	return v
}

func newConvertResult(res *passes.Result, v *verdict) *convertResult {
	r := &convertResult{
		LeftFP32: res.Report.LeftFloat(), BytesBefore: res.Report.BytesBefore, BytesAfter: res.Report.BytesAfter,
		Passes: []convertPass{}, Verification: v,
	}
	if r.LeftFP32 == nil {
		r.LeftFP32 = []passes.Product{}
	}
	r.MatMulsQuantized, r.MatMulsTotal = res.Report.Quantized("MatMul")
	r.ProductsQuantized, r.ProductsTotal = res.Report.Quantized("")
	for _, p := range res.Report.Products {
		if p.MergedInto != "" {
			r.Merged++
		}
	}
	for _, p := range res.Report.Passes {
		r.Passes = append(r.Passes, convertPass{p.Name, p.Rewrites, p.NodesBefore, p.NodesAfter, p.Millis})
	}
	return r
}

// print writes the account of a conversion for people.
func (r *convertResult) print(c *conversion, res *passes.Result) {
	w := c.s.out
	if n := res.Report.CalibrationFeeds; n > 0 {
		fmt.Fprintf(w, "calibrated on %s in %v, rule %v\n\n", count(n, "feed"), res.Report.CalibrationTime.Round(time.Millisecond), c.opts.Rule)
	}
	const row = "%-21s  %8s  %6s  %6s  %9s  %9s  %7s\n"
	fmt.Fprintf(w, row, "pass", "rewrites", "nodes", "after", "size", "after", "ms")
	for _, p := range res.Report.Passes {
		fmt.Fprintf(w, row, p.Name, strconv.Itoa(p.Rewrites), strconv.Itoa(p.NodesBefore), strconv.Itoa(p.NodesAfter),
			formatBytes(int64(p.BytesBefore)), formatBytes(int64(p.BytesAfter)), fmt.Sprintf("%.1f", p.Millis))
	}
	fmt.Fprintln(w)
	r.printProducts(c, res)
	fmt.Fprintf(w, "\n%d of %d products in INT8, %d of %d MatMul", r.ProductsQuantized, r.ProductsTotal, r.MatMulsQuantized, r.MatMulsTotal)
	if r.Merged > 0 {
		fmt.Fprintf(w, "; %d were merged with an equal one", r.Merged)
	}
	fmt.Fprintln(w)
	for _, line := range reasons(r.LeftFP32) {
		fmt.Fprintf(w, "  FP32: %s\n", line)
	}
	fmt.Fprintf(w, "%s: %s, %.1f %% of %s\n", c.out, formatBytes(int64(r.BytesAfter)),
		100*float64(r.BytesAfter)/float64(max(r.BytesBefore, 1)), formatBytes(int64(r.BytesBefore)))
	if r.Verification != nil {
		r.Verification.print(c.s)
	}
}

// printProducts writes one line for each product of the input graph.
func (r *convertResult) printProducts(c *conversion, res *passes.Result) {
	t := tabwriter.NewWriter(c.s.out, 0, 0, 2, ' ', 0)
	for _, p := range res.Report.Products {
		state, note := "INT8", ""
		if !p.Quantized {
			state, note = "FP32", fmt.Sprintf("%s: %s", p.Reason, p.Detail)
		}
		if p.MergedInto != "" {
			note = strings.TrimSuffix(fmt.Sprintf("merged with %s; %s", p.MergedInto, note), "; ")
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join([]string{state, p.Node, p.Op, note}, "\t"), "\t"))
	}
	t.Flush()
}

// reasons counts the products by the reason why they stay in FP32, the most frequent first.
func reasons(left []passes.Product) []string {
	counts := map[passes.Reason]int{}
	var order []passes.Reason
	for _, p := range left {
		if counts[p.Reason]++; counts[p.Reason] == 1 {
			order = append(order, p.Reason)
		}
	}
	slices.SortStableFunc(order, func(a, b passes.Reason) int { return counts[b] - counts[a] })
	var lines []string
	for _, reason := range order {
		lines = append(lines, fmt.Sprintf("%d %s", counts[reason], reason))
	}
	return lines
}

// print writes the comparison for people.
func (v *verdict) print(s *streams) {
	fmt.Fprintf(s.out, "\ncompared with the original on %s, after loading it again\n", count(v.Feeds, "feed"))
	for _, f := range v.Outputs {
		fmt.Fprintf(s.out, "  %s: relative error %.3g %%", f.Name, 100*float64(f.Error))
		if f.NotFinite > 0 {
			fmt.Fprintf(s.out, ", %d values NaN or infinite", f.NotFinite)
		}
		if f.Skipped > 0 {
			fmt.Fprintf(s.out, ", %d feeds left out: their shapes differ", f.Skipped)
		}
		fmt.Fprintln(s.out)
	}
	if v.EqualTokens != nil {
		fmt.Fprintf(s.out, "  tokens: %.2f %% equal (%d of %d)\n", 100*float64(*v.EqualTokens), v.equal, v.Tokens)
	}
	if v.StopRate != nil {
		fmt.Fprintf(s.out, "  stop-token rate: %.4f, was %.4f\n", float64(*v.StopRate), float64(*v.StopRateBefore))
	}
}
