package passes

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// Activations of any magnitude use all codes, under both targets: QuantizeV2 by itself widens small ranges.
func TestSmallRanges(t *testing.T) {
	g, err := graphdef.Parse(`
x = Placeholder[dtype=float, shape=?x4]()
w = Const[value=float 4x2 [1, -1, 2, 1, -1, 3, 0.5, 1]]()
y = MatMul(x, w)
p = Placeholder[dtype=float, shape=2x?x4]()
z = BatchMatMulV2[adj_y=true](p, p)
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []float32{1e-6, 0.002, 0.004, 0.006, 0.009, 0.02, 1, 1e6} {
		for _, sign := range []float32{1, -1} {
			values := []float32{size, 0.3 * size, 0.7 * size * sign, 0.1 * size, 0.5 * size, 0.2 * size * sign, size, 0.9 * size}
			feed := Feeds{"x": tensor.FromSlice(tensor.Shape{2, 4}, values), "p": tensor.FromSlice(tensor.Shape{2, 1, 4}, values)}
			for _, target := range []Target{TensorFlow, TFQ8} {
				t.Run(fmt.Sprintf("%g_%g_%v", size, sign, target), func(t *testing.T) {
					res, err := Convert(context.Background(), g, Options{Outputs: []string{"y", "z"}, Calibrate: []Feeds{feed}, Target: target})
					if err != nil {
						t.Fatal(err)
					}
					want, got := runBoth(t, g, res.Graph, feed)
					for _, name := range []string{"y", "z"} {
						a, b := tensor.Data[float32](want[name]), tensor.Data[float32](got[name])
						scale := 0.0
						for _, v := range a {
							scale = max(scale, math.Abs(float64(v)))
						}
						for i := range a {
							if off := math.Abs(float64(b[i] - a[i])); off > 0.03*scale {
								t.Errorf("%s[%d] = %g, want %g", name, i, b[i], a[i])
							}
						}
					}
				})
			}
		}
	}
}

// runBoth returns what two graphs compute of y and z.
func runBoth(t *testing.T, a, b *graphdef.Graph, feed Feeds) (x, y Feeds) {
	t.Helper()
	var out []Feeds
	for _, g := range []*graphdef.Graph{a, b} {
		p, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"y", "z"}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.NewSession().Run(context.Background(), feed)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out[0], out[1]
}
