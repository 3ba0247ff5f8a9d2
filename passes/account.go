package passes

import (
	"cmp"
	"slices"
	"time"

	"github.com/tfq8/tfq8/graphdef"
)

// Reason says why a product stays in FP32. The list is closed: programs may switch on it.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	Excluded          Reason = "excluded"            // an --exclude pattern matches the node
	NotFloat          Reason = "not-float"           // the product is not of dtype float
	UnsupportedForm   Reason = "unsupported-form"    // transposed left input, ranks or equation without a quantized form
	TwoActivations    Reason = "two-activations"     // neither input is constant, and the target has no fast product for that
	WeightNotFinite   Reason = "weight-not-finite"   // the weights hold NaN or infinite values
	TooDeep           Reason = "too-deep"            // the sum over so many terms could leave 32 bits
	NotCalibrated     Reason = "not-calibrated"      // calibration never computed an input
	InputNotFinite    Reason = "input-not-finite"    // calibration saw NaN or infinite values in an input
	InputConstantZero Reason = "input-constant-zero" // calibration saw only zeros
	SparseInput       Reason = "sparse-input"        // an input's peak is far above its bulk: 8 bits do not hold both
)

// Product is one candidate of the frozen input graph and what became of it.
type Product struct {
	Node string `json:"node"`
	Op   string `json:"op"`
	// Quantized is true where the product is computed in INT8 in the result.
	Quantized bool `json:"-"`
	// Reason and Detail say why it is not.
	Reason Reason `json:"reason"`
	Detail string `json:"detail"`
	// MergedInto names the product that an equal one became part of; it counts as that one is treated.
	MergedInto string `json:"-"`
}

// PassResult is what one run of a pass did.
type PassResult struct {
	Name        string  `json:"name"`
	Rewrites    int     `json:"rewrites"`
	NodesBefore int     `json:"nodes_before"`
	NodesAfter  int     `json:"nodes_after"`
	BytesBefore int     `json:"bytes_before"`
	BytesAfter  int     `json:"bytes_after"`
	Millis      float64 `json:"milliseconds"`
}

// account is what the passes of one pipeline tell.
type account struct {
	rewrites int               // of the pass that runs
	fate     map[string]fate   // of products, by the name the node had in the input graph
	merged   map[string]string // nodes that were merged into another, by old name
	renamed  map[string]string // products whose work another node took over: old name of the product by new node
}

type fate struct {
	quantized bool
	reason    Reason
	detail    string
}

func newAccount() *account {
	return &account{fate: map[string]fate{}, merged: map[string]string{}}
}

// Rewrote counts one rewrite of the running pass.
func (env *Env) Rewrote() { env.account.rewrites++ }

// Merged notes that node old is gone, since with computes the same.
func (env *Env) Merged(old, with string) { env.account.merged[old] = with }

// Quantized notes that the product which node computed is now computed in INT8.
func (env *Env) Quantized(node string) { env.account.fate[node] = fate{quantized: true} }

// LeftFloat notes why the product of node stays as it is. The first reason given for a node stands.
func (env *Env) LeftFloat(node string, reason Reason, detail string) {
	if _, ok := env.account.fate[node]; !ok {
		env.account.fate[node] = fate{reason: reason, detail: detail}
	}
}

// productOps are the ops that are candidates for INT8.
var productOps = map[string]bool{
	"MatMul": true, "BatchMatMul": true, "BatchMatMulV2": true, "BatchMatMulV3": true, "Einsum": true,
}

// candidates lists the products of g that the outputs reach, in file order.
func candidates(g *graphdef.Graph, outputs []*graphdef.Node) []Product {
	reached := graphdef.Ancestors(outputs...)
	var list []Product
	for _, n := range g.Nodes() {
		if reached[n] && productOps[n.Op()] && (n.Op() != "Einsum" || n.NumInputs() == 2) {
			list = append(list, Product{Node: n.Name(), Op: n.Op()})
		}
	}
	return list
}

// settle fills in what became of each product.
func (a *account) settle(products []Product) {
	for i := range products {
		p := &products[i]
		name := p.Node
		for {
			next, ok := a.merged[name]
			if !ok || next == name {
				break
			}
			name = next
			p.MergedInto = name
		}
		f, ok := a.fate[name]
		if !ok {
			f = fate{reason: UnsupportedForm, detail: "no pass knows this form"}
		}
		p.Quantized, p.Reason, p.Detail = f.quantized, f.reason, f.detail
	}
}

// Report is what Convert did and why.
type Report struct {
	Passes   []PassResult
	Products []Product
	// Bytes of the serialized graphs.
	BytesBefore, BytesAfter int
	// Thresholds by tensor name with how they came about are in Result.Thresholds.
	CalibrationFeeds int
	CalibrationTime  time.Duration
}

// Quantized returns how many of the products with the given op (any, if empty) are in INT8.
func (r *Report) Quantized(op string) (quantized, total int) {
	for _, p := range r.Products {
		if op != "" && p.Op != op {
			continue
		}
		total++
		if p.Quantized {
			quantized++
		}
	}
	return quantized, total
}

// LeftFloat returns the products that stay in FP32, sorted by name.
func (r *Report) LeftFloat() []Product {
	left := slices.DeleteFunc(slices.Clone(r.Products), func(p Product) bool { return p.Quantized })
	slices.SortFunc(left, func(a, b Product) int { return cmp.Compare(a.Node, b.Node) })
	return left
}
