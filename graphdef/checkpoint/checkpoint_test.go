package checkpoint

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

const golden = "../../../shared/facts/golden/bundle"

// goldenPath returns a file of the golden set; the test is skipped where it is absent.
func goldenPath(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(golden, name)
	for _, p := range []string{path, path + ".index"} {
		if _, err := os.Stat(p); err == nil {
			return path
		}
	}
	t.Skipf("no %s", path)
	return ""
}

func open(t *testing.T, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantTensor(t *testing.T, r *Reader, name string, want *tensor.Tensor) {
	t.Helper()
	got, err := r.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.DType() != want.DType() || !got.Shape().Equal(want.Shape()) || got.String() != want.String() || string(got.Bytes()) != string(want.Bytes()) {
		t.Errorf("tensor %q is %v, want %v", name, got, want)
	}
}

func ramp(n int, step float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i) * step
	}
	return v
}

func TestGoldenSharded(t *testing.T) {
	prefix := goldenPath(t, "ckpt")
	// The prefix, each file's name, and the directory whose file "checkpoint" names it.
	for _, path := range []string{prefix, prefix + ".index", prefix + ".data-00001-of-00002", filepath.Dir(prefix), filepath.Join(filepath.Dir(prefix), "checkpoint")} {
		r := open(t, path)
		wantTensor(t, r, "a", tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2}))
		wantTensor(t, r, "str", tensor.FromStrings(tensor.Shape{2, 2}, []string{"foo", "", "h\xc3\xa9", strings.Repeat("x", 200)}))
		wantTensor(t, r, "global_step", tensor.Scalar(int64(1234567890123)))
		wantTensor(t, r, "m/emb", tensor.FromSlice(tensor.Shape{70, 3}, ramp(210, 0.25)))
		if got := strings.Join(r.Keys(), " "); got != "a global_step m/emb str" {
			t.Errorf("keys are %s", got)
		}
	}
}

func TestSliceAcrossParts(t *testing.T) {
	r := open(t, goldenPath(t, "ckpt"))
	full, s, err := ParseSlice("70 3 64,4:1,2")
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Slice("m/emb", full, s)
	if err != nil {
		t.Fatal(err)
	}
	want := tensor.FromSlice(tensor.Shape{4, 2}, []float32{48.25, 48.5, 49, 49.25, 49.75, 50, 50.5, 50.75})
	if got.String() != want.String() {
		t.Errorf("slice is %v, want %v", got, want)
	}
	if _, err := r.Slice("m/emb", tensor.Shape{71, 3}, s); err == nil {
		t.Error("a slice of a tensor of another shape gives no error")
	}
}

func TestGoldenOfTensorFlow(t *testing.T) {
	r := open(t, goldenPath(t, "tf"))
	wantTensor(t, r, "a", tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2}))
	wantTensor(t, r, "m/emb", tensor.FromSlice(tensor.Shape{5, 2}, ramp(10, 1)))
	wantTensor(t, r, "str", tensor.FromStrings(tensor.Shape{3}, []string{"foo", "", "h\xc3\xa9"}))
}

func TestGoldenSnappyAndBlocks(t *testing.T) {
	wantTensor(t, open(t, goldenPath(t, "snappy")), "a", tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2}))
	r := open(t, goldenPath(t, "blocks"))
	if len(r.Keys()) != 64 {
		t.Fatalf("have %d keys, want 64", len(r.Keys()))
	}
	for i, key := range r.Keys() {
		wantTensor(t, r, key, tensor.FromSlice(tensor.Shape{1}, []float32{float32(i)}))
	}
}

func TestBadChecksumIsRefused(t *testing.T) {
	_, err := Open(goldenPath(t, "badcrc"))
	if err == nil || !strings.Contains(err.Error(), "checksum does not match") {
		t.Errorf("error is %v, want one about the checksum", err)
	}
}

func TestVersion1IsRefusedWithAdvice(t *testing.T) {
	_, err := Open(goldenPath(t, "v1format.ckpt"))
	if !errors.Is(err, ErrV1) {
		t.Errorf("error is %v, want %v", err, ErrV1)
	}
}

func TestDataFileThatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	prefix := filepath.Join(dir, "m")
	write(t, prefix, map[string]*tensor.Tensor{"a": tensor.FromSlice(tensor.Shape{2}, []float32{1, 2}), "b": tensor.Scalar(int32(7))})
	data := shardPath(prefix, 0, 1)
	b, _ := os.ReadFile(data)
	b[0] ^= 1
	os.WriteFile(data, b, 0o644)
	r := open(t, prefix)
	bad, good := "a", "b"
	if e, _ := r.Entry("b"); e.offset == 0 {
		bad, good = "b", "a"
	}
	if _, err := r.Tensor(bad); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error is %v, want one about the checksum", err)
	}
	if _, err := r.Tensor(good); err != nil {
		t.Errorf("the other tensor: %v", err)
	}
	os.WriteFile(data, b[:4], 0o644)
	if _, err := open(t, prefix).Tensor("b"); err == nil {
		t.Error("a data file that is cut short gives no error")
	}
	os.Remove(data)
	if _, err := open(t, prefix).Tensor("a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want that the data file does not exist", err)
	}
}

func write(t testing.TB, prefix string, tensors map[string]*tensor.Tensor) {
	t.Helper()
	w, err := Create(prefix)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range tensors {
		if err := w.Add(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	bf := tensor.FromTyped(tensor.Bfloat16, tensor.Shape{3}, []uint16{16320, 49152, 1})
	all := map[string]*tensor.Tensor{
		"one byte": tensor.FromSlice(tensor.Shape{1}, []int8{-3}), // so that what follows is not aligned
		"floats":   tensor.FromSlice(tensor.Shape{2, 2}, []float32{1, -2, float32(math.Inf(1)), 0.5}),
		"doubles":  tensor.FromSlice(tensor.Shape{1}, []float64{0.1}),
		"empty":    tensor.New(tensor.Float32, tensor.Shape{0, 3}),
		"scalar":   tensor.Scalar(int64(-5)),
		"bf16":     bf,
		"complex":  tensor.FromSlice(tensor.Shape{1}, []complex64{1 + 2i}),
		"bool":     tensor.FromSlice(tensor.Shape{2}, []bool{true, false}),
		"codes":    tensor.FromTyped(tensor.Qint8, tensor.Shape{2}, []int8{-128, 127}),
		"strings":  tensor.FromStrings(tensor.Shape{2, 1}, []string{"", "\x00\xff"}),
	}
	prefix := filepath.Join(t.TempDir(), "m")
	write(t, prefix, all)
	r := open(t, prefix)
	for name, v := range all {
		wantTensor(t, r, name, v)
	}
	stored, err := r.Stored("floats", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stored.Tensor()
	if err != nil || got.String() != all["floats"].String() {
		t.Errorf("stored tensor is %v, %v", got, err)
	}
}

func TestManyKeysTakeSeveralBlocks(t *testing.T) {
	all := map[string]*tensor.Tensor{}
	for i := range 9000 {
		all["model/layer_with_a_long_name_"+string(rune('a'+i%26))+strings.Repeat("x", i%40)+"/"+strings.Repeat("y", i/1040)+"_"+string(rune('a'+i/26%26))+string(rune('a'+i/676))] = tensor.Scalar(int32(i))
	}
	prefix := filepath.Join(t.TempDir(), "m")
	write(t, prefix, all)
	r := open(t, prefix)
	if len(r.Keys()) != len(all) {
		t.Fatalf("have %d keys, want %d", len(r.Keys()), len(all))
	}
	for name, v := range all {
		wantTensor(t, r, name, v)
	}
}

// TestIndexIsTensorFlows compares an index with the bytes that TensorFlow writes for the same tensor.
func TestIndexIsTensorFlows(t *testing.T) {
	w := &Writer{entries: map[string][]byte{}}
	v := tensor.FromSlice(tensor.Shape{2}, []float32{1.5, -2})
	w.entries["a"] = appendEntry(nil, v, 0, 8, maskedChecksum(v.Bytes()))
	got := w.index()
	want := "\x00\x00\x06\x08\x01\x1a\x02\x08\x01\x00\x01\x0fa\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08\x35\x3d\x33\xc8\xf4" +
		"\x00\x00\x00\x00\x01\x00\x00\x00\x00\xf0\x22\xfc\x50" +
		"\x00\x00\x00\x00\x01\x00\x00\x00\x00\xc0\xf2\xa1\xb0" +
		"\x00\x01\x02b\x00\x24\x00\x00\x00\x00\x01\x00\x00\x00\x00\x5a\x99\x6b\x35" +
		"\x29\x08\x36\x0e" + strings.Repeat("\x00", 36) + "\x57\xfb\x80\x8b\x24\x75\x47\xdb"
	if string(got) != want {
		t.Errorf("index is\n% x\nwant\n% x", got, want)
	}
}

func TestOrderedNumbers(t *testing.T) {
	for _, c := range []struct {
		v    int64
		want string
	}{
		{0, "\x80"}, {1, "\x81"}, {63, "\xbf"}, {-1, "\x7f"}, {64, "\xc0\x40"}, {8191, "\xdf\xff"}, {8192, "\xe0\x20\x00"},
		{1 << 20, "\xf0\x10\x00\x00"}, {1 << 27, "\xf8\x08\x00\x00\x00"}, {1 << 48, "\xff\x01\x00\x00\x00\x00\x00\x00"},
		{1 << 61, "\xff\xa0\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if got := string(appendOrderedSigned(nil, c.v)); got != c.want {
			t.Errorf("appendOrderedSigned(%d) = % x, want % x", c.v, got, c.want)
		}
	}
	want := "\x00m/emb\x00\x01\x01\x02\xc0\x42\x84\x80\x7f"
	if got := sliceKey("m/emb", Slice{{66, 4}, {0, -1}}); got != want {
		t.Errorf("slice key is % x, want % x", got, want)
	}
}

func fromBytes(t *testing.T, d tensor.DType, shape tensor.Shape, b []byte) *tensor.Tensor {
	t.Helper()
	v, err := tensor.FromBytes(d, shape, b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBigEndian(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "m")
	write(t, prefix, map[string]*tensor.Tensor{
		"a": fromBytes(t, tensor.Float32, tensor.Shape{1}, []byte{0x3f, 0xc0, 0, 0}),
		"c": fromBytes(t, tensor.Complex64, tensor.Shape{}, []byte{0x3f, 0x80, 0, 0, 0x40, 0, 0, 0}),
	})
	r := open(t, prefix)
	r.big = true
	wantTensor(t, r, "a", tensor.FromSlice(tensor.Shape{1}, []float32{1.5}))
	wantTensor(t, r, "c", tensor.Scalar(complex64(1+2i)))
}

func TestStateOfAnotherMachine(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "model.ckpt-7"), map[string]*tensor.Tensor{"a": tensor.Scalar(int32(1))})
	for _, path := range []string{"/home/somebody/run/model.ckpt-7", `C:\\run\\model.ckpt-7`, "model.ckpt-7"} {
		os.WriteFile(filepath.Join(dir, "checkpoint"), []byte("model_checkpoint_path: \""+path+"\"\n"), 0o644)
		if r := open(t, dir); filepath.Base(r.Prefix()) != "model.ckpt-7" {
			t.Errorf("path %q: prefix is %q", path, r.Prefix())
		}
	}
}

func TestParseSliceRefuses(t *testing.T) {
	for _, text := range []string{"5 2 0,3", "5 2 0,3:0,3", "5 2 6,0:-", "5 -1 -:-", "5 2 a:-", "- ", "5"} {
		if _, _, err := ParseSlice(text); err == nil {
			t.Errorf("ParseSlice(%q) gives no error", text)
		}
	}
}

func FuzzIndex(f *testing.F) {
	for _, name := range []string{"ckpt.index", "snappy.index", "tf.index", "v1format.ckpt"} {
		if b, err := os.ReadFile(filepath.Join(golden, name)); err == nil {
			f.Add(b, []byte("0123456789"))
		}
	}
	prefix := filepath.Join(f.TempDir(), "m")
	write(f, prefix, map[string]*tensor.Tensor{"a": tensor.Scalar(int32(1)), "s": tensor.FromStrings(tensor.Shape{1}, []string{"x"})})
	index, _ := os.ReadFile(prefix + ".index")
	f.Add(index, []byte("0123456789"))
	f.Fuzz(func(t *testing.T, index, data []byte) {
		sealBlocks(index)
		r, err := newReader("m", index)
		if err != nil {
			return
		}
		for i := range min(len(r.shards), 4) {
			s := &r.shards[i]
			s.once.Do(func() { s.data = data })
		}
		for i, key := range r.Keys() {
			if i == 16 {
				break
			}
			r.Tensor(key)
		}
	})
}

// sealBlocks makes the checksums of the blocks right where it can find them, so that fuzzing gets behind them.
func sealBlocks(table []byte) {
	if len(table) < footerSize {
		return
	}
	_, rest, err := readHandle(table[len(table)-footerSize:])
	if err != nil {
		return
	}
	index, _, err := readHandle(rest)
	if err != nil {
		return
	}
	seal := func(h blockHandle) bool {
		size := uint64(len(table))
		if h.size > size || h.offset > size-h.size || size-h.size-h.offset < trailerSize {
			return false
		}
		end := h.offset + h.size
		crc := maskedChecksum(table[h.offset : end+1])
		table[end+1], table[end+2], table[end+3], table[end+4] = byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24)
		return true
	}
	if !seal(index) {
		return
	}
	eachInBlock(table, index, "", func(_ string, value []byte) error {
		if h, _, err := readHandle(value); err == nil {
			seal(h)
		}
		return nil
	})
}
