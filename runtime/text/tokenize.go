package text

import (
	"strings"
	"unicode"
)

// tokenize13a splits a line into the words and marks that BLEU counts, by the rules of mteval-v13a as sacrebleu applies
// them: ASCII punctuation stands alone, except periods, commas and dashes inside numbers and apostrophes and dashes
// inside words.
func tokenize13a(line string) []string {
	line = strings.TrimRightFunc(line, isSpace)
	line = strings.ReplaceAll(line, "<skipped>", "")
	line = strings.ReplaceAll(line, "-\n", "")
	line = strings.ReplaceAll(line, "\n", " ")
	if strings.IndexByte(line, '&') >= 0 {
		// One after the other and this one first, so that &amp;lt; becomes <.
		line = strings.ReplaceAll(line, "&quot;", `"`)
		line = strings.ReplaceAll(line, "&amp;", "&")
		line = strings.ReplaceAll(line, "&lt;", "<")
		line = strings.ReplaceAll(line, "&gt;", ">")
	}
	s := []byte(" " + line + " ")
	s = spaceAroundMarks(s)
	s = splitAfterNonDigit(s)
	s = splitBeforeNonDigit(s)
	s = splitDashAfterDigit(s)
	return strings.FieldsFunc(string(s), isSpace)
}

// The four steps work on bytes: what they look for is ASCII, and a byte of a longer character is "no digit" like the
// character itself.

// spaceAroundMarks sets spaces around ASCII punctuation other than apostrophe, comma, dash and period.
func spaceAroundMarks(s []byte) []byte {
	out := make([]byte, 0, len(s)+len(s)/4)
	for _, c := range s {
		switch {
		case c >= '{' && c <= '~', c >= '[' && c <= '`', c >= ' ' && c <= '&', c >= '(' && c <= '+', c >= ':' && c <= '@', c == '/':
			out = append(out, ' ', c, ' ')
		default:
			out = append(out, c)
		}
	}
	return out
}

// splitAfterNonDigit sets spaces around a period or comma that follows anything but a digit. The two bytes are taken
// together: of two periods in a row, the second is left.
func splitAfterNonDigit(s []byte) []byte {
	out := make([]byte, 0, len(s)+len(s)/8)
	for i := 0; i < len(s); i++ {
		out = append(out, s[i])
		if i+1 < len(s) && !isDigit(s[i]) && isPoint(s[i+1]) {
			out = append(out, ' ', s[i+1], ' ')
			i++
		}
	}
	return out
}

// splitBeforeNonDigit sets spaces around a period or comma that stands before anything but a digit, and takes both bytes.
func splitBeforeNonDigit(s []byte) []byte {
	out := make([]byte, 0, len(s)+len(s)/8)
	for i := 0; i < len(s); i++ {
		if i+1 < len(s) && isPoint(s[i]) && !isDigit(s[i+1]) {
			out = append(out, ' ', s[i], ' ', s[i+1])
			i++
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// splitDashAfterDigit sets spaces around a dash that follows a digit.
func splitDashAfterDigit(s []byte) []byte {
	out := make([]byte, 0, len(s)+len(s)/8)
	for i, c := range s {
		if c == '-' && i > 0 && isDigit(s[i-1]) {
			out = append(out, ' ', '-', ' ')
			continue
		}
		out = append(out, c)
	}
	return out
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isPoint(c byte) bool { return c == '.' || c == ',' }

// isSpace is white space as Python splits by it: Unicode's, and four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
