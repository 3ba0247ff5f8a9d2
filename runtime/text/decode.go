package text

import (
	"strings"
	"unicode/utf8"
)

// Decode turns ids into text: control pieces vanish, the unknown piece becomes the surface the model names (" ⁇ " by
// default), byte pieces become bytes (U+FFFD for each that is no part of valid UTF-8), and space symbols become spaces,
// except those at the front that the normalizer adds or drops. An id outside the vocabulary decodes as an unknown piece.
func (m *Model) Decode(ids []int) string {
	var out strings.Builder
	var bytes []byte
	// atStart holds until something visible, or the one added space, has been seen.
	atStart := true
	for _, id := range ids {
		kind := Unknown
		if id >= 0 && id < len(m.pieces) {
			kind = m.pieces[id].kind
		}
		if kind == Byte {
			b, _ := byteOfPiece(m.pieces[id].text)
			bytes = append(bytes, b)
			continue
		}
		writeValid(&out, bytes)
		bytes = bytes[:0]
		atStart = atStart && out.Len() == 0
		switch kind {
		case Control:
			continue
		case Unknown:
			out.WriteString(m.unkSurface)
			continue
		}
		s := m.pieces[id].text
		if atStart && (m.normalizer.dummySpace || m.normalizer.removeSpaces) && strings.HasPrefix(s, spaceSymbol) {
			s = s[len(spaceSymbol):]
			// One space was added in front of the text; where the normalizer drops spaces, all of them go.
			atStart = m.normalizer.removeSpaces
		}
		out.WriteString(strings.ReplaceAll(s, spaceSymbol, " "))
	}
	writeValid(&out, bytes)
	if m.denormalizer != nil {
		return m.denormalizer.apply(out.String())
	}
	return out.String()
}

// writeValid writes bytes as text, each that is no part of valid UTF-8 as U+FFFD.
func writeValid(out *strings.Builder, bytes []byte) {
	for len(bytes) > 0 {
		r, n := utf8.DecodeRune(bytes)
		out.WriteRune(r)
		bytes = bytes[n:]
	}
}
