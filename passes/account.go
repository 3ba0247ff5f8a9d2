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
	Unneeded          Reason = "unneeded"            // no output depends on the value: the product is gone
	Excluded          Reason = "excluded"            // an --exclude pattern matches the node
	NotFloat          Reason = "not-float"           // the product is of another dtype than float, half and bfloat16
	UnsupportedForm   Reason = "unsupported-form"    // weights of each batch, ranks or an equation that no matrix product computes
	TwoActivations    Reason = "two-activations"     // neither input is constant, and the target has no fast product for that
	WeightNotFinite   Reason = "weight-not-finite"   // the weights hold NaN or infinite values
	TooDeep           Reason = "too-deep"            // the sum over so many terms could leave 32 bits
	NotCalibrated     Reason = "not-calibrated"      // calibration never computed an input
	InputNotFinite    Reason = "input-not-finite"    // calibration saw NaN or infinite values in an input
	InputConstantZero Reason = "input-constant-zero" // calibration saw only zeros, or next to nothing
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
	fate     map[string]fate   // of products, by qualified name
	merged   map[string]string // nodes that were merged into another, by old qualified name
	// copies are the nodes that a function's product became, by its qualified name, where calls were inlined or the function
	// copied; origin is the way back.
	copies map[string][]string
	origin map[string]string
}

type fate struct {
	quantized bool
	reason    Reason
	detail    string
}

func newAccount() *account {
	return &account{
		fate: map[string]fate{}, merged: map[string]string{}, copies: map[string][]string{}, origin: map[string]string{},
	}
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

// Inlined notes that node with, a copy of node old, does part of what old did. Both names are qualified.
func (env *Env) Inlined(old, with string) {
	a := env.account
	first := a.first(old)
	a.copies[first] = append(a.copies[first], with)
	a.origin[with] = first
}

// first returns the name in the input graph of the product that is now called name.
func (a *account) first(name string) string {
	if old, ok := a.origin[name]; ok {
		return old
	}
	return name
}

// excluded reports whether the product of that qualified name is to stay in FP32.
func (env *Env) excluded(name string) bool {
	return env.Excluded != nil && env.Excluded(env.account.first(name))
}

// productOps are the ops that are candidates for INT8.
var productOps = map[string]bool{
	"MatMul": true, "BatchMatMul": true, "BatchMatMulV2": true, "BatchMatMulV3": true, "Einsum": true,
}

// isProduct reports whether n is a candidate: a contraction. An Einsum that sums over nothing that both operands have only
// multiplies elements.
func isProduct(n *graphdef.Node) bool {
	if n.Op() != "Einsum" {
		return productOps[n.Op()]
	}
	equation, err := n.Str("equation")
	if err != nil || n.NumInputs() != 2 {
		return false
	}
	c, ok := parseContraction(equation)
	return !ok || slices.ContainsFunc(c.x, func(l rune) bool { return slices.Contains(c.y, l) && !slices.Contains(c.out, l) })
}

// qualified returns the name by which reports know a node: its own, after that of the function whose body it is in, if any, and
// an @.
func qualified(f *graphdef.Function, n *graphdef.Node) string {
	if f == nil {
		return n.Name()
	}
	return f.Name + "@" + n.Name()
}

// reachedIn returns the nodes that the outputs need, by graph: of g itself and of the bodies of the functions that those call.
func reachedIn(g *graphdef.Graph, outputs []*graphdef.Node) map[*graphdef.Graph]map[*graphdef.Node]bool {
	reached := map[*graphdef.Graph]map[*graphdef.Node]bool{g: graphdef.Ancestors(outputs...)}
	for stack := []*graphdef.Graph{g}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for n := range reached[at] {
			for _, name := range append(called(n), n.Op()) {
				if f := g.Function(name); f != nil && reached[f.Body] == nil {
					reached[f.Body] = graphdef.Ancestors(slices.Concat(f.Rets, f.ControlRet)...)
					stack = append(stack, f.Body)
				}
			}
		}
	}
	return reached
}

// candidates lists the products of g that the outputs reach, in file order, those in function bodies after the others.
func candidates(g *graphdef.Graph, outputs []*graphdef.Node) []Product {
	var list []Product
	reached := reachedIn(g, outputs)
	add := func(f *graphdef.Function, body *graphdef.Graph) {
		for _, n := range body.Nodes() {
			if reached[body][n] && isProduct(n) {
				list = append(list, Product{Node: qualified(f, n), Op: n.Op()})
			}
		}
	}
	add(nil, g)
	for _, f := range g.Functions() {
		add(f, f.Body)
	}
	return list
}

// settle fills in what became of each product. One that was copied is in INT8 where all its copies are.
func (a *account) settle(products []Product) {
	for i := range products {
		p := &products[i]
		found := false
		for _, name := range append([]string{p.Node}, a.copies[p.Node]...) {
			f, into, ok := a.fateOf(name)
			if !ok {
				continue // gone with its function, of which copies are left
			}
			p.MergedInto = cmp.Or(p.MergedInto, into)
			if !found || p.Quantized {
				p.Quantized, p.Reason, p.Detail = f.quantized, f.reason, f.detail
			}
			found = true
		}
		if !found {
			p.Reason, p.Detail = Unneeded, "no output depends on its value, so that it is gone"
		}
	}
}

// fateOf returns what became of the node of that name, and the node that it was merged into.
func (a *account) fateOf(name string) (f fate, into string, ok bool) {
	for seen := map[string]bool{}; !seen[name]; {
		seen[name] = true
		if next, ok := a.merged[name]; ok {
			name, into = next, next
		}
	}
	f, ok = a.fate[name]
	return f, into, ok
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
