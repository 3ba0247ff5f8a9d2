package graphdef_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tfq8/tfq8/graphdef"
)

func ExampleParse() {
	g, err := graphdef.Parse(`
		x = Placeholder[dtype=float, shape=[?, 4]]()
		w = Const[value=float 4x2 fill 0.5]()
		y = MatMul(x, w)  # T follows from x
	`)
	if err != nil {
		log.Fatal(err)
	}
	t, err := g.Node("y").Type("T")
	fmt.Println(t, err)
	fmt.Print(graphdef.Format(g))
	// Output:
	// float <nil>
	// x = Placeholder[dtype=float, shape=?x4]()
	// w = Const[value=float 4x2 fill 0.5]()
	// y = MatMul(x, w)
}

func ExampleSave() {
	g, err := graphdef.Parse("c = Const[value=int32 [1, 2, 3]]()")
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "g.pbtxt") // .pb is binary, .txt the form of Parse
	if err := graphdef.Save(g, path); err != nil {
		log.Fatal(err)
	}
	g, err = graphdef.Load(path) // the form is told by the content
	if err != nil {
		log.Fatal(err)
	}
	value, err := g.Node("c").Tensor("value")
	fmt.Println(value, err)
	// Output: int32 [3] [1 2 3] <nil>
}
