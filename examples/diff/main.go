// Diff prints how two graphs differ and exits with 1 if they do.
//
//	go run ./examples/diff testdata/numbers/numbers.pb int8.pb
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/diff"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: diff A B")
	}
	a, err := graphdef.Load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	b, err := graphdef.Load(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	d := diff.Compare(a, b)
	fmt.Print(d)
	if !d.Empty() {
		os.Exit(1)
	}
}
