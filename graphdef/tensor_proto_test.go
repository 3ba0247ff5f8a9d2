package graphdef

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// tensorProto builds a TensorProto of fields that each test adds.
func tensorProto(d tensor.DType, dims []int, fields ...[]byte) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(d))
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), encodeShape(tensor.Partial(dims...)))
	return append(b, slices.Concat(fields...)...)
}

func bytesField(num protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), v)
}

func varintField(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func TestDecodeTensorRules(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		want []int32
	}{
		{"packed", tensorProto(tensor.Int32, []int{3}, bytesField(7, "\x01\x02\x03")), []int32{1, 2, 3}},
		{"unpacked", tensorProto(tensor.Int32, []int{2}, varintField(7, 1), varintField(7, math.MaxUint64)), []int32{1, -1}},
		{"short repeats the last", tensorProto(tensor.Int32, []int{5}, bytesField(7, "\x01\x02")), []int32{1, 2, 2, 2, 2}},
		{"extras ignored", tensorProto(tensor.Int32, []int{1}, bytesField(7, "\x01\x02")), []int32{1}},
		{"none is zero", tensorProto(tensor.Int32, []int{2}), []int32{0, 0}},
		{"wrong field is none", tensorProto(tensor.Int32, []int{2}, bytesField(10, "\x01\x02")), []int32{0, 0}},
		{"content wins", tensorProto(tensor.Int32, []int{1}, bytesField(7, "\x01"), bytesField(4, "\x05\x00\x00\x00")), []int32{5}},
		{"missing shape", varintField(1, 3), []int32{0}},
		{"unknown rank", slices.Concat(varintField(1, 3), bytesField(2, "\x18\x01"), varintField(7, 9)), []int32{9}},
		{"shape in two parts", slices.Concat(varintField(1, 3), bytesField(2, "\x12\x02\x08\x02"), bytesField(2, "\x12\x02\x08\x02"), varintField(7, 9)), []int32{9, 9, 9, 9}},
		{"empty", tensorProto(tensor.Int32, []int{0, 3}, bytesField(7, "\x01")), nil},
	} {
		got, err := DecodeTensor(test.in)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if v := tensor.Data[int32](got); !slices.Equal(v, test.want) {
			t.Errorf("%s: DecodeTensor = %v, want %v", test.name, v, test.want)
		}
	}
}

func TestDecodeTensorRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		want string
	}{
		{"short content", tensorProto(tensor.Int32, []int{2}, bytesField(4, "\x01\x00\x00\x00")), "has 4 bytes, want 8"},
		{"negative dimension", tensorProto(tensor.Int32, []int{-1}), "negative dimension"},
		{"overflow", tensorProto(tensor.Int32, []int{1 << 30, 1 << 30, 1 << 30}), "too many elements"},
		{"bool content", tensorProto(tensor.Bool, []int{1}, bytesField(4, "\x02")), "byte 2"},
		{"variant", tensorProto(tensor.Variant, nil, bytesField(15, "\x0a\x01T")), `dtype variant ("T") has no value`},
		{"resource", tensorProto(tensor.Resource, nil), "dtype resource has no value"},
		{"no dtype", nil, "not supported"},
		{"reference", tensorProto(tensor.Float32+100, nil), "float_ref is not supported"},
		{"strings short", tensorProto(tensor.String, []int{2}, bytesField(4, "\x01\x02a")), "within string 1 of 2"},
		{"strings long", tensorProto(tensor.String, []int{1}, bytesField(4, "\x01ab")), "1 bytes more"},
		{"fill", tensorProto(tensor.Float32, []int{1 << 30}, varintField(7, 1)), "not spelt out"},
		{"string fill", tensorProto(tensor.String, []int{1 << 30}), "not spelt out"},
		{"truncated", []byte{8}, "malformed"},
	} {
		_, err := DecodeTensor(test.in)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestEncodeTensorRoundTrip(t *testing.T) {
	nan := math.Float32frombits(0x7fc00123)
	for _, x := range []*tensor.Tensor{
		tensor.FromSlice(tensor.Shape{3}, []float32{1, nan, float32(math.Copysign(0, -1))}),
		tensor.Scalar(nan), tensor.Scalar(int32(-1)), tensor.Scalar(int8(-128)), tensor.Scalar(uint8(200)),
		tensor.Scalar(int64(math.MinInt64)), tensor.Scalar(uint64(math.MaxUint64)), tensor.Scalar(true),
		tensor.Scalar(complex64(complex(1, -2))), tensor.Scalar(complex(1, -2)), tensor.Scalar(0.1),
		tensor.FromTyped(tensor.Bfloat16, tensor.Shape{1, 1}, []uint16{0x3fc0}),
		tensor.FromTyped(tensor.Int4, tensor.Shape{}, []int8{-2}),
		tensor.FromTyped(tensor.Float8E4M3, tensor.Shape{}, []uint8{0xff}),
		tensor.FromTyped(tensor.Qint32, tensor.Shape{2, 1}, []int32{-5, 6}),
		tensor.FromSlice(tensor.Shape{0, 3}, []float32{}),
		tensor.FromStrings(tensor.Shape{2}, []string{"", "\xff\x00"}),
	} {
		got, err := DecodeTensor(EncodeTensor(x))
		if err != nil {
			t.Errorf("%v %v: %v", x.DType(), x.Shape(), err)
			continue
		}
		if got.DType() != x.DType() || !got.Shape().Equal(x.Shape()) || !bytes.Equal(got.Bytes(), x.Bytes()) || !slices.Equal(got.Strings(), x.Strings()) {
			t.Errorf("round trip of %v %v % x = %v %v % x", x.DType(), x.Shape(), x.Bytes(), got.DType(), got.Shape(), got.Bytes())
		}
	}
}

// What Python's tf.constant writes, in bytes.
func TestEncodeTensorLikePython(t *testing.T) {
	for _, test := range []struct {
		t    *tensor.Tensor
		want string
	}{
		{tensor.Scalar(float32(1.5)), "\x08\x01\x12\x00\x2a\x04\x00\x00\xc0\x3f"},
		{tensor.Scalar(int32(-1)), "\x08\x03\x12\x00\x3a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2}), "\x08\x01\x12\x04\x12\x02\x08\x02\x22\x08\x00\x00\xc0\x3f\x00\x00\x00\xc0"},
		{tensor.FromStrings(tensor.Shape{}, []string{"ab"}), "\x08\x07\x12\x00\x42\x02ab"},
	} {
		if got := string(EncodeTensor(test.t)); got != test.want {
			t.Errorf("EncodeTensor(%v %v) = % x, want % x", test.t.DType(), test.t.Shape(), got, test.want)
		}
	}
}

func FuzzDecodeTensor(f *testing.F) {
	f.Add(tensorProto(tensor.Int32, []int{5}, bytesField(7, "\x01\x02")))
	f.Add(tensorProto(tensor.String, []int{2}, bytesField(4, "\x01\x02abc")))
	f.Add(tensorProto(tensor.Complex64, []int{2}, bytesField(9, "\x00\x00\x80\x3f")))
	f.Add(EncodeTensor(tensor.Scalar(int8(-3))))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeTensor(b, 1<<20)
		if err != nil {
			return
		}
		y, err := decodeTensor(EncodeTensor(x), 1<<20)
		if err != nil {
			t.Fatalf("encoded tensor does not decode: %v", err)
		}
		if y.DType() != x.DType() || !y.Shape().Equal(x.Shape()) || !bytes.Equal(y.Bytes(), x.Bytes()) || !slices.Equal(y.Strings(), x.Strings()) {
			t.Fatalf("round trip of %v %v changed it", x.DType(), x.Shape())
		}
	})
}

// Values of which the file spells out one element are shared as long as somebody holds them, and then not kept.
func TestFilledTensorsAreNotKept(t *testing.T) {
	var text strings.Builder
	const count, mib = 8, 32
	for i := range count {
		fmt.Fprintf(&text, "c%d = Const[value=float %dx fill 1.5]()\n", i, mib<<20/4)
	}
	g, err := Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes() {
		a, err := n.Tensor("value")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := n.Tensor("value"); err != nil || a != b {
			t.Errorf("%s: a second call gives %p, %v, want %p", n.Name(), b, err, a)
		}
		runtime.KeepAlive(a)
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if have := stats.HeapAlloc >> 20; have > count*mib/2 {
		t.Errorf("%d MiB are kept of %d filled values of %d", have, count, mib)
	}
}
