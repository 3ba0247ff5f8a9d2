package savedmodel_test

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/checkpoint"
	"github.com/tfq8/tfq8/tensor"
)

// mapFields rewrites the length-delimited fields of a message; nil drops one.
func mapFields(t *testing.T, b []byte, f func(num int, raw []byte) []byte) []byte {
	t.Helper()
	var out []byte
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if n < 0 || m < 0 {
			t.Fatal("malformed message")
		}
		if typ != protowire.BytesType {
			out = append(out, b[:n+m]...)
		} else {
			raw, _ := protowire.ConsumeBytes(b[n:])
			if raw = f(int(num), raw); raw != nil {
				out = protowire.AppendBytes(protowire.AppendTag(out, num, typ), raw)
			}
		}
		b = b[n+m:]
	}
	return out
}

// writeMeta writes a graph, which may have variables, as a MetaGraphDef with a checkpoint of them, and returns the directory.
func writeMeta(t *testing.T, text string, variables map[string]*tensor.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	prefix := filepath.Join(dir, "model.ckpt")
	w, err := checkpoint.Create(prefix)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range variables {
		if err := w.Add(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	graph, err := graphdef.Marshal(parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	meta := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), graph)
	for path, b := range map[string][]byte{prefix + ".meta": meta, filepath.Join(dir, "checkpoint"): []byte("model_checkpoint_path: \"model.ckpt\"\n")} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
