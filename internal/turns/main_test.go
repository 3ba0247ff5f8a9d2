package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/internal/npy"
	"github.com/tfq8/tfq8/tensor"
)

const numbers = "../../testdata/numbers/numbers.pb"

// feedFiles writes two archives of one sentence each and returns their paths.
func feedFiles(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, name := range []string{"a.npz", "b.npz"} {
		path := filepath.Join(t.TempDir(), name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		ids := tensor.FromSlice(tensor.Shape{1, 3}, []int32{44, 9, 1})
		if err := npy.WriteArchive(f, []npy.Array{{Name: "source", Tensor: ids}}); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestRun(t *testing.T) {
	for _, threads := range []string{"1", "2"} {
		var out bytes.Buffer
		args := append([]string{"-fetch", "translations,scores", "-threads", threads, numbers}, feedFiles(t)...)
		if err := run(args, strings.NewReader("\n\n"), &out); err != nil {
			t.Fatal(err)
		}
		lines := json.NewDecoder(&out)
		var first ready
		if err := lines.Decode(&first); err != nil || first.Kernels == "" || first.Seconds <= 0 {
			t.Errorf("threads %s: first line %+v, error %v", threads, first, err)
		}
		for range 2 {
			var got turn
			if err := lines.Decode(&got); err != nil || got.Seconds <= 0 || (got.Median > 0) != (threads == "1") {
				t.Errorf("threads %s: turn %+v, error %v", threads, got, err)
			}
		}
		if lines.More() {
			t.Errorf("threads %s: more lines than turns", threads)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, args := range [][]string{
		{numbers, "feeds.npz"},
		{"-fetch", "scores", numbers},
		{"-fetch", "scores", "-threads", "0", numbers, "feeds.npz"},
		{"-fetch", "scores", "-kernels", "mmx", numbers, "feeds.npz"},
		{"-fetch", "scores", numbers, "missing.npz"},
		append([]string{"-fetch", "missing", numbers}, feedFiles(t)...),
	} {
		if err := run(args, strings.NewReader(""), &bytes.Buffer{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
