package text

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// modelProto holds those fields of sentencepiece_model.proto (ModelProto) that change answers.
type modelProto struct {
	pieces                   []piece
	trainer                  trainerSpec
	normalizer, denormalizer normalizerSpec
}

type trainerSpec struct {
	algorithm                    algorithm
	spaceAsSuffix, byteFallback  bool
	bosPiece, eosPiece, padPiece string
	unkSurface                   string
}

type normalizerSpec struct {
	charsmap                                       []byte
	addDummyPrefix, removeExtraSpaces, escapeSpace bool
}

// readProto reads a ModelProto. Fields it does not know, and known fields of another wire type, are skipped, as the
// protobuf libraries do; a message that comes twice is merged.
func readProto(data []byte) (*modelProto, error) {
	defaults := normalizerSpec{addDummyPrefix: true, removeExtraSpaces: true, escapeSpace: true}
	p := &modelProto{
		trainer:      trainerSpec{algorithm: unigramModel, unkSurface: " \u2047 "},
		normalizer:   defaults,
		denormalizer: defaults,
	}
	err := eachField(data, func(f field) error {
		if f.kind != protowire.BytesType {
			return nil
		}
		switch f.number {
		case 1:
			q, err := readPiece(f.bytes)
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(p.pieces), err)
			}
			// Refused here and not after reading, so that a file of empty pieces cannot fill the memory.
			if q.text == "" {
				return fmt.Errorf("piece %d is empty", len(p.pieces))
			}
			p.pieces = append(p.pieces, q)
		case 2:
			if err := p.trainer.read(f.bytes); err != nil {
				return fmt.Errorf("trainer_spec: %w", err)
			}
		case 3:
			if err := p.normalizer.read(f.bytes); err != nil {
				return fmt.Errorf("normalizer_spec: %w", err)
			}
		case 5:
			if err := p.denormalizer.read(f.bytes); err != nil {
				return fmt.Errorf("denormalizer_spec: %w", err)
			}
		}
		return nil
	})
	return p, err
}

func readPiece(data []byte) (piece, error) {
	q := piece{kind: Normal}
	err := eachField(data, func(f field) error {
		switch {
		case f.number == 1 && f.kind == protowire.BytesType:
			q.text = string(f.bytes)
		case f.number == 2 && f.kind == protowire.Fixed32Type:
			q.score = math.Float32frombits(uint32(f.scalar))
		case f.number == 3 && f.kind == protowire.VarintType:
			// An enum value that the schema does not list counts as an unknown field.
			if f.scalar >= uint64(Normal) && f.scalar <= uint64(Byte) {
				q.kind = Kind(f.scalar)
			}
		}
		return nil
	})
	return q, err
}

func (t *trainerSpec) read(data []byte) error {
	return eachField(data, func(f field) error {
		switch f.kind {
		case protowire.VarintType:
			switch f.number {
			case 3:
				if f.scalar >= uint64(unigramModel) && f.scalar <= uint64(charModel) {
					t.algorithm = algorithm(f.scalar)
				}
			case 24:
				t.spaceAsSuffix = f.scalar != 0
			case 35:
				t.byteFallback = f.scalar != 0
			}
		case protowire.BytesType:
			switch f.number {
			case 44:
				t.unkSurface = string(f.bytes)
			case 46:
				t.bosPiece = string(f.bytes)
			case 47:
				t.eosPiece = string(f.bytes)
			case 48:
				t.padPiece = string(f.bytes)
			}
		}
		return nil
	})
}

func (n *normalizerSpec) read(data []byte) error {
	return eachField(data, func(f field) error {
		switch {
		case f.number == 2 && f.kind == protowire.BytesType:
			n.charsmap = f.bytes
		case f.number == 3 && f.kind == protowire.VarintType:
			n.addDummyPrefix = f.scalar != 0
		case f.number == 4 && f.kind == protowire.VarintType:
			n.removeExtraSpaces = f.scalar != 0
		case f.number == 5 && f.kind == protowire.VarintType:
			n.escapeSpace = f.scalar != 0
		}
		return nil
	})
}

// field is one field of a message: bytes for length-delimited ones, scalar for numbers.
type field struct {
	number protowire.Number
	kind   protowire.Type
	scalar uint64
	bytes  []byte
}

// eachField calls visit for each field of a message in order; bytes alias data.
func eachField(data []byte, visit func(field) error) error {
	for rest := data; len(rest) > 0; {
		offset := len(data) - len(rest)
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("offset %d: %w", offset, protowire.ParseError(n))
		}
		rest = rest[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.scalar, n = protowire.ConsumeVarint(rest)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(rest)
			f.scalar = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(rest)
		default:
			n = protowire.ConsumeFieldValue(number, kind, rest)
		}
		if n < 0 {
			return fmt.Errorf("field %d at offset %d: %w", number, offset, protowire.ParseError(n))
		}
		rest = rest[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}
