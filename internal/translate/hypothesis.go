package translate

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfq8/tfq8/tensor"
)

// Hypothesis is one translation of one sentence.
type Hypothesis struct {
	// IDs are its pieces, without start token, end of sentence and padding.
	IDs []int
	// Stopped is true where the graph ended it with eos; false where it ran into the limit of its length.
	Stopped bool
	// Score is what the graph gave it, NaN where the graph has no scores.
	Score float64
}

// Tokens returns the number of tokens that the graph generated for it: its pieces, and eos if it came to that.
func (h Hypothesis) Tokens() int {
	if h.Stopped {
		return len(h.IDs) + 1
	}
	return len(h.IDs)
}

// ReadHypothesis returns the hypothesis in a row of ids: without a leading start token (pad or bos, or eos where more than
// padding follows), cut at the first eos, without pads. bos is negative where there is none.
func ReadHypothesis(row []int, eos, pad, bos int) Hypothesis {
	if len(row) > 0 && isStart(row, eos, pad, bos) {
		row = row[1:]
	}
	h := Hypothesis{Score: math.NaN()}
	if end := slices.Index(row, eos); end >= 0 {
		row, h.Stopped = row[:end], true
	}
	for _, id := range row {
		if id != pad {
			h.IDs = append(h.IDs, id)
		}
	}
	return h
}

// isStart reports whether the first id of row is a start token.
func isStart(row []int, eos, pad, bos int) bool {
	switch first := row[0]; {
	case first == eos:
		// Some models start with the token that also ends.
		return slices.ContainsFunc(row[1:], func(id int) bool { return id != pad })
	default:
		return first == pad || first == bos && bos >= 0
	}
}

// Rows returns the ids in t, [batch, length] or [batch, beam, length], by sentence and beam: the first beams of them.
func Rows(t *tensor.Tensor, batch, beams int) ([][][]int, error) {
	shape := t.Shape()
	if r := t.Rank(); r != 2 && r != 3 || shape[0] != batch {
		return nil, fmt.Errorf("have shape %v, want [%d, length] or [%[2]d, beam, length]", shape, batch)
	}
	have, length := 1, shape[len(shape)-1]
	if t.Rank() == 3 {
		have = shape[1]
	}
	if have < beams {
		return nil, fmt.Errorf("have %d hypotheses a sentence, want %d", have, beams)
	}
	ids, err := ints(t)
	if err != nil {
		return nil, err
	}
	out := make([][][]int, batch)
	for i := range out {
		for b := range beams {
			at := (i*have + b) * length
			out[i] = append(out[i], ids[at:at+length])
		}
	}
	return out, nil
}

// ints returns the elements of an integer tensor.
func ints(t *tensor.Tensor) ([]int, error) {
	switch t.DType() {
	case tensor.Int32:
		return widened(tensor.Data[int32](t)), nil
	case tensor.Int64:
		return widened(tensor.Data[int64](t)), nil
	case tensor.Int16:
		return widened(tensor.Data[int16](t)), nil
	case tensor.Uint16:
		return widened(tensor.Data[uint16](t)), nil
	case tensor.Uint32:
		return widened(tensor.Data[uint32](t)), nil
	}
	return nil, fmt.Errorf("have dtype %v, want int32 or int64", t.DType())
}

func widened[T int16 | uint16 | int32 | uint32 | int64](in []T) []int {
	out := make([]int, len(in))
	for i, v := range in {
		out[i] = int(v)
	}
	return out
}

// scores returns the scores in t, [batch] or [batch, beam], by sentence and beam.
func scores(t *tensor.Tensor, batch, beams int) ([][]float64, error) {
	shape := t.Shape()
	have := 1
	if t.Rank() == 2 {
		have = shape[1]
	}
	if r := t.Rank(); r != 1 && r != 2 || shape[0] != batch || have < beams {
		return nil, fmt.Errorf("have shape %v, want [%d, %d]", shape, batch, beams)
	}
	all, err := Floats(t)
	if err != nil {
		return nil, err
	}
	out := make([][]float64, batch)
	for i := range out {
		out[i] = all[i*have : i*have+beams]
	}
	return out, nil
}

// Floats returns the elements of a tensor of a float dtype.
func Floats(t *tensor.Tensor) ([]float64, error) {
	out := make([]float64, t.Len())
	switch t.DType() {
	case tensor.Float32:
		for i, v := range tensor.Data[float32](t) {
			out[i] = float64(v)
		}
	case tensor.Float64:
		copy(out, tensor.Data[float64](t))
	case tensor.Float16:
		for i, v := range tensor.Data[uint16](t) {
			out[i] = float64(tensor.FromHalf(v))
		}
	case tensor.Bfloat16:
		for i, v := range tensor.Data[uint16](t) {
			out[i] = float64(tensor.FromBfloat(v))
		}
	default:
		return nil, fmt.Errorf("have dtype %v, want float", t.DType())
	}
	return out, nil
}
