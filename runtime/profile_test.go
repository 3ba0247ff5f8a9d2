package runtime_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestProfile runs a product in a loop's place: each step is told once a run, with its multiply-adds.
func TestProfile(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?x4]()
w = Const[value=float 4x3 fill 0.5]()
y = MatMul(x, w)
z = Neg(y)
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"z"}})
	if err != nil {
		t.Fatal(err)
	}
	s := p.NewSession()
	got := map[string]runtime.StepTime{}
	s.Profile = func(st runtime.StepTime) { got[st.Name] = st }
	if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": runsOf(rand.New(rand.NewPCG(1, 1)), 4, []int{1, 1, 1, 1, 1})}); err != nil {
		t.Fatal(err)
	}
	want := runtime.Work{Float: 5 * 4 * 3}
	if y := got["y"]; y.Op != "MatMul" || y.Work != want || y.Bytes != 5*3*4 {
		t.Errorf("profile of y = %+v, want op MatMul, work %+v, 60 bytes", y, want)
	}
	if z := got["z"]; z.Op != "Neg" || z.Work != (runtime.Work{}) {
		t.Errorf("profile of z = %+v, want op Neg without work", z)
	}
	if s.Work() != want {
		t.Errorf("work of the session = %+v, want %+v", s.Work(), want)
	}
}
