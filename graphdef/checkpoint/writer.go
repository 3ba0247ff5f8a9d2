package checkpoint

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/tensor"
)

// Writer writes a checkpoint with one data file: tensors one after the other as they come, the index at the end.
//
//	w, err := checkpoint.Create("variables/variables")
//	err = w.Add("encoder/kernel", t)
//	err = w.Close()
//
// Files are written in place: who needs them whole or not at all writes to a new directory and renames it.
type Writer struct {
	prefix  string
	file    *os.File
	out     *bufio.Writer
	offset  int64
	entries map[string][]byte
	err     error
}

// Create begins a checkpoint with that prefix, over an older one.
func Create(prefix string) (*Writer, error) {
	f, err := os.Create(shardPath(prefix, 0, 1))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &Writer{prefix: prefix, file: f, out: bufio.NewWriterSize(f, 1<<20), entries: map[string][]byte{}}, nil
}

// Add writes a tensor; names are not empty and differ.
func (w *Writer) Add(name string, t *tensor.Tensor) error {
	if w.err != nil {
		return w.err
	}
	if err := w.add(name, t); err != nil {
		return fmt.Errorf("checkpoint: %s: tensor %q: %w", w.prefix, name, err)
	}
	return nil
}

func (w *Writer) add(name string, t *tensor.Tensor) error {
	switch {
	case name == "" || name[0] == 0:
		return fmt.Errorf("the name is not possible")
	case w.entries[name] != nil:
		return fmt.Errorf("the name is there twice")
	case t.DType() != tensor.String && t.DType().Size() == 0:
		return fmt.Errorf("dtype %v cannot be stored", t.DType())
	}
	head, crc := []byte(nil), uint32(0)
	size := int64(len(t.Bytes()))
	if t.DType() == tensor.String {
		head, crc = stringHead(t.Strings())
		size = int64(len(head))
		w.write(head)
		for _, s := range t.Strings() {
			crc = crc32.Update(crc, castagnoli(), []byte(s))
			size += int64(len(s))
			w.write([]byte(s))
		}
	} else {
		crc = crc32.Checksum(t.Bytes(), castagnoli())
		w.write(t.Bytes())
	}
	if w.err != nil {
		return w.err
	}
	w.entries[name] = appendEntry(nil, t, w.offset, size, mask(crc))
	w.offset += size
	return nil
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

// stringHead returns the lengths of strings with their checksum, and the checksum of the whole so far.
func stringHead(strs []string) (head []byte, crc uint32) {
	var plain []byte
	for _, s := range strs {
		head = binary.AppendUvarint(head, uint64(len(s)))
		if uint64(len(s)) > math.MaxUint32 {
			plain = binary.LittleEndian.AppendUint64(plain, uint64(len(s)))
		} else {
			plain = binary.LittleEndian.AppendUint32(plain, uint32(len(s)))
		}
	}
	crc = crc32.Checksum(plain, castagnoli())
	sum := binary.LittleEndian.AppendUint32(nil, mask(crc))
	return append(head, sum...), crc32.Update(crc, castagnoli(), sum)
}

// appendEntry appends a BundleEntryProto; zero fields are left out.
func appendEntry(b []byte, t *tensor.Tensor, offset, size int64, crc uint32) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(t.DType()))
	var shape []byte
	for _, d := range t.Shape() {
		var dim []byte
		if d != 0 {
			dim = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(d))
		}
		shape = protowire.AppendBytes(protowire.AppendTag(shape, 2, protowire.BytesType), dim)
	}
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), shape)
	if offset != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), uint64(offset))
	}
	if size != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), uint64(size))
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, 6, protowire.Fixed32Type), crc)
}

// Close writes the index and closes the files; after an error they are removed.
func (w *Writer) Close() error {
	err := w.err
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = w.file.Sync()
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.WriteFile(w.prefix+".index", w.index(), 0o644)
	}
	if err != nil {
		os.Remove(shardPath(w.prefix, 0, 1))
		os.Remove(w.prefix + ".index")
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// header is the BundleHeaderProto of one little-endian shard and version 1, as TensorFlow writes it.
const header = "\x08\x01\x1a\x02\x08\x01"

func (w *Writer) index() []byte {
	t := newTableBuilder()
	t.add("", []byte(header))
	names := make([]string, 0, len(w.entries))
	for name := range w.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.add(name, w.entries[name])
	}
	return t.finish()
}
