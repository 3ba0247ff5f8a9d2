package calib

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
)

const (
	thresholdsFormat = "tfq8 thresholds"
	thresholdsWhat   = "thresholds"
)

// Thresholds is the outcome of calibration: the range of every tensor, the rule
// that chose them, and the graph that they belong to.
type Thresholds struct {
	Tool    string // version of the program that wrote it; for people
	Graph   Hash
	Rule    Rule
	Tensors map[string]Threshold
}

// Thresholds applies a rule to every tensor of the file. Errors are those of
// Rule.Apply.
func (f *StatisticsFile) Thresholds(r Rule) (*Thresholds, error) {
	all, err := r.Apply(f.Tensors)
	if err != nil {
		return nil, err
	}
	return &Thresholds{Tool: f.Tool, Graph: f.Graph, Rule: r, Tensors: all}, nil
}

// constant is a parameter of a rule.
type constant struct {
	name  string
	value uint64
}

// constants returns what besides its name and the statistics decides the result
// of a rule, in the order in which a file lists it.
func (r Rule) constants() []constant {
	grid := []constant{{"buckets_per_octave", perOctave}, {"octaves", keptOctaves}}
	levels := constant{"levels", signedLevels}
	oneSided := constant{"levels_one_sided", oneSidedLevels}
	bins := constant{"bins", windowBins}
	switch r.Kind {
	case KLSymmetric, KLIndependent, KLConjugate:
		return append(grid, levels, bins)
	case Percentile:
		return append(grid, constant{"ppm", uint64(r.ppm())})
	case MSE:
		return append(grid, levels, oneSided, constant{"search_octaves", mseOctaves})
	case GuardedKL:
		return append(grid, levels, oneSided, bins, constant{"search_octaves", guardedOctaves},
			constant{"least_values", guardedMinimum}, constant{"clipped_energy_one_in", clippedShare})
	}
	return nil
}

// Write writes the file as JSON. Equal content gives equal bytes.
func (t *Thresholds) Write(w io.Writer) error {
	b, err := appendHeader(nil, thresholdsFormat, t.Tool, t.Graph)
	if err == nil {
		b = append(b, `"rule":{"name":"`+t.Rule.Kind.String()+`"`...)
		for _, c := range t.Rule.constants() {
			b = append(b, `,"`+c.name+`":`...)
			b = strconv.AppendUint(b, c.value, 10)
		}
		b = append(b, "},\n"...)
		b, err = appendTensors(b, slices.Sorted(maps.Keys(t.Tensors)), func(b []byte, name string) ([]byte, error) {
			return appendThreshold(b, t.Tensors[name])
		})
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("calib: cannot write the thresholds: %w", err)
	}
	return nil
}

func appendThreshold(b []byte, t Threshold) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	number := func(name string, v float64, size int) {
		b = append(b, `,"`+name+`":`...)
		b = strconv.AppendFloat(b, v+0, 'g', -1, size)
	}
	b = append(b, `{"class":"`+t.Class.String()+`"`...)
	number("lo", float64(t.Lo), 32)
	number("hi", float64(t.Hi), 32)
	number("sqnr_db", t.SQNR, 64)
	number("clipped", t.Clipped, 64)
	b, err := appendText(append(b, `,"note":`...), t.Note)
	if err != nil {
		return nil, inField(`"note"`, err)
	}
	return append(b, '}'), nil
}

// check returns what is wrong with a threshold.
func (t Threshold) check() error {
	finite := func(v float64) bool { return v-v == 0 }
	switch {
	case !finite(float64(t.Lo)) || t.Lo > 0:
		return fieldf(`"lo"`, "have %g, want a finite number not above 0", t.Lo)
	case !finite(float64(t.Hi)) || t.Hi < 0:
		return fieldf(`"hi"`, "have %g, want a finite number not below 0", t.Hi)
	case !finite(t.SQNR):
		return fieldf(`"sqnr_db"`, "have %g, want a finite number", t.SQNR)
	case math.IsNaN(t.Clipped) || t.Clipped < 0 || t.Clipped > 1:
		return fieldf(`"clipped"`, "have %g, want a number from 0 to 1", t.Clipped)
	case int(t.Class) >= len(classNames):
		return fieldf(`"class"`, "have %v, want one of %v", t.Class, classNames)
	}
	return nil
}

// ReadThresholds reads a file that Write wrote. The name is for errors, which
// also name the field. A file of another graph is refused with a *StaleError;
// the zero Hash accepts any graph. A rule with other constants than this
// version's is refused: the statistics give its thresholds anew.
func ReadThresholds(r io.Reader, name string, graph Hash) (*Thresholds, error) {
	t := &Thresholds{Tensors: map[string]Threshold{}}
	err := readFile(r, name, thresholdsWhat, func(d *json.Decoder) error {
		return object(d, append(slices.Clone(headerFields), "rule", "tensors"), func(key string) error {
			if ok, err := readHeader(d, key, thresholdsFormat, &t.Tool, &t.Graph); ok {
				return err
			}
			switch key {
			case "rule":
				return readRule(d, &t.Rule)
			case "tensors":
				return object(d, nil, func(tensor string) (err error) {
					if len(t.Tensors) == maxTensors {
						return fmt.Errorf("have more than %d tensors, want fewer", maxTensors)
					}
					t.Tensors[tensor], err = readThreshold(d)
					return err
				})
			}
			return errUnknownField
		})
	})
	if err != nil {
		return nil, err
	}
	if err := checkGraph(name, thresholdsWhat, t.Graph, graph); err != nil {
		return nil, err
	}
	return t, nil
}

// readRule reads a rule and compares its constants with those of this version.
func readRule(d *json.Decoder, r *Rule) error {
	have := map[string]uint64{}
	err := object(d, []string{"name"}, func(key string) (err error) {
		if key != "name" {
			if len(have) == 16 {
				return errUnknownField
			}
			have[key], err = readCount(d)
			return err
		}
		name, err := readString(d)
		if err != nil {
			return err
		}
		kind := slices.Index(kindNames[:], name)
		if kind < 0 {
			return fmt.Errorf("have %.40q, want one of %v", name, kindNames)
		}
		r.Kind = Kind(kind)
		return nil
	})
	if err != nil {
		return err
	}
	if ppm, ok := have["ppm"]; ok && r.Kind == Percentile {
		if ppm < 1 || ppm > 1_000_000 {
			return fieldf(`"ppm"`, "have %d, want 1 to 1000000", ppm)
		}
		if ppm != defaultPPM {
			r.PPM = int(ppm)
		}
	}
	want := r.constants()
	for _, c := range want {
		v, ok := have[c.name]
		if !ok {
			return fieldf(strconv.Quote(c.name), "missing")
		}
		if v != c.value {
			return fieldf(strconv.Quote(c.name), "have %d, want %d: another version of the rule; apply it to the statistics again", v, c.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !slices.ContainsFunc(want, func(c constant) bool { return c.name == name }) {
			return fieldf(strconv.Quote(name), "%w", errUnknownField)
		}
	}
	return nil
}

func readThreshold(d *json.Decoder) (t Threshold, err error) {
	err = object(d, []string{"class", "lo", "hi", "sqnr_db", "clipped", "note"}, func(key string) (err error) {
		var v float64
		switch key {
		case "class":
			var name string
			if name, err = readString(d); err != nil {
				return err
			}
			class := slices.Index(classNames[:], name)
			if class < 0 {
				return fmt.Errorf("have %.40q, want one of %v", name, classNames)
			}
			t.Class = Class(class)
		case "lo":
			v, err = readFloat(d, 32)
			t.Lo = float32(v)
		case "hi":
			v, err = readFloat(d, 32)
			t.Hi = float32(v)
		case "sqnr_db":
			t.SQNR, err = readFloat(d, 64)
		case "clipped":
			t.Clipped, err = readFloat(d, 64)
		case "note":
			t.Note, err = readString(d)
		default:
			err = errUnknownField
		}
		return err
	})
	if err == nil {
		err = t.check()
	}
	return t, err
}
