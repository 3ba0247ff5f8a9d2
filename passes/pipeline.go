package passes

import (
	"context"
	"fmt"
	"time"

	"github.com/tfq8/tfq8/graphdef"
)

// Cleanup and Quantization are the two halves of the pipeline, in order; calibration observes the graph between them.
var (
	Cleanup = []*Pass{
		&StripUnused,
		&RemoveTraining,
		&InlineCalls,
		&FoldConstants,
		&SinkConstants,
		&RemoveIdentity,
		&MergeDuplicates,
	}
	Quantization = []*Pass{
		&QuantizeMatMul,
		&QuantizeBatchMatMul,
		&QuantizeCache,
		&ShareTables,
		&DropPairs,
		&ShareConstants,
		&StripLeftovers,
	}
)

// constraint says that one pass must come before another, and why.
type constraint struct{ before, after, why string }

var order = []constraint{
	{"strip-unused", "fold-constants", "what no output needs is not worth computing"},
	{"remove-training", "fold-constants", "a dropout that is off hides constants"},
	{"remove-training", "inline-calls", "a conditional on a constant becomes a call"},
	{"inline-calls", "fold-constants", "a weight is a constant in its function only when it is no argument there"},
	{"fold-constants", "sink-constants", "what a loop gets may be computed from constants"},
	{"sink-constants", "merge-duplicates", "an argument twice is two values, a constant twice is one"},
	{"fold-constants", "quantize-matmul", "weights behind Transpose, Reshape or ConcatV2 of shards must be one Const by then"},
	{"remove-identity", "merge-duplicates", "equal nodes read equal inputs only when Identity no longer stands between"},
	{"merge-duplicates", "quantize-matmul", "an encoder that is there twice would be calibrated and quantized twice"},
	{"quantize-matmul", "share-tables", "only a weight that is quantized can stand for its embedding table"},
	{"quantize-batch-matmul", "quantize-cache", "the codes that attention reads are what the cache can hold"},
	{"quantize-matmul", "drop-pairs", "pairs are what quantizing leaves"},
	{"share-tables", "share-constants", "only then it shows which weights are there twice"},
	{"share-constants", "strip-leftovers", "what is no more read in a body goes"},
	{"drop-pairs", "strip-leftovers", "dropped nodes leave their ranges behind"},
}

// runAll runs the passes in order and appends what each did.
func runAll(ctx context.Context, list []*Pass, g *graphdef.Graph, env *Env, verify bool, after func(*Pass, *graphdef.Graph) error) ([]PassResult, error) {
	var results []PassResult
	bytes := graphdef.Size(g)
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		r := PassResult{Name: p.Name, NodesBefore: len(g.Nodes()), BytesBefore: bytes}
		env.account.rewrites, env.pass = 0, p.Name
		start := time.Now()
		if err := p.Run(ctx, g, env); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		env.follow(g)
		r.Millis = float64(time.Since(start).Microseconds()) / 1000
		if verify {
			if err := graphdef.Validate(g); err != nil {
				return nil, fmt.Errorf("%s left a broken graph: %w", p.Name, err)
			}
		}
		bytes = graphdef.Size(g)
		r.Rewrites, r.NodesAfter, r.BytesAfter = env.account.rewrites, len(g.Nodes()), bytes
		results = append(results, r)
		if after != nil {
			if err := after(p, g); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}
