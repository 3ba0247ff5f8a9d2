package checkpoint

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// Extent is the part of one dimension that a slice covers; Length -1 is all of it.
type Extent struct{ Start, Length int64 }

// whole is the Extent.Length of a whole dimension.
const whole = -1

// maxRank bounds the dimensions of a tensor, as TensorFlow does.
const maxRank = 254

// Slice is a part of a tensor, one Extent a dimension.
type Slice []Extent

// ParseSlice reads the specification of a slice that RestoreV2 takes, "70 3 0,66:-": the dimensions of the whole tensor, and
// for each start,length or - for all of it. An empty text is the whole tensor: both results are nil.
func ParseSlice(text string) (full tensor.Shape, s Slice, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil, nil
	}
	words := strings.Fields(text)
	if len(words) > maxRank+1 {
		return nil, nil, fmt.Errorf("slice %q has too many dimensions", text)
	}
	extents := words[len(words)-1]
	full = tensor.Shape{}
	for _, w := range words[:len(words)-1] {
		d, err := strconv.Atoi(w)
		if err != nil || d < 0 {
			return nil, nil, fmt.Errorf("slice %q: dimension %q is no size", text, w)
		}
		full = append(full, d)
	}
	parts := strings.Split(extents, ":")
	if len(full) == 0 || len(parts) != len(full) {
		return nil, nil, fmt.Errorf("slice %q has %d extents for %d dimensions", text, len(parts), len(full))
	}
	for i, p := range parts {
		e := Extent{0, whole}
		if p != "-" {
			start, length, ok := strings.Cut(p, ",")
			var err1, err2 error
			e.Start, err1 = strconv.ParseInt(start, 10, 64)
			e.Length, err2 = strconv.ParseInt(length, 10, 64)
			if !ok || err1 != nil || err2 != nil || e.Start < 0 || e.Length < 0 || e.Start > int64(full[i]) || e.Length > int64(full[i])-e.Start {
				return nil, nil, fmt.Errorf("slice %q: %q is no part of a dimension of size %d", text, p, full[i])
			}
		}
		s = append(s, e)
	}
	return full, s, nil
}

// resolve returns the start and size of the slice in each dimension of full.
func (s Slice) resolve(full tensor.Shape) (start []int, size tensor.Shape, err error) {
	if len(s) != len(full) {
		return nil, nil, fmt.Errorf("slice of %d dimensions of a tensor of shape %v", len(s), full)
	}
	size = tensor.Shape{}
	for i, e := range s {
		dim := int64(full[i])
		length := e.Length
		if length == whole {
			length = dim - e.Start
		}
		if e.Start < 0 || length < 0 || e.Start > dim || length > dim-e.Start {
			return nil, nil, fmt.Errorf("slice [%d, +%d) of dimension %d lies outside of shape %v", e.Start, e.Length, i, full)
		}
		start, size = append(start, int(e.Start)), append(size, int(length))
	}
	return start, size, nil
}

// covers reports whether s is all of full.
func (s Slice) covers(full tensor.Shape) bool {
	_, size, err := s.resolve(full)
	return err == nil && size.Equal(full)
}

// readSlice decodes a TensorSliceProto.
func readSlice(b []byte) (Slice, error) {
	var s Slice
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		if num != 1 {
			return nil
		}
		e := Extent{0, whole}
		if len(s) == maxRank {
			return fmt.Errorf("slice has too many dimensions")
		}
		err := wire.EachField(raw, func(num protowire.Number, v uint64, _ []byte) error {
			switch num {
			case 1:
				e.Start = int64(v)
			case 2:
				e.Length = int64(v)
			}
			return nil
		})
		s = append(s, e)
		return err
	})
	return s, err
}

// sliceKey returns the key under which the index files a slice of the tensor name. Extents are spelt as the tensor's entry
// has them: a whole dimension may be -1 or its size, and the two are different keys.
func sliceKey(name string, s Slice) string {
	b := appendOrderedNumber(nil, 0)
	b = appendOrderedString(b, name)
	b = appendOrderedNumber(b, uint64(len(s)))
	for _, e := range s {
		b = appendOrderedSigned(b, e.Start)
		b = appendOrderedSigned(b, e.Length)
	}
	return string(b)
}

// appendOrderedNumber appends the count of v's bytes and these, high byte first.
func appendOrderedNumber(b []byte, v uint64) []byte {
	n := (bits.Len64(v) + 7) / 8
	b = append(b, byte(n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// appendOrderedString appends s with 00 as 00 ff and ff as ff 00, and an end of 00 01.
func appendOrderedString(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case 0:
			b = append(b, 0, 0xff)
		case 0xff:
			b = append(b, 0xff, 0)
		default:
			b = append(b, s[i])
		}
	}
	return append(b, 0, 1)
}

// appendOrderedSigned appends v in as many bytes n as its value needs, high byte first, with n leading ones that say so; a
// negative number is the complement of its complement.
func appendOrderedSigned(b []byte, v int64) []byte {
	x := uint64(v)
	if v < 0 {
		x = ^x
	}
	n := 1
	for n < 10 && bits.Len64(x) >= 7*n {
		n++
	}
	// n ones, a zero and the value are 8n bits; n is 10 at most, so that two bytes hold the ones.
	out := make([]byte, n)
	for i := range n {
		if shift := 8 * (n - 1 - i); shift < 64 {
			out[i] = byte(x >> shift)
		}
	}
	for i := range n {
		out[i/8] |= 0x80 >> (i % 8)
	}
	if v < 0 {
		for i := range out {
			out[i] = ^out[i]
		}
	}
	return append(b, out...)
}
