package calib

import (
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// samples makes n values of the kinds that a Transformer produces.
func samples(kind string, n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		g := r.NormFloat64()
		switch kind {
		case "gauss":
			x[i] = float32(g)
		case "relu":
			x[i] = float32(max(g, 0))
		case "softmax":
			x[i] = float32(1 / (1 + math.Exp(4-3*g)))
		case "softmax-masked":
			if i%20 < 12 {
				x[i] = float32(1 / (1 + math.Exp(4-3*g)))
			}
		case "heavy":
			x[i] = float32(g * math.Exp(1.5*r.NormFloat64()))
		case "constant":
			x[i] = 0.75
		}
	}
	return x
}

var sampleKinds = []string{"gauss", "relu", "softmax", "softmax-masked", "heavy", "constant"}

func BenchmarkAdd(b *testing.B) {
	for _, kind := range sampleKinds {
		x := samples(kind, 1<<16)
		b.Run(kind, func(b *testing.B) {
			var s Statistics
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				s.Add(x)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/value")
		})
	}
	x := samples("gauss", 256)
	b.Run("rows-of-256", func(b *testing.B) {
		var s Statistics
		for b.Loop() {
			s.Add(x)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/value")
	})
}

// BenchmarkStatisticsFile writes and reads the file of 170 tensors.
func BenchmarkStatisticsFile(b *testing.B) {
	f := &StatisticsFile{Tensors: new(Collector)}
	for i := range 170 {
		f.Tensors.Observe(strconv.Itoa(i), samples(sampleKinds[i%5], 1<<16))
	}
	text := written(b, f)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if err := f.Write(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := ReadStatistics(strings.NewReader(text), "f", Hash{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
