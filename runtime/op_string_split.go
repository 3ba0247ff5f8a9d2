package runtime

import (
	"fmt"
	"math"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// stringSplitOp cuts at every byte of the delimiter, or between all bytes where it is empty. An empty string has no parts.
func stringSplitOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	skip, err := n.Bool("skip_empty")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		return splitText(c, "delimiter", func(s, delimiter string) []string {
			if s == "" {
				return nil
			}
			var parts []string
			if delimiter == "" {
				for i := range len(s) {
					parts = append(parts, s[i:i+1])
				}
				return parts
			}
			for {
				i := 0
				for i < len(s) && strings.IndexByte(delimiter, s[i]) < 0 {
					i++
				}
				if i > 0 || !skip {
					parts = append(parts, s[:i])
				}
				if i == len(s) {
					return parts
				}
				s = s[i+1:]
			}
		})
	}, nil
}

// stringSplitV2Op cuts as Python's str.split does: at sep, at most maxsplit times where that is positive, or at runs of white
// space where sep is empty.
func stringSplitV2Op(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	most, err := n.Int("maxsplit")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		return splitText(c, "sep", func(s, sep string) []string {
			switch {
			case most == 0:
				return []string{s}
			case sep != "" && most < 0:
				return strings.Split(s, sep)
			case sep != "":
				return strings.SplitN(s, sep, int(min(most, math.MaxInt32))+1)
			}
			var parts []string
			s = strings.TrimLeft(s, asciiSpace)
			for s != "" {
				end := strings.IndexAny(s, asciiSpace)
				if end < 0 {
					end = len(s)
				}
				parts = append(parts, s[:end])
				s = strings.TrimLeft(s[end:], asciiSpace)
				if int64(len(parts)) == most {
					// What is left is a part even where it is empty.
					return append(parts, s)
				}
			}
			return parts
		})
	}, nil
}

// splitText makes the outputs the parts that split gives, as a sparse matrix of one row a string.
func splitText(c *call, what string, split func(s, sep string) []string) error {
	in, err := textOf(c.in(0), "input")
	if err != nil {
		return err
	}
	if c.in(0).Rank() != 1 {
		return fmt.Errorf("input has shape %v, want a vector", c.in(0).Shape().Clone())
	}
	sep, err := scalarText(c.in(1), what)
	if err != nil {
		return err
	}
	var indices []int64
	var values []string
	widest := 0
	for row, s := range in {
		parts := split(s, sep)
		widest = max(widest, len(parts))
		for i := range parts {
			indices = append(indices, int64(row), int64(i))
		}
		values = append(values, parts...)
	}
	c.set(0, tensor.FromSlice(tensor.Shape{len(values), 2}, indices))
	setText(c, 1, tensor.Shape{len(values)}, values)
	c.set(2, tensor.FromSlice(tensor.Shape{2}, []int64{int64(len(in)), int64(widest)}))
	return nil
}

// ngrams is the attributes of StringNGrams.
type ngrams struct {
	separator, left, right string
	widths                 []int64
	padWidth               int64
	short                  bool // a row that is too short for any width gives one n-gram of all of it
}

func stringNGramsOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	g := ngrams{r.Str("separator"), r.Str("left_pad"), r.Str("right_pad"), r.Ints("ngram_widths"), r.Int("pad_width"),
		r.Bool("preserve_short_sequences")}
	if err := r.Err(); err != nil {
		return nil, err
	}
	for _, w := range g.widths {
		if w <= 0 || w > math.MaxInt32 {
			return nil, fmt.Errorf("ngram_widths has %d, want positive int32 values", w)
		}
	}
	if g.padWidth > math.MaxInt32 {
		return nil, fmt.Errorf("pad_width is %d, want an int32", g.padWidth)
	}
	return func(c *call) error {
		data, err := textOf(c.in(0), "data")
		if err != nil {
			return err
		}
		splits, err := appendInts(nil, c.in(1), "data_splits")
		if err != nil {
			return err
		}
		if len(splits) > 0 {
			if err := checkSplits(splits, len(data), "data_splits"); err != nil {
				return err
			}
		}
		var out []string
		ends := make([]int, len(splits))
		for i := 1; i < len(splits); i++ {
			row := data[splits[i-1]:splits[i]]
			if out, err = g.appendRow(c, out, row); err != nil {
				return err
			}
			ends[i] = len(out)
		}
		setText(c, 0, tensor.Shape{len(out)}, out)
		return setInts(c, 1, c.in(1).DType(), c.in(1).Shape(), ends)
	}, nil
}

// checkSplits refuses row splits that do not rise from 0 to size.
func checkSplits(splits []int, size int, what string) error {
	if len(splits) == 0 {
		return fmt.Errorf("%s is empty, want at least one value", what)
	}
	if splits[0] != 0 {
		return fmt.Errorf("%s starts with %d, want 0", what, splits[0])
	}
	for i := 1; i < len(splits); i++ {
		if splits[i] < splits[i-1] {
			return fmt.Errorf("%s has %d after %d, want values that do not fall", what, splits[i], splits[i-1])
		}
	}
	if last := splits[len(splits)-1]; last != size {
		return fmt.Errorf("%s ends with %d, want the number of values, %d", what, last, size)
	}
	return nil
}

// appendRow appends the n-grams of one row.
func (g *ngrams) appendRow(c *call, out []string, row []string) ([]string, error) {
	before, budget := len(out), textBudget{a: &c.s.arena}
	for _, w := range g.widths {
		pad := w - 1
		if g.padWidth >= 0 {
			pad = min(pad, g.padWidth)
		}
		num := max(0, int64(len(row))+2*pad-w+1)
		if err := c.s.arena.allow(int(num), stringBytes+int(pad)*(len(g.left)+len(g.right)+len(g.separator))); err != nil {
			return nil, err
		}
		for i := range num {
			gram := g.join(row, int(i), int(num), int(w), int(pad))
			if err := budget.take(len(gram)); err != nil {
				return nil, err
			}
			out = append(out, gram)
		}
	}
	if len(out) > before || !g.short || len(row) == 0 {
		return out, nil
	}
	if g.padWidth < 0 {
		return nil, fmt.Errorf("pad_width is %d, want at least 0 with preserve_short_sequences and no width that fits", g.padWidth)
	}
	if err := c.s.arena.allow(int(g.padWidth), stringBytes+len(g.left)+len(g.right)+2*len(g.separator)); err != nil {
		return nil, err
	}
	width := len(row) + 2*int(g.padWidth)
	return append(out, g.join(row, 0, 1, width, min(int(g.padWidth), width-1))), nil
}

// join returns the n-gram number i of num.
func (g *ngrams) join(row []string, i, num, width, pad int) string {
	left, right := max(0, pad-i), max(0, pad-(num-i-1))
	from := max(0, i-pad)
	var parts []string
	for range left {
		parts = append(parts, g.left)
	}
	if tokens := width - left - right; tokens > 0 {
		parts = append(parts, row[from:from+tokens]...)
	}
	for range right {
		parts = append(parts, g.right)
	}
	return strings.Join(parts, g.separator)
}
