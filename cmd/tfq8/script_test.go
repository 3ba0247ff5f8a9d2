package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tfq8": main})
}

// TestScripts runs testdata/script: each file is a script of commands, with the files that it needs. $NUMBERS is the folder
// of the embedded model; "exit CODE tfq8 …" runs a command that must end with that code.
func TestScripts(t *testing.T) {
	numbers, err := filepath.Abs(filepath.Join("..", "..", "testdata", "numbers"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("NUMBERS", numbers)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": cmdExit},
	})
}

// cmdExit is the script command "exit CODE COMMAND…".
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = exitCode(err)
	}
	if code != args[0] {
		ts.Fatalf("%v: exit code %s, want %s (%v)", args[1:], code, args[0], err)
	}
}

// exitCode returns the exit code in the error of a finished process.
func exitCode(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}
