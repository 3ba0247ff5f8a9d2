package npy

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// recorded are the arrays that testdata/record.py saved with NumPy.
var recorded = map[string]*tensor.Tensor{
	"f4": tensor.FromSlice(tensor.Shape{2, 3}, []float32{1.5, float32(math.Copysign(0, -1)), float32(math.Inf(1)), 1e-40, 3, -2}),

	"f8_big":         tensor.FromSlice(tensor.Shape{2}, []float64{0.1, -7e300}),
	"f2":             tensor.FromTyped(tensor.Float16, tensor.Shape{3}, []uint16{0x3c00, 0x7bff, 1}),
	"i8_fortran":     tensor.FromSlice(tensor.Shape{2, 3, 4}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}),
	"i4_big_fortran": tensor.FromSlice(tensor.Shape{2, 3}, []int32{0, 1, 2, 3, 4, 5}),
	"u2_scalar":      tensor.FromSlice(tensor.Shape{}, []uint16{65535}),
	"u8":             tensor.FromSlice(tensor.Shape{1}, []uint64{math.MaxUint64}),
	"i1_empty":       tensor.FromSlice(tensor.Shape{3, 0, 2}, []int8{}),
	"bool":           tensor.FromSlice(tensor.Shape{3}, []bool{true, false, true}),
	"c8_big":         tensor.FromSlice(tensor.Shape{1}, []complex64{1 + 2i}),
	"text":           tensor.FromStrings(tensor.Shape{2, 2}, []string{"a", "größe", "", "\U0001f600x"}),
	"bytes":          tensor.FromStrings(tensor.Shape{3}, []string{"ab", "\xff\x00c", ""}),
}

func equal(a, b *tensor.Tensor) bool {
	return a.DType() == b.DType() && a.Shape().Equal(b.Shape()) && bytes.Equal(a.Bytes(), b.Bytes()) &&
		strings.Join(a.Strings(), "|") == strings.Join(b.Strings(), "|")
}

func TestRecorded(t *testing.T) {
	for name, want := range recorded {
		path := filepath.Join("testdata", name+".npy")
		have, err := ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !equal(have, want) {
			t.Errorf("%s = %v, want %v", name, have, want)
		}
		var out bytes.Buffer
		if err := Write(&out, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Write's form is NumPy's own, wherever the file has the machine's byte order, rows first.
		if same := bytes.Equal(out.Bytes(), file); same == (strings.Contains(name, "_big") || strings.Contains(name, "_fortran")) {
			t.Errorf("%s: Write gives the file of NumPy: %v\n%q\n%q", name, same, out.Bytes(), file)
		}
		if back, err := Read(&out); err != nil || !equal(back, want) {
			t.Errorf("%s: written and read: %v, %v", name, back, err)
		}
	}
}

func TestArchive(t *testing.T) {
	have, err := ReadArchive(filepath.Join("testdata", "three.npz"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Array{{"source", recorded["f4"]}, {"a/b", recorded["bool"]}, {"t:1", recorded["text"]}}
	check := func(have []Array) {
		t.Helper()
		if len(have) != len(want) {
			t.Fatalf("have %d arrays, want %d", len(have), len(want))
		}
		for i, a := range have {
			if a.Name != want[i].Name || !equal(a.Tensor, want[i].Tensor) {
				t.Errorf("array %d is %q %v, want %q %v", i, a.Name, a.Tensor, want[i].Name, want[i].Tensor)
			}
		}
	}
	check(have)
	path := filepath.Join(t.TempDir(), "out.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteArchive(f, have); err != nil {
		t.Fatal(err)
	}
	if have, err = ReadArchive(path); err != nil {
		t.Fatal(err)
	}
	check(have)
}

// TestWriteConverts covers the types that NumPy does not have.
func TestWriteConverts(t *testing.T) {
	for _, c := range []struct{ in, want *tensor.Tensor }{
		{tensor.FromTyped(tensor.Qint8, tensor.Shape{2}, []int8{-127, 5}), tensor.FromSlice(tensor.Shape{2}, []int8{-127, 5})},
		{tensor.FromTyped(tensor.Bfloat16, tensor.Shape{1}, []uint16{0x3fc0}), tensor.FromSlice(tensor.Shape{1}, []float32{1.5})},
		{tensor.FromStrings(tensor.Shape{0}, nil), tensor.FromStrings(tensor.Shape{0}, nil)},
	} {
		var b bytes.Buffer
		if err := Write(&b, c.in); err != nil {
			t.Errorf("%v: %v", c.in, err)
			continue
		}
		if have, err := Read(&b); err != nil || !equal(have, c.want) {
			t.Errorf("%v came back as %v (%v), want %v", c.in, have, err, c.want)
		}
	}
	for _, in := range []*tensor.Tensor{
		tensor.FromStrings(tensor.Shape{1}, []string{"a\x00"}),
		tensor.New(tensor.Variant, tensor.Shape{1}),
	} {
		if err := Write(&bytes.Buffer{}, in); err == nil {
			t.Errorf("Write(%v) gave no error", in)
		}
	}
}

// file returns a version 1 file with the given header.
func file(header, data string) string {
	return magic + "\x01\x00" + string([]byte{byte(len(header)), byte(len(header) >> 8)}) + header + data
}

func TestErrors(t *testing.T) {
	const ok = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }"
	for _, c := range []struct{ text, want string }{
		{"", "cut off"},
		{"PK\x03\x04abcdef", "not a .npy file"},
		{magic + "\x09\x00\x00\x00", "version 9"},
		{magic + "\x02\x00\xff\xff\xff\xff", "more than 65536 bytes"},
		{file(ok, "1234567"), "cut off"},
		{file(strings.Replace(ok, "2,", "4611686018427387904, 4", 1), ""), "shape"},
		{file(strings.Replace(ok, "2,", "999999999999", 1), "1234"), "cut off"},
		{file(strings.Replace(ok, "2,", "-2,", 1), ""), "want a dimension"},
		{file(strings.Replace(ok, "<i4", "|O", 1), ""), "objects of Python"},
		{file(strings.Replace(ok, "<i4", "<M8[ns]", 1), ""), `type "<M8[ns]" is not supported`},
		{file(strings.Replace(ok, "'<i4'", "[('a', '<i4')]", 1), ""), "records"},
		{file("{'descr': '<i4'}", ""), "want the keys"},
		{file(ok+" x", ""), "after its end"},
		{file(strings.Replace(ok, "<i4", "<U1", 1), "\xff\xff\xff\xff\x00\x00\x00\x00"), "no Unicode character"},
	} {
		_, err := Read(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "npy: ") {
			t.Errorf("Read(%.80q): %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for name := range recorded {
		b, err := os.ReadFile(filepath.Join("testdata", name+".npy"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, v); err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		if back, err := Read(&out); err != nil || !equal(back, v) {
			t.Fatalf("%v came back as %v, %v", v, back, err)
		}
	})
}
