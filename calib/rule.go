package calib

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind names a way to choose a threshold.
type Kind uint8

// The kinds of rules; the package documentation says what each does.
const (
	GuardedKL Kind = iota // the default
	MinMax
	KLSymmetric
	KLIndependent
	KLConjugate
	Percentile
	MSE
)

var kindNames = [...]string{
	GuardedKL:     "guarded-kl",
	MinMax:        "minmax",
	KLSymmetric:   "kl-symmetric",
	KLIndependent: "kl-independent",
	KLConjugate:   "kl-conjugate",
	Percentile:    "percentile",
	MSE:           "mse",
}

// String returns the name, as ParseRule takes it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// The constants of the rules. They are part of a thresholds file.
const (
	signedLevels   = 127 // positive codes of a range around zero: -127..127
	oneSidedLevels = 255 // positive codes of a range that starts at zero: 0..255

	guardedOctaves = 6    // octaves of candidates of guarded-kl
	guardedMinimum = 2048 // fewer nonzero values: minmax
	clippedShare   = 256  // at most 1/256 of the energy may be clipped

	mseOctaves = 8 // octaves of candidates of mse

	defaultPPM = 999_900 // share of percentile in millionths: 99.99%
)

// Rule turns statistics into a threshold. The zero Rule is the default,
// guarded-kl.
type Rule struct {
	Kind Kind

	// PPM is the share of the values, in millionths, that Percentile keeps
	// inside; 0 stands for 999900. The other kinds do not use it.
	PPM int
}

// RuleNames returns the names of all rules, the default first.
func RuleNames() []string { return slices.Clone(kindNames[:]) }

// ParseRule reads a rule as String writes it: the name of a kind, and for
// percentile optionally a colon and the percentage, with at most four decimals,
// as in "percentile:99.99".
func ParseRule(text string) (Rule, error) {
	name, share, hasShare := strings.Cut(text, ":")
	for k, known := range kindNames {
		if name != known {
			continue
		}
		r := Rule{Kind: Kind(k)}
		if !hasShare {
			return r, nil
		}
		if r.Kind != Percentile {
			return Rule{}, fmt.Errorf("calib: rule %q: %s takes no percentage; leave out %q", text, name, ":"+share)
		}
		ppm, ok := parsePercentage(share)
		if !ok {
			return Rule{}, fmt.Errorf("calib: rule %q: have percentage %q, want a number above 0 and at most 100 with at most four decimals", text, share)
		}
		if ppm != defaultPPM {
			r.PPM = ppm
		}
		return r, nil
	}
	return Rule{}, fmt.Errorf("calib: rule %q is not known; the rules are %s", text, strings.Join(kindNames[:], ", "))
}

// parsePercentage reads a decimal percentage as millionths.
func parsePercentage(text string) (ppm int, ok bool) {
	whole, decimals, point := strings.Cut(text, ".")
	if whole == "" || len(whole) > 3 || len(decimals) > 4 || point && decimals == "" {
		return 0, false
	}
	digits := whole + decimals + strings.Repeat("0", 4-len(decimals))
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
	}
	ppm, err := strconv.Atoi(digits)
	return ppm, err == nil && ppm > 0 && ppm <= 1_000_000
}

// String returns the form that ParseRule reads.
func (r Rule) String() string {
	if r.Kind != Percentile || r.ppm() == defaultPPM {
		return r.Kind.String()
	}
	share := fmt.Sprintf("%d.%04d", r.PPM/10_000, r.PPM%10_000)
	return r.Kind.String() + ":" + strings.TrimSuffix(strings.TrimRight(share, "0"), ".")
}

func (r Rule) ppm() int {
	if r.PPM == 0 {
		return defaultPPM
	}
	return r.PPM
}

// Threshold is the range to quantize a tensor with, and why.
//
// Lo <= 0 <= Hi. Both are 0 for a tensor without nonzero values. A range with
// Lo or Hi equal to 0 is meant for codes 0..255, any other for codes -127..127.
type Threshold struct {
	Lo, Hi float32

	// Class says how the nonzero values are distributed.
	Class Class

	// Note says how guarded-kl came to its result; empty for other rules.
	Note string

	// SQNR is the modelled ratio of signal to quantization noise in decibels,
	// for a scale of max(-Lo, Hi) over 255 codes when the range is one-sided
	// and over 127 when it is not. 0 when no value is nonzero.
	SQNR float64

	// Clipped is the share of the nonzero values, 0 to 1, at or beyond
	// max(-Lo, Hi), counted by the centres of their buckets.
	Clipped float64
}

// NotFiniteError is returned for a tensor that had NaN or infinite values.
type NotFiniteError struct {
	Tensor                 string // empty when the caller gave no name
	NaNs, PosInfs, NegInfs uint64
	N                      uint64 // all values
}

func (e *NotFiniteError) Error() string {
	tensor := ""
	if e.Tensor != "" {
		tensor = fmt.Sprintf("tensor %q: ", e.Tensor)
	}
	return fmt.Sprintf("calib: %snot finite: have NaN %d, +Inf %d, -Inf %d among %d values, want none; look for the first node that makes them, or leave the products that read this tensor in float",
		tensor, e.NaNs, e.PosInfs, e.NegInfs, e.N)
}

// Threshold applies the rule. It is a pure function of the statistics, does not
// change them, and gives the same bits on every machine. The error is a
// *NotFiniteError, or says that the rule itself is not valid.
func (r Rule) Threshold(s *Statistics) (Threshold, error) {
	if int(r.Kind) >= len(kindNames) || r.ppm() < 1 || r.ppm() > 1_000_000 {
		return Threshold{}, fmt.Errorf("calib: rule %v with %d millionths does not exist; use ParseRule", r.Kind, r.PPM)
	}
	if s.nans != 0 || s.posInfs != 0 || s.negInfs != 0 {
		return Threshold{}, &NotFiniteError{NaNs: s.nans, PosInfs: s.posInfs, NegInfs: s.negInfs, N: s.n}
	}
	v := newViews(s)
	lo, hi, note := r.choose(v)
	t := Threshold{Lo: float32(lo) + 0, Hi: float32(hi) + 0, Class: v.abs.class(), Note: note}
	t.SQNR, t.Clipped = v.abs.measure(max(hi, -lo), lo == 0 || hi == 0)
	return t, nil
}

// choose returns the range, both ends exactly representable in float32.
func (r Rule) choose(v *views) (lo, hi float64, note string) {
	switch r.Kind {
	case MinMax:
		return -v.neg.amax, v.pos.amax, ""
	case KLSymmetric:
		t := v.abs.classicalKL()
		return -t, t, ""
	case KLIndependent:
		return -v.neg.classicalKL(), v.pos.classicalKL(), ""
	case KLConjugate:
		t := max(v.neg.classicalKL(), v.pos.classicalKL())
		return -t, t, ""
	}
	one := func(side *side, levels int) float64 {
		switch r.Kind {
		case Percentile:
			return side.percentile(v.zeros, uint64(r.ppm()))
		case MSE:
			return side.leastSquares(levels)
		}
		t, why := side.guardedKL(levels)
		note = why
		return t
	}
	switch {
	case v.neg.amax == 0 && v.pos.amax > 0:
		return 0, one(v.pos, oneSidedLevels), note
	case v.pos.amax == 0 && v.neg.amax > 0:
		return -one(v.neg, oneSidedLevels), 0, note
	}
	t := one(v.abs, signedLevels)
	return -t, t, note
}

// Apply applies the rule to every tensor of a collector. On failure the error
// joins one *NotFiniteError for each tensor that cannot be calibrated, in order
// of name.
func (r Rule) Apply(c *Collector) (map[string]Threshold, error) {
	all := make(map[string]Threshold, len(c.tensors))
	var failures []error
	for _, name := range c.Names() {
		t, err := r.Threshold(c.tensors[name])
		if bad, ok := errors.AsType[*NotFiniteError](err); ok {
			bad.Tensor = name
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		all[name] = t
	}
	if failures != nil {
		return nil, errors.Join(failures...)
	}
	return all, nil
}

// Class is a coarse description of a distribution, over exact nonzero values.
type Class uint8

// The classes, by the ratio of the largest magnitude to the root mean square.
const (
	Constant Class = iota // no nonzero value
	Narrow                // at most 3
	Gaussian              // at most 32
	Sparse                // above 32; eight bits cannot serve both bulk and peak
)

var classNames = [...]string{Constant: "constant", Narrow: "narrow", Gaussian: "gaussian", Sparse: "sparse"}

// String returns the name in lower case.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "Class(" + strconv.Itoa(int(c)) + ")"
}

// Class describes the distribution of the nonzero values. Values that are not
// finite do not count.
func (s *Statistics) Class() Class {
	return newViews(s).abs.class()
}

func (s *side) class() Class {
	if len(s.counts) == 0 {
		return Constant
	}
	meanSquare := s.energy / float64(s.total)
	switch peak := s.amax * s.amax; {
	case peak > 1024*meanSquare:
		return Sparse
	case peak <= 9*meanSquare:
		return Narrow
	}
	return Gaussian
}

// measure returns the modelled signal-to-noise ratio in decibels and the share
// of clipped values of a quantizer with threshold t.
func (s *side) measure(t float64, oneSided bool) (sqnr, clipped float64) {
	if len(s.counts) == 0 || t == 0 {
		return 0, 0
	}
	levels := signedLevels
	if oneSided {
		levels = oneSidedLevels
	}
	err, _ := s.squaredError(t, levels, math.Inf(1))
	var beyond uint64
	for _, k := range s.counts[s.firstBeyond(t):] {
		beyond += k
	}
	return 10 * (klog(s.energy/err) / ln10), float64(beyond) / float64(s.total)
}
