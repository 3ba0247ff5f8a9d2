package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// Reader reads the tensors of one checkpoint. It is safe for concurrent use. Files stay mapped for the life of the program,
// since the elements of tensors are shared with them: nobody may change them in place.
type Reader struct {
	prefix  string
	shards  []shard
	big     bool // elements are big-endian
	entries map[string]*Entry
	keys    []string // without those of slices
}

// Entry is what the index says of one tensor.
type Entry struct {
	DType tensor.DType
	Shape tensor.Shape
	// Slices are the parts that a partitioned tensor is stored in; nil for a tensor that is stored whole.
	Slices []Slice

	shard        int
	offset, size int64
	crc          uint32
}

// shard is a data file, mapped when it is first read.
type shard struct {
	once sync.Once
	data []byte
	err  error
}

// ErrV1 is the cause of errors about checkpoints of TensorFlow before 1.0.
var ErrV1 = errors.New("it is a checkpoint of version 1, which TensorFlow before 1.0 wrote; load it in TensorFlow and save it again with tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V2)")

// Open reads the index of a checkpoint. path is its prefix, the name of its index or of one of its data files, or a
// directory with a file "checkpoint", which names the latest one.
func Open(path string) (*Reader, error) {
	prefix, err := Prefix(path)
	if err != nil {
		return nil, err
	}
	b, err := graphdef.ReadFile(prefix + ".index")
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	r, err := newReader(prefix, b)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s.index: %w", prefix, err)
	}
	return r, nil
}

// keyExpansion bounds the bytes of all names, in lengths of the index.
const keyExpansion = 64

// newReader reads the index b.
func newReader(prefix string, b []byte) (*Reader, error) {
	r := &Reader{prefix: prefix, entries: map[string]*Entry{}}
	header := false
	// Keys share beginnings in the file and do not in memory: an index of some bytes may ask for any amount.
	room := keyExpansion*len(b) + 1<<20
	err := eachEntry(b, func(key string, value []byte) error {
		if room -= len(key); room < 0 {
			return fmt.Errorf("names take more than %d times the bytes of the index", keyExpansion)
		}
		if key == "" {
			header = true
			return r.readHeader(value)
		}
		if !header {
			return fmt.Errorf("the index does not begin with a header")
		}
		e, err := readEntry(value)
		if err != nil {
			return fmt.Errorf("entry %q: %w", key, err)
		}
		if e.Slices == nil && e.shard >= len(r.shards) {
			return fmt.Errorf("entry %q lies in shard %d, have %d shards", key, e.shard, len(r.shards))
		}
		r.entries[key] = e
		// The keys of slices begin with a zero byte, which no name does.
		if key[0] != 0 {
			r.keys = append(r.keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !header {
		return nil, fmt.Errorf("the index is empty")
	}
	return r, nil
}

// maxShards bounds the data files: TensorFlow writes their number with five digits.
const maxShards = 99999

// readHeader decodes the BundleHeaderProto.
func (r *Reader) readHeader(b []byte) error {
	if len(b) > 0 && b[0] == 0x0a {
		return ErrV1
	}
	shards := uint64(0)
	err := wire.EachField(b, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			shards = v
		case 2:
			r.big = v == 1
		case 3:
			return wire.EachField(raw, func(num protowire.Number, v uint64, _ []byte) error {
				if num == 2 && v > 1 {
					return fmt.Errorf("the checkpoint wants a reader of version %d, have 1", v)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if shards > maxShards {
		return fmt.Errorf("header: the checkpoint has %d shards", shards)
	}
	r.shards = make([]shard, shards)
	return nil
}

// readEntry decodes a BundleEntryProto.
func readEntry(b []byte) (*Entry, error) {
	e := &Entry{Shape: tensor.Shape{}}
	err := wire.EachField(b, func(num protowire.Number, v uint64, raw []byte) (err error) {
		switch num {
		case 1:
			e.DType = tensor.DType(int32(v))
		case 2:
			e.Shape, err = readShape(raw)
		case 3:
			if v > maxShards {
				return fmt.Errorf("shard %d is not possible", v)
			}
			e.shard = int(v)
		case 4:
			e.offset = int64(v)
		case 5:
			e.size = int64(v)
		case 6:
			e.crc = uint32(v)
		case 7:
			var s Slice
			s, err = readSlice(raw)
			if s == nil {
				s = Slice{}
			}
			e.Slices = append(e.Slices, s)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := e.Shape.CheckedElements(); err != nil {
		return nil, err
	}
	if e.offset < 0 || e.size < 0 || e.size > math.MaxInt64-e.offset {
		return nil, fmt.Errorf("bytes [%d, +%d) are not possible", e.offset, e.size)
	}
	return e, nil
}

// readShape decodes a TensorShapeProto whose dimensions are all known.
func readShape(b []byte) (tensor.Shape, error) {
	s := tensor.Shape{}
	err := wire.EachField(b, func(num protowire.Number, v uint64, raw []byte) error {
		switch {
		case num == 3 && v != 0:
			return fmt.Errorf("the rank is not known")
		case num != 2:
			return nil
		case len(s) == maxRank:
			return fmt.Errorf("there are too many dimensions")
		}
		size := int64(0)
		err := wire.EachField(raw, func(num protowire.Number, v uint64, _ []byte) error {
			if num == 1 {
				size = int64(v)
			}
			return nil
		})
		if err == nil && (size < 0 || int64(int(size)) != size) {
			err = fmt.Errorf("dimension %d is not possible", size)
		}
		s = append(s, int(size))
		return err
	})
	return s, err
}

// Prefix returns the prefix that the reader was opened with.
func (r *Reader) Prefix() string { return r.prefix }

// Keys returns the names of the tensors, sorted; the caller does not change the slice.
func (r *Reader) Keys() []string { return r.keys }

// Entry returns what the index says of a tensor; ok is false where there is none of that name.
func (r *Reader) Entry(name string) (e *Entry, ok bool) {
	e, ok = r.entries[name]
	return e, ok
}

// lookup is Entry with an error that says what there is.
func (r *Reader) lookup(name string) (*Entry, error) {
	if e, ok := r.entries[name]; ok && name != "" {
		return e, nil
	}
	const most = 6
	some := r.keys[:min(len(r.keys), most)]
	return nil, fmt.Errorf("checkpoint: %s has no tensor %q; it has %d, such as %q", r.prefix, name, len(r.keys), some)
}

// Tensor reads a tensor and checks its checksum. Elements are shared with the mapped file where the machine's byte order is
// the file's and the tensor is stored in one part.
func (r *Reader) Tensor(name string) (*tensor.Tensor, error) {
	e, err := r.lookup(name)
	if err != nil {
		return nil, err
	}
	t, err := r.read(name, e)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: tensor %q: %w", r.prefix, name, err)
	}
	return t, nil
}

// Slice reads a part of a tensor; full is the shape that the whole must have, nil if any will do. A nil slice is all of it.
func (r *Reader) Slice(name string, full tensor.Shape, s Slice) (*tensor.Tensor, error) {
	e, err := r.lookup(name)
	if err != nil {
		return nil, err
	}
	if err := e.checkSlice(full, s); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: tensor %q: %w", r.prefix, name, err)
	}
	if s == nil || s.covers(e.Shape) {
		return r.Tensor(name)
	}
	t, err := r.readSlice(name, e, s)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: tensor %q: %w", r.prefix, name, err)
	}
	return t, nil
}

func (e *Entry) checkSlice(full tensor.Shape, s Slice) error {
	if full != nil && !full.Equal(e.Shape) {
		return fmt.Errorf("have shape %v, want %v", e.Shape, full)
	}
	if s == nil {
		return nil
	}
	_, _, err := s.resolve(e.Shape)
	return err
}

// Stored returns a tensor, or the part of it that s is, to be read when it is asked for.
func (r *Reader) Stored(name string, full tensor.Shape, s Slice) (*graphdef.StoredTensor, error) {
	e, err := r.lookup(name)
	if err != nil {
		return nil, err
	}
	if err := e.checkSlice(full, s); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: tensor %q: %w", r.prefix, name, err)
	}
	shape := e.Shape
	if s != nil {
		_, shape, _ = s.resolve(e.Shape)
	}
	size := int64(shape.Elements()) * int64(e.DType.Size())
	if e.DType == tensor.String {
		size = e.size
	}
	return graphdef.NewStoredTensor(e.DType, shape, size, func() (*tensor.Tensor, error) {
		return r.Slice(name, full, s)
	}), nil
}

// bytes returns the bytes of an entry.
func (r *Reader) bytes(e *Entry) ([]byte, error) {
	s := &r.shards[e.shard]
	s.once.Do(func() {
		path := shardPath(r.prefix, e.shard, len(r.shards))
		if s.data, s.err = graphdef.ReadFile(path); errors.Is(s.err, os.ErrNotExist) {
			s.err = fmt.Errorf("%w; the checkpoint has %d data files, which belong beside %s", s.err, len(r.shards), filepath.Base(r.prefix)+".index")
		}
	})
	if s.err != nil {
		return nil, s.err
	}
	if e.offset+e.size > int64(len(s.data)) {
		return nil, fmt.Errorf("bytes [%d, +%d) lie beyond the end of %s, which has %d; the file is not complete", e.offset, e.size, shardPath(r.prefix, e.shard, len(r.shards)), len(s.data))
	}
	return s.data[e.offset : e.offset+e.size : e.offset+e.size], nil
}

func shardPath(prefix string, i, of int) string {
	return fmt.Sprintf("%s.data-%05d-of-%05d", prefix, i, of)
}

func (r *Reader) read(name string, e *Entry) (*tensor.Tensor, error) {
	if e.Slices != nil {
		return r.readParts(name, e)
	}
	b, err := r.bytes(e)
	if err != nil {
		return nil, err
	}
	if e.DType == tensor.String {
		return e.readStrings(b)
	}
	size := e.DType.Size()
	if size == 0 {
		return nil, fmt.Errorf("dtype %v is not supported", e.DType)
	}
	if want := int64(e.Shape.Elements()) * int64(size); e.size != want {
		return nil, fmt.Errorf("have %d bytes, want %d for %v %v", e.size, want, e.DType, e.Shape)
	}
	if mask(crc32.Checksum(b, castagnoli())) != e.crc {
		return nil, fmt.Errorf("checksum does not match: the data file is damaged; copy it again from its source")
	}
	if r.big {
		b = swapped(b, e.DType)
	}
	return tensor.Share(e.DType, e.Shape, b)
}

// swapped returns little-endian elements of big-endian ones.
func swapped(b []byte, d tensor.DType) []byte {
	size := d.Size()
	if d == tensor.Complex64 || d == tensor.Complex128 {
		size /= 2
	}
	if size == 1 {
		return b
	}
	out := slices.Clone(b)
	for at := 0; at < len(out); at += size {
		slices.Reverse(out[at : at+size])
	}
	return out
}

// readStrings decodes N lengths, their checksum and the strings.
func (e *Entry) readStrings(b []byte) (*tensor.Tensor, error) {
	n := e.Shape.Elements()
	if n > len(b) { // each length takes a byte
		return nil, fmt.Errorf("have %d bytes for %d strings", len(b), n)
	}
	lengths := make([]uint64, n)
	var plain []byte // the lengths as the checksum takes them
	total := uint64(0)
	for i := range lengths {
		v, k := binary.Uvarint(b)
		if k <= 0 || v > uint64(len(b)) {
			return nil, fmt.Errorf("length of string %d of %d is malformed", i, n)
		}
		lengths[i], b = v, b[k:]
		total += v
		if v > math.MaxUint32 {
			plain = binary.LittleEndian.AppendUint64(plain, v)
		} else {
			plain = binary.LittleEndian.AppendUint32(plain, uint32(v))
		}
	}
	if uint64(len(b)) != 4+total {
		return nil, fmt.Errorf("have %d bytes behind the lengths of %d strings, want %d", len(b), n, 4+total)
	}
	crc := crc32.Checksum(plain, castagnoli())
	if mask(crc) != binary.LittleEndian.Uint32(b) {
		return nil, fmt.Errorf("checksum of the lengths does not match: the data file is damaged; copy it again from its source")
	}
	if mask(crc32.Update(crc, castagnoli(), b)) != e.crc {
		return nil, fmt.Errorf("checksum does not match: the data file is damaged; copy it again from its source")
	}
	b = b[4:]
	strs := make([]string, n)
	for i, l := range lengths {
		strs[i], b = string(b[:l]), b[l:]
	}
	return tensor.FromStrings(e.Shape, strs), nil
}
