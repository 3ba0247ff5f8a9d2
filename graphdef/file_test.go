package graphdef

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

func TestSaveAndLoad(t *testing.T) {
	want, err := Parse(canonicalText)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, form := range map[string]Form{"g.pb": FormGraphDef, "g.pbtxt": FormPbtxt, "g.TXT": FormText, "g": FormGraphDef} {
		path := filepath.Join(dir, name)
		for range 2 { // over an old file too
			if err := Save(want, path); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := Sniff(b); got != form {
			t.Errorf("Sniff(%s) = %v, want %v", name, got, form)
		}
		got, err := Load(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := diffGraphs(plain(want), plain(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, ".*")); len(files) > 0 {
		t.Errorf("files left behind: %v", files)
	}
}

func TestSaveLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "g.pb")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := NewGraph()
	x := g.MustAdd("x", "Foo")
	body := NewGraph()
	body.MustAdd("n", "Unheard of", body.MustAdd("m", "Unheard of").Out(0))
	if err := g.AddFunction(&Function{Name: "f", Body: body}); err != nil {
		t.Fatal(err)
	}
	if err := Save(g, path); err == nil || !strings.Contains(err.Error(), `function "f": node "m"`) {
		t.Errorf("Save of a body with unnamed outputs: error %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("the old file holds %q, %v", b, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
	if err := Save(g, filepath.Join(dir, "none", "g.pb")); err == nil {
		t.Errorf("Save into a folder that is not there gives no error")
	}
	// The mode of the file that is replaced stays.
	h := NewGraph()
	h.MustAdd(x.Name(), "NoOp")
	if err := Save(h, path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestLoadMapsBigFiles(t *testing.T) {
	g := NewGraph()
	values := make([]float32, mapFrom/4)
	values[len(values)-1] = 7
	g.MustAdd("c", "Const").SetAttr("value", TensorAttr(tensor.FromSlice(tensor.Shape{len(values)}, values)))
	path := filepath.Join(t.TempDir(), "big.pb")
	if err := Save(g, path); err != nil {
		t.Fatal(err)
	}
	h, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := h.Node("c").Tensor("value")
	if err != nil {
		t.Fatal(err)
	}
	got := tensor.Data[float32](x)
	if len(got) != len(values) || got[len(got)-1] != 7 {
		t.Errorf("%d values that end in %v", len(got), got[len(got)-1])
	}
	x.Release()
	if got[len(got)-1] != 7 {
		t.Errorf("the last value is %v after its memory was given back, want 7", got[len(got)-1])
	}
	got[0] = 1 // a private page, not a fault and not the file
	if err := Save(h, path); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesOtherForms(t *testing.T) {
	node := wireOf(t, nodeText("x", "Foo"))
	meta := append(bytesField(1, "\x22\x05serve"), bytesField(2, string(node))...)
	dir := t.TempDir()
	for name, test := range map[string]struct {
		content string
		form    Form
	}{
		"empty":         {"", FormEmpty},
		"meta":          {string(meta), FormMetaGraph},
		"saved_model":   {"\x08\x01" + string(bytesField(2, string(meta))), FormSavedModel},
		"saved text":    {"# model\nsaved_model_schema_version: 1\nmeta_graphs { }", FormSavedModel},
		"meta text":     {"meta_info_def {\n}", FormMetaGraph},
		"list":          {`model_checkpoint_path: "ckpt"`, FormCheckpointList},
		"index":         {strings.Repeat("\x00", 90) + bundleMagic, FormCheckpoint},
		"h5":            {"\x89HDF\r\n\x1a\n\x00", FormHDF5},
		"keras":         {"PK\x03\x04\x14\x00metadata.json model.weights.h5", FormKeras},
		"zip":           {"PK\x03\x04\x14\x00a", FormZip},
		"tflite":        {"\x1c\x00\x00\x00TFL3", FormTFLite},
		"onnx":          {"\x08\x08\x12\x07pytorch", FormONNX},
		"tfjs":          {`{"format": "graph-model", "modelTopology": {}}`, FormTFJS},
		"json":          {`{"a": 1}`, FormUnknown},
		"record":        {"\x05\x00\x00\x00\x00\x00\x00\x00\xea\xb2\x04\x3e", FormTFRecord},
		"gzip":          {"\x1f\x8b\x08", FormGzip},
		"cpb":           {"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f\x00\x00\x00\x00\x00\x00\x00\x00\x40", FormChunked},
		"vocabulary":    {"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02", FormSentencePiece},
		"random":        {"\xff\x00\xfe\x13\x12", FormUnknown},
		"prose":         {"This is a model.\n", FormUnknown},
		"fingerprint":   {"\x08\xd7\xc9\x9a\x10\x10\x05", FormUnknown},
		"no node":       {"\x22\x02\x08\x01", FormUnknown},
		"comments only": {"# nothing\n", FormUnknown},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		var form *FormError
		if !errors.As(err, &form) || form.Form != test.form || !strings.Contains(err.Error(), form.Form.Advice()) {
			t.Errorf("%s: error %v, want form %q", name, err, test.form)
		}
	}
	// A directory says what it is.
	if err := os.WriteFile(filepath.Join(dir, "saved_model.pb"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var form *FormError
	if _, err := Load(dir); !errors.As(err, &form) || form.Form != FormSavedModel {
		t.Errorf("directory: error %v, want a SavedModel", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory without") {
		t.Errorf("empty directory: error %v", err)
	}
	if _, err := Load(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: error %v", err)
	}
	// A graph that breaks off is called damaged, not unknown.
	for _, n := range []int{len(node) - 1, len(node) - 3} {
		path := filepath.Join(dir, "cut")
		if err := os.WriteFile(path, append(node[:len(node):len(node)], node[:n]...), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "damaged or truncated") {
			t.Errorf("graph cut at %d: error %v", n, err)
		}
	}
}

func TestSniffReferenceFiles(t *testing.T) {
	for pattern, want := range map[string]Form{
		"facts/golden/bundle/*.index":         FormCheckpoint,
		"facts/golden/bundle/v1format.ckpt":   FormCheckpoint,
		"facts/golden/bundle/checkpoint":      FormCheckpointList,
		"facts/golden/*/saved_model.pb":       FormSavedModel,
		"facts/golden/*/fingerprint.pb":       FormUnknown,
		"facts/golden/odd.pbtxt":              FormPbtxt,
		"fixtures/nmt/spm.model":              FormSentencePiece,
		"fixtures/nmt/val.en":                 FormUnknown,
		"fixtures/nmt/README.md":              FormUnknown,
		"facts/golden/bundle/tf.data-00000-*": FormUnknown,
	} {
		for _, file := range shared(t, pattern) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := Sniff(b); got != want {
				t.Errorf("Sniff(%s) = %v, want %v", file, got, want)
			}
		}
	}
}
