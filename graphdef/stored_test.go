package graphdef

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// storedConst returns a graph with one Const whose value is stored elsewhere and counts how often it is read.
func storedConst(t *testing.T, load func() (*tensor.Tensor, error)) *Graph {
	t.Helper()
	g := NewGraph()
	n := g.MustAdd("w", "Const")
	n.SetAttr("dtype", TypeAttr(tensor.Float32))
	n.SetAttr("value", StoredAttr(NewStoredTensor(tensor.Float32, tensor.Shape{2}, 8, load)))
	return g
}

func TestStoredTensorIsWrittenAsAnyOther(t *testing.T) {
	v := tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2})
	g := storedConst(t, func() (*tensor.Tensor, error) { return v, nil })
	if err := Validate(g); err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := back.Node("w").Tensor("value")
	if err != nil || got.String() != v.String() {
		t.Fatalf("read back %v, %v; want %v", got, err, v)
	}
	if Format(g) != Format(back) {
		t.Errorf("text form is\n%s\nwant\n%s", Format(g), Format(back))
	}
}

func TestStoredTensorIsNotReadForItsShape(t *testing.T) {
	g := storedConst(t, func() (*tensor.Tensor, error) {
		t.Error("the elements were read")
		return nil, errors.New("no")
	})
	s := Infer(g)
	if got := s.Shape(g.Node("w").Out(0)); got.String() != "[2]" {
		t.Errorf("shape is %v, want [2]", got)
	}
}

func TestStoredTensorThatCannotBeReadStopsWriting(t *testing.T) {
	g := storedConst(t, func() (*tensor.Tensor, error) { return nil, errors.New("checksum does not match") })
	if _, err := Marshal(g); err == nil {
		t.Error("no error, want the checksum's")
	}
}

// Writing takes no memory for large constants, wherever they lie, and gives the same bytes.
func TestLargeConstantsAreNotCopiedForWriting(t *testing.T) {
	v := tensor.New(tensor.Float32, tensor.Shape{1 << 20})
	tensor.Data[float32](v)[7] = 3
	var want []byte
	for _, a := range []Attr{
		TensorAttr(v),
		StoredAttr(NewStoredTensor(tensor.Float32, v.Shape(), 4<<20, func() (*tensor.Tensor, error) { return v, nil })),
	} {
		g := NewGraph()
		n := g.MustAdd("w", "Const")
		n.SetAttr("dtype", TypeAttr(tensor.Float32))
		n.SetAttr("value", a)
		n.SetAttr("_last", IntAttr(1))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Stream(io.Discard, g); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("writing 4 MiB allocated %d bytes", took)
		}
		b, err := Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = b
		} else if !bytes.Equal(b, want) {
			t.Error("a stored constant is written as other bytes")
		}
		back, err := Read(b)
		if err != nil || Format(back) != Format(g) {
			t.Errorf("reading what was written: %v, or another graph", err)
		}
	}
}
