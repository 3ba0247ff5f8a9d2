package text

import (
	"errors"
	"fmt"
	"math"
)

// bleuOrder is the length of the longest n-grams that BLEU counts.
const bleuOrder = 4

// BLEUSignature describes how BLEU was computed, in sacrebleu's form.
const BLEUSignature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"

// BLEUScore is a corpus score and what it was computed from.
type BLEUScore struct {
	Score          float64            // 0 to 100
	Correct, Total [bleuOrder]int     // n-grams of the hypotheses, of 1 to 4 tokens: matched, and all
	Precisions     [bleuOrder]float64 // 0 to 100, smoothed where Correct is 0
	BrevityPenalty float64            // 0 to 1
	HypLen, RefLen int                // tokens
	LengthRatio    float64            // HypLen / RefLen, 0 if RefLen is 0
}

// BLEU scores a corpus of hypotheses, one a line, against one reference each (Papineni et al., 2002), as sacrebleu 2.6.0
// does with default options: 13a tokens, case kept, n-grams up to 4, zero counts smoothed by halving (NIST, "exp").
// Invalid UTF-8 counts as ordinary bytes. It is an error if the two have different lengths or none at all.
func BLEU(hyps, refs []string) (BLEUScore, error) {
	if err := checkCorpus(hyps, refs); err != nil {
		return BLEUScore{}, fmt.Errorf("bleu: %w", err)
	}
	var s BLEUScore
	for i := range hyps {
		s.add(tokenize13a(hyps[i]), tokenize13a(refs[i]))
	}
	s.finish()
	return s, nil
}

func checkCorpus(hyps, refs []string) error {
	if len(hyps) != len(refs) {
		return fmt.Errorf("have %d hypotheses and %d references, want as many", len(hyps), len(refs))
	}
	if len(hyps) == 0 {
		return errors.New("no hypotheses")
	}
	return nil
}

// wordGram is an n-gram of up to 4 tokens as numbers from 1 up; unused places are 0.
type wordGram [bleuOrder]int32

// add counts one sentence: an n-gram matches as often as it occurs in both.
func (s *BLEUScore) add(hyp, ref []string) {
	s.HypLen += len(hyp)
	s.RefLen += len(ref)
	numbers := make(map[string]int32, len(hyp)+len(ref))
	inRef := countGrams(ref, numbers)
	for g, n := range countGrams(hyp, numbers) {
		order := 0
		for order < bleuOrder-1 && g[order+1] != 0 {
			order++
		}
		s.Total[order] += n
		s.Correct[order] += min(n, inRef[g])
	}
}

func countGrams(tokens []string, numbers map[string]int32) map[wordGram]int {
	counts := make(map[wordGram]int, bleuOrder*len(tokens))
	ids := make([]int32, len(tokens))
	for i, t := range tokens {
		id, ok := numbers[t]
		if !ok {
			id = int32(len(numbers) + 1)
			numbers[t] = id
		}
		ids[i] = id
	}
	for i := range ids {
		var g wordGram
		for n := 0; n < bleuOrder && i+n < len(ids); n++ {
			g[n] = ids[i+n]
			counts[g]++
		}
	}
	return counts
}

// finish computes the score from the counts.
func (s *BLEUScore) finish() {
	if s.RefLen > 0 {
		s.LengthRatio = float64(s.HypLen) / float64(s.RefLen)
	}
	s.BrevityPenalty = 1
	if s.HypLen < s.RefLen {
		s.BrevityPenalty = 0
		if s.HypLen > 0 {
			s.BrevityPenalty = math.Exp(1 - float64(s.RefLen)/float64(s.HypLen))
		}
	}
	if s.Correct == ([bleuOrder]int{}) {
		return
	}
	smooth := 1.0
	for n := range s.Precisions {
		if s.Total[n] == 0 {
			break
		}
		if s.Correct[n] == 0 {
			smooth *= 2
			s.Precisions[n] = 100 / (smooth * float64(s.Total[n]))
		} else {
			s.Precisions[n] = 100 * float64(s.Correct[n]) / float64(s.Total[n])
		}
	}
	sum := 0.0
	for _, p := range s.Precisions {
		// Where no n-grams of an order exist the precision stays 0, and the score with it: sacrebleu takes this
		// number for the logarithm of 0.
		log := -9999999999.0
		if p != 0 {
			log = math.Log(p)
		}
		sum += log
	}
	s.Score = s.BrevityPenalty * math.Exp(sum/bleuOrder)
}

// Signature returns BLEUSignature.
func (s BLEUScore) Signature() string { return BLEUSignature }

// String returns the line that sacrebleu prints in text format, signature included.
func (s BLEUScore) String() string {
	p := s.Precisions
	return fmt.Sprintf("BLEU|%s = %.2f %.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %d ref_len = %d)",
		BLEUSignature, s.Score, p[0], p[1], p[2], p[3], s.BrevityPenalty, s.LengthRatio, s.HypLen, s.RefLen)
}
