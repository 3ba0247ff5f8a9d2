package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tfq8": main})
}

// TestScripts runs testdata/script: each file is a script of commands, with the files that it needs. $NUMBERS is the folder
// of the embedded model. Commands of ours: "exit CODE tfq8 …" runs what must end with that code, "interrupt CODE GLOB tfq8 …"
// what is interrupted once a file of that pattern exists, "cut SRC DST N" copies the first N bytes of a file.
func TestScripts(t *testing.T) {
	numbers, err := filepath.Abs(filepath.Join("..", "..", "testdata", "numbers"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:             filepath.Join("testdata", "script"),
		UpdateScripts:   os.Getenv("UPDATE_SCRIPTS") != "",
		ContinueOnError: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NUMBERS", numbers)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": cmdExit, "interrupt": cmdInterrupt, "cut": cmdCut},
	})
}

// cmdExit is the script command "exit CODE COMMAND…".
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND…")
	}
	if code := exitCode(ts.Exec(args[1], args[2:]...)); code != args[0] {
		ts.Fatalf("%v: exit code %s, want %s", args[1:], code, args[0])
	}
}

// exitCode returns the exit code in the error of a finished process.
func exitCode(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &exit):
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}

// cmdInterrupt is the script command "interrupt CODE GLOB COMMAND…".
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt CODE GLOB COMMAND…")
	}
	path, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[2]))
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	ts.Check(cmd.Start())
	deadline := time.Now().Add(20 * time.Second)
	for found := false; !found; time.Sleep(10 * time.Millisecond) {
		list, err := filepath.Glob(ts.MkAbs(args[1]))
		ts.Check(err)
		if found = len(list) > 0; !found && time.Now().After(deadline) {
			cmd.Process.Kill()
			ts.Fatalf("no file %s after 20 s", args[1])
		}
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	killer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer killer.Stop()
	if code := exitCode(cmd.Wait()); code != args[0] {
		ts.Fatalf("%v: exit code %s after the interrupt, want %s", args[2:], code, args[0])
	}
}

// cmdCut is the script command "cut SRC DST N".
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut SRC DST N")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b[:min(n, len(b))], 0o666))
}

// TestExamplesAreTested finds each example of each verb's help in a script, so that none rots.
func TestExamplesAreTested(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if len(fields) > 2 && fields[0] == "exit" {
				fields = fields[2:]
			}
			tested[strings.Join(fields, " ")] = true
		}
	}
	for _, newCmd := range verbs() {
		cmd := newCmd(&streams{})
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.Name())
		}
		for line := range strings.Lines(cmd.Example) {
			// Scripts have no redirection: stdin and stdout are commands of their own.
			command, _, _ := strings.Cut(strings.TrimSpace(line), " < ")
			if !tested[command] {
				t.Errorf("%s: no script has the example %q", cmd.Name(), command)
			}
		}
	}
}

// TestReadmeHasVerbs keeps the README's table of verbs whole.
func TestReadmeHasVerbs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, newCmd := range verbs() {
		if name := newCmd(&streams{}).Name(); !strings.Contains(string(b), "\n| `"+name+" ") && !strings.Contains(string(b), "\n| `"+name+"` ") {
			t.Errorf("README.md's table of verbs lacks %q", name)
		}
	}
}

// TestClosedPipe runs a verb whose reader goes away, as head does: it ends with an error code and no message.
func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd := exec.Cmd{Path: os.Args[0], Args: []string{"tfq8", "show", "--ops", "-q"}, Stdout: w, Stderr: &stderr}
	if code := exitCode(cmd.Run()); code != "2" || stderr.Len() > 0 {
		t.Errorf("exit code %s and message %q, want 2 and none", code, stderr.String())
	}
}
