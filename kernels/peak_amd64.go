//go:build !noasm

package kernels

// peak returns the loop of a mix and the operations of one round.
func (s *Set) peak(mix Mix) (loop func(rounds int), ops int) {
	switch s.tier {
	case Portable:
		return nil, 0
	case AVX512VNNI:
		if mix == MixF32 {
			return peakF32AVX512, 96 * 16 * 2
		}
		return peakS8VNNI, 96 * 64 * 2
	case AVXVNNI:
		if mix != MixF32 {
			return peakS8AVXVNNI, 48 * 32 * 2
		}
	}
	switch mix {
	case MixF32:
		return peakF32AVX2, 48 * 8 * 2
	case MixInt8Narrow:
		return peakS8NarrowAVX2, 40 * 32 * 2
	case MixInt8Row:
		return peakS8RowAVX2, 32 * 32 * 2
	}
	return peakS8AVX2, 40 * 16 * 2
}

func (s *Set) read(data *byte, n int) {
	if s.tier == AVX512VNNI {
		readAVX512(data, n)
		return
	}
	readAVX2(data, n)
}
