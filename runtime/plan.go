package runtime

import (
	"sync/atomic"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// CompileOptions chooses what a Plan computes. The zero value takes the graph's own placeholders and outputs.
type CompileOptions struct {
	// Feeds names the tensors that Run is given: placeholders, or any tensor, which is then not computed. Empty: every
	// placeholder that the fetches depend on.
	Feeds []string
	// Fetches names the tensors that Run returns ("name" is "name:0"). Required.
	Fetches []string
	// Observe names the tensors that the sessions' Observer sees, inside loops once an iteration, in the body of a function
	// ("function@node:0", see graphdef's Function.TensorName) each time that it runs, whoever calls it. An observed tensor
	// is computed as it is, which limits fusion, but not for the sake of being observed: the fetches must need it.
	Observe []string
	// Kernels is the set of kernels to use; nil is the best of this CPU.
	Kernels *kernels.Set
	// NoFusion compiles one step a node: the naive evaluator that fused plans are compared with.
	NoFusion bool
	// MaxBytes bounds the memory of the tensors that one session holds at a time; 0 is no bound.
	MaxBytes int64
	// Assets is the directory that relative names of files are in: the vocabularies of lookup tables. Empty: the current one.
	Assets string
}

// Plan is what the machine runs for a graph, a set of fetches and feeds: a tree of step lists over numbered slots, in which
// no name is looked up. It is immutable and shared by any number of sessions.
type Plan struct {
	kernels  *kernels.Set
	root     *block
	numSlots int
	kept     []*keptStep
	consts   []constant // slots that hold the same value in every run
	feeds    []endpoint
	fetches  []endpoint
	maxBytes int64
	assets   string

	hasLeavers bool        // some loop is of a kind that rows can leave
	mixes      atomic.Bool // but it has been found to mix rows
}

// endpoint is a feed or fetch: the name the user gave, and where the value is.
type endpoint struct {
	name  string
	slot  int32
	dtype tensor.DType
	shape tensor.PartialShape
}

type constant struct {
	slot  int32
	value *tensor.Tensor
}

// block is a list of steps that run one after the other.
type block struct{ steps []step }

// step is one call of an evaluator. What every step needs comes first, in as few cache lines as it takes: between two products of
// a model, whose weights fill the caches, the interpreter waits for each line of its own.
type step struct {
	eval     evalFunc // nil for loops and branches
	in, out  []int32  // slots
	free     []int32  // slots whose last use this is
	dies     uint64   // bit i: in[i] is in free and read by no other input, so its memory may become an output's
	mayDie   bool     // some input or control may be dead: look before running
	merge    bool     // runs if any input is alive
	stateful bool     // has effects: runs every time, and when it says
	loop     *loop
	branch   *branch
	dims     []operandDims // what some operands are, in place of their slots

	name, op string  // of the node, for errors and profiles
	controls []int32 // slots of conditional nodes that this one waits for: it is dead where one of them is
	observe  []observation

	near       near        // of a dense step: what the interpreter reads up to the next one
	ahead      []int32     // slots that later steps read, and this one, a product, asks for
	attention  *attention  // what eval computes, if it is that
	dense      bool        // eval is that of dense
	folds      bool        // if the output repeats, eval may fold it
	specialize specializer // nil: nothing to prepare once constants are known
	rows       rowRule     // nil: rows are mixed, unless nothing depends on them
	shape      shapeRule   // nil: none
	dimsIn     []int       // operands that eval reads by call.ints
}

// observation is a name under which an output of a step is observed.
type observation struct {
	slot int32
	name string
}

// loop is a while loop over vars: while cond { body }, with once before the first body.
type loop struct {
	vars       []loopVar
	cond, body block
	once       block   // what the body computes alike in every iteration
	pred       int32   // slot of the condition, a bool scalar set by cond
	locals     []int32 // slots that live inside, released when the loop ends
	observe    []observation
	leave      *leaving // nil: rows stay together
}

// loopVar is one variable of a loop. Slots: its initial value (outside), its value in the iteration, its next value, and
// where the value after the last iteration goes (outside; -1 if nobody reads it).
type loopVar struct {
	init, cur, next, exit int32
	ownsNext              bool // next is computed in the loop: its reference goes once cur has taken one
}

// branch runs one of several blocks.
type branch struct {
	choose  func(index *tensor.Tensor) (int, error)
	blocks  []block
	results [][]int32 // per block, the slots of its results, in the order of the step's outputs
	locals  []int32
}

// Feeds returns the names of the tensors that Run must be given, with what the graph says of them.
func (p *Plan) Feeds() []string { return endpointNames(p.feeds) }

// Fetches returns the names of the tensors that Run returns.
func (p *Plan) Fetches() []string { return endpointNames(p.fetches) }

// Kernels returns the kernels that the plan uses.
func (p *Plan) Kernels() *kernels.Set { return p.kernels }

func endpointNames(e []endpoint) []string {
	names := make([]string, len(e))
	for i := range e {
		names[i] = e[i].name
	}
	return names
}
