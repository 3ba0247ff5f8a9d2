package text

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

func loadTestModel(t testing.TB, name string) *Model {
	t.Helper()
	m, err := Load(filepath.Join("testdata", name+".model"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSpecialIDs(t *testing.T) {
	m := loadTestModel(t, "bpe_rules")
	if m.PAD() != 0 || m.EOS() != 1 || m.UNK() != 2 || m.BOS() != -1 || m.Size() != 320 {
		t.Errorf("pad %d, eos %d, unk %d, bos %d, size %d, want 0, 1, 2, -1, 320", m.PAD(), m.EOS(), m.UNK(), m.BOS(), m.Size())
	}
	for id := range m.Size() {
		if got := m.PieceToID(m.IDToPiece(id)); got != id {
			t.Errorf("PieceToID(IDToPiece(%d)) = %d", id, got)
		}
	}
	if got := m.PieceToID("no such piece"); got != m.UNK() {
		t.Errorf("PieceToID of a string outside the vocabulary = %d, want %d", got, m.UNK())
	}
	for _, id := range []int{-1, m.Size()} {
		if m.IDToPiece(id) != "" || m.Kind(id) != 0 {
			t.Errorf("id %d is out of range, have piece %q of kind %d", id, m.IDToPiece(id), m.Kind(id))
		}
		if got := m.Decode([]int{id}); got != m.Decode([]int{m.UNK()}) {
			t.Errorf("Decode(%d) = %q, want the unknown surface", id, got)
		}
	}
	if k := m.Kind(m.PieceToID("<sep>")); k != UserDefined {
		t.Errorf("kind of <sep> = %d, want %d", k, UserDefined)
	}
}

// message and varint build model files field by field.
func message(number protowire.Number, fields ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), slices.Concat(fields...))
}

func varint(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}

func pieceField(text string, score float32, kind Kind) []byte {
	s := protowire.AppendFixed32(protowire.AppendTag(nil, 2, protowire.Fixed32Type), math.Float32bits(score))
	return message(1, message(1, []byte(text)), s, varint(3, uint64(kind)))
}

func TestParseRefuses(t *testing.T) {
	unk := pieceField("<unk>", 0, Unknown)
	withBytes := message(2, varint(35, 1))
	cases := []struct {
		name, want string
		data       []byte
	}{
		{"empty file", "no pieces", nil},
		{"text", "not a SentencePiece model", []byte("hello, this is no model")},
		{"cut", "not a SentencePiece model", unk[:len(unk)-1]},
		{"empty piece", "is empty", slices.Concat(unk, pieceField("", 0, Normal))},
		{"same piece", "is the same as piece 1", slices.Concat(unk, pieceField("a", 0, Normal), pieceField("a", 1, Normal))},
		{"two unknown", "second unknown", slices.Concat(unk, pieceField("?", 0, Unknown))},
		{"no unknown", "neither an unknown piece nor byte fallback", pieceField("a", 0, Normal)},
		{"NUL", "NUL byte", slices.Concat(unk, pieceField("a\x00", 0, Normal))},
		{"long piece", "too long", slices.Concat(unk, pieceField(strings.Repeat("a", 8000), 0, Normal))},
		{"score", "want a finite number", slices.Concat(unk, pieceField("a", float32(math.NaN()), Normal))},
		{"byte piece without fallback", "no byte fallback", slices.Concat(unk, pieceField("<0x41>", 0, Byte))},
		{"lower-case byte piece", "no valid byte piece", slices.Concat(unk, pieceField("<0xab>", 0, Byte), withBytes)},
		{"byte pieces missing", `without the piece "<0x00>"`, slices.Concat(unk, pieceField("<0x41>", 0, Byte), withBytes)},
		{"unigram of nothing", "without any normal piece", unk},
		{"charsmap of 2 bytes", "at least 4", slices.Concat(unk, pieceField("a", 0, Normal), message(3, message(2, []byte("ab"))))},
		{"charsmap without trie", "announces", slices.Concat(unk, pieceField("a", 0, Normal), message(3, message(2, []byte{0xff, 0xff, 0xff, 0xff, 0})))},
		{"charsmap without end", "without end", slices.Concat(unk, pieceField("a", 0, Normal), message(3, message(2, []byte{4, 0, 0, 0, 0, 0, 0, 0, 'x'})))},
	}
	for _, c := range cases {
		if _, err := Parse(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := Load("testdata/missing.model"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestUnusedPieces checks that merging passes through an unused piece, and splits it again where it ends there.
func TestUnusedPieces(t *testing.T) {
	noSpaces := message(3, varint(3, 0), varint(4, 0))
	m, err := Parse(slices.Concat(pieceField("<unk>", 0, Unknown), pieceField("ab", -1, Unused), pieceField("abc", -2, Normal),
		pieceField("a", -3, Normal), pieceField("b", -4, Normal), pieceField("c", -5, Unused), message(2, varint(3, uint64(bpeModel))), noSpaces))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int{"abc": {2}, "ab": {3, 4}, "abab": {3, 4, 3, 4}, "c": {0}, "cc": {0}} {
		if got := m.Encode(text); !slices.Equal(got, want) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, name := range []string{"bpe_rules", "unigram_rules"} {
		m := loadTestModel(t, name)
		const text = "the old man sees a red house near the river!"
		want := m.Encode(text)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					if got := m.Encode(text); !slices.Equal(got, want) {
						t.Errorf("%s: Encode(%q) = %v, want %v", name, text, got, want)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestLongText would take minutes if any step were quadratic.
func TestLongText(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: texts of 128 KiB")
	}
	for _, name := range []string{"bpe_rules", "bpe_bytes_suffix", "unigram_rules", "unigram_bytes", "char_rules", "word_bytes"} {
		m := loadTestModel(t, name)
		for _, unit := range []string{"ab", "日", "\x00", " ", "red h", "x"} {
			text := strings.Repeat(unit, 1<<17/len(unit))
			checkEncoding(t, m, text)
		}
	}
}

// checkEncoding checks what holds for any text: the pieces spell the normalized text, and ids lie in the vocabulary.
func checkEncoding(t *testing.T, m *Model, text string) {
	t.Helper()
	s, tokens := m.tokens(text)
	var joined strings.Builder
	for _, tok := range tokens {
		joined.WriteString(tok.text)
	}
	if joined.String() != s {
		t.Fatalf("tokens of %.80q spell %.80q, want %.80q", text, joined.String(), s)
	}
	ids := m.Encode(text)
	for _, id := range ids {
		if id < 0 || id >= m.Size() {
			t.Fatalf("Encode(%.80q) has id %d of %d", text, id, m.Size())
		}
	}
	if pieces := m.EncodePieces(text); len(pieces) != len(ids) {
		t.Fatalf("EncodePieces(%.80q) has %d pieces, want %d", text, len(pieces), len(ids))
	}
	m.Decode(ids)
}

// FuzzParse feeds broken model files; what loads must encode and decode.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.model")
	if err != nil || len(files) == 0 {
		f.Fatalf("no models, error %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "a red house ﬁ<sep>\t日\xff")
	}
	// Small seeds: the fuzzer makes more of them than of whole models.
	for kind := range uint64(4) {
		f.Add(slices.Concat(pieceField("<unk>", 0, Unknown), pieceField("a", -1, Normal), pieceField("ab", -2, Unused), pieceField("b", -3, UserDefined),
			message(2, varint(3, kind+1), varint(24, kind&1)), message(3, varint(4, kind>>1), message(2, []byte{8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x80, 'x', 0}))), "ab abb")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		checkEncoding(t, m, text)
	})
}

// FuzzEncode feeds texts to sound models: with byte fallback and no rules, decoding gives the text back.
func FuzzEncode(f *testing.F) {
	names := []string{"bpe_rules", "bpe_bytes_suffix", "unigram_rules", "unigram_bytes", "char_rules", "word_bytes"}
	models := make([]*Model, len(names))
	for i, name := range names {
		models[i] = loadTestModel(f, name)
	}
	for _, s := range []string{"", "a red house", "ﬁ日\u0301\xf0\x9f", "  \t\x00", "▁▁aba<sep>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range models {
			checkEncoding(t, m, text)
		}
		lossless := models[3]
		if utf8.ValidString(text) && !strings.Contains(text, spaceSymbol) {
			if got := lossless.Decode(lossless.Encode(text)); got != text {
				t.Errorf("Decode(Encode(%q)) = %q", text, got)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	const text = "the old man is looking at a red house near the river, and ein Hund sieht drei Äpfel an der Brücke am Abend."
	for _, name := range []string{"bpe_rules", "unigram_rules"} {
		m := loadTestModel(b, name)
		b.Run("model="+name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m.Encode(text)
			}
		})
	}
}
