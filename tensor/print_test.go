package tensor

import (
	"math"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	inf := float32(math.Inf(1))
	long := New(Int32, Shape{1001})
	Data[int32](long)[1000] = 7
	for _, test := range []struct {
		t    *Tensor
		want string
	}{
		{Scalar(float32(1.5)), "float [] 1.5"},
		{FromSlice(Shape{3}, []float32{0.1, -inf, float32(math.NaN())}), "float [3] [0.1 -inf nan]"},
		{FromSlice(Shape{2, 2}, []float32{1.5, 2, 3, 4}), "float [2, 2]\n[[1.5 2]\n [3   4]]"},
		{FromSlice(Shape{2, 1, 2}, []int8{1, 2, 3, -4}), "int8 [2, 1, 2]\n[[[1  2]]\n [[3  -4]]]"},
		{FromStrings(Shape{2}, []string{"a\n", "\xff"}), `string [2] ["a\n" "\xff"]`},
		{Scalar(true), "bool [] true"},
		{Scalar(complex64(complex(1, -2))), "complex64 [] (1-2j)"},
		{FromTyped(Float16, Shape{3}, []uint16{0x3c00, 0x2e66, 1}), "half [3] [1 0.1 6e-08]"},
		{FromTyped(Bfloat16, Shape{2}, []uint16{0x3dcd, 0x7f80}), "bfloat16 [2] [0.1 inf]"},
		{FromTyped(Float8E4M3, Shape{1}, []uint8{0x38}), "float8_e4m3fn [1] [0x38]"},
		{New(Float32, Shape{0, 3}), "float [0, 3]\n[]"},
		{New(Uint64, Shape{2, 0}), "uint64 [2, 0]\n[[]\n []]"},
		{long, "int32 [1001] [0 0 0 ... 0 0 7]"},
		{New(Resource, Shape{}), "resource [] ?"},
	} {
		if got := test.t.String(); got != test.want {
			t.Errorf("String = %q, want %q", got, test.want)
		}
	}
	big := New(Float32, Shape{100, 100}).String()
	if lines := strings.Split(big, "\n"); len(lines) != 8 || lines[1] != "[[0 0 0 ... 0 0 0]" || lines[4] != " ..." {
		t.Errorf("String of a [100, 100] tensor = %q", big)
	}
}

// Every value of the 16-bit floats survives the way to float32 and back, and through its text.
func TestHalfRoundTrip(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		if f := FromHalf(h); f == f && ToHalf(f) != h {
			t.Fatalf("ToHalf(FromHalf(%#04x) = %v) = %#04x", h, f, ToHalf(f))
		}
		if f := FromBfloat(h); f == f && ToBfloat(f) != h {
			t.Fatalf("ToBfloat(FromBfloat(%#04x) = %v) = %#04x", h, f, ToBfloat(f))
		}
	}
}

func TestHalfRounds(t *testing.T) {
	for _, test := range []struct {
		f    float32
		half uint16
		bf   uint16
	}{
		{1, 0x3c00, 0x3f80},
		{1 + 1.0/2048, 0x3c00, 0x3f80},          // tie to even
		{1 + 3.0/2048, 0x3c02, 0x3f80},          // tie to even, upwards
		{65519.996, 0x7bff, 0x4780},             // largest that does not overflow
		{65520, 0x7c00, 0x4780},                 // overflows
		{1.0 / (1 << 25), 0x0000, 0x3300},       // half the smallest denormal: to even
		{1.5 / (1 << 25), 0x0001, 0x3340},       //
		{6.1035156e-05, 0x0400, 0x3880},         // smallest normal
		{math.MaxFloat32, 0x7c00, 0x7f80},       //
		{float32(math.Inf(-1)), 0xfc00, 0xff80}, //
	} {
		if h, b := ToHalf(test.f), ToBfloat(test.f); h != test.half || b != test.bf {
			t.Errorf("%v: half %#04x, bfloat16 %#04x, want %#04x, %#04x", test.f, h, b, test.half, test.bf)
		}
	}
	nan := float32(math.NaN())
	if h, b := FromHalf(ToHalf(nan)), FromBfloat(ToBfloat(math.Float32frombits(0x7f800001))); h == h || b == b {
		t.Errorf("NaN became %v and %v", h, b)
	}
}
