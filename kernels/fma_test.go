package kernels

import (
	"math"
	"math/big"
)

// exactFMA is fma32 by way of big.Float.
func exactFMA(a, b, c float32) float32 {
	if c != c || math.IsInf(float64(c), 0) {
		return c
	}
	x := new(big.Float).SetPrec(600).SetFloat64(float64(a))
	x.Mul(x, new(big.Float).SetPrec(600).SetFloat64(float64(b)))
	x.Add(x, new(big.Float).SetPrec(600).SetFloat64(float64(c)))
	f, _ := x.Float32()
	return f
}
