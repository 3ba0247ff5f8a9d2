package runtime_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/tensor"
)

// beams is a sentence's encoding that is tiled for three beams and read by one attention, in all ways of reading it: what is
// written %[1]d wide, for two heads of depth %[2]d, with weights %[3]s and %[4]s and the bias %[5]s.
const beams = `x = Placeholder[dtype=float]()
q = Placeholder[dtype=float]()
mask = Placeholder[dtype=float]()
times = Placeholder[dtype=int32]()
flat = Const[value=int32 [-1, %[1]d]]()
parts = Const[value=int32 [0, 2, 1, 3]]()
heads = Const[value=int32 [-1, 3, 2, %[2]d]]()
wk = Const[value=float %[1]dx%[1]d %[3]s]()
wv = Const[value=float %[1]dx%[1]d %[4]s]()
bias = Const[value=float %[1]d %[5]s]()
tiled = Tile(x, times)
memory = Reshape(tiled, flat)
k = MatMul(memory, wk)
kb = BiasAdd(k, bias)
v = MatMul(memory, wv)
vb = BiasAdd(v, bias)
twice = AddV2(vb, memory)
kr = Reshape(kb, heads)
vr = Reshape(vb, heads)
tr = Reshape(twice, heads)
kt = Transpose(kr, parts)
vt = Transpose(vr, parts)
tt = Transpose(tr, parts)
s = BatchMatMulV2[adj_y=true](q, kt)
p = Softmax(s)
y = BatchMatMulV2(p, vt)
sm = AddV2(s, mask)
pm = Softmax(sm)
ym = BatchMatMulV2(pm, vt)
yt = BatchMatMulV2(p, tt)
`

// TestFolded runs attention over keys and values of tiled sentences, which are held once where the step can read them so. The bits
// are those of all copies, made since somebody looks at them.
func TestFolded(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const sentences, rows = 5, 15 // a row is a beam
	for _, c := range []struct {
		fetch     string
		times     []int32
		queries   int // of a beam
		maskShape []int
	}{
		{"y", []int32{1, 3, 1}, 1, nil},
		{"y", []int32{3, 1, 1}, 1, nil}, // sentences one after the other, then again
		{"y", []int32{1, 3, 1}, 2, nil}, // several queries a beam
		{"ym", []int32{1, 3, 1}, 1, []int{rows, 1, 1, 3}},
		{"ym", []int32{1, 3, 1}, 1, []int{rows, 2, 1, 3}}, // a mask for each head
		{"ym", []int32{1, 3, 1}, 1, []int{rows, 1, 1, 1}}, // a mask that stretches
		{"yt", []int32{1, 3, 1}, 1, nil},                  // something is added to the copies
	} {
		const heads, depth = 2, 16 // which suits the kernel that does all of attention
		const width = heads * depth
		graph := fmt.Sprintf(beams, width, depth, literal(random, width*width), literal(random, width*width), literal(random, width))
		x := randomFloats(random, sentences, 3, width)
		feeds := map[string]*tensor.Tensor{"x": x, "q": randomFloats(random, rows, heads, c.queries, depth), "mask": randomFloats(random, 1), "times": tensor.FromSlice(tensor.Shape{3}, c.times)}
		if c.maskShape != nil {
			feeds["mask"] = randomFloats(random, c.maskShape...)
		}
		opts := runtime.CompileOptions{Feeds: []string{"x", "q", "mask", "times"}, Fetches: []string{c.fetch}}
		for tier := kernels.Portable; tier <= kernels.AVX512VNNI; tier++ {
			if !kernels.Supported(tier) {
				continue
			}
			t.Run(fmt.Sprintf("%v/%s/%v/%d/%v", tier, c.fetch, c.times, c.queries, c.maskShape), func(t *testing.T) {
				opts.Kernels = kernels.For(tier)
				opts.Observe = nil
				s := compileText(t, graph, opts).NewSession()
				s.Profile = func(st runtime.StepTime) {
					if once := int64(4 * x.Len()); st.Name == "kb" && st.Bytes != once {
						t.Errorf("the keys take %d bytes, want the %d of one beam", st.Bytes, once)
					}
				}
				got := mustRun(t, s, feeds)[c.fetch]
				opts.Observe = []string{"tiled", "kb", "vb"}
				seen := compileText(t, graph, opts).NewSession()
				seen.Observer = func(string, *tensor.Tensor) {}
				if want := mustRun(t, seen, feeds)[c.fetch]; !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("have %v, want %v", tensor.Data[float32](got), tensor.Data[float32](want))
				}
			})
		}
	}
}

// literal writes n random numbers as the elements of a Const.
func literal(r *rand.Rand, n int) string {
	x := make([]string, n)
	for i := range x {
		x[i] = fmt.Sprint(float32(r.NormFloat64()))
	}
	return "[" + strings.Join(x, ", ") + "]"
}
