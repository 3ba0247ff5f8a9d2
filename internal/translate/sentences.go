// Package translate runs text through a translation graph: lines become sentences of ids ([Encode]), sentences become
// batches, longest first ([Packing], [Pad]), a [Translator] runs these on several sessions that share one plan and pull from
// one queue, and hypotheses come back in the order of the lines. [Choose] finds out which tensors of a graph take part.
//
//	ports, err := translate.Choose(g, graphdef.Infer(g), inputs, outputs)
//	t, err := translate.New(g, ports, translate.Options{EOS: m.EOS(), Streams: 2})
//	res, err := t.Translate(ctx, translate.Encode(m, lines, m.EOS()))
//	fmt.Println(m.Decode(res.Hypotheses[0][0].IDs))
//
// What comes out of a sentence does not depend on its batch or on the number of streams, as far as the graph itself keeps
// the rows of a batch apart.
package translate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tfq8/tfq8/runtime/text"
	"github.com/tfq8/tfq8/tensor"
)

// Sort is the order in which sentences are cut into batches.
type Sort int

const (
	// ByTokens takes the longest sentences first, by the ids that they are cut into.
	ByTokens Sort = iota
	// ByWords takes those of the most words first.
	ByWords
	// Unsorted keeps the order of the text.
	Unsorted
)

// Packing says how sentences are cut into batches. The zero value packs by tokens.
type Packing struct {
	// Sentences is the number of sentences in a batch; 0: as many as Tokens allows.
	Sentences int
	// Tokens bounds a batch where Sentences does not: rows times the longest one. 0 is DefaultTokens. A sentence that is
	// longer makes a batch of its own.
	Tokens int
	Sort   Sort
	// Words has the number of words of each sentence, for ByWords.
	Words []int
}

// DefaultTokens makes batches that fill the tiles of a decoder with four beams, also when half of the sentences have left, and whose
// values lie in the second-level cache.
const DefaultTokens = 256

// Lines splits a text at its line feeds; a carriage return before one belongs to it. What follows the last line feed is a
// line if there is anything.
func Lines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// Encode returns the ids of each line: its pieces, then eos. An empty line is eos alone.
func Encode(m *text.Model, lines []string, eos int) [][]int {
	sentences := make([][]int, len(lines))
	for i, l := range lines {
		sentences[i] = append(m.Encode(l), eos)
	}
	return sentences
}

// Batches divides the sentences 0, 1, … of one or more parallel texts (source, target) into batches. The longest side of a
// sentence counts; ties stay in the order of the text.
func (p Packing) Batches(texts ...[][]int) [][]int {
	if len(texts) == 0 {
		return nil
	}
	length := make([]int, len(texts[0]))
	order := make([]int, len(length))
	for i := range order {
		order[i] = i
		for _, t := range texts {
			length[i] = max(length[i], len(t[i]))
		}
	}
	key := length
	switch {
	case p.Sort == Unsorted:
		key = nil
	case p.Sort == ByWords && len(p.Words) == len(length):
		key = p.Words
	}
	if key != nil {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(key[b], key[a]) })
	}
	if p.Sentences > 0 {
		return slices.Collect(slices.Chunk(order, p.Sentences))
	}
	budget := p.Tokens
	if budget <= 0 {
		budget = DefaultTokens
	}
	var batches [][]int
	for first := 0; first < len(order); {
		longest, end := length[order[first]], first+1
		for ; end < len(order); end++ {
			l := max(longest, length[order[end]])
			if l*(end+1-first) > budget {
				break
			}
			longest = l
		}
		batches = append(batches, order[first:end])
		first = end
	}
	return batches
}

// Pad returns the chosen rows of sentences as a tensor [len(rows), longest] of dtype int32 or int64, filled up with pad.
func Pad(dtype tensor.DType, pad int, sentences [][]int, rows []int) *tensor.Tensor {
	width := 0
	for _, r := range rows {
		width = max(width, len(sentences[r]))
	}
	shape := tensor.Shape{len(rows), width}
	if dtype == tensor.Int64 {
		return tensor.FromSlice(shape, padded[int64](width, pad, sentences, rows))
	}
	return tensor.FromSlice(shape, padded[int32](width, pad, sentences, rows))
}

func padded[T int32 | int64](width, pad int, sentences [][]int, rows []int) []T {
	ids := make([]T, 0, width*len(rows))
	for _, r := range rows {
		for _, id := range sentences[r] {
			ids = append(ids, T(id))
		}
		for range width - len(sentences[r]) {
			ids = append(ids, T(pad))
		}
	}
	return ids
}
