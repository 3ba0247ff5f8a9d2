// Package lint holds the house rules that a compiler does not check.
package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tfq8/tfq8/"

// outside are the names that ARCHITECTURE.md gives to dependencies, by the start of their import path.
var outside = map[string]string{
	"protobuf": "google.golang.org/protobuf/",
	"graft":    "github.com/wamuir/graft/",
	"cpuid":    "github.com/klauspost/cpuid/",
	"snappy":   "github.com/golang/snappy",
	"siphash":  "github.com/dchest/siphash",
	"go-farm":  "github.com/dgryski/go-farm",
	"x/sys":    "golang.org/x/sys/",
	"x/text":   "golang.org/x/text/",
}

// everything is the rule of packages that may import all.
const everything = "*"

var code = regexp.MustCompile("`([^`]+)`")

// table returns, for each package in the table of ARCHITECTURE.md, what it may import.
func table(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "| package | holds | imports |\n|---|---|---|\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no table of packages")
	}
	allowed := map[string][]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			break
		}
		var rules []string
		for _, m := range code.FindAllStringSubmatch(cells[3], -1) {
			rules = append(rules, m[1])
		}
		switch words := strings.TrimSpace(cells[3]); {
		case words == "all":
			rules = []string{everything}
		case rules == nil && words != "standard library":
			t.Errorf("ARCHITECTURE.md: %s imports %q: want names in code marks, all, or standard library", cells[1], words)
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			allowed[m[1]] = rules
		}
	}
	return allowed
}

func TestImports(t *testing.T) {
	allowed := table(t)
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		row, rules, ok := rulesFor(allowed, pkg)
		if found[row] = true; !ok {
			t.Errorf("package %s is not in ARCHITECTURE.md's table; add it there", pkg)
			continue
		}
		for _, imp := range fields[1:] {
			if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") || slices.Contains(rules, everything) {
				continue // the standard library, or a package that may import all
			}
			if !slices.ContainsFunc(rules, func(r string) bool {
				path, ok := outside[r]
				return imp == module+r || ok && strings.HasPrefix(imp, path)
			}) {
				t.Errorf("%s imports %s: ARCHITECTURE.md's table allows %q", pkg, strings.TrimPrefix(imp, module), rules)
			}
		}
	}
	for pkg, rules := range allowed {
		if !found[pkg] {
			t.Errorf("ARCHITECTURE.md's table has %s, which does not exist", pkg)
		}
		for _, r := range rules {
			if _, ok := outside[r]; !ok && r != everything && !found[r] {
				t.Errorf("ARCHITECTURE.md's table lets %s import %q, which is no package", pkg, r)
			}
		}
	}
}

// rulesFor returns the row of pkg, or of the folder that holds it if all may be imported there.
func rulesFor(allowed map[string][]string, pkg string) (row string, rules []string, ok bool) {
	if r, ok := allowed[pkg]; ok {
		return pkg, r, true
	}
	for dir := pkg; strings.Contains(dir, "/"); {
		dir = dir[:strings.LastIndexByte(dir, '/')]
		if r, ok := allowed[dir]; ok && slices.Contains(r, everything) {
			return dir, r, true
		}
	}
	return "", nil, false
}
