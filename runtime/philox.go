package runtime

import "math/bits"

// philox is the counter-based generator Philox 4x32-10 (Salmon et al., 2011), in the layout that TensorFlow gives it.
type philox struct {
	counter [4]uint32
	key     [2]uint32
}

// philoxOfSeeds is the generator of the stateful ops: one seed is the key, the other the upper half of the counter.
func philoxOfSeeds(seed, seed2 uint64) philox {
	return philox{counter: [4]uint32{2: uint32(seed2), 3: uint32(seed2 >> 32)}, key: [2]uint32{uint32(seed), uint32(seed >> 32)}}
}

// philoxOfKey is the generator that a key and a counter, as StatelessRandomGetKeyCounter gives them, stand for.
func philoxOfKey(key uint64, counter [2]uint64) philox {
	return philox{
		counter: [4]uint32{uint32(counter[0]), uint32(counter[0] >> 32), uint32(counter[1]), uint32(counter[1] >> 32)},
		key:     [2]uint32{uint32(key), uint32(key >> 32)},
	}
}

// statelessPhilox is the generator of the stateless ops, which mix their two seeds by a round of Philox.
func statelessPhilox(seed [2]uint64) philox {
	mix := philoxOfKey(0x02461e293ec8f720, seed)
	v := mix.next()
	return philox{counter: [4]uint32{2: v[2], 3: v[3]}, key: [2]uint32{v[0], v[1]}}
}

// keyCounter returns what philoxOfKey makes p of.
func (p *philox) keyCounter() (key uint64, counter [2]uint64) {
	join := func(lo, hi uint32) uint64 { return uint64(lo) | uint64(hi)<<32 }
	return join(p.key[0], p.key[1]), [2]uint64{join(p.counter[0], p.counter[1]), join(p.counter[2], p.counter[3])}
}

// next returns four random numbers and moves on.
func (p *philox) next() [4]uint32 {
	const (
		mulA, mulB   = 0xD2511F53, 0xCD9E8D57
		weylA, weylB = 0x9E3779B9, 0xBB67AE85
		rounds       = 10
	)
	c, k := p.counter, p.key
	for range rounds {
		hiA, loA := bits.Mul32(mulA, c[0])
		hiB, loB := bits.Mul32(mulB, c[2])
		c = [4]uint32{hiB ^ c[1] ^ k[0], loB, hiA ^ c[3] ^ k[1], loA}
		k[0] += weylA
		k[1] += weylB
	}
	p.skip(1)
	return c
}

// skip leaves out the next n results of next.
func (p *philox) skip(n uint64) {
	var carry uint32
	p.counter[0], carry = bits.Add32(p.counter[0], uint32(n), 0)
	p.counter[1], carry = bits.Add32(p.counter[1], uint32(n>>32), carry)
	p.counter[2], carry = bits.Add32(p.counter[2], 0, carry)
	p.counter[3] += carry
}

// singles hands the results of a philox out one by one.
type singles struct {
	gen  *philox
	left [4]uint32
	used int // of left; 4: none is left
}

func newSingles(gen *philox) *singles { return &singles{gen: gen, used: 4} }

func (s *singles) next() uint32 {
	if s.used == 4 {
		s.left, s.used = s.gen.next(), 0
	}
	s.used++
	return s.left[s.used-1]
}
