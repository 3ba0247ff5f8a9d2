package savedmodel

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/checkpoint"
	"github.com/tfq8/tfq8/tensor"
)

// tableInit is what a lookup table is filled with.
type tableInit struct {
	keys, values *tensor.Tensor
	// From a text file, read when the table is needed.
	file                            string
	keyIndex, valueIndex, vocabSize int64
	offset                          int64
	delimiter                       string
}

// fill notes what n fills a table with.
func (b *binder) fill(t *tracer, sc *scope, n *graphdef.Node) error {
	to, ok := t.input(sc, n, 0)
	if !ok || to.sc != t.top || !isTable(to.out.Node) {
		return nil
	}
	first, ok := t.input(sc, n, 1)
	if !ok {
		return nil
	}
	init := &tableInit{}
	if strings.HasPrefix(n.Op(), "InitializeTableFromTextFile") {
		v, err := b.constant(t, first)
		if err != nil {
			return err
		}
		if v == nil || len(v.Strings()) != 1 {
			return nil
		}
		init.file = v.Strings()[0]
		r := n.AttrReader()
		init.keyIndex, init.valueIndex, init.vocabSize = r.Int("key_index"), r.Int("value_index"), r.Int("vocab_size")
		init.offset, init.delimiter = r.Int("offset"), r.Str("delimiter")
		if err := r.Err(); err != nil {
			return err
		}
		b.tables[sharedName(to.out.Node)] = init
		return nil
	}
	second, ok := t.input(sc, n, 2)
	if !ok {
		return nil
	}
	var err error
	if init.keys, err = b.value(t, first); err != nil {
		return err
	}
	if init.values, err = b.value(t, second); err != nil {
		return err
	}
	if init.keys != nil && init.values != nil {
		b.tables[sharedName(to.out.Node)] = init
	}
	return nil
}

// value returns the value at p, also one of the checkpoint; nil if it is computed.
func (b *binder) value(t *tracer, p place) (*tensor.Tensor, error) {
	v, err := b.source(t, p)
	if v == nil || err != nil {
		return nil, err
	}
	if v.value != nil {
		return v.value, nil
	}
	if b.checkpoint == nil {
		return nil, nil
	}
	return b.checkpoint.Slice(v.key, v.full, checkpoint.Slice(v.slice))
}

// Columns of a text file that are none.
const (
	wholeLine  = -2
	lineNumber = -1
)

// read makes keys and values of a text file, by the rules of TensorFlow's initializer: lines end with \n or \r\n, the offset is
// added to line numbers, vocab_size bounds the lines.
func (i *tableInit) read(n *graphdef.Node) error {
	if i.keys != nil {
		return nil
	}
	r := n.AttrReader()
	keyType, valueType := r.Type("key_dtype"), r.Type("value_dtype")
	if err := r.Err(); err != nil {
		return err
	}
	b, err := os.ReadFile(i.file)
	if err != nil {
		return n.Errorf("its asset cannot be read: %w", err)
	}
	keys, err := newColumn(keyType, i.keyIndex)
	if err != nil {
		return n.Errorf("keys: %w", err)
	}
	values, err := newColumn(valueType, i.valueIndex)
	if err != nil {
		return n.Errorf("values: %w", err)
	}
	line := int64(0)
	for ; len(b) > 0 && (i.vocabSize < 0 || line < i.vocabSize); line++ {
		text, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
		text = bytes.TrimSuffix(text, []byte("\r"))
		if len(text) == 0 {
			return n.Errorf("%s: line %d is empty", i.file, line+1)
		}
		for _, c := range []*column{keys, values} {
			if err := c.add(string(text), line+i.offset, i.delimiter); err != nil {
				return n.Errorf("%s: line %d: %w", i.file, line+1, err)
			}
		}
	}
	if i.vocabSize >= 0 && line < i.vocabSize {
		return n.Errorf("%s has %d lines, want %d", i.file, line, i.vocabSize)
	}
	i.keys, i.values = keys.tensor(), values.tensor()
	return nil
}

// column collects the keys or values of a table.
type column struct {
	dtype  tensor.DType
	index  int64
	strs   []string
	ints   []int64
	floats []float64
}

func newColumn(d tensor.DType, index int64) (*column, error) {
	switch {
	case d != tensor.String && d != tensor.Int64 && d != tensor.Int32 && d != tensor.Float32 && d != tensor.Float64:
		return nil, fmt.Errorf("dtype %v cannot be read from text, want string, int32, int64, float or double", d)
	case index == lineNumber && d != tensor.Int64 && d != tensor.Int32:
		return nil, fmt.Errorf("line numbers are int64, have dtype %v", d)
	case index == wholeLine && d != tensor.String:
		return nil, fmt.Errorf("whole lines are strings, have dtype %v", d)
	case index < wholeLine:
		return nil, fmt.Errorf("column %d is none", index)
	}
	return &column{dtype: d, index: index}, nil
}

func (c *column) add(line string, number int64, delimiter string) error {
	text := line
	switch {
	case c.index == lineNumber:
		c.ints = append(c.ints, number)
		return nil
	case c.index >= 0:
		parts := strings.Split(line, delimiter)
		if c.index >= int64(len(parts)) {
			return fmt.Errorf("have %d columns, want at least %d", len(parts), c.index+1)
		}
		text = parts[c.index]
	}
	switch c.dtype {
	case tensor.String:
		c.strs = append(c.strs, text)
		return nil
	case tensor.Float32, tensor.Float64:
		bits := 64
		if c.dtype == tensor.Float32 {
			bits = 32
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(text), bits)
		if err != nil {
			return fmt.Errorf("%q is no number of dtype %v", text, c.dtype)
		}
		c.floats = append(c.floats, v)
		return nil
	}
	bits := 64
	if c.dtype == tensor.Int32 {
		bits = 32
	}
	v, err := strconv.ParseInt(strings.TrimSpace(text), 10, bits)
	if err != nil {
		return fmt.Errorf("%q is no number of dtype %v", text, c.dtype)
	}
	c.ints = append(c.ints, v)
	return nil
}

func (c *column) tensor() *tensor.Tensor {
	switch c.dtype {
	case tensor.String:
		return tensor.FromStrings(tensor.Shape{len(c.strs)}, c.strs)
	case tensor.Int64:
		return tensor.FromSlice(tensor.Shape{len(c.ints)}, c.ints)
	case tensor.Float64:
		return tensor.FromSlice(tensor.Shape{len(c.floats)}, c.floats)
	}
	t := tensor.New(c.dtype, tensor.Shape{max(len(c.ints), len(c.floats))})
	for i, v := range c.ints {
		tensor.Data[int32](t)[i] = int32(v)
	}
	for i, v := range c.floats {
		tensor.Data[float32](t)[i] = float32(v)
	}
	return t
}
