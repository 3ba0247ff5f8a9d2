// Command tfq8 converts frozen FP32 TensorFlow Transformers to INT8 and runs, checks, compares and shows graphs. One file
// holds one verb: its options, its flags (newXCmd) and its work (runX).
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitDone        = 0
	exitNegative    = 1 // the answer is no: graphs differ, a case misses
	exitError       = 2
	exitInterrupted = 130 // by SIGINT or SIGTERM
)

// errNegative is what a verb returns after it printed a negative answer.
var errNegative = errors.New("negative answer")

// errInterrupted is the cause of the context after a signal.
var errInterrupted = errors.New("interrupted")

// streams is what a verb reads and writes: results go to out, which run flushes, everything else to err.
type streams struct {
	in  io.Reader
	out *bufio.Writer
	err io.Writer
	// quiet and verbose are the flags -q and -v.
	quiet, verbose bool
}

// note prints a line for people on the error stream, unless -q was given.
func (s *streams) note(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.err, "tfq8: "+format+"\n", args...)
	}
}

// detail prints a line on the error stream if -v was given.
func (s *streams) detail(format string, args ...any) {
	if s.verbose && !s.quiet {
		fmt.Fprintf(s.err, "tfq8: "+format+"\n", args...)
	}
}

// complain prints what went wrong on the error stream, also under -q.
func (s *streams) complain(format string, args ...any) {
	fmt.Fprintf(s.err, "tfq8: "+format+"\n", args...)
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: it executes args and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	// A reader that goes away is an error of the write, so that temporary files are taken away; see the flush below.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
			signal.Stop(signals) // the next one kills
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	s := &streams{in: stdin, out: bufio.NewWriterSize(stdout, 1<<16), err: stderr}
	cmd := newRootCmd(s)
	cmd.SetArgs(args)
	cmd.SetIn(s.in)
	cmd.SetOut(s.out)
	cmd.SetErr(s.err)
	err := cmd.ExecuteContext(ctx)
	if flushErr := s.out.Flush(); flushErr != nil && (err == nil || errors.Is(err, errNegative)) {
		err = fmt.Errorf("writing results: %w", flushErr)
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(context.Cause(ctx), errInterrupted):
		fmt.Fprintln(stderr, "tfq8: interrupted")
		return exitInterrupted
	case errors.Is(err, errNegative):
		return exitNegative
	case errors.Is(err, syscall.EPIPE):
		return exitError // the reader went away, as head does: it wants no message
	}
	fmt.Fprintf(stderr, "tfq8: %v\n", err)
	return exitError
}
