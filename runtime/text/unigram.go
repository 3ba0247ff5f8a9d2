package text

import (
	"errors"
	"math"
	"slices"
)

// unigram holds the trie of all pieces that text may become, and the scores that depend on the whole vocabulary.
type unigram struct {
	trie     *trie
	unkScore float32
}

const (
	// unkPenalty is how far an unknown character lies below the least likely piece.
	unkPenalty = 10
	// userDefinedBonus is the score of a user-defined symbol per byte after the first, instead of the one in the file:
	// above all log-probabilities. Measured on the library 0.2.3, float for float (0.2.1 gives -0.1 flat).
	userDefinedBonus = 0.1
)

func newUnigram(m *Model) (*unigram, error) {
	low := float32(math.MaxFloat32)
	var entries []trieEntry
	for id, q := range m.pieces {
		if q.kind == Normal {
			low = min(low, q.score)
		}
		if q.kind == Normal || q.kind == UserDefined || q.kind == Unused {
			entries = append(entries, trieEntry{q.text, int32(id)})
		}
	}
	if entries == nil {
		return nil, errors.New("a unigram model without any normal piece")
	}
	return &unigram{trie: newTrie(entries), unkScore: low - unkPenalty}, nil
}

// lastPiece is the last piece of the best path to a position.
type lastPiece struct {
	score float32 // of the whole path
	start int32   // where the piece starts, -1: no path yet
	id    int32
}

// cut finds the path of the highest total score (Viterbi); of equal ones the first found, that is the one whose last
// piece starts earliest. Sums are float32 from the left: their rounding decides ties, so the order matters.
func (u *unigram) cut(m *Model, s string) []token {
	best := make([]lastPiece, len(s)+1)
	for i := range best {
		best[i].start = -1
	}
	best[0].score = 0
	for at := 0; at < len(s); {
		here := best[at].score
		char := charLen(s[at:])
		single := false
		node := int32(0)
		for i := at; i < len(s); i++ {
			if node = u.trie.step(node, s[i]); node < 0 {
				break
			}
			id := u.trie.nodes[node].id
			if id < 0 || m.pieces[id].kind == Unused {
				continue
			}
			n := i + 1 - at
			score := m.pieces[id].score
			if m.pieces[id].kind == UserDefined {
				score = float32(userDefinedBonus*float64(n) - userDefinedBonus)
			}
			score += here
			if to := &best[i+1]; to.start < 0 || score > to.score {
				*to = lastPiece{score, int32(at), id}
			}
			single = single || n == char
		}
		if !single {
			score := u.unkScore + here
			if to := &best[at+char]; to.start < 0 || score > to.score {
				*to = lastPiece{score, int32(at), int32(m.unk)}
			}
		}
		at += char
	}
	var out []token
	for end := int32(len(s)); end > 0; {
		p := best[end]
		out = append(out, token{s[p.start:end], p.id})
		end = p.start
	}
	slices.Reverse(out)
	return out
}
