package runtime_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// TestZerosOfReLU multiplies what a ReLU leaves, three quarters of it 0 in all rows: each way to it gives the bits of the product
// of that tensor when it is fed, and takes fewer multiply-adds.
func TestZerosOfReLU(t *testing.T) {
	const products = `x = Placeholder[dtype=float]()
gate = Const[value=float [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]]()
w = Const[value=float 16x2 [1, -2, 0.5, 4, 3, -1, 1, -2, 0.5, 4, 3, -1, 1, -2, 0.5, 4, 3, -1, 1, -2, 0.5, 4, 3, -1, 1, -2, 0.5, 4, 3, -1, 2, 1]]()
b = Const[value=float [0.25, -1]]()
shape = Const[value=int32 [-1, 16]]()
plain = MatMul(x, w)
relu = Relu(x)
alone = MatMul(relu, w)
same = Identity(relu)
reshaped = Reshape(same, shape)
gated = Mul(gate, reshaped)
gatedProduct = MatMul(gated, w)
biased = BiasAdd(gatedProduct, b)
tanh = Tanh(x)
full = MatMul(tanh, w)
`
	r := rand.New(rand.NewPCG(5, 6))
	x := tensor.New(tensor.Float32, tensor.Shape{9, 16})
	for i := range x.Len() {
		tensor.Data[float32](x)[i] = r.Float32() + 0.1
		if i%16 >= 4 {
			tensor.Data[float32](x)[i] *= -1
		}
	}
	for tier := kernels.Portable; tier <= kernels.AVX512VNNI; tier++ {
		if !kernels.Supported(tier) {
			continue
		}
		run := func(fetch string, x *tensor.Tensor) (*tensor.Tensor, int) {
			plan := compileText(t, products, runtime.CompileOptions{Feeds: []string{"x"}, Fetches: []string{fetch}, Kernels: kernels.For(tier)})
			s := plan.NewSession()
			y := mustRun(t, s, map[string]*tensor.Tensor{"x": x})[fetch]
			return y, int(s.Work().Float)
		}
		relu, _ := run("relu", x)
		want, all := run("plain", relu)
		got, work := run("alone", x)
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%v: the product is %v, want %v", tier, tensor.Data[float32](got), tensor.Data[float32](want))
		}
		if all != 9*16*2 {
			t.Errorf("%v: a product of fed values took %d multiply-adds, want %d", tier, all, 9*16*2)
		}
		least := all / 4
		if tier == kernels.Portable {
			least = all
		}
		_, gated := run("biased", x)
		_, full := run("full", x)
		if work != least || gated != least || full != all {
			t.Errorf("%v: %d multiply-adds behind a ReLU, %d behind a gated one, %d behind tanh, want %d, %d, %d", tier, work, gated, full, least, least, all)
		}
	}
}
