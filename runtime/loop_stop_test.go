package runtime_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// A loop that never ends and whose body computes nothing stops with the context.
func TestEmptyLoopStops(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?]()
start = Enter[frame_name="forever"](x)
value = Merge(start, next)
always = Const[value=bool true](^value)
cond = LoopCond(always)
switch = Switch(value, cond)
body = Identity(switch:1)
next = NextIteration(body)
exit = Exit(switch)
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"exit"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = p.NewSession().Run(ctx, map[string]*tensor.Tensor{"x": tensor.FromSlice(tensor.Shape{1}, []float32{1})})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
}
