// Command turns holds a compiled model and runs it once for every line of its standard input, so that a script can let this
// interpreter and other engines run by turns, each warm. It prints a line of JSON when it is ready, and one for every turn.
//
//	turns -fetch translations [-threads 1] [-kernels avx2] MODEL FEEDS.npz...
//
// A turn runs all feeds, each an archive whose arrays are named as the tensors that they are fed to. The streams, one a
// thread, pull from one queue; on one thread, the median time of a feed is printed too.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/internal/bench"
	"github.com/tfq8/tfq8/internal/npy"
	"github.com/tfq8/tfq8/kernels"
	"github.com/tfq8/tfq8/runtime"
)

// ready is printed when the first run is over.
type ready struct {
	Kernels string  `json:"kernels"`
	Seconds float64 `json:"seconds"` // load, compile and the first run
}

// turn is what one turn took.
type turn struct {
	Seconds float64 `json:"seconds"`
	Median  float64 `json:"median,omitempty"` // of the feeds, in seconds, on one thread
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "turns:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("turns", flag.ContinueOnError)
	fetches := flags.String("fetch", "", "`names` of the tensors to compute, separated by commas")
	threads := flags.Int("threads", goruntime.GOMAXPROCS(0), "threads, and streams")
	tier := flags.String("kernels", "auto", "`tier` of kernels to compute with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *fetches == "" || flags.NArg() < 2 || *threads < 1 {
		return errors.New("want -fetch NAMES MODEL FEEDS.npz..., and -threads of 1 or more")
	}
	t, err := kernels.ParseTier(*tier)
	if err != nil {
		return err
	}
	goruntime.GOMAXPROCS(*threads)
	start := time.Now()
	feeds, err := load(flags.Args()[1:])
	if err != nil {
		return err
	}
	g, err := graphdef.Load(flags.Arg(0))
	if err != nil {
		return err
	}
	plan, err := runtime.Compile(g, runtime.CompileOptions{
		Feeds: slices.Sorted(maps.Keys(feeds[0])), Fetches: strings.Split(*fetches, ","), Kernels: kernels.For(t),
	})
	if err != nil {
		return err
	}
	ctx, runner, printer := context.Background(), bench.NewRunner(plan, *threads), json.NewEncoder(out)
	if _, err := runner.Run(ctx, feeds); err != nil {
		return err
	}
	if err := printer.Encode(ready{t.String(), time.Since(start).Seconds()}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		r, err := takeTurn(ctx, runner, feeds, *threads)
		if err != nil {
			return err
		}
		if err := printer.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// load reads one feed from each archive.
func load(paths []string) ([]bench.Feeds, error) {
	var all []bench.Feeds
	for _, path := range paths {
		arrays, err := npy.ReadArchive(path)
		if err != nil {
			return nil, err
		}
		feeds := bench.Feeds{}
		for _, a := range arrays {
			feeds[a.Name] = a.Tensor
		}
		all = append(all, feeds)
	}
	return all, nil
}

// takeTurn runs all feeds: side by side, or, on one thread, one after the other with a clock on each.
func takeTurn(ctx context.Context, r *bench.Runner, feeds []bench.Feeds, threads int) (turn, error) {
	if threads > 1 {
		t, err := r.Run(ctx, feeds)
		return turn{Seconds: t.Seconds()}, err
	}
	var times []time.Duration
	var sum time.Duration
	for i := range feeds {
		t, err := r.Run(ctx, feeds[i:i+1])
		if err != nil {
			return turn{}, err
		}
		sum += t
		times = append(times, t)
	}
	return turn{sum.Seconds(), bench.Median(times).Seconds()}, nil
}
