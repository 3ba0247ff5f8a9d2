package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// madeUp returns a value for an input that nobody gave one: open dimensions are batch, then length.
func madeUp(c candidate, batch, length int) (*tensor.Tensor, error) {
	rank, known := c.Shape.Rank()
	if !known {
		return nil, fmt.Errorf("input %v has no known rank; give it a value with --feed", c)
	}
	shape := make(tensor.Shape, rank)
	for i := range shape {
		if shape[i] = c.Shape.Dim(i); shape[i] < 0 {
			if shape[i] = length; i == 0 {
				shape[i] = batch
			}
		}
	}
	if _, err := shape.CheckedElements(); err != nil {
		return nil, fmt.Errorf("input %v: %w", c, err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	t := tensor.New(c.DType, shape)
	switch c.DType {
	case tensor.Float32:
		for i := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] = 2*r.Float32() - 1
		}
	case tensor.Float64:
		for i := range tensor.Data[float64](t) {
			tensor.Data[float64](t)[i] = 2*r.Float64() - 1
		}
	case tensor.Int32:
		for i := range tensor.Data[int32](t) {
			tensor.Data[int32](t)[i] = 1
		}
	case tensor.Int64:
		for i := range tensor.Data[int64](t) {
			tensor.Data[int64](t)[i] = 1
		}
	case tensor.Bool:
		for i := range tensor.Data[bool](t) {
			tensor.Data[bool](t)[i] = true
		}
	default:
		return nil, fmt.Errorf("input %v: no values are made up for its dtype; give it one with --feed", c)
	}
	return t, nil
}

// print writes the result for people.
func (b *benchRun) print() {
	r, out := &b.result, b.s.out
	fmt.Fprintf(out, "%s, %s kernels, %d streams, %s\n", r.CPU, r.Kernels, r.Streams, batchName(r.Batch))
	if r.Peaks.Float > 0 {
		fmt.Fprintf(out, "peak of one core: FP32 %.1f GFLOP/s, INT8 %.1f GOP/s\n", r.Peaks.Float/1e9, r.Peaks.Int8/1e9)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "seconds\titems/s\tGOP needed\tGOP done\tfloor\tover floor\tallocs/run\tmodel\t")
	for _, m := range r.Models {
		fmt.Fprintf(w, "%.4f\t%.1f\t%.1f\t%.1f\t%.4f\t%.2f\t%.0f\t%s\t\n", m.Seconds, float64(m.Items)/m.Seconds,
			giga(m.Needed), giga(m.Done), m.Floor, m.OverFloor, m.Allocations, m.Model)
	}
	w.Flush()
	if len(r.Models) == 2 {
		fmt.Fprintf(out, "\n%s is %.2f times as fast as %s\n", r.Models[1].Model, r.Models[0].Seconds/r.Models[1].Seconds, r.Models[0].Model)
	}
	for _, m := range r.Models {
		b.printSteps(&m)
	}
	b.printSweeps()
}

// giga returns the operations of w in billions.
func giga(w runtime.Work) float64 { return 2 * float64(w.Float+w.Int8) / 1e9 }

// printSteps writes what the steps of one model took, on one stream.
func (b *benchRun) printSteps(m *benchModel) {
	total := m.Between
	for _, s := range m.Steps {
		total += s.Time.Seconds()
	}
	fmt.Fprintf(b.s.out, "\n%s, by step, one stream\n", m.Model)
	w := tabwriter.NewWriter(b.s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ms\tshare\tcalls\tns/call\tGOP/s\tof peak\tMB\tstep\t")
	for _, s := range m.Steps {
		t := s.Time.Seconds()
		rate, share := "", ""
		if s.Work != (runtime.Work{}) && t > 0 {
			rate = fmt.Sprintf("%.1f", giga(s.Work)/t)
			if floor := b.result.Peaks.Floor(s.Work, 1); floor > 0 {
				share = fmt.Sprintf("%.0f %%", 100*floor.Seconds()/t)
			}
		}
		fmt.Fprintf(w, "%.2f\t%.1f %%\t%d\t%.0f\t%s\t%s\t%.1f\t%s\t\n", 1e3*t, 100*t/total, s.Calls, 1e9*t/float64(s.Calls),
			rate, share, float64(s.Bytes)/1e6, s.Op)
	}
	fmt.Fprintf(w, "%.2f\t%.1f %%\t\t\t\t\t\tbetween steps\t\n", 1e3*m.Between, 100*m.Between/total)
	w.Flush()
}

// printSweeps writes a table for each sweep.
func (b *benchRun) printSweeps() {
	for _, what := range slices.Compact(slices.Clone(b.o.sweeps)) {
		fmt.Fprintln(b.s.out)
		w := tabwriter.NewWriter(b.s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "%s\t", what)
		for _, m := range b.models {
			fmt.Fprintf(w, "items/s %s\t", m.path)
		}
		fmt.Fprintln(w)
		for _, line := range b.result.Sweeps {
			if line.What != what {
				continue
			}
			fmt.Fprintf(w, "%d\t", line.Value)
			for _, t := range line.Seconds {
				fmt.Fprintf(w, "%.1f\t", float64(line.Items)/t)
			}
			fmt.Fprintln(w)
		}
		w.Flush()
	}
}
