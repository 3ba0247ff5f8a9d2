package graphdef

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tfq8/tfq8/tensor"
)

// Signature says what a kind of operation takes and gives: TensorFlow's OpDef with a shape function.
type Signature struct {
	Inputs, Outputs []Arg
	Attrs           []AttrDef
	Shape           ShapeFunc // nil: nothing is known of the outputs' shapes
	Flags           Flags
}

// Arg is one named input or output; it stands for several tensors where Number is set or List is true.
type Arg struct {
	Name   string
	Type   string // a dtype's name, or the attribute that holds the dtype (or, where List, the list of dtypes)
	Number string // the attribute that counts the tensors of a list of one dtype; "": a single tensor or a List
	List   bool   // one tensor for each dtype of the list attribute Type
	Ref    bool   // a reference to a TF1 variable

	dtype tensor.DType // of which Type is the name; Invalid: Type is an attribute
}

// AttrDef is one attribute of a signature.
type AttrDef struct {
	Name    string
	Kind    Kind // of the value, or of its elements where List
	List    bool
	Default Attr // the zero Attr where the attribute must be there
}

// Required reports whether the attribute has no default.
func (d AttrDef) Required() bool { return d.Default.wire == nil }

// Flags are properties of an operation that rewriting has to respect.
type Flags uint8

// The flags.
const (
	Stateful       Flags = 1 << iota // has effects or state: is neither folded, merged with an equal one nor dropped silently
	Commutative                      // its two inputs may change places
	ControlFlow                      // belongs to TF1 control flow: decides which nodes run
	CallsFunctions                   // attributes name functions that it runs
	PassesThrough                    // output 0 has the value of input 0
)

// Has reports whether all of f is set.
func (s *Signature) Has(f Flags) bool { return s.Flags&f == f }

// Attr returns the definition of the attribute of that name, nil if the op does not define it.
func (s *Signature) Attr(name string) *AttrDef {
	for i := range s.Attrs {
		if s.Attrs[i].Name == name {
			return &s.Attrs[i]
		}
	}
	return nil
}

// Lookup returns the signature of a stock operation; ok is false where the table does not have it.
func Lookup(op string) (sig *Signature, ok bool) {
	sig, ok = signatures()[op]
	return sig, ok
}

// op is an entry of the tables in ops_*.go. Its spec reads
//
//	inputs -> outputs; attributes
//
// Each input and output is a name and a type: a dtype, or an attribute, which thereby is declared. N*T is a list of N
// tensors of type T, Tin... one tensor for each dtype of Tin, &T a reference. Other attributes are name:kind where they
// must be there, and name=default or name:list(kind)=default where they need not; the default's spelling tells the kind
// (0 int, 0.0 float, false bool, "" string, int32 type, ? or [2,?] shape).
type op struct {
	spec  string
	shape ShapeFunc
	flags Flags
}

func def(spec string, shape ShapeFunc, flags ...Flags) op {
	o := op{spec: spec, shape: shape}
	for _, f := range flags {
		o.flags |= f
	}
	return o
}

// signatures reads the tables at first use.
var signatures = sync.OnceValue(func() map[string]*Signature {
	all := map[string]*Signature{}
	for _, family := range opFamilies() {
		for name, o := range family {
			sig, err := parseSpec(o.spec)
			if err != nil {
				panic(fmt.Sprintf("graphdef: table entry %s: %v", name, err)) // our own table: a test reads every entry
			}
			sig.Shape, sig.Flags = o.shape, o.flags
			all[name] = sig
		}
	}
	return all
})

func opFamilies() []map[string]op {
	return []map[string]op{
		elementwiseOps, matrixOps, shapeOps, indexOps, reduceOps, controlOps, functionOps, stateOps, stringOps, quantOps,
		fusedOps, randomOps,
	}
}

// Ops returns the names of all operations that Lookup knows, in no order.
func Ops() []string { return slices.Collect(maps.Keys(signatures())) }

func parseSpec(spec string) (*Signature, error) {
	spec = strings.Join(strings.Fields(spec), " ")
	args, attrs, _ := strings.Cut(spec, ";")
	in, out, ok := strings.Cut(args, "->")
	if !ok {
		return nil, fmt.Errorf("no -> in %q", spec)
	}
	s := &Signature{}
	for _, a := range splitTop(in) {
		arg, err := s.parseArg(a)
		if err != nil {
			return nil, err
		}
		s.Inputs = append(s.Inputs, arg)
	}
	for _, a := range splitTop(out) {
		arg, err := s.parseArg(a)
		if err != nil {
			return nil, err
		}
		s.Outputs = append(s.Outputs, arg)
	}
	for _, a := range splitTop(attrs) {
		d, err := parseAttrDef(a)
		if err != nil {
			return nil, err
		}
		if old := s.Attr(d.Name); old != nil {
			*old = d
		} else {
			s.Attrs = append(s.Attrs, d)
		}
	}
	return s, nil
}

// parseArg reads "name [&][N*]type[...]" and declares the attributes that the type mentions.
func (s *Signature) parseArg(text string) (Arg, error) {
	name, typ, ok := strings.Cut(text, " ")
	if !ok {
		return Arg{}, fmt.Errorf("argument %q has no type", text)
	}
	a := Arg{Name: name}
	if number, rest, ok := strings.Cut(typ, "*"); ok {
		a.Number, typ = number, rest
		s.declare(AttrDef{Name: number, Kind: KindInt})
	}
	typ, a.Ref = strings.CutPrefix(typ, "&")
	a.Type, a.List = strings.CutSuffix(typ, "...")
	var err error
	if a.dtype, err = tensor.ParseDType(a.Type); err != nil {
		s.declare(AttrDef{Name: a.Type, Kind: KindType, List: a.List})
	}
	return a, nil
}

func (s *Signature) declare(d AttrDef) {
	if s.Attr(d.Name) == nil {
		s.Attrs = append(s.Attrs, d)
	}
}

var kindNames = map[string]Kind{
	"string": KindString, "int": KindInt, "float": KindFloat, "bool": KindBool, "type": KindType, "shape": KindShape,
	"tensor": KindTensor, "func": KindFunc,
}

// parseAttrDef reads name:kind, name:list(kind)=[…] or name=literal.
func parseAttrDef(text string) (AttrDef, error) {
	head, literal, hasDefault := strings.Cut(text, "=")
	name, kind, hasKind := strings.Cut(head, ":")
	d := AttrDef{Name: name}
	if hasKind {
		if inner, ok := strings.CutPrefix(kind, "list("); ok {
			kind, d.List = strings.TrimSuffix(inner, ")"), true
		}
		if d.Kind = kindNames[kind]; d.Kind == KindNone {
			return d, fmt.Errorf("attribute %q has no known kind", text)
		}
	}
	if !hasDefault {
		if !hasKind {
			return d, fmt.Errorf("attribute %q has neither kind nor default", text)
		}
		return d, nil
	}
	var err error
	if d.List {
		d.Default, err = listLiteral(d.Kind, literal)
	} else {
		d.Kind, d.Default, err = scalarLiteral(literal)
	}
	if err != nil {
		return d, fmt.Errorf("attribute %q: %w", text, err)
	}
	return d, nil
}

func scalarLiteral(s string) (Kind, Attr, error) {
	switch {
	case s == "true" || s == "false":
		return KindBool, BoolAttr(s == "true"), nil
	case strings.HasPrefix(s, `"`):
		v, err := strconv.Unquote(s)
		return KindString, StringAttr(v), err
	case s == "?":
		return KindShape, ShapeAttr(tensor.PartialShape{}), nil
	case strings.HasPrefix(s, "["):
		dims := []int{}
		for _, d := range splitTop(strings.Trim(s, "[]")) {
			n, err := strconv.Atoi(d)
			if d == "?" {
				n, err = tensor.UnknownDim, nil
			}
			if err != nil {
				return KindShape, Attr{}, err
			}
			dims = append(dims, n)
		}
		return KindShape, ShapeAttr(tensor.Partial(dims...)), nil
	}
	if d, err := tensor.ParseDType(s); err == nil {
		return KindType, TypeAttr(d), nil
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return KindInt, IntAttr(i), nil
	}
	f, err := strconv.ParseFloat(s, 32)
	return KindFloat, FloatAttr(float32(f)), err
}

func listLiteral(k Kind, s string) (Attr, error) {
	items := splitTop(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if len(items) == 0 {
		return listAttr(k, nil), nil
	}
	switch k {
	case KindInt:
		var v []int64
		for _, item := range items {
			i, err := strconv.ParseInt(item, 10, 64)
			if err != nil {
				return Attr{}, err
			}
			v = append(v, i)
		}
		return IntsAttr(v...), nil
	case KindType:
		var v []tensor.DType
		for _, item := range items {
			d, err := tensor.ParseDType(item)
			if err != nil {
				return Attr{}, err
			}
			v = append(v, d)
		}
		return TypesAttr(v...), nil
	case KindString:
		var v []string
		for _, item := range items {
			u, err := strconv.Unquote(item)
			if err != nil {
				return Attr{}, err
			}
			v = append(v, u)
		}
		return StringsAttr(v...), nil
	}
	return Attr{}, fmt.Errorf("no list literals of this kind")
}

// splitTop splits at commas outside quotes and brackets and trims spaces; empty text has no parts.
func splitTop(s string) []string {
	var parts []string
	start, depth := 0, 0
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		parts = append(parts, last)
	}
	return parts
}
