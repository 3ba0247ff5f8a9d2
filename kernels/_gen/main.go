// Command _gen writes the assembly of package kernels: for each entry of the tables below one pair of
// files, NAME_amd64.s and NAME_amd64.go (the stubs), in the folder given by -out.
//
// An entry is a function on a fresh avo context, so one run writes every file. It is a module of its own:
// users of the library never fetch avo.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	// avo's build package already claims -out on the default flag set.
	flags := flag.NewFlagSet("_gen", flag.ExitOnError)
	out := flags.String("out", "..", "folder of the generated files")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	for _, table := range []map[string]func(*build.Context){gemmFiles, vecFiles} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if err := generate(filepath.Join(*out, name+"_amd64"), table[name]); err != nil {
				fmt.Fprintf(os.Stderr, "_gen: %s: %v\n", name, err)
				os.Exit(1)
			}
		}
	}
	for name, text := range goFiles {
		if err := os.WriteFile(filepath.Join(*out, name), []byte(text()), 0o644); err != nil {
			fmt.Fprintf(os.Stderr, "_gen: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// generate runs f and writes base.s and base.go; nothing is written when f fails, since an empty stub file
// would break the package.
func generate(base string, f func(*build.Context)) error {
	c := build.NewContext()
	c.ConstraintExpr("!noasm")
	f(c)
	file, err := c.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "kernels/_gen", Argv: []string{"go generate ./kernels"}, Pkg: "kernels"}
	asm, err := printer.NewGoAsm(cfg).Print(file)
	if err != nil {
		return err
	}
	stubs, err := printer.NewStubs(cfg).Print(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".s", asm, 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".go", stubs, 0o644)
}

// function starts the assembly function name with the given Go signature, NOSPLIT.
func function(c *build.Context, name, signature string, doc ...string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(signature)
	c.Doc(doc...)
	c.Pragma("noescape")
}
