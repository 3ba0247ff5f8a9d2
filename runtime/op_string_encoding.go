package runtime

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// decoder gives the code points of s in turn: each with the byte that it begins at; bad marks U+FFFD for what is malformed.
type decoder func(s string, emit func(r rune, at int, bad bool))

// textDecoder returns the decoder of an encoding by its IANA name, in any case.
func textDecoder(name string) (decoder, error) {
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(name)) {
	case "UTF8":
		return decodeUTF8, nil
	case "UTF16", "UTF16BE", "UTF16LE":
		return wideDecoder(name, 2), nil
	case "UTF32", "UTF32BE", "UTF32LE":
		return wideDecoder(name, 4), nil
	case "USASCII", "ASCII":
		return func(s string, emit func(rune, int, bool)) {
			for i := range len(s) {
				if s[i] < utf8.RuneSelf {
					emit(rune(s[i]), i, false)
				} else {
					emit(utf8.RuneError, i, true)
				}
			}
		}, nil
	}
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil { // ICU does not tell - from _, and knows the code pages of Windows by their numbers
		other := strings.ReplaceAll(name, "-", "_")
		if page, ok := strings.CutPrefix(strings.ToLower(name), "cp125"); ok {
			other = "windows-125" + page
		}
		enc, err = ianaindex.IANA.Encoding(other)
	}
	if err != nil || enc == nil {
		return nil, fmt.Errorf("input_encoding %q is not known", name)
	}
	if m, ok := enc.(*charmap.Charmap); ok {
		return func(s string, emit func(rune, int, bool)) {
			for i := range len(s) {
				r := m.DecodeByte(s[i])
				if r == utf8.RuneError && s[i] >= 0x80 && s[i] < 0xa0 {
					r = rune(s[i]) // ICU has a control there
				}
				emit(r, i, r == utf8.RuneError)
			}
		}, nil
	}
	return func(s string, emit func(rune, int, bool)) { decodeSteps(enc, s, emit) }, nil
}

// decodeSteps hands an encoding of several bytes a character more and more of s until it gives the next one.
func decodeSteps(enc encoding.Encoding, s string, emit func(rune, int, bool)) {
	t := enc.NewDecoder()
	var dst [16]byte
	src := []byte(s)
	for at, from := 0, 0; from < len(src); {
		for to := from + 1; ; to++ {
			end := to >= len(src)
			n, used, err := t.Transform(dst[:], src[from:min(to, len(src))], end)
			from += used
			for b := dst[:n]; len(b) > 0; {
				r, size := utf8.DecodeRune(b)
				emit(r, at, r == utf8.RuneError)
				b = b[size:]
			}
			if n > 0 || end {
				if err == transform.ErrShortSrc || end && used == 0 && n == 0 {
					from = len(src)
				}
				break
			}
		}
		at = from
	}
}

// decodeUTF8 is the decoder of UTF-8; each maximal part of what could begin a character is one fault.
func decodeUTF8(s string, emit func(rune, int, bool)) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && size <= 1
		if bad {
			size = faultyBytes(s[i:])
		}
		emit(r, i, bad)
		i += size
	}
}

// faultyBytes returns how many bytes at the start of s, which begins with no character, could have been the start of one.
func faultyBytes(s string) int {
	need, low, high := 0, byte(0x80), byte(0xbf)
	switch b := s[0]; {
	case b == 0xe0:
		need, low = 2, 0xa0
	case b == 0xed:
		need, high = 2, 0x9f
	case b > 0xe0 && b <= 0xef:
		need = 2
	case b == 0xf0:
		need, low = 3, 0x90
	case b == 0xf4:
		need, high = 3, 0x8f
	case b > 0xf0 && b < 0xf4:
		need = 3
	}
	n := 1
	for n < need && n < len(s) && s[n] >= low && s[n] <= high {
		low, high = 0x80, 0xbf
		n++
	}
	return n
}

// wideDecoder is for UTF-16 and UTF-32, of size bytes a unit; where the name leaves the order open, a mark at the start says
// it, and without one it is big-endian.
func wideDecoder(name string, size int) decoder {
	name = strings.ToUpper(name)
	little := strings.HasSuffix(name, "LE")
	open := !little && !strings.HasSuffix(name, "BE")
	return func(s string, emit func(rune, int, bool)) {
		little := little
		unit := func(i int) rune {
			var v uint32
			for k := range size {
				b := s[i+k]
				if little {
					b = s[i+size-1-k]
				}
				v = v<<8 | uint32(b)
			}
			return rune(v)
		}
		i, at := 0, 0
		if open && len(s) >= size {
			const mark = 0xfeff
			if little = true; unit(0) == mark {
				i = size
			} else if little = false; unit(0) == mark {
				i = size
			}
		}
		for i < len(s) {
			if len(s)-i < size {
				emit(utf8.RuneError, at, true)
				return
			}
			r := unit(i)
			i += size
			if size == 2 && utf16.IsSurrogate(r) && len(s)-i >= size {
				if pair := utf16.DecodeRune(r, unit(i)); pair != utf8.RuneError {
					r = pair
					i += size
				}
			}
			if utf8.ValidRune(r) {
				emit(r, at, false)
			} else {
				emit(utf8.RuneError, at, true)
			}
			at = i
		}
	}
}

// textEncoder returns a function that appends a code point in the given encoding.
func textEncoder(name string) (func([]byte, rune) []byte, error) {
	switch name {
	case "UTF-8":
		return utf8.AppendRune, nil
	case "UTF-16-BE":
		return func(b []byte, r rune) []byte {
			for _, u := range utf16.AppendRune(nil, r) {
				b = append(b, byte(u>>8), byte(u))
			}
			return b
		}, nil
	case "UTF-32-BE":
		return func(b []byte, r rune) []byte { return append(b, byte(r>>24), byte(r>>16), byte(r>>8), byte(r)) }, nil
	}
	return nil, fmt.Errorf("output_encoding is %q, want UTF-8, UTF-16-BE or UTF-32-BE", name)
}
