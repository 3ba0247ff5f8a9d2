package runtime_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Few bytes of a file can ask for much: what Compile computes and decodes is bounded too.
func TestCompileIsBounded(t *testing.T) {
	opts := runtime.CompileOptions{Fetches: []string{"y"}, MaxBytes: 10 << 20}
	var consts, fills, calls strings.Builder
	fmt.Fprintln(&fills, "n = Const[value=int32 [1000000]]()\nzero = Const[value=float 0]()")
	for i := range 9 {
		fmt.Fprintf(&consts, "c%d = Const[value=float 1000000x fill 1]()\n", i)
		fmt.Fprintf(&fills, "c%d = Fill(n, zero)\n", i)
	}
	for _, b := range []*strings.Builder{&consts, &fills} {
		fmt.Fprintln(b, "y = AddN(c0, c1, c2, c3, c4, c5, c6, c7, c8)")
	}
	fmt.Fprintln(&calls, "x = Placeholder[dtype=float]()\ny = PartitionedCall[f=@f0, Tin=[float], Tout=[float]](x)")
	const depth = 60
	for i := range depth {
		fmt.Fprintf(&calls, "func f%[1]d {\na = _Arg[T=float]()\nb = PartitionedCall[f=@f%[2]d, Tin=[float], Tout=[float]](a)\n"+
			"c = PartitionedCall[f=@f%[2]d, Tin=[float], Tout=[float]](b)\nr = _Retval(c)\n}\n", i, i+1)
	}
	fmt.Fprintf(&calls, "func f%d {\na = _Arg[T=float]()\nb = Neg(a)\nr = _Retval(b)\n}\n", depth)
	var limit *runtime.LimitError
	run := func(text string) error {
		g, err := graphdef.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := runtime.Compile(g, opts)
		if err == nil {
			_, err = p.NewSession().Run(t.Context(), nil)
		}
		return err
	}
	if err := run(consts.String()); !errors.As(err, &limit) {
		t.Errorf("36 MB of constants: %v, want a LimitError", err)
	}
	if err := run(fills.String()); !errors.As(err, &limit) {
		t.Errorf("36 MB of folded constants: %v, want a LimitError", err)
	}
	if err := run(calls.String()); err == nil || !strings.Contains(err.Error(), "come to more than") {
		t.Errorf("2^%d calls: %v", depth, err)
	}
}

// A tensor without elements may have no dimension that memory would not hold either.
func TestEmptyButHuge(t *testing.T) {
	opts := runtime.CompileOptions{Fetches: []string{"y"}, MaxBytes: 1 << 20}
	for _, text := range []string{
		"x = Const[value=float 1099511627776x0 []]()\ny = Identity(x)",
		"e = Const[value=float 0x []]()\ns = Const[value=int64 [0, 1099511627776]]()\ny = Reshape(e, s)",
		"s = Const[value=int64 [0, 1099511627776]]()\nf = Const[value=float 0]()\ny = Fill(s, f)",
	} {
		g, err := graphdef.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := runtime.Compile(g, opts)
		if err == nil {
			_, err = p.NewSession().Run(t.Context(), nil)
		}
		var limit *runtime.LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s: %v, want a LimitError", text, err)
		}
	}
}

// The first dimension of a ragged tensor is a number that nothing else bears out.
func TestRaggedRowsAreNotCounted(t *testing.T) {
	g, err := graphdef.Parse(`
shape = Const[value=int64 [2, 2]]()
values = Const[value=float [1, 2, 3]]()
zero = Const[value=float 0]()
rows = Const[value=int64 4611686018427387904]()
of = Const[value=int64 [0, 0, 3]]()
y = RaggedTensorToTensor[row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"], T=float, Tindex=int64, Tshape=int64, num_row_partition_tensors=2](shape, values, zero, rows, of)
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.NewSession().Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := fmt.Sprint(tensor.Data[float32](out["y"])), "[1 2 0 0]"; have != want {
		t.Errorf("have %v, want %v", have, want)
	}
}

// Text counts as memory: what one step makes of little, and what many steps keep.
func TestTextIsBounded(t *testing.T) {
	var chain, kept strings.Builder
	fmt.Fprintln(&chain, `x0 = Const[value=string "0123456789"]()`)
	for i := range 25 {
		fmt.Fprintf(&chain, "x%d = StringJoin(x%d, x%d)\n", i+1, i, i)
	}
	fmt.Fprintln(&chain, "y = StringLength(x25)")
	fmt.Fprintln(&kept, "s = Placeholder[dtype=string]()\na0 = StringUpper(s)")
	for i := range 8 {
		fmt.Fprintf(&kept, "a%d = StringLower(a%d)\n", i+1, i)
	}
	fmt.Fprintln(&kept, "y = StringJoin(a0, a1, a2, a3, a4, a5, a6, a7, a8)\nz = StringLength(a8)")
	const fill = "n = Const[value=int32 [10000]]()\naxis = Const[value=int32 0]()\ns = Const[value=string \"" +
		"0123456789012345678901234567890123456789\"]()\nf = Fill(n, s)\nj = ReduceJoin(f, axis)\nf2 = Fill(n, j)\n"
	long := tensor.FromStrings(nil, []string{strings.Repeat("a", 300<<10)})
	for _, c := range []struct {
		name, text, fetch string
		feeds             map[string]*tensor.Tensor
		fits              bool
	}{
		{"joins of joins", chain.String(), "y", nil, false},
		{"a join of equal strings", fill + "y = ReduceJoin(f2, axis)", "y", nil, false},
		{"segments of equal strings", fill + "zero = Const[value=int32 0]()\nids = Fill(n, zero)\none = Const[value=int32 1]()\n" +
			"y = UnsortedSegmentJoin(f2, ids, one)", "y", nil, false},
		{"replacements", "s = Placeholder[dtype=string]()\np = Const[value=string \"a\"]()\nr = Identity(s)\ny = RegexReplace(s, p, r)", "y",
			map[string]*tensor.Tensor{"s": long}, false},
		{"nine copies at a time", kept.String(), "y", map[string]*tensor.Tensor{"s": long}, false},
		{"two copies at a time", kept.String(), "z", map[string]*tensor.Tensor{"s": long}, true},
	} {
		g, err := graphdef.Parse(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{c.fetch}, MaxBytes: 1 << 20})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := p.NewSession()
		for range 3 {
			_, err := s.Run(t.Context(), c.feeds)
			var limit *runtime.LimitError
			if c.fits && err != nil || !c.fits && !errors.As(err, &limit) {
				t.Errorf("%s: error %v, fits %v", c.name, err, c.fits)
			}
		}
	}
}
