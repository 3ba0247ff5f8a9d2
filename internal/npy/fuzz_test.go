package npy

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfq8/tfq8/tensor"
)

// FuzzReadArchive reads arbitrary bytes as an archive: an error, or arrays that can be written and come back the same.
func FuzzReadArchive(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "three.npz"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	var small bytes.Buffer
	if err := WriteArchive(&small, []Array{{"a", tensor.Scalar(int32(1))}, {"b", tensor.FromStrings(nil, []string{"x"})}}); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Add(bomb(f, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readArchive(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := WriteArchive(&out, list); err != nil {
			t.Skip(err) // a name that a zip archive cannot have
		}
		again, err := readArchive(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%d arrays came back as %d, %v", len(list), len(again), err)
		}
		for i, a := range again {
			if a.Name != list[i].Name || !equal(a.Tensor, list[i].Tensor) {
				t.Fatalf("%q %v came back as %q %v", list[i].Name, list[i].Tensor, a.Name, a.Tensor)
			}
		}
	})
}

// bomb returns an archive whose n members are all the same bytes of the file.
func bomb(t testing.TB, n int) []byte {
	t.Helper()
	var member, data bytes.Buffer
	if err := Write(&member, tensor.FromSlice(tensor.Shape{1 << 12}, make([]float32, 1<<12))); err != nil {
		t.Fatal(err)
	}
	w, err := flate.NewWriter(&data, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(member.Bytes())
	w.Close()
	var out, directory bytes.Buffer
	z := zip.NewWriter(&out)
	m, err := z.CreateRaw(&zip.FileHeader{Name: "a.npy", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(member.Bytes()),
		CompressedSize64: uint64(data.Len()), UncompressedSize64: uint64(member.Len())})
	if err != nil {
		t.Fatal(err)
	}
	m.Write(data.Bytes())
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	const endSize = 22 // of the record that ends an archive
	end := b[len(b)-endSize:]
	start := binary.LittleEndian.Uint32(end[16:])
	entry := b[start : len(b)-endSize]
	for range n {
		directory.Write(entry)
	}
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(directory.Len()))
	return slices.Concat(b[:start], directory.Bytes(), end)
}

// TestArchiveRefusesSharedBytes takes one member as it is, and many that are the same bytes not at all.
func TestArchiveRefusesSharedBytes(t *testing.T) {
	for n, want := range map[int]string{1: "", 100: "the members claim more bytes than the file has"} {
		path := filepath.Join(t.TempDir(), "bomb.npz")
		if err := os.WriteFile(path, bomb(t, n), 0o644); err != nil {
			t.Fatal(err)
		}
		list, err := ReadArchive(path)
		if want == "" && (err != nil || len(list) != n) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d members: %d arrays, %v, want error %q", n, len(list), err, want)
		}
	}
}
