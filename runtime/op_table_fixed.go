package runtime

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// specializeTable builds the entries of a fixed table from constants once a plan, not once a run.
func specializeTable(n *graphdef.Node) specializer {
	return func(_ *packer, consts []*tensor.Tensor) (evalFunc, uint64) {
		if len(consts) != 3 || consts[1] == nil || consts[2] == nil {
			return nil, 0
		}
		keys, values := consts[1], consts[2]
		build := sync.OnceValues(func() (*tableEntries, error) {
			rows := newTableEntries(keys.DType(), values.DType())
			return rows, rows.addAll(keys, values)
		})
		plain, err := lookupTableFill(n)
		if err != nil {
			return nil, 0
		}
		return func(c *call) error {
			t, err := c.table()
			if err != nil || !t.fixed {
				return errors.Join(err, plain(c))
			}
			if _, _, err := c.pairs(t); err != nil {
				return err
			}
			rows, err := build()
			if err != nil {
				return err
			}
			return t.fill(rows)
		}, 0
	}
}

// lookupTableFill returns the evalFunc of n without preparation.
func lookupTableFill(n *graphdef.Node) (evalFunc, error) {
	if strings.HasPrefix(n.Op(), "LookupTableImport") {
		return tableImportOp(n, nil)
	}
	return tableInitializeOp(n, nil)
}

// What a column number of a vocabulary file means where it is negative.
const (
	columnNumber = -1 // the number of the line
	columnLine   = -2 // the whole line
)

// vocabulary is the attributes of InitializeTableFromTextFile.
type vocabulary struct {
	key, value int64 // columns
	size       int64 // of the lines, -1: all
	delimiter  string
	offset     int64 // of line numbers
}

// tableFromFileOp fills a table that does not change afterwards from the lines of a file. It reads a file once a plan.
func tableFromFileOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	v := vocabulary{key: r.Int("key_index"), value: r.Int("value_index"), size: r.Int("vocab_size"), delimiter: r.Str("delimiter"), offset: r.Int("offset")}
	if err := r.Err(); err != nil {
		return nil, err
	}
	switch {
	case v.key < columnLine || v.value < columnLine || v.key > math.MaxInt16 || v.value > math.MaxInt16:
		return nil, fmt.Errorf("key_index is %d and value_index %d, want -2, -1 or columns", v.key, v.value)
	case len(v.delimiter) != 1:
		return nil, fmt.Errorf("delimiter is %q, want one byte", v.delimiter)
	case v.size < -1 || v.size == 0:
		return nil, fmt.Errorf("vocab_size is %d, want -1 or a number of lines", v.size)
	}
	var read struct {
		sync.Mutex
		file       string
		key, value tensor.DType
		rows       *tableEntries
	}
	return func(c *call) error {
		t, err := c.table()
		if err != nil {
			return err
		}
		if !t.fixed {
			return errors.New("the table can be changed; it is filled by LookupTableImport or LookupTableInsert")
		}
		name := c.in(1)
		if name.DType() != tensor.String || name.Len() != 1 {
			return fmt.Errorf("filename is %v %v, want a string scalar", name.DType(), name.Shape().Clone())
		}
		file := name.Strings()[0]
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.s.plan.assets, file)
		}
		read.Lock()
		defer read.Unlock()
		if read.rows == nil || read.file != file || read.key != t.key || read.value != t.value {
			rows, err := v.load(file, t)
			if err != nil {
				return err
			}
			read.file, read.key, read.value, read.rows = file, t.key, t.value, rows
		}
		return t.fill(read.rows)
	}, nil
}

// maxVocabularyLine bounds the bytes of a line of a vocabulary.
const maxVocabularyLine = 1 << 24

// load reads the entries of t from a file.
func (v *vocabulary) load(file string, t *table) (*tableEntries, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("vocabulary %q is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := newTableEntries(t.key, t.value)
	key, value := tensor.New(t.key, tensor.Shape{1}), tensor.New(t.value, tensor.Shape{1})
	in := bufio.NewReaderSize(f, 64<<10)
	line := int64(0)
	for ; v.size < 0 || line < v.size; line++ {
		text, err := readLine(in)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = v.entry(key, value, text, line)
		}
		if err == nil {
			err = rows.add(key, 0, value, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("vocabulary %q, line %d: %w", file, line+1, err)
		}
	}
	if line < v.size {
		return nil, fmt.Errorf("vocabulary %q has %d lines, want the %d of vocab_size", file, line, v.size)
	}
	return rows, nil
}

// readLine returns the next line without its end; io.EOF after the last.
func readLine(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := in.ReadSlice('\n')
		b.Write(part)
		switch {
		case err == bufio.ErrBufferFull && b.Len() <= maxVocabularyLine:
			continue
		case err == bufio.ErrBufferFull:
			return "", fmt.Errorf("is longer than %d bytes", maxVocabularyLine)
		case err == io.EOF && b.Len() > 0:
			err = nil
		}
		return strings.TrimSuffix(strings.TrimSuffix(b.String(), "\n"), "\r"), err
	}
}

// entry reads the key and the value of a line.
func (v *vocabulary) entry(key, value *tensor.Tensor, text string, line int64) error {
	var columns []string
	if v.key >= 0 || v.value >= 0 {
		columns = strings.Split(text, v.delimiter)
	}
	if err := v.column(key, v.key, columns, text, line); err != nil {
		return err
	}
	return v.column(value, v.value, columns, text, line)
}

func (v *vocabulary) column(t *tensor.Tensor, column int64, columns []string, text string, line int64) error {
	switch {
	case column == columnNumber && t.DType() == tensor.Int64:
		tensor.Data[int64](t)[0] = line + v.offset
		return nil
	case column == columnNumber && t.DType() == tensor.Int32:
		tensor.Data[int32](t)[0] = int32(line + v.offset)
		return nil
	case column == columnNumber:
		return fmt.Errorf("the number of the line stands for %v, want int64", t.DType())
	case column >= int64(len(columns)) && column >= 0:
		return fmt.Errorf("has %d columns, want more than %d", len(columns), column)
	case column >= 0:
		text = columns[column]
	}
	if t.DType() == tensor.String {
		t.Strings()[0] = text
		return nil
	}
	if column == columnLine {
		return fmt.Errorf("the whole line stands for %v, want string", t.DType())
	}
	if _, ok := parseNumber(t, 0, text); !ok {
		return fmt.Errorf("has %q, want text of a %v", text, t.DType())
	}
	return nil
}
