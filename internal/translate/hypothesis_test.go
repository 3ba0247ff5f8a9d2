package translate

import (
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

func TestReadHypothesis(t *testing.T) {
	const eos, pad = 1, 0
	for _, c := range []struct {
		name    string
		row     []int
		bos     int
		want    []int
		stopped bool
		tokens  int
	}{
		{"start is pad", []int{0, 5, 6, 1, 0, 0}, -1, []int{5, 6}, true, 3},
		{"start is bos", []int{2, 5, 6, 1}, 2, []int{5, 6}, true, 3},
		{"no start", []int{5, 6, 1, 0}, 2, []int{5, 6}, true, 3},
		{"start is eos", []int{1, 5, 6, 1, 0}, -1, []int{5, 6}, true, 3},
		{"start is eos and so is the end", []int{1, 1, 0}, -1, nil, true, 1},
		{"empty without start", []int{1, 0, 0}, -1, nil, true, 1},
		{"empty", []int{0, 1, 0}, -1, nil, true, 1},
		{"cut at the first eos", []int{0, 5, 1, 6, 1}, -1, []int{5}, true, 2},
		{"never stopped", []int{0, 5, 6, 7}, -1, []int{5, 6, 7}, false, 3},
		{"never stopped, padded", []int{0, 5, 6, 0}, -1, []int{5, 6}, false, 2},
		{"bos later is a piece", []int{2, 5, 2, 1}, 2, []int{5, 2}, true, 3},
		{"no bos at all", []int{2, 5, 1}, -1, []int{2, 5}, true, 3},
		{"nothing", nil, -1, nil, false, 0},
	} {
		h := ReadHypothesis(c.row, eos, pad, c.bos)
		if !slices.Equal(h.IDs, c.want) || h.Stopped != c.stopped || h.Tokens() != c.tokens {
			t.Errorf("%s: %v gives %v, stopped %v, %d tokens; want %v, %v, %d", c.name, c.row, h.IDs, h.Stopped, h.Tokens(), c.want, c.stopped, c.tokens)
		}
	}
}

func TestRows(t *testing.T) {
	ids := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	beams := tensor.FromSlice(tensor.Shape{2, 3, 2}, ids)
	for _, c := range []struct {
		t            *tensor.Tensor
		batch, beams int
		want, err    string
	}{
		{beams, 2, 1, "[[[1 2]] [[7 8]]]", ""},
		{beams, 2, 3, "[[[1 2] [3 4] [5 6]] [[7 8] [9 10] [11 12]]]", ""},
		{beams, 2, 4, "", "have 3 hypotheses a sentence, want 4"},
		{beams, 3, 1, "", "have shape [2, 3, 2], want [3, length] or [3, beam, length]"},
		{tensor.FromSlice(tensor.Shape{2, 2}, []int64{1, 2, 3, 4}), 2, 1, "[[[1 2]] [[3 4]]]", ""},
		{tensor.FromSlice(tensor.Shape{2, 2}, []int64{1, 2, 3, 4}), 2, 2, "", "have 1 hypotheses a sentence, want 2"},
		{tensor.FromSlice(tensor.Shape{2}, []int64{1, 2}), 2, 1, "", "have shape [2]"},
		{tensor.FromSlice(tensor.Shape{1, 2}, []float32{1, 2}), 1, 1, "", "have dtype float, want int32 or int64"},
		{tensor.New(tensor.Int32, tensor.Shape{2, 1, 0}), 2, 1, "[[[]] [[]]]", ""},
	} {
		got, err := Rows(c.t, c.batch, c.beams)
		checkResult(t, got, err, c.want, c.err)
	}
}

func TestScores(t *testing.T) {
	two := tensor.FromSlice(tensor.Shape{2, 2}, []float32{-1, -2, -3, -4})
	for _, c := range []struct {
		t            *tensor.Tensor
		batch, beams int
		want, err    string
	}{
		{two, 2, 1, "[[-1] [-3]]", ""},
		{two, 2, 2, "[[-1 -2] [-3 -4]]", ""},
		{two, 2, 3, "", "have shape [2, 2], want [2, 3]"},
		{tensor.FromSlice(tensor.Shape{2}, []float64{1, 2}), 2, 1, "[[1] [2]]", ""},
		{tensor.FromTyped(tensor.Bfloat16, tensor.Shape{1}, []uint16{0x3fc0}), 1, 1, "[[1.5]]", ""},
		{tensor.FromTyped(tensor.Float16, tensor.Shape{1}, []uint16{0x3e00}), 1, 1, "[[1.5]]", ""},
	} {
		got, err := scores(c.t, c.batch, c.beams)
		checkResult(t, got, err, c.want, c.err)
	}
}

// checkResult compares what was got, printed, and the start of the error.
func checkResult(t *testing.T, got any, err error, want, wantErr string) {
	t.Helper()
	switch {
	case wantErr != "" && (err == nil || !strings.HasPrefix(err.Error(), wantErr)):
		t.Errorf("error %v, want %s", err, wantErr)
	case wantErr == "" && err != nil:
		t.Error(err)
	case wantErr == "" && sprint(got) != want:
		t.Errorf("got %v, want %s", got, want)
	}
}
