// Package npy reads and writes NumPy's files: .npy, one array, and .npz, a zip archive of them.
//
//	t, err := npy.ReadFile("ids.npy")
//	arrays, err := npy.ReadArchive("batch.npz")
//
// It covers booleans, integers, floats and complex numbers of NumPy's fixed sizes in either byte order, row-major or
// column-major, and byte and Unicode strings. Objects (pickles) and records are refused. The format is described in NumPy's
// NEP 1.
package npy

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tfq8/tfq8/tensor"
)

const magic = "\x93NUMPY"

// maxHeader bounds the header of a hostile file; NumPy itself stops at 10,000 bytes.
const maxHeader = 1 << 16

// maxEmpty bounds the elements of an array of strings without characters, which take no bytes in the file.
const maxEmpty = 1 << 24

// Array is one member of an archive.
type Array struct {
	Name   string // without .npy
	Tensor *tensor.Tensor
}

// ReadFile returns the array of a .npy file.
func ReadFile(path string) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	t, err := Read(r)
	if err == nil {
		if _, more := r.ReadByte(); more == nil {
			err = errors.New("npy: the file goes on after its array; split it into one file an array, or use .npz")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Read reads one array from r, and nothing after it.
func Read(r io.Reader) (*tensor.Tensor, error) {
	t, err := read(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file is cut off")
	}
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return t, nil
}

func read(r io.Reader) (*tensor.Tensor, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	n, err := h.shape.CheckedElements()
	if err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if h.size > 0 && n > (1<<62)/h.size || h.size == 0 && n > maxEmpty {
		return nil, fmt.Errorf("shape %v is too large", h.shape)
	}
	// The memory grows with what is really there, whatever the header claims.
	var b bytes.Buffer
	if have, err := io.Copy(&b, io.LimitReader(r, int64(n*h.size))); err != nil {
		return nil, err
	} else if have < int64(n*h.size) {
		return nil, io.ErrUnexpectedEOF
	}
	data := b.Bytes()
	if h.fortran {
		data = rowMajor(data, h.shape, h.size)
	}
	if h.kind == 'U' || h.kind == 'S' {
		return readStrings(h, data, n)
	}
	if h.bigEndian {
		swap(data, h.word)
	}
	if h.dtype == tensor.Bool {
		for i, v := range data {
			data[i] = min(v, 1) // a Go bool must be 0 or 1
		}
	}
	return tensor.FromBytes(h.dtype, h.shape, data)
}

// readStrings decodes n elements of h.size bytes each: padded with NULs, code points of 4 bytes where the kind is U.
func readStrings(h *header, data []byte, n int) (*tensor.Tensor, error) {
	order := binary.ByteOrder(binary.LittleEndian)
	if h.bigEndian {
		order = binary.BigEndian
	}
	list := make([]string, n)
	for i := range list {
		e := data[i*h.size : (i+1)*h.size]
		if h.kind == 'S' {
			list[i] = string(bytes.TrimRight(e, "\x00"))
			continue
		}
		var text strings.Builder
		zeros := 0 // NULs matter only if something follows
		for ; len(e) > 0; e = e[4:] {
			c := order.Uint32(e)
			if c == 0 {
				zeros++
				continue
			}
			for ; zeros > 0; zeros-- {
				text.WriteByte(0)
			}
			if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
				return nil, fmt.Errorf("element %d: %#x is no Unicode character", i, c)
			}
			text.WriteRune(rune(c))
		}
		list[i] = text.String()
	}
	return tensor.FromStrings(h.shape, list), nil
}

// rowMajor returns elements of size bytes that lie column by column in row-major order.
func rowMajor(data []byte, shape tensor.Shape, size int) []byte {
	out := make([]byte, 0, len(data))
	if len(data) == 0 {
		return data
	}
	stride := make([]int, len(shape))
	step := size
	for i, d := range shape {
		stride[i] = step
		step *= d
	}
	index := make([]int, len(shape))
	for at := 0; ; {
		out = append(out, data[at:at+size]...)
		d := len(shape) - 1
		for ; d >= 0; d-- {
			index[d]++
			at += stride[d]
			if index[d] < shape[d] {
				break
			}
			at -= stride[d] * shape[d]
			index[d] = 0
		}
		if d < 0 {
			return out
		}
	}
}

// swap turns each word of size bytes around.
func swap(data []byte, size int) {
	for ; len(data) >= size && size > 1; data = data[size:] {
		slices.Reverse(data[:size])
	}
}

// Write writes t as one array. Quantized and 4-bit integers are written as the plain integers that hold them, bfloat16 as
// float32, as NumPy has no such types; strings as Unicode, or as bytes where they are not UTF-8.
func Write(w io.Writer, t *tensor.Tensor) error {
	descr, data, err := encode(t)
	if err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	var dims strings.Builder
	for _, d := range t.Shape() {
		fmt.Fprintf(&dims, "%d, ", d)
	}
	shape := strings.TrimSuffix(dims.String(), " ")
	if len(t.Shape()) > 1 {
		shape = strings.TrimSuffix(shape, ",")
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	// The data start at a multiple of 64 bytes.
	pad := 63 - (len(magic)+4+len(dict))%64
	head := []byte(magic + "\x01\x00")
	head = binary.LittleEndian.AppendUint16(head, uint16(len(dict)+pad+1))
	head = append(head, dict+strings.Repeat(" ", pad)+"\n"...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// encode returns the type and the bytes of t as NumPy spells them.
func encode(t *tensor.Tensor) (descr string, data []byte, err error) {
	switch t.DType() {
	case tensor.String:
		return encodeStrings(t.Strings())
	case tensor.Bfloat16:
		for _, v := range tensor.Data[uint16](t) {
			// A bfloat16 is the upper half of a float32.
			data = binary.LittleEndian.AppendUint32(data, uint32(v)<<16)
		}
		return "<f4", data, nil
	}
	descr, ok := descrOf[t.DType()]
	if !ok {
		return "", nil, fmt.Errorf("NumPy has no type for %v", t.DType())
	}
	return descr, t.Bytes(), nil
}

// encodeStrings returns strings padded to the longest one.
func encodeStrings(list []string) (descr string, data []byte, err error) {
	unicode, bytes, runes := true, 1, 1 // NumPy reads a width of zero as "any"
	for _, v := range list {
		if strings.HasSuffix(v, "\x00") {
			return "", nil, fmt.Errorf("the string %q ends in NUL, which NumPy would drop", v)
		}
		unicode = unicode && utf8.ValidString(v)
		bytes, runes = max(bytes, len(v)), max(runes, utf8.RuneCountInString(v))
	}
	if !unicode {
		for _, v := range list {
			data = append(append(data, v...), make([]byte, bytes-len(v))...)
		}
		return fmt.Sprintf("|S%d", bytes), data, nil
	}
	for _, v := range list {
		n := 0
		for _, c := range v {
			data = binary.LittleEndian.AppendUint32(data, uint32(c))
			n++
		}
		data = append(data, make([]byte, 4*(runes-n))...)
	}
	return fmt.Sprintf("<U%d", runes), data, nil
}

// ReadArchive returns the arrays of a .npz file in the archive's order. Its members must not share bytes of the file, so that
// they take at most 1,032 times as much memory, which is what deflate's best compression gives.
func ReadArchive(path string) ([]Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	list, err := readArchive(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// readArchive reads an archive of size bytes.
func readArchive(r io.ReaderAt, size int64) ([]Array, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	rest := uint64(size)
	for _, f := range z.File {
		if f.CompressedSize64 > rest {
			return nil, fmt.Errorf("npy: member %q: the members claim more bytes than the file has", f.Name)
		}
		rest -= f.CompressedSize64
	}
	var list []Array
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("npy: member %q is not a .npy file", f.Name)
		}
		t, err := readMember(f)
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", f.Name, err)
		}
		list = append(list, Array{Name: name, Tensor: t})
	}
	return list, nil
}

func readMember(f *zip.File) (*tensor.Tensor, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	defer r.Close()
	t, err := Read(r)
	if err != nil {
		return nil, err
	}
	// Reading to the end is what checks the sum.
	if n, err := io.Copy(io.Discard, r); err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	} else if n > 0 {
		return nil, fmt.Errorf("npy: %d bytes follow the array", n)
	}
	return t, nil
}

// WriteArchive writes arrays as a .npz archive, not compressed; the same arrays always give the same bytes.
func WriteArchive(w io.Writer, arrays []Array) error {
	z := zip.NewWriter(w)
	for _, a := range arrays {
		m, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
		if err != nil {
			return fmt.Errorf("npy: array %q: %w", a.Name, err)
		}
		if err := Write(m, a.Tensor); err != nil {
			return fmt.Errorf("array %q: %w", a.Name, err)
		}
	}
	return z.Close()
}
