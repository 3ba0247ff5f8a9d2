package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/golang/snappy"
)

// Parts of a leveldb-style table.
const (
	footerSize   = 48
	trailerSize  = 5 // type of compression and checksum, behind every block
	tableMagic   = 0xdb4775248b80fb57
	blockPlain   = 0
	blockSnappy  = 1
	maskDelta    = 0xa282ead8
	maxExpansion = 32 // snappy's most: a copy of 64 bytes takes 3
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// mask makes a checksum that may itself be checksummed.
func mask(c uint32) uint32 { return (c>>15 | c<<17) + maskDelta }

func maskedChecksum(b []byte) uint32 { return mask(crc32.Checksum(b, castagnoli())) }

// blockHandle says where a block is, without its trailer.
type blockHandle struct{ offset, size uint64 }

func readHandle(b []byte) (h blockHandle, rest []byte, err error) {
	for _, v := range []*uint64{&h.offset, &h.size} {
		n := 0
		if *v, n = binary.Uvarint(b); n <= 0 {
			return h, nil, fmt.Errorf("block handle is malformed")
		}
		b = b[n:]
	}
	return h, b, nil
}

// eachEntry calls f for every key and value of the table b, in order. Keys are new, values share b or a block that was
// decompressed.
func eachEntry(b []byte, f func(key string, value []byte) error) error {
	if len(b) < footerSize || binary.LittleEndian.Uint64(b[len(b)-8:]) != tableMagic {
		return fmt.Errorf("not the index of a checkpoint: the table's magic number is not at its end")
	}
	footer := b[len(b)-footerSize:]
	_, rest, err := readHandle(footer)
	if err != nil {
		return err
	}
	index, _, err := readHandle(rest)
	if err != nil {
		return err
	}
	last, first := "", true
	return eachInBlock(b, index, "index block", func(_ string, value []byte) error {
		h, _, err := readHandle(value)
		if err != nil {
			return err
		}
		return eachInBlock(b, h, "data block", func(key string, value []byte) error {
			if !first && key <= last {
				return fmt.Errorf("keys are not in order: %q follows %q", key, last)
			}
			last, first = key, false
			return f(key, value)
		})
	})
}

// eachInBlock calls f for the entries of one block.
func eachInBlock(table []byte, h blockHandle, what string, f func(key string, value []byte) error) error {
	block, err := readBlock(table, h)
	if err != nil {
		return fmt.Errorf("%s at byte %d: %w", what, h.offset, err)
	}
	if len(block) < 4 {
		return fmt.Errorf("%s at byte %d has %d bytes", what, h.offset, len(block))
	}
	restarts := uint64(binary.LittleEndian.Uint32(block[len(block)-4:]))
	if 4*restarts+4 > uint64(len(block)) {
		return fmt.Errorf("%s at byte %d has %d restart points in %d bytes", what, h.offset, restarts, len(block))
	}
	entries := block[:uint64(len(block))-4*restarts-4]
	var key []byte
	for len(entries) > 0 {
		var head [3]uint64 // shared, unshared, length of the value
		for i := range head {
			n := 0
			if head[i], n = binary.Uvarint(entries); n <= 0 {
				return fmt.Errorf("%s at byte %d: an entry is malformed", what, h.offset)
			}
			entries = entries[n:]
		}
		left := uint64(len(entries))
		if head[0] > uint64(len(key)) || head[1] > left || head[2] > left-head[1] {
			return fmt.Errorf("%s at byte %d: an entry breaks off", what, h.offset)
		}
		key = append(key[:head[0]], entries[:head[1]]...)
		value := entries[head[1] : head[1]+head[2]]
		entries = entries[head[1]+head[2]:]
		if err := f(string(key), value); err != nil {
			return err
		}
	}
	return nil
}

// readBlock returns the checked and decompressed contents of a block.
func readBlock(table []byte, h blockHandle) ([]byte, error) {
	size := uint64(len(table))
	if h.size > size || h.offset > size-h.size || size-h.size-h.offset < trailerSize {
		return nil, fmt.Errorf("%d bytes lie beyond the end of the file, which has %d", h.size, size)
	}
	end := h.offset + h.size
	block, kind := table[h.offset:end], table[end]
	if want := binary.LittleEndian.Uint32(table[end+1:]); maskedChecksum(table[h.offset:end+1]) != want {
		return nil, fmt.Errorf("checksum does not match: the file is damaged; copy it again from its source")
	}
	switch kind {
	case blockPlain:
		return block, nil
	case blockSnappy:
		n, err := snappy.DecodedLen(block)
		if err != nil || n > maxExpansion*len(block)+maxExpansion {
			return nil, fmt.Errorf("snappy data is malformed")
		}
		out, err := snappy.Decode(nil, block)
		if err != nil {
			return nil, fmt.Errorf("snappy data is malformed: %w", err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("block has compression type %d, want 0 (none) or 1 (snappy)", kind)
}

// A tableBuilder writes a table as TensorFlow does: uncompressed, with restart points every 16 entries.
type tableBuilder struct {
	out     []byte
	block   blockBuilder
	index   blockBuilder
	lastKey string
	pending blockHandle // the last data block, whose index entry waits for the next key
	waiting bool
}

const (
	restartInterval = 16
	blockSize       = 262144 // estimate in bytes at which a data block is cut
)

type blockBuilder struct {
	buf      []byte
	restarts []uint32
	count    int // entries since the last restart point
	last     string
	interval int
}

func (b *blockBuilder) add(key string, value []byte) {
	shared := 0
	if len(b.restarts) == 0 || b.count >= b.interval {
		b.restarts, b.count = append(b.restarts, uint32(len(b.buf))), 0
	} else {
		for shared < len(b.last) && shared < len(key) && b.last[shared] == key[shared] {
			shared++
		}
	}
	b.count++
	for _, v := range []int{shared, len(key) - shared, len(value)} {
		b.buf = binary.AppendUvarint(b.buf, uint64(v))
	}
	b.buf = append(append(b.buf, key[shared:]...), value...)
	b.last = key
}

func (b *blockBuilder) estimate() int { return len(b.buf) + 4*max(len(b.restarts), 1) + 4 }

func (b *blockBuilder) finish() []byte {
	if len(b.restarts) == 0 {
		b.restarts = []uint32{0}
	}
	for _, r := range b.restarts {
		b.buf = binary.LittleEndian.AppendUint32(b.buf, r)
	}
	return binary.LittleEndian.AppendUint32(b.buf, uint32(len(b.restarts)))
}

func newTableBuilder() *tableBuilder {
	return &tableBuilder{block: blockBuilder{interval: restartInterval}, index: blockBuilder{interval: 1}}
}

// add appends an entry; keys come in strictly ascending order.
func (t *tableBuilder) add(key string, value []byte) {
	if t.waiting {
		t.index.add(separator(t.lastKey, key), t.pending.append(nil))
		t.waiting = false
	}
	t.block.add(key, value)
	t.lastKey = key
	if t.block.estimate() >= blockSize {
		t.cut()
	}
}

func (t *tableBuilder) cut() {
	if len(t.block.buf) == 0 {
		return
	}
	t.pending, t.waiting = t.write(t.block.finish()), true
	t.block = blockBuilder{interval: restartInterval}
}

func (t *tableBuilder) write(block []byte) blockHandle {
	h := blockHandle{uint64(len(t.out)), uint64(len(block))}
	t.out = append(append(t.out, block...), blockPlain)
	t.out = binary.LittleEndian.AppendUint32(t.out, maskedChecksum(t.out[h.offset:]))
	return h
}

func (h blockHandle) append(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, h.offset), h.size)
}

// finish returns the whole table.
func (t *tableBuilder) finish() []byte {
	t.cut()
	if t.waiting {
		t.index.add(successor(t.lastKey), t.pending.append(nil))
	}
	meta := t.write(new(blockBuilder).finish())
	index := t.write(t.index.finish())
	footer := index.append(meta.append(nil))
	footer = append(footer, make([]byte, footerSize-8-len(footer))...)
	return append(t.out, binary.LittleEndian.AppendUint64(footer, tableMagic)...)
}

// separator returns a short key that is at least a and below b, where a < b.
func separator(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n < len(a) && n < len(b) && a[n] < math.MaxUint8 && a[n]+1 < b[n] {
		return a[:n] + string([]byte{a[n] + 1})
	}
	return a
}

// successor returns a short key that is at least a.
func successor(a string) string {
	for i := range len(a) {
		if a[i] != math.MaxUint8 {
			return a[:i] + string([]byte{a[i] + 1})
		}
	}
	return a
}
