package graphdef

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// mapFrom is the size in bytes from which files are mapped rather than read.
const mapFrom = 1 << 20

// Load reads a graph from a file: a binary GraphDef, one in protobuf's text format, or the text form of this package,
// told apart by content. The error for any other form of model is a [*FormError], which says what the file is and what
// to do with it. Big files are mapped where the system can: constants are decoded when asked for and take no memory of
// their own, so the file must not be changed in place while the graph lives (Save does not).
func Load(path string) (*Graph, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	var g *Graph
	switch form := Sniff(b); form {
	case FormGraphDef:
		g, err = Read(b)
	case FormPbtxt:
		g, err = ReadPbtxt(b)
	case FormText:
		g, err = Parse(string(b))
	default:
		return nil, &FormError{Path: path, Form: form, Head: b[:min(len(b), 8)]}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// ReadFile returns the contents of a file, mapped where it is big. The error for a directory that holds a SavedModel is
// a [*FormError].
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	if info.IsDir() {
		for _, name := range []string{"saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"} {
			if _, err := os.Stat(filepath.Join(path, name)); err == nil {
				return nil, &FormError{Path: path, Form: FormSavedModel}
			}
		}
		return nil, fmt.Errorf("graphdef: %s is a directory without a saved_model.pb; give a file", path)
	}
	if size := info.Size(); info.Mode().IsRegular() && size >= mapFrom {
		if int64(int(size)) != size {
			return nil, fmt.Errorf("graphdef: %s has %d bytes, more than this machine can address", path, size)
		}
		b, err := mapFile(f, size)
		if err != nil {
			return nil, fmt.Errorf("graphdef: %s: %w", path, err)
		}
		return b, nil
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("graphdef: %w", err)
	}
	return b, nil
}

// Save writes g to a file, in protobuf's text format where the name ends in .pbtxt, in the text form of this package
// where it ends in .txt, and as a binary GraphDef otherwise. The file appears whole or not at all: it is written beside
// its place and renamed.
func Save(g *Graph, path string) error {
	return writeFile(path, func(w io.Writer) error {
		var err error
		switch strings.ToLower(filepath.Ext(path)) {
		case ".pbtxt":
			err = WritePbtxt(w, g)
		case ".txt":
			_, err = io.WriteString(w, Format(g))
		default:
			_, err = g.WriteTo(w)
		}
		return err
	})
}

// writeFile makes a file of what write writes: to a temporary file in the same directory, which is synced and renamed,
// and removed after any error.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("graphdef: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("graphdef: writing %s: %w", path, err)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// CreateTemp keeps the file to its owner; a model is like any other file, or like the one that it replaces.
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm()
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
