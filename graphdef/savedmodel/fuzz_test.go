package savedmodel_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/savedmodel"
)

// FuzzSavedModel opens arbitrary bytes as the graph of a SavedModel beside the checkpoint and assets of a good one: an error or
// a graph that can be written, nothing else.
func FuzzSavedModel(f *testing.F) {
	for _, name := range []string{"savedmodel_v1_table", "savedmodel_v2_table"} {
		b, err := os.ReadFile(filepath.Join(golden, name, "saved_model.pb"))
		if err != nil {
			continue
		}
		f.Add(b)
	}
	f.Add([]byte("\x08\x01\x12\x02\x12\x00"))
	f.Add([]byte("saved_model_schema_version: 1 meta_graphs { graph_def { node { name: 'x' op: 'Placeholder' } } }"))
	dir := f.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden, "savedmodel_v2_table"))); err != nil {
		os.MkdirAll(filepath.Join(dir, "variables"), 0o755)
	}
	os.Chmod(dir, 0o755)
	file := filepath.Join(dir, "saved_model.pb")
	f.Fuzz(func(t *testing.T, b []byte) {
		os.Remove(file)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Skip(err)
		}
		m, err := savedmodel.Open(dir, savedmodel.Options{})
		if err != nil {
			return
		}
		if _, err := graphdef.Marshal(savedmodel.Portable(m.Graph)); err != nil {
			t.Skip(err)
		}
	})
}

// FuzzMetaGraph is FuzzSavedModel for a .meta with its checkpoint.
func FuzzMetaGraph(f *testing.F) {
	prefix := filepath.Join(f.TempDir(), "m")
	for _, part := range []string{".index", ".data-00000-of-00001"} {
		if b, err := os.ReadFile(filepath.Join(golden, "bundle", "tf"+part)); err == nil {
			os.WriteFile(prefix+part, b, 0o644)
		}
	}
	if b, err := os.ReadFile(filepath.Join(golden, "savedmodel_v1_table", "saved_model.pb")); err == nil && len(b) > 5 {
		f.Add(b[5:])
	}
	f.Add([]byte("\x12\x0f\n\x0d\n\x01x\x12\x08NoOpNoOp"))
	f.Fuzz(func(t *testing.T, b []byte) {
		os.WriteFile(prefix+".meta", b, 0o644)
		m, err := savedmodel.Open(prefix+".meta", savedmodel.Options{})
		if err == nil {
			graphdef.Marshal(m.Graph)
		}
	})
}
