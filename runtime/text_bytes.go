package runtime

import (
	"strings"

	"github.com/tfq8/tfq8/tensor"
)

// leastText is the text that counts as memory of the session: that of a step which makes less is not worth the count.
const leastText = 64 << 10

// heldText is text that counts in an arena as long as something refers to it.
type heldText int64

func (t heldText) free(a *arena) { a.inUse -= int64(t) }

// textBytes returns what t takes if it is a string tensor, as if no two elements shared their text, and 0 for others.
func textBytes(t *tensor.Tensor) (n int64) {
	list := t.Strings()
	for _, s := range list {
		n += stringBytes + int64(len(s))
	}
	return n
}

// holdText makes the text of st's outputs count until nothing refers to it.
func (s *Session) holdText(st *step) error {
	for _, slot := range st.out {
		v := &s.values[slot]
		if v.buf != nil || v.dead || v.t.DType() != tensor.String {
			continue
		}
		n := textBytes(&v.t)
		if n < leastText {
			continue
		}
		if err := s.arena.charge(n); err != nil {
			return err
		}
		v.buf = &buffer{refs: 1, holds: heldText(n)}
	}
	return nil
}

// textBudget counts the text that one step makes: joins and replacements make much of little.
type textBudget struct {
	a    *arena
	made int
}

// take counts n bytes, before they are made.
func (b *textBudget) take(n int) error {
	b.made += n
	return b.a.allow(1, b.made)
}

// join is strings.Join within the budget.
func (b *textBudget) join(parts []string, sep string) (string, error) {
	n := len(sep) * max(0, len(parts)-1)
	for _, p := range parts {
		n += len(p)
	}
	if err := b.take(n); err != nil {
		return "", err
	}
	return strings.Join(parts, sep), nil
}
