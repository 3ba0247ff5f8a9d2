package runtime

import (
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func textScalar(s string) *tensor.Tensor { return tensor.FromStrings(nil, []string{s}) }

// TestStringOps asserts what TensorFlow 2.21 answers where it is not what one would guess.
func TestStringOps(t *testing.T) {
	str, num, yes := graphdef.StringAttr, graphdef.IntAttr, graphdef.BoolAttr(true)
	replace := func(s, pattern, rewrite, want string) evalCase {
		return evalCase{"replace " + pattern, "RegexReplace", nil,
			[]*tensor.Tensor{words(s), textScalar(pattern), textScalar(rewrite)}, []string{want}, ""}
	}
	substr := func(s string, pos, length int32, want string) evalCase {
		c := evalCase{"substr " + s, "Substr", attrs{"unit": str("UTF8_CHAR")},
			[]*tensor.Tensor{words(s), tensor.Scalar(pos), tensor.Scalar(length)}, []string{want}, ""}
		if want == "" {
			c.want, c.fails = nil, "pos is"
		}
		return c
	}
	for _, c := range []evalCase{
		replace("abc", "b*", "-", `string[1] [-a-c-]`),
		replace("aXbX", "X", `\1`, `string[1] [aXbX]`),
		replace("aXbX", "X", `q\z`, `string[1] [aqbq]`),
		replace("ab", "(a)|(b)", `[\1\2]`, `string[1] [[a][b]]`),
		substr("héllo", -4, 2, `string[1] [él]`),
		substr("hello", -2, 5, `string[1] [lo]`),
		substr("hello", 6, 1, ""),
		substr("hello", -2, -1, ""),
		substr("hello", -2147483648, 2147483647, ""),
		{"split by characters", "StringSplit", nil, []*tensor.Tensor{words("ab", ""), textScalar("")},
			[]string{"int64[2, 2] [0 0 0 1]", `string[2] [a b]`, "int64[2] [2 2]"}, ""},
		{"split leaves an empty rest", "StringSplitV2", attrs{"maxsplit": num(1)}, []*tensor.Tensor{words("a"), textScalar("")},
			[]string{"int64[2, 2] [0 0 0 1]", `string[2] [a ]`, "int64[2] [1 2]"}, ""},
		{"upper case by Unicode", "StringUpper", attrs{"encoding": str("utf-8")}, []*tensor.Tensor{words("straße\xff")},
			[]string{`string[1] [STRASSE�]`}, ""},
		{"lower case ends at NUL", "StringLower", attrs{"encoding": str("utf-8")}, []*tensor.Tensor{words("ΟΣ A\x00B")},
			[]string{`string[1] [ος a]`}, ""},
		{"printf %g", "AsString", attrs{"shortest": yes}, []*tensor.Tensor{tensor.FromSlice(tensor.Shape{3}, []float32{123456789, 1e6, 1e5})},
			[]string{`string[3] [1.23457e+08 1e+06 100000]`}, ""},
		{"integers have no precision", "AsString", attrs{"precision": num(2)}, []*tensor.Tensor{ints32(1)}, nil, "precision"},
		{"base64 with a pad too few", "DecodeBase64", nil, []*tensor.Tensor{words("YQ=")}, nil, "base64"},
		{"hexadecimal floats", "StringToNumber", nil, []*tensor.Tensor{words("0x10", " -inf ", "1e400")},
			[]string{"float[3] [16 -Inf +Inf]"}, ""},
		{"summaries", "StringFormat", attrs{"template": str("<%s>"), "summarize": num(1)},
			[]*tensor.Tensor{tensor.FromSlice(tensor.Shape{3, 1}, []int32{1, 2, 3})}, []string{"string[] [<[[1]\n ...\n [3]]>]"}, ""},
		{"scripts", "UnicodeScript", nil, []*tensor.Tensor{ints32(-1, 0x110000, 0xd800, 65)}, []string{"int32[4] [-1 -1 103 25]"}, ""},
		{"maximal parts", "UnicodeDecode", attrs{"input_encoding": str("UTF-8")}, []*tensor.Tensor{words("a\xe3\x81b\xed\xa0\x80")},
			[]string{"int64[2] [0 6]", "int32[6] [97 65533 98 65533 65533 65533]"}, ""},
		{"several bytes a character", "UnicodeDecodeWithOffsets", attrs{"input_encoding": str("Shift_JIS")},
			[]*tensor.Tensor{words("\x93\xfax\x81")}, []string{"int64[2] [0 3]", "int32[3] [26085 120 65533]", "int64[3] [0 2 3]"}, ""},
		{"no separator after nothing", "UnsortedSegmentJoin", attrs{"separator": str("+")},
			[]*tensor.Tensor{words("", "a", "", "b"), ints32(0, 0, 0, 0), tensor.Scalar(int32(2))}, []string{"string[2] [a++b ]"}, ""},
		{"n-grams of more memory than there is", "StringNGrams", attrs{"ngram_widths": graphdef.IntsAttr(1<<31 - 1), "separator": str(" "), "left_pad": str("<"),
			"right_pad": str(">"), "pad_width": num(-1), "preserve_short_sequences": yes}, []*tensor.Tensor{words("a"), tensor.FromSlice(tensor.Shape{2}, []int64{0, 1})},
			nil, "limit"},
		{"ragged range", "RaggedRange", nil, []*tensor.Tensor{ints32(0, 5), tensor.Scalar(int32(10)), ints32(3, -1)},
			[]string{"int64[3] [0 4 4]", "int32[4] [0 3 6 9]"}, ""},
		{"sparse places in order", "SparseToDense", nil, []*tensor.Tensor{ints32(2, 0), ints32(3), ints32(5, 6), tensor.Scalar(int32(0))},
			nil, "sparse_indices[1]"},
	} {
		c.run(t)
	}
}
