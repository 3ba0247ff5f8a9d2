package graphdef

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// AttrReader reads the attributes of one node, with the defaults of the op's signature, and keeps the first error:
//
//	r := n.AttrReader()
//	axis, t := r.Int("axis"), r.Type("T")
//	if err := r.Err(); err != nil {
//
// A dtype or count that the node does not say (files with stripped attributes) is taken from its inputs.
type AttrReader struct {
	n      *Node
	sig    *Signature // nil: an op that we do not know
	lookup func(*Node) (*Signature, bool)
	depth  int // of the search for dtypes through inputs
	err    error
}

// AttrReader returns a reader of n's attributes.
func (n *Node) AttrReader() *AttrReader {
	sig, _ := n.Signature()
	return &AttrReader{n: n, sig: sig, lookup: (*Node).Signature}
}

// Err returns the first error, a *NodeError, or nil.
func (r *AttrReader) Err() error { return r.err }

func (r *AttrReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = r.n.Errorf(format, args...)
	}
}

// find returns the attribute, its default, or for a dtype or count what the inputs imply.
func (r *AttrReader) find(name string) (Attr, bool) {
	if a, ok := r.n.Attr(name); ok && a.says() {
		return a, true
	}
	if r.sig == nil {
		return Attr{}, false
	}
	d := r.sig.Attr(name)
	if d == nil {
		return Attr{}, false
	}
	if !d.Required() {
		return d.Default, true
	}
	return r.implied(d)
}

// Has reports whether the node says the attribute, or its signature has a default for it.
func (r *AttrReader) Has(name string) bool {
	_, ok := r.find(name)
	return ok
}

func readAttr[T any](r *AttrReader, name, kind string, as func(Attr) (T, bool)) (v T) {
	a, ok := r.find(name)
	if !ok {
		r.fail("attribute %q is missing, want %s", name, kind)
		return v
	}
	v, ok = as(a)
	if !ok {
		r.fail("attribute %q has the wrong kind, have %v, want %s", name, a.Kind(), kind)
	}
	return v
}

// Int returns an int attribute, 0 after an error. The other methods are alike: each returns the zero value where the
// attribute is missing without a default or has another kind, and Err says so.
func (r *AttrReader) Int(name string) int64 { return readAttr(r, name, "int", Attr.AsInt) }

// Bool returns a bool attribute.
func (r *AttrReader) Bool(name string) bool { return readAttr(r, name, "bool", Attr.AsBool) }

// Float returns a float attribute.
func (r *AttrReader) Float(name string) float32 { return readAttr(r, name, "float", Attr.AsFloat) }

// Str returns a string attribute.
func (r *AttrReader) Str(name string) string { return readAttr(r, name, "string", Attr.AsString) }

// Type returns a dtype attribute.
func (r *AttrReader) Type(name string) tensor.DType {
	return readAttr(r, name, "type", Attr.AsType)
}

// Shape returns a shape attribute.
func (r *AttrReader) Shape(name string) tensor.PartialShape {
	return readAttr(r, name, "shape", Attr.AsShape)
}

// Ints returns a list of ints.
func (r *AttrReader) Ints(name string) []int64 { return readAttr(r, name, "list(int)", Attr.AsInts) }

// Floats returns a list of floats.
func (r *AttrReader) Floats(name string) []float32 {
	return readAttr(r, name, "list(float)", Attr.AsFloats)
}

// Bools returns a list of bools.
func (r *AttrReader) Bools(name string) []bool {
	return readAttr(r, name, "list(bool)", Attr.AsBools)
}

// Strs returns a list of strings.
func (r *AttrReader) Strs(name string) []string {
	return readAttr(r, name, "list(string)", Attr.AsStrings)
}

// Types returns a list of dtypes.
func (r *AttrReader) Types(name string) []tensor.DType {
	return readAttr(r, name, "list(type)", Attr.AsTypes)
}

// Shapes returns a list of shapes.
func (r *AttrReader) Shapes(name string) []tensor.PartialShape {
	return readAttr(r, name, "list(shape)", Attr.AsShapes)
}

// Func returns the name of the function that an attribute holds.
func (r *AttrReader) Func(name string) string {
	return readAttr(r, name, "func", func(a Attr) (string, bool) {
		f, _, ok := a.AsFunc()
		return f, ok
	})
}

// Funcs returns the names of a list of functions.
func (r *AttrReader) Funcs(name string) []string {
	return readAttr(r, name, "list(func)", Attr.AsFuncs)
}

// Int returns an int attribute with the signature's default applied; the error is a *NodeError. So do the getters below;
// an AttrReader is handier for more than one.
func (n *Node) Int(name string) (int64, error) { r := n.AttrReader(); return r.Int(name), r.Err() }

// Bool returns a bool attribute.
func (n *Node) Bool(name string) (bool, error) { r := n.AttrReader(); return r.Bool(name), r.Err() }

// Float returns a float attribute.
func (n *Node) Float(name string) (float32, error) {
	r := n.AttrReader()
	return r.Float(name), r.Err()
}

// Str returns a string attribute.
func (n *Node) Str(name string) (string, error) { r := n.AttrReader(); return r.Str(name), r.Err() }

// Type returns a dtype attribute.
func (n *Node) Type(name string) (tensor.DType, error) {
	r := n.AttrReader()
	return r.Type(name), r.Err()
}

// Shape returns a shape attribute.
func (n *Node) Shape(name string) (tensor.PartialShape, error) {
	r := n.AttrReader()
	return r.Shape(name), r.Err()
}

// Ints returns a list of ints.
func (n *Node) Ints(name string) ([]int64, error) { r := n.AttrReader(); return r.Ints(name), r.Err() }

// Types returns a list of dtypes.
func (n *Node) Types(name string) ([]tensor.DType, error) {
	r := n.AttrReader()
	return r.Types(name), r.Err()
}

// Strs returns a list of strings.
func (n *Node) Strs(name string) ([]string, error) {
	r := n.AttrReader()
	return r.Strs(name), r.Err()
}

// Func returns the name of the function that an attribute holds.
func (n *Node) Func(name string) (string, error) { r := n.AttrReader(); return r.Func(name), r.Err() }

// String returns the name of the kind as OpDef spells it.
func (k Kind) String() string {
	for name, other := range kindNames {
		if other == k {
			return name
		}
	}
	switch k {
	case KindNone:
		return "nothing"
	case KindList:
		return "list"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}
