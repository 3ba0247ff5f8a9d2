package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// progress draws one line on the error stream with how far a slow thing is and how long the rest will take. It stays
// silent unless that stream is a terminal, and for the first two seconds.
type progress struct {
	s       *streams
	label   string
	start   time.Time
	last    time.Time
	width   int // of the line drawn last
	enabled bool
}

// newProgress starts the clock of a thing called label, such as "calibrating".
func (s *streams) newProgress(label string) *progress {
	return &progress{s: s, label: label, start: time.Now(), enabled: !s.quiet && isTerminal(s.err)}
}

// at shows that done of total parts are finished. It may be called as often as one likes, by one goroutine at a time.
func (p *progress) at(done, total int) {
	now := time.Now()
	if !p.enabled || now.Sub(p.start) < 2*time.Second || now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last = now
	line := fmt.Sprintf("%s %d/%d", p.label, done, total)
	if done > 0 && done < total {
		left := time.Duration(float64(now.Sub(p.start)) / float64(done) * float64(total-done))
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	fmt.Fprintf(p.s.err, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	p.width = len(line)
}

// end wipes the line.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintf(p.s.err, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// isTerminal reports whether w is a character device that shows what is written.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
