package calib

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what the readers accept.
const (
	maxFileBytes = 256 << 20
	maxTensors   = 1 << 16
	maxName      = 4096    // bytes of a name, a note or a tool version
	maxCount     = 1 << 53 // so that every sum is exact as a double
)

// formatVersion is the version of both files. A change of a rule's constants or
// of the grid is a new version.
const formatVersion = 1

// Hash is the SHA-256 of the graph's file. The zero Hash stands for no graph in
// particular.
type Hash [32]byte

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// StaleError is returned for a file that was made from another graph.
type StaleError struct {
	File string // name of the file, as given to the reader
	What string // "statistics" or "thresholds"
	Have Hash   // the graph that the file was made from
	Want Hash   // the graph at hand
}

func (e *StaleError) Error() string {
	again := "calibrate this graph again"
	if e.What == thresholdsWhat {
		again += ", or apply a rule to statistics of this graph"
	}
	return fmt.Sprintf("calib: file %q: %s of another graph, have SHA-256 %s, want %s; %s, or give the graph that the file was made from",
		e.File, e.What, e.Have, e.Want, again)
}

// checkGraph returns a *StaleError when both hashes say something and differ.
func checkGraph(file, what string, have, want Hash) error {
	if want != (Hash{}) && have != want {
		return &StaleError{File: file, What: what, Have: have, Want: want}
	}
	return nil
}

// fieldError is a fault of one field of a file; its path grows on the way out.
type fieldError struct {
	path string
	err  error
}

func (e *fieldError) Error() string { return fmt.Sprintf("field %s: %v", e.path, e.err) }
func (e *fieldError) Unwrap() error { return e.err }

// inField names the field in which err happened.
func inField(name string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*fieldError](err); ok {
		return &fieldError{name + "." + inner.path, inner.err}
	}
	return &fieldError{name, err}
}

func fieldf(name, format string, args ...any) error {
	return &fieldError{name, fmt.Errorf(format, args...)}
}

// readFile reads one JSON object from r with read and refuses anything after it.
func readFile(r io.Reader, file, what string, read func(*json.Decoder) error) error {
	limited := &io.LimitedReader{R: r, N: maxFileBytes + 1}
	d := newDecoder(limited)
	err := read(d)
	if err == nil {
		if _, after := d.Token(); after != io.EOF {
			err = errors.New("have more after the end of the object, want nothing")
		}
	}
	if limited.N == 0 {
		err = fmt.Errorf("have more than %d bytes, want fewer", maxFileBytes)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("ends too early: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("calib: file %q: %w; write the %s again", file, err, what)
}

// newDecoder returns a decoder that leaves numbers as text.
func newDecoder(r io.Reader) *json.Decoder {
	d := json.NewDecoder(r)
	d.UseNumber()
	return d
}

// object reads an object, calling field for the value of every key. A key that
// comes twice is an error, and so is one of required that does not come.
func object(d *json.Decoder, required []string, field func(key string) error) error {
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return fmt.Errorf("have %v, want an object", short(t))
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok || len(key) > maxName {
			return fmt.Errorf("have the key %v, want a string of at most %d bytes", short(t), maxName)
		}
		if seen[key] {
			return fieldf(strconv.Quote(key), "given twice")
		}
		seen[key] = true
		if err := inField(strconv.Quote(key), field(key)); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	for _, key := range required {
		if !seen[key] {
			return fieldf(strconv.Quote(key), "missing")
		}
	}
	return nil
}

var errUnknownField = errors.New("not a field of this format")

// short shortens a token for an error.
func short(t json.Token) string {
	return fmt.Sprintf("%.40q", fmt.Sprint(t))
}

func readString(d *json.Decoder) (string, error) {
	t, err := d.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok || len(s) > maxName {
		return "", fmt.Errorf("have %s, want a string of at most %d bytes", short(t), maxName)
	}
	return s, nil
}

// readCount reads an integer from 0 to maxCount.
func readCount(d *json.Decoder) (uint64, error) {
	t, err := d.Token()
	if err != nil {
		return 0, err
	}
	if n, ok := t.(json.Number); ok {
		if v, err := strconv.ParseUint(n.String(), 10, 64); err == nil && v <= maxCount {
			return v, nil
		}
	}
	return 0, fmt.Errorf("have %s, want an integer from 0 to 2^53", short(t))
}

// readFloat reads a number that is finite in the given size.
func readFloat(d *json.Decoder, size int) (float64, error) {
	t, err := d.Token()
	if err != nil {
		return 0, err
	}
	if n, ok := t.(json.Number); ok {
		if v, err := strconv.ParseFloat(n.String(), size); err == nil && !math.IsInf(v, 0) {
			return v + 0, nil
		}
	}
	return 0, fmt.Errorf("have %s, want a number that float%d holds", short(t), size)
}

// readHeader handles the fields that both files begin with; ok is false for any
// other key.
func readHeader(d *json.Decoder, key, format string, tool *string, graph *Hash) (ok bool, err error) {
	switch key {
	case "format":
		var s string
		if s, err = readString(d); err == nil && s != format {
			err = fmt.Errorf("have %q, want %q", s, format)
		}
	case "version":
		var v uint64
		if v, err = readCount(d); err == nil && v != formatVersion {
			err = fmt.Errorf("have %d, want %d", v, formatVersion)
		}
	case "tool":
		*tool, err = readString(d)
	case "graph_sha256":
		var s string
		if s, err = readString(d); err == nil {
			*graph, err = parseHash(s)
		}
	default:
		return false, nil
	}
	return true, err
}

var headerFields = []string{"format", "version", "tool", "graph_sha256"}

func parseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) || s != strings.ToLower(s) {
		return h, fmt.Errorf("have %.80q, want 64 lower-case hexadecimal digits", s)
	}
	return Hash(b), nil
}

// appendHeader writes the fields that both files begin with.
func appendHeader(b []byte, format, tool string, graph Hash) ([]byte, error) {
	b = append(b, "{\n\"format\":\""+format+"\",\n\"version\":"...)
	b = strconv.AppendInt(b, formatVersion, 10)
	b = append(b, ",\n\"tool\":"...)
	b, err := appendText(b, tool)
	if err != nil {
		return nil, inField(`"tool"`, err)
	}
	return append(b, ",\n\"graph_sha256\":\""+graph.String()+"\",\n"...), nil
}

// appendText writes a string that reads back as itself.
func appendText(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) || len(s) > maxName {
		return nil, fmt.Errorf("have %.80q, want UTF-8 of at most %d bytes", s, maxName)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...), nil
}

// appendTensors writes the object "tensors", one entry a line.
func appendTensors(b []byte, names []string, entry func(b []byte, name string) ([]byte, error)) ([]byte, error) {
	if len(names) > maxTensors {
		return nil, inField(`"tensors"`, fmt.Errorf("have %d tensors, want at most %d", len(names), maxTensors))
	}
	b = append(b, `"tensors":{`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		var err error
		if b, err = appendText(b, name); err == nil {
			b, err = entry(append(b, ':'), name)
		}
		if err != nil {
			return nil, inField(`"tensors"`, inField(strconv.Quote(name), err))
		}
	}
	return append(b, "\n}\n}\n"...), nil
}
