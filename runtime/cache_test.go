package runtime

import (
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// TestRowCache extends, reorders and regroups caches at random and compares them with tensors treated the plain way.
func TestRowCache(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		heads, depth := 1+r.IntN(3), 1+r.IntN(5)
		beams := 1 + r.IntN(4)
		rows := beams * (1 + r.IntN(3))
		random := func(steps int) *tensor.Tensor {
			x := tensor.New(tensor.Float32, tensor.Shape{rows, heads, steps, depth})
			for i := range tensor.Data[float32](x) {
				tensor.Data[float32](x)[i] = r.Float32()
			}
			return x
		}
		var a arena
		h := new(rowCache)
		want := random(r.IntN(3))
		if err := h.load(&a, want.DType(), want.Bytes(), cacheDims{rows: rows, heads: heads, time: want.Shape()[2], depth: depth}, 1); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			switch r.IntN(3) {
			case 0:
				x := random(1 + r.IntN(2))
				want = joined(want, x)
				if err := h.extend(&a, x.Bytes(), x.Shape()[2]); err != nil {
					t.Fatal(err)
				}
			case 1:
				if h.beams != beams {
					if err := h.regroup(&a, beams); err != nil {
						t.Fatal(err)
					}
				}
				parents := make([]int32, rows)
				for i := range parents {
					parents[i] = int32(i/beams*beams + r.IntN(beams))
				}
				want = picked(want, parents)
				h.reorder(parents, beams)
			case 2:
				if err := h.regroup(&a, beams); err != nil {
					t.Fatal(err)
				}
			}
			got := h.tensor(want.Shape())
			if !got.Shape().Equal(want.Shape()) || string(got.Bytes()) != string(want.Bytes()) {
				t.Fatalf("seed %d: cache = %v, want %v", seed, got, want)
			}
			for g, n := range h.used {
				if most := h.beams * h.time; int(n) > most {
					t.Fatalf("seed %d: group %d has %d entries, want at most %d", seed, g, n, most)
				}
			}
		}
		h.free(&a)
		if a.inUse != 0 {
			t.Fatalf("seed %d: %d bytes of the arena are in use after free", seed, a.inUse)
		}
	}
}

// joined returns x and y side by side along dimension 2.
func joined(x, y *tensor.Tensor) *tensor.Tensor {
	s := x.Shape()
	steps := y.Shape()[2]
	z := tensor.New(x.DType(), tensor.Shape{s[0], s[1], s[2] + steps, s[3]})
	dst, a, b := tensor.Data[float32](z), tensor.Data[float32](x), tensor.Data[float32](y)
	for range s[0] * s[1] {
		n, m := s[2]*s[3], steps*s[3]
		copy(dst, a[:n])
		copy(dst[n:], b[:m])
		dst, a, b = dst[n+m:], a[n:], b[m:]
	}
	return z
}

// picked returns the rows of x that parents name.
func picked(x *tensor.Tensor, parents []int32) *tensor.Tensor {
	z := tensor.New(x.DType(), x.Shape())
	n := len(x.Bytes()) / len(parents)
	for i, p := range parents {
		copy(z.Bytes()[i*n:][:n], x.Bytes()[int(p)*n:])
	}
	return z
}
