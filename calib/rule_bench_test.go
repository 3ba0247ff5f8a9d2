package calib

import "testing"

// BenchmarkThreshold measures one rule on one tensor of a million values.
func BenchmarkThreshold(b *testing.B) {
	for _, kind := range sampleKinds[:5] {
		s := new(Statistics)
		s.Add(samples(kind, 1<<20))
		for _, r := range allRules {
			b.Run(kind+"/"+r.String(), func(b *testing.B) {
				for b.Loop() {
					if _, err := r.Threshold(s); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
