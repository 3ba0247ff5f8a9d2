package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestEqualRows multiplies rows of which some are equal: the product is, bit by bit, that of each row alone, and is computed once
// for all that are equal in all of the product's operands, if the first two rows are equal.
func TestEqualRows(t *testing.T) {
	const products = `x = Placeholder[dtype=float]()
r = Placeholder[dtype=float]()
w = Const[value=float 3x2 [1, -2, 0.5, 4, 3, -1]]()
b = Const[value=float [0.25, -1]]()
m = MatMul(x, w)
z = BiasAdd(m, b)
relu = Relu(z)
tanh = Tanh(z)
sum = AddV2(z, r)
both = AddV2(tanh, r)
`
	random := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		x, r      []int // lengths of the runs
		once, sum int   // rows that are multiplied without and with r
	}{
		{[]int{4, 4, 4}, []int{4, 4, 4}, 3, 3},
		{[]int{12}, []int{4, 4, 4}, 1, 3},
		{[]int{12}, []int{12}, 1, 1},
		{[]int{4, 8}, []int{6, 6}, 2, 3},
		{[]int{4, 4, 4}, []int{1, 11}, 3, 4},
		{[]int{1, 11}, []int{12}, 12, 12},
		{[]int{2, 1, 7, 2}, []int{12}, 4, 4},
		{[]int{1}, []int{1}, 1, 1},
	} {
		feeds := map[string]*tensor.Tensor{"x": runsOf(random, 3, c.x), "r": runsOf(random, 2, c.r)}
		for tier := kernels.Portable; tier <= kernels.AVX512VNNI; tier++ {
			if !kernels.Supported(tier) {
				continue
			}
			for _, fetch := range []string{"m", "relu", "tanh", "sum", "both"} {
				t.Run(fmt.Sprintf("%v/%v+%v/%s", tier, c.x, c.r, fetch), func(t *testing.T) {
					plan := compileText(t, products, runtime.CompileOptions{Feeds: []string{"x", "r"}, Fetches: []string{fetch}, Kernels: kernels.For(tier)})
					s := plan.NewSession()
					got := mustRun(t, s, feeds)[fetch]
					want := c.once
					if fetch == "sum" {
						want = c.sum
					}
					if rows := int(s.Work().Float) / 6; rows != want {
						t.Errorf("%d rows were multiplied, want %d", rows, want)
					}
					for i := range feeds["x"].Shape()[0] {
						one := map[string]*tensor.Tensor{"x": row(feeds["x"], i), "r": row(feeds["r"], i)}
						if want := mustRun(t, s, one)[fetch]; !bytes.Equal(row(got, i).Bytes(), want.Bytes()) {
							t.Errorf("row %d is %v, want %v", i, tensor.Data[float32](row(got, i)), tensor.Data[float32](want))
						}
					}
				})
			}
		}
	}
}

// runsOf returns random rows of the given width, each as often as lengths says.
func runsOf(r *rand.Rand, width int, lengths []int) *tensor.Tensor {
	var x []float32
	for _, n := range lengths {
		first := len(x)
		for range width {
			x = append(x, r.Float32()-0.5)
		}
		for range n - 1 {
			x = append(x, x[first:first+width]...)
		}
	}
	return tensor.FromSlice(tensor.Shape{len(x) / width, width}, x)
}

// row returns row i of a matrix as a matrix.
func row(x *tensor.Tensor, i int) *tensor.Tensor {
	n := x.Shape()[1]
	return tensor.FromSlice(tensor.Shape{1, n}, tensor.Data[float32](x)[i*n:][:n])
}

func mustRun(t *testing.T, s *runtime.Session, feeds map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	got, err := s.Run(context.Background(), feeds)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestEqualIDs multiplies rows that are looked up: those of one number are computed once, wherever they stand, until another product
// has worked on them.
func TestEqualIDs(t *testing.T) {
	const products = `ids = Placeholder[dtype=int32]()
table = Const[value=float 4x3 [1, 2, 3, -4, 5, 6, 7, -8, 9, 0.5, 0.25, -0.125]]()
axis = Const[value=int32 0]()
three = Const[value=float 3]()
w = Const[value=float 3x3 [1, -2, 0.5, 4, 3, -1, 2, 2, -0.5]]()
b = Const[value=float 3 [0.25, -1, 8]]()
x = GatherV2(table, ids, axis)
y = Mul(x, three)
m = MatMul(y, w)
z = BiasAdd(m, b)
both = MatMul(z, w)
sum = AddV2(both, y)
`
	random := rand.New(rand.NewPCG(5, 6))
	for rows := 1; rows < 40; rows++ {
		ids, seen := make([]int32, rows), map[int32]bool{}
		for i := range ids {
			ids[i] = random.Int32N(4)
			seen[ids[i]] = true
		}
		feeds := map[string]*tensor.Tensor{"ids": tensor.FromSlice(tensor.Shape{rows}, ids)}
		s := compileText(t, products, runtime.CompileOptions{Feeds: []string{"ids"}, Fetches: []string{"z"}}).NewSession()
		got := mustRun(t, s, feeds)["z"]
		if have := int(s.Work().Float) / 9; have != len(seen) {
			t.Errorf("%v: %d rows were multiplied, want %d", ids, have, len(seen))
		}
		both := compileText(t, products, runtime.CompileOptions{Feeds: []string{"ids"}, Fetches: []string{"sum"}}).NewSession()
		sum := mustRun(t, both, feeds)["sum"]
		if have := int(both.Work().Float) / 9; (rows == 1 || ids[0] != ids[1]) && have != len(seen)+rows {
			t.Errorf("%v: %d rows were multiplied in two products, want %d", ids, have, len(seen)+rows)
		}
		for i, id := range ids {
			one := map[string]*tensor.Tensor{"ids": tensor.FromSlice(tensor.Shape{1}, []int32{id})}
			if want := mustRun(t, s, one)["z"]; !bytes.Equal(row(got, i).Bytes(), want.Bytes()) {
				t.Errorf("%v: row %d is %v, want %v", ids, i, tensor.Data[float32](row(got, i)), tensor.Data[float32](want))
			}
			if want := mustRun(t, both, one)["sum"]; !bytes.Equal(row(sum, i).Bytes(), want.Bytes()) {
				t.Errorf("%v: row %d is %v, want %v", ids, i, tensor.Data[float32](row(sum, i)), tensor.Data[float32](want))
			}
		}
	}
}
