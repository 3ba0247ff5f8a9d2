package calib

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

const (
	statisticsFormat = "tfq8 statistics"
	statisticsWhat   = "statistics"
)

// StatisticsFile is what a calibration run leaves: the counts of every observed
// tensor, and the graph that they belong to. Thresholds follow from it under
// any rule without another run, and the files of several runs merge.
type StatisticsFile struct {
	Tool    string // version of the program that wrote it; for people
	Graph   Hash
	Tensors *Collector
}

// Merge adds the counts of another file of the same graph; for one of another
// graph it returns a *StaleError that has the given name.
func (f *StatisticsFile) Merge(o *StatisticsFile, name string) error {
	if o.Graph != f.Graph {
		return &StaleError{File: name, What: statisticsWhat, Have: o.Graph, Want: f.Graph}
	}
	f.Tensors.Merge(o.Tensors)
	return nil
}

// Write writes the file as JSON. Equal content gives equal bytes.
func (f *StatisticsFile) Write(w io.Writer) error {
	b, err := appendHeader(nil, statisticsFormat, f.Tool, f.Graph)
	if err == nil {
		b, err = appendTensors(b, f.Tensors.Names(), func(b []byte, name string) ([]byte, error) {
			s := f.Tensors.Statistics(name)
			if s.n > maxCount {
				return nil, fieldf(`"n"`, "have %d, want at most 2^53", s.n)
			}
			return appendStatistics(b, s), nil
		})
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("calib: cannot write the statistics: %w", err)
	}
	return nil
}

// appendStatistics writes the statistics of one tensor as a JSON object without
// blanks. The counts of a sign are a flat list: first key, count, step to the
// next key, its count, and so on.
func appendStatistics(b []byte, s *Statistics) []byte {
	number := func(name string, v uint64) {
		b = append(b, `,"`+name+`":`...)
		b = strconv.AppendUint(b, v, 10)
	}
	b = append(b, `{"n":`...)
	b = strconv.AppendUint(b, s.n, 10)
	number("zeros", s.zeros)
	number("nans", s.nans)
	number("pinf", s.posInfs)
	number("ninf", s.negInfs)
	if lo, hi, ok := s.Range(); ok {
		b = fmt.Appendf(b, `,"min":"%08x","max":"%08x"`, math.Float32bits(lo), math.Float32bits(hi))
	} else {
		b = append(b, `,"min":null,"max":null`...)
	}
	b = append(b, `,"emax":`...)
	b = strconv.AppendInt(b, int64(s.emax()), 10)
	number("below_pos", s.belowCount(0))
	number("below_neg", s.belowCount(1))
	for sign, name := range [...]string{"pos", "neg"} {
		b = append(b, `,"`+name+`":[`...)
		previous := uint32(0)
		for i, k := range s.buckets(sign) {
			if i > 0 {
				b = append(b, ',')
			}
			key := k.id &^ signKey
			b = strconv.AppendUint(b, uint64(key-previous), 10)
			b = append(b, ',')
			b = strconv.AppendUint(b, k.count, 10)
			previous = key
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// ReadStatistics reads a file that Write wrote. The name is for errors, which
// also name the field. A file of another graph is refused with a *StaleError;
// the zero Hash accepts any graph. Everything in the file is checked: sizes are
// bounded, the counts must add up, and the extremes must agree with them.
func ReadStatistics(r io.Reader, name string, graph Hash) (*StatisticsFile, error) {
	f := &StatisticsFile{Tensors: new(Collector)}
	err := readFile(r, name, statisticsWhat, func(d *json.Decoder) error {
		return object(d, append(slices.Clone(headerFields), "tensors"), func(key string) error {
			if ok, err := readHeader(d, key, statisticsFormat, &f.Tool, &f.Graph); ok {
				return err
			}
			if key != "tensors" {
				return errUnknownField
			}
			return object(d, nil, func(tensor string) error {
				if len(f.Tensors.tensors) == maxTensors {
					return fmt.Errorf("have more than %d tensors, want fewer", maxTensors)
				}
				s, err := parseStatistics(d)
				if err != nil {
					return err
				}
				*f.Tensors.tensor(tensor) = *s
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	if err := checkGraph(name, statisticsWhat, f.Graph, graph); err != nil {
		return nil, err
	}
	return f, nil
}

var statisticsFields = []string{"n", "zeros", "nans", "pinf", "ninf", "min", "max", "emax", "below_pos", "below_neg", "pos", "neg"}

// parseStatistics reads what appendStatistics writes and checks it.
func parseStatistics(d *json.Decoder) (*Statistics, error) {
	var (
		s        Statistics
		lo, hi   *float32
		emax     string
		lists    [2][]bucket
		counters = map[string]*uint64{
			"n": &s.n, "zeros": &s.zeros, "nans": &s.nans, "pinf": &s.posInfs, "ninf": &s.negInfs,
			"below_pos": &s.below[0], "below_neg": &s.below[1],
		}
	)
	err := object(d, statisticsFields, func(key string) (err error) {
		if c := counters[key]; c != nil {
			*c, err = readCount(d)
			return err
		}
		switch key {
		case "min":
			lo, err = readBits(d)
		case "max":
			hi, err = readBits(d)
		case "emax":
			var raw json.RawMessage
			err = d.Decode(&raw)
			emax = string(raw)
		case "pos":
			lists[0], err = readBuckets(d, 0)
		case "neg":
			lists[1], err = readBuckets(d, signKey)
		default:
			err = errUnknownField
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.restore(lo, hi, lists); err != nil {
		return nil, err
	}
	if have := strconv.Itoa(s.emax()); emax != have {
		return nil, fieldf(`"emax"`, "have %.40s, want %s, which follows from min and max", emax, have)
	}
	return &s, nil
}

// readBits reads null or the bits of a finite float32 other than -0, as eight
// hexadecimal digits.
func readBits(d *json.Decoder) (*float32, error) {
	t, err := d.Token()
	if err != nil || t == nil {
		return nil, err
	}
	if text, ok := t.(string); ok && len(text) == 8 {
		b, err := strconv.ParseUint(text, 16, 32)
		if err == nil && b&^signBit < infBits && b != signBit && fmt.Sprintf("%08x", b) == text {
			v := math.Float32frombits(uint32(b))
			return &v, nil
		}
	}
	return nil, fmt.Errorf("have %s, want null or eight lower-case hexadecimal digits, the bits of a finite number", short(t))
}

// readBuckets reads a flat list of keys and counts; sign is added to the keys.
func readBuckets(d *json.Decoder, sign uint32) ([]bucket, error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != '[' {
		return nil, errors.New("want a list of numbers")
	}
	body := bytes.TrimSpace(raw[1 : len(raw)-1])
	if len(body) == 0 {
		return nil, nil
	}
	length := bytes.Count(body, []byte{','}) + 1
	if length%2 != 0 || length > 2*windowKeys {
		return nil, fmt.Errorf("have %d numbers, want an even number up to %d", length, 2*windowKeys)
	}
	out := make([]bucket, 0, length/2)
	key := uint64(0)
	for i := range length {
		text, rest, _ := bytes.Cut(body, []byte{','})
		body = rest
		v, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
		switch {
		case err != nil || v > maxCount:
			return nil, fmt.Errorf("number %d: have %.40q, want an integer up to 2^53", i, text)
		case v == 0 && i > 0:
			return nil, fmt.Errorf("number %d: have 0, want a step or a count of at least 1", i)
		case i%2 == 1:
			out[len(out)-1].count = v
		case key+v >= infBits>>keyShift:
			return nil, fmt.Errorf("number %d: have the key %d, want one of a finite number, below %d", i, key+v, infBits>>keyShift)
		default:
			key += v
			out = append(out, bucket{id: sign + uint32(key)})
		}
	}
	return out, nil
}

// restore completes statistics whose plain counters are set, or says what does
// not fit together.
func (s *Statistics) restore(lo, hi *float32, lists [2][]bucket) error {
	sum := s.zeros + s.nans + s.posInfs + s.negInfs // each at most 2^53: no overflow
	var signed [2]uint64
	for sign, list := range lists {
		signed[sign] = s.below[sign]
		for _, b := range list {
			if signed[sign] += b.count; signed[sign] > maxCount {
				return fieldf(`"n"`, "have counts that add up to more than 2^53, want fewer")
			}
		}
		sum += signed[sign]
	}
	if s.n != sum {
		return fieldf(`"n"`, "have %d, want %d, the sum of all counts", s.n, sum)
	}
	s.prepare()
	if finite := s.zeros + signed[0] + signed[1]; finite == 0 || lo == nil || hi == nil {
		if finite == 0 && lo == nil && hi == nil {
			return nil
		}
		return fieldf(`"min"`, "with %d finite values, want min and max numbers if there is any, else both null", finite)
	}
	switch {
	case *lo > *hi:
		return fieldf(`"min"`, "have %g, want at most max, %g", *lo, *hi)
	case (*lo < 0) != (signed[1] > 0) || s.zeros > 0 && *lo > 0:
		return fieldf(`"min"`, "have %g, which does not fit %d negative values and %d zeros", *lo, signed[1], s.zeros)
	case (*hi > 0) != (signed[0] > 0) || s.zeros > 0 && *hi < 0:
		return fieldf(`"max"`, "have %g, which does not fit %d positive values and %d zeros", *hi, signed[0], s.zeros)
	case *lo == 0 && s.zeros == 0 || *hi == 0 && s.zeros == 0:
		return fieldf(`"zeros"`, "have 0, want at least 1, because an extreme is 0")
	}
	// From here on the values that decide the window are known.
	if signed[0] > 0 || s.zeros > 0 {
		s.pos = max(0, int32(math.Float32bits(max(*hi, 0))))
	}
	if signed[1] > 0 {
		s.neg = math.Float32bits(*lo)
	}
	s.least = 0
	if *lo > 0 {
		s.least = math.Float32bits(*lo)
	} else if *hi < 0 {
		s.least = math.Float32bits(*hi) &^ signBit
	}
	s.base = windowBase(s.emax())
	s.tabulate()
	for sign, extreme := range [2]float32{*hi, -*lo} {
		least := float32(-1) // not known
		if (*lo > 0 && sign == 0) || (*hi < 0 && sign == 1) {
			least = math.Float32frombits(s.least)
		}
		if err := s.fits(sign, lists[sign], extreme, least); err != nil {
			return inField([2]string{`"pos"`, `"neg"`}[sign], err)
		}
		s.large = append(s.large, lists[sign]...)
	}
	return nil
}

// fits checks that the buckets of a sign lie in the window and end where the
// extremes are: most is the largest magnitude when positive, least the smallest
// when not negative.
func (s *Statistics) fits(sign int, list []bucket, most, least float32) error {
	key := func(v float32) uint32 { return math.Float32bits(v) >> keyShift }
	if len(list) > 0 {
		if first := list[0].id &^ signKey; first < s.base {
			return fmt.Errorf("have the key %d, want at least %d, which follows from the extremes", first, s.base)
		}
		if last := list[len(list)-1].id &^ signKey; most <= 0 || last != key(most) {
			return fmt.Errorf("have the last key %d, which is not that of the extreme %g", last, most)
		}
	} else if most > 0 && key(most) >= s.base {
		return fmt.Errorf("have no key, want that of the extreme %g", most)
	}
	if least >= 0 {
		switch {
		case s.below[sign] > 0 && key(least) >= s.base:
			return fmt.Errorf("have %d values under the window, which does not fit the extreme %g", s.below[sign], least)
		case s.below[sign] == 0 && list[0].id&^signKey != key(least):
			return fmt.Errorf("have the first key %d, which is not that of the extreme %g", list[0].id&^signKey, least)
		}
	}
	if s.below[sign] > 0 && s.base == 0 {
		return fmt.Errorf("have %d values under the window, want none, because the window starts at 0", s.below[sign])
	}
	return nil
}
