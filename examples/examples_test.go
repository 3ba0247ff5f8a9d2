// Package examples_test builds the examples, runs them on the embedded model as their comments say, and compares what they
// print.
package examples_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const numbers = "../testdata/numbers/"

// build compiles the examples and returns what runs one of them: it returns what it prints and its exit code.
func build(t *testing.T) func(name string, args ...string) (string, int) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return func(name string, args ...string) (string, int) {
		t.Helper()
		out, err := exec.Command(filepath.Join(dir, name), args...).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if exit != nil {
			return string(out), exit.ExitCode()
		}
		return string(out), 0
	}
}

func TestExamples(t *testing.T) {
	run := build(t)
	int8 := filepath.Join(t.TempDir(), "int8.pb")

	got, code := run("convert", numbers+"numbers.pb", numbers+"spm.model", numbers+"calibration.en", int8)
	first, rest, _ := strings.Cut(got, "\n")
	if code != 0 || first != "33 of 45 products in INT8" {
		t.Errorf("convert ends with %d and prints %q first", code, first)
	}
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "FP32 transformer_1/") || !strings.HasSuffix(line, ": two-activations\n") {
			t.Errorf("convert prints %q", line)
		}
	}
	if n := strings.Count(rest, "\n"); n != 45-33 {
		t.Errorf("convert lists %d products in FP32, want %d", n, 45-33)
	}

	for _, model := range []string{numbers + "numbers.pb", int8} {
		if got, code := run("run", model, numbers+"spm.model", "three hundred twelve"); code != 0 || got != "dreihundertzwölf\n" {
			t.Errorf("run %s ends with %d and prints %q", model, code, got)
		}
	}

	if got, code := run("diff", int8, int8); code != 0 || !strings.HasPrefix(got, "no differences in ") {
		t.Errorf("diff of equal graphs ends with %d and prints %q", code, got)
	}
	a, b := filepath.Join(t.TempDir(), "a.txt"), filepath.Join(t.TempDir(), "b.txt")
	for path, text := range map[string]string{
		a: "x = Placeholder[dtype=float, shape=?]()\ny = Neg(x)\n",
		b: "x = Placeholder[dtype=float, shape=?]()\nabs = Abs(x)\ny = Neg(abs)\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want := `2 -> 3 nodes: 1 added, 0 removed, 0 renamed, 1 rewired, 0 with changed attributes`
	if got, code := run("diff", a, b); code != 1 || !strings.HasPrefix(got, want+"\n") {
		t.Errorf("diff ends with %d and prints\n%s\nwant first\n%s", code, got, want)
	}
}
