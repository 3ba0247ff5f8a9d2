// Package lint holds the house rules that a compiler does not check.
package lint

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tfq8/tfq8/"

// allowed lists, for each package, the packages of this module and the dependencies outside the standard library that it may
// import: the arrows of ARCHITECTURE.md. Tests may import more.
var allowed = map[string][]string{
	"tensor":                   {},
	"kernels":                  {"github.com/klauspost/cpuid/v2"},
	"graphdef":                 {"tensor", "graphdef/internal/pbtext", "google.golang.org/protobuf", "github.com/wamuir/graft", "golang.org/x/sys"},
	"graphdef/internal/pbtext": {"tensor", "google.golang.org/protobuf", "github.com/wamuir/graft"},
	"graphdef/flow":            {"graphdef", "tensor"},
	"graphdef/diff":            {"graphdef", "tensor"},
	"graphdef/savedmodel":      {"graphdef", "graphdef/checkpoint", "graphdef/flow", "graphdef/internal/pbtext", "tensor", "google.golang.org/protobuf", "github.com/wamuir/graft"},
	"graphdef/checkpoint":      {"graphdef", "graphdef/internal/pbtext", "tensor", "google.golang.org/protobuf", "github.com/golang/snappy"},
	"calib":                    {"tensor"},
	"runtime":                  {"graphdef", "graphdef/flow", "kernels", "tensor", "golang.org/x/text", "github.com/dgryski/go-farm", "github.com/dchest/siphash"},
	"runtime/text":             {"google.golang.org/protobuf"},
	"passes":                   {"graphdef", "graphdef/flow", "calib", "runtime", "kernels", "tensor"},
	"cmd/tfq8":                 {"*"},
	"examples":                 {"*"},
	"internal":                 {"*"},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		rules, ok := rulesFor(pkg)
		if !ok {
			t.Errorf("package %s is not in the table of imports; add it to ARCHITECTURE.md and here", pkg)
			continue
		}
		for _, imp := range fields[1:] {
			if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") || slices.Contains(rules, "*") {
				continue // the standard library, or a package that may import all
			}
			short := strings.TrimPrefix(imp, module)
			if !slices.ContainsFunc(rules, func(r string) bool {
				return short == r || strings.Contains(r, ".") && strings.HasPrefix(imp, r)
			}) {
				t.Errorf("%s imports %s: the table allows %v", pkg, short, rules)
			}
		}
	}
}

// rulesFor returns the entry of pkg or of the folder that holds it.
func rulesFor(pkg string) ([]string, bool) {
	if r, ok := allowed[pkg]; ok {
		return r, true
	}
	for dir := pkg; strings.Contains(dir, "/"); {
		dir = dir[:strings.LastIndexByte(dir, '/')]
		if r, ok := allowed[dir]; ok && slices.Contains(r, "*") {
			return r, true
		}
	}
	return nil, false
}
