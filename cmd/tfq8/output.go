package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
)

// outputFile is a file that appears under its name whole or not at all: it is written beside its place and renamed by
// commit. A caller defers discard, which does nothing after commit.
type outputFile struct {
	*bufio.Writer
	path   string
	file   *os.File // nil for standard output
	direct bool     // written in place: a device or pipe has no place beside it
	closed bool
	done   bool // committed or discarded
}

// create starts the file of a path; "-" is standard output. It refuses to write over any of the inputs, as a later look at
// them would see something else.
func (s *streams) create(path string, inputs ...string) (*outputFile, error) {
	if path == "-" {
		return &outputFile{Writer: s.out, path: "standard output"}, nil
	}
	if path == "" {
		return nil, errors.New("the name of the output file is empty")
	}
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real // a link stays a link
	}
	mode := os.FileMode(0o666)
	switch old, err := os.Stat(target); {
	case err == nil && old.IsDir():
		return nil, fmt.Errorf("%s is a directory, want the name of a file", path)
	case err == nil && !old.Mode().IsRegular():
		f, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &outputFile{Writer: bufio.NewWriter(f), path: target, file: f, direct: true}, nil
	case err == nil:
		for _, in := range inputs {
			if i, err := os.Stat(in); err == nil && os.SameFile(i, old) {
				return nil, fmt.Errorf("%s is an input and would be overwritten; give another name", path)
			}
		}
		mode = old.Mode().Perm()
	}
	f, err := createBeside(target, mode)
	if err != nil {
		return nil, err
	}
	s.unfinished(f.Name())
	return &outputFile{Writer: bufio.NewWriterSize(f, 1<<20), path: target, file: f}, nil
}

// createBeside makes a new file in the directory of path.
func createBeside(path string, mode os.FileMode) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d-%d.tmp", filepath.Base(path), os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, os.ErrExist) && i < 1000 {
			continue
		}
		return f, err
	}
}

// finish writes all that is buffered and returns the name under which the file can be read now, which is empty for what
// cannot be read back: standard output, devices and pipes.
func (o *outputFile) finish() (string, error) {
	if o.closed {
		return "", nil
	}
	err := o.Flush()
	if o.file == nil {
		return "", err
	}
	o.closed = true
	if err == nil && !o.direct {
		err = o.file.Sync()
	}
	if closeErr := o.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil || o.direct {
		return "", o.wrap(err)
	}
	return o.file.Name(), nil
}

// commit makes the file appear.
func (o *outputFile) commit() error {
	_, err := o.finish()
	if o.file == nil {
		return err
	}
	if err == nil && !o.direct {
		err = o.wrap(os.Rename(o.file.Name(), o.path))
	}
	if err == nil {
		o.done = true
	}
	o.discard()
	return err
}

// wrap says which file an error is about; the name of the temporary one means nothing to the user.
func (o *outputFile) wrap(err error) error {
	if err == nil {
		return nil
	}
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("writing %s: %w", o.path, err)
}

// discard takes away what was written, unless it was committed.
func (o *outputFile) discard() {
	if o.done || o.file == nil {
		return
	}
	o.done = true
	if !o.closed {
		o.file.Close()
	}
	if !o.direct {
		os.Remove(o.file.Name())
	}
}

// writeFile makes the file of a path with what write writes.
func (s *streams) writeFile(path string, inputs []string, write func(io.Writer) error) error {
	o, err := s.create(path, inputs...)
	if err != nil {
		return err
	}
	defer o.discard()
	if err := write(o); err != nil {
		return o.wrap(err)
	}
	return o.commit()
}

// writeGraph writes g in the form that the extension of path says, as graphdef.Save does.
func writeGraph(w io.Writer, path string, g *graphdef.Graph) error {
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pbtxt":
		err = graphdef.WritePbtxt(w, g)
	case ".txt":
		err = graphdef.FormatText(w, g, graphdef.TextOptions{})
	default:
		_, err = g.WriteTo(w)
	}
	return err
}
