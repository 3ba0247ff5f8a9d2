package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// vocabularyGraph is a table whose initializer nothing depends on, as in a SavedModel without its init op.
const vocabularyGraph = `
file = Const[value=string "vocab.txt"]()
keys = Placeholder[dtype=string]()
table = HashTableV2[key_dtype=string, value_dtype=int64]()
init = InitializeTableFromTextFileV2[key_index=KEY, value_index=VALUE, vocab_size=SIZE, delimiter="\t"](table, file)
none = Const[value=int64 -7]()
ids = LookupTableFindV2[Tin=string, Tout=int64](table, keys, none)
size = LookupTableSizeV2[](table)
`

// TestTableFromFile asserts that Compile runs the initializer of a table that the fetches need, and what a file's columns mean.
func TestTableFromFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte("the\t10\r\ncat\t20\n\t30"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, key, value, size string
		want                   string // ids of "cat", "", "cat\t20"; or a part of the error
	}{
		{"lines by number", "-2", "-1", "-1", "[-7 -7 1]"},
		{"columns", "0", "1", "-1", "[20 30 -7]"},
		{"some lines", "0", "-1", "2", "[1 -7 -7]"},
		{"too few lines", "0", "-1", "4", "has 3 lines"},
		{"too few columns", "0", "2", "-1", "line 1: has 2 columns"},
		{"a key twice", "-2", "-2", "-1", "whole line"},
	} {
		g, err := graphdef.Parse(strings.NewReplacer("KEY", c.key, "VALUE", c.value, "SIZE", c.size).Replace(vocabularyGraph))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Compile(g, CompileOptions{Fetches: []string{"ids", "size"}, Assets: dir})
		if err != nil {
			t.Fatal(err)
		}
		s := p.NewSession()
		feeds := map[string]*tensor.Tensor{"keys": words("cat", "", "cat\t20")}
		got, err := s.Run(context.Background(), feeds)
		if err == nil {
			got, err = s.Run(context.Background(), feeds)
		}
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		case err == nil && describe(got["ids"]) != "int64[3] "+c.want:
			t.Errorf("%s: %v, want %s", c.name, describe(got["ids"]), c.want)
		}
	}
}
