package calib

import (
	"cmp"
	"math"
	"slices"
)

// The grid of bins. A finite nonzero float32 x belongs to the bucket with the
// key (bits(x) & 0x7fffffff) >> 13: its exponent field and the ten highest bits
// of its mantissa. So an octave has 1024 buckets, and the edges are the same
// for all data.
const (
	mantissaBits = 10
	perOctave    = 1 << mantissaBits
	keyShift     = 23 - mantissaBits

	// keptOctaves is the number of octaves counted in full, from the one with
	// the largest magnitude downwards. Smaller values share one count a sign.
	keptOctaves = 12
	windowKeys  = keptOctaves * perOctave
)

// The dense counters of one sign: an octave that takes what is under the
// window, the window, and exact zeros. Those of sign 1 start at slot signStride.
const (
	zeroSlot   = perOctave + windowKeys
	signStride = zeroSlot + 1
)

const (
	signBit   = 1 << 31
	infBits   = 0x7f800000
	minNormal = 1 << 23              // magnitude bits of the smallest normal
	signKey   = 1 << (31 - keyShift) // the sign in a bucket's id
	maxDense  = 1 << 31              // most that a dense counter holds between calls
)

// Statistics describes the values of one tensor: exact counts on a logarithmic
// grid of 1024 buckets an octave, over the 12 octaves below the largest
// magnitude. It takes at most 110 KB, however many values come and whatever
// they are.
//
// The state depends on the multiset of values only: not on their order, not on
// how they were divided among calls of Add or among Statistics that were
// merged. The zero value is empty and ready to use. A Statistics serves one
// goroutine at a time; methods that only read may run concurrently.
type Statistics struct {
	n                      uint64
	zeros                  uint64
	nans, posInfs, negInfs uint64
	below                  [2]uint64 // finite nonzero, under the window; by sign

	// Extremes of the finite values, as float32 bits. least is kept up only
	// while all values have one sign and none is zero.
	ready bool   // the next three are set
	pos   int32  // largest of the values with sign 0, -1 when none
	neg   uint32 // most negative of the values with sign 1, noneNegative when none
	least uint32 // smallest magnitude

	base   uint32                  // lowest key of the window
	counts *[2 * signStride]uint32 // nil until the first Add
	offset [512]uint32             // by sign and exponent: key to slot, modulo 2^32
	recent uint64                  // values added since the counters were last swept
	large  []bucket                // counts that are not in counts; ascending
}

const noneNegative = signBit - 1

// bucket is a count outside the dense array; id is the key plus signKey for
// negative values.
type bucket struct {
	id    uint32
	count uint64
}

// Add counts values. The slice is not kept.
func (s *Statistics) Add(values []float32) {
	s.allocate()
	s.n += uint64(len(values))
	const step = 1 << 28 // so that no counter can pass 2^32
	for len(values) > 0 {
		part := values[:min(len(values), step)]
		values = values[len(part):]
		if s.recent += uint64(len(part)); s.recent >= 1<<32-maxDense {
			s.sweep()
			s.recent = uint64(len(part))
		}
		if s.least != 0 && (s.pos < 0 || s.neg == noneNegative) {
			s.least = leastMagnitude(part, s.least)
		}
		s.count(part)
		for sign := range s.below {
			zeros := &s.counts[sign*signStride+zeroSlot]
			s.zeros += uint64(*zeros)
			*zeros = 0
		}
	}
}

// leastMagnitude returns the smallest of the magnitudes of values and least, as
// bits. NaN and infinities are larger than any finite value.
func leastMagnitude(values []float32, least uint32) uint32 {
	for _, v := range values {
		if mag := math.Float32bits(v) &^ signBit; mag < least {
			least = mag
		}
	}
	return least
}

// count adds values to the dense counters. The loop is written for speed. Two
// comparisons tell that a value is not beyond what was seen before with its
// sign, so it is finite and not above the window; a third that it is zero or
// normal. All else is rare and left to countOne. There is no branch on zero,
// because rectified tensors make that one unpredictable, nor on small values:
// the table sends both where they belong.
func (s *Statistics) count(values []float32) {
	counts, offset := s.counts, &s.offset
	for len(values) >= 4 {
		pos, neg := s.pos, s.neg
		i := 0
		for ; i+4 <= len(values); i += 4 {
			v := (*[4]float32)(values[i:])
			a, b := math.Float32bits(v[0]), math.Float32bits(v[1])
			c, d := math.Float32bits(v[2]), math.Float32bits(v[3])
			if int32(a) > pos || int32(b) > pos || int32(c) > pos || int32(d) > pos ||
				a > neg || b > neg || c > neg || d > neg {
				break
			}
			// 2x drops the sign; 2x-1 makes zero the largest number.
			const denormal = 2*minNormal - 1
			if 2*a-1 < denormal || 2*b-1 < denormal || 2*c-1 < denormal || 2*d-1 < denormal {
				break
			}
			counts[a>>keyShift+offset[a>>23]]++
			counts[b>>keyShift+offset[b>>23]]++
			counts[c>>keyShift+offset[c>>23]]++
			counts[d>>keyShift+offset[d>>23]]++
		}
		values = values[i:]
		for _, v := range values[:min(4, len(values))] {
			s.countOne(math.Float32bits(v))
		}
		values = values[min(4, len(values)):]
	}
	for _, v := range values {
		s.countOne(math.Float32bits(v))
	}
}

// countOne counts any value.
func (s *Statistics) countOne(b uint32) {
	mag, sign := b&^signBit, b>>31
	switch {
	case mag > infBits:
		s.nans++
		return
	case mag == infBits && sign == 0:
		s.posInfs++
		return
	case mag == infBits:
		s.negInfs++
		return
	}
	if int32(b) > s.pos || b > s.neg {
		s.widen(sign, mag)
	}
	if mag == 0 {
		s.counts[sign*signStride+zeroSlot]++
	} else if key := mag >> keyShift; key < s.base {
		s.below[sign]++
	} else {
		s.counts[s.slot(key, sign)]++
	}
}

// widen includes a finite magnitude among those seen with a sign and raises the
// window when needed.
func (s *Statistics) widen(sign, mag uint32) {
	if sign == 0 {
		s.pos = max(s.pos, int32(mag))
	} else {
		s.neg = uint32(max(int64(s.neg), int64(mag|signBit)))
	}
	s.raise(windowBase(s.emax()))
}

// windowBase returns the lowest key of the window when emax is the largest
// exponent field.
func windowBase(emax int) uint32 {
	return uint32(max(emax-keptOctaves+1, 0)) << mantissaBits
}

// emax returns the largest exponent field among finite nonzero values, -1 when
// there are none.
func (s *Statistics) emax() int {
	hi := math.Float32bits(s.AbsMax())
	if hi == 0 {
		return -1
	}
	return int(hi >> 23)
}

// raise moves the start of the window up to base; what falls out is counted as
// below.
func (s *Statistics) raise(base uint32) {
	if base <= s.base {
		return
	}
	if s.counts != nil {
		shift := min(int(base-s.base), windowKeys)
		for sign := range s.below {
			window := s.counts[sign*signStride+perOctave:][:windowKeys]
			for _, k := range window[:shift] {
				s.below[sign] += uint64(k)
			}
			kept := copy(window, window[shift:])
			clear(window[kept:])
		}
	}
	s.large = slices.DeleteFunc(s.large, func(b bucket) bool {
		if b.id&^signKey >= base {
			return false
		}
		s.below[b.id/signKey] += b.count
		return true
	})
	s.base = base
	s.tabulate()
}

// slot returns the index of the counter of a key in the window.
func (s *Statistics) slot(key, sign uint32) uint32 {
	return sign*signStride + perOctave + key - s.base
}

// tabulate fills the table of offsets for the present window. The exponent
// field 0 stands for zero only: count leaves denormals to countOne. Exponents
// above the window are never looked up.
func (s *Statistics) tabulate() {
	for i := range uint32(len(s.offset)) {
		sign, exponent := i>>8, i&255
		first := exponent << mantissaBits // key
		slot := sign*signStride + zeroSlot
		if exponent > 0 && first < s.base {
			slot = sign * signStride
		} else if exponent > 0 {
			slot = s.slot(first, sign)
		}
		s.offset[i] = slot - (sign*signKey + first)
	}
}

// allocate prepares the dense counters.
func (s *Statistics) allocate() {
	s.prepare()
	if s.counts == nil {
		s.counts = new([2 * signStride]uint32)
	}
}

// prepare makes the zero value ready.
func (s *Statistics) prepare() {
	if !s.ready {
		s.ready, s.pos, s.neg, s.least = true, -1, noneNegative, infBits
		s.tabulate()
	}
}

// belowCount returns the number of values of a sign under the window.
func (s *Statistics) belowCount(sign int) uint64 {
	sum := s.below[sign]
	if s.counts != nil {
		for _, k := range s.counts[sign*signStride:][:perOctave] {
			sum += uint64(k)
		}
	}
	return sum
}

// sweep moves large counters out of the dense array, so that 2^31 more values
// fit. It runs once in 2^31 - 2^28 values or less and so moves few.
func (s *Statistics) sweep() {
	for sign := range s.below {
		s.below[sign] = s.belowCount(sign)
		clear(s.counts[sign*signStride:][:perOctave])
		window := s.counts[sign*signStride+perOctave:][:windowKeys]
		for i, c := range window {
			if c >= maxDense/2 {
				s.addLarge(uint32(sign*signKey+i)+s.base, uint64(c))
				window[i] = 0
			}
		}
	}
}

func (s *Statistics) addLarge(id uint32, count uint64) {
	i, found := slices.BinarySearchFunc(s.large, id, func(b bucket, id uint32) int { return cmp.Compare(b.id, id) })
	if !found {
		s.large = slices.Insert(s.large, i, bucket{id: id})
	}
	s.large[i].count += count
}

// Merge adds what o has counted. It is commutative and associative to the bit.
// o is not changed; o may be s.
func (s *Statistics) Merge(o *Statistics) {
	if o.n == 0 {
		return
	}
	s.allocate()
	counted := slices.Concat(o.buckets(0), o.buckets(1))
	below := [2]uint64{o.belowCount(0), o.belowCount(1)}
	s.n += o.n
	s.zeros += o.zeros
	s.nans += o.nans
	s.posInfs += o.posInfs
	s.negInfs += o.negInfs
	s.least = min(s.least, o.least)
	s.pos, s.neg = max(s.pos, o.pos), max(s.neg, o.neg)
	s.raise(windowBase(s.emax()))
	for sign := range below {
		s.below[sign] += below[sign]
	}
	for _, b := range counted {
		s.addBucket(b)
	}
}

// addBucket adds a count for a key that is not above the window.
func (s *Statistics) addBucket(b bucket) {
	key, sign := b.id&^signKey, b.id/signKey
	if key < s.base {
		s.below[sign] += b.count
		return
	}
	c := &s.counts[s.slot(key, sign)]
	if sum := uint64(*c) + b.count; sum <= maxDense {
		*c = uint32(sum)
		return
	}
	s.addLarge(b.id, uint64(*c)+b.count)
	*c = 0
}

// buckets returns the non-empty buckets of one sign in ascending order of
// magnitude.
func (s *Statistics) buckets(sign int) []bucket {
	var large []bucket
	for _, b := range s.large {
		if int(b.id/signKey) == sign {
			large = append(large, b)
		}
	}
	if s.counts == nil {
		return large
	}
	var out []bucket
	for i, c := range s.counts[sign*signStride+perOctave:][:windowKeys] {
		b := bucket{uint32(sign*signKey+i) + s.base, uint64(c)}
		if len(large) > 0 && large[0].id == b.id {
			b.count += large[0].count
			large = large[1:]
		}
		if b.count > 0 {
			out = append(out, b)
		}
	}
	return out
}

// Equal reports whether s and o have seen the same values as far as either can
// tell: all counts, the minimum and the maximum agree.
func (s *Statistics) Equal(o *Statistics) bool {
	sMin, sMax, sOK := s.Range()
	oMin, oMax, oOK := o.Range()
	return s.n == o.n && s.zeros == o.zeros && s.nans == o.nans &&
		s.posInfs == o.posInfs && s.negInfs == o.negInfs &&
		s.belowCount(0) == o.belowCount(0) && s.belowCount(1) == o.belowCount(1) &&
		sMin == oMin && sMax == oMax && sOK == oOK &&
		slices.Equal(s.buckets(0), o.buckets(0)) && slices.Equal(s.buckets(1), o.buckets(1))
}

// N returns the number of values added, whatever they were.
func (s *Statistics) N() uint64 { return s.n }

// Zeros returns the number of exact zeros, of either sign.
func (s *Statistics) Zeros() uint64 { return s.zeros }

// NotFinite returns the numbers of NaN, +Inf and -Inf.
func (s *Statistics) NotFinite() (nans, posInfs, negInfs uint64) {
	return s.nans, s.posInfs, s.negInfs
}

// Range returns the smallest and the largest finite value, with -0 as +0; ok is
// false when there was none.
func (s *Statistics) Range() (lo, hi float32, ok bool) {
	anyPos, anyNeg := s.ready && s.pos >= 0, s.ready && s.neg != noneNegative
	switch {
	case !anyPos && !anyNeg:
		return 0, 0, false
	case !anyNeg:
		return math.Float32frombits(s.least), math.Float32frombits(uint32(s.pos)), true
	case !anyPos:
		return 0 + math.Float32frombits(s.neg), 0 - math.Float32frombits(s.least), true
	}
	return 0 + math.Float32frombits(s.neg), math.Float32frombits(uint32(s.pos)), true
}

// AbsMax returns the largest magnitude of a finite value, 0 when there is none.
func (s *Statistics) AbsMax() float32 {
	lo, hi, _ := s.Range()
	return max(hi, -lo, 0)
}
