package runtime_test

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// FuzzCompileRun changes a recorded case in a few places, by a seed, and runs it: there is an answer or an error, soon, in bounded
// memory and never a panic. Without -fuzz it tries a few seeds on each case.
func FuzzCompileRun(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(recorded, "*", "*.pb"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases in %s: %v", recorded, err)
	}
	for i := range files {
		for seed := range uint64(6) {
			f.Add(uint16(i), seed)
		}
	}
	loaded := make([]*cases.Case, len(files))
	f.Fuzz(func(t *testing.T, file uint16, seed uint64) {
		i := int(file) % len(files)
		if loaded[i] == nil {
			if loaded[i], err = cases.Load(files[i]); err != nil {
				t.Fatal(err)
			}
		}
		runMutated(t, loaded[i], rand.New(rand.NewPCG(seed, uint64(file))))
	})
}

// runMutated runs one variant of c after some changes.
func runMutated(t *testing.T, c *cases.Case, r *rand.Rand) {
	g := c.Graph.Clone()
	of := c.Expect[r.IntN(len(c.Expect))].Of
	variant, _, _ := strings.Cut(of, "/")
	opts := runtime.CompileOptions{MaxBytes: 1 << 26, NoFusion: r.IntN(2) == 0}
	var nodes []*graphdef.Node
	reached := map[*graphdef.Node]bool{}
	var reach func(n *graphdef.Node)
	reach = func(n *graphdef.Node) {
		if reached[n] {
			return
		}
		reached[n] = true
		nodes = append(nodes, n)
		for _, in := range n.Inputs() {
			reach(in.Node)
		}
		for _, c := range n.Controls() {
			reach(c)
		}
	}
	for _, e := range c.Expect {
		if name, _, _ := strings.Cut(e.Of, ":"); strings.HasPrefix(e.Of, variant+"/") {
			opts.Fetches = append(opts.Fetches, e.Of)
			reach(g.Node(name))
		}
	}
	for range 1 + r.IntN(3) {
		mutate(nodes[r.IntN(len(nodes))], nodes, r)
	}
	feeds := map[string]*tensor.Tensor{}
	for _, f := range c.Feeds {
		if strings.HasPrefix(f.Name, variant+"/") {
			feeds[f.Name] = f.Value
		}
	}
	if r.IntN(2) == 0 {
		for _, n := range nodes {
			if v, err := n.Tensor("value"); err == nil && strings.HasPrefix(n.Name(), "in/") {
				feeds[n.Name()+":0"] = v
			}
		}
	}
	for name := range feeds {
		opts.Feeds = append(opts.Feeds, name)
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s %s, panic in\n%s", c.Name, opts.Fetches, graphdef.Format(only(g, reached)))
			panic(p)
		}
	}()
	p, err := runtime.Compile(g, opts)
	if err != nil {
		return
	}
	const patience = 10 * time.Second // on a busy machine; what runs on for ever is a fault
	ctx, cancel := context.WithTimeout(context.Background(), patience/10)
	defer cancel()
	start := time.Now()
	_, _ = p.NewSession().Run(ctx, feeds)
	if d := time.Since(start); d > patience {
		t.Errorf("%s %s ran for %v\n%s", c.Name, opts.Fetches, d, graphdef.Format(only(g, reached)))
	}
}

// only removes all other nodes of g, for a message.
func only(g *graphdef.Graph, keep map[*graphdef.Node]bool) *graphdef.Graph {
	g.RemoveAll(func(n *graphdef.Node) bool { return !keep[n] })
	return g
}

// extremes are numbers that code forgets.
var extremes = []int64{-1, 0, 1, 2, -2, 7, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, 1 << 33, -1 << 40}

// mutate changes one thing about n: its value where it is a constant, else an attribute or an input.
func mutate(n *graphdef.Node, nodes []*graphdef.Node, r *rand.Rand) {
	if v, err := n.Tensor("value"); err == nil {
		v = mutateTensor(v, r)
		n.SetAttr("value", graphdef.TensorAttr(v))
		n.SetAttr("dtype", graphdef.TypeAttr(v.DType()))
		return
	}
	attrs, inputs := n.Attrs(), n.NumInputs()
	switch k := r.IntN(6); {
	case k < 3 && len(attrs) > 0:
		a := attrs[r.IntN(len(attrs))]
		n.SetAttr(a.Name, mutateAttr(a.Attr, r))
	case k == 3 && inputs > 0:
		n.SetInput(r.IntN(inputs), nodes[r.IntN(len(nodes))].Out(0))
	case k == 4 && inputs > 0:
		n.SetInputs(n.Inputs()[:inputs-1]...)
	case k == 5:
		n.AddInput(nodes[r.IntN(len(nodes))].Out(0))
	}
}

func mutateAttr(a graphdef.Attr, r *rand.Rand) graphdef.Attr {
	x := extremes[r.IntN(len(extremes))]
	if _, ok := a.AsInt(); ok {
		return graphdef.IntAttr(x)
	}
	if v, ok := a.AsBool(); ok {
		return graphdef.BoolAttr(!v)
	}
	if _, ok := a.AsFloat(); ok {
		return graphdef.FloatAttr([]float32{0, -1, 1e30, float32(math.NaN()), float32(math.Inf(1))}[r.IntN(5)])
	}
	if _, ok := a.AsString(); ok {
		return graphdef.StringAttr([]string{"", "SAME", "(", "NCHW", "SCALED", "a,b->"}[r.IntN(6)])
	}
	if _, ok := a.AsType(); ok {
		return graphdef.TypeAttr(dtypes[r.IntN(len(dtypes))])
	}
	if v, ok := a.AsInts(); ok {
		v = append([]int64(nil), v...)
		if len(v) > 0 && r.IntN(2) == 0 {
			v[r.IntN(len(v))] = x
			return graphdef.IntsAttr(v...)
		}
		return graphdef.IntsAttr(append(v, x)[r.IntN(2):]...)
	}
	if _, ok := a.AsShape(); ok {
		return graphdef.ShapeAttr(tensor.Partial(r.IntN(4)-1, 2))
	}
	return a
}

var dtypes = []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int32, tensor.Uint8, tensor.Int16, tensor.Int8, tensor.String, tensor.Complex64,
	tensor.Int64, tensor.Bool, tensor.Qint8, tensor.Quint8, tensor.Qint32, tensor.Bfloat16, tensor.Float16, tensor.Uint64}

// mutateTensor returns v with another value, shape or dtype.
func mutateTensor(v *tensor.Tensor, r *rand.Rand) *tensor.Tensor {
	shape, d := v.Shape().Clone(), v.DType()
	switch r.IntN(6) {
	case 0:
		d = dtypes[r.IntN(len(dtypes))]
	case 1:
		if len(shape) > 0 {
			shape[r.IntN(len(shape))] = r.IntN(4)
		}
	case 2:
		shape = append(shape, 1+r.IntN(2))
	case 3:
		if len(shape) > 0 {
			shape = shape[1:]
		}
	}
	out := tensor.New(d, shape)
	copy(out.Strings(), v.Strings())
	copy(out.Bytes(), v.Bytes())
	if d == tensor.Bool {
		for i, b := range out.Bytes() {
			out.Bytes()[i] = b & 1
		}
	}
	if out.Len() > 0 && r.IntN(2) == 0 {
		i, x := r.IntN(out.Len()), extremes[r.IntN(len(extremes))]
		switch d {
		case tensor.Int32:
			tensor.Data[int32](out)[i] = int32(x)
		case tensor.Int64:
			tensor.Data[int64](out)[i] = x
		case tensor.Float32:
			tensor.Data[float32](out)[i] = []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e38, 0, -1}[r.IntN(5)]
		case tensor.String:
			out.Strings()[i] = []string{"", "\xff\xf0", "%s", "\x00"}[r.IntN(4)]
		}
	}
	return out
}
