package calib

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// update rewrites testdata/golden.json from the reference's answers, which
// calibration in Python made; it never takes this package's own.
var update = flag.Bool("update", false, "rewrite testdata/golden.json from the reference answers")

const referenceDir = "../../shared/facts/kl_golden"

var allRules = []Rule{{Kind: MinMax}, {Kind: KLSymmetric}, {Kind: KLIndependent}, {Kind: KLConjugate},
	{Kind: Percentile}, {Kind: MSE}, {Kind: GuardedKL}}

// lcgNormal returns n values that are nearly normal: sums of twelve uniforms
// from a 64-bit linear congruential generator.
func lcgNormal(n int, seed uint64) []float32 {
	x := make([]float32, n)
	for i := range x {
		sum := 0.0
		for range 12 {
			seed = seed*6364136223846793005 + 1442695040888963407
			sum += float64(seed>>40) / (1 << 24)
		}
		x[i] = float32(sum - 6)
	}
	return x
}

func mapped(x []float32, f func(v float32) float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

func repeated(v float32, n int) []float32 {
	return mapped(make([]float32, n), func(float32) float32 { return v })
}

func scaled(x []float32, by float32) []float32 {
	return mapped(x, func(v float32) float32 { return v * by })
}

// goldenCase is a tensor in the parts in which it is observed.
type goldenCase struct {
	name  string
	parts [][]float32
}

func goldenCases() []goldenCase {
	big, g2 := lcgNormal(12000, 1), lcgNormal(3000, 2)
	g := big[:3000]
	join := func(parts ...[]float32) [][]float32 {
		var all []float32
		for _, p := range parts {
			all = append(all, p...)
		}
		return [][]float32{all}
	}
	pairs := func(f func(a, b float32) float32) [][]float32 {
		y := make([]float32, len(g))
		for i := range y {
			y[i] = f(g[i], g2[i])
		}
		return [][]float32{y}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	uniform := make([]float32, 4001)
	for i := range uniform {
		uniform[i] = float32(float64(i-2000) / 2000)
	}
	negativeZero := float32(math.Copysign(0, -1))
	return []goldenCase{
		{"all_zero", join(repeated(0, 1000))},
		{"neg_zero_only", join(repeated(negativeZero, 10))},
		{"empty", join(nil)},
		{"single_value", join(repeated(0.75, 5000))},
		{"two_values", join(repeated(-0.5, 5000), repeated(1, 5000))},
		{"few_values", join(g[:100])},
		{"gauss", join(big)},
		{"gauss_shifted", join(mapped(g, func(v float32) float32 { return v + 3 }))},
		{"gauss_tiny_scale", join(scaled(g, 1e-30))},
		{"gauss_huge_scale", join(scaled(g, 1e37))},
		{"denormal", join(scaled(g, 1e-40))},
		{"gauss_one_outlier", join(g, []float32{1000})},
		{"gauss_outlier_x16", join(g, []float32{80, -80})},
		{"relu", join(mapped(big[:6000], func(v float32) float32 { return max(v, 0) }))},
		{"negative_only", join(mapped(big[:6000], func(v float32) float32 { return min(v, 0) }))},
		{"asymmetric", join(mapped(big[:6000], func(v float32) float32 {
			if v < 0 {
				return v * 0.25
			}
			return v
		}))},
		{"softmax_like", join(mapped(g, func(v float32) float32 {
			return float32(math.Exp(float64(float32(v*3) - 9)))
		}))},
		{"laplace_like", pairs(func(a, b float32) float32 { return a * max(b, -b) })},
		{"heavy_tail", pairs(func(a, b float32) float32 { return float32(float64(a) * math.Exp(1.5*float64(b))) })},
		{"bimodal", join(
			mapped(g[:1500], func(v float32) float32 { return float32(v*0.05) - 1 }),
			mapped(g2[:1500], func(v float32) float32 { return float32(v*0.05) + 1 }))},
		{"uniform", join(uniform)},
		{"grow", [][]float32{scaled(g[:1500], 1e-6), g2[:1500]}},
		{"spike_far_outlier", join(repeated(0.001, 50000), []float32{100})},
		{"with_nan", join(g[:500], []float32{nan})},
		{"with_inf", join(g[:500], []float32{inf, -inf})},
	}
}

func (c goldenCase) statistics() *Statistics {
	s := new(Statistics)
	for _, p := range c.parts {
		s.Add(p)
	}
	return s
}

// goldenAnswer is what the reference says about a case.
type goldenAnswer struct {
	Class      string            `json:"class"`
	Statistics string            `json:"statistics"` // SHA-256 of their JSON text
	Rules      map[string]string `json:"rules"`      // "lo hi note": bits in hex
}

// reference reads one answer of the reference implementation, and the JSON text
// of its statistics.
func reference(t *testing.T, name string) (goldenAnswer, []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(referenceDir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Class      *string
		Stats      json.RawMessage
		Thresholds map[string]json.RawMessage
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file.Stats)
	a := goldenAnswer{Statistics: hex.EncodeToString(sum[:]), Rules: map[string]string{}}
	if file.Class != nil {
		a.Class = *file.Class
	}
	for rule, raw := range file.Thresholds {
		var list []any
		if err := json.Unmarshal(raw, &list); err != nil {
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				t.Fatal(err)
			}
			a.Rules[rule] = text
			continue
		}
		a.Rules[rule] = fmt.Sprintf("%s %s", list[0], list[1])
		if len(list) == 5 {
			a.Rules[rule] += " " + list[4].(string)
		}
	}
	return a, file.Stats
}

// answer is this package's view of the same.
func answer(s *Statistics) goldenAnswer {
	sum := sha256.Sum256(appendStatistics(nil, s))
	a := goldenAnswer{Statistics: hex.EncodeToString(sum[:]), Rules: map[string]string{}}
	for _, r := range allRules {
		t, err := r.Threshold(s)
		if bad, ok := errors.AsType[*NotFiniteError](err); ok {
			a.Rules[r.String()] = fmt.Sprintf("NotFinite: NaN %d, +Inf %d, -Inf %d", bad.NaNs, bad.PosInfs, bad.NegInfs)
			continue
		}
		a.Class = t.Class.String()
		a.Rules[r.String()] = fmt.Sprintf("%08x %08x", math.Float32bits(t.Lo), math.Float32bits(t.Hi))
		if t.Note != "" {
			a.Rules[r.String()] += " " + t.Note
		}
	}
	return a
}

func compareAnswers(t *testing.T, got, want goldenAnswer) {
	t.Helper()
	if got.Class != want.Class {
		t.Errorf("class: have %q, want %q", got.Class, want.Class)
	}
	if got.Statistics != want.Statistics {
		t.Errorf("statistics: have digest %s, want %s", got.Statistics, want.Statistics)
	}
	if len(want.Rules) != len(allRules) {
		t.Errorf("have answers for %d rules, want %d", len(want.Rules), len(allRules))
	}
	for rule, w := range want.Rules {
		if g := got.Rules[rule]; g != w {
			t.Errorf("%s: have %q, want %q", rule, g, w)
		}
	}
}

// TestRecordedAnswers makes every case from its generator and compares the
// statistics and the thresholds of every rule, bit for bit, with what the
// reference implementation in Python found.
func TestRecordedAnswers(t *testing.T) {
	const file = "testdata/golden.json"
	if *update {
		all := map[string]goldenAnswer{}
		for _, c := range goldenCases() {
			all[c.name], _ = reference(t, c.name)
		}
		data, err := json.MarshalIndent(all, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]goldenAnswer
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	cases := goldenCases()
	if len(want) != len(cases) {
		t.Errorf("have %d recorded answers, want %d", len(want), len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { compareAnswers(t, answer(c.statistics()), want[c.name]) })
	}
}

// TestReferenceFiles reads the statistics out of the reference's own files, so
// that a difference in counting cannot hide one in the rules.
func TestReferenceFiles(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(referenceDir, "*.json"))
	if len(files) == 0 {
		t.Skipf("%s is missing", referenceDir)
	}
	if len(files) != len(goldenCases()) {
		t.Errorf("have %d files, want %d", len(files), len(goldenCases()))
	}
	generated := map[string]*Statistics{}
	for _, c := range goldenCases() {
		generated[c.name] = c.statistics()
	}
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".json")])
		t.Run(name, func(t *testing.T) {
			want, text := reference(t, name)
			s, err := parseStatistics(newDecoder(bytes.NewReader(text)))
			if err != nil {
				t.Fatal(err)
			}
			compareAnswers(t, answer(s), want)
			if again := appendStatistics(nil, s); !bytes.Equal(again, text) {
				t.Errorf("statistics written as %.200s, want %.200s", again, text)
			}
			if !s.Equal(generated[name]) {
				t.Errorf("statistics of the generated values differ:\nhave %.300s\nwant %.300s", appendStatistics(nil, generated[name]), text)
			}
		})
	}
}
