//go:build !amd64 || noasm

package kernels

type peakKind int

const (
	fmaPeak peakKind = iota
	int8Peak
	narrowPeak
)

// peakOf is not called: without assembly there are no tiers to compare with it.
func peakOf(Tier, peakKind) float64 { return 0 }
