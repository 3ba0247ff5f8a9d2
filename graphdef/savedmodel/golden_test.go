package savedmodel_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

const golden = "../../../shared/facts/golden"

// goldenPath returns a file of the golden set; the test is skipped where it is absent.
func goldenPath(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(golden, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s", path)
	}
	return path
}

func openModel(t *testing.T, path string, opts savedmodel.Options) *savedmodel.Model {
	t.Helper()
	m, err := savedmodel.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := graphdef.Validate(m.Graph); err != nil {
		t.Fatal(err)
	}
	return m
}

// compute runs m once: feeds and fetches by key, node or tensor name.
func compute(t *testing.T, m *savedmodel.Model, feeds map[string]*tensor.Tensor, fetches ...string) []*tensor.Tensor {
	t.Helper()
	out, err := tryCompute(m, feeds, fetches...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryCompute(m *savedmodel.Model, feeds map[string]*tensor.Tensor, fetches ...string) ([]*tensor.Tensor, error) {
	var opts runtime.CompileOptions
	fed := map[string]*tensor.Tensor{}
	for name, v := range feeds {
		o, err := m.Resolve(name, false)
		if err != nil {
			return nil, err
		}
		opts.Feeds = append(opts.Feeds, o.String())
		fed[o.String()] = v
	}
	for _, name := range fetches {
		o, err := m.Resolve(name, true)
		if err != nil {
			return nil, err
		}
		opts.Fetches = append(opts.Fetches, o.String())
	}
	plan, err := runtime.Compile(m.Graph, opts)
	if err != nil {
		return nil, err
	}
	got, err := plan.NewSession().Run(context.Background(), fed)
	if err != nil {
		return nil, err
	}
	var out []*tensor.Tensor
	for _, f := range opts.Fetches {
		out = append(out, got[f])
	}
	return out, nil
}

func wantTensors(t *testing.T, got []*tensor.Tensor, want ...*tensor.Tensor) {
	t.Helper()
	for i, w := range want {
		if got[i].String() != w.String() || got[i].DType() != w.DType() {
			t.Errorf("result %d is %v, want %v", i, got[i], w)
		}
	}
}

func floats(shape tensor.Shape, v ...float32) *tensor.Tensor { return tensor.FromSlice(shape, v) }
func ints(v ...int32) *tensor.Tensor                         { return tensor.FromSlice(tensor.Shape{len(v)}, v) }
func longs(v ...int64) *tensor.Tensor                        { return tensor.FromSlice(tensor.Shape{len(v)}, v) }
func strs(v ...string) *tensor.Tensor                        { return tensor.FromStrings(tensor.Shape{len(v)}, v) }

func TestGoldenSavedModelOfTensorFlow1(t *testing.T) {
	dir := goldenPath(t, "savedmodel_v1_table")
	for _, path := range []string{dir, filepath.Join(dir, "saved_model.pb"), filepath.Join(dir, "variables", "variables")} {
		m := openModel(t, path, savedmodel.Options{})
		if m.Signature == nil || m.Signature.Name != "serving_default" {
			t.Fatalf("signature is %v", m.Signature)
		}
		got := compute(t, m, map[string]*tensor.Tensor{"tokens": strs("world", "hello", "zz")}, "ids", "y", "emb")
		wantTensors(t, got, longs(1, 0, -1), floats(tensor.Shape{3, 2}, 2, 3, 0, 1, 0, 1), floats(tensor.Shape{3, 2}, 0, 1, 2, 3, 4, 5))
	}
}

func TestGoldenSavedModelOfTensorFlow2(t *testing.T) {
	m := openModel(t, goldenPath(t, "savedmodel_v2_table"), savedmodel.Options{})
	got := compute(t, m, map[string]*tensor.Tensor{"tokens": strs("world", "zz")}, "ids", "x")
	wantTensors(t, got, longs(1, -1), floats(tensor.Shape{2, 2}, 15, 27, 13, 25))
	// The names of the SavedModel's own graph work as well.
	got = compute(t, m, map[string]*tensor.Tensor{"serving_default_tokens:0": strs("world", "zz")}, "ids")
	wantTensors(t, got, longs(1, -1))
}

// TestVariablesByTheObjectGraph takes the saver away: the object graph alone says which variable is which.
func TestVariablesByTheObjectGraph(t *testing.T) {
	dir := copyTree(t, goldenPath(t, "savedmodel_v2_table"))
	file := filepath.Join(dir, "saved_model.pb")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, withoutSaver(t, b), 0o644); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, dir, savedmodel.Options{})
	got := compute(t, m, map[string]*tensor.Tensor{"tokens": strs("world", "zz")}, "x")
	wantTensors(t, got, floats(tensor.Shape{2, 2}, 15, 27, 13, 25))
}

func TestGoldenWhile(t *testing.T) {
	v1 := openModel(t, goldenPath(t, "while_v1.pb"), savedmodel.Options{})
	wantTensors(t, compute(t, v1, map[string]*tensor.Tensor{"n": tensor.Scalar(int32(0))}, "out", "loop/Exit", "loop/Exit_1"),
		floats(tensor.Shape{0, 2}), tensor.Scalar(int32(0)), floats(tensor.Shape{2}, 1, 1))
	wantTensors(t, compute(t, v1, map[string]*tensor.Tensor{"n": tensor.Scalar(int32(3))}, "out", "loop/Exit", "loop/Exit_1"),
		floats(tensor.Shape{3, 2}, 2, 3, 4, 9, 8, 27), tensor.Scalar(int32(3)), floats(tensor.Shape{2}, 8, 27))
	v2 := openModel(t, goldenPath(t, "while_v2.pb"), savedmodel.Options{})
	for _, c := range []struct {
		n        int32
		out, sum *tensor.Tensor
	}{
		{0, floats(tensor.Shape{0, 2}), floats(tensor.Shape{2}, -1, -1)},
		{1, floats(tensor.Shape{1, 2}, 2, 3), floats(tensor.Shape{2}, -1, -2)},
		{3, floats(tensor.Shape{3, 2}, 2, 3, 4, 9, 8, 27), floats(tensor.Shape{2}, 17, 55)},
	} {
		got := compute(t, v2, map[string]*tensor.Tensor{"n": tensor.Scalar(c.n), "x": floats(tensor.Shape{2}, 1, 1)}, "Identity", "Identity_1")
		if c.n == 0 {
			// An empty list does not know the shape of its elements before it has one.
			if got[0].Len() != 0 {
				t.Errorf("n=0: out is %v, want nothing", got[0])
			}
			wantTensors(t, got[1:], c.sum)
			continue
		}
		wantTensors(t, got, c.out, c.sum)
	}
}

// goldenBad runs the model whose frozen graphs TensorFlow refuses.
func goldenBad(t *testing.T, m *savedmodel.Model) {
	t.Helper()
	for _, c := range []struct {
		ids *tensor.Tensor
		n   int32
		y   *tensor.Tensor
		tok []int64
	}{
		{ints(1, 2), 2, floats(tensor.Shape{2, 2}, 6, 9, 10, 13), []int64{1, 1}},
		{ints(1, 2), 0, floats(tensor.Shape{2, 2}, 2, 3, 4, 5), []int64{1, 2}},
		{ints(3), 3, floats(tensor.Shape{1, 2}, 16, 20), []int64{1}},
	} {
		got := compute(t, m, map[string]*tensor.Tensor{"ids": c.ids, "n": tensor.Scalar(c.n)}, "Identity_1", "Identity")
		wantTensors(t, got, c.y)
		for i, want := range c.tok {
			have := int64(0)
			if got[1].DType() == tensor.Int64 {
				have = tensor.Data[int64](got[1])[i]
			} else {
				have = int64(tensor.Data[int32](got[1])[i])
			}
			if have != want {
				t.Errorf("tok is %v, want %v", got[1], c.tok)
			}
		}
	}
}

func TestGoldenBrokenByTheFreezer(t *testing.T) {
	for _, name := range []string{"frozen_bad_lowered.pb", "frozen_bad_functional.pb"} {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, goldenPath(t, name), savedmodel.Options{})
			goldenBad(t, m)
			for _, g := range []*graphdef.Graph{m.Graph, savedmodel.Portable(m.Graph)} {
				for _, n := range allNodes(g) {
					if n.Op() == "ResourceGather" || n.Op() == "ReadVariableOp" {
						t.Errorf("node %q is still a %s", n.Name(), n.Op())
					}
				}
			}
			m.Graph = savedmodel.Portable(m.Graph)
			goldenBad(t, m)
		})
	}
}

func allNodes(g *graphdef.Graph) []*graphdef.Node {
	list := append([]*graphdef.Node(nil), g.Nodes()...)
	for _, f := range g.Functions() {
		list = append(list, f.Body.Nodes()...)
	}
	return list
}

// TestPortableTiesConstantsIntoFrames looks at the constant that TensorFlow's freezer puts outside of the loop that reads it.
func TestPortableTiesConstantsIntoFrames(t *testing.T) {
	m := openModel(t, goldenPath(t, "frozen_bad_lowered.pb"), savedmodel.Options{})
	g := savedmodel.Portable(m.Graph)
	n := g.Node("while/body/_1/while/Gather/axis")
	if n == nil || len(n.Controls()) == 0 {
		t.Errorf("the axis of the gather in the loop is not in the loop's frame: %v", n)
	}
}

func TestGoldenSnapshotsOfText(t *testing.T) {
	for _, name := range []string{"odd.pbtxt", "odd.pb"} {
		m := openModel(t, goldenPath(t, name), savedmodel.Options{})
		v, err := m.Graph.Node("f").Tensor("value")
		if err != nil || v.Len() != 10 || tensor.Data[float32](v)[4] != 1.5 {
			t.Errorf("%s: f is %v, %v", name, v, err)
		}
	}
}

func TestGoldenCheckpointsAlone(t *testing.T) {
	for name, want := range map[string]string{
		"bundle/ckpt.index": "holds weights and no graph", "bundle/ckpt.data-00000-of-00002": "holds weights and no graph",
		"bundle/checkpoint": "holds weights and no graph", "bundle/v1format.ckpt": "version 1",
	} {
		_, err := savedmodel.Open(goldenPath(t, name), savedmodel.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want that it %s", name, err, want)
		}
	}
	_, err := savedmodel.Open(filepath.Join(filepath.Dir(goldenPath(t, "bundle/badcrc.index")), "badcrc"), savedmodel.Options{})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("badcrc: error is %v, want one about the checksum", err)
	}
}

// copyTree copies a directory to one that may be changed.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
	return to
}

// withoutSaver returns a SavedModel whose graphs have no saver_def.
func withoutSaver(t *testing.T, b []byte) []byte {
	t.Helper()
	return mapFields(t, b, func(num int, raw []byte) []byte {
		if num != 2 {
			return raw
		}
		return mapFields(t, raw, func(num int, raw []byte) []byte {
			if num == 3 {
				return nil
			}
			return raw
		})
	})
}
