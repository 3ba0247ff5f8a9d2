package text

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// Kind says what a piece of the vocabulary is; the numbers are those of the file format.
type Kind uint8

// The kinds of piece. A Control piece never results from text and decodes to nothing; UserDefined pieces are cut out of
// the text before anything else; Unused pieces may be passed through while merging but are split again; Byte pieces
// stand for one byte each, in models with byte fallback.
const (
	Normal      Kind = 1
	Unknown     Kind = 2
	Control     Kind = 3
	UserDefined Kind = 4
	Unused      Kind = 5
	Byte        Kind = 6
)

// algorithm is how normalized text is cut into pieces; the numbers are those of the file format.
type algorithm uint8

const (
	unigramModel algorithm = 1
	bpeModel     algorithm = 2
	wordModel    algorithm = 3
	charModel    algorithm = 4
)

const (
	// maxModelBytes bounds what Load reads: the largest published models are below 10 MB.
	maxModelBytes = 256 << 20
	// maxPieceBytes is the library's own bound; it also bounds the work per position of the encoders.
	maxPieceBytes = 8000
)

// spaceSymbol stands for a space inside pieces (U+2581).
const spaceSymbol = "\u2581"

type piece struct {
	text  string
	score float32
	kind  Kind
}

// Model is a SentencePiece model. It does not change after loading and is safe for concurrent use.
type Model struct {
	pieces []piece
	// normal holds what text may become (Normal, UserDefined, Unused), reserved all other pieces. Merging looks into
	// normal only, so that text that spells a control piece does not become one.
	normal, reserved map[string]int32

	algorithm    algorithm
	normalizer   normalizer
	denormalizer *normalizer // nil: decoded text is left as it is
	userDefined  *trie       // nil: none

	byteFallback bool
	byteIDs      [256]int32
	unkSurface   string

	unk, bos, eos, pad int

	unigram *unigram // scores and trie, for unigram models
	bpe     *bpe     // for BPE models
}

// Load reads a SentencePiece model file. Files above 256 MiB are refused.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxModelBytes+1))
	if err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w (file %q)", err, path)
	}
	return m, nil
}

// Parse reads a SentencePiece model from the bytes of its file. It keeps no reference to data.
func Parse(data []byte) (*Model, error) {
	if len(data) > maxModelBytes {
		return nil, fmt.Errorf("text: model is too large, have more than %d bytes, want a SentencePiece model", maxModelBytes)
	}
	p, err := readProto(data)
	if err != nil {
		return nil, fmt.Errorf("text: not a SentencePiece model: %w", err)
	}
	m, err := newModel(p)
	if err != nil {
		return nil, fmt.Errorf("text: SentencePiece model: %w", err)
	}
	return m, nil
}

func newModel(p *modelProto) (*Model, error) {
	m := &Model{
		pieces:       p.pieces,
		normal:       make(map[string]int32, len(p.pieces)),
		reserved:     make(map[string]int32),
		algorithm:    p.trainer.algorithm,
		byteFallback: p.trainer.byteFallback,
		unkSurface:   p.trainer.unkSurface,
		unk:          -1,
	}
	if err := m.indexPieces(); err != nil {
		return nil, err
	}
	var userDefined []trieEntry
	for id, q := range m.pieces {
		if q.kind == UserDefined {
			userDefined = append(userDefined, trieEntry{q.text, int32(id)})
		}
	}
	if userDefined != nil {
		m.userDefined = newTrie(userDefined)
	}

	var err error
	if m.normalizer, err = newNormalizer(p.normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	m.normalizer.suffix = p.trainer.spaceAsSuffix
	m.normalizer.verbatim = m.userDefined
	if len(p.denormalizer.charsmap) > 0 {
		d, err := newNormalizer(p.denormalizer)
		if err != nil {
			return nil, fmt.Errorf("denormalizer: %w", err)
		}
		m.denormalizer = &d
	}

	switch m.algorithm {
	case unigramModel:
		if m.unigram, err = newUnigram(m); err != nil {
			return nil, err
		}
	case bpeModel:
		m.bpe = newBPE(m)
	}

	m.bos = m.special(p.trainer.bosPiece, "<s>", Control)
	m.eos = m.special(p.trainer.eosPiece, "</s>", Control)
	m.pad = m.special(p.trainer.padPiece, "<pad>", Control)
	return m, nil
}

// indexPieces fills the maps and checks the vocabulary as the library does when it loads a model.
func (m *Model) indexPieces() error {
	if len(m.pieces) == 0 {
		return errors.New("it has no pieces")
	}
	for i := range m.byteIDs {
		m.byteIDs[i] = -1
	}
	for id := range m.pieces {
		q := &m.pieces[id]
		switch {
		case q.text == "":
			return fmt.Errorf("piece %d is empty", id)
		case len(q.text) >= maxPieceBytes:
			return fmt.Errorf("piece %d is too long, have %d bytes, want less than %d", id, len(q.text), maxPieceBytes)
		case q.text == "\x00" && m.byteFallback:
			q.kind = Unused
		case strings.IndexByte(q.text, 0) >= 0:
			return fmt.Errorf("piece %d (%q) contains a NUL byte", id, q.text)
		}
		if s := float64(q.score); math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("piece %d (%q) has score %v, want a finite number", id, q.text, s)
		}
		index := m.reserved
		switch q.kind {
		case Normal, UserDefined, Unused:
			index = m.normal
		case Unknown:
			if m.unk >= 0 {
				return fmt.Errorf("piece %d (%q) is a second unknown piece after %d", id, q.text, m.unk)
			}
			m.unk = id
		case Byte:
			if !m.byteFallback {
				return fmt.Errorf("piece %d (%q) is a byte piece, but the model has no byte fallback", id, q.text)
			}
			b, ok := byteOfPiece(q.text)
			if !ok {
				return fmt.Errorf("piece %d (%q) is no valid byte piece, want <0x00> to <0xFF>", id, q.text)
			}
			m.byteIDs[b] = int32(id)
		}
		if old, ok := index[q.text]; ok {
			return fmt.Errorf("piece %d (%q) is the same as piece %d", id, q.text, old)
		}
		index[q.text] = int32(id)
	}
	if m.unk < 0 && !m.byteFallback {
		return errors.New("it has neither an unknown piece nor byte fallback")
	}
	if m.byteFallback {
		for b, id := range m.byteIDs {
			if id < 0 {
				return fmt.Errorf("byte fallback without the piece %q", pieceOfByte(byte(b)))
			}
		}
	}
	return nil
}

// special returns the id of the piece called name (fallback if name is empty) if it is of that kind, and -1 otherwise.
func (m *Model) special(name, fallback string, kind Kind) int {
	if name == "" {
		name = fallback
	}
	if id, ok := m.lookup(name); ok && m.pieces[id].kind == kind {
		return int(id)
	}
	return -1
}

func (m *Model) lookup(s string) (int32, bool) {
	if id, ok := m.reserved[s]; ok {
		return id, true
	}
	id, ok := m.normal[s]
	return id, ok
}

// Size returns the number of pieces; ids run from 0 to Size()-1.
func (m *Model) Size() int { return len(m.pieces) }

// UNK returns the id of the unknown piece, -1 if the model has none.
func (m *Model) UNK() int { return m.unk }

// BOS returns the id of the control piece that begins a sentence, -1 if the model has none.
func (m *Model) BOS() int { return m.bos }

// EOS returns the id of the control piece that ends a sentence, -1 if the model has none.
func (m *Model) EOS() int { return m.eos }

// PAD returns the id of the control piece that fills batches, -1 if the model has none.
func (m *Model) PAD() int { return m.pad }

// PieceToID returns the id of a piece as spelled in the vocabulary (spaces as U+2581), and UNK() for any other string.
func (m *Model) PieceToID(s string) int {
	if id, ok := m.lookup(s); ok {
		return int(id)
	}
	return m.unk
}

// IDToPiece returns the piece with that id as spelled in the vocabulary, and "" if id is out of range.
func (m *Model) IDToPiece(id int) string {
	if id < 0 || id >= len(m.pieces) {
		return ""
	}
	return m.pieces[id].text
}

// Kind returns what the piece with that id is, and 0 if id is out of range.
func (m *Model) Kind(id int) Kind {
	if id < 0 || id >= len(m.pieces) {
		return 0
	}
	return m.pieces[id].kind
}

const hexDigits = "0123456789ABCDEF"

// pieceOfByte spells a byte piece: 0x3A is <0x3A>.
func pieceOfByte(b byte) string {
	return string([]byte{'<', '0', 'x', hexDigits[b>>4], hexDigits[b&15], '>'})
}

// byteOfPiece is the inverse of pieceOfByte; lower-case digits are no byte piece.
func byteOfPiece(s string) (byte, bool) {
	if len(s) != 6 {
		return 0, false
	}
	high, low := strings.IndexByte(hexDigits, s[3]), strings.IndexByte(hexDigits, s[4])
	if high < 0 || low < 0 {
		return 0, false
	}
	b := byte(high<<4 | low)
	return b, s == pieceOfByte(b)
}
