// Run translates one sentence with a graph, FP32 or INT8, without TensorFlow.
//
//	go run ./examples/run testdata/numbers/numbers.pb testdata/numbers/spm.model "three hundred twelve"
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/runtime"
	"github.com/tfq8/tfq8/runtime/text"
	"github.com/tfq8/tfq8/tensor"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: run MODEL SPM SENTENCE")
	}
	g, err := graphdef.Load(os.Args[1])
	check(err)
	spm, err := text.Load(os.Args[2])
	check(err)
	plan, err := runtime.Compile(g, runtime.CompileOptions{Fetches: []string{"translations"}})
	check(err)

	var ids []int32
	for _, id := range append(spm.Encode(os.Args[3]), spm.EOS()) {
		ids = append(ids, int32(id))
	}
	out, err := plan.NewSession().Run(context.Background(), map[string]*tensor.Tensor{
		"source": tensor.FromSlice(tensor.Shape{1, len(ids)}, ids),
	})
	check(err)

	// translations is [batch, beam, length], best beam first, each a start token, pieces, and the end of sentence.
	length := out["translations"].Shape()[2]
	var best []int
	for _, id := range tensor.Data[int32](out["translations"])[1:length] {
		best = append(best, int(id))
	}
	if end := slices.Index(best, spm.EOS()); end >= 0 {
		best = best[:end]
	}
	fmt.Println(spm.Decode(best))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
