package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// compileText compiles a graph in text form.
func compileText(t *testing.T, text string, opts runtime.CompileOptions) *runtime.Plan {
	t.Helper()
	g, err := graphdef.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestObserveInFunctions sees the tensors of a loop's body once an iteration, those of a function whoever calls it, and fed ones.
func TestObserveInFunctions(t *testing.T) {
	const text = `
		n = Const[value=int32 3]()
		x = Placeholder[dtype=float, shape=[]]()
		loop = While[cond=@c, body=@b, T=[int32, float]](n, x)
		after = PartitionedCall[f=@twice, Tin=[float], Tout=[float]](loop:1)

		func c {
			n = _Arg[T=int32, index=0]()
			x = _Arg[T=float, index=1]()
			zero = Const[value=int32 0]()
			go = Greater(n, zero)
			ret = _Retval[T=bool, index=0](go)
		}
		func b {
			n = _Arg[T=int32, index=0]()
			x = _Arg[T=float, index=1]()
			one = Const[value=int32 1]()
			less = Sub(n, one)
			y = PartitionedCall[f=@twice, Tin=[float], Tout=[float]](x)
			ret0 = _Retval[T=int32, index=0](less)
			ret1 = _Retval[T=float, index=1](y)
		}
		func twice {
			a = _Arg[T=float, index=0]()
			sum = Add(a, a)
			same = Identity(sum)
			ret = _Retval[T=float, index=0](same)
		}`
	for name, want := range map[string]string{
		"twice@sum:0":  "2 4 8 16",
		"twice@same":   "2 4 8 16",
		"twice@a:0":    "1 2 4 8",
		"b@x:0":        "1 2 4",
		"c@x:0":        "", // the condition does not need it
		"c@n:0":        "3 2 1 0",
		"b@y:0":        "2 4 8",
		"loop:1":       "8",
		"x:0":          "1",
		"n:0":          "3",
		"after":        "16",
		"twice@none:0": "",
		"sum:0":        "",
	} {
		p := compileText(t, text, runtime.CompileOptions{Fetches: []string{"after"}, Observe: []string{name}})
		s := p.NewSession()
		var seen []string
		s.Observer = func(_ string, x *tensor.Tensor) {
			if x.DType() == tensor.Int32 {
				seen = append(seen, fmt.Sprint(tensor.Data[int32](x)[0]))
			} else {
				seen = append(seen, fmt.Sprint(tensor.Data[float32](x)[0]))
			}
		}
		if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Scalar[float32](1)}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%s: saw %q, want %q", name, got, want)
		}
	}
}
