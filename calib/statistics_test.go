package calib

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// mixture makes values of every magnitude, with zeros of both signs, denormals
// and, when asked, values that are not finite.
func mixture(r *rand.Rand, n int, finite bool) []float32 {
	x := make([]float32, n)
	center := r.IntN(250)
	for i := range x {
		switch r.IntN(40) {
		case 0:
			x[i] = 0
		case 1:
			x[i] = float32(math.Copysign(0, -1))
		case 2:
			x[i] = math.Float32frombits(uint32(r.IntN(1<<14)) | r.Uint32()&signBit)
		case 3:
			x[i] = math.Float32frombits(r.Uint32())
		default:
			exponent := uint32(min(max(center-r.IntN(20), 0), 254))
			x[i] = math.Float32frombits(exponent<<23 | r.Uint32()&(1<<23-1) | r.Uint32()&signBit)
		}
		if finite && math.Float32bits(x[i])&infBits == infBits {
			x[i] = 1
		}
	}
	return x
}

// naive counts one value at a time from the definition.
type naive struct {
	n, zeros, nans, posInfs, negInfs uint64
	lo, hi                           float32
	counts                           [2]map[uint32]uint64
	below                            [2]uint64
	emax                             int
}

func countNaively(x []float32) naive {
	c := naive{emax: -1, counts: [2]map[uint32]uint64{{}, {}}}
	any := false
	for _, v := range x {
		c.n++
		switch {
		case v != v:
			c.nans++
			continue
		case v > math.MaxFloat32:
			c.posInfs++
			continue
		case v < -math.MaxFloat32:
			c.negInfs++
			continue
		case v == 0:
			c.zeros++
			v = 0
		}
		if !any || v < c.lo {
			c.lo = v
		}
		if !any || v > c.hi {
			c.hi = v
		}
		any = true
		if v == 0 {
			continue
		}
		b := math.Float32bits(v)
		c.counts[b>>31][b&0x7fffffff>>13]++
		c.emax = max(c.emax, int(b>>23&255))
	}
	for sign := range c.counts {
		for key, k := range c.counts[sign] {
			if int(key>>10) < c.emax-11 {
				c.below[sign] += k
				delete(c.counts[sign], key)
			}
		}
	}
	return c
}

func (c naive) compare(t *testing.T, s *Statistics) {
	t.Helper()
	lo, hi, _ := s.Range()
	nans, posInfs, negInfs := s.NotFinite()
	if s.N() != c.n || s.Zeros() != c.zeros || nans != c.nans || posInfs != c.posInfs || negInfs != c.negInfs {
		t.Fatalf("have n %d, zeros %d, NaN %d, +Inf %d, -Inf %d, want %+v", s.N(), s.Zeros(), nans, posInfs, negInfs, c)
	}
	if math.Float32bits(lo) != math.Float32bits(c.lo) || math.Float32bits(hi) != math.Float32bits(c.hi) || s.emax() != c.emax {
		t.Fatalf("have range %g to %g, emax %d, want %g to %g, %d", lo, hi, s.emax(), c.lo, c.hi, c.emax)
	}
	for sign, want := range c.counts {
		if have := s.belowCount(sign); have != c.below[sign] {
			t.Fatalf("sign %d: have %d under the window, want %d", sign, have, c.below[sign])
		}
		list := s.buckets(sign)
		if len(list) != len(want) {
			t.Fatalf("sign %d: have %d buckets, want %d", sign, len(list), len(want))
		}
		for _, b := range list {
			if want[b.id&^signKey] != b.count {
				t.Fatalf("sign %d, key %d: have %d, want %d", sign, b.id&^signKey, b.count, want[b.id&^signKey])
			}
		}
	}
}

func TestAddCountsAsDefined(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		x := mixture(r, r.IntN(3000), false)
		if r.IntN(3) == 0 { // one sign, so that both extremes have it
			flip := r.Uint32() & signBit
			for i := range x {
				x[i] = math.Float32frombits(math.Float32bits(x[i])&^signBit | flip)
			}
			if r.IntN(2) == 0 {
				x = slices.DeleteFunc(x, func(v float32) bool { return v == 0 })
			}
		}
		var s Statistics
		for rest := x; len(rest) > 0; {
			k := 1 + r.IntN(len(rest))
			s.Add(rest[:k])
			rest = rest[k:]
		}
		countNaively(x).compare(t, &s)
	}
}

// Any order and any division of the values, added or merged, give one state and
// one text.
func TestOrderAndShardsDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		x := mixture(r, 1+r.IntN(2000), r.IntN(2) == 0)
		whole := new(Statistics)
		whole.Add(x)
		want := string(appendStatistics(nil, whole))
		for range 3 {
			y := slices.Clone(x)
			r.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
			shards := make([]*Statistics, 1+r.IntN(6))
			for i := range shards {
				shards[i] = new(Statistics)
			}
			for _, v := range y {
				shards[r.IntN(len(shards))].Add([]float32{v})
			}
			for len(shards) > 1 { // merge in a random tree
				r.Shuffle(len(shards), func(i, j int) { shards[i], shards[j] = shards[j], shards[i] })
				shards[0].Merge(shards[1])
				shards = slices.Delete(shards, 1, 2)
			}
			if !shards[0].Equal(whole) || !whole.Equal(shards[0]) {
				t.Fatalf("merged shards differ from the whole")
			}
			if have := string(appendStatistics(nil, shards[0])); have != want {
				t.Fatalf("have %.300s, want %.300s", have, want)
			}
		}
	}
}

// A file's statistics take more values and merge like any others.
func TestRestoredStatisticsGoOn(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		x, y := mixture(r, r.IntN(500), true), mixture(r, r.IntN(500), true)
		var first, whole Statistics
		first.Add(x)
		whole.Add(x)
		whole.Add(y)
		again, err := restored(&first)
		if err != nil {
			t.Fatal(err)
		}
		if !again.Equal(&first) {
			t.Fatal("read statistics differ from those written")
		}
		again.Add(y)
		if !again.Equal(&whole) {
			t.Fatal("read statistics that went on differ from the whole")
		}
	}
}

// Counts beyond 2^32 stay exact.
func TestLargeCounts(t *testing.T) {
	var s Statistics
	s.Add([]float32{1, 1, 1, -0.5, 1e-9, 0, 2})
	want := uint64(1)
	for range 40 {
		s.Merge(&s)
		want *= 2
	}
	if s.N() != 7*want || s.Zeros() != want || s.belowCount(0) != want {
		t.Errorf("have n %d, zeros %d, below %d, want 7, 1 and 1 times %d", s.N(), s.Zeros(), s.belowCount(0), want)
	}
	if b := s.buckets(0); len(b) != 2 || b[0].count != 3*want || b[1].count != want {
		t.Errorf("have %v, want counts of 3 and 1 times %d", b, want)
	}
	if b := s.buckets(1); len(b) != 1 || b[0].count != want {
		t.Errorf("have %v, want one count of %d", b, want)
	}
	again, err := restored(&s)
	if err != nil || !again.Equal(&s) {
		t.Errorf("does not read back: %v", err)
	}
	s.Add([]float32{1e6}) // moves the large counts under the window
	if s.belowCount(0) != 5*want || s.belowCount(1) != want || len(s.large) != 0 {
		t.Errorf("have %d and %d under the window and %d large, want 5 and 1 times %d and none", s.belowCount(0), s.belowCount(1), len(s.large), want)
	}
}

// A counter that is nearly full is swept before it can overflow.
func TestSweep(t *testing.T) {
	var s Statistics
	s.Add([]float32{1})
	c := &s.counts[s.slot(math.Float32bits(1)>>keyShift, 0)]
	*c, s.n, s.recent = 1<<31+5, 1<<31+5, 1<<31-2
	s.Add([]float32{1, 1, 1, 1, 1, 1})
	if b := s.buckets(0); len(b) != 1 || b[0].count != 1<<31+11 || s.N() != 1<<31+11 {
		t.Errorf("have %v and n %d, want one count of 2^31+11", b, s.N())
	}
	if *c != 6 || s.recent != 6 {
		t.Errorf("have %d in the dense counter and %d recent, want 6 and 6", *c, s.recent)
	}
}

// Memory does not depend on the data: one far value changes nothing.
func TestMemoryIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var s Statistics
	for range 50 {
		s.Add(mixture(r, 1000, true))
	}
	s.Add([]float32{1e-30, 1e30})
	size := unsafe.Sizeof(s) + unsafe.Sizeof(*s.counts) + uintptr(cap(s.large))*unsafe.Sizeof(bucket{})
	if size > 110_000 {
		t.Errorf("have %d bytes, want at most 110000", size)
	}
	x := samples("gauss", 1000)
	if n := testing.AllocsPerRun(10, func() { s.Add(x) }); n != 0 {
		t.Errorf("have %v allocations an Add, want none", n)
	}
}

func TestCollector(t *testing.T) {
	x := samples("gauss", 999)
	var whole, a, b Collector
	for i, v := range x {
		one := []float32{v}
		name := []string{"x", "y", "z"}[i%3]
		whole.Observe(name, one)
		if i%2 == 0 {
			a.Observe(name, one)
		} else {
			b.Observe(name, one)
		}
	}
	var ab, ba Collector
	ab.Merge(&a)
	ab.Merge(&b)
	ba.Merge(&b)
	ba.Merge(&a)
	if !ab.Equal(&whole) || !ba.Equal(&whole) {
		t.Error("merged collectors differ from the whole")
	}
	if a.Equal(&whole) {
		t.Error("half of the values is equal to all")
	}
	if have := whole.Names(); !slices.Equal(have, []string{"x", "y", "z"}) {
		t.Errorf("have names %q", have)
	}
	if whole.Statistics("x").N() != 333 || whole.Statistics("w") != nil {
		t.Error("Statistics does not find what was observed")
	}
}
