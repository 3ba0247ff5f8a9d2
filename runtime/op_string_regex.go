package runtime

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// pattern is a compiled regular expression with its text. TensorFlow uses RE2, whose syntax and choice of matches are Go's.
type pattern struct {
	text string
	re   *regexp.Regexp
}

// patternCache keeps the last pattern of a step: it hardly ever changes. Sessions share it.
type patternCache struct{ last atomic.Pointer[pattern] }

// get compiles text, all of which must match where whole.
func (p *patternCache) get(text string, whole bool) (*regexp.Regexp, error) {
	if l := p.last.Load(); l != nil && l.text == text {
		return l.re, nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", text, err)
	}
	if whole {
		if re, err = regexp.Compile(`\A(?:` + text + `)\z`); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
	}
	p.last.Store(&pattern{text, re})
	return re, nil
}

// regexReplaceOp replaces the first match, or all, by a text in which \0 to \9 stand for the match and its groups.
func regexReplaceOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	global := r.Bool("replace_global")
	static := n.Op() == "StaticRegexReplace"
	var text, with string
	if static {
		text, with = r.Str("pattern"), r.Str("rewrite")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	cache := new(patternCache)
	if static {
		if _, err := cache.get(text, false); err != nil {
			return nil, err
		}
	}
	return func(c *call) error {
		text, with := text, with
		if !static {
			var err error
			if text, err = scalarText(c.in(1), "pattern"); err != nil {
				return err
			}
			if with, err = scalarText(c.in(2), "rewrite"); err != nil {
				return err
			}
		}
		re, err := cache.get(text, false)
		if err != nil {
			return err
		}
		w, ok := parseRewrite(with)
		// RE2 leaves the string alone where the rewrite asks for a group that is not there; a faulty rewrite it notices
		// only after writing what comes before the fault, which replaces all matches but not one.
		if w.groups > re.NumSubexp() || !ok && !global {
			return mapText(c, func(s string) string { return s })
		}
		limit := 1
		if global {
			limit = -1
		}
		budget := textBudget{a: &c.s.arena}
		var over error
		err = mapText(c, func(s string) string {
			if over == nil {
				over = c.s.arena.allow(len(s)+1, 16*(1+re.NumSubexp())) // the places of all matches
			}
			if over != nil {
				return ""
			}
			matches := re.FindAllStringSubmatchIndex(s, limit)
			if matches == nil {
				return s
			}
			var b strings.Builder
			at := 0
			for _, m := range matches {
				b.WriteString(s[at:m[0]])
				w.write(&b, s, m)
				at = m[1]
				if over = c.s.arena.allow(1, budget.made+b.Len()); over != nil {
					return ""
				}
			}
			b.WriteString(s[at:])
			over = budget.take(b.Len())
			return b.String()
		})
		return cmp.Or(over, err)
	}, nil
}

// rewrite is a replacement text in parts: each is text, then a group, -1 for none.
type rewrite struct {
	parts  []rewritePart
	groups int // the highest
}

type rewritePart struct {
	text  string
	group int
}

// parseRewrite reads s up to its first fault: a backslash before anything but a digit or a backslash.
func parseRewrite(s string) (w rewrite, ok bool) {
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			text.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] >= '0' && s[i] <= '9':
			w.parts = append(w.parts, rewritePart{text.String(), int(s[i] - '0')})
			w.groups = max(w.groups, int(s[i]-'0'))
			text.Reset()
		case i < len(s) && s[i] == '\\':
			text.WriteByte('\\')
		default:
			w.parts = append(w.parts, rewritePart{text.String(), -1})
			return w, false
		}
	}
	w.parts = append(w.parts, rewritePart{text.String(), -1})
	return w, true
}

func (w *rewrite) write(b *strings.Builder, s string, m []int) {
	for _, p := range w.parts {
		b.WriteString(p.text)
		if g := p.group; g >= 0 && m[2*g] >= 0 {
			b.WriteString(s[m[2*g]:m[2*g+1]])
		}
	}
}

// regexFullMatchOp tells which strings match from end to end.
func regexFullMatchOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	cache := new(patternCache)
	static := n.Op() == "StaticRegexFullMatch"
	var text string
	if static {
		var err error
		if text, err = n.Str("pattern"); err != nil {
			return nil, err
		}
		if _, err := cache.get(text, true); err != nil {
			return nil, err
		}
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "input")
		if err != nil {
			return err
		}
		text := text
		if !static {
			if text, err = scalarText(c.in(1), "pattern"); err != nil {
				return err
			}
		}
		re, err := cache.get(text, true)
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Bool, c.in(0).Shape())
		if err != nil {
			return err
		}
		out := tensor.Data[bool](t)
		for i, s := range in {
			out[i] = re.MatchString(s)
		}
		return nil
	}, nil
}
