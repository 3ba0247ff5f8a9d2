package text

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// normalizer rewrites text before it is cut into pieces: rules replace the longest prefix they know, spaces are trimmed
// and joined, then marked by spaceSymbol.
type normalizer struct {
	rules        charsmap
	dummySpace   bool // add a space at the front, or at the end if suffix is set
	removeSpaces bool
	escape       bool
	suffix       bool
	verbatim     *trie // user-defined symbols, which no rule may touch; nil: none
}

func newNormalizer(spec normalizerSpec) (normalizer, error) {
	n := normalizer{dummySpace: spec.addDummyPrefix, removeSpaces: spec.removeExtraSpaces, escape: spec.escapeSpace}
	if len(spec.charsmap) == 0 {
		return n, nil
	}
	var err error
	n.rules, err = newCharsmap(spec.charsmap)
	return n, err
}

// apply normalizes s. Each byte that is no part of valid UTF-8 becomes U+FFFD.
func (n *normalizer) apply(s string) string {
	if n.removeSpaces {
		for s != "" {
			to, used := n.prefix(s)
			if to != " " {
				break
			}
			s = s[used:]
		}
	}
	if s == "" {
		return ""
	}
	space := " "
	if n.escape {
		space = spaceSymbol
	}
	out := make([]byte, 0, len(s)+len(s)/2+2*len(space))
	if n.dummySpace && !n.suffix {
		out = append(out, space...)
	}
	// The dummy space is no reason to drop spaces that follow it, but the start of the text is.
	afterSpace := n.removeSpaces
	for s != "" {
		to, used := n.prefix(s)
		s = s[used:]
		if afterSpace {
			to = strings.TrimLeft(to, " ")
		}
		if to == "" {
			continue
		}
		for {
			i := strings.IndexByte(to, ' ')
			if i < 0 {
				out = append(out, to...)
				break
			}
			out = append(append(out, to[:i]...), space...)
			to = to[i+1:]
			if to == "" {
				break
			}
		}
		afterSpace = n.removeSpaces && to == ""
	}
	if n.removeSpaces {
		for bytes.HasSuffix(out, []byte(space)) {
			out = out[:len(out)-len(space)]
		}
	}
	if n.dummySpace && n.suffix {
		out = append(out, space...)
	}
	return string(out)
}

// prefix replaces the start of s, which must not be empty: it returns the new text and how many bytes of s it stands for.
func (n *normalizer) prefix(s string) (to string, used int) {
	if n.verbatim != nil {
		if used := n.verbatim.longest(s); used > 0 {
			return s[:used], used
		}
	}
	if to, used := n.rules.replace(s); used > 0 {
		return to, used
	}
	if s[0] < utf8.RuneSelf {
		return s[:1], 1
	}
	r, used := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && used == 1 {
		return "\uFFFD", 1
	}
	return s[:used], used
}

// charsmap is the file's precompiled_charsmap: a double-array trie in the layout of the Darts-clone library, whose values
// are offsets of NUL-terminated replacements.
type charsmap struct {
	units        []uint32
	replacements string
}

func newCharsmap(blob []byte) (charsmap, error) {
	if len(blob) < 4 {
		return charsmap{}, fmt.Errorf("precompiled_charsmap has %d bytes, want at least 4", len(blob))
	}
	size, rest := uint64(binary.LittleEndian.Uint32(blob)), blob[4:]
	if size >= uint64(len(rest)) {
		return charsmap{}, fmt.Errorf("precompiled_charsmap announces a trie of %d bytes, have %d", size, len(rest))
	}
	if size < 4 {
		return charsmap{}, errors.New("precompiled_charsmap has an empty trie")
	}
	c := charsmap{units: make([]uint32, size/4), replacements: string(rest[size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !strings.HasSuffix(c.replacements, "\x00") {
		return charsmap{}, errors.New("precompiled_charsmap has a replacement without end")
	}
	return c, nil
}

// maxRuleBytes bounds how much of the text a rule may stand for. Rules have some ten bytes; a broken trie may hold a loop.
const maxRuleBytes = 1024

// The fields of a unit: a label with a mark in the sign bit for values, the distance to its children, and whether one of
// them (that of label 0) is a value.
func unitLabel(u uint32) uint32  { return u & (1<<31 | 0xff) }
func unitHasLeaf(u uint32) bool  { return u>>8&1 != 0 }
func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }
func unitValue(u uint32) uint32  { return u &^ (1 << 31) }

// replace finds the longest rule that begins s: it returns the replacement and how many bytes of s it stands for, 0 if no
// rule applies.
func (c *charsmap) replace(s string) (to string, used int) {
	units := c.units
	if len(units) == 0 {
		return "", 0
	}
	value := uint32(0)
	at := unitOffset(units[0])
	for i := 0; i < min(len(s), maxRuleBytes); i++ {
		at ^= uint32(s[i])
		if uint64(at) >= uint64(len(units)) || unitLabel(units[at]) != uint32(s[i]) {
			break
		}
		u := units[at]
		at ^= unitOffset(u)
		if unitHasLeaf(u) {
			if uint64(at) >= uint64(len(units)) {
				break
			}
			used, value = i+1, unitValue(units[at])
		}
	}
	if used == 0 || uint64(value) >= uint64(len(c.replacements)) {
		return "", 0
	}
	to = c.replacements[value:]
	return to[:strings.IndexByte(to, 0)], used
}
