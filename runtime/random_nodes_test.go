package runtime_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestRandomNodes runs each op on inputs and attributes of random shapes, dtypes and values, most of which make no sense: it
// must answer or give an error, soon and within the bound of memory, and never panic.
func TestRandomNodes(t *testing.T) {
	tries := 60
	if testing.Short() {
		tries = 10
	}
	ops := runtime.Ops()
	slices.Sort(ops)
	for _, op := range ops {
		for try := range uint64(tries) {
			m := maker{Rand: rand.New(rand.NewPCG(try, 19))}
			m.shape = m.newShape()
			if !m.try(t, op, try) {
				break
			}
		}
	}
}

// maker makes nodes from random numbers.
type maker struct {
	*rand.Rand
	shape tensor.Shape // that inputs often have, so that some fit to each other
}

// try makes and runs one node; false says that another try is of no use.
func (m maker) try(t *testing.T, op string, seed uint64) bool {
	t.Helper()
	sig, ok := graphdef.Lookup(op)
	if !ok || sig.Has(graphdef.CallsFunctions) {
		return false
	}
	types, counts := map[string][]tensor.DType{}, map[string]int{}
	favourite := m.dtype()
	attrs := map[string]graphdef.Attr{}
	for _, a := range sig.Attrs {
		v, ok := m.attr(a, favourite, types, counts)
		if !ok {
			return false
		}
		attrs[a.Name] = v
	}
	g := graphdef.NewGraph()
	feeds := map[string]*tensor.Tensor{}
	opts := runtime.CompileOptions{Feeds: []string{}, MaxBytes: 1 << 22}
	var in []graphdef.Output
	input := func(d tensor.DType) {
		p := g.MustAdd(fmt.Sprintf("in%d", len(in)), "Placeholder")
		p.SetAttr("dtype", graphdef.TypeAttr(d))
		in = append(in, p.Out(0))
		feeds[p.Name()] = m.tensor(d)
		opts.Feeds = append(opts.Feeds, p.Name())
	}
	for _, a := range sig.Inputs {
		list := types[a.Type]
		if d, err := tensor.ParseDType(a.Type); err == nil {
			list = []tensor.DType{d}
		}
		if a.Number != "" {
			list = slices.Repeat(list, counts[a.Number])
		}
		for _, d := range list {
			input(d)
		}
	}
	n := g.MustAdd("op", op, in...)
	for name, a := range attrs {
		n.SetAttr(name, a)
	}
	num, err := n.NumOutputs()
	if err != nil || num == 0 {
		return err != nil || seed < 3
	}
	for i := range num {
		opts.Fetches = append(opts.Fetches, fmt.Sprintf("op:%d", i))
	}
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s, seed %d: panic: %v\ninputs %v\n%s", op, seed, r, feeds, graphdef.Format(g))
		}
	}()
	start := time.Now()
	if p, err := runtime.Compile(g, opts); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s := p.NewSession()
		for range 2 {
			s.Run(ctx, feeds) // whatever it says
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("%s, seed %d: took %v", op, seed, d)
	}
	return true
}

func pick[T any](m maker, of ...T) T { return of[m.IntN(len(of))] }

func (m maker) dtype() tensor.DType {
	return pick(m, tensor.Float32, tensor.Float32, tensor.Float32, tensor.Int32, tensor.Int32, tensor.Int64, tensor.Float64, tensor.Float16,
		tensor.Bfloat16, tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Uint16, tensor.Uint32, tensor.Uint64, tensor.Bool, tensor.String,
		tensor.Quint8, tensor.Qint8, tensor.Qint32, tensor.Complex64)
}

// attr makes a value for an attribute and notes dtypes and counts; false for kinds that it does not make.
func (m maker) attr(a graphdef.AttrDef, favourite tensor.DType, types map[string][]tensor.DType, counts map[string]int) (graphdef.Attr, bool) {
	ints := func() []int64 {
		v := make([]int64, m.IntN(5))
		for i := range v {
			v[i] = pick[int64](m, 1, 1, 1, 2, 2, 0, -1, 3, math.MaxInt64)
		}
		return v
	}
	if !a.Required() && m.IntN(2) == 0 && a.Kind != graphdef.KindType && a.Kind != graphdef.KindInt {
		return a.Default, true
	}
	switch {
	case a.Kind == graphdef.KindType && a.List:
		for range 1 + m.IntN(2) {
			types[a.Name] = append(types[a.Name], m.dtype())
		}
		return graphdef.TypesAttr(types[a.Name]...), true
	case a.Kind == graphdef.KindType:
		d := favourite
		if def, ok := a.Default.AsType(); ok && m.IntN(3) > 0 {
			d = def
		} else if m.IntN(8) == 0 {
			d = m.dtype()
		}
		types[a.Name] = []tensor.DType{d}
		return graphdef.TypeAttr(d), true
	case a.Kind == graphdef.KindInt && a.List:
		return graphdef.IntsAttr(ints()...), true
	case a.Kind == graphdef.KindInt:
		v := pick[int64](m, 0, 1, 1, 2, 2, 3, -1, -2, 7, 1<<31, math.MaxInt64, math.MinInt64)
		if v > 0 && v < 4 {
			counts[a.Name] = int(v)
		}
		return graphdef.IntAttr(v), true
	case a.Kind == graphdef.KindFloat && !a.List:
		return graphdef.FloatAttr(pick[float32](m, 0, 1, -1, 0.5, float32(math.NaN()), float32(math.Inf(1)), 1e30)), true
	case a.Kind == graphdef.KindBool && !a.List:
		return graphdef.BoolAttr(m.IntN(2) == 0), true
	case a.Kind == graphdef.KindString && a.List:
		return graphdef.StringsAttr(slices.Repeat([]string{pick(m, "", "BiasAdd", "Relu", "FIRST_DIM_SIZE", "ROW_SPLITS", "VALUE_ROWIDS", "Dequantize")}, m.IntN(3))...), true
	case a.Kind == graphdef.KindString:
		return graphdef.StringAttr(pick(m, "", "SAME", "VALID", "NHWC", "NCHW", "MIN_FIRST", "SCALED", "MIN_COMBINED", "REFLECT", "SYMMETRIC", "ij,jk->ik",
			"i...,...->i", "a.*(b", "UTF-8", "NFC", "DEFAULT", "IGNORE", "HALF_TO_EVEN", "LEFT_RIGHT")), true
	case a.Kind == graphdef.KindShape && !a.List:
		return graphdef.ShapeAttr(pick(m, tensor.PartialShape{}, tensor.Partial(), tensor.Partial(-1, 2), tensor.Partial(2), tensor.Partial(1<<40, 1<<40))), true
	}
	return a.Default, !a.Required()
}

func (m maker) newShape() tensor.Shape {
	shape := tensor.Shape{}
	for range m.IntN(5) {
		shape = append(shape, pick(m, 0, 1, 1, 2, 2, 2, 3, 4))
	}
	return shape
}

// tensor makes a small tensor; integers among its values are sometimes hostile.
func (m maker) tensor(d tensor.DType) *tensor.Tensor {
	t := tensor.New(d, pick(m, m.newShape(), m.shape, m.shape, tensor.Shape{}, tensor.Shape{len(m.shape)}, tensor.Shape{len(m.shape), 2}, tensor.Shape{2}))
	hostile := m.IntN(8) == 0
	small := func() int64 {
		if hostile && m.IntN(3) == 0 {
			return pick(m, int64(math.MinInt64), math.MaxInt64, math.MaxInt32, math.MinInt32, 1<<40, -3, 100, 1<<20)
		}
		return pick[int64](m, 0, 1, 1, 2, 2, 3, -1)
	}
	switch {
	case d == tensor.String:
		for i := range t.Strings() {
			t.Strings()[i] = pick(m, "", "a", "b c", "\xff", "12", "-1.5", "YWJj", "ä")
		}
	case d == tensor.Float32:
		for i := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] = pick(m, 0, 1, -1, 2.5, 3, float32(math.NaN()), float32(math.Inf(-1)), 1e30)
		}
	case d == tensor.Int32:
		for i := range tensor.Data[int32](t) {
			tensor.Data[int32](t)[i] = int32(small())
		}
	case d == tensor.Int64:
		for i := range tensor.Data[int64](t) {
			tensor.Data[int64](t)[i] = small()
		}
	case d == tensor.Bool:
		for i := range tensor.Data[bool](t) {
			tensor.Data[bool](t)[i] = m.IntN(2) == 0
		}
	default:
		for i := range t.Bytes() {
			t.Bytes()[i] = byte(m.IntN(256))
		}
	}
	return t
}
