package calib

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func statisticsOf(x []float32) *Statistics {
	s := new(Statistics)
	s.Add(x)
	return s
}

func thresholdOf(t *testing.T, r Rule, s *Statistics) Threshold {
	t.Helper()
	th, err := r.Threshold(s)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return th
}

// tensors makes tensors of many shapes of distribution: bulk and tail, shifted,
// one-sided, with zeros and outliers.
func tensors(count int) [][]float32 {
	r := rand.New(rand.NewPCG(11, 12))
	out := make([][]float32, count)
	for i := range out {
		x := make([]float32, 1+r.IntN(6000))
		spread, shift := r.Float64()*2, float64(r.IntN(2))
		for j := range x {
			v := r.NormFloat64() * math.Exp(spread*r.NormFloat64())
			switch i % 4 {
			case 0:
				v = math.Abs(v)
			case 1:
				v += shift
			case 2:
				v = min(v, 0)
			}
			x[j] = float32(v)
		}
		if i%5 == 0 {
			x[0] *= 1000
		}
		out[i] = x
	}
	return out
}

func TestRuleProperties(t *testing.T) {
	for _, x := range tensors(24) {
		s := statisticsOf(x)
		lo, hi, _ := s.Range()
		amax := s.AbsMax()
		before := string(appendStatistics(nil, s))
		mirrored, shrunk := statisticsOf(scaled(x, -1)), statisticsOf(scaled(x, 0.125))
		tripled := new(Statistics)
		for range 3 {
			tripled.Merge(s)
		}
		for _, r := range allRules {
			th := thresholdOf(t, r, s)
			if again := thresholdOf(t, r, s); again != th {
				t.Errorf("%v: a second call gives %+v, the first %+v", r, again, th)
			}
			if m := thresholdOf(t, r, mirrored); m.Lo != 0-th.Hi || m.Hi != 0-th.Lo {
				t.Errorf("%v: mirrored values give %g, %g; the values %g, %g", r, m.Lo, m.Hi, th.Lo, th.Hi)
			}
			if k := thresholdOf(t, r, shrunk); 8*k.Lo != th.Lo || 8*k.Hi != th.Hi || k.SQNR != th.SQNR || k.Class != th.Class {
				t.Errorf("%v: an eighth of the values gives %+v; the values %+v", r, k, th)
			}
			if !(-amax <= th.Lo && th.Lo <= 0 && 0 <= th.Hi && th.Hi <= amax) {
				t.Errorf("%v: have %g, %g outside the largest magnitude %g", r, th.Lo, th.Hi, amax)
			}
			symmetric := th.Lo == -th.Hi
			if !symmetric && (th.Lo < min(lo, 0) || th.Hi > max(hi, 0)) {
				t.Errorf("%v: have %g, %g outside the observed %g, %g", r, th.Lo, th.Hi, lo, hi)
			}
			if math.IsNaN(th.SQNR) || math.IsInf(th.SQNR, 0) || th.Clipped < 0 || th.Clipped > 1 {
				t.Errorf("%v: have SQNR %g and clipped %g", r, th.SQNR, th.Clipped)
			}
			if r.Kind == KLSymmetric || r.Kind == KLIndependent || r.Kind == KLConjugate {
				if k := thresholdOf(t, r, tripled); k.Lo != th.Lo || k.Hi != th.Hi {
					t.Errorf("%v: three times every count gives %g, %g; once %g, %g", r, k.Lo, k.Hi, th.Lo, th.Hi)
				}
			}
		}
		if after := string(appendStatistics(nil, s)); after != before {
			t.Error("the rules changed the statistics")
		}
	}
}

// The two promises of guarded-kl, for every tensor: no more squared error than
// min/max over the same codes, and at most 1/256 of the energy clipped.
func TestGuardedKLKeepsItsPromises(t *testing.T) {
	for i, x := range tensors(24) {
		s := statisticsOf(x)
		th := thresholdOf(t, Rule{}, s)
		v := newViews(s).abs
		levels := signedLevels
		if th.Lo == 0 || th.Hi == 0 {
			levels = oneSidedLevels
		}
		chosen := float64(max(th.Hi, -th.Lo))
		have, _ := v.squaredError(chosen, levels, math.Inf(1))
		whole, _ := v.squaredError(v.amax, levels, math.Inf(1))
		if have > whole {
			t.Errorf("tensor %d: have squared error %g, want at most that of min/max, %g", i, have, whole)
		}
		if clipped := v.clippedEnergy(chosen); chosen < v.amax && clipped > v.energy/256 {
			t.Errorf("tensor %d: have energy %g clipped of %g, want at most 1/256", i, clipped, v.energy)
		}
	}
}

// A calibrator whose KL silently equals min/max passes most other tests.
func TestRulesDiffer(t *testing.T) {
	s := statisticsOf(samples("gauss", 100_000))
	whole := s.AbsMax()
	for _, kind := range []Kind{KLSymmetric, KLIndependent, KLConjugate, Percentile, MSE, GuardedKL} {
		if th := thresholdOf(t, Rule{Kind: kind}, s); th.Hi >= whole || th.Hi < 2 {
			t.Errorf("%v: have %g, want between 2 and %g", kind, th.Hi, whole)
		}
	}
}

// Rectified values get all 255 codes.
func TestOneSidedTensorsUseAllCodes(t *testing.T) {
	s := statisticsOf(samples("relu", 100_000))
	symmetric, guarded := thresholdOf(t, Rule{Kind: KLSymmetric}, s), thresholdOf(t, Rule{}, s)
	if guarded.Lo != 0 || symmetric.Lo != -symmetric.Hi {
		t.Errorf("have %g and %g as lower ends, want 0 and %g", guarded.Lo, symmetric.Lo, -symmetric.Hi)
	}
	if guarded.SQNR < symmetric.SQNR+4 {
		t.Errorf("have %g dB, want at least 4 more than %g", guarded.SQNR, symmetric.SQNR)
	}
}

// Every finite input has finite thresholds, the smallest and the largest too.
func TestExtremeTensors(t *testing.T) {
	tiny, huge := float32(math.SmallestNonzeroFloat32), float32(math.MaxFloat32)
	for _, x := range [][]float32{
		{tiny}, {-tiny}, {tiny, -tiny}, {huge}, {-huge}, {huge, -huge}, {tiny, huge}, {-huge, tiny},
		append(repeated(tiny, 4000), 2*tiny), append(repeated(huge, 4000), -tiny), append(repeated(tiny, 3000), huge),
		append(repeated(-tiny, 3000), repeated(1, 3000)...), repeated(1.5*0x1p-126, 5000),
	} {
		s := statisticsOf(x)
		for _, r := range allRules {
			th := thresholdOf(t, r, s)
			if th.check() != nil || max(th.Hi, -th.Lo) == 0 {
				t.Errorf("%v of %g…: have %+v, want a finite range that is not empty", r, x[0], th)
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	var c Collector
	c.Observe("good", []float32{1, 2})
	c.Observe("worse", []float32{float32(math.Inf(-1)), float32(math.Inf(1)), 1})
	c.Observe("bad", []float32{float32(math.NaN()), 1})
	_, err := Rule{}.Apply(&c)
	bad, ok := errors.AsType[*NotFiniteError](err)
	if !ok || *bad != (NotFiniteError{Tensor: "bad", NaNs: 1, N: 2}) {
		t.Errorf("have %+v", bad)
	}
	for _, want := range []string{`"bad": not finite: have NaN 1, +Inf 0, -Inf 0 among 2`, `"worse": not finite: have NaN 0, +Inf 1, -Inf 1 among 3`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("have %q, want it to contain %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "good") {
		t.Errorf("have %q, want no word of the good tensor", err)
	}
}

func TestParseRule(t *testing.T) {
	for _, r := range append(allRules, Rule{Percentile, 999_999}, Rule{Percentile, 1_000_000}, Rule{Percentile, 1}, Rule{Percentile, 500_000}) {
		if have, err := ParseRule(r.String()); err != nil || have != r {
			t.Errorf("%q: have %+v, %v, want %+v", r, have, err, r)
		}
	}
	if r, err := ParseRule("percentile:99.99"); err != nil || r != (Rule{Kind: Percentile}) {
		t.Errorf("have %+v, %v, want the default percentile", r, err)
	}
	for _, name := range RuleNames() {
		if r, err := ParseRule(name); err != nil || r.String() != name {
			t.Errorf("%q: have %v, %v", name, r, err)
		}
	}
	for _, text := range []string{"", "kl", "Minmax", "mse:9", "percentile:", "percentile:0", "percentile:100.1", "percentile:99.99999", "percentile:-1", "percentile:9e1", "percentile:1."} {
		if r, err := ParseRule(text); err == nil {
			t.Errorf("%q: have %+v, want an error", text, r)
		}
	}
	for _, r := range []Rule{{Kind: 99}, {Kind: Percentile, PPM: -1}, {Kind: Percentile, PPM: 1_000_001}} {
		if _, err := r.Threshold(new(Statistics)); err == nil {
			t.Errorf("%+v: have no error", r)
		}
	}
}

func TestPercentileShare(t *testing.T) {
	s := statisticsOf(samples("gauss", 100_000))
	for _, c := range []struct {
		rule     string
		low, top float32
	}{{"percentile:68.27", 0.98, 1.02}, {"percentile:95.45", 1.95, 2.05}, {"percentile:100", s.AbsMax(), s.AbsMax()}} {
		r, err := ParseRule(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if th := thresholdOf(t, r, s); th.Hi < c.low || th.Hi > c.top {
			t.Errorf("%s: have %g, want %g to %g", c.rule, th.Hi, c.low, c.top)
		}
	}
}

func TestLogarithm(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 100_000 {
		x := math.Exp(r.Float64()*138 - 69)
		have, want := klog(x), math.Log(x)
		if math.Abs(have-want) > 3e-16*max(1, math.Abs(want)) {
			t.Fatalf("ln %g: have %g, want %g", x, have, want)
		}
	}
	if klog(1) != 0 || klog(2) != ln2 {
		t.Errorf("have ln 1 = %g, ln 2 = %g", klog(1), klog(2))
	}
}

// Divergences that can be worked out by hand.
func TestDivergence(t *testing.T) {
	w := &window{logs: newLogTable()}
	w.fill(&side{keys: []uint32{127 << mantissaBits}, counts: []uint64{5}, total: 5}, 127)
	if v := w.divergence(1025, signedLevels, false); v != 0 {
		t.Errorf("one full bin: have %g, want 0", v)
	}
	if v := w.divergence(1024, signedLevels, false); !math.IsInf(v, 1) {
		t.Errorf("all mass clipped: have %g, want +Inf", v)
	}

	// Three values in each of the 2048 bins.
	for i := range w.count {
		w.count[i] = 3
		w.upTo[i+1], w.used[i+1] = uint64(3*(i+1)), uint32(i+1)
		w.hlogh[i+1] = w.hlogh[i] + 3*klog(3)
	}
	w.total = 3 * windowBins
	if v := w.divergence(windowBins, signedLevels, false); math.Abs(v) > 1e-12 {
		t.Errorf("uniform: have %g, want 0", v)
	}
	// Clipped at half: the reference has 1/2048 in 1023 bins and all the rest in
	// the last one, the candidate 1/1024 in each.
	const half = windowBins / 2
	last := 1025.0 / 2048
	want := 1023.0/2048*math.Log(0.5) + last*math.Log(last*1024)
	if v := w.divergence(half, signedLevels, false); math.Abs(v-want) > 1e-9 {
		t.Errorf("half clipped: have %g, want %g", v, want)
	}
}

// The first bin of each code, which divergence steps through, agrees with the
// code of each bin, also where there are fewer bins than codes.
func TestFirstBinsOfCodes(t *testing.T) {
	for _, levels := range []int{signedLevels, oneSidedLevels} {
		for _, bins := range []int{1, 2, 100, 127, 128, 129, 255, 256, 1025, 1500, 2048} {
			for at := range bins {
				code := min(levels, ((2*at+1)*levels+bins)/(2*bins))
				first := min(max((2*bins*code-bins+levels-1)/(2*levels), 0), bins)
				if code == 0 {
					first = 0
				}
				next := bins
				if code < levels {
					next = min((2*bins*(code+1)-bins+levels-1)/(2*levels), bins)
				}
				if at < first || at >= next {
					t.Fatalf("%d bins, %d codes: bin %d has code %d, whose bins are %d to %d", bins, levels, at, code, first, next-1)
				}
			}
		}
	}
}
