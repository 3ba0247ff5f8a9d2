package runtime

import (
	"errors"
	"fmt"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// tableOps are the lookup tables. A handle is a resource that refers to the session's table, or in TF1 graphs a pair of
// strings that name it.
var tableOps = map[string]evaluator{
	"HashTable":                 tableHandleOp,
	"HashTableV2":               tableHandleOp,
	"AnonymousHashTable":        tableHandleOp,
	"MutableHashTable":          tableHandleOp,
	"MutableHashTableV2":        tableHandleOp,
	"AnonymousMutableHashTable": tableHandleOp,

	"InitializeTable":               tableInitializeOp,
	"InitializeTableV2":             tableInitializeOp,
	"InitializeTableFromTextFile":   tableFromFileOp,
	"InitializeTableFromTextFileV2": tableFromFileOp,
	"LookupTableImport":             tableImportOp,
	"LookupTableImportV2":           tableImportOp,
	"LookupTableInsert":             tableInsertOp,
	"LookupTableInsertV2":           tableInsertOp,
	"LookupTableRemoveV2":           tableRemoveOp,
	"LookupTableFind":               tableFindOp,
	"LookupTableFindV2":             tableFindOp,
	"LookupTableSize":               tableSizeOp,
	"LookupTableSizeV2":             tableSizeOp,
	"LookupTableExport":             tableExportOp,
	"LookupTableExportV2":           tableExportOp,
}

// table is a lookup table of a session.
type table struct {
	key, value tensor.DType
	fixed      bool          // a HashTable: filled once, as a whole
	rows       *tableEntries // nil: not initialized
}

// tableHandleOp finds the table of its name, or makes it: two handles with one shared name are the same table.
func tableHandleOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	key, value := r.Type("key_dtype"), r.Type("value_dtype")
	if err := r.Err(); err != nil {
		return nil, err
	}
	op := n.Op()
	anonymous := op == "AnonymousHashTable" || op == "AnonymousMutableHashTable"
	byName := op == "HashTable" || op == "MutableHashTable"
	fixed := op == "HashTable" || op == "HashTableV2" || op == "AnonymousHashTable"
	container, name := "", n.Name()
	if !anonymous {
		container = r.Str("container")
		if s := r.Str("shared_name"); s != "" {
			name = s
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	id := tableName(container, name)
	return func(c *call) error {
		t, _ := c.s.resources[id].(*table)
		if t == nil || anonymous {
			t = &table{key: key, value: value, fixed: fixed}
			if !fixed {
				t.rows = newTableEntries(key, value)
			}
			if c.s.resources == nil {
				c.s.resources = map[string]any{}
			}
			c.s.resources[id] = t
		}
		if t.key != key || t.value != value {
			return fmt.Errorf("table %q is from %v to %v, want from %v to %v", name, t.key, t.value, key, value)
		}
		if byName {
			setText(c, 0, tensor.Shape{2}, []string{container, name})
			return nil
		}
		c.set(0, tensor.FromRefs(tensor.Resource, nil, []any{t}))
		return nil
	}, nil
}

// tableName is the name of a table among the resources of a session.
func tableName(container, name string) string { return "table\x00" + container + "\x00" + name }

// table returns the table of the handle in input 0.
func (c *call) table() (*table, error) {
	h := c.in(0)
	var v any
	switch {
	case h.DType() == tensor.Resource && h.Len() == 1:
		v = h.Refs()[0]
	case h.DType() == tensor.String && h.Len() == 2:
		v = c.s.resources[tableName(h.Strings()[0], h.Strings()[1])]
	}
	if t, ok := v.(*table); ok {
		return t, nil
	}
	return nil, fmt.Errorf("table_handle is a %v %v, which is no table of this run", h.DType(), h.Shape().Clone())
}

// fill initializes a fixed table with rows; once more only with the same.
func (t *table) fill(rows *tableEntries) error {
	if t.rows != nil && !t.rows.equal(rows) {
		return errors.New("the table is already initialized, with other entries")
	}
	t.rows = rows
	return nil
}

// check refuses keys or values of another dtype than the table's.
func (t *table) check(keys, values *tensor.Tensor) error {
	if keys.DType() != t.key {
		return fmt.Errorf("keys is %v, want %v as the table has", keys.DType(), t.key)
	}
	if values != nil && values.DType() != t.value {
		return fmt.Errorf("values is %v, want %v as the table has", values.DType(), t.value)
	}
	return nil
}

// pairs reads the keys and values in inputs 1 and 2 for table t.
func (c *call) pairs(t *table) (keys, values *tensor.Tensor, err error) {
	keys, values = c.in(1), c.in(2)
	if err := t.check(keys, values); err != nil {
		return nil, nil, err
	}
	if !keys.Shape().Equal(values.Shape()) {
		return nil, nil, fmt.Errorf("keys has shape %v and values %v, want equal shapes", keys.Shape().Clone(), values.Shape().Clone())
	}
	return keys, values, nil
}

// tableInitializeOp fills a table that does not change afterwards.
func tableInitializeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.table()
		if err != nil {
			return err
		}
		keys, values, err := c.pairs(t)
		if err != nil {
			return err
		}
		if !t.fixed {
			return errors.New("the table can be changed; it is filled by LookupTableImport or LookupTableInsert")
		}
		rows := newTableEntries(t.key, t.value)
		if err := rows.addAll(keys, values); err != nil {
			return err
		}
		return t.fill(rows)
	}, nil
}

// tableImportOp replaces what is in the table.
func tableImportOp(n *graphdef.Node, k *kernels.Set) (evalFunc, error) {
	initialize, err := tableInitializeOp(n, k)
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		t, err := c.table()
		if err != nil || t.fixed {
			return errors.Join(err, initialize(c))
		}
		keys, values, err := c.pairs(t)
		if err != nil {
			return err
		}
		t.rows = newTableEntries(t.key, t.value)
		t.rows.putAll(keys, values)
		return nil
	}, nil
}

// changeable returns the table of input 0 if its entries can be changed one by one.
func (c *call) changeable() (*table, error) {
	t, err := c.table()
	if err != nil {
		return nil, err
	}
	if t.fixed {
		return nil, errors.New("the table is filled once and does not change; use a MutableHashTable")
	}
	return t, nil
}

// tableInsertOp adds entries; keys that are there get new values.
func tableInsertOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.changeable()
		if err != nil {
			return err
		}
		keys, values, err := c.pairs(t)
		if err != nil {
			return err
		}
		t.rows.putAll(keys, values)
		return nil
	}, nil
}

func tableRemoveOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.changeable()
		if err != nil {
			return err
		}
		if err := t.check(c.in(1), nil); err != nil {
			return err
		}
		t.rows.removeAll(c.in(1))
		return nil
	}, nil
}

// tableFindOp looks keys up; the default, one for all or one for each, stands for those that are not there.
func tableFindOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.table()
		if err != nil {
			return err
		}
		keys, standIn := c.in(1), c.in(2)
		if t.rows == nil {
			return errors.New("the table is not initialized; run its initializer before, or let Compile see it in the graph")
		}
		if err := t.check(keys, nil); err != nil {
			return err
		}
		if standIn.DType() != t.value || standIn.Rank() != 0 && !standIn.Shape().Equal(keys.Shape()) {
			return fmt.Errorf("default_value is %v %v, want a %v scalar", standIn.DType(), standIn.Shape().Clone(), t.value)
		}
		out, err := c.alloc(0, t.value, keys.Shape())
		if err != nil {
			return err
		}
		for i := range keys.Len() {
			if row, ok := t.rows.find(keys, i); ok {
				moveRun(out, i, t.rows.values, row, 1)
			} else {
				moveRun(out, i, standIn, min(i, standIn.Len()-1), 1)
			}
		}
		return nil
	}, nil
}

func tableSizeOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.table()
		if err != nil {
			return err
		}
		size := 0
		if t.rows != nil {
			size = t.rows.size
		}
		return setIndex(c, 0, tensor.Int64, size)
	}, nil
}

// tableExportOp gives all entries, in the order in which they came.
func tableExportOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		t, err := c.table()
		if err != nil {
			return err
		}
		if t.rows == nil {
			return errors.New("the table is not initialized")
		}
		keys, err := c.alloc(0, t.key, tensor.Shape{t.rows.size})
		if err != nil {
			return err
		}
		values, err := c.alloc(1, t.value, tensor.Shape{t.rows.size})
		if err != nil {
			return err
		}
		at := 0
		for row := range t.rows.used {
			if t.rows.gone[row] {
				continue
			}
			moveRun(keys, at, t.rows.keys, row, 1)
			moveRun(values, at, t.rows.values, row, 1)
			at++
		}
		return nil
	}, nil
}
