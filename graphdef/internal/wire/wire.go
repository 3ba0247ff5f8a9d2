// Package wire walks protobuf messages field by field, for those of which few fields matter.
package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// EachField calls f for each field of a message: v for numbers, raw, not nil, for length-delimited fields.
func EachField(b []byte, f func(num protowire.Number, v uint64, raw []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("malformed message: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var v uint64
		var raw []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var w uint32
			w, n = protowire.ConsumeFixed32(b)
			v = uint64(w)
		case protowire.BytesType:
			if raw, n = protowire.ConsumeBytes(b); raw == nil {
				raw = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("malformed message: field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(num, v, raw); err != nil {
			return err
		}
	}
	return nil
}
