package runtime

import (
	"encoding/base64"
	enc "encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/dchest/siphash"
	"github.com/dgryski/go-farm"
	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/tensor"
)

// decodeRawOp reads the bytes of each string as numbers, which make up a last dimension.
func decodeRawOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	d, little := r.Type("out_type"), r.Bool("little_endian")
	if err := r.Err(); err != nil {
		return nil, err
	}
	size := d.Size()
	if size == 0 || d.IsQuantized() {
		return nil, fmt.Errorf("out_type is %v, want a type of numbers", d)
	}
	unit := size // of which a complex number has two
	if d == tensor.Complex64 || d == tensor.Complex128 {
		unit /= 2
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "bytes")
		if err != nil {
			return err
		}
		width := 0
		for i, s := range in {
			if i == 0 {
				width = len(s)
			}
			if len(s) != width {
				return fmt.Errorf("bytes has strings of %d and %d bytes, want equal lengths", width, len(s))
			}
		}
		if width%size != 0 {
			return fmt.Errorf("bytes has strings of %d bytes, want a multiple of the %d of a %v", width, size, d)
		}
		t, err := c.alloc(0, d, append(c.in(0).Shape().Clone(), width/size))
		if err != nil {
			return err
		}
		out := t.Bytes()
		for i, s := range in {
			copy(out[i*width:], s)
		}
		if d == tensor.Bool {
			for i, v := range out {
				out[i] = min(v, 1)
			}
		}
		if !little && unit > 1 {
			for i := 0; i < len(out); i += unit {
				for a, b := i, i+unit-1; a < b; a, b = a+1, b-1 {
					out[a], out[b] = out[b], out[a]
				}
			}
		}
		return nil
	}, nil
}

// encodeBase64Op writes the alphabet that is safe in URLs.
func encodeBase64Op(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	pad, err := n.Bool("pad")
	if err != nil {
		return nil, err
	}
	b64 := base64.RawURLEncoding
	if pad {
		b64 = base64.URLEncoding
	}
	return func(c *call) error {
		return mapText(c, func(s string) string { return b64.EncodeToString([]byte(s)) })
	}, nil
}

// decodeBase64Op takes text with padding or without.
func decodeBase64Op(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		var bad error
		err := mapText(c, func(s string) string {
			text := s
			if len(s)%4 == 0 && strings.HasSuffix(s, "=") {
				text = strings.TrimSuffix(s[:len(s)-1], "=")
			}
			b, err := base64.RawURLEncoding.DecodeString(text)
			if err == nil && strings.ContainsAny(text, "\r\n") {
				err = errors.New("has a line break")
			}
			if err != nil && bad == nil {
				bad = fmt.Errorf("input has %q, which is not base64 for URLs: %w", s, err)
			}
			return string(b)
		})
		return errors.Join(err, bad)
	}, nil
}

// serializeTensorOp writes its input as a TensorProto.
func serializeTensorOp(*graphdef.Node, *kernels.Set) (evalFunc, error) {
	return func(c *call) error {
		if d := c.in(0).DType(); d == tensor.Resource || d == tensor.Variant {
			return fmt.Errorf("tensor is a %v, want values", d)
		}
		setText(c, 0, nil, []string{string(graphdef.EncodeTensor(c.in(0)))})
		return nil
	}, nil
}

func parseTensorOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	d, err := n.Type("out_type")
	if err != nil {
		return nil, err
	}
	return func(c *call) error {
		s, err := scalarText(c.in(0), "serialized")
		if err != nil {
			return err
		}
		t, err := graphdef.DecodeTensor([]byte(s))
		if err != nil {
			return fmt.Errorf("serialized is not a TensorProto: %w", err)
		}
		if t.DType() != d {
			return fmt.Errorf("serialized holds %v, want out_type %v", t.DType(), d)
		}
		c.set(0, t)
		return nil
	}, nil
}

// stringHashOp puts each string into one of num_buckets buckets, by the hash function of the op.
func stringHashOp(n *graphdef.Node, _ *kernels.Set) (evalFunc, error) {
	r := n.AttrReader()
	buckets := r.Int("num_buckets")
	hash := farm.Fingerprint64
	switch n.Op() {
	case "StringToHashBucket":
		hash = hash64
	case "StringToHashBucketStrong":
		key := r.Ints("key")
		if r.Err() == nil && len(key) != 2 {
			return nil, fmt.Errorf("key has %d elements, want 2", len(key))
		}
		hash = func(b []byte) uint64 { return siphash.Hash(uint64(key[0]), uint64(key[1]), b) }
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if buckets < 1 {
		return nil, fmt.Errorf("num_buckets is %d, want at least 1", buckets)
	}
	return func(c *call) error {
		in, err := textOf(c.in(0), "input")
		if err != nil {
			return err
		}
		t, err := c.alloc(0, tensor.Int64, c.in(0).Shape())
		if err != nil {
			return err
		}
		out := tensor.Data[int64](t)
		for i, s := range in {
			out[i] = int64(hash([]byte(s)) % uint64(buckets))
		}
		return nil
	}, nil
}

// hash64 is the hash of TensorFlow's first bucket op: MurmurHash64A with a seed of its own.
func hash64(b []byte) uint64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := 0xDECAFCAFFE ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := enc.LittleEndian.Uint64(b) * m
		k ^= k >> r
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ enc.LittleEndian.Uint64(tail[:])) * m
	}
	h ^= h >> r
	h *= m
	return h ^ h>>r
}
