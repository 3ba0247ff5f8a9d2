package savedmodel_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/internal/cases"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

const zoo = "../../../shared/fixtures/zoo"

// TestZoo opens each model of the zoo in each of its forms, runs its cases, and does both again with what Save and Write make
// of it.
func TestZoo(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(zoo, "*", "model.json"))
	if err != nil || len(models) == 0 {
		t.Skipf("no %s", zoo)
	}
	for _, file := range models {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var model struct{ Forms []struct{ File string } }
		if err := json.Unmarshal(b, &model); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		for _, form := range model.Forms {
			path := filepath.Join(dir, form.File)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			t.Run(filepath.Base(dir)+"/"+form.File, func(t *testing.T) {
				t.Parallel()
				runForm(t, path, dir)
			})
		}
	}
}

func runForm(t *testing.T, path, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "case_*.pb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s", dir)
	}
	for _, file := range files {
		c, err := cases.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		runCase(t, path, c)
	}
}

// caseName returns the name of a feed or answer that m understands.
func caseName(m *savedmodel.Model, key, name string) string {
	if name != "" && m.Signature == nil || len(m.Signatures) == 0 {
		return name
	}
	return key
}

func runCase(t *testing.T, path string, c *cases.Case) {
	t.Helper()
	signature := ""
	if info, err := os.Stat(path); err == nil && info.IsDir() && strings.HasSuffix(path, "saved_model") {
		signature = c.Expect[0].Signature
	}
	m, err := savedmodel.Open(path, savedmodel.Options{Signature: signature})
	if err != nil {
		t.Fatal(err)
	}
	if err := graphdef.Validate(m.Graph); err != nil {
		t.Errorf("%v", err)
	}
	checkGraph(t, m, m.Graph, c)
	// What is written of it gives the same.
	file := filepath.Join(t.TempDir(), "frozen.pb")
	if err := graphdef.Save(savedmodel.Portable(m.Graph), file); err != nil {
		t.Fatal(err)
	}
	frozen := openModel(t, file, savedmodel.Options{})
	checkGraph(t, m, frozen.Graph, c)
	dir := filepath.Join(t.TempDir(), "saved_model")
	if err := savedmodel.Write(dir, m.Graph, signatureOf(t, m, c)); err != nil {
		t.Fatal(err)
	}
	checkGraph(t, m, openModel(t, dir, savedmodel.Options{}).Graph, c)
}

// signatureOf returns a signature with the inputs and outputs of a case.
func signatureOf(t *testing.T, m *savedmodel.Model, c *cases.Case) *savedmodel.Signature {
	s := &savedmodel.Signature{Name: "serving_default"}
	info := func(key, name string, v *tensor.Tensor, output bool) savedmodel.TensorInfo {
		o, err := m.Resolve(caseName(m, key, name), output)
		if err != nil {
			t.Fatal(err)
		}
		return savedmodel.TensorInfo{Key: key, Tensor: o.String(), DType: v.DType()}
	}
	for _, f := range c.Feeds {
		s.Inputs = append(s.Inputs, info(f.Name, f.Tensor, f.Value, false))
	}
	for _, e := range c.Expect {
		s.Outputs = append(s.Outputs, info(e.Of, e.Tensor, e.Want, true))
	}
	return s
}

// checkGraph runs c on g, whose tensors are called as those of m.
func checkGraph(t *testing.T, m *savedmodel.Model, g *graphdef.Graph, c *cases.Case) {
	t.Helper()
	feeds := map[string]*tensor.Tensor{}
	var opts runtime.CompileOptions
	for _, f := range c.Feeds {
		o, err := m.Resolve(caseName(m, f.Name, f.Tensor), false)
		if err != nil {
			t.Fatal(err)
		}
		opts.Feeds = append(opts.Feeds, o.String())
		feeds[o.String()] = f.Value
	}
	var of []string
	for _, e := range c.Expect {
		o, err := m.Resolve(caseName(m, e.Of, e.Tensor), true)
		if err != nil {
			t.Fatal(err)
		}
		opts.Fetches = append(opts.Fetches, o.String())
		of = append(of, o.String())
	}
	plan, err := runtime.Compile(g, opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := plan.NewSession().Run(context.Background(), feeds)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range c.Expect {
		d, err := cases.Compare(got[of[i]], e)
		if err != nil || d.Failed > 0 {
			t.Errorf("%s, %s: %v, %+v", c.Name, e.Of, err, d)
		}
	}
}
