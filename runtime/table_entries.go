package runtime

import (
	"fmt"

	"github.com/tfq8/tfq8/tensor"
)

// tableEntries are the keys of a table with their values, in the order in which they came.
type tableEntries struct {
	keys, values *tensor.Tensor // of used rows and some to spare
	used, size   int            // rows taken, and those of them that hold an entry
	gone         map[int]bool   // rows whose entry was removed
	text         map[string]int // rows of string keys
	bits         map[uint64]int // rows of other keys, by their bits
}

func newTableEntries(key, value tensor.DType) *tableEntries {
	e := &tableEntries{
		keys: tensor.New(key, tensor.Shape{0}), values: tensor.New(value, tensor.Shape{0}), gone: map[int]bool{},
	}
	if key == tensor.String {
		e.text = map[string]int{}
	} else {
		e.bits = map[uint64]int{}
	}
	return e
}

// keyBits returns the bits of element i of keys, whose elements have a fixed size of at most 8 bytes.
func keyBits(keys *tensor.Tensor, i int) uint64 {
	size := keys.DType().Size()
	var v uint64
	for k, b := range keys.Bytes()[i*size : (i+1)*size] {
		v |= uint64(b) << (8 * (k & 7))
	}
	return v
}

// find returns the row of element i of keys.
func (e *tableEntries) find(keys *tensor.Tensor, i int) (row int, ok bool) {
	if e.text != nil {
		row, ok = e.text[keys.Strings()[i]]
	} else {
		row, ok = e.bits[keyBits(keys, i)]
	}
	return row, ok
}

// put sets the value of element i of keys to element j of values.
func (e *tableEntries) put(keys *tensor.Tensor, i int, values *tensor.Tensor, j int) {
	row, ok := e.find(keys, i)
	if !ok {
		row = e.used
		e.used++
		e.size++
		e.grow()
		moveRun(e.keys, row, keys, i, 1)
		if e.text != nil {
			e.text[keys.Strings()[i]] = row
		} else {
			e.bits[keyBits(keys, i)] = row
		}
	}
	moveRun(e.values, row, values, j, 1)
}

// grow makes room for used rows.
func (e *tableEntries) grow() {
	if e.used <= e.keys.Len() {
		return
	}
	n := max(16, 2*e.keys.Len())
	for _, t := range []**tensor.Tensor{&e.keys, &e.values} {
		larger := tensor.New((*t).DType(), tensor.Shape{n})
		moveRun(larger, 0, *t, 0, (*t).Len())
		*t = larger
	}
}

// putAll sets the values of all keys.
func (e *tableEntries) putAll(keys, values *tensor.Tensor) {
	for i := range keys.Len() {
		e.put(keys, i, values, i)
	}
}

// add is put for a table that is filled once: a key that comes twice must have the same value.
func (e *tableEntries) add(keys *tensor.Tensor, i int, values *tensor.Tensor, j int) error {
	if row, ok := e.find(keys, i); ok {
		if !sameElement(e.values, row, values, j) {
			return fmt.Errorf("key %s comes twice, with values %s and %s", keys.ElementText(i), e.values.ElementText(row), values.ElementText(j))
		}
		return nil
	}
	e.put(keys, i, values, j)
	return nil
}

// addAll adds all keys with their values.
func (e *tableEntries) addAll(keys, values *tensor.Tensor) error {
	for i := range keys.Len() {
		if err := e.add(keys, i, values, i); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes the keys that are there.
func (e *tableEntries) removeAll(keys *tensor.Tensor) {
	for i := range keys.Len() {
		row, ok := e.find(keys, i)
		if !ok {
			continue
		}
		e.gone[row] = true
		e.size--
		if e.text != nil {
			delete(e.text, keys.Strings()[i])
		} else {
			delete(e.bits, keyBits(keys, i))
		}
	}
}

// equal reports whether e and o, from which nothing was removed, have the same entries.
func (e *tableEntries) equal(o *tableEntries) bool {
	if e.size != o.size {
		return false
	}
	for row := range o.used {
		mine, ok := e.find(o.keys, row)
		if !ok || !sameElement(e.values, mine, o.values, row) {
			return false
		}
	}
	return true
}

func sameElement(a *tensor.Tensor, i int, b *tensor.Tensor, j int) bool {
	if a.DType() == tensor.String {
		return a.Strings()[i] == b.Strings()[j]
	}
	size := a.DType().Size()
	return string(a.Bytes()[i*size:(i+1)*size]) == string(b.Bytes()[j*size:(j+1)*size])
}
