package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// quantizeValues are values near every tie between codes, both sides of every bound, and the specials.
func quantizeValues(scale float32) []float32 {
	x := append([]float32(nil), vecSpecials...)
	for code := -260; code <= 260; code++ {
		tie := (float32(code) + 0.5) / scale
		x = append(x, tie, math.Nextafter32(tie, inf32), math.Nextafter32(tie, -inf32), float32(code)/scale)
	}
	return append(x, normal(rand.New(rand.NewPCG(1, 2)), 1000, 60/float64(scale))...)
}

func TestQuantize(t *testing.T) {
	for _, s := range vecTiers() {
		for _, scale := range []float32{1, 127 / 4.0, 127 / 3.7, 255 / 6.1, 1e-3, 1e6} {
			x := quantizeValues(scale)
			for _, limits := range [][2]float32{{-128 / scale, 127 / scale}, {-127 / scale, 127 / scale}, {-inf32, inf32},
				{-3 / scale, 50.5 / scale}, {0, 255 / scale}} {
				lo, hi := limits[0], limits[1]
				for _, round := range []Rounding{HalfToEven, HalfAwayFromZero} {
					name := fmt.Sprintf("%s, scale %v, limits %v, rounding %d", s.Tier(), scale, limits, round)
					s8, u8 := make([]int8, len(x)), make([]uint8, len(x))
					s.QuantizeS8(s8, x, scale, lo, hi, round)
					s.QuantizeU8(u8, x, scale, lo, hi, round)
					for i, v := range x {
						// The definition, in the order of TensorFlow: bounds first, then the product.
						clamped := float64(max(min(v, hi), lo) * scale)
						if round == HalfToEven {
							clamped = math.RoundToEven(clamped)
						} else {
							clamped = math.Round(clamped)
						}
						wantS8, wantU8 := int8(max(min(clamped, 127), -128)), uint8(max(min(clamped, 255), 0))
						if v != v {
							wantS8, wantU8 = -128, 0
						}
						if s8[i] != wantS8 || u8[i] != wantU8 {
							t.Fatalf("%s: codes of %v are %d and %d, want %d and %d", name, v, s8[i], u8[i], wantS8, wantU8)
						}
					}
				}
			}
		}
	}
}

func TestQuantizeLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, s := range vecTiers() {
		for _, n := range append(vecLengths(), piece+3) {
			x, _ := guarded(t, n, func(int) float32 { return float32(r.NormFloat64() * 60) })
			for _, round := range []Rounding{HalfToEven, HalfAwayFromZero} {
				all := make([]int8, n+2)
				allU := make([]uint8, n+2)
				all[0], all[n+1], allU[0], allU[n+1] = 99, 99, 99, 99
				s.QuantizeS8(all[1:n+1], x, 1, -128, 127, round)
				s.QuantizeU8(allU[1:n+1], x, 1, 0, 255, round)
				for i, v := range x {
					q := quantizer{scale: 1, lo: -128, hi: 255, round: round}
					if got, want := all[i+1], int8(min(q.code(v, 0), 127)); got != want {
						t.Fatalf("%s, length %d: code of %v is %d, want %d", s.Tier(), n, v, got, want)
					}
					if got, want := allU[i+1], uint8(max(q.code(v, 0), 0)); got != want {
						t.Fatalf("%s, length %d: code of %v is %d, want %d", s.Tier(), n, v, got, want)
					}
				}
				if all[0] != 99 || all[n+1] != 99 || allU[0] != 99 || allU[n+1] != 99 {
					t.Fatalf("%s, length %d: a guard was overwritten", s.Tier(), n)
				}
			}
		}
	}
}

func TestDequantize(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for _, s := range vecTiers() {
		for _, n := range append(vecLengths(), piece+3) {
			s8, u8, s32 := make([]int8, n), make([]uint8, n), make([]int32, n)
			for i := range s8 {
				s8[i], u8[i], s32[i] = int8(r.Uint32()), uint8(r.Uint32()), int32(r.Uint32())
			}
			const scale, low = 0.0123, -1.57
			want := func(q int) float32 { return float32(q) * scale }
			dst, check := guarded(t, n, func(int) float32 { return nan32 })
			s.DequantizeS8(dst, s8, scale)
			check("DequantizeS8")
			for i, q := range s8 {
				if dst[i] != want(int(q)) {
					t.Fatalf("%s, length %d: DequantizeS8(%d) = %v, want %v", s.Tier(), n, q, dst[i], want(int(q)))
				}
			}
			s.DequantizeU8(dst, u8, scale, low)
			check("DequantizeU8")
			for i, q := range u8 {
				if w := want(int(q)) + low; dst[i] != w {
					t.Fatalf("%s, length %d: DequantizeU8(%d) = %v, want %v", s.Tier(), n, q, dst[i], w)
				}
			}
			s.DequantizeS32(dst, s32, scale)
			check("DequantizeS32")
			for i, q := range s32 {
				if dst[i] != want(int(q)) {
					t.Fatalf("%s, length %d: DequantizeS32(%d) = %v, want %v", s.Tier(), n, q, dst[i], want(int(q)))
				}
			}
		}
	}
}
