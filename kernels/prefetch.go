package kernels

// Prefetch asks for memory that is to be read some microseconds later, and does not wait for it.
func (s *Set) Prefetch(b []byte) {
	const line = 64
	if s.tier != Portable && len(b) > 0 {
		prefetchLines(&b[0], (len(b)+line-1)/line)
	}
}
