package main

import (
	"testing"
	"unicode/utf8"
)

// FuzzLiteral reads arbitrary text as a value of each dtype: an error, or a tensor that prints as text which reads as the same.
func FuzzLiteral(f *testing.F) {
	for _, text := range []string{"[[1, 2], [3, -4]]", "[true, false]", `["a\"b", ""]`, "nan", "[inf, -inf, 1e-3]", "[[], []]", "[[[1]],", "1 2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip() // JSON has no such strings
		}
		for d := range appendTo {
			v, err := parseLiteral(text, d)
			if err != nil {
				continue
			}
			printed := string(jsonValues(v))
			again, err := parseLiteral(printed, d)
			if err != nil {
				t.Fatalf("%v %q prints as %s: %v", d, text, printed, err)
			}
			if v.Len() > 0 && string(jsonValues(again)) != printed {
				t.Fatalf("%v %q prints as %s, which reads as another value", d, text, printed)
			}
		}
	})
}
