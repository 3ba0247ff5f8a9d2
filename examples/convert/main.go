// Convert quantizes a frozen translation graph, calibrated on sentences, and says what became of each product.
//
//	go run ./examples/convert testdata/numbers/numbers.pb testdata/numbers/spm.model testdata/numbers/calibration.en int8.pb
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/passes"
	"github.com/tfq8/tfq8/runtime/text"
	"github.com/tfq8/tfq8/tensor"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: convert MODEL SPM CALIBRATION OUT")
	}
	g, err := graphdef.Load(os.Args[1])
	check(err)
	spm, err := text.Load(os.Args[2])
	check(err)
	lines, err := os.ReadFile(os.Args[3])
	check(err)

	// One sentence a feed: its pieces, then the end of sentence.
	var feeds []passes.Feeds
	for line := range strings.Lines(string(lines)) {
		var ids []int32
		for _, id := range append(spm.Encode(strings.TrimSpace(line)), spm.EOS()) {
			ids = append(ids, int32(id))
		}
		feeds = append(feeds, passes.Feeds{"source": tensor.FromSlice(tensor.Shape{1, len(ids)}, ids)})
	}
	res, err := passes.Convert(context.Background(), g, passes.Options{
		Outputs:   []string{"translations", "scores"},
		Calibrate: feeds,
	})
	check(err)
	check(graphdef.Save(res.Graph, os.Args[4]))

	quantized, total := res.Report.Quantized("")
	fmt.Printf("%d of %d products in INT8\n", quantized, total)
	for _, p := range res.Report.LeftFloat() {
		fmt.Printf("FP32 %s: %s\n", p.Node, p.Reason)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
