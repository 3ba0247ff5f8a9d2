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

// BenchmarkSteps runs a loop of 1,000 iterations whose body is steps on scalars and tiny vectors, and reports what one step
// takes: nearly all of it is the interpreter.
func BenchmarkSteps(b *testing.B) {
	for _, kind := range []struct{ name, step string }{
		{"views", "n%[1]d = ExpandDims(i_sw:1, zero_in)\nn%[1]db = Squeeze(n%[1]d)\ns%[1]d = AddV2(s%[2]d, n%[1]db)\n"},
		{"scalars", "n%[1]d = Mul(i_sw:1, one)\ns%[1]d = AddV2(s%[2]d, n%[1]d)\n"},
		{"shapes", "n%[1]d = Pack[N=2](i_sw:1, s%[2]d)\nh%[1]d = Shape(n%[1]d)\nk%[1]d = StridedSlice[shrink_axis_mask=1](h%[1]d, zeros, ones, ones)\ns%[1]d = AddV2(s%[2]d, k%[1]d)\n"},
	} {
		b.Run(kind.name, func(b *testing.B) {
			var text strings.Builder
			text.WriteString(`
count = Placeholder[dtype=int32]()
zero = Const[value=int32 0]()
i_in = Enter[frame_name="f"](zero)
s_in = Enter[frame_name="f"](zero)
count_in = Enter[frame_name="f", is_constant=true](count)
zero_in = Enter[frame_name="f", is_constant=true](zero)
i = Merge(i_in, i_next)
s = Merge(s_in, s_next)
less = Less(i, count_in)
cond = LoopCond(less)
i_sw = Switch(i, cond)
s_sw = Switch(s, cond)
one = Const[value=int32 1](^i_sw)
zeros = Const[value=int32 [0]](^i_sw)
ones = Const[value=int32 [1]](^i_sw)
s0 = Identity(s_sw:1)
`)
			const units = 20
			for i := 1; i <= units; i++ {
				fmt.Fprintf(&text, kind.step, i, i-1)
			}
			fmt.Fprintf(&text, "s_next = NextIteration(s%d)\ni_next_value = AddV2(i_sw:1, one)\ni_next = NextIteration(i_next_value)\nout = Exit(s_sw)\n", units)
			g, err := graphdef.Parse(text.String())
			if err != nil {
				b.Fatal(err)
			}
			p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"out"}})
			if err != nil {
				b.Fatal(err)
			}
			feeds := map[string]*tensor.Tensor{"count": tensor.Scalar[int32](1000)}
			s := p.NewSession()
			steps := 0
			s.Profile = func(runtime.StepTime) { steps++ }
			if _, err := s.Run(context.Background(), feeds); err != nil {
				b.Fatal(err)
			}
			s.Profile = nil
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Run(context.Background(), feeds); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(steps), "ns/step")
		})
	}
}
