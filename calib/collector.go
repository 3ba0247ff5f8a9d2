package calib

import (
	"maps"
	"slices"
)

// Collector holds the statistics of several tensors by name. The zero value is
// empty and ready to use. A Collector serves one goroutine at a time: give each
// stream its own and merge them.
type Collector struct {
	tensors map[string]*Statistics
}

// Observe counts the values of the named tensor. The slice is not kept.
func (c *Collector) Observe(name string, values []float32) {
	c.tensor(name).Add(values)
}

// tensor returns the statistics of a name, made if need be.
func (c *Collector) tensor(name string) *Statistics {
	s := c.tensors[name]
	if s == nil {
		if c.tensors == nil {
			c.tensors = map[string]*Statistics{}
		}
		s = new(Statistics)
		c.tensors[name] = s
	}
	return s
}

// Merge adds what o has counted. It is commutative and associative to the bit.
// o is not changed.
func (c *Collector) Merge(o *Collector) {
	for name, s := range o.tensors {
		c.tensor(name).Merge(s)
	}
}

// Names returns the names of the tensors observed, sorted.
func (c *Collector) Names() []string {
	return slices.Sorted(maps.Keys(c.tensors))
}

// Statistics returns the statistics of a tensor, nil when it was never
// observed.
func (c *Collector) Statistics(name string) *Statistics {
	return c.tensors[name]
}

// Equal reports whether c and o hold equal statistics under the same names.
func (c *Collector) Equal(o *Collector) bool {
	return maps.EqualFunc(c.tensors, o.tensors, (*Statistics).Equal)
}
