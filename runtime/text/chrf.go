package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	chrfOrder = 6 // characters of the longest n-grams
	chrfBeta  = 2 // weight of recall against precision
)

// CHRFSignature describes how CHRF was computed, in sacrebleu's form.
const CHRFSignature = "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"

// CHRFScore is a corpus score and the counts it was computed from, for n-grams of 1 to 6 characters.
type CHRFScore struct {
	Score                 float64        // 0 to 100
	Matched, InHyp, InRef [chrfOrder]int // n-grams in both, in the hypotheses, in the references
}

// CHRF scores a corpus of hypotheses, one a line, against one reference each by chrF2 (Popović, 2015), as sacrebleu 2.6.0
// does with default options: characters up to 6 in a row, white space left out, case kept, precision and recall averaged
// over the orders that occur on both sides. It is an error if the two have different lengths or none at all.
func CHRF(hyps, refs []string) (CHRFScore, error) {
	if err := checkCorpus(hyps, refs); err != nil {
		return CHRFScore{}, fmt.Errorf("chrf: %w", err)
	}
	var s CHRFScore
	for i := range hyps {
		s.add(hyps[i], refs[i])
	}
	s.finish()
	return s, nil
}

// add counts one sentence: an n-gram matches as often as it occurs in both.
func (s *CHRFScore) add(hyp, ref string) {
	hyp, ref = dropSpace(hyp), dropSpace(ref)
	hypAt, refAt := charStarts(hyp), charStarts(ref)
	for n := 1; n <= chrfOrder; n++ {
		inRef := max(len(refAt)-n, 0)
		s.InRef[n-1] += inRef
		// sacrebleu does not count a hypothesis where its reference has no n-gram of this order.
		if inRef == 0 {
			continue
		}
		counts := make(map[string]int, inRef)
		for i := 0; i+n < len(refAt); i++ {
			counts[ref[refAt[i]:refAt[i+n]]]++
		}
		for i := 0; i+n < len(hypAt); i++ {
			s.InHyp[n-1]++
			if g := hyp[hypAt[i]:hypAt[i+n]]; counts[g] > 0 {
				counts[g]--
				s.Matched[n-1]++
			}
		}
	}
}

func dropSpace(s string) string { return strings.Join(strings.FieldsFunc(s, isSpace), "") }

// charStarts returns where each character starts, and the length of s last.
func charStarts(s string) []int {
	starts := make([]int, 0, utf8.RuneCountInString(s)+1)
	for i := range s {
		starts = append(starts, i)
	}
	return append(starts, len(s))
}

// finish computes the score from the counts.
func (s *CHRFScore) finish() {
	precision, recall, orders := 0.0, 0.0, 0.0
	for n := range s.Matched {
		if s.InHyp[n] > 0 && s.InRef[n] > 0 {
			precision += float64(s.Matched[n]) / float64(s.InHyp[n])
			recall += float64(s.Matched[n]) / float64(s.InRef[n])
			orders++
		}
	}
	if precision+recall == 0 {
		return
	}
	precision, recall = precision/orders, recall/orders
	const factor = chrfBeta * chrfBeta
	s.Score = 100 * ((1 + factor) * precision * recall / (factor*precision + recall))
}

// Signature returns CHRFSignature.
func (s CHRFScore) Signature() string { return CHRFSignature }

// String returns the line that sacrebleu prints in text format, signature included.
func (s CHRFScore) String() string {
	return fmt.Sprintf("chrF%d|%s = %.2f", chrfBeta, CHRFSignature, s.Score)
}
