package savedmodel_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// mapFields rewrites the length-delimited fields of a message; nil drops one.
func mapFields(t *testing.T, b []byte, f func(num int, raw []byte) []byte) []byte {
	t.Helper()
	var out []byte
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if n < 0 || m < 0 {
			t.Fatal("malformed message")
		}
		if typ != protowire.BytesType {
			out = append(out, b[:n+m]...)
		} else {
			raw, _ := protowire.ConsumeBytes(b[n:])
			if raw = f(int(num), raw); raw != nil {
				out = protowire.AppendBytes(protowire.AppendTag(out, num, typ), raw)
			}
		}
		b = b[n+m:]
	}
	return out
}
