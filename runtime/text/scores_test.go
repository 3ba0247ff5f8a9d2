package text

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// scoreTolerance is relative: logarithm, exponential and power differ between the two languages' libraries by some ulps.
const scoreTolerance = 1e-13

// recordedScore is one line of scores.jsonl, an answer of sacrebleu.
type recordedScore struct {
	Hyps       []string  `json:"hyps"`
	Refs       []string  `json:"refs"`
	Score      float64   `json:"score"`
	Precisions []float64 `json:"precisions"`
	BP         float64   `json:"bp"`
	HypLen     int       `json:"hyp_len"`
	RefLen     int       `json:"ref_len"`
	Counts     []int     `json:"counts"`
	Totals     []int     `json:"totals"`
	Line       string    `json:"line"`
	CHRF       float64   `json:"chrf"`
	CHRFLine   string    `json:"chrf_line"`
}

func closeTo(a, b float64) bool {
	return math.Abs(a-b) <= scoreTolerance*math.Max(math.Abs(a), math.Abs(b))
}

// TestRecordedScores compares with sacrebleu's answers in testdata/scores.jsonl and in scores.jsonl of the directories
// that TFQ8_TEXT names.
func TestRecordedScores(t *testing.T) {
	for _, dir := range append([]string{"testdata"}, filepath.SplitList(os.Getenv("TFQ8_TEXT"))...) {
		f, err := os.Open(filepath.Join(dir, "scores.jsonl"))
		if err != nil {
			if dir == "testdata" {
				t.Fatal(err)
			}
			continue
		}
		defer f.Close()
		lines := 0
		s := bufio.NewScanner(f)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			lines++
			var r recordedScore
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			b, err := BLEU(r.Hyps, r.Refs)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != r.Line || b.HypLen != r.HypLen || b.RefLen != r.RefLen || !closeTo(b.Score, r.Score) || !closeTo(b.BrevityPenalty, r.BP) ||
				!slices.Equal(b.Correct[:], r.Counts) || !slices.Equal(b.Total[:], r.Totals) || !slices.EqualFunc(b.Precisions[:], r.Precisions, closeTo) {
				t.Errorf("%s line %d: BLEU(%q, %q) = %v %+v\nwant %s", dir, lines, r.Hyps, r.Refs, b, b, s.Text())
			}
			c, err := CHRF(r.Hyps, r.Refs)
			if err != nil {
				t.Fatal(err)
			}
			if c.String() != r.CHRFLine || !closeTo(c.Score, r.CHRF) {
				t.Errorf("%s line %d: CHRF(%q, %q) = %v %v\nwant %s %v", dir, lines, r.Hyps, r.Refs, c, c.Score, r.CHRFLine, r.CHRF)
			}
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d corpora", dir, lines)
	}
}

// TestReferenceTranslation scores a whole test set; sacrebleu's lines are recorded.
func TestReferenceTranslation(t *testing.T) {
	dir := "../../../shared/fixtures/nmt"
	if _, err := os.Stat(filepath.Join(dir, "tf_test_2016.de")); err != nil {
		t.Skipf("skipped: %v", err)
	}
	hyps, refs := readLines(t, filepath.Join(dir, "tf_test_2016.de")), readLines(t, filepath.Join(dir, "test_2016.de"))
	b, err := BLEU(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	c, err := CHRF(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	const wantBLEU = "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 37.04 68.8/44.7/31.7/22.5 (BP = 0.962 ratio = 0.963 hyp_len = 11660 ref_len = 12106)"
	const wantCHRF = "chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0 = 60.69"
	if b.String() != wantBLEU {
		t.Errorf("BLEU = %v, want %s", b, wantBLEU)
	}
	if c.String() != wantCHRF {
		t.Errorf("CHRF = %v, want %s", c, wantCHRF)
	}
}

func TestScoreErrors(t *testing.T) {
	for _, c := range []struct{ hyps, refs []string }{{nil, nil}, {[]string{"a"}, nil}, {[]string{"a"}, []string{"a", "b"}}} {
		if _, err := BLEU(c.hyps, c.refs); err == nil {
			t.Errorf("BLEU(%q, %q) gave no error", c.hyps, c.refs)
		}
		if _, err := CHRF(c.hyps, c.refs); err == nil {
			t.Errorf("CHRF(%q, %q) gave no error", c.hyps, c.refs)
		}
	}
}
