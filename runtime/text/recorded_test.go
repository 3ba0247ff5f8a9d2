package text

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorded is one line of an encodings-NAME.jsonl file, an answer of the sentencepiece library: the encoding of a text
// (raw: in base64, where it is no valid UTF-8) and the decoding of its ids, or the decoding of ids alone.
type recorded struct {
	Text     *string  `json:"text"`
	Raw      *string  `json:"raw"`
	IDs      []int    `json:"ids"`
	Pieces   []string `json:"pieces"`   // by id, so <unk> for unknown runs
	Surfaces []string `json:"surfaces"` // as EncodePieces returns them; may be absent
	Decoded  string   `json:"decoded"`
}

// recordedDirs lists the directories of models with recorded encodings. The environment variable TFQ8_TEXT may name
// more, separated by colons.
func recordedDirs() []string {
	dirs := []string{"testdata", "../../../shared/fixtures/text"}
	return append(dirs, filepath.SplitList(os.Getenv("TFQ8_TEXT"))...)
}

func TestRecordedEncodings(t *testing.T) {
	for _, dir := range recordedDirs() {
		files, err := filepath.Glob(filepath.Join(dir, "encodings-*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Logf("skipped: no %s", filepath.Join(dir, "encodings-*.jsonl"))
		}
		for _, file := range files {
			name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "encodings-"), ".jsonl")
			t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
				m, err := Load(filepath.Join(dir, name+".model"))
				if err != nil {
					t.Fatal(err)
				}
				checkRecorded(t, m, file)
			})
		}
	}
}

func checkRecorded(t *testing.T, m *Model, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, texts := 0, 0
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var r recorded
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("line %d: %v", lines+1, err)
		}
		lines++
		if r.Raw != nil {
			raw, err := base64.StdEncoding.DecodeString(*r.Raw)
			if err != nil {
				t.Fatalf("line %d: %v", lines, err)
			}
			text := string(raw)
			r.Text = &text
		}
		if got := m.Decode(r.IDs); got != r.Decoded {
			t.Errorf("line %d: Decode(%v) = %q, want %q", lines, r.IDs, got, r.Decoded)
		}
		if r.Text == nil {
			continue
		}
		texts++
		got := m.Encode(*r.Text)
		if !slices.Equal(got, r.IDs) {
			t.Errorf("line %d: Encode(%q) = %v, want %v", lines, *r.Text, got, r.IDs)
		}
		pieces := make([]string, len(got))
		for i, id := range got {
			pieces[i] = m.IDToPiece(id)
		}
		if !slices.Equal(pieces, r.Pieces) {
			t.Errorf("line %d: pieces of %q = %q, want %q", lines, *r.Text, pieces, r.Pieces)
		}
		if surfaces := m.EncodePieces(*r.Text); r.Surfaces != nil && !slices.Equal(surfaces, r.Surfaces) {
			t.Errorf("line %d: EncodePieces(%q) = %q, want %q", lines, *r.Text, surfaces, r.Surfaces)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if lines == 0 {
		t.Error("no lines")
	}
	t.Logf("%d texts encoded, %d sequences decoded", texts, lines)
}

func TestReferenceCorpus(t *testing.T) {
	dir := "../../../shared/fixtures/nmt"
	m, err := Load(filepath.Join(dir, "spm.model"))
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "ids", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no reference encodings, error %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		ids, texts := readLines(t, file), readLines(t, filepath.Join(dir, name))
		if len(ids) != len(texts) {
			t.Fatalf("%s: %d encodings of %d lines", name, len(ids), len(texts))
		}
		for i, line := range texts {
			var want []int
			if err := json.Unmarshal([]byte("["+strings.ReplaceAll(ids[i], " ", ",")+"]"), &want); err != nil {
				t.Fatal(err)
			}
			if got := m.Encode(line); !slices.Equal(got, want) {
				t.Errorf("%s:%d: Encode(%q) = %v, want %v", name, i+1, line, got, want)
			}
		}
		t.Logf("%s: %d lines", name, len(ids))
	}
}

func readLines(t testing.TB, file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}
