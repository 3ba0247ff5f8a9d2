package passes

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// The embedded model and a recorded case of it.
const (
	numbersPath = "../testdata/numbers/numbers.pb"
	numbersCase = "../testdata/numbers/case_pair.pb"
)

// numbers returns the embedded model, feeds for it and the names of what it computes.
func numbers(t *testing.T) (g *graphdef.Graph, feeds Feeds, inputs, outputs []string) {
	t.Helper()
	g, err := graphdef.Load(numbersPath)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cases.Load(numbersCase)
	if err != nil {
		t.Fatal(err)
	}
	feeds = Feeds{}
	for _, f := range c.Feeds {
		feeds[f.Name] = f.Value
	}
	for _, e := range c.Expect {
		outputs = append(outputs, e.Of)
	}
	return g, feeds, slices.Sorted(maps.Keys(feeds)), outputs
}

func runGraph(t *testing.T, g *graphdef.Graph, feeds Feeds, inputs, outputs []string) map[string]*tensor.Tensor {
	t.Helper()
	plan, err := runtime.Compile(g, runtime.CompileOptions{Feeds: inputs, Fetches: outputs})
	if err != nil {
		t.Fatal(err)
	}
	out, err := plan.NewSession().Run(context.Background(), feeds)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCleanupInAnyOrder runs subsets of the clean-up passes in random orders: whatever runs, the answers stay the same to the
// bit, and the graph valid.
func TestCleanupInAnyOrder(t *testing.T) {
	g, feeds, inputs, outputs := numbers(t)
	want := runGraph(t, g, feeds, inputs, outputs)
	r := rand.New(rand.NewPCG(1, 1))
	for range 6 {
		list := slices.Clone(Cleanup)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:1+r.IntN(len(list))]
		c := g.Clone()
		if _, err := runAll(context.Background(), list, c, envFor(t, c, outputs...), true, nil); err != nil {
			t.Fatal(err)
		}
		for name, h := range runGraph(t, c, feeds, inputs, outputs) {
			if !bytes.Equal(h.Bytes(), want[name].Bytes()) {
				t.Errorf("%s differs after %v", name, passNames(list))
			}
		}
	}
}

func passNames(list []*Pass) (names []string) {
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// TestQuantizedAnswersDoNotDependOnCleanup quantizes with and without each of the passes that only tidy up after quantizing:
// the answers are the same to the bit.
func TestQuantizedAnswersDoNotDependOnCleanup(t *testing.T) {
	g, feeds, inputs, outputs := numbers(t)
	res, err := Convert(context.Background(), g, Options{
		Inputs: inputs, Outputs: outputs, Calibrate: []Feeds{feeds}, Target: TFQ8, Verify: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := runGraph(t, res.Graph, feeds, inputs, outputs)
	for _, without := range []*Pass{&QuantizeCache, &DropPairs, &ShareConstants, &StripLeftovers} {
		c := g.Clone()
		env := envFor(t, c, outputs...)
		env.Target, env.Thresholds = TFQ8, res.Thresholds.Tensors
		list := slices.DeleteFunc(slices.Concat(Cleanup, Quantization), func(p *Pass) bool { return p == without })
		if _, err := runAll(context.Background(), list, c, env, true, nil); err != nil {
			t.Fatal(err)
		}
		for name, h := range runGraph(t, c, feeds, inputs, outputs) {
			if !bytes.Equal(h.Bytes(), want[name].Bytes()) {
				t.Errorf("%s differs without %s", name, without.Name)
			}
		}
	}
}

// TestCalibrateInAnyOrder calibrates with feeds in two orders and numbers of threads: the statistics are equal.
func TestCalibrateInAnyOrder(t *testing.T) {
	g, feeds, inputs, outputs := numbers(t)
	short := Feeds{}
	for name, v := range feeds {
		one := v.Shape().Clone()
		one[0] = 1
		first, err := tensor.FromBytes(v.DType(), one, v.Bytes()[:one.Elements()*v.DType().Size()])
		if err != nil {
			t.Fatal(err)
		}
		short[name] = first
	}
	var collected []*calib.Collector
	for i, order := range [][]Feeds{{feeds, short, feeds}, {short, feeds, feeds}} {
		c, err := Calibrate(context.Background(), g, Calibration{Inputs: inputs, Outputs: outputs, Feeds: order, Threads: 1 + 2*i})
		if err != nil {
			t.Fatal(err)
		}
		collected = append(collected, c)
	}
	if len(collected[0].Names()) == 0 || !collected[0].Equal(collected[1]) {
		t.Errorf("statistics of %d and %d tensors differ", len(collected[0].Names()), len(collected[1].Names()))
	}
}

// TestConvertRefuses checks what Convert says of options that it cannot use.
func TestConvertRefuses(t *testing.T) {
	g, feeds, inputs, outputs := numbers(t)
	whole := Options{Inputs: inputs, Outputs: outputs, Calibrate: []Feeds{feeds}}
	change := func(f func(*Options)) Options {
		o := whole
		f(&o)
		return o
	}
	for _, c := range []struct {
		want string
		opts Options
	}{
		{"no outputs given", change(func(o *Options) { o.Outputs = nil })},
		{"nothing to calibrate with", change(func(o *Options) { o.Calibrate = nil })},
		{`no node "absent"`, change(func(o *Options) { o.Outputs = []string{"absent"} })},
		{"matches none of", change(func(o *Options) { o.Exclude = []*regexp.Regexp{regexp.MustCompile("absent")} })},
		{"calibration feed 1", change(func(o *Options) { o.Calibrate = []Feeds{{}} })},
	} {
		_, err := Convert(context.Background(), g, c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
	stale := change(func(o *Options) { o.Calibrate, o.Thresholds = nil, &calib.Thresholds{} })
	if _, err := Convert(context.Background(), g, stale); !errors.As(err, new(*calib.StaleError)) {
		t.Errorf("thresholds of another graph give %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Convert(ctx, g, whole); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling, the error is %v", err)
	}
}
