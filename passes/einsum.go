package passes

import (
	"slices"
	"strings"
)

// ellipsis stands for the dimensions that "..." names.
const ellipsis = '.'

// contraction is the equation of an Einsum of two operands: the labels of their dimensions, each once an operand.
type contraction struct {
	x, y, out []rune
}

// parseContraction reads an equation; ok is false where a label occurs twice in an operand (a diagonal) or the output is not
// said.
func parseContraction(equation string) (c contraction, ok bool) {
	in, out, found := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	x, y, two := strings.Cut(in, ",")
	if !found || !two || strings.Contains(y, ",") {
		return c, false
	}
	for i, s := range []string{x, y, out} {
		labels := []rune(strings.Replace(s, "...", string(ellipsis), 1))
		for j, l := range labels {
			if slices.Contains(labels[:j], l) {
				return c, false
			}
		}
		*[]*[]rune{&c.x, &c.y, &c.out}[i] = labels
	}
	return c, true
}

// swapped returns the equation with its operands in the other order.
func (c contraction) swapped() contraction { return contraction{x: c.y, y: c.x, out: c.out} }

// kinds tells the labels of an equation apart: shared ones that stay and that are summed over, and those of one operand that
// stay, each in the order of its first operand. ok is false where a label of one operand is summed over, or one of the output
// is in none.
func (c contraction) kinds() (batch, summed, freeX, freeY []rune, ok bool) {
	for _, l := range c.x {
		inY, inOut := slices.Contains(c.y, l), slices.Contains(c.out, l)
		switch {
		case inY && inOut:
			batch = append(batch, l)
		case inY:
			summed = append(summed, l)
		case inOut:
			freeX = append(freeX, l)
		default:
			return nil, nil, nil, nil, false
		}
	}
	for _, l := range c.y {
		switch {
		case slices.Contains(c.x, l):
		case slices.Contains(c.out, l):
			freeY = append(freeY, l)
		default:
			return nil, nil, nil, nil, false
		}
	}
	return batch, summed, freeX, freeY, len(batch)+len(freeX)+len(freeY) == len(c.out)
}

// permutation returns the transposition that brings labels from into the order to; nil where they are in it. An ellipsis
// counts as dots dimensions.
func permutation(from, to []rune, dots int) []int {
	start := map[rune]int{}
	at := 0
	for _, l := range from {
		start[l] = at
		at += width(l, dots)
	}
	var perm []int
	for _, l := range to {
		for i := range width(l, dots) {
			perm = append(perm, start[l]+i)
		}
	}
	if slices.IsSorted(perm) {
		return nil
	}
	return perm
}

func width(l rune, dots int) int {
	if l == ellipsis {
		return dots
	}
	return 1
}
