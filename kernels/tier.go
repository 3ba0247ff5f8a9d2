package kernels

import (
	"fmt"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Tier names one implementation of every kernel. A higher tier is faster where the CPU has it; integer results are the
// same on all of them, bit for bit.
type Tier uint8

const (
	// Portable is plain Go, compiled on every platform: the definition of what each kernel computes.
	Portable Tier = iota
	// AVX2 needs AVX2, FMA3 and BMI1.
	AVX2
	// AVXVNNI needs AVX2, FMA3, BMI1 and AVX-VNNI, which client CPUs without AVX-512 have: it is AVX2 with the
	// integer products of AVX512VNNI.
	AVXVNNI
	// AVX512VNNI needs AVX512 F, BW, DQ, VL and VNNI, and BMI2.
	AVX512VNNI
)

var tierNames = [...]string{Portable: "portable", AVX2: "avx2", AVXVNNI: "avxvnni", AVX512VNNI: "avx512vnni"}

// String returns the name that --kernels takes.
func (t Tier) String() string { return tierNames[t] }

// ParseTier is the inverse of String; "auto" gives the best tier of this CPU.
func ParseTier(name string) (Tier, error) {
	if name == "auto" || name == "" {
		return Best(), nil
	}
	for t, n := range tierNames {
		if n == name {
			if !Supported(Tier(t)) {
				return 0, fmt.Errorf("kernels: this CPU or build has no %s tier, best is %s", n, Best())
			}
			return Tier(t), nil
		}
	}
	return 0, fmt.Errorf("kernels: unknown tier %q, want auto, %s", name, strings.Join(tierNames[:], ", "))
}

// Supported reports whether this CPU, operating system and build can run tier t.
func Supported(t Tier) bool {
	switch t {
	case Portable:
		return true
	case AVX2:
		return haveAssembly && cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI1)
	case AVXVNNI:
		return haveAssembly && cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI1, cpuid.AVXVNNI)
	case AVX512VNNI:
		return haveAssembly && cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI1, cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW,
			cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI)
	}
	return false
}

// Best is the highest tier that this machine can run.
func Best() Tier {
	for t := AVX512VNNI; t > Portable; t-- {
		if Supported(t) {
			return t
		}
	}
	return Portable
}

// Set is the kernels of one tier. It is safe for concurrent use; every product and vector function of this
// package is a method on it, so that one binary can run and compare all tiers. The weights packed by one Set
// share memory.
type Set struct {
	tier    Tier
	weights arena
}

// For returns the kernels of tier t, which the caller has checked with Supported or ParseTier.
func For(t Tier) *Set { return &Set{tier: t} }

// Tier returns the tier of s.
func (s *Set) Tier() Tier { return s.tier }
