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
	"sync"
	"syscall"
	"time"
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
	// overdue gets the error with which the program ends without its verb; see endAfter.
	overdue chan error
	mu      sync.Mutex
	temps   []string // files and directories that are renamed when they are whole
}

// grace is how long a verb that was stopped may go on: what it computes stops between two steps, and one may be very long.
const grace = 3 * time.Second

// endAfter makes the program end soon after ctx is done, whether its verb does or not, unless forget is called before.
func (s *streams) endAfter(ctx context.Context) (forget func() bool) {
	return context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() {
			select {
			case s.overdue <- context.Cause(ctx):
			default:
			}
		})
	})
}

// unfinished notes a path to remove where the program ends without its verb.
func (s *streams) unfinished(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temps = append(s.temps, path)
}

// abandon removes what the verb has begun to write.
func (s *streams) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range s.temps {
		os.RemoveAll(path) // nothing is there any more where the file was finished
	}
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
	s := &streams{in: stdin, out: bufio.NewWriterSize(stdout, 1<<16), err: stderr, overdue: make(chan error, 1)}
	defer s.endAfter(ctx)()
	cmd := newRootCmd(s)
	cmd.SetArgs(args)
	cmd.SetIn(s.in)
	cmd.SetOut(s.out)
	cmd.SetErr(s.err)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	var err error
	select {
	case err = <-done:
		if flushErr := s.out.Flush(); flushErr != nil && (err == nil || errors.Is(err, errNegative)) {
			err = fmt.Errorf("writing results: %w", flushErr)
		}
	case err = <-s.overdue:
		s.abandon()
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
