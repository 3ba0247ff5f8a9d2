package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/translate"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime/text"
)

// textFlags say how text becomes feeds; convert has them too.
type textFlags struct {
	spm             string
	batch, pad, eos int
	bos             int // of the SentencePiece model, once it is loaded; negative where there is none
}

// add declares the flags on cmd.
func (f *textFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.spm, "spm", "", "SentencePiece model `file` (.model) that cuts text into pieces")
	cmd.Flags().IntVar(&f.batch, "batch", 0, fmt.Sprintf("`sentences` in a batch (default: as many as make %d tokens with padding)", translate.DefaultTokens))
	cmd.Flags().IntVar(&f.pad, "pad", 0, "id that fills up shorter sentences of a batch")
	cmd.Flags().IntVar(&f.eos, "eos", -1, "id that ends a sentence (default: that of the SentencePiece model)")
	cmd.Flags().Lookup("eos").DefValue = "0" // no default to print: the text says it
	completeFiles(cmd, "spm", "model")
}

// load reads the SentencePiece model and settles the end of sentence.
func (f *textFlags) load() (*text.Model, error) {
	f.bos = -1
	if f.spm == "" {
		return nil, fmt.Errorf("--spm is missing: name the SentencePiece model that cuts text into pieces")
	}
	if f.batch < 0 {
		return nil, fmt.Errorf("--batch: have %d, want 1 or more (0: by tokens)", f.batch)
	}
	for _, id := range []int{f.pad, f.eos} {
		if id > math.MaxInt32 {
			return nil, fmt.Errorf("--pad, --eos: have id %d, want at most %d", id, math.MaxInt32)
		}
	}
	if f.pad < 0 {
		return nil, fmt.Errorf("--pad: have %d, want an id", f.pad)
	}
	m, err := text.Load(f.spm)
	if err != nil {
		return nil, err
	}
	f.bos = m.BOS()
	if f.eos < 0 {
		if f.eos = m.EOS(); f.eos < 0 {
			return nil, fmt.Errorf("%s has no piece that ends a sentence; name its id with --eos", f.spm)
		}
	}
	return m, nil
}

// translatorFlags are what the verbs that translate have in common.
type translatorFlags struct {
	computeFlags
	modelFlags
	textFlags
	streams int
}

// add declares the flags on cmd.
func (f *translatorFlags) add(cmd *cobra.Command) {
	f.computeFlags.add(cmd)
	f.modelFlags.add(cmd)
	f.textFlags.add(cmd)
	cmd.Flags().IntVar(&f.streams, "streams", 0, "batches to run side by side (default: one a thread)")
}

// translator is what it takes to translate text.
type translator struct {
	*translate.Translator
	spm     *text.Model
	kernels *kernels.Set
	streams int
	wait    *progress
}

// open loads the model at path and makes a translator of it.
func (f *translatorFlags) open(s *streams, path string, opts translate.Options) (*translator, error) {
	spm, err := f.textFlags.load()
	if err != nil {
		return nil, err
	}
	t := &translator{spm: spm}
	if t.kernels, err = f.set(); err != nil {
		return nil, err
	}
	threads, err := f.numThreads()
	if err != nil {
		return nil, err
	}
	if f.streams < 0 {
		return nil, fmt.Errorf("--streams: have %d, want 1 or more (0: one a thread)", f.streams)
	}
	if t.streams = f.streams; t.streams == 0 {
		t.streams = threads
	}
	keepHeapSmall()
	m, err := s.openModel(path, f.options())
	if err != nil {
		return nil, err
	}
	ports, err := m.ports(&f.modelFlags)
	if err != nil {
		return nil, err
	}
	t.wait = s.newProgress("translating")
	opts.EOS, opts.Pad, opts.BOS = f.eos, f.pad, f.bos
	opts.Packing.Sentences, opts.Streams = f.batch, t.streams
	opts.Kernels, opts.MaxBytes = t.kernels, f.streamBytes(t.streams)
	opts.Progress = t.wait.at
	if t.Translator, err = translate.New(m.graph, ports, opts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ports chooses the tensors of m that translation uses.
func (m *model) ports(f *modelFlags) (translate.Ports, error) {
	all, err := m.fetches(f)
	if err != nil {
		return translate.Ports{}, err
	}
	inputs, err := m.feedsOf(f, all)
	if err != nil {
		return translate.Ports{}, err
	}
	p, err := translate.Choose(m.graph, m.shapes, tensorsOf(inputs), tensorsOf(all))
	if err != nil {
		return p, fmt.Errorf("%s: %w; name the output with --outputs", m.path, err)
	}
	return p, nil
}

// tensorsOf returns the tensors of candidates.
func tensorsOf(list []candidate) []graphdef.Output {
	var out []graphdef.Output
	for _, c := range list {
		out = append(out, c.Output)
	}
	return out
}

// readLines returns the lines of a text file, or of standard input for "-".
func (s *streams) readLines(path string) ([]string, error) {
	var b []byte
	var err error
	if path == "-" {
		if b, err = io.ReadAll(s.in); err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
	} else if b, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	return translate.Lines(string(b)), nil
}

// translateOptions are the flags of translate.
type translateOptions struct {
	translatorFlags
	nbest  int
	scores bool
	json   jsonFlag
}

func newTranslateCmd(s *streams) *cobra.Command {
	var o translateOptions
	cmd := &cobra.Command{
		Use:   "translate MODEL --spm FILE < text > text",
		Short: "Translate text, a sentence a line, with a graph",
		Long: `translate reads text from standard input, a sentence a line, and writes one
translation a line, in the order of the input.

A line is cut into its pieces, followed by the end of sentence; an empty line is
the end of sentence alone. Batches of sentences, the longest first, run on
several streams side by side. What is written does not depend on their number.

The translation is the output of an integer dtype that is computed from exactly
one integer input [batch, length]; of [batch, beam, length] the first beam. A
leading start token and what follows the end of sentence are left out.

With --nbest N every sentence gives N lines, the best first; --scores puts the
score and a tab before each. With --json each sentence is one line of JSON.`,
		Example: `  tfq8 translate int8.pb --spm spm.model < test.en > test.de
  tfq8 translate int8.pb --spm spm.model --nbest 4 --scores < test.en`,
		Args:              positional(1, 1, "MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.context(cmd.Context(), s)
			defer cancel()
			return runTranslate(ctx, s, args[0], &o)
		},
	}
	o.add(cmd)
	o.json.add(cmd)
	cmd.Flags().IntVar(&o.nbest, "nbest", 1, "hypotheses to write of each sentence, at most the beams that the graph returns")
	cmd.Flags().BoolVar(&o.scores, "scores", false, "write the score of each hypothesis before it")
	return cmd
}

// sentenceResult is what translate prints of a sentence as JSON.
type sentenceResult struct {
	Source     string             `json:"source"`
	Hypotheses []hypothesisResult `json:"hypotheses"`
}

type hypothesisResult struct {
	Text    string      `json:"text"`
	Score   *jsonNumber `json:"score,omitempty"`
	Tokens  int         `json:"tokens"`
	Stopped bool        `json:"stopped"`
}

// jsonNumber is a float64 that JSON may not have a number for.
type jsonNumber float64

// MarshalJSON writes NaN and infinite values as strings.
func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte(nonFinite(strconv.FormatFloat(v, 'g', -1, 64))), nil
	}
	return json.Marshal(float64(n))
}

func runTranslate(ctx context.Context, s *streams, path string, o *translateOptions) error {
	if o.nbest < 1 {
		return fmt.Errorf("--nbest: have %d, want 1 or more", o.nbest)
	}
	if path == "-" {
		return fmt.Errorf("translate: the text comes from standard input, so the model cannot; name its file")
	}
	t, err := o.open(s, path, translate.Options{NBest: o.nbest, Scores: o.scores})
	if err != nil {
		return err
	}
	lines, err := s.readLines("-")
	if err != nil {
		return err
	}
	r, err := t.Translate(ctx, translate.Encode(t.spm, lines, o.eos))
	t.wait.end()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetEscapeHTML(false)
	for i, list := range r.Hypotheses {
		if o.json {
			if err := encoder.Encode(t.sentence(lines[i], list, o.scores)); err != nil {
				return err
			}
			continue
		}
		writeHypotheses(s.out, t.spm, list, o.scores)
	}
	s.detail("%d sentences, %d tokens in %.2f s on %d streams, %s kernels", len(lines), r.Tokens, r.Time.Seconds(), t.streams, t.kernels.Tier())
	return nil
}

// sentence returns what is printed of one sentence as JSON.
func (t *translator) sentence(source string, list []translate.Hypothesis, scores bool) sentenceResult {
	r := sentenceResult{Source: source}
	for _, h := range list {
		v := hypothesisResult{Text: t.spm.Decode(h.IDs), Tokens: h.Tokens(), Stopped: h.Stopped}
		if scores {
			v.Score = (*jsonNumber)(&h.Score)
		}
		r.Hypotheses = append(r.Hypotheses, v)
	}
	return r
}

// writeHypotheses writes a line for each hypothesis.
func writeHypotheses(w *bufio.Writer, m *text.Model, list []translate.Hypothesis, scores bool) {
	for _, h := range list {
		if scores {
			fmt.Fprintf(w, "%.6g\t", h.Score)
		}
		w.WriteString(m.Decode(h.IDs))
		w.WriteByte('\n')
	}
}
