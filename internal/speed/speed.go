// Package speed times short functions on machines that have other work to do: what is compared runs by turns, the
// shortest time of each counts, since other work only ever adds to it, and where the system tells the time that it
// gave to a thread, that is the time.
package speed

import (
	"runtime"
	"time"
)

// burst is how long one measurement should take: long against reading the clock, short against the time
// until other work interrupts.
const burst = 200 * time.Microsecond

// Fastest runs the functions by turns until budget is spent, at least three rounds, and returns the shortest time of
// one call of each. Functions shorter than a burst are timed several calls at a time. Work that a function gives to other
// goroutines is not counted.
func Fastest(budget time.Duration, fs ...func()) []time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := make([]time.Duration, len(fs))
	calls := make([]int, len(fs))
	for i, f := range fs {
		f() // not in the caches yet
		start := threadTime()
		f()
		best[i] = threadTime() - start
		calls[i] = max(1, int(burst/max(1, best[i])))
	}
	end := time.Now().Add(budget)
	for round := 0; round < 3 || time.Now().Before(end); round++ {
		for i, f := range fs {
			// The first call after another function finds the caches full of that one's data.
			f()
			start := threadTime()
			for range calls[i] {
				f()
			}
			best[i] = min(best[i], (threadTime()-start)/time.Duration(calls[i]))
		}
	}
	return best
}
