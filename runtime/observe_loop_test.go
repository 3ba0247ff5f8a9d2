package runtime_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// What a loop sees of its surroundings is observed under the name that the loop has for it, once an iteration.
func TestObserveLoopInvariant(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?]()
doubled = Add(x, x)
zero = Const[value=float 0]()
limit = Const[value=float 3]()
one = Const[value=float 1]()
start = Enter[frame_name="count"](zero)
seen = Enter[frame_name="count", is_constant=true](doubled)
end = Enter[frame_name="count", is_constant=true](limit)
step = Enter[frame_name="count", is_constant=true](one)
i = Merge(start, next)
less = Less(i, end)
cond = LoopCond(less)
switch = Switch(i, cond)
sum = Sum[T=float](seen, axis)
axis = Const[value=int32 [0]](^i)
part = Mul(sum, zeros)
zeros = Const[value=float 0](^i)
more = Add(switch:1, step)
both = Add(more, part)
next = NextIteration(both)
exit = Exit(switch)
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"exit"}, Observe: []string{"seen", "doubled"}})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	s := p.NewSession()
	s.Observer = func(name string, v *tensor.Tensor) {
		counts[name]++
		if got := tensor.Data[float32](v); !slices.Equal(got, []float32{2, 4}) {
			t.Errorf("%s = %v, want [2 4]", name, got)
		}
	}
	got, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.FromSlice(tensor.Shape{2}, []float32{1, 2})})
	if err != nil {
		t.Fatal(err)
	}
	if v := tensor.Data[float32](got["exit"])[0]; v != 3 {
		t.Errorf("exit = %v, want 3", v)
	}
	if counts["seen:0"] != 3 || counts["doubled:0"] != 1 {
		t.Errorf("observed %v, want seen 3 times and doubled once", counts)
	}
}
