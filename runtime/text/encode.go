package text

// token is a run of normalized text and the id it got; id is -1 or the unknown piece's if the vocabulary lacks it.
type token struct {
	text string
	id   int32
}

// Normalize returns the text that pieces are cut from: the file's rules applied, spaces marked by U+2581, invalid UTF-8
// replaced by U+FFFD byte by byte.
func (m *Model) Normalize(text string) string { return m.normalizer.apply(text) }

// Encode returns the ids of a text of any length, without BOS and EOS. What the vocabulary cannot spell becomes byte
// pieces in models with byte fallback, and otherwise one UNK() for each unbroken run. The time taken grows as n log n
// with the length of the text.
func (m *Model) Encode(text string) []int {
	_, tokens := m.tokens(text)
	ids := make([]int, 0, len(tokens))
	afterUnknown := false
	for _, t := range tokens {
		unknown := m.isUnknown(t.id)
		switch {
		case unknown && m.byteFallback:
			for i := 0; i < len(t.text); i++ {
				ids = append(ids, int(m.byteIDs[t.text[i]]))
			}
		case !unknown || !afterUnknown:
			ids = append(ids, int(t.id))
		}
		afterUnknown = unknown
	}
	return ids
}

// EncodePieces is Encode with strings in place of ids: each piece as spelled in the vocabulary, but an unknown run as it
// stands in the normalized text, so that it is not lost.
func (m *Model) EncodePieces(text string) []string {
	s, tokens := m.tokens(text)
	pieces := make([]string, 0, len(tokens))
	afterUnknown := false
	at, runStart := 0, 0 // in s
	for _, t := range tokens {
		unknown := m.isUnknown(t.id)
		switch {
		case unknown && m.byteFallback:
			for i := 0; i < len(t.text); i++ {
				pieces = append(pieces, pieceOfByte(t.text[i]))
			}
		case unknown && afterUnknown:
			pieces[len(pieces)-1] = s[runStart : at+len(t.text)]
		default:
			pieces = append(pieces, t.text)
			runStart = at
		}
		at += len(t.text)
		afterUnknown = unknown
	}
	return pieces
}

func (m *Model) isUnknown(id int32) bool { return id < 0 || m.pieces[id].kind == Unknown }

// tokens normalizes a text and cuts it; the tokens, side by side, are the normalized text s.
func (m *Model) tokens(text string) (s string, tokens []token) {
	s = m.normalizer.apply(text)
	if s == "" {
		return "", nil
	}
	switch m.algorithm {
	case bpeModel:
		tokens = m.bpe.cut(m, s)
	case wordModel:
		tokens = m.cutWords(s)
	case charModel:
		tokens = m.cutChars(s)
	default:
		tokens = m.unigram.cut(m, s)
	}
	return s, tokens
}

// symbol returns the length in bytes of the first symbol of s, and whether it is user-defined: the longest user-defined
// symbol that begins s, or one character.
func (m *Model) symbol(s string) (n int, userDefined bool) {
	if m.userDefined != nil {
		if n := m.userDefined.longest(s); n > 0 {
			return n, true
		}
	}
	return charLen(s), false
}

// charLen returns the length of the character that begins s, by its first byte alone: normalized text is valid UTF-8
// unless the model file itself holds invalid pieces or rules.
func charLen(s string) int {
	n := 1
	switch c := s[0]; {
	case c >= 0xf0:
		n = 4
	case c >= 0xe0:
		n = 3
	case c >= 0xc0:
		n = 2
	}
	return min(n, len(s))
}

// cutWords cuts before each space symbol.
func (m *Model) cutWords(s string) []token {
	var out []token
	start := 0
	for i := charLen(s); i < len(s); i += charLen(s[i:]) {
		if hasSpaceSymbol(s, i) {
			out = append(out, m.token(s[start:i]))
			start = i
		}
	}
	return append(out, m.token(s[start:]))
}

func hasSpaceSymbol(s string, i int) bool {
	return len(s)-i >= len(spaceSymbol) && s[i:i+len(spaceSymbol)] == spaceSymbol
}

// cutChars makes each character and each user-defined symbol a piece.
func (m *Model) cutChars(s string) []token {
	var out []token
	for len(s) > 0 {
		n, _ := m.symbol(s)
		out = append(out, m.token(s[:n]))
		s = s[n:]
	}
	return out
}

// token looks up a run of text. Text that spells a control or byte piece is ordinary text; an unused piece is unknown.
func (m *Model) token(s string) token {
	if id, ok := m.normal[s]; ok && m.pieces[id].kind != Unused {
		return token{s, id}
	}
	return token{s, int32(m.unk)}
}
