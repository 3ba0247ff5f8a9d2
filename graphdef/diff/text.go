package diff

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// String returns d as text, a line a node: + added, - removed, = renamed, ~ changed.
func (d *Diff) String() string {
	var b strings.Builder
	_ = d.WriteText(&b) // a Builder does not fail
	return b.String()
}

// WriteText writes d as String does.
func (d *Diff) WriteText(w io.Writer) error {
	t := &textWriter{w: w}
	if d.Empty() {
		t.line("no differences in %d nodes", d.NodesA)
		return t.err
	}
	t.line("%s", d.Summary())
	t.passes(d.Passes)
	if d.Versions != nil {
		t.line("\nversions: %s -> %s", d.Versions.Old, d.Versions.New)
	}
	t.nodes(d)
	if len(d.Functions) > 0 {
		t.line("\nfunctions:")
	}
	for _, f := range d.Functions {
		switch f.Status {
		case FunctionAdded:
			t.line("  + %s", f.Name)
		case FunctionRemoved:
			t.line("  - %s", f.Name)
		default:
			t.line("  ~ %s: %s", f.Name, f.Body.Summary())
			t.attrs("      ", f.Attrs)
			t.indent = "    "
			t.nodes(f.Body)
			t.indent = ""
		}
	}
	return t.err
}

// Summary returns the counts of d in a line.
func (d *Diff) Summary() string {
	rewired, changed := 0, 0
	for i := range d.Changed {
		c := &d.Changed[i]
		if c.Rewired() {
			rewired++
		}
		if c.OldOp != "" || c.Device != nil || len(c.Attrs) > 0 {
			changed++
		}
	}
	return fmt.Sprintf("%d -> %d nodes: %d added, %d removed, %d renamed, %d rewired, %d with changed attributes",
		d.NodesA, d.NodesB, len(d.Added), len(d.Removed), len(d.Renamed), rewired, changed)
}

type textWriter struct {
	w      io.Writer
	indent string
	err    error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err != nil {
		return
	}
	s := fmt.Sprintf(format, args...)
	if rest, ok := strings.CutPrefix(s, "\n"); ok {
		s = "\n" + t.indent + rest
	} else {
		s = t.indent + s
	}
	_, t.err = io.WriteString(t.w, s+"\n")
}

func (t *textWriter) passes(list []Pass) {
	if len(list) == 0 || t.err != nil {
		return
	}
	t.line("")
	tw := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "added\trenamed\trewired\tattributes\tremoved\t  pass")
	for _, p := range list {
		fmt.Fprintf(tw, "%d\t%d\t%d\t%d\t%d\t  %s\n", p.Added, p.Renamed, p.Rewired, p.Changed, p.Removed, PassName(p.Name))
	}
	t.err = tw.Flush()
}

// PassName returns the name of a pass as it is shown.
func PassName(name string) string {
	if name == "" {
		return "(unmarked)"
	}
	return name
}

// nodes writes the lists of a graph or body.
func (t *textWriter) nodes(d *Diff) {
	section := func(name string, n int) {
		if n > 0 {
			t.line("\n%s:", name)
		}
	}
	section("added", len(d.Added))
	for _, n := range d.Added {
		t.line("  + %s (%s)%s", n.Name, n.Op, bracketed(n.Pass))
	}
	section("removed", len(d.Removed))
	for _, n := range d.Removed {
		t.line("  - %s (%s)", n.Name, n.Op)
	}
	section("renamed", len(d.Renamed))
	for _, n := range d.Renamed {
		t.line("  = %s -> %s (%s)%s", n.Old, n.New, n.Op, bracketed(n.Pass))
	}
	section("changed", len(d.Changed))
	for i := range d.Changed {
		c := &d.Changed[i]
		op := c.Op
		if c.OldOp != "" {
			op = c.OldOp + " -> " + c.Op
		}
		t.line("  ~ %s (%s)%s", c.Name, op, bracketed(c.Pass))
		for _, l := range c.lines() {
			t.line("      %s", l)
		}
	}
}

func (t *textWriter) attrs(indent string, list []Attribute) {
	for _, a := range list {
		t.line("%s%s", indent, a.line())
	}
}

func bracketed(pass string) string {
	if pass == "" {
		return ""
	}
	return " [" + pass + "]"
}

// lines returns what changed in c but its op, a thing a line.
func (c *Changed) lines() []string {
	var list []string
	for _, in := range c.Inputs {
		list = append(list, fmt.Sprintf("input %d: %s -> %s", in.Index, orNone(in.Old), orNone(in.New)))
	}
	for _, v := range c.Controls {
		if v.Old != "" {
			list = append(list, "no longer waits for "+v.Old)
		} else {
			list = append(list, "waits for "+v.New)
		}
	}
	if c.Device != nil {
		list = append(list, fmt.Sprintf("device: %s -> %s", orNone(c.Device.Old), orNone(c.Device.New)))
	}
	for _, a := range c.Attrs {
		list = append(list, a.line())
	}
	return list
}

// line says how an attribute changed.
func (a *Attribute) line() string {
	s := fmt.Sprintf("%s: %s -> %s", a.Name, orNone(a.Old), orNone(a.New))
	if e := a.Elements; e != nil {
		s += fmt.Sprintf("; %d of %d elements differ", e.Differ, e.Total)
		if e.MaxAbs != 0 {
			s += fmt.Sprintf(", by %v at most", e.MaxAbs)
		}
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
