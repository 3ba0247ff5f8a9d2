package runtime

import (
	"slices"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/tensor"
)

// TestPhiloxKnownAnswers has the answers that the generator's authors publish for the 10-round form.
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = 0xffffffff
	for _, c := range []struct {
		gen  philox
		want [4]uint32
	}{
		{philox{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{philox{[4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{philox{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := c.gen.next(); got != c.want {
			t.Errorf("next() = %x, want %x", got, c.want)
		}
	}
}

func TestPhiloxSkip(t *testing.T) {
	a := philox{counter: [4]uint32{0xfffffffe, 0xffffffff, 0xffffffff, 7}}
	b := a
	for range 3 {
		a.next()
	}
	b.skip(3)
	if a != b {
		t.Errorf("3 steps lead to %x, skip(3) to %x", a.counter, b.counter)
	}
	if want := [4]uint32{1, 0, 0, 8}; b.counter != want {
		t.Errorf("counter = %x, want %x", b.counter, want)
	}
}

// TestSeededNodesStartAgain checks that runs of a session agree, and that nodes with one pair of seeds agree.
func TestSeededNodesStartAgain(t *testing.T) {
	attrs := map[string]graphdef.Attr{"dtype": graphdef.TypeAttr(tensor.Float32), "seed": graphdef.IntAttr(1), "seed2": graphdef.IntAttr(2)}
	first, err := runNode(t, "RandomUniform", attrs, ints32(3, 2))
	if err != nil {
		t.Fatal(err)
	}
	second, err := runNode(t, "RandomUniform", attrs, ints32(3, 2))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tensor.Data[float32](first[0]), tensor.Data[float32](second[0])) {
		t.Errorf("runs give %v and %v", first[0], second[0])
	}
	delete(attrs, "seed")
	delete(attrs, "seed2")
	free, err := runNode(t, "RandomUniform", attrs, ints32(3, 2))
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(tensor.Data[float32](first[0]), tensor.Data[float32](free[0])) {
		t.Errorf("a node without seeds gives the same numbers as one with them: %v", free[0])
	}
}

func TestRandomErrors(t *testing.T) {
	dtype := func(d tensor.DType) map[string]graphdef.Attr {
		return map[string]graphdef.Attr{"dtype": graphdef.TypeAttr(d)}
	}
	one := tensor.Scalar[int32](1)
	key, counter := vector[uint64](5), vector[uint64](0, 0)
	checkNodes(t, []nodeCase{
		{name: "seed", op: "StatelessRandomUniform", attrs: dtype(tensor.Float32), inputs: []*tensor.Tensor{ints32(2), ints32(1)}, wantErr: "seed has shape [1]"},
		{name: "shape", op: "StatelessRandomUniform", attrs: dtype(tensor.Float32), inputs: []*tensor.Tensor{ints32(-2), ints32(1, 2)}, wantErr: "-2"},
		{name: "dtype", op: "StatelessRandomNormal", attrs: dtype(tensor.Int32), inputs: []*tensor.Tensor{ints32(2), ints32(1, 2)}, wantErr: "int32"},
		{name: "range", op: "StatelessRandomUniformInt", attrs: dtype(tensor.Int32), inputs: []*tensor.Tensor{ints32(2), ints32(1, 2), one, one}, wantErr: "minval below maxval"},
		{name: "algorithm", op: "StatelessRandomUniformV2", attrs: dtype(tensor.Float32), inputs: []*tensor.Tensor{ints32(2), key, counter, tensor.Scalar[int32](2)}, wantErr: "alg is 2"},
		{name: "key", op: "StatelessRandomUniformV2", attrs: dtype(tensor.Float32), inputs: []*tensor.Tensor{ints32(2), counter, counter, one}, wantErr: "have key"},
		{name: "empty", op: "StatelessRandomNormal", attrs: dtype(tensor.Float32), inputs: []*tensor.Tensor{ints32(0, 3), ints32(1, 2)}, want: "float [0, 3]"},
		{name: "no classes", op: "Multinomial", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{tensor.New(tensor.Float32, tensor.Shape{1, 0}), one}, wantErr: "one class"},
		{name: "rank", op: "Multinomial", attrs: typed(tensor.Float32), inputs: []*tensor.Tensor{vector[float32](1), one}, wantErr: "want a matrix"},
	})
}
