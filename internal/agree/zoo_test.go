package agree

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/passes"
	"github.com/tfq8/tfq8/tensor"
)

var update = flag.Bool("update", false, "write testdata/zoo/zoo.tsv of the project anew")

const (
	zooPath  = "../../../shared/fixtures/zoo"
	zooTable = "../../testdata/zoo/zoo.tsv"
	// zooSeed decides the calibration feeds, zooFeeds is their number.
	zooSeed  = 1
	zooFeeds = 8
)

// TestZoo converts each form of each model of the zoo for both targets, calibrated with random feeds, runs the result, and
// compares the share of products in INT8 with testdata/zoo/zoo.tsv, which -update writes.
func TestZoo(t *testing.T) {
	if _, err := os.Stat(zooPath); err != nil {
		t.Skipf("no %s", zooPath)
	}
	dirs, err := filepath.Glob(zooPath + "/*/model.json")
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]string{}
	if b, err := os.ReadFile(zooTable); err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			recorded[strings.Join(f[:min(3, len(f))], "\t")] = strings.Join(f[min(3, len(f)):min(5, len(f))], "\t")
		}
	}
	var lines []string
	for _, path := range dirs {
		dir := filepath.Dir(path)
		name := filepath.Base(dir)
		for _, form := range zooForms(t, path) {
			t.Run(name+"/"+form, func(t *testing.T) {
				z := openZoo(t, dir, form)
				for _, target := range []passes.Target{passes.TensorFlow, passes.TFQ8} {
					key := strings.Join([]string{name, form, target.String()}, "\t")
					counts, rest := z.convert(t, target)
					lines = append(lines, key+"\t"+counts+"\t"+rest)
					if !*update && recorded[key] != counts {
						t.Errorf("%s: products in INT8 of all are %q, testdata/zoo/zoo.tsv has %q", key, counts, recorded[key])
					}
				}
			})
		}
	}
	if *update {
		text := "model\tform\ttarget\tint8\tproducts\terror\tequal tokens\tbytes\treasons\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(zooTable, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// zooForms returns the files or directories that model.json lists.
func zooForms(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Forms []struct{ File, Status string }
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	var forms []string
	for _, f := range m.Forms {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), f.File)); err == nil {
			forms = append(forms, f.File)
		}
	}
	return forms
}

// zoo is one form of a model with its recorded cases.
type zoo struct {
	graph           *graphdef.Graph
	inputs, outputs []string
	feeds           []passes.Feeds // recorded
}

// openZoo opens a form; the cases say what is fed and fetched.
func openZoo(t *testing.T, dir, form string) *zoo {
	t.Helper()
	z := &zoo{}
	paths, _ := filepath.Glob(dir + "/case_*.pb")
	var model *savedmodel.Model
	for _, path := range paths {
		c, err := cases.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if model == nil {
			opts := savedmodel.Options{Signature: c.Expect[0].Signature}
			if !strings.HasPrefix(form, "saved_model") {
				opts = savedmodel.Options{}
			}
			if model, err = savedmodel.Open(filepath.Join(dir, form), opts); err != nil {
				t.Fatal(err)
			}
			z.graph = model.Graph
		}
		name := func(key, tensor string, output bool) string {
			if len(model.Signatures) > 0 {
				tensor = key
			}
			o, err := model.Resolve(tensor, output)
			if err != nil {
				t.Fatal(err)
			}
			return o.String()
		}
		feeds := passes.Feeds{}
		for _, f := range c.Feeds {
			feeds[name(f.Name, f.Tensor, false)] = f.Value
		}
		var outputs []string
		for _, e := range c.Expect {
			if o := name(e.Of, e.Tensor, true); !slices.Contains(outputs, o) {
				outputs = append(outputs, o)
			}
		}
		if z.outputs == nil {
			z.outputs = outputs
			for n := range feeds {
				z.inputs = append(z.inputs, n)
			}
			slices.Sort(z.inputs)
		}
		if len(feeds) == len(z.inputs) && slices.Equal(outputs, z.outputs) {
			z.feeds = append(z.feeds, feeds)
		}
	}
	return z
}

// random returns feeds of the shapes of recorded ones, with elements between the least and the largest recorded.
func (z *zoo) random() []passes.Feeds {
	r := rand.New(rand.NewPCG(zooSeed, 0))
	var list []passes.Feeds
	for i := range zooFeeds {
		feeds := passes.Feeds{}
		for _, name := range z.inputs {
			feeds[name] = randomLike(z.feeds[i%len(z.feeds)][name], r)
		}
		list = append(list, feeds)
	}
	return list
}

func randomLike(t *tensor.Tensor, r *rand.Rand) *tensor.Tensor {
	out := t.Clone()
	switch t.DType() {
	case tensor.Int32:
		randomInts(tensor.Data[int32](out), r)
	case tensor.Int64:
		randomInts(tensor.Data[int64](out), r)
	case tensor.Float32:
		v := tensor.Data[float32](out)
		for i := range v {
			v[i] *= float32(1 + 0.1*r.NormFloat64())
		}
	case tensor.String:
		// Any of the recorded words in any place; "" stands for padding and stays.
		v := out.Strings()
		for i, s := range v {
			if w := t.Strings()[r.IntN(len(v))]; s != "" && w != "" {
				v[i] = w
			}
		}
	}
	return out
}

func randomInts[T int32 | int64](v []T, r *rand.Rand) {
	if len(v) < 2 {
		return // a length or a switch: any other value may mean something else
	}
	least, largest := slices.Min(v), slices.Max(v)
	padded := slices.Contains(v, 0)
	for i := range v {
		// Padding and masks stay where they are.
		if v[i] != 0 || !padded {
			v[i] = max(least, 1) + T(r.Int64N(int64(largest-max(least, 1))+1))
		}
	}
}

// convert converts z and compares both graphs on the recorded feeds; counts and rest are columns of the table.
func (z *zoo) convert(t *testing.T, target passes.Target) (counts, rest string) {
	t.Helper()
	ctx := context.Background()
	res, err := passes.Convert(ctx, z.graph, passes.Options{
		Inputs: z.inputs, Outputs: z.outputs, Calibrate: z.random(), Target: target, Verify: true,
	})
	if err != nil {
		t.Fatalf("%v: %v", target, err)
	}
	b, err := graphdef.Marshal(res.Graph)
	if err != nil {
		t.Fatal(err)
	}
	again, err := graphdef.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compare(ctx, z.graph, again, z.feeds, Options{Inputs: z.inputs, Outputs: z.outputs, EOS: -1})
	if err != nil {
		t.Fatalf("%v: %v", target, err)
	}
	worst := 0.0
	for _, f := range r.Floats {
		worst = max(worst, f.Error)
	}
	equal := "-"
	if r.Tokens > 0 {
		equal = fmt.Sprintf("%.3f", r.EqualTokens())
	}
	reasons := map[passes.Reason]int{}
	for _, p := range res.Report.LeftFloat() {
		reasons[p.Reason]++
		t.Logf("%v: %s (%s) stays in FP32: %s: %s", target, p.Node, p.Op, p.Reason, p.Detail)
	}
	q, total := res.Report.Quantized("")
	return fmt.Sprintf("%d\t%d", q, total), fmt.Sprintf("%.4f\t%s\t%.2f\t%v", worst, equal,
		float64(res.Report.BytesAfter)/float64(res.Report.BytesBefore), strings.TrimPrefix(fmt.Sprint(reasons), "map"))
}
