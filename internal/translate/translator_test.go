package translate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

func sprint(v any) string { return fmt.Sprint(v) }

// parse returns a graph in text form with its shapes and the outputs of the named nodes.
func parse(t *testing.T, text string, names ...string) (*graphdef.Graph, *graphdef.Shapes, []graphdef.Output) {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var outs []graphdef.Output
	for _, n := range names {
		outs = append(outs, g.Node(n).Out(0))
	}
	return g, graphdef.Infer(g), outs
}

// placeholders returns those of g.
func placeholders(g *graphdef.Graph) []graphdef.Output {
	var list []graphdef.Output
	for _, n := range g.Nodes() {
		if n.Op() == "Placeholder" {
			list = append(list, n.Out(0))
		}
	}
	return list
}

const choices = `
source = Placeholder[dtype=int32, shape=?x?]()
target = Placeholder[dtype=int64, shape=?x?]()
mask = Placeholder[dtype=float, shape=?x?]()
length = Placeholder[dtype=int32, shape=?x]()
ids = Identity(source)
ids64 = Identity(target)
lengths = Identity(length)
scored = Cast[DstT=float](ids)
row = Const[value=int32 0]()
score = Mean(scored, row)
both = Cast[DstT=int32](target)
mixed = Add(ids, both)
masked = Add(scored, mask)
maskedIDs = Cast[DstT=int32](masked)
`

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		outputs, want, err string
	}{
		{"ids", "source:0 int32 ids:0 <nil>", ""},
		{"ids score", "source:0 int32 ids:0 score:0", ""},
		{"ids64 score", "target:0 int64 ids64:0 <nil>", ""},
		{"mixed ids score", "source:0 int32 ids:0 score:0", ""},         // mixed needs two inputs
		{"ids scored", "source:0 int32 ids:0 <nil>", ""},                // a score for each token is no score
		{"lengths maskedIDs ids", "source:0 int32 ids:0 <nil>", ""},     // one is no sequence, the other needs a mask as well
		{"ids ids64", "", `2 outputs are of an integer dtype`},          // ambiguous
		{"mixed score", "", `no output is of an integer dtype`},         // none
		{"lengths", "", `candidates: "lengths" int32 [?]`},              // named with dtype and shape
		{"ids ids64", "", `: "ids" int32 [?, ?], "ids64" int64 [?, ?]`}, // only those that fit
	} {
		g, shapes, outputs := parse(t, choices, strings.Fields(c.outputs)...)
		p, err := Choose(g, shapes, placeholders(g), outputs)
		if c.err != "" {
			var choice *ChoiceError
			if !errors.As(err, &choice) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %s", c.outputs, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.outputs, err)
			continue
		}
		score := "<nil>"
		if p.Scores.Node != nil {
			score = p.Scores.String()
		}
		if got := fmt.Sprint(p.Source, " ", p.SourceType, " ", p.Target, " ", score); got != c.want {
			t.Errorf("%s: ports %s, want %s", c.outputs, got, c.want)
		}
	}
}

// echo is a graph whose translation is the source itself.
func echo(t *testing.T) (*graphdef.Graph, Ports) {
	g, shapes, outputs := parse(t, "source = Placeholder[dtype=int32, shape=?x?]()\ntranslation = Identity(source)\n", "translation")
	p, err := Choose(g, shapes, placeholders(g), outputs)
	if err != nil {
		t.Fatal(err)
	}
	return g, p
}

func TestTranslateKeepsOrder(t *testing.T) {
	g, p := echo(t)
	var sentences [][]int
	tokens := 0
	for i := range 57 {
		var s []int
		for j := range i * 13 % 11 {
			s = append(s, 2+i+100*j)
		}
		sentences = append(sentences, append(s, 1))
		tokens += len(s) + 1
	}
	for _, batch := range []int{0, 1, 2, 7, 100} {
		for _, streams := range []int{0, 1, 3, 80} {
			calls := 0
			tr, err := New(g, p, Options{EOS: 1, BOS: -1, Packing: Packing{Sentences: batch}, Streams: streams, Progress: func(done, total int) {
				if calls++; done != calls || total != len(Packing{Sentences: batch}.Batches(sentences)) {
					t.Errorf("progress %d of %d at call %d", done, total, calls)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Warm(context.Background(), sentences); err != nil {
				t.Fatal(err)
			}
			r, err := tr.Translate(context.Background(), sentences)
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range r.Hypotheses {
				if s := sentences[i]; !slices.Equal(h[0].IDs, s[:len(s)-1]) || !h[0].Stopped {
					t.Fatalf("batch %d, streams %d: sentence %d gives %v, want %v", batch, streams, i, h[0], s)
				}
			}
			if r.Tokens != tokens || r.Stopped != len(sentences) || r.Time <= 0 {
				t.Errorf("%d tokens, %d stopped, %v; want %d, %d", r.Tokens, r.Stopped, r.Time, tokens, len(sentences))
			}
		}
	}
}

func TestTranslateNothing(t *testing.T) {
	g, p := echo(t)
	tr, err := New(g, p, Options{EOS: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Warm(context.Background(), nil); err != nil {
		t.Error(err)
	}
	if r, err := tr.Translate(context.Background(), nil); err != nil || len(r.Hypotheses) != 0 {
		t.Errorf("nothing gives %v, %v", r, err)
	}
}

func TestTranslateStops(t *testing.T) {
	g, p := echo(t)
	tr, err := New(g, p, Options{EOS: 1, Packing: Packing{Sentences: 1}, Streams: 2})
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if _, err := tr.Translate(ctx, [][]int{{1}, {1}}); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
}

func TestTranslateErrors(t *testing.T) {
	g, p := echo(t)
	if _, err := New(g, p, Options{EOS: 1, Scores: true}); err == nil || !strings.Contains(err.Error(), `no output has the scores of "translation:0"`) {
		t.Errorf("scores that are not there: %v", err)
	}
	tr, err := New(g, p, Options{EOS: 1, NBest: 2, Streams: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := `batch of 2 sentences, the first from line 2: output "translation:0": have 1 hypotheses a sentence, want 2`
	if _, err := tr.Translate(context.Background(), [][]int{{1}, {5, 1}}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestSourceInTheMiddle(t *testing.T) {
	g, shapes, outputs := parse(t, choices, "ids", "ids64")
	p, err := Choose(g, shapes, []graphdef.Output{g.Node("ids").Out(0)}, outputs)
	if err != nil || p.Source.Node.Name() != "ids" || p.SourceType != tensor.Int32 {
		t.Errorf("ports %v, %v", p, err)
	}
}
