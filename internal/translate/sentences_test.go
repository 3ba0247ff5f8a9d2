package translate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/runtime/text"
	"github.com/tfq8/tfq8/tensor"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"\n", []string{""}},
		{"a", []string{"a"}},
		{"a\n", []string{"a"}},
		{"a\n\nb\n", []string{"a", "", "b"}},
		{"a\r\nb\r\n", []string{"a", "b"}},
		{"a\u2028b\vc\n", []string{"a\u2028b\vc"}}, // only line feeds end lines
		{" a \n", []string{" a "}},
	} {
		if got := Lines(c.in); !slices.Equal(got, c.want) {
			t.Errorf("Lines(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestEncode(t *testing.T) {
	m, err := text.Load("../../testdata/numbers/spm.model")
	if err != nil {
		t.Fatal(err)
	}
	got := Encode(m, []string{"", "seven"}, 1)
	if !slices.Equal(got[0], []int{1}) {
		t.Errorf("an empty line is %v, want eos alone", got[0])
	}
	if want := append(m.Encode("seven"), 1); !slices.Equal(got[1], want) {
		t.Errorf("Encode = %v, want %v", got[1], want)
	}
}

// sentence returns a sentence of so many ids.
func sentence(length int) []int { return slices.Repeat([]int{7}, length) }

func TestBatches(t *testing.T) {
	var source, target [][]int
	for _, n := range []int{3, 1, 5, 3, 0, 3, 5} {
		source = append(source, sentence(n))
	}
	for _, n := range []int{1, 1, 1, 4, 9, 1, 5} {
		target = append(target, sentence(n))
	}
	for _, c := range []struct {
		got  [][]int
		want string
	}{
		{Packing{Sentences: 2}.Batches(source), "[[2 6] [0 3] [5 1] [4]]"}, // ties in the order of the text
		{Packing{}.Batches(source), "[[2 6 0 3 5 1 4]]"},
		{Packing{Sentences: 3}.Batches(source, target), "[[4 2 6] [3 0 5] [1]]"},
		{Packing{Tokens: 10}.Batches(source), "[[2 6] [0 3 5] [1 4]]"},
		{Packing{Tokens: 4}.Batches(source), "[[2] [6] [0] [3] [5] [1 4]]"},
		{Packing{Tokens: 6, Sort: Unsorted}.Batches(source), "[[0 1] [2] [3 4] [5] [6]]"},
		{Packing{Sentences: 4, Sort: ByWords, Words: []int{1, 9, 1, 2, 3, 1, 1}}.Batches(source), "[[1 4 3 0] [2 5 6]]"},
		{Packing{Sentences: 3}.Batches(), "[]"},
		{Packing{Sentences: 3}.Batches(nil), "[]"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("batches %s, want %s", got, c.want)
		}
	}
}

func TestPad(t *testing.T) {
	sentences := [][]int{{4, 1}, {1}, {5, 6, 7, 1}}
	got := Pad(tensor.Int32, 9, sentences, []int{1, 0})
	if want := tensor.FromSlice(tensor.Shape{2, 2}, []int32{1, 9, 4, 1}); got.String() != want.String() {
		t.Errorf("Pad = %v, want %v", got, want)
	}
	got = Pad(tensor.Int64, 0, sentences, []int{2, 1})
	if want := tensor.FromSlice(tensor.Shape{2, 4}, []int64{5, 6, 7, 1, 1, 0, 0, 0}); got.String() != want.String() {
		t.Errorf("Pad = %v, want %v", got, want)
	}
}
