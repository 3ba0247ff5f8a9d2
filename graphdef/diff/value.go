package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// Number is a float that JSON holds as a string where it is infinite or not a number.
type Number float64

// MarshalJSON writes n as a number, or as "NaN", "Inf" or "-Inf".
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(n.String())
	}
	return json.Marshal(float64(n))
}

// String formats n with up to six digits.
func (n Number) String() string {
	return strings.TrimPrefix(strconv.FormatFloat(float64(n), 'g', 6, 64), "+")
}

// compareAttrs returns the attributes that differ; n, if not nil, is a node whose op tells defaults.
func compareAttrs(a, b []graphdef.NamedAttr, n *graphdef.Node) []Attribute {
	// Most attributes are equal byte for byte; large constants are not decoded then.
	a, b = dropEqual(a, b), dropEqual(b, a)
	old, now := decided(a, n), decided(b, n)
	byName := map[string]value{}
	for _, v := range now {
		byName[v.name] = v
	}
	var list []Attribute
	for _, v := range old {
		w, ok := byName[v.name]
		delete(byName, v.name)
		switch {
		case !ok:
			list = append(list, Attribute{Name: v.name, Values: Values{attrText(v.attr), defaultText(n, v.name)}})
		case !bytes.Equal(v.canonical, w.canonical):
			c := Attribute{Name: v.name, Values: Values{attrText(v.attr), attrText(w.attr)}}
			c.Elements = compareTensors(v.attr, w.attr)
			list = append(list, c)
		}
	}
	for _, w := range byName {
		list = append(list, Attribute{Name: w.name, Values: Values{defaultText(n, w.name), attrText(w.attr)}})
	}
	slices.SortFunc(list, func(x, y Attribute) int { return strings.Compare(x.Name, y.Name) })
	return list
}

// dropEqual returns the attributes of a that b does not have with the same bytes.
func dropEqual(a, b []graphdef.NamedAttr) []graphdef.NamedAttr {
	var rest []graphdef.NamedAttr
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y graphdef.NamedAttr) bool {
			return x.Name == y.Name && bytes.Equal(x.Attr.Wire(), y.Attr.Wire())
		}) {
			rest = append(rest, x)
		}
	}
	return rest
}

// defaultText is what an attribute means that n does not have: its op's default.
func defaultText(n *graphdef.Node, name string) string {
	if n == nil {
		return ""
	}
	sig, _ := n.Signature()
	if d := definition(sig, name); d != nil && !d.Required() {
		return attrText(d.Default)
	}
	return ""
}

// compareTensors compares two tensor attributes element by element, where that makes sense.
func compareTensors(a, b graphdef.Attr) *Elements {
	if a.Kind() != graphdef.KindTensor || b.Kind() != graphdef.KindTensor {
		return nil
	}
	x, errX := a.AsTensor()
	y, errY := b.AsTensor()
	if errX != nil || errY != nil || x.DType() != y.DType() || !x.Shape().Equal(y.Shape()) {
		return nil
	}
	e := &Elements{Total: x.Len()}
	if x.DType() == tensor.String {
		for i, s := range x.Strings() {
			if s != y.Strings()[i] {
				e.Differ++
			}
		}
		return e
	}
	size := x.DType().Size()
	if size == 0 {
		return nil
	}
	number := numberOf(x.DType())
	bx, by := x.Bytes(), y.Bytes()
	for i := range x.Len() {
		if bytes.Equal(bx[i*size:(i+1)*size], by[i*size:(i+1)*size]) {
			continue
		}
		e.Differ++
		if number == nil {
			continue
		}
		by := math.Abs(number(x, i) - number(y, i))
		if by > float64(e.MaxAbs) || math.IsNaN(by) {
			e.MaxAbs = Number(by)
		}
	}
	return e
}

// numberOf returns how to read an element of that dtype as a number, nil for complex and boolean ones.
func numberOf(d tensor.DType) func(t *tensor.Tensor, i int) float64 {
	switch d {
	case tensor.Float32:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[float32](t)[i]) }
	case tensor.Float64:
		return func(t *tensor.Tensor, i int) float64 { return tensor.Data[float64](t)[i] }
	case tensor.Float16:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.FromHalf(tensor.Data[uint16](t)[i])) }
	case tensor.Bfloat16:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.FromBfloat(tensor.Data[uint16](t)[i])) }
	case tensor.Int8, tensor.Qint8, tensor.Int4:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[int8](t)[i]) }
	case tensor.Uint8, tensor.Quint8, tensor.Uint4:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[uint8](t)[i]) }
	case tensor.Int16, tensor.Qint16:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[int16](t)[i]) }
	case tensor.Uint16, tensor.Quint16:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[uint16](t)[i]) }
	case tensor.Int32, tensor.Qint32:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[int32](t)[i]) }
	case tensor.Uint32:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[uint32](t)[i]) }
	case tensor.Int64:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[int64](t)[i]) }
	case tensor.Uint64:
		return func(t *tensor.Tensor, i int) float64 { return float64(tensor.Data[uint64](t)[i]) }
	}
	return nil
}

// shown is how many elements of a tensor or list are printed.
const shown = 8

// attrText spells an attribute for people.
func attrText(a graphdef.Attr) string {
	switch a.Kind() {
	case graphdef.KindString:
		s, _ := a.AsString()
		return strconv.Quote(s)
	case graphdef.KindInt:
		v, _ := a.AsInt()
		return strconv.FormatInt(v, 10)
	case graphdef.KindFloat:
		v, _ := a.AsFloat()
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case graphdef.KindBool:
		v, _ := a.AsBool()
		return strconv.FormatBool(v)
	case graphdef.KindType:
		v, _ := a.AsType()
		return v.String()
	case graphdef.KindShape:
		v, _ := a.AsShape()
		return v.String()
	case graphdef.KindFunc:
		name, _, _ := a.AsFunc()
		return "@" + name
	case graphdef.KindTensor:
		t, err := a.AsTensor()
		if err != nil {
			return "a tensor that cannot be read"
		}
		return tensorText(t)
	case graphdef.KindList:
		return listText(a)
	}
	return fmt.Sprintf("%d bytes", len(a.Wire()))
}

func tensorText(t *tensor.Tensor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v", t.DType(), t.Shape())
	b.WriteString(" {")
	for i := range min(t.Len(), shown) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.ElementText(i))
	}
	if t.Len() > shown {
		b.WriteString(", …")
	}
	b.WriteString("}")
	return b.String()
}

func listText(a graphdef.Attr) string {
	if v, ok := a.AsStrings(); ok && len(v) > 0 {
		return joined(v, strconv.Quote)
	}
	if v, ok := a.AsInts(); ok && len(v) > 0 {
		return joined(v, func(i int64) string { return strconv.FormatInt(i, 10) })
	}
	if v, ok := a.AsFloats(); ok && len(v) > 0 {
		return joined(v, func(f float32) string { return strconv.FormatFloat(float64(f), 'g', -1, 32) })
	}
	if v, ok := a.AsBools(); ok && len(v) > 0 {
		return joined(v, strconv.FormatBool)
	}
	if v, ok := a.AsTypes(); ok && len(v) > 0 {
		return joined(v, tensor.DType.String)
	}
	if v, ok := a.AsShapes(); ok && len(v) > 0 {
		return joined(v, tensor.PartialShape.String)
	}
	if v, ok := a.AsFuncs(); ok && len(v) > 0 {
		return joined(v, func(s string) string { return "@" + s })
	}
	return "[]"
}

func joined[T any](v []T, text func(T) string) string {
	parts := make([]string, 0, shown+1)
	for i, x := range v {
		if i == shown {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, text(x))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
