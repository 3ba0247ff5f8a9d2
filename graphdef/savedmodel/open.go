package savedmodel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/checkpoint"
	"github.com/tfq8/tfq8/graphdef/internal/pbtext"
)

// Options chooses what of a model is opened. The zero value takes what the model itself puts first.
type Options struct {
	// Tags are the tags of the meta graph; nil: the only one, or the one tagged "serve".
	Tags []string
	// Signature is the signature whose outputs the graph computes; "": serving_default if there is one, else all signatures.
	Signature string
	// Outputs are the nodes or tensors, or keys of signature outputs, that the graph computes instead.
	Outputs []string
	// Inputs are nodes or tensors, or keys of signature inputs, that will be fed: what only they depend on is left out.
	Inputs []string
}

// Model is an opened model.
type Model struct {
	// Graph is self-contained; the caller may change it.
	Graph *graphdef.Graph
	// Form is what the model was opened from.
	Form graphdef.Form
	// Signatures are those that Graph holds, sorted by name; none in graph files.
	Signatures []*Signature
	// Signature is the one that was chosen, nil where there is none or several are left.
	Signature *Signature
	// Assets is the directory of the model's further files, "" where there is none.
	Assets string

	renamed map[string]string // tensors of the model's own graph: what they are called in Graph
}

// Open opens a model of any form, told by content: a graph file as graphdef.Load takes it; a SavedModel by its directory or
// its saved_model.pb; a MetaGraphDef (.meta) with the checkpoint beside it, by the prefix, the name of any of its files, or a
// directory with a checkpoint. The error for other forms is a *graphdef.FormError, which says what to do.
func Open(path string, opts Options) (*Model, error) {
	m, err := open(path, opts)
	if err != nil {
		return nil, wrap(path, err)
	}
	return m, nil
}

// wrap names the file in errors that do not do so themselves.
func wrap(path string, err error) error {
	var form *graphdef.FormError
	var file *os.PathError
	if errors.As(err, &form) || errors.As(err, &file) && file.Path == path {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func open(path string, opts Options) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		// Not a file: it may be the prefix of several.
		if prefix, ok := isPrefix(path); ok {
			return openPrefix(prefix, opts)
		}
		_, err := graphdef.ReadFile(path)
		return nil, err
	}
	if info.IsDir() {
		return openDir(path, opts)
	}
	b, err := graphdef.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch form := graphdef.Sniff(b); form {
	case graphdef.FormGraphDef, graphdef.FormPbtxt, graphdef.FormText:
		g, err := readGraph(form, b)
		if err != nil {
			return nil, err
		}
		return &Model{Graph: g, Form: form}, repairOpened(g, opts)
	case graphdef.FormSavedModel:
		return openSavedModel(filepath.Dir(path), b, opts)
	case graphdef.FormMetaGraph:
		return openMeta(path, b, opts)
	case graphdef.FormCheckpoint, graphdef.FormCheckpointList:
		prefix, err := checkpoint.Prefix(path)
		if err != nil {
			return nil, err
		}
		return openPrefix(prefix, opts)
	default:
		if prefix, ok := isPrefix(path); ok {
			return openPrefix(prefix, opts) // a data file
		}
		return nil, &graphdef.FormError{Path: path, Form: form, Head: b[:min(len(b), 8)]}
	}
}

// isPrefix reports whether path means a checkpoint whose index exists.
func isPrefix(path string) (string, bool) {
	prefix, err := checkpoint.Prefix(path)
	return prefix, err == nil
}

// Read opens a model of which only the bytes are there, as from standard input: a graph in one of the forms of graphdef.Load.
func Read(b []byte, opts Options) (*Model, error) {
	form := graphdef.Sniff(b)
	g, err := readGraph(form, b)
	if err != nil {
		return nil, err
	}
	return &Model{Graph: g, Form: form}, repairOpened(g, opts)
}

func readGraph(form graphdef.Form, b []byte) (*graphdef.Graph, error) {
	switch form {
	case graphdef.FormGraphDef:
		return graphdef.Read(b)
	case graphdef.FormPbtxt:
		return graphdef.ReadPbtxt(b)
	case graphdef.FormText:
		return graphdef.Parse(string(b))
	}
	return nil, &graphdef.FormError{Path: "the model", Form: form, Head: b[:min(len(b), 8)]}
}

// repairOpened repairs a graph that was frozen by others. Graph files have no signatures to choose.
func repairOpened(g *graphdef.Graph, opts Options) error {
	if opts.Signature != "" {
		return fmt.Errorf("there is no signature %q: a graph file has none; name its outputs instead", opts.Signature)
	}
	return Repair(g)
}

// openDir opens a SavedModel or the latest checkpoint of a directory.
func openDir(dir string, opts Options) (*Model, error) {
	for _, name := range []string{"saved_model.pb", "saved_model.pbtxt"} {
		b, err := graphdef.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return openSavedModel(dir, b, opts)
	}
	for name, form := range map[string]graphdef.Form{"saved_model.cpb": graphdef.FormChunked, "model.json": graphdef.FormTFJS} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil, &graphdef.FormError{Path: filepath.Join(dir, name), Form: form}
		}
	}
	prefix, err := checkpoint.Latest(dir)
	if err != nil {
		return nil, fmt.Errorf("the directory holds neither a saved_model.pb nor a checkpoint that can be told; give a SavedModel's directory, a graph file or a .meta (%w)", err)
	}
	return openPrefix(prefix, opts)
}

// openPrefix opens the .meta of a checkpoint.
func openPrefix(prefix string, opts Options) (*Model, error) {
	b, err := graphdef.ReadFile(prefix + ".meta")
	if errors.Is(err, os.ErrNotExist) {
		// The weights of a SavedModel, given by mistake for the model.
		if dir := filepath.Dir(filepath.Dir(prefix)); filepath.Base(filepath.Dir(prefix)) == "variables" {
			if _, err := os.Stat(filepath.Join(dir, "saved_model.pb")); err == nil {
				return openDir(dir, opts)
			}
		}
		if _, err := checkpoint.Open(prefix); err != nil {
			return nil, err
		}
		return nil, &graphdef.FormError{Path: prefix, Form: graphdef.FormCheckpoint}
	}
	if err != nil {
		return nil, err
	}
	return openMeta(prefix+".meta", b, opts)
}

// savedModelDescriptor and metaGraphDescriptor describe messages in text form.
func savedModelDescriptor() protoreflect.MessageDescriptor {
	return (*for_core_protos_go_proto.SavedModel)(nil).ProtoReflect().Descriptor()
}

func metaGraphDescriptor() protoreflect.MessageDescriptor {
	return (*for_core_protos_go_proto.MetaGraphDef)(nil).ProtoReflect().Descriptor()
}

// wireOf returns the binary form of a message that may be text.
func wireOf(b []byte, md protoreflect.MessageDescriptor) ([]byte, error) {
	if len(b) > 0 && (b[0] == '\n' || b[0] < ' ') && !isText(b) {
		return b, nil
	}
	wire, err := pbtext.Unmarshal(b, md)
	if err != nil {
		return nil, fmt.Errorf("text form: %w", err)
	}
	return wire, nil
}

// isText reports whether the beginning of b has no bytes that text does not have.
func isText(b []byte) bool {
	for _, c := range b[:min(len(b), 512)] {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

func openSavedModel(dir string, b []byte, opts Options) (*Model, error) {
	b, err := wireOf(b, savedModelDescriptor())
	if err != nil {
		return nil, err
	}
	graphs, err := readSavedModel(b)
	if err != nil {
		return nil, err
	}
	meta, err := chooseMeta(graphs, opts.Tags)
	if err != nil {
		return nil, err
	}
	var ckpt *checkpoint.Reader
	prefix := filepath.Join(dir, "variables", "variables")
	if _, err := os.Stat(prefix + ".index"); err == nil {
		if ckpt, err = checkpoint.Open(prefix); err != nil {
			return nil, err
		}
	}
	m := &Model{Form: graphdef.FormSavedModel}
	if info, err := os.Stat(filepath.Join(dir, "assets")); err == nil && info.IsDir() {
		m.Assets = filepath.Join(dir, "assets")
	}
	return m, m.freeze(meta, ckpt, opts)
}

func openMeta(path string, b []byte, opts Options) (*Model, error) {
	b, err := wireOf(b, metaGraphDescriptor())
	if err != nil {
		return nil, err
	}
	meta, err := readMetaGraph(b)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(path, ".meta")
	if _, err := os.Stat(prefix + ".index"); err != nil {
		if _, err := os.Stat(prefix); err == nil && prefix != path {
			if _, err := checkpoint.Open(prefix); err != nil {
				return nil, err // a checkpoint of version 1
			}
		}
		if prefix, err = checkpoint.Latest(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("the weights of a .meta are in the checkpoint beside it, which is not there: %w", err)
		}
	}
	ckpt, err := checkpoint.Open(prefix)
	if err != nil {
		return nil, err
	}
	m := &Model{Form: graphdef.FormMetaGraph}
	return m, m.freeze(meta, ckpt, opts)
}

// freeze reads the graph of meta and makes it self-contained.
func (m *Model) freeze(meta *metaGraph, ckpt *checkpoint.Reader, opts Options) error {
	if len(meta.graph) == 0 {
		return fmt.Errorf("the meta graph has no graph")
	}
	g, err := graphdef.Read(meta.graph)
	if err != nil {
		return err
	}
	m.Graph = g
	if m.Signatures, err = chooseSignature(meta.listSignatures(), opts.Signature); err != nil {
		return err
	}
	if len(m.Signatures) == 1 {
		m.Signature = m.Signatures[0]
	}
	b := &binder{g: g, meta: meta, checkpoint: ckpt, assets: map[string]string{}}
	for _, a := range meta.assets {
		if m.Assets != "" && a.tensor != "" {
			b.assets[nodeName(a.tensor)] = filepath.Join(m.Assets, a.file)
		}
	}
	if err := b.bind(); err != nil {
		return err
	}
	m.nameByKeys()
	roots, err := m.roots(opts)
	if err != nil {
		return err
	}
	if err := m.cut(opts.Inputs); err != nil {
		return err
	}
	prune(g, append(slices.Clone(roots), m.placeholders()...))
	root := map[string]bool{}
	for _, n := range roots {
		root[n.Name()] = true
	}
	z := &freezer{g: g, bind: b, inline: &inliner{lib: g}}
	if err := z.run(func(n *graphdef.Node) bool { return root[n.Name()] }); err != nil {
		if len(m.Signatures) > 1 && opts.Outputs == nil {
			return fmt.Errorf("%w\nThe model has several signatures (%s): choose one", err, strings.Join(m.names(), ", "))
		}
		return err
	}
	if err := b.fillTables(g); err != nil {
		return err
	}
	b.placeAssets(g)
	var keep []*graphdef.Node
	for name := range root {
		if n := g.Node(name); n != nil {
			keep = append(keep, n)
		}
	}
	prune(g, append(keep, m.placeholders()...))
	return Repair(g)
}

func (m *Model) names() []string {
	var names []string
	for _, s := range m.Signatures {
		names = append(names, s.Name)
	}
	return names
}

// placeholders returns the input nodes of the signatures, which stay even where nothing reads them: they can be fed.
func (m *Model) placeholders() []*graphdef.Node {
	var list []*graphdef.Node
	for _, s := range m.Signatures {
		for _, in := range s.Inputs {
			if n := m.Graph.Node(nodeName(in.Tensor)); n != nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// roots returns the nodes that the graph must compute.
func (m *Model) roots(opts Options) ([]*graphdef.Node, error) {
	var roots []*graphdef.Node
	if len(opts.Outputs) > 0 {
		inside := false
		for _, name := range opts.Outputs {
			o, err := m.Resolve(name, true)
			switch {
			case err == nil:
				roots = append(roots, o.Node)
			case len(m.Signatures) > 0:
				inside = true // a node of a function, which has its name once that is inlined
			default:
				return nil, err
			}
		}
		if !inside {
			return roots, nil
		}
	}
	for _, s := range m.Signatures {
		for _, out := range s.Outputs {
			o, err := tensorNode(m.Graph, out.Tensor)
			if err != nil {
				return nil, fmt.Errorf("signature %q, output %q: %w", s.Name, out.Key, err)
			}
			roots = append(roots, o.Node)
		}
	}
	if len(roots) > 0 {
		return roots, nil
	}
	if roots = guessOutputs(m.Graph); len(roots) == 0 {
		return nil, fmt.Errorf("the model has no signature, and no tensor of its graph looks like an output; name the outputs")
	}
	return roots, nil
}

// guessOutputs returns the nodes whose values nobody reads and that do not belong to training, saving or initializing.
func guessOutputs(g *graphdef.Graph) []*graphdef.Node {
	order, err := g.Order()
	if err != nil {
		return nil
	}
	writes := map[*graphdef.Node]bool{} // depends on something that writes a variable or file
	for _, n := range order {
		writes[n] = writer(n) || slices.ContainsFunc(sources(n), func(m *graphdef.Node) bool { return writes[m] })
	}
	always := Unconditional(g)
	var roots []*graphdef.Node
	for _, n := range order {
		if writes[n] || !always[n] || isVariable(n) || isTable(n) || strings.HasPrefix(n.Op(), "Placeholder") {
			continue
		}
		switch n.Op() {
		case "NoOp", "Const", "VarIsInitializedOp", "IsVariableInitialized", "Assert", "Print":
			continue
		}
		if outputs, err := n.NumOutputs(); err == nil && outputs == 0 {
			continue
		}
		// What a saver or an initial value reads is no output either.
		if !slices.ContainsFunc(n.Users(), func(u graphdef.Use) bool { return u.Input != graphdef.ControlInput }) {
			roots = append(roots, n)
		}
	}
	return roots
}

// Unconditional returns the nodes of g that run exactly once whatever the inputs: those outside of the loops and branches of
// TensorFlow 1. The outputs of a model are among them.
func Unconditional(g *graphdef.Graph) map[*graphdef.Node]bool {
	always := map[*graphdef.Node]bool{}
	order, err := g.Order()
	if err != nil {
		return always
	}
	type depth struct{ loops, branches int }
	in := map[*graphdef.Node]depth{} // of each node's outputs
	for _, n := range order {
		var d depth
		for _, m := range sources(n) {
			d.loops, d.branches = max(d.loops, in[m].loops), max(d.branches, in[m].branches)
		}
		switch n.Op() {
		case "Enter", "RefEnter":
			d.loops++
		case "Exit", "RefExit":
			// A loop's own switches end with it.
			d.loops = max(d.loops-1, 0)
			if d.loops == 0 {
				d.branches = 0
			}
		case "Switch", "RefSwitch":
			d.branches++
		case "Merge", "RefMerge":
			d.branches = max(d.branches-1, 0)
		}
		in[n] = d
		always[n] = d == depth{}
	}
	return always
}

// writer reports whether n changes a variable, a table or a file.
func writer(n *graphdef.Node) bool {
	op := n.Op()
	for _, prefix := range []string{"Assign", "Save", "Restore", "ResourceScatter", "Scatter", "Apply", "ResourceApply", "SparseApply", "ResourceSparseApply",
		"InitializeTable", "LookupTableImport", "LookupTableInsert", "MergeV2Checkpoints", "ShardedFilename", "WriteFile"} {
		if strings.HasPrefix(op, prefix) && op != "ScatterNd" && op != "ScatterNdNonAliasingAdd" {
			return true
		}
	}
	return false
}

// cut makes placeholders of the tensors that will be fed, so that what only they need falls away.
func (m *Model) cut(inputs []string) error {
	var shapes *graphdef.Shapes
	for _, name := range inputs {
		o, err := m.Resolve(name, false)
		if err != nil && len(m.Signatures) > 0 {
			continue // a node of a function, which has its name once that is inlined
		}
		if err != nil {
			return err
		}
		n := o.Node
		if strings.HasPrefix(n.Op(), "Placeholder") {
			continue
		}
		if outputs, err := n.NumOutputs(); err != nil || outputs != 1 {
			continue // its other outputs are computed
		}
		if shapes == nil {
			shapes = graphdef.Infer(m.Graph)
		}
		dtype, shape := shapes.Type(o), shapes.Shape(o)
		if dtype.Size() == 0 && dtype.String() != "string" {
			continue
		}
		n.SetInputs()
		for _, c := range slices.Clone(n.Controls()) {
			n.RemoveControl(c)
		}
		n.SetOp("Placeholder")
		n.SetAttr("dtype", graphdef.TypeAttr(dtype.Base()))
		n.SetAttr("shape", graphdef.ShapeAttr(shape))
	}
	return nil
}
