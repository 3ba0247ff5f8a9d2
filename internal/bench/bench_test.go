package bench

import (
	"context"
	"testing"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

func TestRunner(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?x4]()
w = Const[value=float 4x3 fill 0.5]()
y = MatMul(x, w)
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	feeds := []Feeds{
		{"x": different(2, 4)},
		{"x": different(5, 4)},
	}
	ctx := context.Background()
	r := NewRunner(p, 2)
	want := runtime.Work{Float: 7 * 4 * 3}
	if got, err := r.Work(ctx, feeds); err != nil || got != want {
		t.Errorf("Work = %+v, %v, want %+v", got, err, want)
	}
	if d, err := r.Run(ctx, feeds); err != nil || d <= 0 {
		t.Errorf("Run = %v, %v, want a time", d, err)
	}
	steps, _, err := ProfileRun(ctx, p, feeds)
	if err != nil || len(steps) != 1 || steps[0].Op != "MatMul" || steps[0].Calls != 2 || steps[0].Work != want {
		t.Errorf("ProfileRun = %+v, %v, want two calls of MatMul with work %+v", steps, err, want)
	}
	if _, err := r.Run(ctx, []Feeds{{}}); err == nil {
		t.Error("Run without a feed gives no error")
	}
}

// different returns rows of which no two are equal: equal ones would be multiplied once.
func different(rows, width int) *tensor.Tensor {
	x := make([]float32, rows*width)
	for i := range x {
		x[i] = float32(i)
	}
	return tensor.FromSlice(tensor.Shape{rows, width}, x)
}

func TestFloor(t *testing.T) {
	r := Rates{Float: 100, Int8: 400}
	if got := r.Floor(runtime.Work{Float: 100, Int8: 200}, 2); got != 1500*time.Millisecond {
		t.Errorf("Floor = %v, want 1.5s: (200/100 + 400/400) seconds on 2 cores", got)
	}
	if got := Peaks(kernels.For(kernels.Portable)); got != (Rates{}) {
		t.Errorf("Peaks of the portable tier = %v, want none", got)
	}
}

func TestMedian(t *testing.T) {
	if got := Median([]time.Duration{5, 1, 3}); got != 3 {
		t.Errorf("Median = %v, want 3", got)
	}
}
