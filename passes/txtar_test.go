package passes

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tfq8/tfq8/calib"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/flow"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

var update = flag.Bool("update", false, "rewrite the wanted graphs of testdata/*/*.txtar")

// testCase is a file of testdata: what it says above its sections, the graph before and after, and the notes.
//
//	pass NAME…            the passes to run, in this order
//	outputs NAME…         the fetches; out, if not said
//	inputs NAME…          the feeds; all placeholders, if not said
//	target tfq8           the target of quantizing passes
//	threshold NAME LO HI  a calibrated range
//	sparse NAME           the class of that range
//	exclude REGEXP        products to leave alone
//	reduce-range          weights within ±64
//	float-embeddings      tables of lookups stay
//	quantizes [LOSS]      the answers change: their relative error is at most LOSS, or mostLoss
//
// In the graphs, marks of passes are left out: that each changed node has one is tested for all cases. (same) says that the
// graph does not change.
type testCase struct {
	path              string
	archive           *txtar.Archive
	passes            []*Pass
	outputs, inputs   []string
	target            Target
	thresholds        map[string]calib.Threshold
	exclude           *regexp.Regexp
	reduce, quantizes bool
	float             bool
	loss              float64
	in, want, notes   string
}

func allPasses() map[string]*Pass {
	all := map[string]*Pass{}
	for _, p := range slices.Concat(Cleanup, Quantization) {
		all[p.Name] = p
	}
	return all
}

func readCase(t *testing.T, path string) *testCase {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := &testCase{path: path, archive: a, thresholds: map[string]calib.Threshold{}}
	for _, f := range a.Files {
		switch f.Name {
		case "in":
			c.in = string(f.Data)
		case "want":
			c.want = string(f.Data)
		case "notes":
			c.notes = string(f.Data)
		default:
			t.Fatalf("section %q is not known", f.Name)
		}
	}
	for _, line := range strings.Split(string(a.Comment), "\n") {
		w := strings.Fields(line)
		if len(w) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		switch w[0] {
		case "pass":
			for _, name := range w[1:] {
				p := allPasses()[name]
				if p == nil {
					t.Fatalf("no pass %q", name)
				}
				c.passes = append(c.passes, p)
			}
		case "outputs":
			c.outputs = w[1:]
		case "inputs":
			c.inputs = w[1:]
		case "target":
			c.target = TFQ8
		case "threshold":
			lo, _ := strconv.ParseFloat(w[2], 32)
			hi, _ := strconv.ParseFloat(w[3], 32)
			th := c.thresholds[w[1]]
			th.Lo, th.Hi = float32(lo), float32(hi)
			c.thresholds[w[1]] = th
		case "sparse":
			th := c.thresholds[w[1]]
			th.Class = calib.Sparse
			c.thresholds[w[1]] = th
		case "exclude":
			c.exclude = regexp.MustCompile(w[1])
		case "reduce-range":
			c.reduce = true
		case "float-embeddings":
			c.float = true
		case "quantizes":
			c.quantizes, c.loss = true, mostLoss
			if len(w) > 1 {
				c.loss, _ = strconv.ParseFloat(w[1], 64)
			}
		default:
			t.Fatalf("line %q is not known", line)
		}
	}
	if c.outputs == nil {
		c.outputs = []string{"out"}
	}
	return c
}

// run runs the passes on g and returns what they noted.
func (c *testCase) run(t *testing.T, g *graphdef.Graph) (rewrites int, notes string) {
	t.Helper()
	env := &Env{account: newAccount(), Target: c.target, ReduceRange: c.reduce, FloatEmbeddings: c.float, Thresholds: c.thresholds}
	if c.exclude != nil {
		env.Excluded = c.exclude.MatchString
	}
	for _, name := range c.outputs {
		o, err := runtime.Resolve(g, name)
		if err != nil {
			t.Fatal(err)
		}
		env.Outputs = append(env.Outputs, o)
	}
	for _, name := range c.inputs {
		o, err := runtime.Resolve(g, name)
		if err != nil {
			t.Fatal(err)
		}
		env.Inputs = append(env.Inputs, o)
	}
	results, err := runAll(context.Background(), c.passes, g, env, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		rewrites += r.Rewrites
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env.account.fate)) {
		if f := env.account.fate[name]; f.quantized {
			fmt.Fprintf(&b, "%s: quantized\n", name)
		} else {
			fmt.Fprintf(&b, "%s: %s: %s\n", name, f.reason, f.detail)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env.account.merged)) {
		fmt.Fprintf(&b, "%s: merged into %s\n", name, env.account.merged[name])
	}
	return rewrites, b.String()
}

func parseGraph(t *testing.T, text string) *graphdef.Graph {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var markText = regexp.MustCompile(`_tfq8_pass="[^"]*"(, )?`)

// unmarked returns g as text without the marks of passes.
func unmarked(g *graphdef.Graph) string {
	g = g.Clone()
	drop := func(g *graphdef.Graph) {
		for _, n := range g.Nodes() {
			n.RemoveAttr("_tfq8_pass")
		}
	}
	drop(g)
	for _, f := range g.Functions() {
		drop(f.Body)
	}
	return graphdef.Format(g)
}

func TestCases(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		name, _ := strings.CutPrefix(strings.TrimSuffix(path, ".txtar"), "testdata/")
		t.Run(name, func(t *testing.T) { readCase(t, path).test(t) })
	}
}

func (c *testCase) test(t *testing.T) {
	before := parseGraph(t, c.in)
	g := before.Clone()
	rewrites, notes := c.run(t, g)
	have := unmarked(g)
	if have == unmarked(before) {
		have = "(same)\n"
	}
	if *update {
		c.rewrite(t, have, notes)
		return
	}
	if d := cmp.Diff(c.want, have); d != "" {
		t.Errorf("graph (-want +have):\n%s", d)
	}
	if d := cmp.Diff(c.notes, notes); d != "" {
		t.Errorf("notes (-want +have):\n%s", d)
	}
	if (rewrites == 0) != (have == "(same)\n") {
		t.Errorf("%d rewrites counted", rewrites)
	}
	c.testMarks(t, before, g)
	c.testFrames(t, g)
	c.testTwice(t, g)
	c.testShuffled(t, g)
	c.testAnswers(t, before, g)
}

// testMarks checks that what is new or changed carries the mark of a pass that ran.
func (c *testCase) testMarks(t *testing.T, before, after *graphdef.Graph) {
	t.Helper()
	check := func(before, after *graphdef.Graph) {
		for _, n := range after.Nodes() {
			if n.Op() == "_Arg" || n.Op() == "_Retval" {
				continue // part of the function's signature
			}
			old := before.Node(n.Name())
			if old != nil && markText.ReplaceAllString(graphdef.FormatNode(old), "") == markText.ReplaceAllString(graphdef.FormatNode(n), "") {
				continue
			}
			mark, _ := n.Str("_tfq8_pass")
			if !slices.ContainsFunc(c.passes, func(p *Pass) bool { return p.Name == mark }) {
				t.Errorf("%s: is new or changed, but not marked", graphdef.FormatNode(n))
			}
		}
	}
	check(before, after)
	for _, f := range after.Functions() {
		if old := before.Function(f.Name); old != nil {
			check(old.Body, f.Body)
		}
	}
}

// testFrames checks that TensorFlow finds all inputs of a node in one frame: no new constant hangs loose in a loop.
func (c *testCase) testFrames(t *testing.T, after *graphdef.Graph) {
	t.Helper()
	tree, err := flow.Analyze(after)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tree.Unanchored() {
		if _, err := n.Str("_tfq8_pass"); err == nil {
			t.Errorf("%s: is read in a loop, but lies in no frame", graphdef.FormatNode(n))
		}
	}
}

// testTwice checks that a second run changes nothing.
func (c *testCase) testTwice(t *testing.T, g *graphdef.Graph) {
	t.Helper()
	again := g.Clone()
	rewrites, _ := c.run(t, again)
	if d := cmp.Diff(graphdef.Format(g), graphdef.Format(again)); d != "" || rewrites > 0 {
		t.Errorf("a second run makes %d rewrites (-first +second):\n%s", rewrites, d)
	}
}

// testShuffled checks that the order of nodes in the file does not matter.
func (c *testCase) testShuffled(t *testing.T, want *graphdef.Graph) {
	t.Helper()
	lines := func(g *graphdef.Graph) []string {
		l := strings.Split(unmarked(g), "\n")
		slices.Sort(l)
		return l
	}
	for seed := range uint64(8) {
		g := parseGraph(t, shuffled(c.in, seed))
		c.run(t, g)
		if d := cmp.Diff(lines(want), lines(g)); d != "" {
			t.Errorf("with its nodes in another order (seed %d) the graph gives (-want +have):\n%s", seed, d)
			return
		}
	}
}

// shuffled returns the text of a graph with its lines, those of each function body too, in random order. Arguments and results
// keep theirs, which has a meaning.
func shuffled(text string, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var out, body []string
	flush := func() {
		r.Shuffle(len(body), func(i, j int) { body[i], body[j] = body[j], body[i] })
		out = append(out, body...)
		body = nil
	}
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "func"), strings.HasPrefix(line, "}"), strings.HasPrefix(line, "graph"):
			flush()
			out = append(out, line)
		case strings.Contains(line, "= _Arg"), strings.Contains(line, "= _Retval"):
			out = append(out, line)
		default:
			body = append(body, line)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// testAnswers runs both graphs on random feeds.
func (c *testCase) testAnswers(t *testing.T, before, after *graphdef.Graph) {
	t.Helper()
	for seed := range uint64(4) {
		want, errBefore := answers(before, c.inputs, c.outputs, seed)
		have, err := answers(after, c.inputs, c.outputs, seed)
		var missing *runtime.UnsupportedError
		if errors.As(errBefore, &missing) {
			t.Fatalf("%v", errBefore)
		}
		if (err == nil) != (errBefore == nil) {
			t.Fatalf("running gives %v, before the pass %v", err, errBefore)
		}
		for name, w := range want {
			h := have[name]
			if h.DType() != w.DType() || !h.Shape().Equal(w.Shape()) || !c.quantizes && !bytes.Equal(h.Bytes(), w.Bytes()) {
				t.Errorf("%s (seed %d) is %v, before the pass %v", name, seed, h, w)
			} else if e := relativeError(h, w); c.quantizes && !(e <= c.loss) {
				t.Errorf("%s (seed %d) is %v, before the pass %v: relative error %g", name, seed, h, w, e)
			}
		}
	}
}

// mostLoss bounds the relative error of answers that a quantizing pass changes: the codes of normal numbers over a range of
// four standard deviations are about 0.9 % off, and so are sums of products of them.
const mostLoss = 0.03

// relativeError returns |have - want| / |want| in the L2 norm, of float tensors of equal shapes.
func relativeError(have, want *tensor.Tensor) float64 {
	h, errH := widened(have)
	w, errW := widened(want)
	if errH != nil || errW != nil {
		return math.NaN()
	}
	var diff, sum float64
	for i, v := range tensor.Data[float32](w) {
		d := float64(tensor.Data[float32](h)[i] - v)
		diff += d * d
		sum += float64(v) * float64(v)
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / sum)
}

// answers runs g on feeds that the seed decides.
func answers(g *graphdef.Graph, inputs, outputs []string, seed uint64) (map[string]*tensor.Tensor, error) {
	plan, err := runtime.Compile(g, runtime.CompileOptions{Feeds: inputs, Fetches: outputs})
	if err != nil {
		return nil, err
	}
	feeds := map[string]*tensor.Tensor{}
	for _, name := range plan.Feeds() {
		o, err := runtime.Resolve(g, name)
		if err != nil {
			return nil, err
		}
		d, err := o.Node.OutputType(o.Index)
		if err != nil {
			return nil, err
		}
		shape := tensor.Shape{}
		if s, err := o.Node.Shape("shape"); err == nil {
			for _, dim := range s.Dims() {
				if dim < 0 {
					dim = 3
				}
				shape = append(shape, dim)
			}
		}
		feeds[name] = randomTensor(d, shape, rand.New(rand.NewPCG(seed, uint64(len(feeds)))))
	}
	return plan.NewSession().Run(context.Background(), feeds)
}

func randomTensor(d tensor.DType, shape tensor.Shape, r *rand.Rand) *tensor.Tensor {
	t := tensor.New(d, shape)
	for i := range t.Len() {
		switch d {
		case tensor.Float32:
			tensor.Data[float32](t)[i] = float32(r.NormFloat64())
		case tensor.Int32:
			tensor.Data[int32](t)[i] = int32(r.IntN(3))
		case tensor.Bool:
			tensor.Data[bool](t)[i] = r.IntN(2) == 1
		default:
			t.Bytes()[i] = byte(r.IntN(256))
		}
	}
	return t
}

// rewrite makes the case want what it has.
func (c *testCase) rewrite(t *testing.T, want, notes string) {
	t.Helper()
	a := &txtar.Archive{Comment: c.archive.Comment}
	a.Files = append(a.Files, txtar.File{Name: "in", Data: []byte(c.in)}, txtar.File{Name: "want", Data: []byte(want)})
	if notes != "" {
		a.Files = append(a.Files, txtar.File{Name: "notes", Data: []byte(notes)})
	}
	if err := os.WriteFile(c.path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}
