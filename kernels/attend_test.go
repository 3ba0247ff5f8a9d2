package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// attendApart is Attend by the separate kernels.
func attendApart(s *Set, a *Attention, scratch *Scratch) {
	for h := range a.Heads {
		scores, weights := make([]float32, a.Rows*a.Keys), make([]float32, a.Rows*a.Keys)
		s.MatMulF32Strided(scores, a.Keys, a.Q.Data[h*a.Q.Head:], a.Q.Row, a.K.Data[h*a.K.Head:], a.K.Row, true, a.Rows, a.Keys, a.Depth, scratch)
		for i := range a.Rows {
			own := a.own(i)
			var row []float32
			for j, x := range scores[i*a.Keys:][:a.Keys] {
				if own>>j&1 != 0 {
					row = append(row, x)
				}
			}
			if a.Mask.Data == nil && a.Scale == 1 {
				s.Softmax(row, row, 1, len(row))
			} else if a.Mask.Data == nil {
				s.SoftmaxMasked(row, row, 1, len(row), a.Scale, nil, 0)
			} else {
				s.SoftmaxMasked(row, row, 1, len(row), a.Scale, a.Mask.Data[h*a.Mask.Head+i*a.Mask.Row:], 0)
			}
			for j := range a.Keys {
				if own>>j&1 != 0 {
					weights[i*a.Keys+j], row = row[0], row[1:]
				}
			}
		}
		s.MatMulF32Strided(a.Dst.Data[h*a.Dst.Head:], a.Dst.Row, weights, a.Keys, a.V.Data[h*a.V.Head:], a.V.Row, false, a.Rows, a.Width, a.Keys, scratch)
	}
}

// randomHeads returns matrices of random elements, the heads of a row beside each other or one after the other.
func randomHeads(r *rand.Rand, heads, rows, cols int, special bool) HeadRows {
	h := HeadRows{Row: cols + r.IntN(3)}
	h.Head = rows * h.Row
	if r.IntN(2) == 0 {
		h.Head = cols + r.IntN(3)
		h.Row = heads * h.Head
	}
	h.Data = randomF32(r, (heads-1)*h.Head+(rows-1)*h.Row+cols, special)
	return h
}

// randomAttention returns attention over so many keys, of which a row owns some, or all.
func randomAttention(r *rand.Rand, keys int, whole bool) *Attention {
	a := &Attention{Heads: 1 + r.IntN(3), Rows: 1 + r.IntN(9), Keys: keys, Depth: 16 * (1 + r.IntN(8)), Width: 1 + r.IntN(140)}
	if r.IntN(2) == 0 {
		a.Width = a.Depth
	}
	special := r.IntN(4) == 0
	a.Q = randomHeads(r, a.Heads, a.Rows, a.Depth, false)
	a.K = randomHeads(r, a.Heads, a.Keys, a.Depth, false)
	a.V = randomHeads(r, a.Heads, a.Keys, a.Width, special)
	for range r.IntN(4) { // more would leave no score finite
		if special {
			a.K.Data[r.IntN(len(a.K.Data))] = []float32{inf32, -inf32, nan32, 0, math.MaxFloat32}[r.IntN(5)]
		}
	}
	a.Dst = randomHeads(r, a.Heads, a.Rows, a.Width, false)
	a.Dst.Data = append(a.Dst.Data, randomF32(r, 16, false)...) // which must stay
	a.Scale = []float32{1, 0.125, float32(r.NormFloat64())}[r.IntN(3)]
	for range a.Rows {
		if whole && len(a.Own) == 0 && r.IntN(2) == 0 {
			break // nil is all
		}
		all := ^uint64(0) >> (64 - keys)
		own := all
		for n := 0; !whole && own == all && n < 6; n++ {
			own = r.Uint64() & all
			if r.IntN(3) == 0 {
				own &= r.Uint64()
			}
			if keys > 32 {
				own &= 0xffffffff << r.IntN(keys-31)
			}
			if own == 0 || n > 3 {
				own = 1 << r.IntN(keys)
			}
		}
		a.Own = append(a.Own, own)
	}
	if kind := r.IntN(4); kind > 0 {
		a.Mask = randomHeads(r, a.Heads, a.Rows, keys, special)
		switch kind {
		case 1:
			a.Mask.Row = 0
		case 2:
			a.Mask.Head = 0
		}
		for i := range a.Mask.Data {
			switch r.IntN(6) {
			case 0:
				a.Mask.Data[i] = -inf32
			case 1:
				a.Mask.Data[i] = 0
			}
			if special && r.IntN(100) == 0 {
				a.Mask.Data[i] = []float32{inf32, nan32}[r.IntN(2)]
			}
		}
		if r.IntN(4) == 0 { // a whole row or more
			for i := range min(len(a.Mask.Data), 2*keys) {
				a.Mask.Data[i] = -inf32
			}
		}
	}
	return a
}

func TestAttend(t *testing.T) {
	for _, tier := range testTiers(t) {
		s := For(tier)
		var scratch Scratch
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 4000 {
			keys := 1 + i%MostAttendKeys
			a := randomAttention(r, keys, i/MostAttendKeys%2 == 0)
			got := *a
			got.Ahead, got.Next = new(Ahead), a.K.Data
			got.Ahead.Add(make([]byte, r.IntN(100)))
			got.Dst.Data = append([]float32(nil), a.Dst.Data...)
			if ok := s.Attend(&got, &scratch); ok != (tier == AVX512VNNI) {
				t.Fatalf("%s: Attend = %v", tier, ok)
			} else if !ok {
				break
			}
			if left := got.Ahead.left(); left != nil && keys > 1 {
				t.Fatalf("%d bytes were not asked for", left.bytes)
			}
			attendApart(s, a, &scratch)
			for j, want := range a.Dst.Data {
				if !same32(got.Dst.Data[j], want) {
					t.Fatalf("%d heads, %d rows that own %x of %d keys, depth %d, width %d, scale %v, mask %v: [%d] = %v, want %v",
						a.Heads, a.Rows, a.Own, keys, a.Depth, a.Width, a.Scale, a.Mask.Data != nil, j, got.Dst.Data[j], want)
				}
			}
		}
	}
}

// TestAttendRefuses has the cases without a routine.
func TestAttendRefuses(t *testing.T) {
	s := For(Best())
	for name, change := range map[string]func(a *Attention){
		"depth":    func(a *Attention) { a.Depth = 8 },
		"keys":     func(a *Attention) { a.Keys = MostAttendKeys + 1 },
		"no keys":  func(a *Attention) { a.Keys = 0 },
		"much own": func(a *Attention) { a.Own = slices.Repeat([]uint64{1<<33 - 1}, a.Rows) },
	} {
		a := randomAttention(rand.New(rand.NewPCG(1, 1)), 60, true)
		change(a)
		if s.Attend(a, new(Scratch)) {
			t.Errorf("%s: Attend = true", name)
		}
	}
}
