package passes

import (
	"slices"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	place := map[string]int{}
	for i, p := range slices.Concat(Cleanup, Quantization) {
		if _, twice := place[p.Name]; twice {
			t.Errorf("%s is there twice", p.Name)
		}
		place[p.Name] = i
	}
	for _, c := range order {
		before, ok1 := place[c.before]
		after, ok2 := place[c.after]
		if !ok1 || !ok2 {
			t.Errorf("constraint %v names a pass that is not in the pipeline", c)
			continue
		}
		if before >= after {
			t.Errorf("%s must run before %s: %s", c.before, c.after, c.why)
		}
		if c.why == "" {
			t.Errorf("%s before %s: no reason given", c.before, c.after)
		}
	}
}

func TestPassesAreDocumented(t *testing.T) {
	for _, p := range slices.Concat(Cleanup, Quantization) {
		if p.Run == nil || p.Name == "" || strings.ToLower(p.Name) != p.Name || strings.ContainsAny(p.Name, " _") {
			t.Errorf("pass %q: no Run, or a name that is not words joined by hyphens", p.Name)
		}
		if p.Doc == "" || strings.Contains(p.Doc, "\n") || strings.HasSuffix(p.Doc, ".") || strings.ToLower(p.Doc[:1]) != p.Doc[:1] {
			t.Errorf("pass %s: doc %q is not one line without capital and period", p.Name, p.Doc)
		}
	}
}
