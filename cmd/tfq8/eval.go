package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/internal/translate"
	"github.com/tfq8/tfq8/runtime/text"
)

// evalOptions are the flags of eval.
type evalOptions struct {
	translatorFlags
	source, reference string
	limit             int
	sort              string
	json              jsonFlag
}

func newEvalCmd(s *streams) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval MODEL --spm FILE --source FILE --reference FILE",
		Short: "Translate a test set: BLEU, chrF and speed",
		Long: `eval translates the sentences of --source as translate does, scores them against
--reference, line by line, and times it.

BLEU and chrF are those of sacrebleu with its default options; their signatures
are printed. The time runs from queueing the first batch to the end of the last:
loading, compiling, cutting text into pieces and one warm-up batch come before.
Tokens are those of the best hypotheses, the end of sentence included.`,
		Example: `  tfq8 eval int8.pb --spm spm.model --source test.en --reference test.de
  tfq8 eval int8.pb --spm spm.model --source test.en --reference test.de --streams 1 --batch 1 --limit 100 --json`,
		Args:              positional(1, 1, "MODEL"),
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := o.context(cmd.Context(), s)
			defer cancel()
			return runEval(ctx, s, args[0], &o)
		},
	}
	o.add(cmd)
	o.json.add(cmd)
	cmd.Flags().StringVar(&o.source, "source", "", "`file` of sentences to translate, one a line")
	cmd.Flags().StringVar(&o.reference, "reference", "", "`file` of their translations by people, one a line")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "take the first `lines` only (default: all)")
	cmd.Flags().StringVar(&o.sort, "sort", "tokens", "cut batches from sentences in the order of their tokens or words, the most first, or none")
	complete(cmd, "sort", "tokens", "words", "none")
	return cmd
}

// evalResult is what eval prints.
type evalResult struct {
	BLEU               float64 `json:"bleu"`
	BLEUSignature      string  `json:"bleu_signature"`
	CHRF               float64 `json:"chrf"`
	CHRFSignature      string  `json:"chrf_signature"`
	Sentences          int     `json:"sentences"`
	TargetTokens       int     `json:"target_tokens"`
	Seconds            float64 `json:"seconds"`
	SentencesPerSecond float64 `json:"sentences_per_second"`
	TokensPerSecond    float64 `json:"tokens_per_second"`
	StopTokenRate      float64 `json:"stop_token_rate"`
	Streams            int     `json:"streams"`
	Batch              int     `json:"batch"`
	CPU                string  `json:"cpu"`
	Kernels            string  `json:"kernels"`
}

func runEval(ctx context.Context, s *streams, path string, o *evalOptions) error {
	source, reference, err := o.read(s)
	if err != nil {
		return err
	}
	packing, err := o.packing(source)
	if err != nil {
		return err
	}
	t, err := o.open(s, path, translate.Options{Packing: packing})
	if err != nil {
		return err
	}
	sentences := translate.Encode(t.spm, source, o.eos)
	if err := t.Warm(ctx, sentences); err != nil {
		return err
	}
	got, err := t.Translate(ctx, sentences)
	t.wait.end()
	if err != nil {
		return err
	}
	hyps := make([]string, len(source))
	for i, list := range got.Hypotheses {
		hyps[i] = t.spm.Decode(list[0].IDs)
	}
	bleu, err := text.BLEU(hyps, reference)
	if err != nil {
		return err
	}
	chrf, err := text.CHRF(hyps, reference)
	if err != nil {
		return err
	}
	seconds := got.Time.Seconds()
	r := evalResult{
		BLEU: bleu.Score, BLEUSignature: bleu.Signature(), CHRF: chrf.Score, CHRFSignature: chrf.Signature(),
		Sentences: len(hyps), TargetTokens: got.Tokens, Seconds: seconds,
		SentencesPerSecond: float64(len(hyps)) / seconds, TokensPerSecond: float64(got.Tokens) / seconds,
		StopTokenRate: float64(got.Stopped) / float64(len(hyps)),
		Streams:       t.streams, Batch: o.batch, CPU: cpuName(), Kernels: t.kernels.Tier().String(),
	}
	if o.json {
		return s.printJSON(r)
	}
	fmt.Fprintln(s.out, bleu)
	fmt.Fprintln(s.out, chrf)
	fmt.Fprintf(s.out, "%d sentences, %d target tokens in %.3f s: %.1f sentences/s, %.0f tokens/s\n",
		r.Sentences, r.TargetTokens, r.Seconds, r.SentencesPerSecond, r.TokensPerSecond)
	fmt.Fprintf(s.out, "stop-token rate %.4f, %d streams, %s, %s kernels, %s\n", r.StopTokenRate, r.Streams, batchName(r.Batch), r.Kernels, r.CPU)
	return nil
}

// batchName says how --batch cuts the sentences.
func batchName(batch int) string {
	if batch == 0 {
		return fmt.Sprintf("batches of %d tokens", translate.DefaultTokens)
	}
	return fmt.Sprintf("batch %d", batch)
}

// packing reads --sort.
func (o *evalOptions) packing(source []string) (translate.Packing, error) {
	switch o.sort {
	case "tokens":
		return translate.Packing{}, nil
	case "none":
		return translate.Packing{Sort: translate.Unsorted}, nil
	case "words":
		p := translate.Packing{Sort: translate.ByWords}
		for _, line := range source {
			p.Words = append(p.Words, len(strings.Fields(line)))
		}
		return p, nil
	}
	return translate.Packing{}, fmt.Errorf("--sort: have %q, want tokens, words or none", o.sort)
}

// read returns the lines to translate and those to compare with.
func (o *evalOptions) read(s *streams) (source, reference []string, err error) {
	for _, f := range []struct {
		flag, path string
		lines      *[]string
	}{{"--source", o.source, &source}, {"--reference", o.reference, &reference}} {
		if f.path == "" {
			return nil, nil, fmt.Errorf("%s is missing: name a file of sentences, one a line", f.flag)
		}
		if *f.lines, err = s.readLines(f.path); err != nil {
			return nil, nil, err
		}
	}
	if o.limit < 0 {
		return nil, nil, fmt.Errorf("--limit: have %d, want 1 or more (0: all lines)", o.limit)
	}
	if o.limit > 0 {
		source, reference = source[:min(len(source), o.limit)], reference[:min(len(reference), o.limit)]
	}
	if len(source) != len(reference) {
		return nil, nil, fmt.Errorf("%s has %d lines and %s %d; they must be parallel", o.source, len(source), o.reference, len(reference))
	}
	if len(source) == 0 {
		return nil, nil, fmt.Errorf("%s has no lines", o.source)
	}
	return source, reference, nil
}
